//! Every limit of the table at its edge, and what an attacker can make grow.
//!
//! Rows G01 to G05, G09 to G11, G13 and G15 of the catalogue.

use std::time::{Duration, Instant};

use croupier_testkit::{
    Client, Connections, Event, Failure, Load, Origin, Proxy, Reply, wait_until, wire::pattern,
};

use crate::{
    prelude::{in_front_of, start},
    verdict::{CLOSE, SOON, Table, ask},
};

fn with(origin: &Origin, tables: &str) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\n{tables}\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ))
}

fn echo() -> Origin {
    Origin::start(|request| Reply::ok(request.path()))
}

/// A head of exactly this many bytes.
fn head_of(bytes: usize, line_max: usize) -> String {
    let mut head = String::from("GET / HTTP/1.1\r\nHost: a\r\n");
    while head.len() + 2 < bytes {
        let left = bytes - 2 - head.len();
        let line = if left <= line_max {
            left
        } else {
            (left - 6).min(line_max)
        };
        head.push_str("X: ");
        head.push_str(&"y".repeat(line - 5));
        head.push_str("\r\n");
    }
    head + "\r\n"
}

#[test]
fn heads_at_the_edge() {
    let origin = echo();
    let proxy = with(
        &origin,
        "[limits]\nhead_bytes = \"4KiB\"\nfield_bytes = \"1KiB\"\nfields = 20\ntarget_bytes = \"200B\"",
    );
    let fields = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(count - 1)
        )
    };
    let field = |bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "y".repeat(bytes - 3)
        )
    };
    let target =
        |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(bytes - 1));
    for (name, bytes, status) in [
        ("a head of 4096 bytes", head_of(4096, 800), 200),
        ("a head of 4100 bytes", head_of(4100, 800), 431),
        ("a head of 40000 bytes", head_of(40_000, 3000), 431),
        ("20 lines", fields(20), 200),
        ("21 lines", fields(21), 431),
        ("a line of 1024 bytes", field(1024), 200),
        ("a line of 1025 bytes", field(1025), 431),
        ("a target of 200 bytes", target(200), 200),
        ("a target of 201 bytes", target(201), 414),
        ("a target of 3000 bytes", target(3000), 414),
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(&bytes);
        let answer = client.read_response();
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        if status != 200 {
            client.expect_close(CLOSE);
        }
        let mut client = Client::connect(proxy.address());
        for piece in bytes.as_bytes().chunks(97) {
            let _ = client.try_send(piece);
        }
        assert_eq!(client.read_response().status, status, "{name}, in pieces");
    }
}

#[test]
fn g10_defaults_for_heads() {
    let mut table = Table::set();
    let fields = |count: usize| {
        format!(
            "GET /good HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(count - 1)
        )
    };
    assert_eq!(ask(&table.proxy, fields(100)).status, 200);
    let lawful = head_of(32 << 10, 16 << 10).replacen("GET / ", "GET /good ", 1);
    assert_eq!(
        ask(&table.proxy, lawful.replacen("X: yyyy", "X: ", 1)).status,
        200
    );
    let target = format!("GET /good?{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(8180));
    assert_eq!(ask(&table.proxy, target).status, 200);
    let evil = |text: String| text.replacen("/good", "/evil", 1).into_bytes();
    table.refuses("101 lines", &evil(fields(101)), &[431]);
    table.refuses("10000 lines", &evil(fields(10_000)), &[431]);
    table.refuses("33 KiB", &evil(head_of(33 << 10, 8 << 10)), &[431]);
    table.refuses(
        "a line of 17 KiB",
        &evil(format!(
            "GET /good HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n",
            "c".repeat(17 << 10)
        )),
        &[431],
    );
    table.refuses(
        "a target of 9000",
        &evil(format!(
            "GET /good{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "t".repeat(9000)
        )),
        &[414],
    );
    table.refuses(
        "a target of 100 KB",
        &evil(format!(
            "GET /good{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "t".repeat(100_000)
        )),
        &[414],
    );
    table.refuses(
        "a method of 100 KB",
        format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(100_000)).as_bytes(),
        &[400],
    );
    table.clear_without_a_trace();
}

