//! A request is asked again elsewhere when that is safe, never when it is not, and never so often
//! that it does harm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use croupier_testkit::{
    Event, closed_address, wait_until,
    wire::{difference, json_value, pattern},
};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric, start};

/// One worker, servers in turn, metrics; `pool` are more lines of the pool, `site` of the site.
fn config_of(servers: &[&Origin], pool: &str, site: &str) -> String {
    let servers: Vec<_> = servers
        .iter()
        .map(|server| format!("\"{}\"", server.address()))
        .collect();
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\
         [pool.app]\nbalance = \"round-robin\"\nservers = [{}]\n{pool}\n\
         [site.\"*\"]\npool = \"app\"\n{site}\n",
        servers.join(", ")
    )
}

fn dealing_to(servers: &[&Origin], pool: &str) -> Proxy {
    start(&config_of(servers, pool, ""))
}

/// Traffic puts nobody aside, so that every request finds the same servers.
const KEPT: &str = "eject = false\n";

fn refused(proxy: &Proxy, reason: &str) -> f64 {
    metric(
        proxy,
        &format!("croupier_retries_refused_total{{reason=\"{reason}\"}}"),
    )
}

/// Ways in which a server gives no good answer.
fn misdeeds() -> Vec<(&'static str, Reply)> {
    vec![
        ("close", Reply::close()),
        ("reset", Reply::reset()),
        (
            "garbage",
            Reply::bytes("\x16\x03\x01 garbage\r\n\r\n").and_close(),
        ),
        (
            "half a head",
            Reply::bytes("HTTP/1.1 200 OK\r\nConte").and_close(),
        ),
        (
            "two lengths",
            Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc")
                .and_close(),
        ),
        ("silence", Reply::stall()),
        ("502", Reply::ok("bad").status(502)),
        ("503", Reply::ok("bad").status(503)),
        ("504", Reply::ok("bad").status(504)),
    ]
}

#[test]
fn whatever_a_server_does_wrong_safe_requests_get_their_answer_from_another() {
    for (name, misdeed) in misdeeds() {
        let bad = Origin::start(move |_| misdeed.clone());
        let good =
            Origin::start(|request| Reply::ok(format!("{} {}", request.method, request.text())));
        let pool = format!("{KEPT}retry = {{ try_timeout = \"200ms\" }}");
        let proxy = dealing_to(&[&bad, &good], &pool);
        for method in ["GET", "PUT", "DELETE", "QUERY"] {
            // Turns: of two requests in a row, one goes to the bad server first.
            for _ in 0..2 {
                let mut client = Client::connect(proxy.address());
                let headers = [("Content-Type", "text/plain")];
                let response = client.request(method, "/", &headers, "the body");
                assert_eq!(response.text(), format!("{method} the body"), "{name}");
                assert_eq!(response.status, 200, "{name} {method}");
                assert_eq!(client.get("/").status, 200, "{name} {method}");
            }
        }
        assert!(
            bad.requests().len() >= 4,
            "{name}: the bad one was not asked"
        );
        let bodies = bad.requests();
        let asked = bodies.iter().find(|request| request.method == "PUT");
        assert!(
            asked.is_none_or(|request| request.text() == "the body"),
            "{name}"
        );
        let line = proxy.wait_for_access(|line| line.contains("\"retries\":1"));
        assert!(!line.contains("\"fault\""), "{name}: {line}");
        assert!(line.contains(&good.address().to_string()), "{name}: {line}");
    }
}

#[test]
fn a_post_is_asked_once_unless_somebody_says_that_it_is_safe() {
    for (name, misdeed) in misdeeds() {
        let bad = Origin::start(move |_| misdeed.clone());
        let good = Origin::start(|_| Reply::ok("good"));
        let retry = "try_timeout = \"200ms\"";
        let site = format!(
            "routes = [{{ path = \"/safe\", pool = \"app\", retry = {{ idempotent = true, {retry} }} }}]\n\
             retry = {{ {retry} }}"
        );
        let proxy = start(&config_of(&[&bad, &good], KEPT, &site));
        let mut answers = Vec::new();
        for _ in 0..2 {
            let mut client = Client::connect(proxy.address());
            answers.push(client.request("POST", "/", &[], "pay").status);
        }
        assert_eq!(bad.requests().len() + good.requests().len(), 2, "{name}");
        assert_eq!(
            answers.iter().filter(|status| **status == 200).count(),
            1,
            "{name}"
        );
        proxy.wait_for_access(|line| line.contains("\"no_retry\":\"method\""));
        let counted = wait_until(SOON, || refused(&proxy, "method") == 1.0);
        assert!(counted, "{name}");
        for (path, headers) in [("/", &[("Idempotency-Key", "\"k1\"")][..]), ("/safe", &[])] {
            for _ in 0..2 {
                let mut client = Client::connect(proxy.address());
                let response = client.request("POST", path, headers, "pay");
                assert_eq!(response.text(), "good", "{name} {path}");
            }
        }
        let bodies: Vec<_> = good
            .requests()
            .iter()
            .map(|request| request.text())
            .collect();
        assert!(
            bodies.iter().all(|body| body == "pay"),
            "{name}: {bodies:?}"
        );
    }
}

