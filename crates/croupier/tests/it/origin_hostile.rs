//! Servers that break the rules of HTTP/2, each in its own way (row B15 of the catalogue): a bad
//! gateway or a cut answer, and the next request gets its answer.
//!
//! The library drops pseudo-fields that do not belong where they are instead of refusing them: no
//! story tells of those.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use croupier_testkit::{
    h2::{Block, Frame, code, flag, kind, setting},
    wait_until,
};

use super::{
    origin_server::{Answer, Asked, Connection, H2Server, lines},
    prelude::*,
};

/// How a server misbehaves on the first connection; on others it does not.
type Misdeed = fn(&mut Connection, &Asked) -> Option<()>;

fn proxy_of(server: &H2Server) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n\
         [pool.p]\nservers = [\"{}\"]\nprotocol = \"h2c\"\nretry = false\neject = false\n\n\
         [site.\"*\"]\npool = \"p\"\n",
        server.address
    ))
}

fn misbehaving(misdeed: Misdeed) -> H2Server {
    H2Server::start(&[], move |connection| {
        loop {
            let asked = connection.request()?;
            if connection.number() == 0 && asked.path() == "/bad" {
                misdeed(connection, &asked)?;
            } else {
                connection.answer(asked.stream, Answer::of("fine"))?;
            }
        }
    })
}

fn head(connection: &mut Connection, asked: &Asked, more: &[(&str, &str)]) -> Frame {
    let all = [&[(":status", "200")], more].concat();
    connection.lines(asked.stream, &lines(&all))
}

