//! WebSocket over HTTP/2: extended CONNECT (RFC 8441) becomes the handshake of HTTP/1 at the
//! server, and the stream a tunnel.

use std::time::Duration;

use croupier_testkit::h2::{self, Grants, Head, code, setting};
use croupier_testkit::wire::{Direction, difference, pattern};
use croupier_testkit::{Origin, Proxy, Reply, wait_until};

use crate::prelude::{SOON, config_with, in_front_of, metric, start};

fn connect(proxy: &Proxy) -> h2::Client {
    let client = h2::Client::connect(proxy.address());
    assert_eq!(client.setting(setting::ENABLE_CONNECT_PROTOCOL), Some(1));
    client
}

#[test]
fn an_extended_connect_becomes_a_tunnel() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let head = Head::websocket("/chat?room=1").field("sec-websocket-protocol", "chat");
    let stream = client.open_with_body(&head);
    let answer = client.head(stream);
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.has("sec-websocket-accept"));
    assert!(!answer.headers.has("content-length"));
    let request = &origin.requests()[0];
    assert_eq!(
        (&*request.method, &*request.target),
        ("GET", "/chat?room=1")
    );
    assert!(request.headers.has_token("connection", "upgrade"));
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("host"), Some("example.test"));
    assert_eq!(request.header("origin"), Some("http://example.test"));
    assert_eq!(request.headers.all("sec-websocket-version"), ["13"]);
    assert_eq!(request.header("sec-websocket-protocol"), Some("chat"));
    let keys = request.headers.all("sec-websocket-key");
    assert!(
        keys.len() == 1 && keys[0].len() == 24 && keys[0].ends_with("=="),
        "{keys:?}"
    );
    assert!(
        !request
            .headers
            .names()
            .iter()
            .any(|name| name.starts_with(':'))
    );

    // What looks like HTTP is bytes now.
    let mut wanted = Vec::new();
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\0\r\n\r\n0\r\n\r\n",
        "x",
    ] {
        client.send_data(stream, text);
        wanted.extend(text.as_bytes());
        client.read_body(stream, wanted.len() as u64);
        assert_eq!(client.so_far(stream).body, wanted);
    }
    let body = pattern(2_000_000);
    for piece in body.chunks(50_000) {
        client.send_data(stream, piece);
        wanted.extend(piece);
        client.read_body(stream, wanted.len() as u64);
    }
    assert_eq!(difference(&client.so_far(stream).body, &wanted), None);
    client.finish(stream);
    assert!(client.answer(stream).is_complete);
    let line = proxy.wait_for_access(|line| line.contains("/chat"));
    assert!(line.contains("\"tunnel\":true"), "{line}");
    client.expect_alive();
}

#[test]
fn tunnels_and_exchanges_share_a_connection() {
    let origin = Origin::start(|request| match request.path() {
        "/socket" => Reply::switch_to_websocket().then(Reply::echo()),
        _ => Reply::ok(request.path()),
    });
    let proxy = start(&config_with(
        "metrics = \"127.0.0.1:0\"",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    let mut client = connect(&proxy);
    let tunnels: Vec<u32> = (0..10)
        .map(|_| client.open_with_body(&Head::websocket("/socket")))
        .collect();
    for tunnel in &tunnels {
        assert_eq!(client.head(*tunnel).status, 200);
    }
    assert!(wait_until(SOON, || metric(&proxy, "croupier_tunnels") == 10.0));
    for round in 1..=20 {
        for tunnel in &tunnels {
            client.send_data(*tunnel, format!("{:04}", tunnel * round));
        }
        assert_eq!(client.get("/page").text(), "/page");
        for tunnel in &tunnels {
            client.read_body(*tunnel, u64::from(round) * 4);
            let said = format!("{:04}", tunnel * round);
            assert!(client.so_far(*tunnel).text().ends_with(&said));
        }
    }
    for (number, tunnel) in tunnels.into_iter().enumerate() {
        if number % 2 == 0 {
            client.cancel(tunnel, code::CANCEL);
        } else {
            client.finish(tunnel);
            assert!(client.answer(tunnel).is_complete);
        }
    }
    assert!(wait_until(SOON, || metric(&proxy, "croupier_tunnels") == 0.0));
    assert_eq!(client.get("/page").text(), "/page");
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
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::websocket("/"));
    let answer = client.answer(stream);
    assert_eq!((answer.text().as_str(), answer.is_complete), ("bye", true));
    client.send_data(stream, "still here");
    let _ = client.try_send(&h2::Frame::data(stream, "still here"));
    origin.wait_for_connections(SOON, |all| {
        all[0]
            .transcript
            .bytes(Direction::In)
            .ends_with(b"still here")
    });
    client.finish(stream);
    origin.wait_for_connections(SOON, |all| all[0].ended.is_some());

    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::websocket("/"));
    assert_eq!(client.head(stream).status, 200);
    client.send_data(stream, "last words");
    client.finish(stream);
    let answer = client.answer(stream);
    assert_eq!(
        (answer.text().as_str(), answer.is_complete),
        ("last words", true)
    );
}