#[test]
fn a_server_that_is_not_there_costs_no_request_of_any_method() {
    let good = Origin::start(|request| Reply::ok(request.text()));
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
         [pool.app]\nbalance = \"round-robin\"\nservers = [\"{}\", \"{}\"]\neject = false\n\
         retry = {{ max = 0 }}\n[site.\"*\"]\npool = \"app\"\n",
        closed_address(),
        good.address()
    ));
    for method in ["POST", "PATCH", "GET", "DELETE"] {
        for _ in 0..3 {
            let mut client = Client::connect(proxy.address());
            assert_eq!(client.request(method, "/", &[], "body").text(), "body");
        }
    }
}

#[test]
fn a_large_body_is_repeated_from_its_file_byte_by_byte() {
    let bad = Origin::start(|_| Reply::close());
    let good = Origin::start(|request| Reply::ok(request.body_length.to_string()));
    let pool = format!("{KEPT}retry = {{ body = \"16KiB\", body_file = \"8MiB\" }}");
    let proxy = dealing_to(&[&bad, &good], &pool);
    let body = pattern(5 << 20);
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address());
        let response = client.request("PUT", "/", &[], &body);
        assert_eq!(response.text(), body.len().to_string());
    }
    assert_eq!(bad.requests().len(), 1);
    for request in good.requests() {
        assert_eq!(difference(&request.body, &body), None);
    }
    // Beyond both bounds it goes once.
    let body = pattern(9 << 20);
    let mut statuses: Vec<_> = (0..2)
        .map(|_| {
            Client::connect(proxy.address())
                .request("PUT", "/", &[], &body)
                .status
        })
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
    let line = proxy.wait_for_access(|line| line.contains("\"no_retry\":\"body>cap\""));
    assert!(line.contains("\"status\":502"), "{line}");
    assert!(wait_until(SOON, || refused(&proxy, "body>cap") == 1.0));
    assert_eq!(
        difference(&good.requests().last().unwrap().body, &body),
        None
    );
}

#[test]
fn chunks_and_their_trailers_are_repeated() {
    let bad = Origin::start(|_| Reply::reset());
    let good = Origin::start(|request| {
        Reply::ok(format!(
            "{} {:?}",
            request.text(),
            request.trailers.get("X-Sum")
        ))
    });
    for retry in [
        "body = \"64KiB\"",
        "body = \"0\", body_file = \"1MiB\"",
        "body = \"3B\", body_file = \"1MiB\"",
    ] {
        let proxy = dealing_to(&[&bad, &good], &format!("{KEPT}retry = {{ {retry} }}"));
        for _ in 0..2 {
            let mut client = Client::connect(proxy.address());
            client.send(
                "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                 5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX-Sum: 42\r\n\r\n",
            );
            let response = client.read_response();
            assert!(
                response.text().starts_with("hello world"),
                "{}",
                response.text()
            );
            let seen = good.requests().last().unwrap().clone();
            assert_eq!(seen.trailers.get("X-Sum"), Some("42"), "{retry}");
        }
    }
    assert!(!bad.requests().is_empty());
}

#[test]
fn a_body_that_is_still_arriving_goes_on_at_the_next_server() {
    // The first server dies with a part of the body; the client sends the rest later.
    let bad = Origin::builder()
        .at_head(|_| Some(Reply::close()))
        .start(|_| Reply::close());
    let good = Origin::start(|request| Reply::ok(request.text()));
    let proxy = dealing_to(&[&bad, &good], KEPT);
    for _ in 0..2 {
        let asked = good.requests().len();
        let mut client = Client::connect(proxy.address());
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst");
        good.wait_for_heads(asked + 1, SOON);
        client.send(" last");
        assert_eq!(client.read_response().text(), "first last");
    }
    assert_eq!(bad.requests().len(), 1);
}

