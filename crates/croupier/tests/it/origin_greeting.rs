//! What comes before the first request of a connection to a server: a PROXY header. And checks, in
//! the words of the pool.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

use croupier_testkit::{Authority, TlsClient, h2::Head};

use super::{
    origin_server::{Answer, H2Server, lines},
    prelude::*,
    tls_sites::house,
};

/// A server that tells what its connections began with, answers each request, and keeps them.
fn listening(header: fn(&[u8]) -> Option<usize>) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, receive) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let send = send.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let length = loop {
                    read(&mut stream, &mut bytes)?;
                    if let Some(length) = header(&bytes) {
                        break length;
                    }
                };
                send.send(bytes.drain(..length).collect()).ok()?;
                loop {
                    while !bytes.ends_with(b"\r\n\r\n") {
                        read(&mut stream, &mut bytes)?;
                    }
                    bytes.clear();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).ok()?;
                }
                #[expect(unreachable_code, reason = "the type of the thread")]
                Some(())
            });
        }
    });
    (address, receive)
}

fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 4096];
    let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
    bytes.extend_from_slice(&part[..count]);
    Some(())
}

fn pool(address: SocketAddr, greeting: &str, more: &str) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[pool.p]\nservers = [\"{address}\"]\n\
         proxy_protocol = {greeting}\n{more}\n\n[site.\"*\"]\npool = \"p\"\n"
    ))
}

fn v1(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some(end + 2)
}

fn v2(bytes: &[u8]) -> Option<usize> {
    let length = u16::from_be_bytes([*bytes.get(14)?, *bytes.get(15)?]);
    let length = 16 + usize::from(length);
    (bytes.len() >= length).then_some(length)
}

#[test]
fn a_server_hears_first_whose_connection_it_is_and_it_stays_his() {
    let (address, heard) = listening(v1);
    let proxy = pool(address, "\"v1\"", "");
    let mut one = Client::connect(proxy.address());
    let mut other = Client::connect(proxy.address());
    for client in [&mut one, &mut other] {
        assert_eq!(client.get("/").text(), "ok");
        let port = client.local_address().port();
        let header = String::from_utf8(heard.recv_timeout(SOON).unwrap()).unwrap();
        let words: Vec<&str> = header.split_whitespace().collect();
        assert_eq!(words[..3], ["PROXY", "TCP4", "127.0.0.1"], "{header}");
        assert_eq!(words[4], port.to_string(), "{header}");
    }
}

#[test]
fn version_2_says_what_it_is_told_to() {
    let (address, heard) = listening(v2);
    let proxy = pool(
        address,
        "{ version = \"v2\", tlvs = [\"unique-id\", \"alpn\", \"ssl\", \"authority\"] }",
        "",
    );
    let mut client = Client::connect(proxy.address());
    let id = "0123456789abcdef";
    let answer = client.request("GET", "/", &[("X-Request-Id", id)], b"");
    assert_eq!(answer.status, 200);
    let header = heard.recv_timeout(SOON).unwrap();
    assert_eq!(header[..12], *b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(header[12..14], [0x21, 0x11], "PROXY, TCP over IPv4");
    assert_eq!(header[16..20], [127, 0, 0, 1]);
    let port = client.local_address().port();
    assert_eq!(header[24..26], port.to_be_bytes());
    // A plain client has shaken no hands: the id is all there is to say.
    assert_eq!(header[28], 0x05);
    let length = usize::from(u16::from_be_bytes([header[29], header[30]]));
    assert_eq!(header.len(), 31 + length);
}

/// The extensions of a header of version 2, or of a value that begins with five bytes of its own.
fn tlvs(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let (value, behind) = rest.split_at(usize::from(*high) << 8 | usize::from(*low));
        all.push((*kind, value.to_vec()));
        bytes = behind;
    }
    all
}

#[test]
fn version_2_tells_what_a_client_of_tls_agreed_on() {
    let (address, heard) = listening(v2);
    let authority = Authority::new("Tables");
    let site = authority.issue(&["a.example"]);
    let proxy = house(&authority, &[("a", &site)]).start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[pool.p]\nservers = [\"{address}\"]\n\
         proxy_protocol = {{ version = \"v2\", tlvs = [\"alpn\", \"ssl\", \"authority\"] }}\n\n\
         [site.\"a.example\"]\npool = \"p\"\n\
         tls = {{ certificate = \"a.pem\", client_auth = {{ mode = \"optional\", ca = \"ca.pem\" }} }}\n"
    ));
    let anybody = TlsClient::trusting(&authority);
    let ada = TlsClient::showing(&authority.issue_client("ada"));
    // Who it is, what is offered, what is told of it: protocol, bits of the client, version, name.
    let (no_certificate, certificate) = (0x01, 0x07);
    for (tls, alpn, bits, version, name) in [
        (
            anybody.clone().alpn(&["http/1.1"]),
            Some("http/1.1"),
            no_certificate,
            "TLSv1.3",
            None,
        ),
        (anybody, None, no_certificate, "TLSv1.3", None),
        (
            TlsClient::of_version_1_2(),
            None,
            no_certificate,
            "TLSv1.2",
            None,
        ),
        (
            ada.alpn(&["http/1.1"]),
            Some("http/1.1"),
            certificate,
            "TLSv1.3",
            Some("ada"),
        ),
    ] {
        let mut client = tls.connect(proxy.address(), "a.example");
        assert_eq!(client.get("/").text(), "ok");
        let header = heard.recv_timeout(SOON).unwrap();
        let found = tlvs(&header[28..]);
        let find = |kind: u8| {
            found
                .iter()
                .find(|(own, _)| *own == kind)
                .map(|(_, value)| value)
        };
        assert_eq!(find(0x01).map(Vec::as_slice), alpn.map(str::as_bytes));
        assert_eq!(find(0x02).map(Vec::as_slice), Some(&b"a.example"[..]));
        let ssl = find(0x20).unwrap();
        assert_eq!(ssl[0], bits);
        // 0 when a certificate was verified.
        assert_eq!(ssl[1..5], [0, 0, 0, u8::from(name.is_none())]);
        let mut wanted = vec![(0x21, version.as_bytes().to_vec())];
        wanted.extend(name.map(|name| (0x22, name.as_bytes().to_vec())));
        assert_eq!(tlvs(&ssl[5..]), wanted);
    }
}

