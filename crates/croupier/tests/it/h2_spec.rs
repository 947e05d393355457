//! RFC 9113 section by section, as conformance suites ask it: what is lawful works, what is not
//! ends the stream or the connection with the right code. Here are prefaces, frames as such and
//! streams; types of frames are in `h2_spec_frames.rs`, messages in `h2_spec_messages.rs`.

use std::time::Duration;

use croupier_testkit::h2::{self, Block, Frame, Grants, Head, code, flag, kind, setting};
use croupier_testkit::{Authority, Client, Origin, Proxy, Reply, TlsClient};

use crate::prelude::{in_front_of, start};
use crate::tls_sites::house;

pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What must come of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// `GOAWAY` with one of these codes, and the end.
    Connection(&'static [u32]),
    /// `RST_STREAM` for stream 1 with one of these codes, or an end of the connection with one.
    Stream(&'static [u32]),
    /// `RST_STREAM`, `GOAWAY` or a 4xx: a malformed request.
    Refusal,
    /// The connection works on.
    Fine,
    /// Stream 1 is answered with 200, and the connection works on.
    Answer,
}

pub(crate) type Case = (&'static str, Due, fn(&mut h2::Client));

/// How a case is asked: what carries it, and who answers.
#[derive(Clone, Copy, Debug)]
enum Lane {
    /// Without TLS, answered by an origin.
    Plain,
    /// Over TLS, answered by an origin.
    Tls,
    /// Without TLS, answered by the route itself, before a body has come.
    OwnAnswer,
}

/// A proxy in front of an origin, one that answers by itself, and how a client comes to them.
struct Table {
    origin: Origin,
    relaying: Proxy,
    answering: Proxy,
    tls: TlsClient,
}

impl Table {
    fn new() -> Self {
        let origin = Origin::start(|request| match request.path() {
            "/large" => Reply::ok(vec![b'x'; 200_000]),
            _ => Reply::ok("x"),
        });
        let authority = Authority::new("Tables");
        let shown = authority.issue(&["a.test"]);
        let head = "[server]\nlisten = [\"127.0.0.1:0\"]\n\n[site.\"*\"]\n";
        let relaying = house(&authority, &[("a", &shown)]).start(&format!(
            "{head}plain = \"serve\"\ntls = {{ certificate = \"a.pem\" }}\nproxy = \"{}\"\n",
            origin.address()
        ));
        let answering = start(&format!("{head}respond = \"{}\"\n", "x".repeat(1000)));
        Self {
            origin,
            relaying,
            answering,
            tls: TlsClient::trusting(&authority).alpn(&["h2"]),
        }
    }

    fn connect(&self, lane: Lane) -> h2::Client {
        let client = match lane {
            Lane::Plain => h2::Client::connect(self.relaying.address()),
            Lane::Tls => self.tls.connect_h2(self.relaying.address(), "a.test"),
            Lane::OwnAnswer => h2::Client::connect(self.answering.address()),
        };
        let mut client = client.patience(PATIENCE);
        client.plain();
        client.wait("settings", |client| client.settings_acks() > 0);
        client
    }
}

/// Plays each case on a connection of its own in every lane, and fails with all that went wrong.
#[track_caller]
pub(crate) fn play(cases: &[Case]) {
    let table = Table::new();
    let mut flaws = Vec::new();
    for (name, due, act) in cases {
        for lane in [Lane::Plain, Lane::Tls, Lane::OwnAnswer] {
            let mut client = table.connect(lane);
            act(&mut client);
            if let Err(flaw) = judge(&mut client, *due) {
                flaws.push(format!(
                    "{name}, {lane:?}: wanted {due:?}: {flaw}\n{client:?}"
                ));
            }
        }
        still_well(&table.relaying);
    }
    let count = flaws.len();
    assert!(
        flaws.is_empty(),
        "{count} of {}:\n{}",
        cases.len(),
        flaws.join("\n")
    );
    assert_eq!(table.origin.violations(), []);
}

fn still_well(proxy: &Proxy) {
    assert_eq!(
        h2::Client::connect(proxy.address()).get("/well").status,
        200
    );
}

fn judge(client: &mut h2::Client, due: Due) -> Result<(), String> {
    let told = |client: &h2::Client| {
        let codes: Vec<u32> = client.goaways().iter().map(|g| g.code).collect();
        (codes, client.closed())
    };
    match due {
        Due::Connection(codes) => {
            let _ = client.wait_for(PATIENCE, |c| c.closed().is_some());
            let (said, closed) = told(client);
            if closed.is_none() {
                return Err(format!("still open, GOAWAY {said:?}"));
            }
            let is_told = said.iter().any(|code| codes.contains(code));
            if is_told {
                Ok(())
            } else {
                Err(format!("GOAWAY {said:?}"))
            }
        }
        Due::Stream(codes) => {
            let is_over = |c: &h2::Client| c.closed().is_some() || c.so_far(1).reset.is_some();
            let _ = client.wait_for(PATIENCE, is_over);
            let reset = client.so_far(1).reset;
            let (said, _) = told(client);
            let is_told = reset.iter().chain(&said).any(|code| codes.contains(code));
            if is_told {
                Ok(())
            } else {
                Err(format!("RST_STREAM {reset:?}, GOAWAY {said:?}"))
            }
        }
        Due::Refusal => {
            let is_over = |c: &h2::Client| c.closed().is_some() || c.so_far(1).is_over();
            let _ = client.wait_for(PATIENCE, is_over);
            let (said, closed) = told(client);
            let answer = client.so_far(1);
            let is_ended = closed.is_some() && said.iter().any(|code| *code != code::NO_ERROR);
            if answer.is_refusal() || is_ended {
                return Ok(());
            }
            Err(format!(
                "status {} {:?}, GOAWAY {said:?}",
                answer.status, answer.reset
            ))
        }
        Due::Fine | Due::Answer => {
            if let Due::Answer = due {
                let answer = client.try_answer(1);
                if answer.status != 200 || !answer.is_complete {
                    return Err(format!("status {} {:?}", answer.status, answer.reset));
                }
            }
            let (said, closed) = told(client);
            if closed.is_some() || !client.ping() {
                return Err(format!("dead, GOAWAY {said:?}"));
            }
            let stream = client.open(&Head::get("/after"));
            let answer = client.try_answer(stream);
            if answer.status == 200 {
                Ok(())
            } else {
                Err(format!("then {answer:?}"))
            }
        }
    }
}

pub(crate) fn block() -> Block {
    Block::new().lines(Head::get("/").0)
}

/// `HEADERS` that open stream 1 and leave it open.
pub(crate) fn open() -> Frame {
    Frame::headers(1, Block::new().lines(Head::post("/").0))
}

/// `HEADERS` that are a whole request on stream 1.
pub(crate) fn whole() -> Frame {
    Frame::headers(1, block()).end_stream()
}

/// From now on no stream has room for a body.
fn without_room(client: &mut h2::Client) {
    let acks = client.settings_acks();
    client.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
    client.wait("the ACK", |client| client.settings_acks() > acks);
}

/// Sends frames on a connection on which stream 1 is opened by them.
pub(crate) fn say(client: &mut h2::Client, frames: &[Frame]) {
    client.opened(1, "POST");
    let _ = client.try_send_all(frames);
}

/// The library under the proxy says `PROTOCOL_ERROR` where the RFC has a more precise word; which
/// word it is changes nothing for either side.
pub(crate) const COMPRESSION: Due =
    Due::Connection(&[code::COMPRESSION_ERROR, code::PROTOCOL_ERROR]);
pub(crate) const SIZE: Due = Due::Connection(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]);
pub(crate) const FLOW: Due = Due::Connection(&[code::FLOW_CONTROL_ERROR, code::PROTOCOL_ERROR]);
pub(crate) const PROTOCOL: Due = Due::Connection(&[code::PROTOCOL_ERROR]);
/// Behind an `END_STREAM`, not behind a reset: an error of the connection.
pub(crate) const GONE: Due = Due::Connection(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]);
/// A malformed message (RFC 9113 section 8.1.1): what the library judges is no answer of ours.
pub(crate) const MALFORMED: Due = Due::Stream(&[code::PROTOCOL_ERROR]);
pub(crate) const CLOSED: Due = Due::Stream(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]);

