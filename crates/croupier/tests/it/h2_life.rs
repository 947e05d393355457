//! HTTP/2 on the plain port: exchanges side by side on one connection, each as on HTTP/1.

use std::time::Duration;

use croupier_testkit::h2::{self, Grants, Head, PREFACE, code, setting};
use croupier_testkit::wire::{difference, pattern};
use croupier_testkit::{Event, Origin, Proxy, Reply, wait_until};

use crate::prelude::{Client, SOON, config_with, in_front_of, metric, start};

/// Answers with what it was asked: method, target, body.
fn echo() -> Origin {
    Origin::start(|request| {
        Reply::ok(format!(
            "{} {} {}",
            request.method,
            request.target,
            request.text()
        ))
    })
}

fn connect(proxy: &Proxy) -> h2::Client {
    h2::Client::connect(proxy.address())
}

#[test]
fn what_a_server_says_arrives_whatever_the_method() {
    let origin = Origin::start(|request| match request.path() {
        "/204" => Reply::empty(204),
        "/304" => Reply::empty(304).header("ETag", "\"x\""),
        "/empty" => Reply::ok(""),
        "/chunked" => Reply::empty(200).chunked(&["ab", "cd"]),
        "/close" => Reply::ok("until the end").close_delimited().and_close(),
        "/418" => Reply::ok("teapot").status(418).reason("I'm a teapot"),
        _ => Reply::ok(format!("{} {}", request.method, request.text())),
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    for (method, path, body, status, text) in [
        ("GET", "/", "", 200, "GET "),
        ("POST", "/", "a body", 200, "POST a body"),
        ("PUT", "/", "x", 200, "PUT x"),
        ("DELETE", "/", "", 200, "DELETE "),
        ("OPTIONS", "/", "", 200, "OPTIONS "),
        ("PROPFIND", "/", "q", 200, "PROPFIND q"),
        ("GET", "/204", "", 204, ""),
        ("GET", "/304", "", 304, ""),
        ("GET", "/empty", "", 200, ""),
        ("GET", "/chunked", "", 200, "abcd"),
        ("GET", "/close", "", 200, "until the end"),
        ("GET", "/418", "", 418, "teapot"),
        ("HEAD", "/418", "", 418, ""),
        ("HEAD", "/chunked", "", 200, ""),
    ] {
        let answer = client.request(&Head::new(method, path), body);
        let got = (answer.status, answer.text(), answer.is_complete);
        assert_eq!(got, (status, text.to_owned(), true), "{method} {path}");
    }
    let head = client.request(&Head::new("HEAD", "/418"), "");
    assert_eq!(head.header("content-length"), Some("6"));
    assert_eq!(
        client.request(&Head::get("/304"), "").header("etag"),
        Some("\"x\"")
    );
    // Lengths are known where the server knew them.
    assert_eq!(client.get("/").header("content-length"), Some("4"));
    assert_eq!(client.get("/chunked").header("content-length"), None);
    client.expect_alive();
}

#[test]
fn http_1_and_http_2_share_a_port_and_servers() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut two = connect(&proxy);
    let mut one = Client::connect(proxy.address());
    for _ in 0..3 {
        assert_eq!(two.get("/two").text(), "GET /two ");
        assert_eq!(one.get("/one").text(), "GET /one ");
    }
    let line = proxy.wait_for_access(|line| line.contains("/two"));
    assert!(line.contains("HTTP/2"), "{line}");
    let line = proxy.wait_for_access(|line| line.contains("/one"));
    assert!(line.contains("HTTP/1.1"), "{line}");
    assert!(origin.requests().iter().all(|r| r.version == "HTTP/1.1"));
}

#[test]
fn a_preface_may_come_in_pieces() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    for at in 1..PREFACE.len() {
        let mut client = h2::Client::bare(proxy.address());
        client.send_bytes(&PREFACE[..at]);
        // Lets the proxy see the first part alone; being late makes the case weaker only.
        std::thread::sleep(Duration::from_millis(1));
        client.send_bytes(&PREFACE[at..]);
        client.send(&h2::Frame::settings(&[]));
        assert_eq!(client.get("/").status, 200, "cut at {at}");
    }
    let mut client = h2::Client::bare(proxy.address());
    for byte in PREFACE {
        client.send_bytes([*byte]);
    }
    client.send(&h2::Frame::settings(&[]));
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn everything_may_come_in_one_segment() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut client = h2::Client::bare(proxy.address());
    let block = h2::Block::new().lines(Head::get("/first").0);
    client.opened(1, "GET");
    let head = h2::Frame::headers(1, block).end_stream();
    client.plain().greet_and(&[h2::Frame::settings(&[]), head]);
    assert_eq!(client.answer(1).text(), "GET /first ");
    assert_eq!(client.get("/second").text(), "GET /second ");
}

