//! RFC 9113 section by section, as conformance suites ask it: what is lawful works, what is not
//! ends the stream or the connection with the right code. Messages are in `h2_spec_messages.rs`.

use std::time::Duration;

use croupier_testkit::h2::{self, Block, Frame, Head, PREFACE, code, flag, kind, setting};
use croupier_testkit::{Origin, Proxy, Reply};

use crate::prelude::in_front_of;

const PATIENCE: Duration = Duration::from_secs(5);

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

/// Plays each case on a connection of its own and fails with all that went wrong.
#[track_caller]
pub(crate) fn play(cases: &[Case]) {
    let origin = Origin::start(|request| match request.path() {
        "/large" => Reply::ok(vec![b'x'; 200_000]),
        _ => Reply::ok("x"),
    });
    let proxy = in_front_of(&origin);
    let mut flaws = Vec::new();
    for (name, due, act) in cases {
        let mut client = h2::Client::connect(proxy.address()).patience(PATIENCE);
        client.plain();
        act(&mut client);
        if let Err(flaw) = judge(&mut client, *due) {
            flaws.push(format!("{name}: wanted {due:?}: {flaw}\n{client:?}"));
        }
        still_well(&proxy);
    }
    let count = flaws.len();
    assert!(
        flaws.is_empty(),
        "{count} of {}:\n{}",
        cases.len(),
        flaws.join("\n")
    );
    assert_eq!(origin.violations(), []);
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

/// Sends frames on a connection on which stream 1 is opened by them.
pub(crate) fn say(client: &mut h2::Client, frames: &[Frame]) {
    client.opened(1, "POST");
    let _ = client.try_send_all(frames);
}

const PROTOCOL: Due = Due::Connection(&[code::PROTOCOL_ERROR]);
const SIZE: Due = Due::Connection(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]);
const CLOSED: Due = Due::Stream(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]);