#[test]
fn section_3_4_prefaces() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    // Another frame where SETTINGS are due: the end, or at least no harm.
    let others = [
        Frame::ping([0; 8]),
        Frame::window_update(0, 1),
        Frame::settings_ack(),
        Frame::data(1, "x"),
        Frame::raw(kind::CONTINUATION, 0, 1, "x"),
    ];
    for frame in others {
        let mut client = h2::Client::bare(proxy.address());
        client.opened(1, "GET");
        client.greet_and(&[frame]);
        let _ = client.wait_for(Duration::from_millis(200), |c| c.closed().is_some());
        still_well(&proxy);
    }
    let count = origin
        .requests()
        .iter()
        .filter(|r| r.path() != "/well")
        .count();
    assert_eq!(count, 0);
}

#[test]
fn section_3_4_what_is_no_preface_is_no_connection() {
    let table = Table::new();
    const WRONG: &str = "INVALID CONNECTION PREFACE\r\n\r\n";
    let mut client = Client::connect(table.relaying.address());
    client.send(WRONG).read_until_close();
    // Who agreed on HTTP/2 is told our settings, and nothing more.
    let mut client = table.tls.connect(table.relaying.address(), "a.test");
    client.send(WRONG);
    let [_, high, low, of_kind, ..] = client.read_bytes(9)[..] else {
        panic!("no head of a frame");
    };
    assert_eq!(of_kind, kind::SETTINGS);
    client.read_bytes(usize::from(high) << 8 | usize::from(low));
    client.expect_close(PATIENCE);
    still_well(&table.relaying);
    assert_eq!(table.origin.requests().len(), 1);
}

