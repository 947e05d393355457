//! The end: what is under way is finished, nothing new begins, and the exit code tells.

use std::time::{Duration, Instant};

use croupier_testkit::{Connections, Event, Failure, Load, Signal, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config, config_with, start};

/// An origin whose answers wait for the event.
fn patient(go: &Event) -> Origin {
    let told = go.clone();
    Origin::start(move |request| match request.path() {
        "/socket" => Reply::switch_to_websocket().then(Reply::echo()),
        "/quick" => Reply::ok("quick"),
        _ => Reply::wait_for(&told).then(Reply::ok("finished")),
    })
}

fn behind(origin: &Origin, server: &str) -> Proxy {
    start(&config_with(
        server,
        &format!("proxy = \"{}\"", origin.address()),
    ))
}

#[test]
fn term_finishes_what_is_under_way_and_takes_nothing_new() {
    for signal in [Signal::Terminate, Signal::Interrupt, Signal::Quit] {
        let go = Event::new();
        let origin = patient(&go);
        let mut proxy = behind(&origin, "metrics = \"127.0.0.1:0\"");
        let mut busy = Client::connect(proxy.address());
        let mut idle = Client::connect(proxy.address());
        assert_eq!(idle.get("/quick").text(), "quick");
        let ready = |proxy: &Proxy| {
            Client::connect(proxy.metrics_address())
                .get("/readyz")
                .status
        };
        assert_eq!(ready(&proxy), 200);
        busy.send_request("GET", "/slow", &[], "");
        origin.wait_for_heads(2, SOON);
        proxy.signal(signal);
        proxy.wait_for_log(|line| line.contains("draining"));
        assert!(wait_until(SOON, || ready(&proxy) == 503));
        idle.expect_close(SOON);
        assert!(wait_until(SOON, || Client::try_connect(proxy.address()).is_err()));
        assert_eq!(
            Client::connect(proxy.metrics_address())
                .get("/healthz")
                .status,
            200
        );
        assert!(proxy.is_running());
        go.fire();
        let response = busy.read_response();
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "finished")
        );
        assert!(response.says_close());
        busy.expect_close(SOON);
        assert_eq!(proxy.wait_exit(SOON), 0, "{signal:?}");
        proxy.wait_for_access(|line| line.contains("/slow"));
        proxy.wait_for_log(|line| line.contains("stopped") && line.contains("connections_cut=0"));
    }
}

#[test]
fn an_idle_process_ends_at_once() {
    let mut proxy = start(&config("respond = \"x\""));
    let mut client = Client::connect(proxy.address());
    client.get("/");
    let began = Instant::now();
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 0);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_second_signal_cuts_what_is_left() {
    let origin = patient(&Event::new());
    for (first, second) in [
        (Signal::Terminate, Signal::Terminate),
        (Signal::Interrupt, Signal::Interrupt),
        (Signal::Quit, Signal::Terminate),
    ] {
        let mut proxy = behind(&origin, "");
        let mut client = Client::connect(proxy.address());
        let count = origin.requests().len();
        client.send_request("GET", "/slow", &[], "");
        origin.wait_for_heads(count + 1, SOON);
        proxy.signal(first);
        proxy.wait_for_log(|line| line.contains("draining"));
        assert!(proxy.is_running());
        proxy.signal(second);
        assert_eq!(proxy.wait_exit(SOON), 3, "{first:?} {second:?}");
        match client.try_read_response() {
            Err(Failure::Closed | Failure::Reset) => {}
            other => panic!("{other:?}"),
        }
        proxy.wait_for_log(|line| line.contains("connections_cut=1"));
    }
}

#[test]
fn grace_bounds_term_but_not_quit() {
    let go = Event::new();
    let origin = patient(&go);
    let mut proxy = behind(&origin, "shutdown_grace = \"300ms\"");
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/slow", &[], "");
    origin.wait_for_heads(1, SOON);
    let began = Instant::now();
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 3);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(3));

    let mut proxy = behind(&origin, "shutdown_grace = \"300ms\"");
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/slow", &[], "");
    origin.wait_for_heads(2, SOON);
    proxy.signal(Signal::Quit);
    client.expect_silence(Duration::from_millis(700));
    assert!(proxy.is_running());
    go.fire();
    assert_eq!(client.read_response().text(), "finished");
    assert_eq!(proxy.wait_exit(SOON), 0);
}

#[test]
fn grace_can_be_off() {
    let go = Event::new();
    let origin = patient(&go);
    let mut proxy = behind(&origin, "shutdown_grace = \"off\"");
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/slow", &[], "");
    origin.wait_for_heads(1, SOON);
    proxy.signal(Signal::Terminate);
    proxy.wait_for_log(|line| line.contains("draining"));
    go.fire();
    assert_eq!(client.read_response().text(), "finished");
    assert_eq!(proxy.wait_exit(SOON), 0);
}

