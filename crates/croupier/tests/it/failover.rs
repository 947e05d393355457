//! A server dies, and nobody outside notices: who is asked next, and what is never asked twice.

use std::time::{Duration, Instant};

use croupier_testkit::{BlackHole, Connections, Event, Load, closed_address, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config, config_with, metric, start};

/// One worker, so that turns can be counted, and metrics.
fn in_front_of_all(servers: &[String]) -> Proxy {
    let list: Vec<_> = servers
        .iter()
        .map(|server| format!("\"{server}\""))
        .collect();
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\
         [pool.app]\nbalance = \"round-robin\"\nservers = [{}]\n[site.\"*\"]\npool = \"app\"\n",
        list.join(", ")
    ))
}

fn failures(proxy: &Proxy, server: &str) -> f64 {
    metric(
        proxy,
        &format!("croupier_server_failures_total{{pool=\"app\",server=\"{server}\"}}"),
    )
}

fn is_up(proxy: &Proxy, server: &str) -> bool {
    metric(
        proxy,
        &format!("croupier_server_up{{pool=\"app\",server=\"{server}\"}}"),
    ) == 1.0
}

#[test]
fn a_server_that_refuses_costs_no_request() {
    let dead = closed_address().to_string();
    let origin =
        Origin::start(|request| Reply::ok(format!("{} {}", request.method, request.text())));
    let proxy = in_front_of_all(&[dead.clone(), origin.address().to_string()]);
    for number in 0..40 {
        // A new client each time: no connection of ours hides the dead server.
        let mut client = Client::connect(proxy.address());
        let method = ["GET", "POST", "PUT", "DELETE"][number % 4];
        let body = if method == "POST" { "payload" } else { "" };
        let response = client.request(method, "/", &[], body);
        assert_eq!(response.text(), format!("{method} {body}"));
    }
    assert_eq!(origin.requests().len(), 40);
    assert!(!is_up(&proxy, &dead));
    let tried = failures(&proxy, &dead);
    assert!(
        (1.0..=4.0).contains(&tried),
        "the dead server was tried {tried} times"
    );
    assert_eq!(
        metric(&proxy, "croupier_server_retries_total{pool=\"app\"}"),
        tried
    );
    let line = proxy.wait_for_access(|line| line.contains("\"retries\":1"));
    assert!(line.contains("\"status\":200"), "{line}");
    proxy.wait_for_log(|line| {
        line.contains("to=ejected reason=origin.connect.refused") && line.contains(&dead)
    });
}

#[test]
fn a_body_that_was_not_sent_goes_elsewhere_whole() {
    let dead = closed_address().to_string();
    let hole = BlackHole::open();
    let origin = Origin::start(|request| Reply::ok(request.body_length.to_string()));
    let proxy = start(&config(&format!(
        "proxy = [\"{dead}\", \"{}\", \"{}\"]\ntimeout = {{ connect = \"300ms\" }}",
        hole.address(),
        origin.address()
    )));
    for _ in 0..3 {
        let mut client = Client::connect(proxy.address());
        let response = client.request("POST", "/", &[], vec![b'x'; 1_000_000]);
        assert_eq!(response.text(), "1000000");
    }
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn servers_that_die_under_load_cost_no_get() {
    let a = Origin::start(|request| Reply::ok(request.path()));
    let b = Origin::start(|request| Reply::ok(request.path()));
    let proxy = start(&config(&format!(
        "proxy = [\"{}\", \"{}\"]",
        a.address(),
        b.address()
    )));
    let kept = Load::start(
        proxy.address(),
        3,
        Duration::from_millis(1),
        Connections::Kept,
    );
    let new = Load::start(
        proxy.address(),
        1,
        Duration::from_millis(2),
        Connections::NewEachTime,
    );
    for _ in 0..3 {
        for origin in [&a, &b] {
            kept.wait_for_good(60, SOON);
            origin.stop();
            kept.wait_for_good(60, SOON);
            origin.restart();
            // The other one is stopped only when this one is back at work.
            let count = origin.requests().len();
            let is_back = wait_until(SOON, || origin.requests().len() > count + 3);
            assert!(is_back, "a server that is back gets no requests");
        }
    }
    for load in [kept, new] {
        let tally = load.stop();
        assert!(tally.failures.is_empty(), "{:?}", tally.failures);
        assert!(tally.percentile(1.0) < Duration::from_secs(2));
    }
}

#[test]
fn idle_connections_that_a_server_closed_cost_nothing() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = in_front_of_all(&[origin.address().to_string()]);
    let mut client = Client::connect(proxy.address());
    for number in 0..30 {
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(client.request(method, "/", &[], "").status, 200, "{number}");
        assert!(origin.kill_idle_connections() > 0);
    }
    assert_eq!(origin.requests().len(), 30, "something was sent twice");
}

