//! Origins that are broken or hostile: their answers are understood, or they are a bad gateway.
//!
//! Rows A26 and A27 of the catalogue, R10 to R12, and payloads `g179` to `g193`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use croupier_testkit::{Client, End, Event, Failure, Origin, Proxy, Reply, wire::pattern};

use crate::{
    prelude::{in_front_of, start},
    verdict::{CLOSE, SOON, ask, expand},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// An origin that says these bytes to whoever asks for `/`, and behaves otherwise.
fn saying(bytes: &[u8]) -> Origin {
    let bytes = bytes.to_vec();
    Origin::start(move |request| match request.path() {
        "/" => Reply::bytes(&bytes),
        path => Reply::ok(path),
    })
}

/// Answers that could be read in two ways, or not at all.
#[test]
fn a26_answers_that_are_a_bad_gateway() {
    for (name, bytes) in BAD {
        let bytes = expand(bytes);
        let origin = saying(&bytes);
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        client.send(GET);
        let answer = client.read_response();
        assert_eq!(answer.status, 502, "{name}: {}", answer.text());
        assert!(answer.is_complete() && answer.interim.len() <= 32, "{name}");
        // That connection to the origin is gone, the client's is not, and nothing is repeated.
        let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
        assert_eq!(connections.len(), 1, "{name}");
        assert_eq!(client.get("/next").text(), "/next", "{name}");
        let asked: Vec<String> = origin
            .requests()
            .into_iter()
            .map(|request| request.target)
            .collect();
        assert_eq!(asked, ["/", "/next"], "{name}");
    }
}

#[rustfmt::skip]
const BAD: &[(&str, &[u8])] = &[
    ("g179, length and coding", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("coding and length", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("g180, two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("the same length twice", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ("a list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("g181, a sign", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    ("an empty length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello"),
    ("a padded length", b"HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\nhello"),
    ("a hexadecimal length", b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("a length of 20 digits", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\nhello"),
    ("g182, an empty coding first", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    ("chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunked and more", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("not only chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello"),
    ("a coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("framing in doubt on a 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("framing in doubt on a 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    ("framing in doubt on a 103", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    ("g183, a bare CR", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"),
    ("a bare LF", b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 0\r\n\r\n"),
    ("only LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("a CR too many", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\r\n"),
    ("g184, a space before the colon", b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n"),
    ("folded", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
    ("folded at once", b"HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 0\r\n\r\n"),
    ("a NUL", b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"),
    ("a NUL in the reason", b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"),
    ("an escape in the reason", b"HTTP/1.1 200 \x1b[31m\r\nContent-Length: 0\r\n\r\n"),
    ("no name", b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n"),
    ("no colon", b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n"),
    ("an odd name", b"HTTP/1.1 200 OK\r\nX[: a\r\nContent-Length: 0\r\n\r\n"),
    ("a name beyond ASCII", b"HTTP/1.1 200 OK\r\nX\xff: a\r\nContent-Length: 0\r\n\r\n"),
    ("status 20", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 2000", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 000", b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 099", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status -20", b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status 2x0", b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),
    ("no status", b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    ("two spaces", b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("another version", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a version from the future", b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("lower case", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("an empty line first", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("another protocol", b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    ("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28"),
    ("a request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("only a body", b"<html>hello</html>\r\n\r\n"),
    ("a head too large", b"HTTP/1.1 200 OK\r\nX: ('x' x 70000)\r\nContent-Length: 0\r\n\r\n"),
    ("a head without end", b"HTTP/1.1 200 OK\r\nX: ('x' x 200000)"),
    ("an unasked switch", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw"),
    ("a switch to nothing", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ("an interim answer with a body", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
];

#[test]
fn a26_too_many_lines_and_interim_answers() {
    let lines: String = (0..201).map(|n| format!("X-{n}: y\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1000)
        + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let continues = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)
        + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for bytes in [many, flood, continues] {
        let origin = saying(bytes.as_bytes());
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        client.send(GET);
        let answer = client.read_response();
        assert_eq!(answer.status, 502);
        assert!(answer.interim.len() <= 32);
        origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
        assert_eq!(client.get("/next").text(), "/next");
    }
}

#[test]
fn a26_a_bad_answer_is_noticed_wherever_it_is_cut() {
    let bad = b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n";
    let turn = AtomicUsize::new(1);
    let origin = Origin::start(move |_| {
        let at = turn.fetch_add(1, Ordering::Relaxed);
        Reply::bytes(&bad[..at])
            .then(Reply::wait(Duration::from_millis(1)))
            .then(Reply::bytes(&bad[at..]))
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for at in 1..bad.len() {
        let answer = client.get("/");
        assert_eq!(answer.status, 502, "cut at {at}");
    }
    let reused = origin.requests().iter().any(|request| request.number > 0);
    assert!(!reused, "such a connection is never used again");
}

#[test]
fn a26_odd_answers_that_pass() {
    // The status line as it came; the kit's own reader is stricter than what passes here.
    for (bytes, wanted) in [
        (
            &b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nOK"[..],
            &b"HTTP/1.1 999 Odd\r\n"[..],
        ),
        (
            b"HTTP/1.1 600 \r\nContent-Length: 2\r\n\r\nOK",
            b"HTTP/1.1 600 \r\n",
        ),
        (
            b"HTTP/1.1 299 caf\xc3\xa9\r\nContent-Length: 2\r\n\r\nOK",
            b"HTTP/1.1 299 \r\n",
        ),
        (
            b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nOK",
            b"HTTP/1.1 200 OK\r\n",
        ),
        (
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK",
            b"HTTP/1.1 200 OK\r\n",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX:caf\xe9\t \r\nContent-Length: 2\r\n\r\nOK",
            b"HTTP/1.1 200 OK\r\nX: caf\xe9\r\n",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX:\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nOK\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: \r\n",
        ),
    ] {
        let origin = saying(bytes);
        let proxy = in_front_of(&origin);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = answer.escape_ascii().to_string();
        assert!(answer.starts_with(wanted), "{text}");
        assert!(
            answer.windows(2).any(|window| window == b"OK") && !text.contains("a=b"),
            "{text}"
        );
    }
}

#[test]
fn a26_answers_without_a_body_have_none() {
    for (bytes, method, status) in [
        (
            &b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"[..],
            "GET",
            204,
        ),
        (
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "GET",
            204,
        ),
        (
            b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET",
            304,
        ),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
            "GET",
            304,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HEAD",
            200,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HEAD",
            200,
        ),
    ] {
        let origin = saying(bytes);
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        let what = bytes.escape_ascii().to_string();
        let answer = client.request(method, "/", &[], "");
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{what}");
        if status == 204 {
            assert!(
                !answer.headers.has("content-length") && !answer.headers.has("transfer-encoding")
            );
        }
        // What the origin said too much is neither passed on nor the next answer.
        let next = client.get("/next");
        assert_eq!(next.text(), "/next", "{what}");
        assert_eq!(origin.connections().len(), 2, "{what}");
    }
}

#[test]
fn a26_extra_bytes_are_nobodys_answer() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for first in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK{poison}"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n{poison}"
        ),
        format!("HTTP/1.1 204 No Content\r\n\r\n{poison}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{poison}"),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK\r\n".to_owned(),
    ] {
        let origin = saying(first.as_bytes());
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        assert!(["OK", ""].contains(&client.get("/").text().as_str()));
        let mut other = Client::connect(proxy.address());
        assert_eq!(other.get("/other").text(), "/other");
        assert_eq!(client.get("/next").text(), "/next");
        let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
        assert_eq!(connections[0].requests, 1);
    }
}

/// One worker, so that every client meets the same idle connections, and no idle timeout that
/// could do the work of the judgement.
fn patient(origin: &Origin) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[timeouts]\norigin_idle = \"60s\"\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ))
}

#[test]
fn a27_unasked_bytes_on_an_idle_connection_end_it() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/seed" => Reply::ok("seeded")
            .then(Reply::wait_for(&told))
            .then(Reply::bytes(
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            ))
            .then(Reply::stall()),
        path => Reply::ok(path),
    });
    let proxy = patient(&origin);
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/seed").text(), "seeded");
    assert_eq!(origin.open_connections(), 1);
    go.fire();
    // Nobody asks for anything: the bytes alone end it.
    let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
    assert_eq!(connections.len(), 1);
    assert_eq!(client.get("/next").text(), "/next");
    assert_eq!(origin.connections()[0].requests, 1);
}

#[test]
fn a27_a_victim_never_gets_a_seeded_answer() {
    // Each seed lies in the proxy's socket before the victim asks; bytes that come after a question
    // are its answer, as far as anybody can tell.
    let seeds: Vec<(Event, Event)> = (0..30).map(|_| (Event::new(), Event::new())).collect();
    let told = seeds.clone();
    let origin = Origin::start(move |request| {
        let seed = request.path().strip_prefix("/seed/");
        match seed.and_then(|number| told.get(number.parse::<usize>().ok()?)) {
            Some((go, gone)) => Reply::ok(request.path())
                .then(Reply::wait_for(go))
                .then(Reply::bytes(
                    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
                ))
                .then(Reply::fire(gone))
                .then(Reply::stall()),
            None => Reply::ok(request.path()),
        }
    });
    let proxy = patient(&origin);
    let mut attacker = Client::connect(proxy.address());
    let mut victim = Client::connect(proxy.address());
    for (number, (go, gone)) in seeds.iter().enumerate() {
        attacker.get(&format!("/seed/{number}"));
        go.fire();
        assert!(gone.wait(SOON));
        let path = format!("/victim/{number}");
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(victim.request(method, &path, &[], "").text(), path);
    }
}

#[test]
fn a27_an_origin_that_closes_an_idle_connection_is_no_error() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = patient(&origin);
    let mut client = Client::connect(proxy.address());
    for number in 0..10 {
        let path = format!("/{number}");
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(client.request(method, &path, &[], "").text(), path);
        origin.kill_idle_connections();
    }
    let seen = origin.requests();
    assert_eq!(seen.len(), 10, "nothing is sent twice");
}

/// How an answer may break off, and what of it is lawful so far.
const BREAKS: [(&str, &str); 9] = [
    (
        "length",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    ),
    (
        "length, nothing of it",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
    ),
    (
        "chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello",
    ),
    (
        "chunks, no first",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "chunks, no last",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ),
    (
        "chunk end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
    ),
    (
        "chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1",
    ),
    (
        "last chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ),
    (
        "trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r",
    ),
];

/// An answer that is not whole must not look whole, not even to HTTP/1.0, where a close ends it.
fn must_look_cut(proxy: &Proxy, version: &str, what: &str) {
    let mut client = Client::connect(proxy.address());
    client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
    match client.try_read_response() {
        Ok(answer) => assert_eq!(
            answer.end,
            End::Cut,
            "{what} to HTTP/{version}: {}",
            answer.text()
        ),
        Err(Failure::Cut | Failure::Reset) => {}
        Err(other) => panic!("{what} to HTTP/{version}: {other:?}"),
    }
}

#[test]
fn r10_truncated_answers_are_cut_for_everybody() {
    for (what, bytes) in BREAKS {
        for ends_by in [Reply::close as fn() -> Reply, Reply::reset] {
            let origin = Origin::start(move |_| {
                Reply::bytes(bytes)
                    .then(Reply::wait(Duration::from_millis(5)))
                    .then(ends_by())
            });
            let proxy = in_front_of(&origin);
            must_look_cut(&proxy, "1.1", what);
            must_look_cut(&proxy, "1.0", what);
        }
    }
}

#[test]
fn r10_a_reset_is_no_end_of_an_answer_until_close() {
    let origin = Origin::start(|_| {
        Reply::bytes("HTTP/1.1 200 OK\r\n\r\nhello")
            .then(Reply::wait(Duration::from_millis(5)))
            .and_reset()
    });
    let proxy = in_front_of(&origin);
    must_look_cut(&proxy, "1.1", "until close");
    must_look_cut(&proxy, "1.0", "until close");
    let origin = Origin::start(|_| Reply::ok("hello").close_delimited());
    let proxy = in_front_of(&origin);
    for version in ["1.1", "1.0"] {
        let answer = ask(&proxy, format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert_eq!(
            (answer.text().as_str(), answer.end),
            ("hello", End::Complete)
        );
    }
}

#[test]
fn r10_large_truncated_answers_are_cut_as_well() {
    // Large enough to be moved inside the kernel.
    const WHOLE: usize = 4 << 20;
    const LENGTH: &str = "Content-Length: 4194304\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let half = pattern(WHOLE / 2);
    // Without framing a close is the lawful end.
    for (framing, ends_by) in [
        (LENGTH, Reply::close as fn() -> Reply),
        (LENGTH, Reply::reset),
        (CHUNKED, Reply::close),
        (CHUNKED, Reply::reset),
        ("", Reply::reset),
    ] {
        let body = half.clone();
        let origin = Origin::start(move |_| {
            let size = if framing == CHUNKED { "400000\r\n" } else { "" };
            Reply::bytes(format!("HTTP/1.1 200 OK\r\n{framing}\r\n{size}"))
                .then(Reply::bytes(&body))
                .then(ends_by())
        });
        let proxy = in_front_of(&origin);
        must_look_cut(&proxy, "1.1", framing);
        must_look_cut(&proxy, "1.0", framing);
    }
}

#[test]
fn r11_broken_chunks_are_cut() {
    for body in [
        "5\r\nhelloXX",
        "5\r\nhello\n0\r\n\r\n",
        "+5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5;\r\nhello\r\n",
        "\r\n",
        "Z\r\n",
        "5;a\nhello\r\n",
        "5\r\nhello\r\n-1\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let origin = Origin::start(move |_| Reply::bytes(&bytes).then(Reply::stall()));
        let proxy = in_front_of(&origin);
        must_look_cut(&proxy, "1.1", body);
        must_look_cut(&proxy, "1.0", body);
        origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
    }
}

#[test]
fn r12_no_answer_at_all() {
    for ends_by in [Reply::close as fn() -> Reply, Reply::reset] {
        for half in [
            "",
            "HTTP/1.1 200 OK\r\nContent-",
            "HTTP/1.1 103 Early Hints\r\n\r\n",
        ] {
            let origin = Origin::start(move |request| match request.path() {
                "/" => Reply::bytes(half).then(ends_by()),
                path => Reply::ok(path),
            });
            let proxy = in_front_of(&origin);
            let mut client = Client::connect(proxy.address());
            // A POST may have been done: it is not sent twice.
            let answer = client.request("POST", "/", &[], "once");
            assert_eq!(answer.status, 502, "{half:?}");
            assert_eq!(origin.requests().len(), 1, "{half:?}");
            assert_eq!(client.get("/next").text(), "/next");
        }
    }
}

#[test]
fn an_origin_that_answers_before_it_is_asked_all_is_heard() {
    let origin = Origin::builder()
        .at_head(|_| Some(Reply::empty(413).header("Connection", "close").and_close()))
        .start(|_| Reply::ok("never"));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    client.send(pattern(1000));
    assert_eq!(client.read_response().status, 413);
    // It can not be known how much more comes: drained in part, then closed.
    for _ in 0..100 {
        if client.try_send(pattern(100_000)).is_err() {
            break;
        }
    }
    client.expect_close(CLOSE);
}