#[test]
fn a_client_that_expects_to_continue_is_told_once() {
    // It says to continue, takes the body, and dies.
    let bad = Origin::start(|_| Reply::close());
    let good = Origin::start(|request| Reply::ok(request.text()));
    let proxy = dealing_to(&[&bad, &good], KEPT);
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address());
        client
            .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(client.read_bytes(25), b"HTTP/1.1 100 Continue\r\n\r\n");
        client.send("body");
        let response = client.read_response();
        assert_eq!((response.status, response.text().as_str()), (200, "body"));
        assert!(response.interim.is_empty(), "told twice");
    }
    assert_eq!(bad.requests().len(), 1);
    // One that dies before it says so is replaced before the body comes.
    let bad = Origin::builder()
        .at_head(|_| Some(Reply::close()))
        .start(|_| Reply::close());
    let proxy = dealing_to(&[&bad, &good], KEPT);
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address());
        client
            .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(client.read_bytes(25), b"HTTP/1.1 100 Continue\r\n\r\n");
        client.send("body");
        assert_eq!(client.read_response().text(), "body");
    }
}

#[test]
fn hints_of_two_servers_do_not_both_reach_the_client() {
    let hint = |link: &str| Reply::interim(103).header("Link", link);
    let (first, second) = (hint("</a>"), hint("</b>"));
    let bad = Origin::start(move |_| first.clone().then(Reply::close()));
    let good = Origin::start(move |_| second.clone().then(Reply::ok("x")));
    let proxy = dealing_to(&[&bad, &good], KEPT);
    for _ in 0..2 {
        let response = Client::connect(proxy.address()).get("/");
        assert_eq!((response.status, response.interim.len()), (200, 1));
    }
    assert_eq!(bad.requests().len(), 1);
}

#[test]
fn what_is_not_to_be_repeated_is_not() {
    for (retry, misdeed, no_retry) in [
        ("false", Reply::close(), "off"),
        ("{ on = [\"connect\", \"503\"] }", Reply::close(), "on"),
        ("{ max = 0 }", Reply::close(), "attempts"),
        ("{ max = 0 }", Reply::empty(503), "attempts"),
        ("false", Reply::empty(503), ""),
        ("{ on = [\"closed\"] }", Reply::empty(503), ""),
        ("true", Reply::empty(429), ""),
        ("true", Reply::empty(500), ""),
    ] {
        let told = misdeed.clone();
        let bad = Origin::start(move |_| told.clone());
        let good = Origin::start(|_| Reply::ok("good"));
        let proxy = dealing_to(&[&bad, &good], &format!("{KEPT}retry = {retry}"));
        let statuses: Vec<_> = (0..2)
            .map(|_| Client::connect(proxy.address()).get("/").status)
            .collect();
        let bad_ones = statuses.iter().filter(|status| **status != 200).count();
        assert_eq!(bad_ones, 1, "{retry} {misdeed:?}: {statuses:?}");
        let line = proxy.wait_for_access(|line| !line.contains("\"status\":200"));
        assert!(line.contains("\"retries\":0"), "{retry}: {line}");
        let said = json_value(&line, "no_retry").unwrap_or_default();
        assert_eq!(said, no_retry, "{retry}: {line}");
        if !no_retry.is_empty() {
            assert!(
                wait_until(SOON, || refused(&proxy, no_retry) == 1.0),
                "{retry}"
            );
        }
    }
}

#[test]
fn attempts_are_as_many_as_the_route_allows() {
    let origins: Vec<_> = (0..6).map(|_| Origin::start(|_| Reply::close())).collect();
    let servers: Vec<_> = origins.iter().collect();
    let site = "routes = [{ path = \"/five\", pool = \"app\", retry = { max = 4 } },\n\
                { path = \"/none\", pool = \"app\", retry = false }]\nretry = { max = 1 }";
    let proxy = start(&config_of(&servers, KEPT, site));
    let asked = || {
        origins
            .iter()
            .map(|origin| origin.requests().len())
            .sum::<usize>()
    };
    for (path, attempts) in [("/", 2), ("/five", 5), ("/none", 1)] {
        let before = asked();
        assert_eq!(Client::connect(proxy.address()).get(path).status, 502);
        assert_eq!(asked() - before, attempts, "{path}");
        // Nobody was asked twice.
    }
    let most = origins.iter().map(|origin| origin.requests().len()).max();
    assert!(most <= Some(2), "{most:?}");
}

#[test]
fn an_idle_connection_that_died_is_replaced_whatever_is_configured() {
    let origin = Origin::start(|request| {
        if request.number > 0 {
            Reply::close()
        } else {
            Reply::ok("fresh")
        }
    });
    let proxy = dealing_to(&[&origin], "retry = false");
    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "fresh");
    }
}

