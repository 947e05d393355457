//! Bodies in every framing, in both directions, of every size: whole, in order, and never held.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use croupier_testkit::wire::{difference, pattern};
use croupier_testkit::{Connections, End, Ended, Event, Failure, Framing, Load, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config_with, in_front_of, metric, start};

const MIB: u64 = 1 << 20;

/// Around the sizes at which another way of moving a body begins.
const SIZES: [usize; 14] = [
    0, 1, 4_095, 4_097, 16_384, 16_385, 32_767, 32_769, 65_535, 65_536, 65_537, 262_145, 1_048_577,
    5_000_000,
];

fn size_asked(path: &str) -> usize {
    path.rsplit('/')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[test]
fn one_connection_on_each_side_carries_many_exchanges() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for number in 0..20 {
        let path = format!("/{number}");
        let response = client.get(&path);
        assert_eq!((response.status, response.text()), (200, path));
        assert!(!response.says_close());
    }
    assert_eq!(origin.connections().len(), 1);
    assert!(!origin.requests()[0].headers.has("connection"));
}

#[test]
fn a_client_that_says_close_is_closed_and_its_server_connection_kept() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = start(&config_with("workers = 1", &site(&origin)));
    for _ in 0..3 {
        let mut client = Client::connect(proxy.address());
        let response = client.request("GET", "/", &[("Connection", "close")], "");
        assert!(response.says_close());
        client.expect_close(SOON);
    }
    assert_eq!(origin.connections().len(), 1);
}

fn site(origin: &Origin) -> String {
    format!("proxy = \"{}\"", origin.address())
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let slow = Event::new();
    let told = slow.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/slow" => Reply::wait_for(&told).then(Reply::ok("slow")),
        "/304" => Reply::empty(304).header("ETag", "\"a\""),
        "/204" => Reply::empty(204),
        "/chunks" => Reply::empty(200).chunked(&["ch", "unks"]),
        _ => Reply::ok(format!("{} {}", request.path(), request.text())),
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n\
         HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /304 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody\
         GET /204 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
         GET /chunks HTTP/1.1\r\nHost: a\r\n\r\n\
         HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    origin.wait_for_requests(1, SOON);
    slow.fire();
    assert_eq!(client.read_response_to("GET").text(), "slow");
    let head = client.read_response_to("HEAD");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("6"));
    let unchanged = client.read_response_to("GET");
    assert_eq!(
        (unchanged.status, unchanged.header("etag")),
        (304, Some("\"a\""))
    );
    assert_eq!(client.read_response_to("POST").text(), "/length body");
    assert_eq!(client.read_response_to("GET").status, 204);
    assert_eq!(client.read_response_to("POST").text(), "/up abc");
    assert_eq!(client.read_response_to("GET").text(), "chunks");
    assert_eq!(client.read_response_to("HEAD").status, 200);
    let last = client.read_response_to("GET");
    assert!(last.text().starts_with("/last") && last.says_close());
    client.expect_close(SOON);
    let paths: Vec<_> = origin.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(
        paths,
        [
            "/slow", "/head", "/304", "/length", "/204", "/up", "/chunks", "/chunks", "/last"
        ]
    );
}