#[test]
fn a_reused_connection_that_dies_on_the_request_is_replaced_for_get_and_only_for_get() {
    let origin = Origin::start(|request| {
        if request.number > 0 {
            Reply::close()
        } else {
            Reply::ok("fresh")
        }
    });
    let proxy = in_front_of_all(&[origin.address().to_string()]);
    let mut client = Client::connect(proxy.address());
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), "fresh");
    }
    assert!(is_up(&proxy, &origin.address().to_string()));
    let before = origin.requests().len();
    let response = client.request("POST", "/", &[], "");
    assert_eq!(response.status, 502);
    assert_eq!(
        origin.requests().len(),
        before + 1,
        "the POST was sent twice"
    );
    let line = proxy.wait_for_access(|line| line.contains("POST"));
    assert!(line.contains("\"no_retry\":\"method\""), "{line}");
    // A body that is kept goes again with its PUT; one that is too large to be kept does not.
    assert_eq!(client.get("/").text(), "fresh");
    let response = client.request("PUT", "/", &[], "body");
    assert_eq!(response.text(), "fresh");
    assert_eq!(origin.requests().last().unwrap().text(), "body");
    let before = origin.requests().len();
    let response = client.request("PUT", "/", &[], "x".repeat(100_000));
    assert_eq!(response.status, 502);
    assert_eq!(origin.requests().len(), before + 1);
    proxy.wait_for_access(|line| line.contains("\"no_retry\":\"body>cap\""));
}

#[test]
fn a_server_that_closes_after_every_answer_without_saying_so_costs_no_get() {
    let origin = Origin::start(|request| Reply::ok(request.path()).and_close());
    let proxy = in_front_of_all(&[origin.address().to_string()]);
    let mut client = Client::connect(proxy.address());
    for number in 0..100 {
        let path = format!("/{number}");
        assert_eq!(client.get(&path).text(), path);
    }
    for number in 0..50 {
        let path = format!("/post/{number}");
        let response = client.request("POST", &path, &[], "x");
        // It may meet the end of its connection; then it is told so and not sent again.
        assert!([200, 502].contains(&response.status));
        let seen = origin
            .requests()
            .iter()
            .filter(|r| r.path() == path)
            .count();
        assert!(seen <= 1, "{path} was sent {seen} times");
    }
}

#[test]
fn a_request_that_may_have_arrived_is_repeated_only_when_that_is_harmless() {
    for how in [Reply::close(), Reply::reset()] {
        let told = how.clone();
        let bad = Origin::start(move |_| told.clone());
        let good = Origin::start(|_| Reply::ok("good"));
        let proxy = in_front_of_all(&[bad.address().to_string(), good.address().to_string()]);
        // Turns: the first request goes to the bad one.
        let response = Client::connect(proxy.address()).request("POST", "/", &[], "pay");
        assert_eq!(response.status, 502);
        assert_eq!((bad.requests().len(), good.requests().len()), (1, 0));
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(Client::connect(proxy.address()).get("/").status);
        }
        assert_eq!(statuses, [200; 10]);
        assert!(bad.requests().len() > 1, "the bad one was not asked again");
    }
}

#[test]
fn a_server_that_accepts_and_dies_is_left_alone_soon() {
    let bad = Origin::builder()
        .at_connect(|_| Reply::reset())
        .start(|_| Reply::ok("never"));
    let good = Origin::start(|_| Reply::ok("good"));
    let proxy = in_front_of_all(&[bad.address().to_string(), good.address().to_string()]);
    let began = Instant::now();
    for _ in 0..200 {
        let mut client = Client::connect(proxy.address());
        assert_eq!(client.get("/").text(), "good");
    }
    // Three in a row put it aside; then one probe a pause, and pauses grow.
    let probes = 1 + began.elapsed().as_secs() as usize;
    let connects = bad.connections().len();
    assert!(
        connects <= 3 + probes,
        "{connects} connections to a dead server"
    );
    assert!(!is_up(&proxy, &bad.address().to_string()));
}

#[test]
fn a_server_that_talks_garbage_is_left_alone_soon() {
    let bad = Origin::start(|_| Reply::bytes("\x16\x03\x01\x02\r\n\r\n").and_close());
    let good = Origin::start(|_| Reply::ok("good"));
    let proxy = in_front_of_all(&[bad.address().to_string(), good.address().to_string()]);
    for _ in 0..40 {
        assert_eq!(Client::connect(proxy.address()).get("/").text(), "good");
    }
    let asked = bad.requests().len();
    assert!((1..=5).contains(&asked), "it was asked {asked} times");
    // Nobody knows what it did with a POST.
    let response = in_front_of_all(&[bad.address().to_string()]);
    let response = Client::connect(response.address()).request("POST", "/", &[], "");
    assert_eq!(response.status, 502);
    assert!(response.text().contains("origin.head.malformed"));
}