#[test]
fn the_proxy_says_its_limits() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let client = connect(&proxy);
    assert_eq!(client.setting(setting::MAX_CONCURRENT_STREAMS), Some(100));
    assert_eq!(
        client.setting(setting::INITIAL_WINDOW_SIZE),
        Some(256 << 10)
    );
    assert_eq!(client.setting(setting::ENABLE_CONNECT_PROTOCOL), Some(1));
    let list = client.setting(setting::MAX_HEADER_LIST_SIZE).unwrap();
    assert!((32 << 10..=64 << 10).contains(&list), "{list}");
    let frame = client.setting(setting::MAX_FRAME_SIZE).unwrap_or(16_384);
    assert!(frame <= 64 << 10, "{frame}");
    let table = client.setting(setting::HEADER_TABLE_SIZE).unwrap_or(4096);
    assert!(table <= 4096, "{table}");

    let limits = "[limits]\nh2_streams = 7\nh2_stream_window = \"64KiB\"\nh2_window = \"128KiB\"\n";
    let proxy = start(&format!(
        "{}{limits}",
        config_with("", &format!("proxy = \"{}\"", origin.address()))
    ));
    let mut client = connect(&proxy);
    assert_eq!(client.setting(setting::MAX_CONCURRENT_STREAMS), Some(7));
    assert_eq!(client.setting(setting::INITIAL_WINDOW_SIZE), Some(64 << 10));
    client.wait("the connection's window", |c| c.window(0) == 128 << 10);
}