#[test]
fn answers_of_every_size_and_framing_arrive_whole() {
    let origin = Origin::start(|request| {
        let body = pattern(size_asked(&request.target));
        let reply = Reply::ok(&body);
        match request.path().split('/').nth(1) {
            Some("length") => reply,
            Some("chunked") => Reply::empty(200).chunked(&body.chunks(70_000).collect::<Vec<_>>()),
            _ => reply.close_delimited(),
        }
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for size in SIZES {
        for framing in ["length", "chunked", "close"] {
            let response = client.get(&format!("/{framing}/{size}"));
            let expected = if framing == "length" {
                Framing::Length(size as u64)
            } else {
                Framing::Chunked
            };
            assert_eq!(response.framing, expected, "{framing} {size}");
            assert!(response.is_complete() && !response.says_close());
            assert_eq!(
                difference(&response.body, &pattern(size)),
                None,
                "{framing} {size}"
            );
        }
    }
}

#[test]
fn uploads_of_every_size_and_framing_arrive_whole() {
    let origin = Origin::start(|request| Reply::ok(request.body_length.to_string()));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for size in SIZES {
        let body = pattern(size);
        let response = client.request("POST", "/length", &[], &body);
        assert_eq!(response.text(), size.to_string());
        client.send("POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(70_000) {
            let mut bytes = format!("{:x}\r\n", chunk.len()).into_bytes();
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
            client.send(bytes);
        }
        client.send("0\r\n\r\n");
        let response = client.read_response_to("POST");
        assert_eq!(response.text(), size.to_string());
        let requests = origin.requests();
        let (length, chunked) = (&requests[requests.len() - 2], &requests[requests.len() - 1]);
        assert_eq!(length.framing, Framing::Length(size as u64));
        assert_eq!(chunked.framing, Framing::Chunked);
        assert_eq!(difference(&length.body, &body), None);
        assert_eq!(difference(&chunked.body, &body), None);
    }
    assert_eq!(origin.connections().len(), 1);
}

#[test]
fn a_body_may_go_up_while_another_comes_down() {
    let origin = Origin::builder()
        .at_head(|_| {
            Some(
                Reply::head(200)
                    .length(3_000_000)
                    .then(Reply::bytes(pattern(1_500_000)))
                    .then(Reply::read_body())
                    .then(Reply::bytes(&pattern(3_000_000)[1_500_000..])),
            )
        })
        .start(|_| Reply::empty(500));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
    let mut response = client.read_head();
    let first = client.read_bytes(1_500_000);
    client.send(pattern(3_000_000));
    response.framing = Framing::Length(1_500_000);
    client.read_body(&mut response);
    let body = [first, response.body].concat();
    assert_eq!(difference(&body, &pattern(3_000_000)), None);
    assert_eq!(
        difference(&origin.requests()[0].body, &pattern(3_000_000)),
        None
    );
    client.get("/again");
}

#[test]
fn trailers_pass_both_ways_without_those_that_matter_elsewhere() {
    let origin = Origin::start(|_| {
        Reply::empty(200)
            .chunked(&["x"])
            .trailer("X-Sum", "down")
            .trailer("Set-Cookie", "a=b")
            .trailer("Server-Timing", "t")
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\
         Transfer-Encoding: chunked\r\n\r\n\
         4\r\nbody\r\n0\r\nX-Sum: up\r\nAuthorization: Basic x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
    );
    let response = client.read_response_to("POST");
    assert_eq!(response.trailers.names(), ["X-Sum", "Server-Timing"]);
    assert_eq!(response.trailers.get("x-sum"), Some("down"));
    let request = &origin.requests()[0];
    assert_eq!(request.text(), "body");
    assert_eq!(request.trailers.0, [("X-Sum".into(), "up".into())]);
    assert_eq!(request.header("te"), Some("trailers"));
    assert_eq!(client.get("/next").status, 200);
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let origin = Origin::builder()
        .at_head(|request| {
            let refusal = Reply::ok("too much").status(413);
            (request.path() == "/refused").then(|| refusal.and_close())
        })
        .start(|_| Reply::ok("whole"));
    let proxy = in_front_of(&origin);
    // The upload never ends by itself: the answer must not wait for it.
    let mut client = Client::connect(proxy.address());
    client.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\nfirst");
    let response = client.read_response_to("POST");
    assert_eq!(
        (response.status, response.text().as_str()),
        (413, "too much")
    );
    // And one that pushes as hard as it can finds the answer when it looks.
    let mut client = Client::connect(proxy.address());
    client.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n");
    let block = vec![b'x'; 1 << 20];
    let refused = (0..50).any(|_| client.try_send(&block).is_err());
    assert!(refused, "somebody read the whole upload");
    let response = client.read_response_to("POST");
    assert_eq!(
        (response.status, response.text().as_str()),
        (413, "too much")
    );
    // A small rest is read away, and the connection goes on.
    let mut client = Client::connect(proxy.address());
    client.send("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst");
    assert_eq!(client.read_response_to("POST").status, 413);
    client.send("later");
    assert_eq!(client.get("/").text(), "whole");
}

#[test]
fn a_client_may_stop_sending_and_still_gets_its_answer() {
    let go = Event::new();
    let told = go.clone();
    let origin =
        Origin::start(move |request| Reply::wait_for(&told).then(Reply::ok(request.text())));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    client.shutdown_write();
    origin.wait_for_requests(1, SOON);
    client.expect_silence(Duration::from_millis(30));
    go.fire();
    let response = client.read_response_to("POST");
    assert_eq!((response.status, response.text().as_str()), (200, "body"));
    client.expect_close(SOON);
}

#[test]
fn an_upload_cut_by_the_client_never_looks_whole_to_a_server() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    let heads = [
        "Content-Length: 100\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n64\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ];
    for (number, head) in heads.into_iter().enumerate() {
        let mut client = Client::connect(proxy.address());
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}"));
        origin.wait_for_heads(number + 1, SOON);
        client.shutdown_write();
        match client.try_read_response() {
            Ok(response) => assert_eq!(response.status, 400),
            Err(failure) => assert_ne!(failure, Failure::TimedOut),
        }
    }
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    assert!(origin.requests().iter().all(|request| !request.complete));
}

#[test]
fn an_event_passes_before_the_next_one_is_sent() {
    for path in ["/chunked", "/close"] {
        let (second, last) = (Event::new(), Event::new());
        let told = (second.clone(), last.clone());
        let origin = Origin::start(move |request| {
            let head = Reply::head(200).header("Content-Type", "text/event-stream");
            if request.path() == "/chunked" {
                head.chunked::<&str>(&[])
                    .then(Reply::chunk("data: 1\n\n"))
                    .then(Reply::wait_for(&told.0))
                    .then(Reply::chunk("data: 2\n\n"))
                    .then(Reply::wait_for(&told.1))
                    .then(Reply::last_chunk())
            } else {
                head.then(Reply::bytes("data: 1\n\n"))
                    .then(Reply::wait_for(&told.0))
                    .then(Reply::bytes("data: 2\n\n"))
                    .then(Reply::wait_for(&told.1))
                    .and_close()
            }
        });
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        let head = client.send_request("GET", path, &[], "").read_head();
        assert_eq!(head.framing, Framing::Chunked);
        assert_eq!(client.read_bytes(14), b"9\r\ndata: 1\n\n\r\n");
        second.fire();
        assert_eq!(client.read_bytes(14), b"9\r\ndata: 2\n\n\r\n");
        last.fire();
        assert_eq!(client.read_bytes(5), b"0\r\n\r\n");
    }
}

#[test]
fn a_small_beginning_of_a_large_answer_does_not_wait_for_the_rest() {
    let rest = Event::new();
    let told = rest.clone();
    let origin = Origin::start(move |_| {
        Reply::head(200)
            .length(1_000_000)
            .then(Reply::bytes(&pattern(1_000_000)[..100_000]))
            .then(Reply::wait_for(&told))
            .then(Reply::bytes(&pattern(1_000_000)[100_000..]))
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send_request("GET", "/", &[], "").read_head();
    let first = client.read_bytes(100_000);
    rest.fire();
    let second = client.read_bytes(900_000);
    assert_eq!(
        difference(&[first, second].concat(), &pattern(1_000_000)),
        None
    );
}

#[test]
fn an_upload_passes_piece_by_piece() {
    let origin = Origin::start(|_| Reply::ok("done"));
    let proxy = in_front_of(&origin);
    let arrived = |bytes: u64| {
        wait_until(SOON, || {
            origin
                .requests()
                .last()
                .is_some_and(|request| request.body_length == bytes)
        })
    };
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    assert!(arrived(3), "the first chunk waits in the proxy");
    client.send("3\r\ntwo\r\n");
    assert!(arrived(6), "the second chunk waits in the proxy");
    client.send("0\r\n\r\n");
    assert_eq!(client.read_response_to("POST").text(), "done");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let body = pattern(1_000_000);
    client.send(&body[..10]);
    assert!(arrived(10));
    client.send(&body[10..200_000]);
    assert!(arrived(200_000));
    client.send(&body[200_000..]);
    assert_eq!(client.read_response_to("POST").text(), "done");
}

/// An origin without memory: sends or takes as many bytes as the path says, and counts them.
struct Hose {
    address: SocketAddr,
    moved: Arc<AtomicU64>,
}

impl Hose {
    /// `GET /n` gets n bytes with their length, `GET /c/n` in chunks; an upload is read when
    /// `drinks` has been fired.
    fn start(drinks: &Event) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let moved = Arc::new(AtomicU64::new(0));
        let (counter, drinks) = (Arc::clone(&moved), drinks.clone());
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (counter, drinks) = (Arc::clone(&counter), drinks.clone());
                std::thread::spawn(
                    move || {
                        while Self::serve(&stream, &counter, &drinks).is_some() {}
                    },
                );
            }
        });
        Self { address, moved }
    }

    fn serve(mut stream: &TcpStream, moved: &AtomicU64, drinks: &Event) -> Option<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let path = text.split(' ').nth(1)?;
        let mut left = size_asked(path) as u64;
        let mut block = vec![b'.'; 64 << 10];
        if text.starts_with("post") {
            if !drinks.wait(Duration::from_secs(60)) {
                return None;
            }
            while left > 0 {
                let count = stream.read(&mut block).ok()? as u64;
                if count == 0 {
                    return None;
                }
                moved.fetch_add(count, Ordering::Relaxed);
                left = left.saturating_sub(count);
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nread")
                .ok()?;
            return Some(());
        }
        let is_chunked = path.starts_with("/c/");
        let framing = if is_chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {left}")
        };
        write!(stream, "HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").ok()?;
        while left > 0 {
            let count = left.min(block.len() as u64);
            if is_chunked {
                write!(stream, "{count:x}\r\n").ok()?;
            }
            stream
                .write_all(&block[..usize::try_from(count).ok()?])
                .ok()?;
            if is_chunked {
                stream.write_all(b"\r\n").ok()?;
            }
            moved.fetch_add(count, Ordering::Relaxed);
            left -= count;
        }
        if is_chunked {
            stream.write_all(b"0\r\n\r\n").ok()?;
        }
        Some(())
    }

    /// A proxy with one worker in front of it, warm.
    fn behind(&self) -> Proxy {
        let site = format!("proxy = \"{}\"", self.address);
        let proxy = start(&config_with("workers = 1", &site));
        let mut client = Client::connect(proxy.address());
        assert_eq!(client.get("/100000").body.len(), 100_000);
        assert_eq!(client.get("/c/100000").body.len(), 100_000);
        self.moved.store(0, Ordering::Relaxed);
        proxy
    }

    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Waits until nothing has moved for a while, and tells how much had until then.
    fn stalled_at(&self) -> u64 {
        let (mut last, mut since) = (u64::MAX, Instant::now());
        let stalled = wait_until(Duration::from_secs(20), || {
            if self.moved() != last {
                (last, since) = (self.moved(), Instant::now());
            }
            since.elapsed() > Duration::from_millis(300)
        });
        assert!(stalled, "bytes still move: {}", self.moved());
        last
    }
}

