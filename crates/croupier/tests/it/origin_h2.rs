//! Servers that speak HTTP/2: one connection for many, and what a server may say on it.

use std::{thread, time::Duration};

use croupier_testkit::{
    Connections, Load,
    h2::{self, Frame, code, setting},
};

use super::{
    origin_server::{Answer, Connection, H2Server, lines},
    prelude::*,
};

fn proxy_of(servers: &[&H2Server], pool: &str) -> Proxy {
    let servers: Vec<String> = (servers.iter())
        .map(|server| format!("\"{}\"", server.address))
        .collect();
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\n\
         [pool.p]\nservers = [{}]\nprotocol = \"h2c\"\n{pool}\n\n\
         [site.\"*\"]\npool = \"p\"\n",
        servers.join(", ")
    ))
}

#[test]
fn a_request_goes_out_as_http_2_has_it_and_its_answer_comes_back() {
    let server = H2Server::answering(&[], |asked| {
        let mut answer = Answer::of(format!("you said {}", asked.body.len()));
        answer.trailers = lines(&[("x-sum", "9")]);
        answer.line("X-Mixed".to_lowercase().as_str(), "yes")
    });
    let proxy = proxy_of(&[&server], "");
    let mut client = Client::connect(proxy.address()).host("app.example");
    let lines = [("TE", "trailers"), ("Connection", "TE"), ("X-Own", "Value")];
    let response = client.request("POST", "/a%20b?c=d", &lines, b"hello");
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "you said 5");
    assert_eq!(response.header("x-mixed"), Some("yes"));
    let asked = &server.asked()[0];
    assert_eq!(asked.line(":method"), Some("POST"));
    assert_eq!(asked.line(":scheme"), Some("http"));
    assert_eq!(asked.line(":authority"), Some("app.example"));
    assert_eq!(asked.path(), "/a%20b?c=d");
    assert_eq!(asked.line("content-length"), Some("5"));
    assert_eq!(asked.line("te"), Some("trailers"));
    assert_eq!(asked.line("x-own"), Some("Value"));
    assert_eq!(asked.line("host"), None);
    assert_eq!(asked.line("connection"), None);
}