#[test]
fn larger_limits_are_held_too() {
    let origin = echo();
    let proxy = with(
        &origin,
        "[limits]\nhead_bytes = \"200KiB\"\nfield_bytes = \"150KiB\"\nfields = 400\ntarget_bytes = \"100KiB\"\nresponse_head_bytes = \"1KiB\"",
    );
    assert_eq!(ask(&proxy, head_of(200 << 10, 140 << 10)).status, 200);
    assert_eq!(
        ask(
            &proxy,
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(99_000))
        )
        .status,
        200
    );
    assert_eq!(
        ask(
            &proxy,
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: y\r\n".repeat(399)
            )
        )
        .status,
        200
    );
    assert_eq!(ask(&proxy, head_of(201 << 10, 140 << 10)).status, 431);
}

#[test]
fn response_heads_at_the_edge() {
    let lines = |count: usize| {
        (0..count)
            .map(|n| format!("X-{n}: y\r\n"))
            .collect::<String>()
    };
    let origin = Origin::start(move |request| {
        let head = match request.path() {
            "/10" => lines(9),
            "/11" => lines(10),
            "/1000" => format!("X: {}\r\n", "y".repeat(900)),
            "/1100" => format!("X: {}\r\n", "y".repeat(1100)),
            _ => String::new(),
        };
        Reply::bytes(format!(
            "HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n"
        ))
    });
    let proxy = with(
        &origin,
        "[limits]\nresponse_head_bytes = \"1KiB\"\nresponse_fields = 10",
    );
    let mut client = Client::connect(proxy.address());
    for (path, status) in [("/10", 200), ("/11", 502), ("/1000", 200), ("/1100", 502)] {
        assert_eq!(client.get(path).status, status, "{path}");
    }
}

#[test]
fn chunks_and_trailers_at_the_edge() {
    let origin = Origin::start(|request| Reply::ok(&request.body));
    let proxy = with(
        &origin,
        "[limits]\nchunk_line_bytes = \"32B\"\ntrailers = 3\ntrailer_bytes = \"64B\"",
    );
    let post = |body: String| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    for (name, body, status) in [
        (
            "a line of 32",
            format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(29)),
            200,
        ),
        (
            "a line of 40",
            format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(38)),
            400,
        ),
        (
            "3 trailers",
            "1\r\nx\r\n0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n".to_owned(),
            200,
        ),
        (
            "4 trailers",
            "1\r\nx\r\n0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n".to_owned(),
            400,
        ),
        (
            "60 bytes",
            format!("1\r\nx\r\n0\r\nA: {}\r\n\r\n", "t".repeat(55)),
            200,
        ),
        (
            "70 bytes",
            format!("1\r\nx\r\n0\r\nA: {}\r\n\r\n", "t".repeat(65)),
            400,
        ),
    ] {
        assert_eq!(ask(&proxy, post(body)).status, status, "{name}");
    }
}

#[test]
fn bodies_at_the_edge() {
    let origin = Origin::start(|request| Reply::ok(request.body.len().to_string()));
    let proxy = with(&origin, "[limits]\nbody_bytes = \"1000B\"");
    let mut client = Client::connect(proxy.address());
    assert_eq!(
        client.request("POST", "/", &[], pattern(1000)).text(),
        "1000"
    );
    assert_eq!(client.request("POST", "/", &[], pattern(1001)).status, 413);
    client.expect_close(CLOSE);
    for (size, status) in [(1000, 200), (1001, 413)] {
        let body = "x".repeat(size);
        let payload = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
        );
        assert_eq!(ask(&proxy, payload).status, status, "{size} in chunks");
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.body_length <= 1000 || !request.complete)
    );
}