#[test]
fn section_3_4_prefaces() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    // Another frame, or none, where SETTINGS are due.
    for frame in [
        Frame::ping([0; 8]),
        Frame::window_update(0, 1),
        whole(),
        Frame::settings_ack(),
    ] {
        let mut client = h2::Client::bare(proxy.address());
        client.send_bytes(PREFACE);
        client.opened(1, "GET");
        let _ = client.try_send(&frame);
        let _ = client.wait_for(Duration::from_secs(2), |c| c.closed().is_some());
        let answer = client.so_far(1);
        // RFC 9113 wants the end; an exchange that was never greeted must not be answered.
        assert!(client.closed().is_some() || answer.status == 0, "{frame}");
    }
    assert_eq!(origin.requests().len(), 0);
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
            Due::Stream(&[code::FRAME_SIZE_ERROR]),
            |c| {
                say(c, &[open(), Frame::data(1, [b'x'; 16_385])]);
            },
        ),
        (
            "HEADERS of 16385 bytes",
            Due::Connection(&[code::FRAME_SIZE_ERROR]),
            |c| {
                let long = block().literal("x", [b'x'; 16_384]);
                say(c, &[Frame::headers(1, long).end_stream()]);
            },
        ),
        (
            "a literal cut short",
            Due::Connection(&[code::COMPRESSION_ERROR]),
            |c| {
                say(c, &[Frame::headers(1, [0x40, 5, b'x']).end_stream()]);
            },
        ),
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
        ("half closed: RST_STREAM", Due::Fine, |c| {
            say(c, &[whole()]);
            c.cancel(1, code::CANCEL);
        }),
        (
            "reset: DATA",
            Due::Connection(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]),
            |c| {
                say(
                    c,
                    &[open(), Frame::reset(1, code::CANCEL), Frame::data(1, "x")],
                );
            },
        ),
        (
            "reset: HEADERS",
            Due::Connection(&[code::STREAM_CLOSED, code::PROTOCOL_ERROR]),
            |c| {
                say(c, &[open(), Frame::reset(1, code::CANCEL), whole()]);
            },
        ),
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
        ("closed: HEADERS", CLOSED, |c| {
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
fn sections_5_3_to_5_5_priorities_errors_and_extensions() {
    play(&[
        ("HEADERS with a priority", Due::Answer, |c| {
            say(c, &[whole().prioritized(0, 255)])
        }),
        ("HEADERS with a priority and padding", Due::Answer, |c| {
            say(c, &[whole().prioritized(0x8000_0000, 0).padded(8)]);
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
fn sections_6_1_and_6_2_data_and_headers() {
    play(&[
        ("DATA on the connection", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::data(0, "x"));
        }),
        ("DATA", Due::Answer, |c| {
            say(c, &[open(), Frame::data(1, "x").end_stream()])
        }),
        ("DATA twice", Due::Answer, |c| {
            say(
                c,
                &[
                    open(),
                    Frame::data(1, "x"),
                    Frame::data(1, "y").end_stream(),
                ],
            );
        }),
        ("DATA with padding", Due::Answer, |c| {
            say(c, &[open(), Frame::data(1, "x").padded(255).end_stream()]);
        }),
        ("DATA with padding as long as the frame", PROTOCOL, |c| {
            say(
                c,
                &[open(), Frame::data(1, [4, 0, 0, 0]).flag(flag::PADDED)],
            );
        }),
        (
            "DATA with the flag and no length",
            Due::Connection(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR]),
            |c| {
                say(c, &[open(), Frame::data(1, "").flag(flag::PADDED)]);
            },
        ),
        ("HEADERS on the connection", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::headers(0, block()));
        }),
        ("HEADERS with padding", Due::Answer, |c| {
            say(c, &[whole().padded(100)])
        }),
        ("HEADERS with padding as long as the frame", PROTOCOL, |c| {
            let bytes = block().0;
            let length = u8::try_from(bytes.len() + 1).unwrap();
            say(
                c,
                &[Frame::headers(1, [&[length][..], &bytes].concat()).flag(flag::PADDED)],
            );
        }),
        (
            "HEADERS too short for their priority",
            Due::Connection(&[code::PROTOCOL_ERROR, code::FRAME_SIZE_ERROR]),
            |c| {
                say(c, &[Frame::headers(1, [0, 0, 0]).flag(flag::PRIORITY)]);
            },
        ),
        ("an empty block", Due::Refusal, |c| {
            say(c, &[Frame::headers(1, "").end_stream()])
        }),
    ]);
}

#[test]
fn sections_6_3_and_6_4_priority_and_rst_stream() {
    play(&[
        ("PRIORITY on the connection", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::priority(0, 3, 1));
        }),
        (
            "PRIORITY of 4 bytes",
            Due::Stream(&[code::FRAME_SIZE_ERROR]),
            |c| {
                say(c, &[open(), Frame::raw(kind::PRIORITY, 0, 1, [0; 4])]);
            },
        ),
        ("PRIORITY", Due::Answer, |c| {
            say(c, &[Frame::priority(1, 0x8000_0003, 1), whole()])
        }),
        ("RST_STREAM on the connection", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::reset(0, code::CANCEL));
        }),
        ("RST_STREAM on an idle stream", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::reset(7, code::CANCEL));
        }),
        (
            "RST_STREAM of 3 bytes",
            Due::Connection(&[code::FRAME_SIZE_ERROR]),
            |c| {
                say(c, &[open(), Frame::raw(kind::RST_STREAM, 0, 1, [0; 3])]);
            },
        ),
        ("RST_STREAM", Due::Fine, |c| {
            say(c, &[open()]);
            c.cancel(1, code::CANCEL);
        }),
        ("RST_STREAM with an unknown code", Due::Fine, |c| {
            say(c, &[open()]);
            c.cancel(1, 0xff);
        }),
    ]);
}