#[test]
fn overload_is_passed_on_and_not_multiplied() {
    for (status, pool) in [(503, KEPT), (503, ""), (429, KEPT)] {
        let answer = Reply::ok("later").status(status).header("Retry-After", "7");
        let origins: Vec<_> = (0..3)
            .map(|_| {
                let answer = answer.clone();
                Origin::start(move |_| answer.clone())
            })
            .collect();
        let servers: Vec<_> = origins.iter().collect();
        let proxy = dealing_to(&servers, pool);
        let mut client = Client::connect(proxy.address());
        for _ in 0..30 {
            let response = client.get("/");
            assert_eq!(
                (response.status, response.text().as_str()),
                (status, "later")
            );
            assert_eq!(response.header("Retry-After"), Some("7"));
        }
        let asked: usize = origins.iter().map(|origin| origin.requests().len()).sum();
        assert!(
            (30..=33).contains(&asked),
            "{status}: {asked} for 30 requests"
        );
    }
}

#[test]
fn one_overloaded_server_is_hidden_by_the_others() {
    let busy = Origin::start(|_| Reply::empty(503));
    let good = [(); 2].map(|()| Origin::start(|_| Reply::ok("good")));
    let proxy = dealing_to(&[&busy, &good[0], &good[1]], "");
    let mut client = Client::connect(proxy.address());
    for _ in 0..40 {
        assert_eq!(client.get("/").text(), "good");
    }
    let asked = busy.requests().len();
    assert!(
        (5..=7).contains(&asked),
        "put aside after five, asked {asked} times"
    );
}

/// Many requests at once to servers that all fail: what is sent again is a share of them.
#[test]
fn failing_servers_are_not_asked_many_times_over() {
    let (open, held) = (Event::new(), Arc::new(AtomicUsize::new(0)));
    let origins: Vec<_> = (0..3)
        .map(|_| {
            let (open, held) = (open.clone(), Arc::clone(&held));
            Origin::start(move |_| {
                held.fetch_add(1, Ordering::SeqCst);
                // All are under way before the first one fails.
                Reply::wait_for(&open).then(Reply::close())
            })
        })
        .collect();
    let servers: Vec<_> = origins.iter().collect();
    let pool = format!("{KEPT}retry = {{ max = 2, budget = \"20%\", budget_floor = 2 }}");
    let proxy = dealing_to(&servers, &pool);
    const CLIENTS: usize = 60;
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = Client::connect(proxy.address());
            client.send_request("GET", "/", &[], "");
            client
        })
        .collect();
    assert!(wait_until(SOON, || held.load(Ordering::SeqCst) == CLIENTS));
    open.fire();
    for client in &mut clients {
        assert_eq!(client.read_response().status, 502);
    }
    let asked: usize = origins.iter().map(|origin| origin.requests().len()).sum();
    // Retries in flight are a fifth; those that end make room for others while they do.
    assert!(asked > CLIENTS && asked < 2 * CLIENTS, "{asked}");
    proxy.wait_for_access(|line| line.contains("\"no_retry\":\"budget\""));
    let accounted = wait_until(SOON, || {
        let all =
            refused(&proxy, "budget") + refused(&proxy, "attempts") + refused(&proxy, "servers");
        all == CLIENTS as f64
    });
    assert!(accounted, "every client's last failure has a reason");
    assert!(refused(&proxy, "budget") >= 1.0);
}

#[test]
fn retries_in_flight_never_exceed_the_budget() {
    // Servers that fail at once the first time and hold whatever is asked again.
    let hold = Event::new();
    let (first, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let origins: Vec<_> = (0..2)
        .map(|_| {
            let (hold, first, again) = (hold.clone(), Arc::clone(&first), Arc::clone(&again));
            Origin::start(move |_| {
                if first.fetch_add(1, Ordering::SeqCst) < 30 {
                    Reply::close()
                } else {
                    again.fetch_add(1, Ordering::SeqCst);
                    Reply::wait_for(&hold).then(Reply::ok("good"))
                }
            })
        })
        .collect();
    let servers: Vec<_> = origins.iter().collect();
    let pool = format!("{KEPT}retry = {{ budget = \"10%\", budget_floor = 3 }}");
    let proxy = dealing_to(&servers, &pool);
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = Client::connect(proxy.address()).patience(Duration::from_secs(20));
        client.send_request("GET", "/", &[], "");
        clients.push(client);
    }
    let settled = wait_until(SOON, || refused(&proxy, "budget") > 0.0);
    assert!(settled);
    hold.fire();
    for mut client in clients {
        assert!([200, 502].contains(&client.read_response().status));
    }
}