#[rustfmt::skip]
const BEFORE_THE_HEAD: &[(&str, Misdeed)] = &[
    ("DATA before HEADERS", |c, a| c.send(&Frame::data(a.stream, "x"))),
    ("PUSH_PROMISE", |c, a| c.send(&Frame::push_promise(a.stream, 2, Block::new().indexed(2).0))),
    ("a stream of its own", |c, _| c.send(&Frame::headers(2, Block::new().indexed(8).0))),
    ("trailers first", |c, a| { let t = c.lines(a.stream, &lines(&[("x", "y")])).end_stream(); c.send(&t) }),
    ("no status", |c, a| { let h = c.lines(a.stream, &lines(&[("x", "y")])); c.send(&h) }),
    ("a pseudo-field behind a field", |c, a| { let h = c.lines(a.stream, &lines(&[("a", "b"), (":status", "200")])); c.send(&h) }),
    ("a field of connections", |c, a| { let h = head(c, a, &[("connection", "close")]); c.send(&h) }),
    ("chunks", |c, a| { let h = head(c, a, &[("transfer-encoding", "chunked")]); c.send(&h) }),
    ("upper case", |c, a| { let h = head(c, a, &[("X-Upper", "y")]); c.send(&h) }),
    ("space before a value", |c, a| { let h = head(c, a, &[("x", " y")]).end_stream(); c.send(&h) }),
    ("two lengths", |c, a| { let h = head(c, a, &[("content-length", "1"), ("content-length", "2")]); c.send(&h) }),
    ("the same length twice", |c, a| { let h = head(c, a, &[("content-length", "1"), ("content-length", "1")]); c.send(&h) }),
    ("a length that is none", |c, a| { let h = head(c, a, &[("content-length", "+1")]); c.send(&h) }),
    ("an empty length", |c, a| { let h = head(c, a, &[("content-length", "")]); c.send(&h) }),
    ("a length and no body", |c, a| { let h = head(c, a, &[("content-length", "5")]).end_stream(); c.send(&h) }),
    ("status 101", |c, a| { let h = c.lines(a.stream, &lines(&[(":status", "101")])); c.send(&h) }),
    ("endless interim answers", |c, a| loop { let h = c.lines(a.stream, &lines(&[(":status", "103")])); c.send(&h)?; }),
    ("a head without end", |c, a| { c.send(&Frame::headers(a.stream, Block::new().indexed(8).0).unflag(flag::END_HEADERS))?;
        loop { c.send(&Frame::continuation(a.stream, Block::new().literal("x", "y").0).unflag(flag::END_HEADERS))?; } }),
    ("a head too large", |c, a| { let large = "y".repeat(15_000); let block = (0..6).fold(Block::new().indexed(8), |b, _| b.literal("x", &large)).0;
        let (first, rest) = block.split_at(16_000); c.send(&Frame::headers(a.stream, first).unflag(flag::END_HEADERS))?;
        for part in rest.chunks(16_000) { c.send(&Frame::continuation(a.stream, part).unflag(flag::END_HEADERS))?; }
        c.send(&Frame::continuation(a.stream, "").flag(flag::END_HEADERS)) }),
    ("a head of too many lines", |c, a| { let all = vec![("x", "y"); 400]; let h = head(c, a, &all); c.send(&h) }),
    ("broken compression", |c, a| c.send(&Frame::headers(a.stream, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))),
    ("a frame too large", |c, a| c.send(&Frame::data(a.stream, vec![0; 20_000]))),
    ("settings that are none", |c, _| c.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, u32::MAX)]))),
    ("a window beyond all bounds", |c, _| { c.send(&Frame::window_update(0, 0x7fff_ffff))?; c.send(&Frame::window_update(0, 0x7fff_ffff)) }),
    ("a window of nothing", |c, _| c.send(&Frame::window_update(0, 0))),
    ("a flood of pings", |c, _| loop { c.send(&Frame::ping([0; 8]))?; }),
    ("a flood of settings", |c, _| loop { c.send(&Frame::settings(&[]))?; }),
    ("nothing of HTTP/2", |c, _| c.bytes(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")),
    ("the connection ends", |_, _| None),
];

#[test]
fn b15_a_server_that_breaks_the_rules_before_its_head_is_a_bad_gateway() {
    for (name, misdeed) in BEFORE_THE_HEAD {
        let server = misbehaving(*misdeed);
        let proxy = proxy_of(&server);
        let mut client = Client::connect(proxy.address());
        client.send("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.try_read_response();
        let status = answer.as_ref().map(|answer| answer.status);
        assert_eq!(status.ok(), Some(502), "{name}: {answer:?}");
        let next = Client::connect(proxy.address()).get("/good");
        assert_eq!((next.status, next.text().as_str()), (200, "fine"), "{name}");
    }
}

#[rustfmt::skip]
const BEHIND_THE_HEAD: &[(&str, Misdeed)] = &[
    ("more than its length", |c, a| { let h = head(c, a, &[("content-length", "2")]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx").end_stream()) }),
    ("less than its length", |c, a| { let h = head(c, a, &[("content-length", "9")]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx").end_stream()) }),
    ("a reset", |c, a| { let h = head(c, a, &[]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx"))?; c.send(&Frame::reset(a.stream, code::INTERNAL_ERROR)) }),
    ("a reset that says no error", |c, a| { let h = head(c, a, &[]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx"))?; c.send(&Frame::reset(a.stream, code::NO_ERROR)) }),
    ("the connection ends", |c, a| { let h = head(c, a, &[]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx"))?; None }),
    ("huge trailers", |c, a| { let h = head(c, a, &[]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx"))?;
        let large = "y".repeat(15_000); let t = c.lines(a.stream, &lines(&[("x", &large)])).end_stream(); c.send(&t) }),
    ("many trailers", |c, a| { let h = head(c, a, &[]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx"))?;
        let t = c.lines(a.stream, &lines(&[("x", "y"); 100])).end_stream(); c.send(&t) }),
    ("trailers that are no end", |c, a| { let h = head(c, a, &[]); c.send(&h)?; c.send(&Frame::data(a.stream, "xxx"))?;
        let t = c.lines(a.stream, &lines(&[("x", "y")])); c.send(&t) }),
    ("more than the window", |c, a| { let h = head(c, a, &[]); c.send(&h)?; for _ in 0..4_000 { c.send(&Frame::data(a.stream, vec![0; 16_000]))?; } Some(()) }),
    ("a flood of nothing", |c, a| { let h = head(c, a, &[]); c.send(&h)?; loop { c.send(&Frame::data(a.stream, ""))?; } }),
];

#[test]
fn b15_a_server_that_breaks_the_rules_behind_its_head_gives_an_answer_that_is_seen_to_be_cut() {
    for (name, misdeed) in BEHIND_THE_HEAD {
        let server = misbehaving(*misdeed);
        let proxy = proxy_of(&server);
        let mut client = Client::connect(proxy.address());
        client.send("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
        // A reset may overtake the head.
        if let Ok(answer) = client.try_read_response() {
            let is_cut = !answer.is_complete() || answer.status == 502;
            assert!(is_cut, "{name}: {answer:?}");
        }
        let next = Client::connect(proxy.address()).get("/good");
        assert_eq!((next.status, next.text().as_str()), (200, "fine"), "{name}");
    }
}

#[test]
fn b15_a_server_that_allows_nobody_is_a_bad_gateway() {
    static SETTINGS: [(u16, u32); 1] = [(setting::MAX_CONCURRENT_STREAMS, 0)];
    let server = H2Server::start(&SETTINGS, |connection| {
        while connection.frame().is_some() {}
        None
    });
    let proxy = proxy_of(&server);
    let answer = Client::connect(proxy.address()).get("/");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("HTTP/2"), "{}", answer.text());
}

#[test]
fn b15_a_server_that_allows_ever_fewer_is_obeyed() {
    static SETTINGS: [(u16, u32); 1] = [(setting::MAX_CONCURRENT_STREAMS, 100)];
    let acknowledged = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&acknowledged);
    let server = H2Server::start(&SETTINGS, move |connection| {
        let asked = connection.request()?;
        connection.answer(asked.stream, Answer::of("fine"))?;
        connection.send(&Frame::settings(&[(setting::MAX_CONCURRENT_STREAMS, 0)]))?;
        // Acknowledged: from now on nobody may ask here.
        while connection.frame()?.kind != kind::SETTINGS {}
        count.fetch_add(1, Ordering::SeqCst);
        assert!(connection.request().is_none());
        None
    });
    let proxy = proxy_of(&server);
    for count in 1..4 {
        let mut client = Client::connect(proxy.address());
        assert_eq!(client.get("/").text(), "fine");
        assert!(wait_until(SOON, || acknowledged.load(Ordering::SeqCst) == count));
        assert_eq!(server.connections(), count);
    }
}

#[test]
fn a_server_that_speaks_http_1_where_http_2_is_meant_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\n[pool.p]\nservers = [\"{address}\"]\n\
         protocol = \"h2c\"\nretry = false\n\n[site.\"*\"]\npool = \"p\"\n",
    ));
    let answer = Client::connect(proxy.address()).get("/");
    assert_eq!(answer.status, 502);
    let text = answer.text();
    assert!(text.contains("HTTP/2"), "{text}");
}