#[test]
fn weights_are_kept_exactly_and_nobody_gets_all_his_turns_in_a_row() {
    let origins: Vec<_> = (0..3).map(|_| Origin::start(|_| Reply::ok("x"))).collect();
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
         [pool.app]\nbalance = \"round-robin\"\nservers = [{{ address = \"{}\", weight = 5 }}, \"{}\", {{ address = \"{}\", weight = 2 }}]\n\
         [site.\"*\"]\npool = \"app\"\n",
        origins[0].address(),
        origins[1].address(),
        origins[2].address()
    ));
    let mut client = Client::connect(proxy.address());
    let mut run = (0, 0);
    for _ in 0..80 {
        let before = origins[0].requests().len();
        client.get("/");
        let to_first = origins[0].requests().len() > before;
        run.0 = if to_first { run.0 + 1 } else { 0 };
        run.1 = run.1.max(run.0);
    }
    let counts: Vec<_> = origins
        .iter()
        .map(|origin| origin.requests().len())
        .collect();
    assert_eq!(counts, [50, 10, 20]);
    assert!(run.1 <= 3, "{} turns in a row", run.1);
}

#[test]
fn when_all_are_down_the_client_hears_it_at_once_and_of_the_first_that_is_back() {
    let origins: Vec<_> = (0..2).map(|_| Origin::start(|_| Reply::ok("x"))).collect();
    let addresses: Vec<_> = origins.iter().map(|o| o.address().to_string()).collect();
    let proxy = in_front_of_all(&addresses);
    assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    for origin in &origins {
        origin.stop();
    }
    let mut client = Client::connect(proxy.address());
    for _ in 0..20 {
        let began = Instant::now();
        let response = client.get("/");
        assert!([502, 503].contains(&response.status), "{}", response.text());
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    assert!(addresses.iter().all(|address| !is_up(&proxy, address)));
    origins[1].restart();
    let back = wait_until(SOON, || client.get("/").status == 200);
    assert!(back, "the server that came back is not used");
    origins[0].restart();
    let count = origins[0].requests().len();
    let back = wait_until(SOON, || {
        client.get("/").status == 200 && origins[0].requests().len() > count
    });
    assert!(back, "the other server that came back is not used");
    assert!(wait_until(SOON, || addresses
        .iter()
        .all(|address| is_up(&proxy, address))));
}

#[test]
fn a_pool_of_one_tells_what_is_wrong_with_it() {
    let origin = Origin::start(|_| Reply::close());
    let proxy = in_front_of_all(&[origin.address().to_string()]);
    for method in ["GET", "POST"] {
        let response = Client::connect(proxy.address()).request(method, "/", &[], "");
        assert_eq!(response.status, 502, "{method}");
        assert!(
            response.text().contains("origin.closed"),
            "{}",
            response.text()
        );
    }
    origin.stop();
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!(response.status, 502);
    assert!(
        response.text().contains("origin.connect.refused"),
        "{}",
        response.text()
    );
}

#[test]
fn a_name_that_stands_for_nothing_is_not_asked() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of_all(&[
        "no-such-host.invalid:80".into(),
        origin.address().to_string(),
    ]);
    for _ in 0..10 {
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    }
    assert!(!is_up(&proxy, "no-such-host.invalid:80"));
}

#[test]
fn nobody_waits_for_a_dead_server_that_swallows_connections() {
    let hole = BlackHole::open();
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = start(&format!(
        "{}\n[timeouts]\nconnect = \"400ms\"\n",
        config_with(
            "workers = 1",
            &format!("proxy = [\"{}\", \"{}\"]", hole.address(), origin.address())
        )
    ));
    let mut slow = 0;
    let all = Instant::now();
    for _ in 0..50 {
        let began = Instant::now();
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
        slow += usize::from(began.elapsed() > Duration::from_millis(350));
    }
    let probes = 1 + all.elapsed().as_secs() as usize;
    assert!(slow <= probes, "{slow} of 50 requests waited");
}

#[test]
fn a_client_that_waits_hears_the_answer_of_the_second_attempt_only() {
    let go = Event::new();
    let told = go.clone();
    let bad = Origin::start(move |_| {
        Reply::interim(103)
            .header("Link", "</first>")
            .then(Reply::wait_for(&told))
            .then(Reply::close())
    });
    let good = Origin::start(|_| Reply::ok("second"));
    let proxy = in_front_of_all(&[bad.address().to_string(), good.address().to_string()]);
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/", &[], "");
    bad.wait_for_requests(1, SOON);
    go.fire();
    let response = client.read_response();
    assert_eq!((response.status, response.text().as_str()), (200, "second"));
    assert_eq!(good.requests().len(), 1);
}
