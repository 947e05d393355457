//! Bodies over HTTP/2: windows carry the pressure from one end to the other, cancelling is heard,
//! and a cut body never looks whole.

use std::time::Duration;

use croupier_testkit::h2::{self, Frame, Grants, Head, code, kind};
use croupier_testkit::wire::{difference, pattern};
use croupier_testkit::{Event, Framing, Origin, Proxy, Reply, wait_until};

use crate::prelude::{SOON, config_with, in_front_of, metric, start};

fn connect(proxy: &Proxy) -> h2::Client {
    h2::Client::connect(proxy.address())
}

/// Far more than sockets and windows can hold between them.
const LARGE: usize = 64 << 20;

/// What a proxy may hold of one stalled body, sockets of the system aside.
const HELD_MAX: u64 = 8 << 20;

#[test]
fn bodies_of_every_size_go_both_ways() {
    let origin = Origin::start(|request| Reply::ok(&request.body));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let edge = [16_383, 16_384, 16_385, 65_535, 65_536, 65_537];
    for size in [1, 2, 1000]
        .into_iter()
        .chain(edge)
        .chain([262_145, 3_000_000])
    {
        let body = pattern(size);
        let answer = client.request(&Head::post("/"), &body);
        assert_eq!(difference(&answer.body, &body), None, "{size}");
        assert_eq!(answer.header("content-length"), Some(&*size.to_string()));
    }
}

#[test]
fn a_length_that_was_said_stays_said_and_one_that_was_not_becomes_chunks() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    client.request(&Head::post("/said").field("content-length", "5"), "hello");
    client.request(&Head::post("/unsaid"), "hello");
    client.request(&Head::post("/none"), "");
    client.request(&Head::post("/zero").field("content-length", "0"), "");
    let stream = client.open_with_body(&Head::post("/late"));
    client.finish(stream);
    assert_eq!(client.answer(stream).status, 200);
    client.request(&Head::get("/get"), "a body all the same");
    let framing = |path: &str| {
        let requests = origin.requests();
        requests
            .into_iter()
            .find(|r| r.path() == path)
            .unwrap()
            .framing
    };
    assert_eq!(framing("/said"), Framing::Length(5));
    assert_eq!(framing("/unsaid"), Framing::Chunked);
    assert!(matches!(
        framing("/none"),
        Framing::None | Framing::Length(0)
    ));
    assert!(matches!(
        framing("/zero"),
        Framing::None | Framing::Length(0)
    ));
    assert!(matches!(
        framing("/late"),
        Framing::Chunked | Framing::Length(0)
    ));
    assert_eq!(framing("/get"), Framing::Chunked);
}

#[test]
fn a_reader_that_stops_stops_its_server() {
    let far = Event::new();
    let told = far.clone();
    let body = pattern(LARGE);
    let (first, second) = (body[..LARGE / 2].to_vec(), body[LARGE / 2..].to_vec());
    let origin = Origin::builder().forget_bodies().start(move |request| {
        if request.path() == "/small" {
            return Reply::ok("small");
        }
        Reply::head(200)
            .length(LARGE as u64)
            .then(Reply::bytes(&first))
            .then(Reply::fire(&told))
            .then(Reply::bytes(&second))
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    assert_eq!(client.get("/small").status, 200);
    let before = proxy.rss_bytes();
    client.grants(Grants::Connection);
    let stream = client.open(&Head::get("/"));
    client.read_body(stream, 65_535);
    // The other half of the body has no way out.
    client.idle(Duration::from_millis(700));
    assert!(!far.is_fired(), "half of the body left the server");
    assert_eq!(client.so_far(stream).body_length, 65_535);
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < HELD_MAX, "{grown} bytes are held");
    assert_eq!(client.get("/small").text(), "small");
    client.grants(Grants::All);
    client.grant(stream, 1 << 20);
    let answer = client.answer(stream);
    assert_eq!(difference(&answer.body, &body), None);
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < HELD_MAX, "{grown} bytes were held");
}

