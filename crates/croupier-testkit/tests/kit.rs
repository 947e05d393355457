//! The kit against itself: its client talks to its origin, its proxy starts a stand-in.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use croupier_testkit::wire::{difference, pattern};
use croupier_testkit::{
    BlackHole, Client, Connections, End, Ended, Event, Failure, Framing, Load, Origin, Proxy,
    Reply, Signal, closed_address, send_split_at_every_offset, wait_until,
};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn an_origin_answers_and_remembers() {
    let origin = Origin::start(|request| {
        Reply::ok(format!("{} {}", request.path(), request.text())).header("X-Number", "1")
    });
    let mut client = Client::connect(origin.address());
    let response = client.get("/a?b");
    assert_eq!((response.status, response.text().as_str()), (200, "/a "));
    assert_eq!(response.header("x-number"), Some("1"));
    let response = client.request("POST", "/up", &[("X-Case", "Kept")], "body");
    assert_eq!(response.text(), "/up body");

    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[1].connection, requests[1].number), (0, 1));
    assert_eq!(
        requests[1].headers.names(),
        ["Host", "X-Case", "Content-Length"]
    );
    assert_eq!(requests[1].framing, Framing::Length(4));
    assert_eq!(origin.connections().len(), 1);
    assert_eq!(origin.open_connections(), 1);
    client.close();
    let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    assert_eq!(connections[0].ended.unwrap().1, Ended::ByPeer);
    assert!(origin.transcript().contains("POST /up HTTP/1.1"));
}

#[test]
fn bodies_come_in_every_framing() {
    let origin = Origin::start(|request| match request.path() {
        "/chunks" => Reply::empty(200)
            .chunked(&["one", "two"])
            .trailer("X-Sum", "6"),
        "/close" => Reply::ok("until the end").close_delimited(),
        "/none" => Reply::empty(204),
        "/old" => Reply::ok("old").http10(),
        "/by-hand" => Reply::head(200)
            .length(10)
            .then(Reply::bytes("hello"))
            .then(Reply::wait(Duration::from_millis(5)))
            .then(Reply::bytes("world")),
        _ => Reply::ok(pattern(300_000)).slowly(64 * 1024, Duration::ZERO),
    });
    let mut client = Client::connect(origin.address());
    let chunks = client.get("/chunks");
    assert_eq!(
        (chunks.text().as_str(), chunks.trailers.get("x-sum")),
        ("onetwo", Some("6"))
    );
    assert_eq!(client.get("/none").framing, Framing::None);
    assert_eq!(client.get("/by-hand").text(), "helloworld");
    let head = client.request("HEAD", "/by-hand-not", &[], "");
    assert_eq!(
        (head.body.len(), head.header("content-length")),
        (0, Some("300000"))
    );
    assert_eq!(
        difference(&client.get("/large").body, &pattern(300_000)),
        None
    );
    let close = client.get("/close");
    assert_eq!(
        (close.framing, close.text().as_str()),
        (Framing::UntilClose, "until the end")
    );
    client.expect_close(SOON);
    let old = Client::connect(origin.address()).get("/old");
    assert_eq!(
        (old.version.as_str(), old.text().as_str()),
        ("HTTP/1.0", "old")
    );
}

#[test]
fn an_origin_misbehaves_as_told() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/cut" => Reply::ok("0123456789").cut_at(45),
        "/reset" => Reply::reset(),
        "/half" => Reply::ok("0123456789").cut_at(45).then(Reply::reset()),
        "/close" => Reply::close(),
        "/garbage" => Reply::bytes("\x16\x03\x01 no HTTP\r\n\r\n").and_close(),
        "/stall" => Reply::stall(),
        "/event" => Reply::wait_for(&told).then(Reply::ok("at last")),
        "/hints" => Reply::interim(103)
            .header("Link", "</a>")
            .then(Reply::ok("x")),
        _ => Reply::ok("and then closed").header("Connection", "close"),
    });
    let ask = |path: &str| {
        let mut client = Client::connect(origin.address()).patience(SOON);
        client.send_request("GET", path, &[], "");
        client.try_read_response()
    };
    assert_eq!(ask("/cut").unwrap().end, End::Cut);
    assert_eq!(ask("/reset"), Err(Failure::Reset));
    assert_eq!(ask("/close"), Err(Failure::Closed));
    assert!(matches!(ask("/garbage"), Err(Failure::Malformed(_))));
    let hints = ask("/hints").unwrap();
    assert_eq!((hints.interim[0].status, hints.text().as_str()), (103, "x"));
    assert!(ask("/").unwrap().says_close());

    let mut silent = Client::connect(origin.address()).patience(Duration::from_millis(50));
    silent
        .send_request("GET", "/stall", &[], "")
        .expect_silence(Duration::from_millis(20));
    assert_eq!(silent.try_read_response(), Err(Failure::TimedOut));

    let mut patient = Client::connect(origin.address());
    patient
        .send_request("GET", "/event", &[], "")
        .expect_silence(Duration::from_millis(20));
    go.fire();
    assert_eq!(patient.read_response().text(), "at last");
}

