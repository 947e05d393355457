//! What a hostile client can make grow, spin or leak over HTTP/2: rows B05 to B08.
//! What it can make us keep is in `h2_leaks.rs`.
//!
//! Bounds are counts: frames until the connection ends, requests at the origin, bytes of memory.
//! Frames go out in rounds with a `PING` behind each, so what was sent when the end came is what
//! the proxy has taken, give or take a round.

use std::time::{Duration, Instant};

use croupier_testkit::h2::{self, Block, Frame, Head, PREFACE, code, flag, kind, setting};
use croupier_testkit::{Origin, Proxy, Reply, wait_until};

use crate::prelude::{Client, SOON, config_with, metric, start};

/// Frames between two looks at what the proxy says.
const ROUND: usize = 50;

/// What one hostile connection may cost.
pub(crate) const GROWTH_MAX: u64 = 16 << 20;

pub(crate) fn behind(origin: &Origin, more: &str) -> Proxy {
    start(&format!(
        "{}{more}",
        config_with(
            "metrics = \"127.0.0.1:0\"",
            &format!("proxy = \"{}\"", origin.address())
        )
    ))
}

pub(crate) fn echo() -> Origin {
    Origin::start(|request| Reply::ok(request.path()))
}

pub(crate) fn connect(proxy: &Proxy) -> h2::Client {
    h2::Client::connect(proxy.address())
}

/// Sends what `make` makes until the proxy has enough or `most` have gone; tells how many went.
pub(crate) fn flood(
    client: &mut h2::Client,
    most: usize,
    mut make: impl FnMut(&mut h2::Client) -> Vec<Frame>,
) -> usize {
    let mut sent = 0;
    while sent < most {
        for _ in 0..ROUND {
            let frames = make(client);
            sent += 1;
            if client.try_send_all(&frames).is_err() {
                return sent;
            }
        }
        if !client.ping() || client.closed().is_some() {
            return sent;
        }
    }
    sent
}

/// The proxy ended a connection because of what was sent on it.
#[track_caller]
fn ended(client: &mut h2::Client, what: &str) {
    let _ = client.wait_for(SOON, |client| client.closed().is_some());
    assert!(client.closed().is_some(), "{what}: the connection lives on");
    let codes: Vec<u32> = client.goaways().iter().map(|g| g.code).collect();
    assert!(
        codes.iter().any(|c| *c != code::NO_ERROR),
        "{what}: {codes:?}"
    );
}

/// Others are served, and nothing is left under way.
#[track_caller]
pub(crate) fn all_is_well(proxy: &Proxy, what: &str) {
    assert_eq!(connect(proxy).get("/good").status, 200, "{what}");
    assert_eq!(
        Client::connect(proxy.address()).get("/good").status,
        200,
        "{what}"
    );
    let active = || metric(proxy, "http_server_active_requests");
    assert!(
        wait_until(SOON, || active() == 0.0),
        "{what}: {} active",
        active()
    );
    assert_eq!(metric(proxy, "croupier_panics_total"), 0.0, "{what}");
}

#[test]
fn b05_rapid_reset_ends_the_connection_and_spares_the_servers() {
    let origin = Origin::start(|request| match request.path() {
        "/good" => Reply::ok("good"),
        _ => Reply::stall(),
    });
    let proxy = behind(&origin, "");
    // With a pause that lets each request start, and without.
    for in_one_segment in [true, false] {
        let before = origin.connections().len();
        let mut client = connect(&proxy);
        let sent = flood(&mut client, 20_000, |client| {
            let stream = client.next_stream();
            if in_one_segment {
                client.opened(stream, "GET");
                let block = Block::new().lines(Head::get("/evil").0);
                let head = Frame::headers(stream, block).end_stream();
                vec![head, Frame::reset(stream, code::CANCEL)]
            } else {
                client.opened(stream, "GET");
                let block = Block::new().lines(Head::get("/evil").0);
                let _ = client.try_send(&Frame::headers(stream, block).end_stream());
                let _ = client.ping();
                vec![Frame::reset(stream, code::CANCEL)]
            }
        });
        assert!(sent <= 1000 + ROUND, "{sent} requests were reset");
        ended(&mut client, "rapid reset");
        let goaway = client
            .goaways()
            .iter()
            .find(|g| g.code != 0)
            .unwrap()
            .clone();
        assert_eq!(goaway.code, code::ENHANCE_YOUR_CALM);
        let dialled = origin.connections().len() - before;
        assert!(
            dialled <= 1000 + 2 * ROUND,
            "{dialled} connections to the server"
        );
        origin.wait_for_connections(SOON, |all| {
            all.iter().filter(|c| c.ended.is_none()).count() <= 4
        });
    }
    all_is_well(&proxy, "rapid reset");
}

#[test]
fn b05_a_reader_who_changes_his_mind_is_no_flood() {
    let origin = echo();
    let proxy = behind(&origin, "");
    let mut client = connect(&proxy);
    for number in 0..300 {
        let streams: Vec<u32> = (0..3)
            .map(|_| client.open(&Head::get(format!("/{number}"))))
            .collect();
        client.cancel(streams[0], code::CANCEL);
        assert_eq!(client.answer(streams[1]).status, 200);
        assert_eq!(client.answer(streams[2]).status, 200);
    }
    client.expect_alive();
}