#[test]
fn a_connection_that_is_not_read_at_all_stops_its_servers() {
    let origin = Origin::builder()
        .forget_bodies()
        .start(|_| Reply::ok(vec![b'x'; 4 << 20]));
    let proxy = in_front_of(&origin);
    let mut warm = connect(&proxy);
    warm.forget_bodies();
    assert_eq!(warm.get("/").body_length, 4 << 20);
    let before = proxy.rss_bytes();
    // Windows as large as they get: only the socket holds the proxy back (CVE-2019-9517).
    let window = [(h2::setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)];
    let mut client = h2::Client::connect_with(proxy.address(), &window);
    client.grant(0, 0x7fff_ffff - 65_535);
    client.forget_bodies();
    let streams: Vec<u32> = (0..20).map(|_| client.open(&Head::get("/"))).collect();
    std::thread::sleep(Duration::from_secs(1));
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < 2 * HELD_MAX, "{grown} bytes are held");
    for stream in streams {
        assert_eq!(client.answer(stream).body_length, 4 << 20);
    }
}

#[test]
fn a_server_that_does_not_read_stops_its_client() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::builder()
        .receive_buffer(32 << 10)
        .at_head(move |request| {
            (request.path() == "/slow").then(|| {
                Reply::wait_for(&told)
                    .then(Reply::read_body())
                    .then(Reply::ok("read"))
            })
        })
        .start(|request| Reply::ok(request.body_length.to_string()));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let before = proxy.rss_bytes();
    let body = pattern(LARGE);
    let stream = client.open_with_body(&Head::post("/slow"));
    let mut sent = 0;
    while client.wait_for(Duration::from_millis(700), |c| c.window(stream) > 0) {
        let piece = &body[sent..sent + usize::try_from(client.window(stream)).unwrap().min(16_384)];
        client.send(&Frame::data(stream, piece));
        sent += piece.len();
        assert!(sent < LARGE, "nobody stops the client");
    }
    assert!(
        sent < 24 << 20,
        "{sent} bytes went to a server that reads nothing"
    );
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < HELD_MAX, "{grown} bytes are held");
    // The connection has room for others.
    let other = client.request(&Head::post("/other"), pattern(400_000));
    assert_eq!(other.text(), "400000");
    go.fire();
    assert_eq!(client.send_data(stream, &body[sent..]), LARGE - sent);
    client.finish(stream);
    assert_eq!(client.answer(stream).text(), "read");
    let requests = origin.requests();
    let slow = requests.iter().find(|r| r.path() == "/slow").unwrap();
    assert_eq!(difference(&slow.body, &body), None);
}

#[test]
fn memory_stays_flat_while_bodies_pass_both_ways() {
    let origin = Origin::builder()
        .forget_bodies()
        .start(|_| Reply::ok(vec![b'x'; 32 << 20]));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    client.forget_bodies();
    client.request(&Head::post("/"), vec![b'y'; 1 << 20]);
    let before = proxy.rss_bytes();
    for _ in 0..4 {
        let answer = client.request(&Head::post("/"), vec![b'y'; 32 << 20]);
        assert_eq!(answer.body_length, 32 << 20);
        let grown = proxy.rss_bytes().saturating_sub(before);
        assert!(grown < HELD_MAX, "{grown} bytes are held");
    }
    assert!(
        origin
            .requests()
            .iter()
            .skip(1)
            .all(|r| r.body_length == 32 << 20)
    );
}