#[test]
fn an_origin_can_act_before_it_has_the_body() {
    let origin = Origin::builder()
        .at_head(|request| match request.path() {
            "/early" => Some(Reply::empty(413).and_close()),
            "/slow" => Some(
                Reply::read_body_slowly(1000, Duration::from_millis(1)).then(Reply::ok("slow")),
            ),
            "/both" => Some(Reply::ok("answered first").then(Reply::read_body())),
            _ => None,
        })
        .start(|request| Reply::ok(request.text()));
    let mut client = Client::connect(origin.address());
    client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    assert_eq!(client.read_response().status, 413);
    client.expect_close(SOON);
    assert!(!origin.wait_for_heads(1, SOON)[0].complete);

    let mut client = Client::connect(origin.address());
    assert_eq!(
        client.request("POST", "/slow", &[], pattern(10_000)).text(),
        "slow"
    );
    client.send("POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    assert_eq!(client.read_response().text(), "answered first");
    client.send("cde");
    assert_eq!(client.get("/next").status, 200);
    assert_eq!(origin.requests()[2].text(), "abcde");

    client.send("POST /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    client.send("ok");
    let response = client.read_response();
    assert_eq!(
        (response.interim[0].status, response.text().as_str()),
        (100, "ok")
    );
}

#[test]
fn an_origin_acts_on_connect() {
    let origin = Origin::builder()
        .at_connect(|id| {
            if id == 0 {
                Reply::reset()
            } else {
                Reply::wait(Duration::ZERO)
            }
        })
        .start(|_| Reply::ok("second"));
    let mut first = Client::connect(origin.address());
    let _ = first.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.try_read_response(), Err(Failure::Reset));
    assert_eq!(Client::connect(origin.address()).get("/").text(), "second");
}

#[test]
fn an_origin_tunnels() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let mut client = Client::connect(origin.address());
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    assert_eq!(client.request("GET", "/socket", &upgrade, "").status, 101);
    client.send("anything \r\n at all");
    assert_eq!(client.read_bytes(18), b"anything \r\n at all");
    client.shutdown_write().expect_close(SOON);
    assert!(origin.violations().is_empty());
}

#[test]
fn what_is_not_canonical_is_a_violation() {
    let origin = Origin::start(|_| Reply::ok(""));
    Client::connect(origin.address()).send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    origin.wait_for_requests(1, SOON);
    let mut smuggler = Client::connect(origin.address());
    smuggler.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert_eq!(smuggler.read_response().status, 400);
    smuggler.expect_close(SOON);
    let mut pipeliner = Client::connect(origin.address());
    pipeliner.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    pipeliner.read_response();
    let found: Vec<String> = origin.violations().into_iter().map(|v| v.what).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("Host") && found[1].contains("framing in doubt"));
    assert!(found[2].contains("no answer yet"));
}

#[test]
#[should_panic(expected = "sent what it should not be")]
fn violations_that_nobody_reads_fail_the_test() {
    let origin = Origin::start(|_| Reply::ok(""));
    let mut client = Client::connect(origin.address());
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: 5\r\n\r\n")
        .read_response();
}

#[test]
fn an_origin_stops_and_comes_back_at_its_port() {
    let origin = Origin::start(|_| Reply::ok("here"));
    let mut client = Client::connect(origin.address());
    assert_eq!(client.get("/").text(), "here");
    origin.stop();
    client.expect_close(SOON);
    assert!(Client::try_connect(origin.address()).is_err());
    origin.restart();
    let mut client = Client::connect(origin.address());
    assert_eq!(client.get("/").text(), "here");
    assert_eq!(origin.kill_idle_connections(), 1);
    client.expect_close(SOON);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn an_origin_listens_on_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("croupier-kit-{}.sock", std::process::id()));
    let origin = Origin::start_unix(&path, |_| Reply::ok("unix"));
    assert_eq!(Client::connect_unix(&path).get("/").text(), "unix");
    drop(origin);
    assert!(!path.exists());
}

