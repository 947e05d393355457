//! WebSocket: a tunnel only after the server's `101`, then bytes both ways until both have stopped.

use std::time::{Duration, Instant};

use croupier_testkit::wire::{Direction, difference, pattern};
use croupier_testkit::{Event, Response, wait_until};

use crate::prelude::{Client, Origin, Reply, SOON, config_with, in_front_of, metric, start};

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "WebSocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn upgrade(client: &mut Client) -> Response {
    client
        .send_request("GET", "/socket", &UPGRADE, "")
        .read_head()
}

#[test]
fn bytes_flow_both_ways_after_the_switch() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    let response = upgrade(&mut client);
    assert_eq!(response.status, 101);
    assert!(response.headers.has_token("connection", "upgrade"));
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert!(response.headers.has("sec-websocket-accept"));
    let request = &origin.requests()[0];
    assert!(request.headers.has_token("connection", "upgrade"));
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(
        request.header("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    // What looks like HTTP is bytes now.
    for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\0\r\n\r\n0\r\n\r\n"] {
        client.send(text);
        assert_eq!(client.read_bytes(text.len()), text.as_bytes());
    }
    let body = pattern(3_000_000);
    for piece in body.chunks(50_000) {
        client.send(piece);
        assert_eq!(difference(&client.read_bytes(piece.len()), piece), None);
    }
    client.shutdown_write().expect_close(SOON);
    let line = proxy.wait_for_access(|line| line.contains("\"status\":101"));
    assert!(line.contains("\"tunnel\":true"), "{line}");
    assert!(line.contains("\"bytes_out\":3000037"), "{line}");
}