/// One way to make the proxy reset a stream, by a client that never sends `RST_STREAM`.
type Provocation = fn(&mut h2::Client) -> Vec<Frame>;

fn open_evil(client: &mut h2::Client, head: &Head, ends: u8) -> (u32, Frame) {
    let stream = client.next_stream();
    client.opened(stream, "POST");
    let block = Block::new().lines(head.0.clone());
    (stream, Frame::headers(stream, block).flag(ends))
}

const PROVOCATIONS: [(&str, Provocation); 8] = [
    ("a window update of 0", |client| {
        let (stream, head) = open_evil(client, &Head::post("/evil"), 0);
        vec![head, Frame::window_update(stream, 0)]
    }),
    ("a window beyond the largest", |client| {
        let (stream, head) = open_evil(client, &Head::post("/evil"), 0);
        let most = Frame::window_update(stream, 0x7fff_ffff);
        vec![head, most.clone(), most]
    }),
    ("data after the end", |client| {
        let (stream, head) = open_evil(client, &Head::post("/evil"), flag::END_STREAM);
        vec![head, Frame::data(stream, "x")]
    }),
    ("a head after the end", |client| {
        let (stream, head) = open_evil(client, &Head::post("/evil"), flag::END_STREAM);
        vec![head.clone(), Frame { stream, ..head }]
    }),
    ("a short PRIORITY", |client| {
        let (stream, head) = open_evil(client, &Head::post("/evil"), 0);
        vec![head, Frame::raw(kind::PRIORITY, 0, stream, [0; 4])]
    }),
    ("a length that is not the body's", |client| {
        let head = Head::post("/evil").field("content-length", "5");
        let (stream, head) = open_evil(client, &head, 0);
        vec![head, Frame::data(stream, "x").end_stream()]
    }),
    ("a malformed head", |client| {
        let head = Head::post("/evil").field("connection", "close");
        vec![open_evil(client, &head, flag::END_STREAM).1]
    }),
    ("a stream that depends on itself", |client| {
        let (stream, head) = open_evil(client, &Head::post("/evil"), 0);
        vec![head, Frame::priority(stream, stream, 1)]
    }),
];

#[test]
fn b06_a_client_that_makes_us_reset_is_ended() {
    let origin = Origin::start(|request| match request.path() {
        "/good" => Reply::ok("good"),
        _ => Reply::stall(),
    });
    let proxy = behind(&origin, "");
    for (what, provoke) in PROVOCATIONS {
        let mut client = connect(&proxy);
        let before = origin.connections().len();
        let sent = flood(&mut client, 10_000, provoke);
        // Streams that are not reset at all fill up, and no more are taken.
        let is_full = client.closed().is_none() && what.contains("depends on itself");
        if !is_full {
            assert!(sent <= 100 + 2 * ROUND, "{what}: {sent} times");
            ended(&mut client, what);
        }
        let dialled = origin.connections().len() - before;
        assert!(
            dialled <= 100 + 2 * ROUND,
            "{what}: {dialled} connections to the server"
        );
        drop(client);
        origin.wait_for_connections(SOON, |all| {
            all.iter().filter(|c| c.ended.is_none()).count() <= 4
        });
        all_is_well(&proxy, what);
    }
}

#[test]
fn b07_a_header_block_without_end_is_cut() {
    let origin = echo();
    let proxy = behind(&origin, "");
    let before = proxy.rss_bytes();
    let literal = Block::new().literal("x", "y".repeat(1000));
    for (what, piece, most) in [
        ("of nothing", Vec::new(), 2000),
        ("of one byte", vec![0x82], 40_000),
        ("of whole lines", literal.0.clone(), 400),
        ("of 16 KiB", literal.0.repeat(16), 20),
        (
            "of an endless string",
            [
                &[0, 1, b'x', 0x7f, 0xff, 0xff, 0xff, 0x03][..],
                &[b'y'; 8000],
            ]
            .concat(),
            100,
        ),
        ("of an endless integer", vec![0xff; 1000], 100),
        ("of a string of zero bytes", [0, 0, 0].repeat(300), 400),
    ] {
        for first in [
            Frame::headers(1, Block::new().lines(Head::get("/evil").0)),
            Frame::headers(1, ""),
        ] {
            let mut client = connect(&proxy);
            client.opened(1, "GET");
            client.send(&first.unflag(flag::END_HEADERS));
            let mut sent = 0;
            let frame = Frame::continuation(1, &piece).encode();
            while sent < 100_000 && client.try_send_bytes(frame.repeat(10)).is_ok() {
                sent += 10;
                client.idle(Duration::from_micros(1));
                if client.closed().is_some() {
                    break;
                }
            }
            let closed = client.wait_for(SOON, |client| client.closed().is_some());
            assert!(closed, "{what}: the connection lives on after {sent}");
            // What sockets hold is not taken yet.
            let slack = 6 << 20;
            let bytes = sent * frame.len();
            assert!(
                sent <= most + slack / frame.len(),
                "{what}: {sent} frames, {bytes} bytes"
            );
        }
        let grown = proxy.rss_bytes().saturating_sub(before);
        assert!(grown < GROWTH_MAX, "{what}: {grown} bytes are held");
    }
    all_is_well(&proxy, "endless heads");
    assert!(origin.requests().iter().all(|r| r.path() == "/good"));
}

