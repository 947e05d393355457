//! RFC 9113 section 6: each type of frame, lawful and not.

use std::time::Duration;

use croupier_testkit::h2::{self, Frame, Head, code, flag, kind, setting};
use croupier_testkit::{Event, Origin, Reply};

use crate::h2_spec::{Due, FLOW, PATIENCE, PROTOCOL, SIZE, block, open, play, say, whole};
use crate::prelude::in_front_of;

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
        ("DATA with the flag and no length", SIZE, |c| {
            say(c, &[open(), Frame::data(1, "").flag(flag::PADDED)]);
        }),
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
        ("HEADERS too short for their priority", SIZE, |c| {
            say(c, &[Frame::headers(1, [0, 0, 0]).flag(flag::PRIORITY)]);
        }),
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
            Due::Stream(&[code::FRAME_SIZE_ERROR, code::PROTOCOL_ERROR]),
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
        ("RST_STREAM of 3 bytes", SIZE, |c| {
            say(c, &[open(), Frame::raw(kind::RST_STREAM, 0, 1, [0; 3])]);
        }),
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
        ("an ACK with a payload", SIZE, |c| {
            let _ = c.try_send(&Frame::raw(kind::SETTINGS, flag::ACK, 0, [0; 6]));
        }),
        ("SETTINGS on a stream", PROTOCOL, |c| {
            c.opened(1, "GET");
            let _ = c.try_send(&Frame::raw(kind::SETTINGS, 0, 1, [0, 3, 0, 0, 0, 100]));
        }),
        ("SETTINGS of 3 bytes", SIZE, |c| {
            let _ = c.try_send(&Frame::raw(kind::SETTINGS, 0, 0, [0, 3, 0]));
        }),
        ("ENABLE_PUSH of 2", PROTOCOL, |c| {
            let _ = c.try_send(&Frame::settings(&[(setting::ENABLE_PUSH, 2)]));
        }),
        ("INITIAL_WINDOW_SIZE of 2^31", FLOW, |c| {
            let _ = c.try_send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)]));
        }),
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
        ("PING of 9 bytes", SIZE, |c| {
            let _ = c.try_send(&Frame::raw(kind::PING, 0, 0, [0; 9]));
        }),
        ("GOAWAY on a stream", PROTOCOL, |c| {
            c.opened(1, "GET");
            let _ = c.try_send(&Frame {
                stream: 1,
                ..Frame::goaway(0, 0, "")
            });
        }),
        ("GOAWAY of 7 bytes", SIZE, |c| {
            let _ = c.try_send(&Frame::raw(kind::GOAWAY, 0, 0, [0; 7]));
        }),
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
        ("WINDOW_UPDATE of 3 bytes", SIZE, |c| {
            let _ = c.try_send(&Frame::raw(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1]));
        }),
        ("a window above 2^31-1 on the connection", FLOW, |c| {
            let most = Frame::window_update(0, 0x7fff_ffff);
            let _ = c.try_send_all(&[most.clone(), most]);
        }),
        (
            "a window above 2^31-1 on a stream",
            Due::Stream(&[code::FLOW_CONTROL_ERROR]),
            |c| {
                let most = Frame::window_update(1, 0x7fff_ffff);
                say(c, &[open(), most.clone(), most]);
            },
        ),
        ("a window above 2^31-1 by a setting", FLOW, |c| {
            // At once: after an answer there would be no window that could exceed anything.
            let most = Frame::window_update(1, 0x7fff_ffff - 65_535);
            let setting = Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
            say(c, &[open(), most, setting]);
        }),
    ]);
}

#[test]
fn section_6_9_2_windows_follow_the_setting() {
    fn set(client: &mut h2::Client, window: u32) {
        let acks = client.settings_acks();
        client.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, window)]));
        client.wait("the ACK", |client| client.settings_acks() > acks);
    }
    play(&[
        ("from 0 to 1 behind the request", Due::Answer, |c| {
            c.grants(h2::Grants::Connection);
            set(c, 0);
            say(c, &[whole()]);
            set(c, 1);
            c.read_body(1, 1);
            c.idle(Duration::from_millis(5));
            assert_eq!(c.so_far(1).body_length, 1);
            set(c, 65_535);
            c.grants(h2::Grants::All);
        }),
        ("from 1 to a debt of 1", Due::Answer, |c| {
            c.grants(h2::Grants::Connection);
            set(c, 1);
            say(
                c,
                &[Frame::headers(1, h2::Block::new().lines(Head::get("/large").0)).end_stream()],
            );
            c.read_body(1, 1);
            set(c, 0);
            // One byte of debt, two granted: one byte may come.
            c.grant(1, 2);
            c.read_body(1, 2);
            c.idle(Duration::from_millis(5));
            assert_eq!(c.so_far(1).body_length, 2);
            set(c, 65_535);
            c.grant(1, 1 << 20);
        }),
    ]);
}

#[test]
fn section_6_9_more_than_the_window_is_not_taken() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::builder()
        .receive_buffer(32 << 10)
        .at_head(move |_| Some(Reply::wait_for(&told).then(Reply::close())))
        .start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    // Beyond the window of one stream, and beyond that of the connection on many.
    for streams in [1, 6] {
        let mut client = h2::Client::connect(proxy.address());
        let open: Vec<u32> = (0..streams)
            .map(|_| client.open_with_body(&Head::post("/")))
            .collect();
        let is_over = |c: &h2::Client| {
            c.closed().is_some() || open.iter().any(|s| c.so_far(*s).reset.is_some())
        };
        let mut sent = 0;
        while sent < 4096 && !is_over(&client) {
            let stream = open[sent % open.len()];
            if client.try_send(&Frame::data(stream, [0; 16_384])).is_err() {
                break;
            }
            if sent % 32 == 0 {
                client.idle(Duration::from_micros(1));
            }
            sent += 1;
        }
        let _ = client.wait_for(PATIENCE, is_over);
        let resets = open.iter().filter_map(|s| client.so_far(*s).reset);
        let codes: Vec<u32> = resets
            .chain(client.goaways().iter().map(|g| g.code))
            .collect();
        assert!(
            codes.contains(&code::FLOW_CONTROL_ERROR),
            "{streams}: {codes:?} after {sent}"
        );
    }
    go.fire();
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