#[test]
fn version_2_tells_that_a_client_of_tls_speaks_http_2() {
    let (address, heard) = listening(v2);
    let authority = Authority::new("Tables");
    let site = authority.issue(&["a.example"]);
    let proxy = house(&authority, &[("a", &site)]).start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[pool.p]\nservers = [\"{address}\"]\n\
         proxy_protocol = {{ version = \"v2\", tlvs = [\"alpn\"] }}\n\n\
         [site.\"a.example\"]\npool = \"p\"\ntls = {{ certificate = \"a.pem\" }}\n"
    ));
    let tls = TlsClient::trusting(&authority).alpn(&["h2"]);
    let mut client = tls.connect_h2(proxy.address(), "a.example");
    let head = Head::get("/")
        .with(":authority", "a.example")
        .with(":scheme", "https");
    assert_eq!(client.request(&head, "").status, 200);
    let header = heard.recv_timeout(SOON).unwrap();
    assert_eq!(tlvs(&header[28..]), [(0x01, b"h2".to_vec())]);
}

#[test]
fn a_check_says_that_it_is_nobodys_client() {
    let (address, heard) = listening(v1);
    let health = "health = { path = \"/healthz\", interval = \"100ms\" }";
    let _proxy = pool(address, "\"v1\"", health);
    for _ in 0..3 {
        assert_eq!(heard.recv_timeout(SOON).unwrap(), b"PROXY UNKNOWN\r\n");
    }
}

/// A server of gRPC whose health is this number.
fn grpc(status: &'static [u8], code: &'static str) -> H2Server {
    H2Server::answering(&[], move |asked| {
        if asked.path() != "/grpc.health.v1.Health/Check" {
            return Answer::of("served");
        }
        assert_eq!(asked.line("content-type"), Some("application/grpc"));
        assert_eq!(asked.line("te"), Some("trailers"));
        let mut answer = Answer::of(status).line("content-type", "application/grpc");
        answer.trailers = lines(&[("grpc-status", code)]);
        answer
    })
}

#[test]
fn a_check_by_grpc_believes_serving_and_nothing_else() {
    let cases: [(&'static [u8], &'static str, bool); 4] = [
        (&[0, 0, 0, 0, 2, 8, 1], "0", true),
        (&[0, 0, 0, 0, 2, 8, 2], "0", false),
        (&[0, 0, 0, 0, 2, 8, 1], "5", false),
        (&[], "12", false),
    ];
    for (status, code, serves) in cases {
        let server = grpc(status, code);
        let proxy = start(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[pool.p]\nservers = [\"{}\"]\n\
             protocol = \"h2c\"\n\
             health = {{ grpc = true, interval = \"50ms\", interval_changing = \"50ms\" }}\n\n\
             [site.\"*\"]\npool = \"p\"\n",
            server.address
        ));
        if serves {
            assert_eq!(Client::connect(proxy.address()).get("/").text(), "served");
            assert!(croupier_testkit::wait_until(SOON, || server.connections() > 5));
            assert!(!proxy.log_lines().iter().any(|line| line.contains("check.")));
        } else {
            let line = proxy.wait_for_log(|line| line.contains("to=down"));
            assert!(line.contains("reason=check.grpc"), "{line}");
        }
    }
}

#[test]
fn a_check_speaks_http_2_where_its_pool_does() {
    let server = H2Server::answering(&[], |asked| match asked.path() {
        "/healthz" => Answer::of("all is well"),
        _ => Answer::of("served"),
    });
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[pool.p]\nservers = [\"{}\"]\n\
         protocol = \"h2c\"\n\
         health = {{ path = \"/healthz\", body = \"well\", interval = \"50ms\" }}\n\n\
         [site.\"*\"]\npool = \"p\"\n",
        server.address
    ));
    let checks = || {
        let asked = server.asked();
        asked
            .iter()
            .filter(|asked| asked.path() == "/healthz")
            .count()
    };
    assert!(croupier_testkit::wait_until(SOON, || checks() > 5));
    assert!(!proxy.log_lines().iter().any(|line| line.contains("check.")));
}
