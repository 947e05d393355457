//! What a hostile client can make the proxy keep over HTTP/2: rows B09 to B13, B16 and B18. Bounds
//! are bytes of memory, windows at the end, and what is under way when nothing should be.

use std::time::{Duration, Instant};

use croupier_testkit::h2::{self, Block, Frame, Head, code, flag, setting};
use croupier_testkit::wire::pattern;
use croupier_testkit::{Origin, Reply, wait_until};

use crate::h2_floods::{GROWTH_MAX, all_is_well, behind, connect, echo};
use crate::prelude::SOON;

#[test]
fn b09_a_header_bomb_is_refused_before_it_is_unpacked() {
    let origin = echo();
    let proxy = behind(&origin, "[limits]\nh2_resets = 10000\n");
    assert_eq!(connect(&proxy).get("/good").status, 200);
    let before = proxy.rss_bytes();
    let head = || Block::new().lines(Head::get("/evil").0);
    for (what, block) in [
        (
            "a: and 60000 of it",
            head().insert("a", "").indexed_often(62, 60_000),
        ),
        (
            "a line of 4000 bytes and 15000 of it",
            head()
                .insert("a", "v".repeat(4000))
                .indexed_often(62, 15_000),
        ),
        ("60000 crumbs", head().indexed_often(32, 60_000)),
        ("101 crumbs", head().indexed_often(32, 101)),
        ("1000 lines of the table", head().indexed_often(16, 1000)),
        ("60000 hosts", head().indexed_often(38, 60_000)),
    ] {
        let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
        let mut client = h2::Client::connect_with(proxy.address(), &settings);
        let streams: Vec<u32> = (0..100)
            .map_while(|_| {
                if client.closed().is_some() || client.goaways().iter().any(|g| g.code != 0) {
                    return None;
                }
                let stream = client.open_block(&block, flag::END_STREAM);
                client.idle(Duration::from_micros(10));
                Some(stream)
            })
            .collect();
        for stream in streams {
            let _ = client.wait_for(SOON, |c| {
                c.so_far(stream).is_over() || c.so_far(stream).status > 0 || c.closed().is_some()
            });
            let answer = client.so_far(stream).clone();
            let is_refused = answer.is_refusal() || client.closed().is_some();
            assert!(is_refused, "{what}: {}", answer.status);
        }
        let grown = proxy.rss_bytes().saturating_sub(before);
        assert!(grown < GROWTH_MAX, "{what}: {grown} bytes are held");
    }
    all_is_well(&proxy, "bombs");
    assert!(origin.requests().iter().all(|r| r.path() == "/good"));
}

#[test]
fn b10_a_window_that_stays_closed_is_given_up() {
    let body = pattern(1 << 20);
    let origin = Origin::builder()
        .forget_bodies()
        .start(move |request| match request.path() {
            "/good" => Reply::ok("good"),
            _ => Reply::ok(&body),
        });
    let proxy = behind(&origin, "[timeouts]\nclient_send = \"1s\"\n");
    assert_eq!(connect(&proxy).get("/good").status, 200);
    let before = proxy.rss_bytes();
    // Nothing; signs of life; updates of one byte.
    for (what, alive) in [("silence", 0), ("pings", 1), ("updates of one byte", 2)] {
        let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
        let mut client = h2::Client::connect_with(proxy.address(), &settings);
        let count = origin.requests().len();
        let streams: Vec<u32> = (0..50).map(|_| client.open(&Head::get("/evil"))).collect();
        origin.wait_for_heads(count + 50, SOON);
        let began = Instant::now();
        let over = |client: &h2::Client| {
            let all = streams.iter();
            client.closed().is_some() || all.copied().all(|s| client.so_far(s).is_over())
        };
        while !over(&client) && began.elapsed() < 2 * SOON {
            if alive > 0 {
                let _ = client.try_send(&Frame::ping([3; 8]));
            }
            if alive > 1 {
                for stream in &streams {
                    if !client.so_far(*stream).is_over() {
                        let _ = client.try_send(&Frame::window_update(*stream, 1));
                    }
                }
            }
            client.idle(Duration::from_millis(100));
        }
        assert!(over(&client), "{what}: streams wait for a window for ever");
        let grown = proxy.rss_bytes().saturating_sub(before);
        assert!(grown < GROWTH_MAX, "{what}: {grown} bytes are held");
        drop(client);
        origin.wait_for_connections(SOON, |all| {
            all.iter().filter(|c| c.ended.is_none()).all(|c| c.is_idle)
        });
    }
    all_is_well(&proxy, "closed windows");
}