#[test]
fn trailers_pass_both_ways_without_those_that_matter_elsewhere() {
    let origin = Origin::start(|_| {
        Reply::empty(200)
            .chunked(&["ab", "cd"])
            .trailer("X-Sum", "down")
            .trailer("Set-Cookie", "a=b")
            .trailer("Content-Length", "7")
            .trailer("Server-Timing", "t")
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::post("/").field("te", "trailers"));
    client.send_data(stream, "data");
    client.finish_with(
        stream,
        &[
            ("x-sum", "up"),
            ("content-length", "99"),
            ("host", "evil.test"),
            ("authorization", "x"),
            ("x-forwarded-for", "1.1.1.1"),
            ("cookie", "a=b"),
        ],
    );
    let answer = client.answer(stream);
    assert_eq!(answer.text(), "abcd");
    assert_eq!(answer.trailers.names(), ["x-sum", "server-timing"]);
    assert_eq!(answer.trailers.get("x-sum"), Some("down"));
    let request = &origin.requests()[0];
    assert_eq!(request.text(), "data");
    assert_eq!(request.trailers.len(), 1, "{:?}", request.trailers);
    assert_eq!(request.trailers.get("x-sum"), Some("up"));
    // Trailers with nothing before them.
    let stream = client.open_with_body(&Head::post("/"));
    client.finish_with(stream, &[("x-sum", "alone")]);
    assert_eq!(client.answer(stream).status, 200);
    assert_eq!(origin.requests()[1].trailers.get("x-sum"), Some("alone"));
}

#[test]
fn interim_answers_come_before_the_answer() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::builder()
        .without_continue()
        .at_head(move |request| {
            (request.method == "POST").then(|| {
                Reply::wait_for(&told)
                    .then(Reply::interim(100))
                    .then(Reply::read_body())
                    .then(Reply::ok("thanks"))
            })
        })
        .start(|_| {
            Reply::interim(103)
                .header("Link", "</a.css>; rel=preload")
                .then(Reply::interim(103).header("Link", "</b.js>; rel=preload"))
                .then(Reply::ok("page"))
        });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let answer = client.get("/");
    let links: Vec<_> = answer
        .interim
        .iter()
        .map(|i| i.headers.get("link"))
        .collect();
    assert_eq!(
        links,
        [Some("</a.css>; rel=preload"), Some("</b.js>; rel=preload")]
    );
    assert_eq!((answer.status, answer.text().as_str()), (200, "page"));

    let stream = client.open_with_body(&Head::post("/").field("expect", "100-continue"));
    let heads = origin.wait_for_heads(2, SOON);
    assert_eq!(heads[1].header("expect"), Some("100-continue"));
    client.idle(Duration::from_millis(30));
    assert!(client.so_far(stream).interim.is_empty());
    go.fire();
    client.wait("the 100", |client| {
        !client.so_far(stream).interim.is_empty()
    });
    assert_eq!(client.so_far(stream).interim[0].status, 100);
    client.send_data(stream, "body");
    client.finish(stream);
    let answer = client.answer(stream);
    assert_eq!(
        (answer.text().as_str(), answer.interim.len()),
        ("thanks", 1)
    );
    assert_eq!(origin.requests()[1].text(), "body");
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let origin = Origin::builder()
        .at_head(|request| {
            (request.path() == "/upload").then(|| Reply::ok("too large").status(413).and_close())
        })
        .start(|_| Reply::ok("next"));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::post("/upload").field("content-length", "99999999"));
    client.send_data(stream, pattern(1000));
    let answer = client.answer(stream);
    assert_eq!((answer.status, answer.text().as_str()), (413, "too large"));
    assert!(answer.is_complete, "cut: {:?}", answer.reset);
    // It is told to stop, or what it sends is thrown away; either way the connection lives.
    let _ = client.wait_for(Duration::from_millis(300), |c| {
        c.so_far(stream).reset.is_some()
    });
    if let Some(code) = client.so_far(stream).reset {
        assert_eq!(code, code::NO_ERROR, "the answer must not be thrown away");
    }
    let _ = client.try_send(&Frame::data(stream, pattern(1000)));
    assert_eq!(client.get("/next").text(), "next");
    let requests = origin.requests();
    let upload = requests.iter().find(|r| r.path() == "/upload").unwrap();
    assert!(!upload.complete);
}