#[test]
fn a_request_that_is_on_its_way_is_served() {
    let origin = patient(&Event::new());
    let mut proxy = behind(&origin, "workers = 1");
    // A head that has begun, an upload that has begun, and a connection without a word.
    let mut half = Client::connect(proxy.address());
    half.get("/quick");
    half.send("GET /quick HTTP/1.1\r\n");
    let mut upload = Client::connect(proxy.address());
    upload.send("POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    let mut fresh = Client::connect(proxy.address());
    origin.wait_for_heads(2, SOON);
    let mut pipeline = Client::connect(proxy.address());
    let request = "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n";
    pipeline.send(request);
    assert_eq!(pipeline.read_response_to("GET").status, 200);
    proxy.signal(Signal::Terminate);
    pipeline.expect_close(SOON); // the worker has heard of it
    fresh.send(request);
    half.send("Host: a\r\n\r\n");
    upload.send("def");
    for client in [&mut fresh, &mut half, &mut upload] {
        let response = client.read_response();
        assert_eq!((response.status, response.says_close()), (200, true));
        client.expect_close(SOON);
    }
    assert_eq!(
        origin
            .requests()
            .iter()
            .filter(|r| r.body == b"abcdef")
            .count(),
        1
    );
    assert_eq!(proxy.wait_exit(SOON), 0);
}

#[test]
fn a_connection_that_never_said_a_word_delays_nobody_for_long() {
    let mut proxy = start(&config("respond = \"x\""));
    let mut silent = Client::connect(proxy.address());
    // It has been accepted when a later one is served by each worker.
    for _ in 0..8 {
        Client::connect(proxy.address()).get("/");
    }
    let began = Instant::now();
    proxy.signal(Signal::Terminate);
    silent.expect_close(SOON);
    assert_eq!(proxy.wait_exit(SOON), 0);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_tunnel_is_cut_when_the_grace_is_over() {
    let origin = patient(&Event::new());
    let mut proxy = behind(&origin, "shutdown_grace = \"400ms\"");
    let mut tunnel = Client::connect(proxy.address());
    let headers = [("Connection", "upgrade"), ("Upgrade", "websocket")];
    assert_eq!(
        tunnel
            .send_request("GET", "/socket", &headers, "")
            .read_head()
            .status,
        101
    );
    proxy.signal(Signal::Terminate);
    proxy.wait_for_log(|line| line.contains("draining"));
    tunnel.send("still here");
    assert_eq!(tunnel.read_bytes(10), b"still here");
    assert_eq!(proxy.wait_exit(SOON), 3);
    tunnel.expect_close(SOON);
}

#[test]
fn under_load_nothing_that_was_accepted_is_lost() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let mut proxy = behind(&origin, "");
    let loads = [
        Load::start(proxy.address(), 2, Duration::ZERO, Connections::Kept),
        Load::start(proxy.address(), 2, Duration::ZERO, Connections::NewEachTime),
    ];
    for load in &loads {
        load.wait_for_good(50, SOON);
    }
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 0);
    for load in loads {
        let tally = load.stop();
        // A connection that is refused, or an idle one that ends as it is used, is no lost answer.
        let is_lost = |failure: &&String| {
            !failure.starts_with("connect:")
                && !failure.contains("send:")
                && !failure.ends_with(": Closed")
                && !failure.ends_with(": Reset")
        };
        let lost: Vec<_> = tally.failures.iter().filter(is_lost).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    let answered = origin.requests().len();
    let logged = || {
        proxy
            .access_log()
            .iter()
            .filter(|line| line.contains("\"status\":200"))
            .count()
    };
    assert!(
        wait_until(SOON, || logged() == answered),
        "{} of {answered}",
        logged()
    );
}

#[test]
fn a_signal_right_after_the_ready_line_is_heard() {
    for (signal, ends) in [
        (Signal::Terminate, true),
        (Signal::Quit, true),
        (Signal::Hangup, false),
        (Signal::User1, false),
        (Signal::User2, false),
    ] {
        for _ in 0..3 {
            let mut proxy = start(&config("respond = \"x\""));
            proxy.signal(signal);
            if ends {
                assert_eq!(proxy.wait_exit(SOON), 0, "{signal:?}");
            } else {
                let heard = ["config.reloaded", "logs.reopened", "signal.ignored"];
                proxy.wait_for_log(|line| heard.iter().any(|word| line.contains(word)));
                assert_eq!(Client::connect(proxy.address()).get("/").text(), "x");
            }
        }
    }
}