#[test]
fn b10_a_slow_reader_who_reads_is_not_given_up() {
    let body = pattern(300_000);
    let origin = Origin::start(move |_| Reply::ok(&body));
    let proxy = behind(&origin, "[timeouts]\nclient_send = \"1s\"\n");
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut client = h2::Client::connect_with(proxy.address(), &settings);
    client.grants(h2::Grants::Connection);
    let stream = client.open(&Head::get("/"));
    while !client.so_far(stream).is_over() {
        client.grant(stream, 10_000);
        client.idle(Duration::from_millis(100));
    }
    let answer = client.answer(stream);
    assert!(
        answer.is_complete,
        "{:?} after {}",
        answer.reset, answer.body_length
    );
}

#[test]
fn b11_a_stream_that_was_reset_leaves_no_ghost() {
    let origin = Origin::start(|request| match request.path() {
        "/good" => Reply::ok("good"),
        _ => Reply::stall(),
    });
    let proxy = behind(&origin, "[limits]\nh2_control_frames = 100000\n");
    let mut client = connect(&proxy);
    for round in 1..=10 {
        let streams: Vec<u32> = (0..100).map(|_| client.open(&Head::get("/evil"))).collect();
        origin.wait_for_heads(round * 100, SOON);
        for stream in streams {
            client.cancel(stream, code::CANCEL);
        }
        client.expect_alive();
        origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    }
    assert_eq!(client.get("/good").text(), "good");
    all_is_well(&proxy, "ghosts");
    assert!(wait_until(SOON, || origin.open_connections() <= 3));
}

#[test]
fn b12_a_client_does_not_choose_how_much_its_encoder_keeps() {
    let origin =
        Origin::start(|request| Reply::ok("x").header("X-Long", &request.path().repeat(40)));
    let proxy = behind(&origin, "");
    let settings = [(setting::HEADER_TABLE_SIZE, u32::MAX)];
    let mut client = h2::Client::connect_with(proxy.address(), &settings);
    assert_eq!(client.get("/warm").status, 200);
    let before = proxy.rss_bytes();
    for number in 0..3000 {
        assert_eq!(client.get(&format!("/{number:06}")).status, 200);
    }
    assert!(client.table_bytes() <= 4096, "{}", client.table_bytes());
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes are held");
    for size in [0, 4096, 100, 0, 1 << 20, 200] {
        client.send(&Frame::settings(&[(setting::HEADER_TABLE_SIZE, size)]));
        for number in 0..5 {
            assert_eq!(client.get(&format!("/{size}/{number}")).status, 200);
        }
    }
    // Sizes that change within a block.
    let mut client = connect(&proxy);
    let sizes = (0..1000).fold(Block::new(), |block, n| block.size(n % 4096));
    let block = sizes.lines(Head::get("/sizes").0);
    let stream = client.open_block(block, flag::END_STREAM);
    let answer = client.try_answer(stream);
    assert!(
        answer.status == 200 || client.closed().is_some(),
        "{}",
        answer.status
    );
    all_is_well(&proxy, "tables");
}