#[test]
fn what_a_client_sends_too_early_waits_for_the_101() {
    let agreed = croupier_testkit::Event::new();
    let told = agreed.clone();
    let origin = Origin::start(move |_| {
        Reply::wait_for(&told)
            .then(Reply::switch_to_websocket())
            .then(Reply::echo())
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::websocket("/"));
    client.send_data(stream, "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for_requests(1, SOON);
    client.idle(Duration::from_millis(50));
    let sent = origin.connections()[0].transcript.bytes(Direction::In);
    assert!(sent.ends_with(b"\r\n\r\n") && !sent.windows(6).any(|w| w == b"canary"));
    agreed.fire();
    client.read_body(stream, 33);
    assert_eq!(
        client.so_far(stream).text(),
        "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"
    );
}

#[test]
fn an_answer_instead_of_the_switch_is_an_answer() {
    let origin = Origin::start(|request| match request.path() {
        "/426" => Reply::ok("another version").status(426),
        "/200" => Reply::ok("no sockets here"),
        "/garbled" => Reply::empty(101),
        _ => Reply::ok(request.path()),
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    for (path, status) in [("/426", 426), ("/200", 502), ("/garbled", 502)] {
        let stream = client.open_with_body(&Head::websocket(path));
        client.send_data(stream, "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer(stream);
        // A 2xx would open a tunnel in the eyes of an HTTP/2 client: there is none.
        let is_refused = answer.reset.is_some() && answer.status == 0;
        assert!(
            answer.status == status || is_refused,
            "{path}: {}",
            answer.status
        );
        assert_eq!(client.get("/next").text(), "/next");
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|r| !r.target.contains("canary"))
    );
}

#[test]
fn other_protocols_and_malformed_asking_are_refused() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let asking = || Head::websocket("/");
    for (what, head) in [
        ("connect-udp", asking().with(":protocol", "connect-udp")),
        ("h2c", asking().with(":protocol", "h2c")),
        ("an empty protocol", asking().with(":protocol", "")),
        ("a GET with a protocol", asking().with(":method", "GET")),
        ("no path", asking().without(":path")),
        ("no scheme", asking().without(":scheme")),
        ("no authority", asking().without(":authority")),
        ("two protocols", asking().first(":protocol", "websocket")),
        ("a length", asking().field("content-length", "3")),
        ("an upgrade too", asking().field("upgrade", "websocket")),
        (
            "a plain CONNECT",
            Head(Vec::new())
                .field(":method", "CONNECT")
                .field(":authority", "a:80"),
        ),
        ("CONNECT as usual", Head::new("CONNECT", "/")),
    ] {
        let stream = client.open_with_body(&head);
        let answer = client.answer(stream);
        let is_refused = answer.is_refusal() || answer.status == 501;
        assert!(is_refused, "{what}: {}", answer.status);
    }
    assert_eq!(origin.requests().len(), 0, "{:?}", origin.requests());
    client.expect_alive();
}

#[test]
fn a_tunnel_whose_reader_stops_stops_its_writer() {
    let origin =
        Origin::start(|_| Reply::switch_to_websocket().then(Reply::bytes(vec![b'x'; 64 << 20])));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    client.grants(Grants::Connection);
    let stream = client.open_with_body(&Head::websocket("/"));
    client.read_body(stream, 65_535);
    let before = proxy.rss_bytes();
    client.idle(Duration::from_millis(500));
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes are held");
    client.grants(Grants::All).forget_bodies();
    client.grant(stream, 1 << 20);
    client.read_body(stream, 64 << 20);
}

#[test]
fn a_quiet_tunnel_ends_and_its_connection_does_not() {
    let origin = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let site = format!(
        "proxy = \"{}\"\ntimeout = {{ tunnel_idle = \"400ms\" }}",
        origin.address()
    );
    let proxy = start(&config_with("", &site));
    let mut client = connect(&proxy);
    let quiet = client.open_with_body(&Head::websocket("/"));
    let busy = client.open_with_body(&Head::websocket("/"));
    let mut count = 0;
    while !client.so_far(quiet).is_over() {
        count += 1;
        client.send_data(busy, "x");
        client.read_body(busy, count);
        assert!(count < 100_000, "the quiet tunnel lives on");
        client.idle(Duration::from_millis(20));
    }
    assert!(!client.so_far(busy).is_over());
    origin.wait_for_connections(SOON, |all| {
        all.iter().filter(|c| c.ended.is_some()).count() == 1
    });
    client.expect_alive();
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
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::websocket("/"));
    assert_eq!(client.head(stream).status, 200);
    client.cancel(stream, code::CANCEL);
    origin.wait_for_connections(SOON, |all| all[0].ended.is_some());

    let stream = client.open_with_body(&Head::websocket("/"));
    assert_eq!(client.head(stream).status, 200);
    drop(client);
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));

    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::websocket("/reset"));
    client.wait("the end", |client| client.so_far(stream).is_over());
    client.expect_alive();
}
