//! Servers behind TLS that choose what is spoken, and what is done to servers of HTTP/2 as to any
//! other: hedges, copies, checks, bounds of connections.

use std::{thread, time::Duration};

use croupier_testkit::{
    Authority, Behind, Connections, Door, Event, Load, closed_address,
    h2::{code, setting},
    wait_until,
};

use crate::{
    origin_server::{Answer, H2Server},
    prelude::{Client, Origin, Proxy, Reply, SOON, metric, start},
    tls_sites::house,
};

/// A door in front of these, and a proxy that believes it; `pool` are more lines of the pool.
fn behind_a_door(behind: Behind, pool: &str) -> (Door, Proxy) {
    let authority = Authority::new("Tables");
    let door = Door::open(&authority.issue(&["127.0.0.1"]), behind);
    let proxy = house(&authority, &[]).start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\n\
         [pool.p]\nservers = [\"{}\"]\nprotocol = \"https\"\ntls = {{ ca = \"ca.pem\" }}\n{pool}\n\n\
         [site.\"*\"]\npool = \"p\"\n",
        door.address()
    ));
    (door, proxy)
}

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn a_websocket_goes_by_http_1_where_http_2_has_none() {
    for asks_before in [true, false] {
        let http2 = H2Server::answering(&[], |asked| Answer::of(format!("h2 {}", asked.path())));
        let http1 = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
        let behind = Behind {
            http2: Some(http2.address),
            http1: http1.address(),
        };
        let (door, proxy) = behind_a_door(behind, "");
        if asks_before {
            assert_eq!(Client::connect(proxy.address()).get("/a").text(), "h2 /a");
            assert_eq!(door.agreed(), ["h2"]);
        }
        let mut client = Client::connect(proxy.address());
        client.send(WEBSOCKET);
        assert_eq!(
            client.read_head().status,
            101,
            "asked before: {asks_before}"
        );
        client.send("ping and pong");
        assert_eq!(client.read_bytes(13), b"ping and pong");
        assert_eq!(door.agreed(), ["h2", "http/1.1"]);
        // Whoever only asks is answered by the shared connection, as before.
        assert_eq!(Client::connect(proxy.address()).get("/b").text(), "h2 /b");
        assert_eq!(http2.connections(), 1);
        assert_eq!(door.agreed().len(), 2);
    }
}

#[test]
fn a_hedge_over_http_2_ends_the_stream_that_lost_and_nothing_else() {
    let (lost, was_told) = (Event::new(), Event::new());
    let (losing, telling) = (lost.clone(), was_told.clone());
    let late = H2Server::start(&[], move |connection| {
        connection.request()?;
        while connection.resets.is_empty() {
            connection.frame()?;
        }
        assert_eq!(connection.resets, [(1, code::CANCEL)]);
        losing.fire();
        // The connection lives on: its next exchange is answered in time.
        let asked = connection.request()?;
        connection.answer(asked.stream, Answer::of("late but well"))?;
        telling.fire();
        connection.request().map(|_| ())
    });
    let quick = H2Server::answering(&[], |asked| Answer::of(format!("quick {}", asked.path())));
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[pool.p]\nprotocol = \"h2c\"\n\
         servers = [\"{}\", {{ address = \"{}\", backup = true }}]\nhedge = \"50ms\"\n\n\
         [site.\"*\"]\npool = \"p\"\n",
        late.address, quick.address
    ));
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/1").text(), "quick /1");
    assert!(lost.wait(SOON), "the stream was not reset");
    let second = client.get("/2").text();
    assert!(
        ["late but well", "quick /2"].contains(&second.as_str()),
        "{second}"
    );
    assert!(was_told.wait(SOON));
    assert_eq!((late.connections(), quick.connections()), (1, 1));
}

#[test]
fn a_server_of_http_2_behind_tls_gets_hedges_and_copies_too() {
    let app = H2Server::answering(&[], |_| Answer::of("app"));
    let shadow = H2Server::answering(&[], |_| Answer::of("shadow"));
    let authority = Authority::new("Tables");
    let shown = authority.issue(&["127.0.0.1"]);
    let [front, copy] = [&app, &shadow].map(|server| {
        let behind = Behind {
            http2: Some(server.address),
            http1: closed_address(),
        };
        Door::open(&shown, behind)
    });
    let proxy = house(&authority, &[]).start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\n\
         [pool.app]\nservers = [\"{}\"]\nprotocol = \"https\"\ntls = {{ ca = \"ca.pem\" }}\nhedge = \"5s\"\n\n\
         [pool.shadow]\nservers = [\"{}\"]\nprotocol = \"https\"\ntls = {{ ca = \"ca.pem\" }}\n\n\
         [site.\"*\"]\npool = \"app\"\nmirror = {{ pool = \"shadow\" }}\n",
        front.address(),
        copy.address()
    ));
    let mut client = Client::connect(proxy.address());
    for number in 0..5 {
        let answer = client.request("POST", &format!("/{number}"), &[("X-A", "b")], b"body");
        assert_eq!(answer.text(), "app");
    }
    assert!(wait_until(SOON, || shadow.asked().len() == 5));
    for (asked, copied) in app.asked().iter().zip(shadow.asked()) {
        for name in [":method", ":scheme", ":authority", ":path", "x-a"] {
            assert_eq!(asked.line(name), copied.line(name), "{name}");
        }
        assert_eq!(copied.line(":scheme"), Some("https"));
        assert_eq!(
            (&asked.body[..], &copied.body[..]),
            (&b"body"[..], &b"body"[..])
        );
    }
    assert_eq!(
        (front.agreed(), copy.agreed()),
        (vec!["h2".to_owned()], vec!["h2".to_owned()])
    );
}