#[test]
fn g04_connections_in_all_and_of_one_client() {
    let origin = echo();
    let proxy = with(
        &origin,
        "[limits]\nconnections = 6\nconnections_per_client = 4",
    );
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(proxy.address())).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let refused = |client: &mut Client| {
        let _ = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_read_response() {
            Ok(answer) => answer.status == 503,
            Err(failure) => matches!(failure, Failure::Closed | Failure::Reset),
        }
    };
    assert!(
        refused(&mut Client::connect(proxy.address())),
        "the fifth of one client"
    );
    let others = ["127.0.0.2", "127.0.0.3"].map(|source| {
        let mut client = Client::connect_from(source.parse().unwrap(), proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.read_response().status, 200);
        client
    });
    let mut seventh = Client::connect_from("127.0.0.4".parse().unwrap(), proxy.address());
    assert!(refused(&mut seventh), "the seventh in all");
    // Those inside notice nothing, and a place that is left is free again.
    assert_eq!(clients[0].get("/").status, 200);
    drop((others, clients.pop(), clients.pop()));
    let again = wait_until(SOON, || {
        let mut client = Client::connect(proxy.address());
        !refused(&mut client)
    });
    assert!(again);
}

#[test]
fn g01_slow_heads_end_at_their_deadline() {
    let origin = echo();
    let proxy = with(&origin, "[timeouts]\nclient_head = \"500ms\"");
    let load = Load::start(
        proxy.address(),
        1,
        Duration::from_millis(5),
        Connections::Kept,
    );
    let mut slow: Vec<Client> = (0..100).map(|_| Client::connect(proxy.address())).collect();
    let began = Instant::now();
    let before = proxy.rss_bytes();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    }
    // One byte now and then does not move the deadline.
    let mut open = slow.len();
    while open > 0 && began.elapsed() < Duration::from_secs(3) {
        open = slow
            .iter_mut()
            .filter_map(|client| client.try_send("y").ok())
            .count();
        std::thread::sleep(Duration::from_millis(50));
        if began.elapsed() > Duration::from_millis(900) {
            break;
        }
    }
    assert!(proxy.rss_bytes() < before + (32 << 20));
    for mut client in slow {
        match client.try_read_response() {
            Ok(answer) => assert_eq!(answer.status, 408),
            Err(failure) => assert!(
                matches!(failure, Failure::Closed | Failure::Reset),
                "{failure:?}"
            ),
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.path().starts_with("/load/"))
    );
}

#[test]
fn g02_a_body_that_stops_frees_its_server() {
    let origin = echo();
    let proxy = with(&origin, "[timeouts]\nclient_body = \"300ms\"");
    for framing in [
        "Content-Length: 1000000\r\n\r\nstart",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nst",
    ] {
        let before = origin.connections().len();
        let mut client = Client::connect(proxy.address());
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"));
        let answer = client.read_response();
        assert_eq!(answer.status, 408);
        client.expect_close(CLOSE);
        let connections =
            origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
        assert_eq!(connections.len(), before + 1);
    }
}

#[test]
fn g03_a_reader_that_stops_frees_its_server() {
    let origin = Origin::start(|_| Reply::ok(pattern(64 << 20)));
    let proxy = with(&origin, "[timeouts]\nclient_send = \"300ms\"");
    let before = proxy.rss_bytes();
    let mut readers: Vec<Client> = (0..4).map(|_| Client::connect(proxy.address())).collect();
    for client in &mut readers {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    origin.wait_for_connections(Duration::from_secs(15), |all| {
        all.len() == 4 && all.iter().all(|c| c.ended.is_some())
    });
    assert!(
        proxy.rss_bytes() < before + (16 << 20),
        "a stalled reader holds little"
    );
    for client in &mut readers {
        let answer = client.read_response();
        assert!(!answer.is_complete());
    }
}

#[test]
fn g05_a_head_byte_by_byte_costs_about_as_much_as_at_once() {
    let origin = echo();
    let proxy = with(&origin, "[limits]\nhead_bytes = \"64KiB\"");
    let head = head_of(60 << 10, 8 << 10);
    let before = proxy.cpu_time();
    let mut client = Client::connect(proxy.address());
    for byte in head.as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.read_response().status, 200);
    let spent = proxy.cpu_time() - before;
    // Reading 61440 bytes one by one is that many system calls; a parser that starts again with
    // each would need minutes in this build.
    assert!(spent < Duration::from_secs(4), "{spent:?}");
}