#[test]
fn a_client_cuts_a_request_everywhere() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let mut checked = 0;
    send_split_at_every_offset(origin.address(), bytes, |offset, outcome| {
        checked += 1;
        assert_eq!(
            outcome.map(|r| r.text()),
            Ok("abc".to_owned()),
            "cut at {offset}"
        );
    });
    assert_eq!(checked, bytes.len() - 1);
    let mut slow = Client::connect(origin.address());
    slow.send_slowly(bytes, Duration::from_micros(100));
    assert_eq!(slow.read_response().text(), "abc");
}

#[test]
fn a_peer_that_leaves_ends_a_wait() {
    let never = Event::new();
    let origin = Origin::start(move |_| Reply::wait_for(&never));
    let mut client = Client::connect(origin.address());
    client.send_request("GET", "/", &[], "");
    origin.wait_for_requests(1, SOON);
    let left = Instant::now();
    client.close();
    let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    assert_eq!(connections[0].ended.unwrap().1, Ended::Cut);
    assert!(left.elapsed() < Duration::from_secs(1));
}

#[test]
fn addresses_where_nobody_answers() {
    assert!(Client::try_connect(closed_address()).is_err());
    let hole = BlackHole::open();
    let started = Instant::now();
    let socket = std::net::TcpStream::connect_timeout(&hole.address(), Duration::from_millis(100));
    assert_eq!(socket.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_load_counts_good_and_bad() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    for connections in [Connections::Kept, Connections::NewEachTime] {
        let load = Load::start(origin.address(), 2, Duration::ZERO, connections);
        load.wait_for_good(20, SOON);
        let tally = load.stop();
        assert!(
            tally.failures.is_empty() && tally.good >= 20,
            "{:?}",
            tally.failures
        );
        assert!(tally.percentile(0.99) >= tally.percentile(0.5));
    }
    let load = Load::start(
        closed_address(),
        1,
        Duration::from_millis(1),
        Connections::Kept,
    );
    assert!(wait_until(SOON, || true));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!load.stop().failures.is_empty());
}

/// A stand-in for the binary: a shell script that keeps its contract. It waits by `wait`: a signal
/// that comes while dash runs a program in front is lost now and then.
fn stand_in(name: &str, script: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("croupier-kit-{}-{name}", std::process::id()));
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_proxy_becomes_ready_reloads_and_ends() {
    let binary = stand_in(
        "whole",
        r#"
trap 'echo "info reload done config=$(cat $3)" >&2' HUP
trap 'echo bye >&2; exit 7' TERM
echo "2026-11-23T12:00:00Z info ready listen=127.0.0.1:4001 listen=0.0.0.0:4002 metrics=127.0.0.1:4003" >&2
echo '{"status":200,"path":"/"}'
while :; do sleep 0.1 & wait $!; done
"#,
    );
    let mut proxy = Proxy::with_binary(&binary)
        .file("certs/a.pem", "x")
        .start("one = 1");
    assert_eq!(proxy.address().to_string(), "127.0.0.1:4001");
    assert_eq!(proxy.addresses()[1].to_string(), "127.0.0.1:4002");
    assert_eq!(proxy.metrics_address().port(), 4003);
    assert!(proxy.directory().join("certs/a.pem").exists());
    proxy.wait_for_access(|line| line.contains("200"));
    assert!(proxy.reload("two = 2").contains("config=two = 2"));
    assert!(proxy.rss_bytes() > 0 && proxy.fd_count() > 2 && proxy.thread_count() == 1);
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 7);
    proxy.wait_for_log(|line| line == "bye");
    let directory = proxy.directory().to_owned();
    drop(proxy);
    assert!(!directory.exists());
    std::fs::remove_file(binary).unwrap();
}

#[test]
fn a_refused_configuration_gives_its_exit() {
    let binary = stand_in("refusing", "echo \"error in $3\" >&2; echo out; exit 2");
    let exit = Proxy::with_binary(&binary).start_in_vain("bad");
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(2), "out"));
    assert!(exit.stderr.contains("croupier.toml"));
    std::fs::remove_file(binary).unwrap();
}

#[test]
#[should_panic(expected = "did not become ready")]
fn a_proxy_that_dies_early_is_told_at_once() {
    let binary = stand_in("dying", "echo 'error: no' >&2; rm $0; exit 1");
    let _ = Proxy::with_binary(binary).start("");
}