/// Bytes of memory that belong to the proxy alone: pages of its program do not count.
fn held(proxy: &Proxy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id()));
    let status = status.expect("a running proxy");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    let number = kibibytes.and_then(|number| number.trim().parse::<u64>().ok());
    number.expect("RssAnon") * 1024
}

fn ask(address: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream.write_all(head.as_bytes()).expect("a request");
    stream
}

/// Reads away exactly this many bytes.
fn drink(mut stream: &TcpStream, bytes: u64) {
    let mut left = bytes;
    let mut block = vec![0; 256 << 10];
    while left > 0 {
        let room = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = stream.read(&mut block[..room]).expect("bytes in time");
        assert!(count > 0, "closed with {left} bytes missing");
        left -= count as u64;
    }
}

fn drink_head(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

#[test]
fn a_reader_that_stops_stops_the_server() {
    const SIZE: u64 = 192 * MIB;
    for path in [format!("/{SIZE}"), format!("/c/{SIZE}")] {
        let hose = Hose::start(&Event::new());
        let proxy = hose.behind();
        let before = held(&proxy);
        let client = ask(
            proxy.address(),
            &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"),
        );
        drink_head(&client);
        let stalled = hose.stalled_at();
        assert!(stalled < 64 * MIB, "{path}: {stalled} bytes are under way");
        let grown = held(&proxy).saturating_sub(before);
        assert!(grown < 4 * MIB, "{path}: {grown} bytes are held");
        if !path.starts_with("/c/") {
            drink(&client, SIZE);
            assert_eq!(hose.moved(), SIZE);
        }
    }
}

#[test]
fn a_server_that_stops_reading_stops_the_client() {
    const SIZE: usize = 128 << 20;
    let thirst = Event::new();
    let hose = Hose::start(&thirst);
    let proxy = hose.behind();
    let before = held(&proxy);
    let mut client = ask(
        proxy.address(),
        &format!("POST /{SIZE} HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"),
    );
    client
        .set_write_timeout(Some(Duration::from_millis(300)))
        .expect("a timeout");
    let block = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < SIZE {
        match client.write(&block) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(sent < 80 << 20, "{sent} bytes were taken");
    let grown = held(&proxy).saturating_sub(before);
    assert!(grown < 4 * MIB, "{grown} bytes are held");
    thirst.fire();
    client.set_write_timeout(Some(SOON)).expect("a timeout");
    while sent < SIZE {
        let piece = block.len().min(SIZE - sent);
        sent += client.write(&block[..piece]).expect("room in time");
    }
    assert!(drink_head(&client).starts_with("HTTP/1.1 200"));
}

#[test]
fn memory_stays_flat_while_hundreds_of_mebibytes_pass() {
    let thirst = Event::new();
    thirst.fire();
    let hose = Hose::start(&thirst);
    let proxy = hose.behind();
    let get = |size: u64| {
        let client = ask(
            proxy.address(),
            &format!("GET /{size} HTTP/1.1\r\nHost: a\r\n\r\n"),
        );
        drink_head(&client);
        drink(&client, size);
    };
    let post = |size: u64| {
        let mut client = ask(
            proxy.address(),
            &format!("POST /{size} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"),
        );
        let block = vec![b'x'; 1 << 20];
        for _ in 0..size / MIB {
            client.write_all(&block).expect("room");
        }
        assert!(drink_head(&client).starts_with("HTTP/1.1 200"));
    };
    let chunks = |size: u64| {
        let client = ask(
            proxy.address(),
            &format!("GET /c/{size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        );
        drink_head(&client);
        drink(&client, size);
    };
    get(MIB);
    post(MIB);
    chunks(MIB);
    let before = held(&proxy);
    get(256 * MIB);
    post(128 * MIB);
    chunks(64 * MIB);
    let grown = held(&proxy).saturating_sub(before);
    assert!(grown < 3 * MIB, "{before} bytes grew by {grown}");
}

#[test]
fn http_1_0_keeps_its_connection_only_when_it_asks() {
    let origin = Origin::start(|_| Reply::ok("x"));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let response = client.read_response_to("GET");
        assert!(response.headers.has_token("connection", "keep-alive"));
        assert_eq!(response.text(), "x");
    }
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = client.read_response_to("GET");
    assert_eq!(
        (response.text().as_str(), response.says_close()),
        ("x", true)
    );
    client.expect_close(SOON);
    let mut client = Client::connect(proxy.address());
    client.send("GET /no-host HTTP/1.0\r\n\r\n");
    assert_eq!(client.read_response_to("GET").status, 200);
}

#[test]
fn http_1_0_gets_a_stream_until_the_connection_closes() {
    let origin = Origin::start(|request| {
        let body = pattern(300_000);
        match request.path() {
            "/chunked" => Reply::empty(200).chunked(&[&body]).trailer("X-Sum", "1"),
            _ => Reply::ok(&body).close_delimited(),
        }
    });
    let proxy = in_front_of(&origin);
    for path in ["/chunked", "/close"] {
        let mut client = Client::connect(proxy.address());
        client.send(format!(
            "GET {path} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
        ));
        let response = client.read_response_to("GET");
        assert_eq!(response.framing, Framing::UntilClose);
        assert!(response.says_close() && response.is_complete());
        assert_eq!(difference(&response.body, &pattern(300_000)), None);
    }
}

#[test]
fn a_server_may_speak_http_1_0() {
    let origin = Origin::start(|request| match request.path() {
        "/length" => Reply::ok("length").http10(),
        _ => Reply::ok("close").http10().close_delimited(),
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for path in ["/length", "/close", "/length"] {
        let response = client.get(path);
        assert_eq!(response.version, "HTTP/1.1");
        assert_eq!(response.text(), path[1..]);
    }
    assert_eq!(origin.connections().len(), 3);
}

#[test]
fn an_answer_cut_by_its_server_is_cut_visibly() {
    let origin = Origin::start(|request| {
        let body = pattern(200_000);
        let after_head = |reply: Reply| {
            if request.path().ends_with("reset") {
                reply.and_reset()
            } else {
                reply.and_close()
            }
        };
        let kind = request.path().split('/').nth(1).unwrap_or_default();
        let head = Reply::head(200);
        match kind {
            "length" => after_head(head.length(1_000_000).then(Reply::bytes(&body))),
            "small" => after_head(head.length(10).then(Reply::bytes("12345"))),
            "chunked" => after_head(head.chunked::<&str>(&[]).then(Reply::chunk(&body))),
            "chunk" => after_head(
                head.chunked::<&str>(&[])
                    .then(Reply::bytes("ffff\r\nnot that much")),
            ),
            _ => head.then(Reply::bytes(&body)).and_reset(),
        }
    });
    let proxy = in_front_of(&origin);
    for version in ["1.1", "1.0"] {
        for kind in ["length", "small", "chunked", "chunk", "close"] {
            for how in ["fin", "reset"] {
                if (kind, how) == ("close", "fin") {
                    continue; // that is how such an answer ends
                }
                let mut client = Client::connect(proxy.address());
                client.send(format!(
                    "GET /{kind}/{how} HTTP/{version}\r\nHost: a\r\n\r\n"
                ));
                match client.try_read_response() {
                    Ok(response) if response.framing == Framing::UntilClose => {
                        let transcript = client.transcript().to_string();
                        assert!(transcript.contains("failed:"), "{kind} {how} {transcript}");
                    }
                    Ok(response) => assert_eq!(response.end, End::Cut, "{version} {kind} {how}"),
                    // The whole answer may be lost in the reset, or be our own word for it.
                    Err(failure) => assert_eq!(failure, Failure::Reset, "{version} {kind} {how}"),
                }
            }
        }
    }
    let line = proxy.wait_for_access(|line| line.contains("origin.body.truncated"));
    assert!(line.contains("\"status\":200"), "{line}");
}

#[test]
fn a_client_that_is_gone_frees_its_server() {
    let hose = Hose::start(&Event::new());
    let never = Event::new();
    let origin = Origin::start(move |_| Reply::wait_for(&never));
    let proxy = start(&config_with(
        "metrics = \"127.0.0.1:0\"",
        &format!(
            "routes = [{{ path = \"/wait\", proxy = \"{}\" }}]\nproxy = \"{}\"",
            origin.address(),
            hose.address
        ),
    ));
    // While it waits for the head.
    let mut client = Client::connect(proxy.address());
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for_requests(1, SOON);
    client.reset();
    let ended = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    assert_eq!(ended[0].ended.map(|ended| ended.1), Some(Ended::Cut));
    // While it downloads.
    let client = ask(
        proxy.address(),
        "GET /500000000 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    drink_head(&client);
    client.shutdown(Shutdown::Both).expect("a socket");
    drop(client);
    let is_over = || metric(&proxy, "http_server_active_requests") == 0.0;
    assert!(wait_until(SOON, is_over), "an exchange lives on");
    assert!(hose.moved() < 500_000_000);
    proxy.wait_for_access(|line| line.contains("client.gone"));
    // While it uploads.
    let mut client = Client::connect(proxy.address());
    client.send("POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    origin.wait_for_heads(2, SOON);
    client.reset();
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    assert!(wait_until(SOON, is_over), "an exchange lives on");
    assert!(wait_until(SOON, || metric(&proxy, "croupier_connections") == 0.0));
}

#[test]
fn a_server_that_fails_far_into_an_upload_is_told_of_once() {
    const SIZE: u64 = 40 * MIB;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&connections);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            counter.fetch_add(1, Ordering::Relaxed);
            drink(&stream, SIZE / 10 * 9);
        }
    });
    let other = Origin::start(|_| Reply::ok("never asked"));
    let proxy = start(&config_with(
        "workers = 1",
        &format!(
            "pool = \"app\"\n[pool.app]\nservers = [\"{address}\", {{ address = \"{}\", backup = true }}]",
            other.address()
        ),
    ));
    let mut client = ask(
        proxy.address(),
        &format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"),
    );
    let block = vec![b'x'; 1 << 20];
    for _ in 0..SIZE / MIB {
        if client.write_all(&block).is_err() {
            break; // it has been told already
        }
    }
    assert!(drink_head(&client).starts_with("HTTP/1.1 502"));
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    assert!(other.requests().is_empty());
    proxy.wait_for_access(|line| line.contains("\"no_retry\":\"body>cap\""));
}

#[test]
fn slow_clients_hold_up_nobody() {
    let origin = Origin::start(|request| match request.path() {
        "/large" => Reply::ok(pattern(4_000_000)),
        _ => Reply::ok(request.path()),
    });
    let proxy = in_front_of(&origin);
    let mut crowd: Vec<_> = (0..60)
        .map(|number| {
            let mut client = Client::connect(proxy.address()).receive_buffer(4096);
            match number % 3 {
                0 => client.send("GET /slow HTTP/1.1\r\nHo"),
                1 => client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"),
                _ => client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n"),
            };
            client
        })
        .collect();
    let load = Load::start(proxy.address(), 2, Duration::ZERO, Connections::Kept);
    for _ in 0..10 {
        load.wait_for_good(50, SOON);
        for (number, client) in crowd.iter_mut().enumerate() {
            match number % 3 {
                0 => _ = client.try_send("s"),
                1 => _ = client.try_send("x"),
                _ => _ = client.read_bytes(100),
            }
        }
    }
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert!(tally.percentile(0.99) < Duration::from_millis(500));
}