/// A server of HTTP/2 that takes two exchanges at once on a connection.
fn for_two() -> H2Server {
    static SETTINGS: [(u16, u32); 1] = [(setting::MAX_CONCURRENT_STREAMS, 2)];
    H2Server::start(&SETTINGS, |connection| {
        loop {
            let mut asked = vec![connection.request()?];
            // It thinks; whoever else may come has come.
            thread::sleep(Duration::from_millis(2));
            asked.extend(connection.arrived()?);
            assert!(asked.len() <= 2, "{asked:?}");
            for asked in asked {
                connection.answer(asked.stream, Answer::of(asked.path()))?;
            }
        }
    })
}

fn with_few_connections(server: &H2Server, workers: usize) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = {workers}\n\n\
         [pool.p]\nprotocol = \"h2c\"\nretry = false\n\
         servers = [{{ address = \"{}\", max_connections = 2 }}]\n\n[site.\"*\"]\npool = \"p\"\n",
        server.address
    ))
}

#[test]
fn connections_of_http_2_are_bounded_and_who_finds_no_room_waits() {
    let server = for_two();
    let proxy = with_few_connections(&server, 1);
    let load = Load::start(proxy.address(), 12, Duration::ZERO, Connections::Kept);
    load.wait_for_good(300, SOON);
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert_eq!(server.connections(), 2, "never more, and never again");
}

#[test]
fn a_worker_gets_its_part_of_few_connections_though_another_had_them_all() {
    for workers in [2, 3] {
        let server = for_two();
        let proxy = with_few_connections(&server, workers);
        let load = Load::start(proxy.address(), 12, Duration::ZERO, Connections::Kept);
        load.wait_for_good(300, SOON);
        let tally = load.stop();
        assert!(tally.failures.is_empty(), "{workers}: {:?}", tally.failures);
    }
}

#[test]
fn one_connection_over_tls_serves_clients_of_all_workers() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let authority = Authority::new("Tables");
    let behind = Behind {
        http2: None,
        http1: origin.address(),
    };
    let door = Door::open(&authority.issue(&["127.0.0.1"]), behind);
    let proxy = house(&authority, &[]).start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n\n\
         [pool.p]\nprotocol = \"https\"\ntls = {{ ca = \"ca.pem\" }}\nretry = false\n\
         servers = [{{ address = \"{}\", max_connections = 1 }}]\n\n[site.\"*\"]\npool = \"p\"\n",
        door.address()
    ));
    // Enough that each worker has some.
    for _ in 0..16 {
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    }
    assert!(origin.open_connections() <= 2, "one, and one that closes");
}

#[test]
fn checks_over_tls_prove_the_server_and_speak_what_it_chooses() {
    let origin = Origin::start(|_| Reply::ok("all is well"));
    let http2 = H2Server::answering(&[], |_| Answer::of("all is well"));
    let health =
        "health = { path = \"/healthz\", body = \"well\", interval = \"100ms\", timeout = \"5s\" }";
    for (speaks, of_http2) in [("http/1.1", None), ("h2", Some(http2.address))] {
        let behind = Behind {
            http2: of_http2,
            http1: origin.address(),
        };
        let (door, proxy) = behind_a_door(behind, health);
        assert!(wait_until(SOON, || door.agreed().len() > 3), "{speaks}");
        assert!(
            door.agreed().iter().all(|alpn| alpn == speaks),
            "{:?}",
            door.agreed()
        );
        // On a busy machine a check may be late; nothing else may be wrong.
        let is_late =
            |line: &String| line.contains("check.timeout") || line.contains("check.passed");
        let failed: Vec<_> = (proxy.log_lines().into_iter())
            .filter(|line| line.contains("check.") && !is_late(line))
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(Client::connect(proxy.address()).get("/").status, 200);
    }
    assert!(
        origin
            .requests()
            .iter()
            .any(|request| request.path() == "/healthz")
    );
    assert!(http2.asked().iter().any(|asked| asked.path() == "/healthz"));
}

#[test]
fn a_check_that_is_shown_a_strangers_certificate_fails_for_that() {
    let origin = Origin::start(|_| Reply::ok("all is well"));
    let behind = Behind {
        http2: None,
        http1: origin.address(),
    };
    let door = Door::open(&Authority::new("Strangers").issue(&["127.0.0.1"]), behind);
    let proxy = house(&Authority::new("Tables"), &[]).start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\n\
         [pool.p]\nservers = [\"{}\"]\nprotocol = \"https\"\ntls = {{ ca = \"ca.pem\" }}\n\
         health = {{ path = \"/healthz\", interval = \"2s\" }}\n\n\
         [site.\"*\"]\npool = \"p\"\n",
        door.address()
    ));
    let line = proxy.wait_for_log(|line| line.contains("to=down"));
    assert!(line.contains("reason=check.tls"), "{line}");
    let down = format!(
        "croupier_server_state{{pool=\"p\",server=\"{}\",state=\"down\"}}",
        door.address()
    );
    assert!(wait_until(SOON, || metric(&proxy, &down) == 1.0));
    assert!(
        origin.requests().is_empty(),
        "nothing was asked of a stranger"
    );
}