#[test]
fn b08_frames_that_carry_nothing_end_the_connection() {
    let origin = Origin::start(|request| match request.path() {
        "/good" => Reply::ok("good"),
        _ => Reply::stall(),
    });
    let proxy = behind(&origin, "");
    let before = proxy.rss_bytes();
    type Make = Box<dyn FnMut(&mut h2::Client) -> Vec<Frame>>;
    let upload = |client: &mut h2::Client| match client.next_stream() {
        1 => client.open_with_body(&Head::post("/evil")),
        _ => 1,
    };
    let cases: Vec<(&str, Make)> = vec![
        ("PING", Box::new(|_| vec![Frame::ping([1; 8])])),
        (
            "PING that answers nothing",
            Box::new(|_| vec![Frame::ping([1; 8]).flag(flag::ACK)]),
        ),
        (
            "SETTINGS",
            Box::new(|_| vec![Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 70_000)])]),
        ),
        ("empty SETTINGS", Box::new(|_| vec![Frame::settings(&[])])),
        (
            "long SETTINGS",
            Box::new(|_| vec![Frame::settings(&[(setting::HEADER_TABLE_SIZE, 100); 500])]),
        ),
        ("PRIORITY", Box::new(|_| vec![Frame::priority(1001, 3, 5)])),
        (
            "unknown types",
            Box::new(|_| vec![Frame::raw(0x42, 0, 0, "what?")]),
        ),
        (
            "large unknown types",
            Box::new(|_| vec![Frame::raw(0x42, 0, 0, [0; 16_000])]),
        ),
        (
            "RST_STREAM again and again",
            Box::new(move |client| {
                let stream = upload(client);
                vec![Frame::reset(stream, code::CANCEL)]
            }),
        ),
        (
            "empty DATA",
            Box::new(move |client| vec![Frame::data(upload(client), "")]),
        ),
        (
            "DATA of nothing but padding",
            Box::new(move |client| vec![Frame::data(upload(client), "").padded(9)]),
        ),
        (
            "DATA of no padding and nothing",
            Box::new(move |client| vec![Frame::data(upload(client), "").padded(0)]),
        ),
        (
            "heads of empty names",
            Box::new(|client| {
                let (_, head) =
                    open_evil(client, &Head::get("/evil").field("", ""), flag::END_STREAM);
                vec![head]
            }),
        ),
    ];
    for (what, mut make) in cases {
        let mut client = connect(&proxy);
        client.plain();
        let sent = flood(&mut client, 20_000, |client| make(client));
        assert!(sent <= 1000 + 2 * ROUND, "{what}: {sent} frames were taken");
        ended(&mut client, what);
        drop(client);
        let grown = proxy.rss_bytes().saturating_sub(before);
        assert!(grown < GROWTH_MAX, "{what}: {grown} bytes are held");
    }
    all_is_well(&proxy, "empty frames");
}

#[test]
fn b08_small_window_updates_and_a_hundred_thousand_of_them_cost_no_memory() {
    let origin = echo();
    let proxy = behind(&origin, "");
    let mut client = connect(&proxy);
    assert_eq!(client.get("/good").status, 200);
    let before = proxy.rss_bytes();
    let sent = flood(&mut client, 20_000, |_| vec![Frame::window_update(0, 1); 5]);
    if client.closed().is_none() {
        assert!(sent >= 20_000);
        assert_eq!(client.get("/good").status, 200);
    }
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes are held");
    all_is_well(&proxy, "window updates");
}

#[test]
fn b08_answers_to_pings_do_not_pile_up_for_one_who_does_not_read() {
    let origin = echo();
    let proxy = behind(
        &origin,
        "[limits]\nh2_control_frames = 4000000000\n[timeouts]\nclient_send = \"1s\"\n",
    );
    let before = proxy.rss_bytes();
    let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    let mut bytes = PREFACE.to_vec();
    bytes.extend(Frame::settings(&[]).encode());
    let pings = Frame::ping([7; 8]).encode().repeat(4000);
    let began = Instant::now();
    let mut sent = 0_u64;
    let mut most = 0;
    while sent < 200 << 20 && began.elapsed() < Duration::from_secs(20) {
        use std::io::Write as _;
        if stream.write_all(&bytes).is_err() {
            break; // It takes no more, or has closed.
        }
        sent += bytes.len() as u64;
        bytes.clone_from(&pings);
        most = most.max(proxy.rss_bytes().saturating_sub(before));
    }
    assert!(most < GROWTH_MAX, "{most} bytes are held after {sent}");
    // Nothing leaves it, so it is cut.
    drop(bytes);
    assert!(wait_until(SOON, || metric(&proxy, "croupier_connections") == 0.0));
    all_is_well(&proxy, "unread pings");
}