#[test]
fn answers_come_in_the_order_in_which_servers_give_them() {
    let events: Vec<Event> = (0..20).map(|_| Event::new()).collect();
    let told = events.clone();
    let origin = Origin::start(move |request| {
        let number: usize = request.path()[1..].parse().unwrap();
        Reply::wait_for(&told[number]).then(Reply::ok(request.path()))
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let streams: Vec<u32> = (0..20)
        .map(|number| client.open(&Head::get(format!("/{number}"))))
        .collect();
    origin.wait_for_heads(20, SOON);
    for number in (0..20).rev() {
        events[number].fire();
        let answer = client.answer(streams[number]);
        assert_eq!(answer.text(), format!("/{number}"));
        let early: Vec<_> = (0..number)
            .filter(|n| client.so_far(streams[*n]).status != 0)
            .collect();
        assert!(early.is_empty(), "{early:?} were not fired yet");
    }
}

#[test]
fn one_connection_carries_thousands_of_exchanges() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = start(&config_with(
        "metrics = \"127.0.0.1:0\"",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    let mut client = connect(&proxy);
    for round in 0..60 {
        let streams: Vec<(u32, String)> = (0..50)
            .map(|number| {
                let path = format!("/{round}/{number}");
                (client.open(&Head::get(&path)), path)
            })
            .collect();
        for (stream, path) in streams {
            let answer = client.answer(stream);
            assert_eq!((answer.status, answer.text()), (200, path));
        }
    }
    // What 50 at a time need, and not a connection each.
    assert!(
        origin.connections().len() <= 100,
        "{}",
        origin.connections().len()
    );
    assert!(wait_until(SOON, || {
        metric(&proxy, "http_server_active_requests") == 0.0
    }));
    let lines = || proxy.access_log().len();
    assert!(wait_until(SOON, || lines() == 3000), "{}", lines());
}

#[test]
fn bodies_of_many_streams_do_not_mix() {
    let origin = Origin::start(|request| {
        let mut body = request.path().as_bytes().to_vec();
        body.extend(&request.body);
        Reply::ok(body)
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let body = pattern(700_000);
    let streams: Vec<u32> = (0..8)
        .map(|number| client.open_with_body(&Head::post(format!("/{number}"))))
        .collect();
    for piece in body.chunks(10_000) {
        for stream in &streams {
            assert_eq!(client.send_data(*stream, piece), piece.len());
        }
    }
    for stream in &streams {
        client.finish(*stream);
    }
    for (number, stream) in streams.iter().enumerate() {
        let answer = client.answer(*stream);
        let wanted = [format!("/{number}").as_bytes(), &body].concat();
        assert_eq!(difference(&answer.body, &wanted), None, "stream {stream}");
    }
}

#[test]
fn one_stream_too_many_is_refused_and_may_come_again() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/held" => Reply::wait_for(&told).then(Reply::ok("held")),
        _ => Reply::ok("free"),
    });
    let proxy = start(&format!(
        "{}[limits]\nh2_streams = 10\n",
        config_with("", &format!("proxy = \"{}\"", origin.address()))
    ));
    let mut client = connect(&proxy);
    let held: Vec<u32> = (0..10).map(|_| client.open(&Head::get("/held"))).collect();
    origin.wait_for_heads(10, SOON);
    let refused = client.open(&Head::get("/free"));
    client.expect_reset(refused, &[code::REFUSED_STREAM]);
    assert_eq!(origin.requests().len(), 10);
    go.fire();
    for stream in held {
        assert_eq!(client.answer(stream).text(), "held");
    }
    assert_eq!(client.get("/free").text(), "free");
}

#[test]
fn answers_of_our_own_come_on_their_streams() {
    let proxy = start(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [site.\"a.test\"]\nroutes = [\n\
         { path = \"/respond\", respond = \"hello\" },\n\
         { path = \"/deny\", deny = 403 },\n\
         { path = \"/redirect\", redirect = \"https://b.test/\" }]\n\
         proxy = \"127.0.0.1:1\"\n",
    );
    let mut client = connect(&proxy);
    for (authority, path, status) in [
        ("a.test", "/respond", 200),
        ("a.test", "/deny", 403),
        ("a.test", "/redirect", 302),
        ("a.test", "/nobody-is-there", 502),
        ("elsewhere.test", "/", 404),
    ] {
        for body in ["", "some body"] {
            let head = Head::post(path).with(":authority", authority);
            let answer = client.request(&head, body);
            let got = answer.status;
            let is_near = got / 100 == status / 100 && [302, 502].contains(&status);
            assert!(got == status || is_near, "{path}: {got}");
            assert!(answer.is_complete, "{path}");
        }
    }
    client.expect_alive();
}

#[test]
fn a_slow_stream_holds_up_no_other() {
    let body = pattern(3 << 20);
    let large = body.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/large" => Reply::ok(&large),
        _ => Reply::ok("small"),
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    client.grants(Grants::Connection);
    let slow: Vec<u32> = (0..5).map(|_| client.open(&Head::get("/large"))).collect();
    for stream in &slow {
        client.read_body(*stream, 65_535);
    }
    for _ in 0..50 {
        assert_eq!(client.get("/small").text(), "small");
    }
    client.grants(Grants::All);
    for stream in slow {
        client.grant(stream, 1 << 20);
        assert_eq!(difference(&client.answer(stream).body, &body), None);
    }
}

#[test]
fn what_is_no_preface_is_refused() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    for bytes in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\nHost: a\r\n\r\nSM\r\n\r\n",
        "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PRI * HTTP/1.1\r\nHost: a\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    ] {
        let mut client = Client::connect(proxy.address()).patience(SOON);
        let _ = client.try_send(bytes);
        match client.try_read_response() {
            Ok(answer) => {
                assert!(
                    (400..600).contains(&answer.status),
                    "{bytes:?}: {}",
                    answer.status
                );
                assert!(answer.says_close());
                client.expect_close(SOON);
            }
            Err(failure) => assert!(
                !matches!(failure, croupier_testkit::Failure::TimedOut),
                "{bytes:?}: {failure:?}"
            ),
        }
    }
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_client_that_stops_in_its_preface_is_closed() {
    let proxy = start(&format!(
        "{}[timeouts]\nclient_head = \"500ms\"\nclient_idle = \"500ms\"\n",
        config_with("", "respond = \"x\"")
    ));
    for length in [1, 3, 10, 14, 18, 23, 24] {
        let mut client = h2::Client::bare(proxy.address());
        client.send_bytes(&PREFACE[..length]);
        client.expect_close(SOON);
    }
}

#[test]
fn a_client_that_leaves_leaves_nothing_behind() {
    let origin = Origin::start(|_| Reply::stall());
    let proxy = start(&config_with(
        "metrics = \"127.0.0.1:0\"",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    for round in 1..=5 {
        let mut client = connect(&proxy);
        for _ in 0..20 {
            client.open(&Head::get("/"));
        }
        origin.wait_for_heads(round * 20, SOON);
        if round % 2 == 0 {
            client.abort();
        }
    }
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    assert!(wait_until(SOON, || {
        metric(&proxy, "http_server_active_requests") == 0.0
    }));
    assert!(wait_until(SOON, || metric(&proxy, "croupier_connections") == 0.0));
}
