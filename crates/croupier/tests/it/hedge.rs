//! A second server is asked when the first is late.

use croupier_testkit::{Client, Event, Origin, Reply};

use crate::prelude::*;

/// `first` is asked first, `second` only beside it or in need.
fn before(first: &Origin, second: &Origin, keys: &str) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\
         [site.\"*\"]\npool = \"app\"\n\
         [pool.app]\nservers = [\"{}\", {{ address = \"{}\", backup = true }}]\n{keys}\n",
        first.address(),
        second.address()
    ))
}

#[test]
fn whoever_answers_first_is_heard_and_the_other_is_left_alone() {
    let never = Event::new();
    let told = never.clone();
    let late = Origin::start(move |_| Reply::wait_for(&told).then(Reply::ok("late")));
    let quick = Origin::start(|request| Reply::ok(format!("quick {}", request.path())));
    let proxy = before(&late, &quick, "hedge = \"20ms\"");
    let mut client = Client::connect(proxy.address());
    for number in 0..5 {
        let path = format!("/{number}");
        assert_eq!(client.get(&path).text(), format!("quick {path}"));
    }
    // Nobody waits for an answer that nobody wants.
    late.wait_for_connections(SOON, |all| all.iter().all(|one| one.ended.is_some()));
    proxy.wait_for_access(|line| line.contains(&quick.address().to_string()));
    never.fire();
}

#[test]
fn a_first_server_in_time_is_the_only_one_asked() {
    let first = Origin::start(|_| Reply::ok("first"));
    let second = Origin::start(|_| Reply::ok("second"));
    let proxy = before(&first, &second, "hedge = \"5s\"");
    let mut client = Client::connect(proxy.address());
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "first");
    }
    assert!(second.requests().is_empty());
}

#[test]
fn a_first_server_that_fails_meanwhile_costs_nothing() {
    let go = Event::new();
    let told = go.clone();
    let bad = Origin::start(move |_| Reply::wait_for(&told).then(Reply::reset()));
    let done = Event::new();
    let told = done.clone();
    let good = Origin::start(move |_| Reply::wait_for(&told).then(Reply::ok("good")));
    let proxy = before(&bad, &good, "hedge = \"20ms\"");
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/", &[], "");
    good.wait_for_requests(1, SOON);
    go.fire();
    bad.wait_for_connections(SOON, |all| all[0].ended.is_some());
    done.fire();
    assert_eq!(client.read_response().text(), "good");
    assert_eq!(good.requests().len(), 1, "it was asked once");
}

#[test]
fn what_must_not_be_repeated_is_asked_once() {
    let go = Event::new();
    let told = go.clone();
    let late = Origin::start(move |_| Reply::wait_for(&told).then(Reply::ok("late")));
    let second = Origin::start(|_| Reply::ok("second"));
    let proxy = before(&late, &second, "hedge = \"10ms\"");
    let mut post = Client::connect(proxy.address());
    post.send_request("POST", "/", &[], "");
    late.wait_for_requests(1, SOON);
    // Long after it was due for others: another request has been hedged meanwhile.
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "second");
    go.fire();
    assert_eq!(post.read_response().text(), "late");
    assert!(
        second
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}