#[test]
fn sections_4_1_to_4_3_frames() {
    play(&[
        ("an unknown type", Due::Fine, |c| {
            let _ = c.try_send(&Frame::raw(0x16, 0, 0, "anything"));
        }),
        ("unknown flags", Due::Fine, |c| {
            let _ = c.try_send(&Frame::ping([0; 8]).flag(0x16 & !flag::ACK));
        }),
        ("the reserved bit", Due::Fine, |c| {
            let _ = c.try_send(&Frame::raw(kind::PING, 0, 0x8000_0000, [0; 8]));
        }),
        ("DATA of 16384 bytes", Due::Answer, |c| {
            say(c, &[open(), Frame::data(1, [b'x'; 16_384]).end_stream()]);
        }),
        (
            "DATA of 16385 bytes",
            Due::Stream(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]),
            |c| {
                say(c, &[open(), Frame::data(1, [b'x'; 16_385])]);
            },
        ),
        ("HEADERS of 16385 bytes", SIZE, |c| {
            let long = block().literal("x", [b'x'; 16_384]);
            say(c, &[Frame::headers(1, long).end_stream()]);
        }),
        ("a literal cut short", COMPRESSION, |c| {
            say(c, &[Frame::headers(1, [0x40, 5, b'x']).end_stream()]);
        }),
        ("PRIORITY within a block", PROTOCOL, |c| {
            say(
                c,
                &[whole().unflag(flag::END_HEADERS), Frame::priority(1, 0, 1)],
            );
        }),
        ("another stream's HEADERS within a block", PROTOCOL, |c| {
            say(
                c,
                &[
                    whole().unflag(flag::END_HEADERS),
                    Frame::headers(3, block()),
                ],
            );
        }),
        ("an unknown type within a block", PROTOCOL, |c| {
            say(
                c,
                &[
                    whole().unflag(flag::END_HEADERS),
                    Frame::raw(0x16, 0, 0, "x"),
                ],
            );
        }),
    ]);
}

