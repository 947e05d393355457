//! What has gone stale is better than nothing, where its origin and its route allow that
//! (RFC 5861).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use croupier_testkit::{Event, Origin, Proxy, Reply, wait_until};

use crate::{
    prelude::{Client, SOON, start},
    shelf::{ask, did, is_hit, keeping, keeping_with, shelf_config},
};

/// A reply that was stale by 40 seconds when it came, and says this besides.
fn stale(body: &str, more: &str) -> Reply {
    Reply::ok(body)
        .header("Cache-Control", &format!("max-age=60{more}"))
        .header("Age", "100")
        .header("ETag", "\"one\"")
}

/// An origin whose first answer is `first`, and whose others are `others`.
fn first_and(first: Reply, others: Reply) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => first.clone(),
        _ => others.clone(),
    })
}

fn without_retries(origin: &Origin, cache: &str) -> Proxy {
    start(&shelf_config(origin, "", cache, "retry = false"))
}

#[test]
fn a_stale_answer_is_given_at_once_while_it_is_asked_for_anew() {
    for (line, cache) in [
        (", stale-while-revalidate=3600", ""),
        ("", "stale_while_revalidate = \"1h\""),
    ] {
        let go = Event::new();
        let gate = go.clone();
        let count = AtomicUsize::new(0);
        let origin = Origin::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => stale("old", line),
            _ => Reply::wait_for(&gate)
                .then(Reply::ok("new").header("Cache-Control", "max-age=3600")),
        });
        let proxy = keeping_with(&origin, "workers = 2", cache);
        ask(&proxy, "/a", &[]);
        // The origin says nothing, and nobody waits for it.
        for _ in 0..20 {
            let response = ask(&proxy, "/a", &[]);
            assert_eq!(response.text(), "old");
            assert!(is_hit(&response), "{}", did(&response));
            assert!(did(&response).contains("ttl=-"), "{}", did(&response));
        }
        let requests = origin.wait_for_requests(2, SOON);
        assert_eq!(requests[1].header("if-none-match"), Some("\"one\""));
        go.fire();
        let is_new = wait_until(SOON, || ask(&proxy, "/a", &[]).text() == "new");
        assert!(is_new);
        assert!(is_hit(&ask(&proxy, "/a", &[])));
        assert_eq!(origin.requests().len(), 2);
    }
}

#[test]
fn the_word_that_it_still_holds_may_come_in_the_background() {
    let origin = first_and(
        stale("kept", ", stale-while-revalidate=3600"),
        Reply::empty(304).header("Cache-Control", "max-age=3600"),
    );
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    assert_eq!(ask(&proxy, "/a", &[]).text(), "kept");
    let is_fresh = wait_until(SOON, || !did(&ask(&proxy, "/a", &[])).contains("ttl=-"));
    assert!(is_fresh);
    assert_eq!(ask(&proxy, "/a", &[]).text(), "kept");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_background_request_that_fails_leaves_what_is_held() {
    let origin = first_and(
        stale("kept", ", stale-while-revalidate=3600"),
        Reply::bytes("garbage\r\n\r\n").and_close(),
    );
    let proxy = without_retries(&origin, "");
    ask(&proxy, "/a", &[]);
    for asked in 2..5 {
        assert_eq!(ask(&proxy, "/a", &[]).text(), "kept");
        origin.wait_for_requests(asked, SOON);
        // The next one may ask again as soon as this one is over.
        let over = |line: &str| line.contains("origin.");
        let _ = wait_until(SOON, || proxy.log_lines().iter().any(|line| over(line)));
    }
}

#[test]
fn a_stale_answer_stands_in_for_every_kind_of_error() {
    let errors: [(&str, Reply); 7] = [
        ("500", Reply::empty(500)),
        ("502", Reply::empty(502)),
        ("503", Reply::ok("down for maintenance").status(503)),
        ("504", Reply::empty(504)),
        ("no head", Reply::close()),
        ("a reset", Reply::reset()),
        ("garbage", Reply::bytes("garbage\r\n\r\n").and_close()),
    ];
    for (name, error) in errors {
        let origin = first_and(stale("kept", ", stale-if-error=3600"), error);
        let proxy = without_retries(&origin, "");
        ask(&proxy, "/a", &[]);
        for _ in 0..3 {
            let response = ask(&proxy, "/a", &[]);
            assert_eq!(
                (response.status, &*response.text()),
                (200, "kept"),
                "{name}"
            );
            assert!(did(&response).contains("ttl=-"), "{}", did(&response));
        }
        // What else is wrong is the client's to know.
        let origin = first_and(stale("kept", ""), Reply::empty(404));
        let proxy = keeping(&origin);
        ask(&proxy, "/a", &[]);
        assert_eq!(ask(&proxy, "/a", &[]).status, 404);
    }
}

#[test]
fn what_is_held_outlives_its_server() {
    let origin = Origin::start(|request| match request.path() {
        "/stale" => stale("stale", ""),
        _ => Reply::ok("fresh").header("Cache-Control", "max-age=3600"),
    });
    let proxy = keeping(&origin);
    ask(&proxy, "/stale", &[]);
    ask(&proxy, "/fresh", &[]);
    origin.stop();
    for _ in 0..5 {
        assert_eq!(ask(&proxy, "/stale", &[]).text(), "stale");
        assert_eq!(ask(&proxy, "/fresh", &[]).text(), "fresh");
    }
    assert!(ask(&proxy, "/never", &[]).status >= 500);
    let head = Client::connect(proxy.address()).request("HEAD", "/stale", &[], "");
    assert_eq!(head.header("content-length"), Some("5"));
}

#[test]
fn who_forbids_stale_answers_gets_none() {
    for line in [
        ", must-revalidate",
        ", proxy-revalidate",
        ", s-maxage=1",
        ", no-cache, stale-if-error=3600",
        ", must-revalidate, stale-if-error=3600, stale-while-revalidate=3600",
    ] {
        let origin = first_and(stale("kept", line), Reply::empty(503));
        let proxy = without_retries(&origin, "stale_while_revalidate = \"1h\"");
        ask(&proxy, "/a", &[]);
        let response = ask(&proxy, "/a", &[]);
        assert_eq!(response.status, 503, "{line}: {}", did(&response));
    }
    // The route says how long, and the client may say that it wants none.
    let origin = first_and(stale("kept", ""), Reply::empty(503));
    let proxy = without_retries(&origin, "stale_if_error = \"0s\"");
    ask(&proxy, "/a", &[]);
    assert_eq!(ask(&proxy, "/a", &[]).status, 503);
}

#[test]
fn a_thousand_requests_for_a_stale_answer_are_one_in_the_background() {
    let go = Event::new();
    let gate = go.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => stale("old", ", stale-while-revalidate=3600"),
        _ => Reply::wait_for(&gate).then(Reply::ok("new").header("Cache-Control", "max-age=60")),
    });
    let proxy = keeping_with(&origin, "workers = 2", "");
    ask(&proxy, "/a", &[]);
    let mut client = Client::connect(proxy.address());
    for _ in 0..1000 {
        assert_eq!(client.get("/a").text(), "old");
    }
    assert_eq!(origin.wait_for_requests(2, SOON).len(), 2);
    go.fire();
    assert!(wait_until(SOON, || client.get("/a").text() == "new"));
    assert_eq!(origin.requests().len(), 2);
}