#[test]
fn many_clients_share_one_connection() {
    const CLIENTS: usize = 40;
    // Nobody is answered before all have asked.
    let server = H2Server::start(&[], |connection| {
        let asked: Vec<_> = (0..CLIENTS)
            .map(|_| connection.request())
            .collect::<Option<_>>()?;
        for asked in asked.iter().rev() {
            connection.answer(asked.stream, Answer::of(asked.path()))?;
        }
        connection.request().map(|_| ())
    });
    let proxy = proxy_of(&[&server], "");
    let address = proxy.address();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            thread::spawn(move || {
                let path = format!("/{number}");
                assert_eq!(Client::connect(address).get(&path).text(), path);
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_takes_few_at_once_gets_more_connections_and_never_more_at_once() {
    static SETTINGS: [(u16, u32); 1] = [(setting::MAX_CONCURRENT_STREAMS, 2)];
    let server = H2Server::start(&SETTINGS, |connection| {
        loop {
            let mut asked = vec![connection.request()?];
            // It thinks; whoever else may come has come.
            thread::sleep(Duration::from_millis(20));
            asked.extend(connection.arrived()?);
            assert!(asked.len() <= 2, "{asked:?}");
            for asked in asked {
                connection.answer(asked.stream, Answer::of(asked.path()))?;
            }
        }
    });
    let proxy = proxy_of(&[&server], "retry = false");
    let load = Load::start(proxy.address(), 12, Duration::ZERO, Connections::Kept);
    load.wait_for_good(300, SOON);
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert!(server.connections() >= 2, "{}", server.connections());
    assert!(server.connections() <= 12, "{}", server.connections());
}

#[test]
fn a_server_that_says_goodbye_under_load_costs_no_client_anything() {
    // Each connection serves fifty, then says so; what came behind is not looked at.
    let server = H2Server::start(&[], |connection| {
        let mut last = 0;
        for _ in 0..50 {
            let asked = connection.request()?;
            last = asked.stream;
            connection.answer(asked.stream, Answer::of(asked.path()))?;
        }
        connection.send(&Frame::goaway(last, code::NO_ERROR, ""))?;
        while connection.frame().is_some() {}
        None
    });
    let proxy = proxy_of(&[&server], "retry = false");
    let load = Load::start(proxy.address(), 8, Duration::ZERO, Connections::Kept);
    load.wait_for_good(2_000, Duration::from_secs(30));
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert!(server.connections() >= 20, "{}", server.connections());
}

#[test]
fn a_refused_stream_is_asked_again_for_free_whatever_its_method() {
    let server = H2Server::start(&[], |connection| {
        loop {
            let asked = connection.request()?;
            if connection.number() == 0 {
                connection.send(&Frame::reset(asked.stream, code::REFUSED_STREAM))?;
            } else {
                connection.answer(asked.stream, Answer::of(&asked.body))?;
            }
        }
    });
    let proxy = proxy_of(&[&server], "");
    let mut client = Client::connect(proxy.address());
    let response = client.request("POST", "/", &[], b"order 66");
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "order 66")
    );
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_refused_stream_costs_no_retry_where_there_are_none() {
    let server = H2Server::start(&[], |connection| {
        loop {
            let asked = connection.request()?;
            if connection.number() == 0 {
                connection.send(&Frame::reset(asked.stream, code::REFUSED_STREAM))?;
            } else {
                connection.answer(asked.stream, Answer::of("x"))?;
            }
        }
    });
    let proxy = proxy_of(&[&server], "retry = false");
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.request("POST", "/", &[], b"").status, 200);
    assert_eq!(client.request("POST", "/", &[], b"").status, 200);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn a_server_that_refuses_everything_is_not_asked_for_ever() {
    let server = H2Server::start(&[], |connection| {
        loop {
            let asked = connection.request()?;
            connection.send(&Frame::reset(asked.stream, code::REFUSED_STREAM))?;
        }
    });
    let proxy = proxy_of(&[&server], "queue = { time = \"500ms\" }");
    let status = Client::connect(proxy.address()).get("/").status;
    assert!(matches!(status, 502 | 503), "{status}");
    assert!(server.asked().len() <= 64, "{}", server.asked().len());
}

#[test]
fn a_stream_that_broke_is_not_sent_twice_unless_that_is_safe() {
    let server = H2Server::start(&[], |connection| {
        loop {
            let asked = connection.request()?;
            connection.send(&Frame::reset(asked.stream, code::INTERNAL_ERROR))?;
        }
    });
    let proxy = proxy_of(&[&server], "");
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.request("POST", "/", &[], b"x").status, 502);
    assert_eq!(server.asked().len(), 1);
    let log = proxy.wait_for_access(|line| line.contains("502"));
    assert!(log.contains("origin.reset"), "{log}");
}

#[test]
fn interim_answers_and_trailers_pass() {
    let server = H2Server::start(&[], |connection| {
        let asked = connection.request()?;
        let hints = lines(&[(":status", "103"), ("link", "</a.css>; rel=preload")]);
        let hints = connection.lines(asked.stream, &hints);
        connection.send(&hints)?;
        let mut answer = Answer::of("body").line("trailer", "x-sum");
        answer.trailers = lines(&[("x-sum", "7")]);
        connection.answer(asked.stream, answer)?;
        connection.request().map(|_| ())
    });
    let proxy = proxy_of(&[&server], "");
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n");
    let text = String::from_utf8(client.read_until_close()).unwrap();
    assert!(text.starts_with("HTTP/1.1 103 "), "{text}");
    assert!(text.to_lowercase().contains("x-sum: 7\r\n\r\n"), "{text}");
}

#[test]
fn a_client_that_leaves_cancels_its_stream_and_no_other() {
    let (send, receive) = std::sync::mpsc::channel();
    let send = std::sync::Mutex::new(send);
    let server = H2Server::start(&[], move |connection| {
        let first = connection.request()?;
        send.lock().unwrap().send("asked").unwrap();
        let second = connection.request()?;
        while connection.resets.is_empty() {
            connection.frame()?;
        }
        assert_eq!(connection.resets, [(first.stream, code::CANCEL)]);
        connection.answer(second.stream, Answer::of("still here"))?;
        connection.request().map(|_| ())
    });
    let proxy = proxy_of(&[&server], "");
    let mut leaving = Client::connect(proxy.address());
    leaving.send("GET /leaving HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(receive.recv_timeout(SOON).unwrap(), "asked");
    let mut staying = Client::connect(proxy.address());
    staying.send("GET /staying HTTP/1.1\r\nHost: a\r\n\r\n");
    leaving.reset();
    assert_eq!(staying.read_response().text(), "still here");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_large_upload_waits_for_the_server_and_a_large_download_for_the_client() {
    const SIZE: usize = 8 << 20;
    let server = H2Server::start(&[], |connection| {
        loop {
            let asked = connection.request()?;
            let body = if asked.body.is_empty() {
                vec![b'd'; SIZE]
            } else {
                asked.body.len().to_string().into_bytes()
            };
            connection.answer(asked.stream, Answer::of(body))?;
        }
    });
    let proxy = proxy_of(&[&server], "");
    let mut client = Client::connect(proxy.address()).patience(Duration::from_secs(60));
    let response = client.request("PUT", "/", &[], vec![b'u'; SIZE]);
    assert_eq!(response.text(), SIZE.to_string());
    let before = proxy.rss_bytes();
    // A reader that takes its time: what it does not take stays at the server.
    let mut slow = Client::connect(proxy.address())
        .patience(Duration::from_secs(60))
        .receive_buffer(64 << 10);
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    slow.read_bytes(1 << 20);
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < 3 << 20, "{grown} bytes");
    drop(slow);
    assert_eq!(client.get("/").body.len(), SIZE);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_reader_that_stops_does_not_stop_the_others_of_its_connection() {
    const SIZE: usize = 4 << 20;
    let server = H2Server::start(&[], |connection| {
        let mut waiting: Vec<(u32, usize)> = Vec::new();
        // Sends to whoever has room; a stalled stream must not use up the connection's window.
        loop {
            let asked = connection.request()?;
            waiting.push((asked.stream, SIZE));
            if asked.path() == "/go" {
                connection.answer(asked.stream, Answer::of("gone"))?;
            } else {
                connection.fill_window(asked.stream)?;
            }
        }
    });
    let proxy = proxy_of(&[&server], "");
    let stalled: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = Client::connect(proxy.address()).receive_buffer(4 << 10);
            client.send("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n");
            client.read_bytes(64);
            client
        })
        .collect();
    assert_eq!(Client::connect(proxy.address()).get("/go").text(), "gone");
    drop(stalled);
}

#[test]
fn an_idle_connection_closes_after_its_time_with_a_goodbye() {
    let (send, receive) = std::sync::mpsc::channel();
    let send = std::sync::Mutex::new(send);
    let server = H2Server::start(&[], move |connection| {
        let asked = connection.request()?;
        connection.answer(asked.stream, Answer::of("x"))?;
        while let Some(frame) = connection.frame() {
            if frame.kind == h2::kind::GOAWAY {
                send.lock().unwrap().send(()).unwrap();
            }
        }
        None
    });
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[timeouts]\norigin_idle = \"300ms\"\n\
         [pool.p]\nservers = [\"{}\"]\nprotocol = \"h2c\"\n[site.\"*\"]\npool = \"p\"\n",
        server.address
    ));
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "x");
    receive.recv_timeout(SOON).unwrap();
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "x");
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_websocket_becomes_an_extended_connect_where_the_server_knows_it() {
    static SETTINGS: [(u16, u32); 1] = [(setting::ENABLE_CONNECT_PROTOCOL, 1)];
    let server = H2Server::start(&SETTINGS, |connection| {
        let asked = connection.head()?;
        assert_eq!(asked.line(":method"), Some("CONNECT"));
        assert_eq!(asked.line(":protocol"), Some("websocket"));
        assert_eq!(asked.path(), "/chat");
        assert_eq!(asked.line("sec-websocket-version"), Some("13"));
        assert_eq!(asked.line("sec-websocket-key"), None);
        let agreed = connection.lines(asked.stream, &lines(&[(":status", "200")]));
        connection.send(&agreed)?;
        echo(connection, asked.stream)
    });
    let proxy = proxy_of(&[&server], "");
    let mut client = Client::connect(proxy.address());
    client.send(WEBSOCKET);
    let response = client.read_head();
    assert_eq!(response.status, 101);
    // RFC 6455 section 1.3.
    assert_eq!(
        response.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    client.send("ping and pong");
    assert_eq!(client.read_bytes(13), b"ping and pong");
    client.shutdown_write();
    client.expect_close(SOON);
}

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn echo(connection: &mut Connection, stream: u32) -> Option<()> {
    use croupier_testkit::h2::{flag, kind};
    loop {
        let frame = connection.frame()?;
        if frame.kind == kind::DATA && frame.stream == stream {
            let mut back = Frame::data(stream, frame.content()?);
            if frame.has(flag::END_STREAM) {
                back = back.end_stream();
            }
            connection.send(&back)?;
        }
    }
}

#[test]
fn a_websocket_to_a_server_that_has_none_is_refused_with_a_reason() {
    let server = H2Server::answering(&[], |_| Answer::of("x"));
    let proxy = proxy_of(&[&server], "");
    let mut client = Client::connect(proxy.address());
    client.send(WEBSOCKET);
    assert_eq!(client.read_response().status, 502);
    let log = proxy.wait_for_access(|line| line.contains("502"));
    assert!(log.contains("origin.websocket"), "{log}");
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "x");
}