#[test]
fn an_upload_that_nobody_wants_does_not_eat_the_connections_window() {
    let proxy = start(&config_with(
        "",
        "routes = [{ path = \"/deny\", deny = 403 }]\nrespond = \"x\"",
    ));
    let mut client = connect(&proxy);
    for _ in 0..20 {
        let stream = client.open_with_body(&Head::post("/deny"));
        client.send_data(stream, pattern(200_000));
        if !client.so_far(stream).is_over() {
            client.finish(stream);
        }
        assert_eq!(client.answer(stream).status, 403);
    }
    client.wait("the window to open again", |c| c.window(0) >= 512 << 10);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_cancelled_request_frees_its_server_within_moments() {
    let origin = Origin::start(|request| match request.path() {
        "/thinks" => Reply::stall(),
        "/sends" => Reply::head(200)
            .length(LARGE as u64)
            .then(Reply::bytes(vec![b'x'; LARGE])),
        _ => Reply::ok("next"),
    });
    let proxy = start(&config_with(
        "metrics = \"127.0.0.1:0\"",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    let mut client = connect(&proxy);
    for (number, path) in ["/thinks", "/sends"].into_iter().enumerate() {
        client.grants(Grants::Connection);
        let stream = client.open(&Head::get(path));
        origin.wait_for_heads(number * 2 + 1, SOON);
        if path == "/sends" {
            client.read_body(stream, 65_535);
        }
        client.cancel(stream, code::CANCEL);
        let cut = |all: &[croupier_testkit::ConnectionRecord]| {
            all.iter().filter(|c| c.ended.is_some()).count() == number + 1
        };
        origin.wait_for_connections(Duration::from_secs(2), cut);
        client.grants(Grants::All);
        assert_eq!(client.get("/next").text(), "next");
    }
    assert!(wait_until(SOON, || {
        metric(&proxy, "http_server_active_requests") == 0.0
    }));
    let line = proxy.wait_for_access(|line| line.contains("/thinks"));
    assert!(line.contains("client.gone"), "{line}");
}

#[test]
fn an_upload_cut_by_the_client_never_looks_whole_to_a_server() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = in_front_of(&origin);
    for length in [None, Some("10")] {
        let mut client = connect(&proxy);
        let count = origin.requests().len();
        let head = Head::post("/cut");
        let head = match length {
            Some(length) => head.field("content-length", length),
            None => head,
        };
        let stream = client.open_with_body(&head);
        client.send_data(stream, "12345");
        origin.wait_for_heads(count + 1, SOON);
        client.cancel(stream, code::CANCEL);
        origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
        assert!(!origin.requests()[count].complete, "{length:?}");
        client.expect_alive();

        let stream = client.open_with_body(&head);
        client.send_data(stream, "12345");
        origin.wait_for_heads(count + 2, SOON);
        drop(client);
        origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
        assert!(!origin.requests()[count + 1].complete, "{length:?}");
    }
    assert_eq!(origin.violations(), []);
}

#[test]
fn an_answer_cut_by_its_server_is_cut_visibly_and_alone() {
    let origin = Origin::start(|request| match request.path() {
        "/length" => Reply::ok("x".repeat(1000)).cut_at(500),
        "/chunked" => Reply::head(200)
            .chunked(&[""; 0])
            .then(Reply::chunk("half"))
            .and_close(),
        "/reset" => Reply::head(200)
            .length(1000)
            .then(Reply::bytes("half"))
            .and_reset(),
        "/nothing" => Reply::close(),
        "/garbage" => Reply::bytes("what is this?\r\n\r\n").and_close(),
        _ => Reply::ok("whole"),
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    for path in ["/length", "/chunked", "/reset"] {
        let answer = client.request(&Head::post(path), "x");
        // The head may be lost with what was behind it.
        assert!(
            [0, 200].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
        assert!(!answer.is_complete, "{path}");
        assert!(
            answer.reset.is_some_and(|code| code != code::NO_ERROR),
            "{path}"
        );
        assert_eq!(client.get("/whole").text(), "whole");
    }
    for path in ["/nothing", "/garbage"] {
        let answer = client.request(&Head::post(path), "x");
        assert_eq!((answer.status, answer.is_complete), (502, true), "{path}");
    }
    assert_eq!(client.get("/whole").text(), "whole");
}

#[test]
fn an_event_passes_before_the_next_one_is_sent() {
    let events: Vec<Event> = (0..4).map(|_| Event::new()).collect();
    let told = events.clone();
    let origin = Origin::start(move |_| {
        let head = Reply::head(200).header("Content-Type", "text/event-stream");
        let head = head.chunked(&[""; 0]);
        told.iter().fold(head, |reply, event| {
            reply
                .then(Reply::wait_for(event))
                .then(Reply::chunk("data: x\n\n"))
        })
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let stream = client.open(&Head::get("/"));
    assert_eq!(client.head(stream).status, 200);
    for (number, event) in events.iter().enumerate() {
        event.fire();
        client.read_body(stream, 9 * (number as u64 + 1));
    }
}

#[test]
fn an_upload_passes_piece_by_piece() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::post("/"));
    for number in 1..=5 {
        client.send_data(stream, "piece ");
        assert!(wait_until(SOON, || {
            origin
                .requests()
                .first()
                .is_some_and(|r| r.body_length == 6 * number)
        }));
    }
    client.finish(stream);
    assert_eq!(client.answer(stream).text(), "piece ".repeat(5));
}

#[test]
fn a_body_may_go_up_while_another_comes_down() {
    let origin = Origin::builder()
        .at_head(|_| {
            Some(
                Reply::head(200)
                    .chunked(&[""; 0])
                    .then(Reply::chunk("down "))
                    .then(Reply::read_body())
                    .then(Reply::chunk("and all"))
                    .then(Reply::last_chunk()),
            )
        })
        .start(|_| Reply::ok(""));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let stream = client.open_with_body(&Head::post("/"));
    let body = pattern(3_000_000);
    client.send_data(stream, &body[..1_000_000]);
    client.read_body(stream, 5);
    client.send_data(stream, &body[1_000_000..]);
    client.finish(stream);
    assert_eq!(client.answer(stream).text(), "down and all");
    assert_eq!(difference(&origin.requests()[0].body, &body), None);
}

#[test]
fn a_body_limit_is_held() {
    let origin = Origin::start(|request| Reply::ok(request.body_length.to_string()));
    let proxy = start(&format!(
        "{}[limits]\nbody_bytes = \"10KiB\"\n",
        config_with("", &format!("proxy = \"{}\"", origin.address()))
    ));
    let mut client = connect(&proxy);
    assert_eq!(
        client.request(&Head::post("/"), pattern(10 << 10)).text(),
        "10240"
    );
    let said = Head::post("/").field("content-length", "10241");
    for head in [Head::post("/"), said] {
        let stream = client.open_with_body(&head);
        if client.send_data(stream, pattern((10 << 10) + 1)) == (10 << 10) + 1
            && !client.so_far(stream).is_over()
        {
            client.finish(stream);
        }
        assert_eq!(client.answer(stream).status, 413);
    }
    assert_eq!(client.request(&Head::post("/"), "x").text(), "1");
    assert_eq!(client.count(kind::GOAWAY), 0);
}

#[test]
fn a_client_that_stops_sending_is_given_up_and_its_neighbours_are_not() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/held" => Reply::wait_for(&told).then(Reply::ok("held")),
        _ => Reply::ok("x"),
    });
    let proxy = start(&format!(
        "{}[timeouts]\nclient_body = \"500ms\"\n",
        config_with("", &format!("proxy = \"{}\"", origin.address()))
    ));
    let mut client = connect(&proxy);
    let held = client.open(&Head::get("/held"));
    let stuck = client.open_with_body(&Head::post("/stuck"));
    client.send_data(stuck, "begun");
    let answer = client.answer(stuck);
    assert!(answer.reset.is_some() || answer.status == 408, "{answer:?}");
    origin.wait_for_connections(SOON, |all| all.iter().any(|c| c.ended.is_some()));
    go.fire();
    assert_eq!(client.answer(held).text(), "held");
}