#[test]
fn g09_names_that_collide_cost_nothing() {
    let origin = echo();
    let proxy = with(&origin, "[limits]\nfields = 500");
    let lines: String = (0..490)
        .map(|n| format!("X-{:08x}: y\r\n", n * 65_536))
        .collect();
    let before = proxy.cpu_time();
    let mut client = Client::connect(proxy.address());
    for _ in 0..20 {
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-nothing\r\n{lines}\r\n"
        ));
        assert_eq!(client.read_response().status, 200);
    }
    let spent = proxy.cpu_time() - before;
    assert!(spent < Duration::from_secs(2), "{spent:?}");
}

#[test]
fn g11_labels_are_the_configs_and_not_the_clients() {
    let origin = echo();
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ));
    let scrape = || {
        Client::connect(proxy.metrics_address())
            .get("/metrics")
            .text()
    };
    let mut client = Client::connect(proxy.address());
    let round = |client: &mut Client, from: usize| {
        for number in from..from + 100 {
            client.send(format!("M{number} /p{number} HTTP/1.1\r\nHost: h{number}.example\r\nUser-Agent: u{number}\r\n\r\n"));
            assert_eq!(client.read_response().status, 200);
        }
    };
    round(&mut client, 0);
    let first = scrape();
    round(&mut client, 1000);
    let second = scrape();
    assert_eq!(first.lines().count(), second.lines().count());
    for word in ["h1001", "p1001", "M1001", "u1001", "h1.example"] {
        assert!(!second.contains(word), "{word} became a label");
    }
}

#[test]
fn g13_nothing_that_is_sent_makes_it_panic() {
    let origin = echo();
    let mut proxy = in_front_of(&origin);
    let id = proxy.id();
    let seed = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: x\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n";
    let alphabet = b"\r\n\0:; \t,\"\\%/?#*[]@\xff\x80aZ09";
    // A walk without chance, so that a failure comes again.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for _ in 0..600 {
        let mut bytes = seed.to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = alphabet[next(alphabet.len())],
                1 => bytes.insert(at, alphabet[next(alphabet.len())]),
                _ => drop(bytes.remove(at)),
            }
        }
        let mut client = Client::connect(proxy.address());
        let _ = client.try_send(&bytes);
        let _ = client.shutdown_write();
        let outcome = client.try_read_response();
        assert!(
            !matches!(outcome, Err(Failure::TimedOut | Failure::Malformed(_))),
            "{}",
            bytes.escape_ascii()
        );
    }
    assert!(proxy.is_running() && proxy.id() == id);
    assert_eq!(
        ask(&proxy, "GET /alive HTTP/1.1\r\nHost: a\r\n\r\n").text(),
        "/alive"
    );
    // The origin of the kit has judged every byte that came through.
    assert_eq!(origin.violations(), [], "{}", origin.transcript());
}

#[test]
fn g15_half_closed_and_idle_connections_cost_no_time() {
    let never = Event::new();
    let told = never.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/stall" => Reply::wait_for(&told),
        path => Reply::ok(path),
    });
    let proxy = in_front_of(&origin);
    let mut open = Vec::new();
    for (payload, half_close) in [
        ("", false),
        ("GET / HT", false),
        ("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            "GET /stall HTTP/1.1\r\nHost: a\r\n\r\nGET /ahead HTTP/1.1\r\nHost: a\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel",
            false,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            false,
        ),
        (
            "POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            true,
        ),
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(payload);
        if half_close {
            client.shutdown_write();
        }
        open.push(client);
    }
    // More ahead than is read while an answer is awaited.
    let mut ahead = Client::connect(proxy.address());
    ahead
        .send("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n")
        .send(pattern(60_000));
    origin.wait_for_heads(7, SOON);
    let before = proxy.cpu_time();
    std::thread::sleep(Duration::from_millis(1000));
    let spent = proxy.cpu_time() - before;
    assert!(
        spent < Duration::from_millis(60),
        "{spent:?} in a second of nothing"
    );
    never.fire();
}