/// A call with this metadata, as its server hears it.
fn heard_of_a_call(proxy: &Proxy, server: &H2Server, content_type: &str) -> Vec<String> {
    let mut client = h2::Client::connect(proxy.address());
    let head = h2::Head::post("/shop.Orders/Place")
        .field("content-type", content_type)
        .field("te", "trailers")
        .field("shop_order_id", "7")
        .field("x_forwarded_for", "192.0.2.1")
        .field("content_length", "9")
        .field("x_client_cert_verified", "1")
        .field("true_client_ip", "192.0.2.1")
        .field("x_tenant", "another");
    let answer = client.request(&head, "12345");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("shop_shard"), Some("3"));
    assert_eq!(answer.trailers.get("shop_took_ms"), Some("12"));
    assert_eq!(answer.trailers.get("x_forwarded_for"), None);
    let asked = server.asked().pop().unwrap();
    let names = asked.lines.into_iter().map(|(name, _)| name);
    names.filter(|name| name.contains('_')).collect()
}

#[test]
fn metadata_of_calls_has_underscores_and_poses_as_nothing() {
    let server = H2Server::answering(&[], |_| {
        let mut answer = Answer::of("12345").line("content-type", "application/grpc");
        answer.trailers = lines(&[
            ("grpc-status", "0"),
            ("shop_took_ms", "12"),
            ("x_forwarded_for", "a"),
        ]);
        answer.line("shop_shard", "3")
    });
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n\
         [pool.p]\nservers = [\"{}\"]\nprotocol = \"h2c\"\n\n\
         [site.\"*\"]\npool = \"p\"\nheaders.request = {{ set = {{ X-Tenant = \"one\" }} }}\n",
        server.address
    ));
    assert_eq!(
        heard_of_a_call(&proxy, &server, "application/grpc+proto"),
        ["shop_order_id"]
    );
    // What is no call has none.
    assert!(heard_of_a_call(&proxy, &server, "application/json").is_empty());
}