#[test]
fn section_6_5_settings() {
    play(&[
        ("SETTINGS", Due::Fine, |c| {
            let acks = c.settings_acks();
            c.send(&Frame::settings(&[
                (setting::MAX_CONCURRENT_STREAMS, 5),
                (setting::ENABLE_PUSH, 0),
            ]));
            c.wait("the ACK", |c| c.settings_acks() == acks + 1);
        }),
        (
            "an ACK with a payload",
            Due::Connection(&[code::FRAME_SIZE_ERROR]),
            |c| {
                let _ = c.try_send(&Frame::raw(kind::SETTINGS, flag::ACK, 0, [0; 6]));
            },
        ),
        ("SETTINGS on a stream", PROTOCOL, |c| {
            c.opened(1, "GET");
            let _ = c.try_send(&Frame::raw(kind::SETTINGS, 0, 1, [0, 3, 0, 0, 0, 100]));
        }),
        (
            "SETTINGS of 3 bytes",
            Due::Connection(&[code::FRAME_SIZE_ERROR]),
            |c| {
                let _ = c.try_send(&Frame::raw(kind::SETTINGS, 0, 0, [0, 3, 0]));
            },
        ),
        ("ENABLE_PUSH of 2", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::settings(&[(setting::ENABLE_PUSH, 2)]));
        }),
        (
            "INITIAL_WINDOW_SIZE of 2^31",
            Due::Connection(&[code::FLOW_CONTROL_ERROR]),
            |c| {
                let _ = c.try_send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)]));
            },
        ),
        ("MAX_FRAME_SIZE of 16383", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::settings(&[(setting::MAX_FRAME_SIZE, 16_383)]));
        }),
        ("MAX_FRAME_SIZE of 2^24", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::settings(&[(setting::MAX_FRAME_SIZE, 1 << 24)]));
        }),
        ("an unknown setting", Due::Fine, |c| {
            let _ = c.try_send(&Frame::settings(&[(0xff, 1), (0, 0), (0xfafa, u32::MAX)]));
        }),
        ("ENABLE_CONNECT_PROTOCOL of a client", Due::Fine, |c| {
            let _ = c.try_send(&Frame::settings(&[(setting::ENABLE_CONNECT_PROTOCOL, 1)]));
        }),
        ("a setting twice: the later one counts", Due::Fine, |c| {
            let window = setting::INITIAL_WINDOW_SIZE;
            c.send(&Frame::settings(&[(window, 100), (window, 1)]));
            let acks = c.settings_acks();
            c.wait("the ACK", |c| c.settings_acks() > acks);
            c.grants(h2::Grants::Connection);
            let stream = c.open(&Head::get("/large"));
            c.read_body(stream, 1);
            c.idle(Duration::from_millis(30));
            assert_eq!(c.so_far(stream).body_length, 1);
            c.cancel(stream, code::CANCEL);
            c.send(&Frame::settings(&[(window, 65_535)]))
                .grants(h2::Grants::All);
        }),
    ]);
}

#[test]
fn sections_6_6_to_6_8_push_ping_and_goaway() {
    play(&[
        ("PUSH_PROMISE of a client", PROTOCOL, |c| {
            say(c, &[open(), Frame::push_promise(1, 2, block())]);
        }),
        (
            "PING is answered with what it said",
            Due::Fine,
            h2::Client::expect_alive,
        ),
        ("an answer to no PING", Due::Fine, |c| {
            let _ = c.try_send(&Frame::ping(*b"nonsense").flag(flag::ACK));
        }),
        ("PING on a stream", PROTOCOL, |c| {
            c.opened(1, "GET");
            let _ = c.try_send(&Frame::raw(kind::PING, 0, 1, [0; 8]));
        }),
        (
            "PING of 9 bytes",
            Due::Connection(&[code::FRAME_SIZE_ERROR]),
            |c| {
                let _ = c.try_send(&Frame::raw(kind::PING, 0, 0, [0; 9]));
            },
        ),
        ("GOAWAY on a stream", PROTOCOL, |c| {
            c.opened(1, "GET");
            let _ = c.try_send(&Frame {
                stream: 1,
                ..Frame::goaway(0, 0, "")
            });
        }),
        (
            "GOAWAY of 7 bytes",
            Due::Connection(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]),
            |c| {
                let _ = c.try_send(&Frame::raw(kind::GOAWAY, 0, 0, [0; 7]));
            },
        ),
        ("GOAWAY with an unknown code", Due::Answer, |c| {
            say(c, &[whole()]);
            c.try_answer(1);
        }),
    ]);
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    let mut client = h2::Client::connect(proxy.address());
    client.send(&Frame::goaway(0, 0xff, "what?"));
    // It may still be asked, or be closed; it must not hang.
    assert!(client.wait_for(PATIENCE, |c| c.closed().is_some()) || client.ping());
}

#[test]
fn section_6_9_windows() {
    play(&[
        ("WINDOW_UPDATE of 0 on the connection", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::window_update(0, 0));
        }),
        (
            "WINDOW_UPDATE of 0 on a stream",
            Due::Stream(&[code::PROTOCOL_ERROR]),
            |c| {
                say(c, &[open(), Frame::window_update(1, 0)]);
            },
        ),
        (
            "WINDOW_UPDATE of 3 bytes",
            Due::Connection(&[code::FRAME_SIZE_ERROR]),
            |c| {
                let _ = c.try_send(&Frame::raw(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1]));
            },
        ),
        (
            "a window above 2^31-1 on the connection",
            Due::Connection(&[code::FLOW_CONTROL_ERROR]),
            |c| {
                let most = Frame::window_update(0, 0x7fff_ffff);
                let _ = c.try_send_all(&[most.clone(), most]);
            },
        ),
        (
            "a window above 2^31-1 on a stream",
            Due::Stream(&[code::FLOW_CONTROL_ERROR]),
            |c| {
                let most = Frame::window_update(1, 0x7fff_ffff);
                say(c, &[open(), most.clone(), most]);
            },
        ),
        (
            "a window above 2^31-1 by a setting",
            Due::Connection(&[code::FLOW_CONTROL_ERROR]),
            |c| {
                say(c, &[open(), Frame::window_update(1, 0x7fff_ffff - 65_535)]);
                let _ = c.try_send(&Frame::settings(&[(
                    setting::INITIAL_WINDOW_SIZE,
                    0x7fff_ffff,
                )]));
            },
        ),
        (
            "more than the stream's window",
            Due::Stream(&[code::FLOW_CONTROL_ERROR]),
            |c| {
                say(
                    c,
                    &[Frame::headers(
                        1,
                        Block::new().lines(Head::post("/nowhere").0),
                    )],
                );
                // Without a look at what comes back, so no window opens again.
                for _ in 0..200 {
                    let _ = c.try_send(&Frame::data(1, [0; 16_384]));
                }
            },
        ),
    ]);
}