#[test]
fn section_5_1_states_of_streams() {
    play(&[
        ("idle: DATA", PROTOCOL, |c| say(c, &[Frame::data(1, "x")])),
        ("idle: RST_STREAM", PROTOCOL, |c| {
            say(c, &[Frame::reset(1, code::CANCEL)])
        }),
        ("idle: WINDOW_UPDATE", PROTOCOL, |c| {
            say(c, &[Frame::window_update(1, 100)])
        }),
        ("idle: CONTINUATION", PROTOCOL, |c| {
            say(c, &[Frame::continuation(1, block())])
        }),
        ("idle: PRIORITY", Due::Fine, |c| {
            say(c, &[Frame::priority(1, 0, 255)])
        }),
        ("half closed: DATA", CLOSED, |c| {
            say(c, &[whole(), Frame::data(1, "x")])
        }),
        ("half closed: HEADERS", CLOSED, |c| {
            say(c, &[whole(), whole()])
        }),
        ("half closed: CONTINUATION", PROTOCOL, |c| {
            say(
                c,
                &[
                    whole(),
                    Frame::continuation(1, block()).flag(flag::END_HEADERS),
                ],
            );
        }),
        ("half closed: WINDOW_UPDATE", Due::Answer, |c| {
            say(c, &[whole(), Frame::window_update(1, 100)]);
        }),
        ("half closed: PRIORITY", Due::Answer, |c| {
            say(c, &[whole(), Frame::priority(1, 0, 1)])
        }),
        (
            "half closed for lack of room: WINDOW_UPDATE",
            Due::Answer,
            |c| {
                without_room(c);
                say(c, &[whole()]);
                c.head(1);
                c.grant(1, 1);
                c.read_body(1, 1);
                c.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]));
            },
        ),
        ("half closed for lack of room: PRIORITY", Due::Answer, |c| {
            without_room(c);
            say(c, &[whole()]);
            c.head(1);
            let _ = c.try_send(&Frame::priority(1, 0, 255));
            c.grant(1, 1);
            c.read_body(1, 1);
            c.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]));
        }),
        ("half closed for lack of room: RST_STREAM", Due::Fine, |c| {
            without_room(c);
            say(c, &[whole()]);
            c.head(1);
            c.cancel(1, code::CANCEL);
            c.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]));
        }),
        ("half closed: RST_STREAM", Due::Fine, |c| {
            say(c, &[whole()]);
            c.cancel(1, code::CANCEL);
        }),
    ]);
}

#[test]
fn section_5_1_streams_that_are_over() {
    play(&[
        ("reset: DATA", CLOSED, |c| {
            say(
                c,
                &[open(), Frame::reset(1, code::CANCEL), Frame::data(1, "x")],
            );
        }),
        ("reset: HEADERS", CLOSED, |c| {
            say(c, &[open(), Frame::reset(1, code::CANCEL), whole()]);
        }),
        ("reset: CONTINUATION", PROTOCOL, |c| {
            say(
                c,
                &[
                    open(),
                    Frame::reset(1, code::CANCEL),
                    Frame::continuation(1, block()),
                ],
            );
        }),
        ("closed: DATA", CLOSED, |c| {
            say(c, &[whole()]);
            c.try_answer(1);
            let _ = c.try_send(&Frame::data(1, "x"));
        }),
        ("closed: HEADERS", GONE, |c| {
            say(c, &[whole()]);
            c.try_answer(1);
            let _ = c.try_send(&whole());
        }),
        ("closed: CONTINUATION", PROTOCOL, |c| {
            say(c, &[whole()]);
            c.try_answer(1);
            let _ = c.try_send(&Frame::continuation(1, block()).flag(flag::END_HEADERS));
        }),
        ("closed: WINDOW_UPDATE", Due::Answer, |c| {
            say(c, &[whole()]);
            c.try_answer(1);
            let _ = c.try_send(&Frame::window_update(1, 1));
        }),
        ("closed: PRIORITY", Due::Answer, |c| {
            say(c, &[whole()]);
            c.try_answer(1);
            let _ = c.try_send(&Frame::priority(1, 0, 1));
        }),
    ]);
}