#[test]
fn b13_no_path_loses_window() {
    let origin = Origin::start(|request| match request.path() {
        "/early" => Reply::ok("early").status(403),
        _ => Reply::ok(request.body_length.to_string()),
    });
    let proxy = behind(
        &origin,
        "[limits]\nh2_control_frames = 1000000\nh2_resets = 10000\n",
    );
    let mut client = connect(&proxy);
    assert_eq!(client.get("/good").status, 200);
    client.wait("the whole window", |c| c.window(0) >= 1 << 20);
    // 1500 bodies of 4 KiB and as much padding again are many times the window.
    for number in 0..1500 {
        let path = if number % 5 == 0 { "/early" } else { "/body" };
        let head = Head::post(path);
        let head = if number % 7 == 0 {
            head.field("content-length", "3")
        } else {
            head
        };
        let stream = client.open_with_body(&head);
        for _ in 0..8 {
            client.wait("a window", |c| c.window(0) > 1000);
            let _ = client.try_send(&Frame::data(stream, [b'x'; 512]).padded(255));
        }
        match number % 3 {
            0 => client.cancel(stream, code::CANCEL),
            _ if client.so_far(stream).is_over() => {}
            _ => {
                client.finish(stream);
                client.answer(stream);
            }
        }
    }
    client.expect_alive();
    // Half of it may be kept back until an update is worth a frame.
    client.wait("the window to open again", |c| c.window(0) >= 512 << 10);
    let answer = client.request(&Head::post("/body"), pattern(3 << 20));
    assert_eq!(answer.text(), (3 << 20).to_string());
    all_is_well(&proxy, "windows");
}

#[test]
fn b16_a_hundred_streams_reset_at_once_and_again() {
    let origin = Origin::start(|request| match request.path() {
        "/good" => Reply::ok("good"),
        _ => Reply::stall(),
    });
    let proxy = behind(
        &origin,
        "[limits]\nh2_streams = 1000\nh2_control_frames = 1000000\n",
    );
    let mut client = connect(&proxy);
    let cpu = |rounds: usize, client: &mut h2::Client| {
        let before = proxy.cpu_time();
        for _ in 0..rounds {
            let streams: Vec<u32> = (0..200)
                .map(|_| client.open(&Head::post("/evil")))
                .collect();
            client.expect_alive();
            let resets: Vec<Frame> = streams
                .iter()
                .map(|s| Frame::reset(*s, code::CANCEL))
                .collect();
            client.try_send_all(&resets).unwrap();
            client.expect_alive();
        }
        proxy.cpu_time() - before
    };
    let (first, later) = (cpu(3, &mut client), cpu(3, &mut client));
    // What went before costs nothing now.
    assert!(
        later < first * 3 + Duration::from_millis(200),
        "{first:?}, then {later:?}"
    );
    assert_eq!(client.get("/good").text(), "good");
    all_is_well(&proxy, "resets");
}

#[test]
fn b18_nothing_works_on_a_stream_after_its_end() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = behind(
        &origin,
        "[limits]\nh2_resets = 10000\nh2_control_frames = 1000000\n",
    );
    let trailers = |stream| Frame::headers(stream, Block::new().literal("x-t", "1")).end_stream();
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        for round in 0..20 {
            let mut client = connect(&proxy);
            client.plain();
            let stream = client.next_stream();
            client.opened(stream, "POST");
            let block = Block::new().lines(Head::post(format!("/{round}")).0);
            let mut frames = vec![Frame::headers(stream, block)];
            for what in order {
                frames.push(match what {
                    0 => Frame::reset(stream, code::CANCEL),
                    1 => Frame::data(stream, "data"),
                    _ => trailers(stream),
                });
            }
            let _ = client.try_send_all(&frames);
            // A frame behind the end may end the connection; nothing else may.
            if !client.ping() {
                let codes: Vec<u32> = client.goaways().iter().map(|g| g.code).collect();
                assert!(
                    codes
                        .iter()
                        .any(|c| [code::STREAM_CLOSED, code::PROTOCOL_ERROR].contains(c)),
                    "{order:?}: {codes:?}"
                );
            }
        }
    }
    for request in origin.requests() {
        assert!(!request.complete || request.text() == "data" || request.text().is_empty());
    }
    all_is_well(&proxy, "late frames");
}