#[test]
fn section_6_9_a_window_of_one_byte_is_kept() {
    let origin = Origin::start(|_| Reply::ok("abcdef"));
    let proxy = in_front_of(&origin);
    let one = [(setting::INITIAL_WINDOW_SIZE, 1)];
    let mut client = h2::Client::connect_with(proxy.address(), &one);
    client.grants(h2::Grants::Connection);
    let stream = client.open(&Head::get("/"));
    for count in 1..=6 {
        client.read_body(stream, count);
        client.idle(Duration::from_millis(5));
        assert_eq!(client.so_far(stream).body_length, count);
        client.grant(stream, 1);
    }
    assert_eq!(client.answer(stream).text(), "abcdef");
    // A window may become negative, and opens only above zero.
    let hundred = [(setting::INITIAL_WINDOW_SIZE, 3)];
    let mut client = h2::Client::connect_with(proxy.address(), &hundred);
    client.grants(h2::Grants::Connection);
    let stream = client.open(&Head::get("/"));
    client.read_body(stream, 3);
    let acks = client.settings_acks();
    client.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
    client.wait("the ACK", |c| c.settings_acks() > acks);
    client.grant(stream, 2);
    client.idle(Duration::from_millis(30));
    assert_eq!(client.so_far(stream).body_length, 3);
    client.grant(stream, 2);
    client.read_body(stream, 4);
    client.idle(Duration::from_millis(30));
    assert_eq!(client.so_far(stream).body_length, 4);
    client.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 50)]));
    assert_eq!(client.answer(stream).text(), "abcdef");
}

#[test]
fn section_6_10_continuation() {
    play(&[
        ("CONTINUATION", Due::Answer, |c| {
            let bytes = block().0;
            let (first, second) = bytes.split_at(5);
            let head = Frame::headers(1, first)
                .end_stream()
                .unflag(flag::END_HEADERS);
            say(
                c,
                &[head, Frame::continuation(1, second).flag(flag::END_HEADERS)],
            );
        }),
        (
            "CONTINUATION byte by byte, one of them empty",
            Due::Answer,
            |c| {
                let bytes = block().0;
                let mut frames = vec![Frame::headers(1, "").end_stream().unflag(flag::END_HEADERS)];
                for piece in bytes.chunks(20) {
                    frames.push(Frame::continuation(1, piece));
                }
                frames.push(Frame::continuation(1, "").flag(flag::END_HEADERS));
                say(c, &frames);
            },
        ),
        ("DATA within a block", PROTOCOL, |c| {
            say(c, &[open().unflag(flag::END_HEADERS), Frame::data(1, "x")]);
        }),
        ("CONTINUATION on the connection", PROTOCOL, |c| {
            say(
                c,
                &[open().unflag(flag::END_HEADERS), Frame::continuation(0, "")],
            );
        }),
        ("CONTINUATION of another stream", PROTOCOL, |c| {
            say(
                c,
                &[
                    open().unflag(flag::END_HEADERS),
                    Frame::continuation(3, "").flag(flag::END_HEADERS),
                ],
            );
        }),
        ("CONTINUATION behind a whole block", PROTOCOL, |c| {
            say(
                c,
                &[open(), Frame::continuation(1, "").flag(flag::END_HEADERS)],
            );
        }),
        ("CONTINUATION behind the last one", PROTOCOL, |c| {
            let last = Frame::continuation(1, "").flag(flag::END_HEADERS);
            say(c, &[open().unflag(flag::END_HEADERS), last.clone(), last]);
        }),
        ("CONTINUATION behind DATA", PROTOCOL, |c| {
            say(
                c,
                &[
                    open(),
                    Frame::data(1, "x"),
                    Frame::continuation(1, "").flag(flag::END_HEADERS),
                ],
            );
        }),
    ]);
}