#[test]
fn what_a_client_sends_too_early_waits_for_the_101() {
    let agreed = Event::new();
    let told = agreed.clone();
    let origin = Origin::start(move |_| {
        Reply::wait_for(&told)
            .then(Reply::switch_to_websocket())
            .then(Reply::echo())
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly",
    );
    origin.wait_for_requests(1, SOON);
    client.expect_silence(Duration::from_millis(30));
    let sent = origin.connections()[0].transcript.bytes(Direction::In);
    assert!(sent.ends_with(b"\r\n\r\n"), "bytes left before the switch");
    agreed.fire();
    assert_eq!(client.read_head().status, 101);
    assert_eq!(client.read_bytes(5), b"early");
}

#[test]
fn a_server_may_speak_first_and_in_the_same_breath() {
    let origin = Origin::start(|_| {
        Reply::bytes(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        )
        .then(Reply::echo())
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    assert_eq!(upgrade(&mut client).status, 101);
    assert_eq!(client.read_bytes(5), b"hello");
}

#[test]
fn either_side_may_stop_sending_first() {
    let origin = Origin::start(|_| {
        Reply::switch_to_websocket()
            .then(Reply::bytes("bye"))
            .then(Reply::half_close())
            .then(Reply::stall())
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    upgrade(&mut client);
    assert_eq!(client.read_until_close(), b"bye");
    client.send("still here");
    origin.wait_for_connections(SOON, |all| {
        let bytes = all[0].transcript.bytes(Direction::In);
        bytes.ends_with(b"still here")
    });
    client.shutdown_write();
    origin.wait_for_connections(SOON, |all| all[0].ended.is_some());

    let done = Event::new();
    let told = done.clone();
    let origin = Origin::start(move |_| {
        Reply::switch_to_websocket()
            .then(Reply::bytes("a"))
            .then(Reply::fire(&told))
            .then(Reply::echo())
            .then(Reply::bytes("never"))
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    upgrade(&mut client);
    client.send("last words").shutdown_write();
    assert_eq!(client.read_until_close(), b"alast words");
    assert!(done.is_fired());
}

#[test]
fn an_answer_instead_of_the_switch_is_an_answer() {
    let origin = Origin::start(|_| Reply::ok("no sockets here"));
    let proxy = in_front_of(&origin);
    for _ in 0..2 {
        let mut client = Client::connect(proxy.address());
        let response = client.request("GET", "/socket", &UPGRADE, "");
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "no sockets here")
        );
        assert!(!response.headers.has("upgrade"));
        // What comes behind it was meant for the tunnel.
        assert!(response.says_close());
        client.expect_close(SOON);
    }
}

#[test]
fn bytes_behind_a_refused_upgrade_are_never_a_request() {
    let origin = Origin::start(|request| Reply::ok(request.path()).status(426));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\
         GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let response = client.read_response_to("GET");
    assert_eq!((response.status, response.text().as_str()), (426, "/1"));
    client.expect_close(SOON);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn other_upgrades_are_not_passed_on() {
    let origin = Origin::start(|_| Reply::ok("plain"));
    let proxy = in_front_of(&origin);
    for protocol in ["h2c", "TLS/1.0", "websocket-or-so"] {
        let headers = [
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", protocol),
            ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ];
        let response = Client::connect(proxy.address()).request("GET", "/", &headers, "");
        assert_eq!(response.text(), "plain", "{protocol}");
    }
    for request in origin.requests() {
        assert!(!request.headers.has("upgrade") && !request.headers.has("http2-settings"));
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_refused() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::bytes("owned")));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    let response = client.get("/");
    assert_eq!(response.status, 502);
    assert!(response.text().contains("origin.switch"));
    let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    assert_eq!(connections.len(), 1);
}

#[test]
fn a_quiet_tunnel_ends_and_a_busy_one_does_not() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let site = format!(
        "proxy = \"{}\"\ntimeout = {{ tunnel_idle = \"400ms\" }}",
        origin.address()
    );
    let proxy = start(&config_with("metrics = \"127.0.0.1:0\"", &site));
    let mut quiet = Client::connect(proxy.address());
    let mut busy = Client::connect(proxy.address());
    upgrade(&mut quiet);
    upgrade(&mut busy);
    assert!(wait_until(SOON, || metric(&proxy, "croupier_tunnels") == 2.0));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1200) {
        busy.send("x");
        assert_eq!(busy.read_bytes(1), b"x");
    }
    quiet.expect_close(Duration::from_millis(1));
    busy.expect_close(SOON);
    assert!(began.elapsed() >= Duration::from_millis(1600));
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    assert!(wait_until(SOON, || metric(&proxy, "croupier_tunnels") == 0.0));
}

#[test]
fn an_end_that_fails_takes_the_other_with_it() {
    let origin = Origin::start(|request| {
        let switch = Reply::switch_to_websocket();
        match request.path() {
            "/reset" => switch.then(Reply::bytes("x")).and_reset(),
            _ => switch.then(Reply::echo()),
        }
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    upgrade(&mut client);
    client.reset();
    origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/reset", &UPGRADE, "");
    match client.try_read_response() {
        Ok(response) => {
            assert_eq!(response.status, 101);
            let left = Instant::now();
            while client.try_send("x").is_ok() && left.elapsed() < SOON {
                std::thread::yield_now();
            }
            assert!(left.elapsed() < SOON, "the tunnel lives on with one end");
        }
        Err(failure) => assert_eq!(failure, croupier_testkit::Failure::Reset),
    }
}

#[test]
fn a_tunnel_whose_reader_stops_stops_its_writer() {
    let origin =
        Origin::start(|_| Reply::switch_to_websocket().then(Reply::bytes(vec![b'x'; 64 << 20])));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    upgrade(&mut client);
    let before = proxy.rss_bytes();
    client.read_bytes(8 << 20);
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes are held");
    client.read_bytes(56 << 20);
}

#[test]
fn the_pools_own_time_ends_a_tunnel_that_rests() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [pool.app]\nservers = [\"{}\"]\ntimeout = {{ tunnel_idle = \"300ms\" }}\n\
         [site.\"*\"]\npool = \"app\"\n",
        origin.address()
    ));
    let mut client = Client::connect(proxy.address());
    assert_eq!(upgrade(&mut client).status, 101);
    client.expect_close(SOON);
}