#[test]
fn section_5_1_1_numbers_of_streams() {
    play(&[
        ("an even number", PROTOCOL, |c| {
            c.opened(1, "GET");
            let _ = c.try_send(&Frame::headers(2, block()).end_stream());
        }),
        ("a smaller number", PROTOCOL, |c| {
            c.opened(5, "GET");
            let _ = c.try_send(&Frame::headers(5, block()).end_stream());
            c.opened(3, "GET");
            let _ = c.try_send(&Frame::headers(3, block()).end_stream());
        }),
        ("numbers left out", Due::Answer, |c| {
            say(c, &[whole()]);
            c.try_answer(1);
            c.opened(1001, "GET");
            let _ = c.try_send(&Frame::headers(1001, block()).end_stream());
            c.try_answer(1001);
        }),
    ]);
}

#[test]
fn section_5_1_2_one_stream_too_many() {
    let origin = Origin::start(|_| Reply::stall());
    let proxy = in_front_of(&origin);
    let mut client = h2::Client::connect(proxy.address());
    for _ in 0..100 {
        client.open(&Head::get("/"));
    }
    origin.wait_for_heads(100, PATIENCE);
    let stream = client.open(&Head::get("/"));
    client.expect_reset(stream, &[code::REFUSED_STREAM, code::PROTOCOL_ERROR]);
    assert_eq!(origin.requests().len(), 100);
}

#[test]
fn section_5_1_2_streams_that_wait_for_room_count() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    let mut client = h2::Client::connect(proxy.address());
    let most = client.setting(setting::MAX_CONCURRENT_STREAMS).unwrap();
    client.grants(Grants::None);
    without_room(&mut client);
    let streams: Vec<u32> = (0..most).map(|_| client.open(&Head::get("/"))).collect();
    for stream in streams {
        assert_eq!(client.head(stream).status, 200);
    }
    let one_more = client.open(&Head::get("/"));
    client.expect_reset(one_more, &[code::REFUSED_STREAM, code::PROTOCOL_ERROR]);
}

#[test]
fn sections_5_3_to_5_5_priorities_errors_and_extensions() {
    play(&[
        ("HEADERS with a priority", Due::Answer, |c| {
            say(c, &[whole().prioritized(0, 255)])
        }),
        ("HEADERS with a priority and padding", Due::Answer, |c| {
            say(c, &[whole().prioritized(0x8000_0000, 0).padded(8)]);
        }),
        ("HEADERS that depend on themselves", MALFORMED, |c| {
            say(c, &[whole().prioritized(1, 255)])
        }),
        ("PRIORITY that depends on itself", MALFORMED, |c| {
            say(c, &[Frame::priority(1, 1, 255)])
        }),
        ("PRIORITY for a later stream", Due::Answer, |c| {
            say(c, &[Frame::priority(3, 0, 255), whole()]);
        }),
        ("PRIORITY upon a stream to come", Due::Answer, |c| {
            say(c, &[Frame::priority(3, 1, 0), whole()]);
        }),
        ("PRIORITY with the exclusive bit", Due::Answer, |c| {
            say(c, &[Frame::priority(1, 0x8000_0000, 0), whole()]);
        }),
        ("PING on a stream, then the end", PROTOCOL, |c| {
            c.opened(3, "GET");
            let _ = c.try_send(&Frame::raw(kind::PING, 0, 3, [0; 8]));
        }),
        ("a lower priority on a stream unknown", Due::Answer, |c| {
            say(c, &[whole().prioritized(77, 9)])
        }),
        ("PING of a wrong length, then the end", SIZE, |c| {
            let _ = c.try_send(&Frame::raw(kind::PING, 0, 0, [0; 6]));
        }),
        ("an unknown type of any length", Due::Fine, |c| {
            let _ = c.try_send_all(&[
                Frame::raw(0xff, 0xff, 7, [0; 16_384]),
                Frame::raw(0xf0, 0, 0, ""),
            ]);
        }),
    ]);
}

#[test]
fn section_3_4_settings_come_first() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    for frame in [whole(), Frame::ping([0; 8]), Frame::window_update(0, 1)] {
        let mut client = h2::Client::bare(proxy.address());
        client.opened(1, "GET");
        client.greet_and(std::slice::from_ref(&frame));
        let _ = client.wait_for(PATIENCE, |c| c.closed().is_some());
        assert!(client.closed().is_some(), "{frame}");
    }
    assert_eq!(origin.requests().len(), 0);
}
