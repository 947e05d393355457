//! Who stands behind the load balancer: believed of those who are listed, demanded of them, and of
//! nobody else. Row F08 of the catalogue.

use std::{io::Write as _, net::TcpStream};

use croupier_testkit::{
    Authority, Client, Failure, TlsClient, split_at_every_offset, wait_until, wire::json_value,
};

use crate::{
    prelude::{Origin, Proxy, Reply, SOON, metric, start},
    tls_sites::{house, site},
};

const V1: &str = "PROXY TCP4 203.0.113.9 192.0.2.1 4321 443\r\n";

/// Version 2, for this command, family and payload.
fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.push(0x20 | command);
    header.push(family);
    header.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    header.extend_from_slice(payload);
    header
}

fn v2_tcp4(tlvs: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 192, 0, 2, 1, 0x10, 0xe1, 0x01, 0xbb];
    v2(1, 0x11, &[&addresses[..], tlvs].concat())
}

fn config(listed: &str, more: &str, proxy: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\nproxy_protocol = [\"{listed}\"]\n\n\
         {more}[site.\"*\"]\ntls = \"off\"\n{proxy}\n"
    )
}

fn counted(proxy: &Proxy, result: &str) -> f64 {
    metric(
        proxy,
        &format!("croupier_proxy_headers_total{{result=\"{result}\"}}"),
    )
}

#[test]
fn the_header_names_the_client_to_origin_and_log() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = start(&config(
        "127.0.0.1",
        "",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    let v6 = "PROXY TCP6 2001:db8::9 2001:db8::1 4321 443\r\n";
    for (index, (header, client)) in [
        (V1.as_bytes().to_vec(), "203.0.113.9"),
        (v6.as_bytes().to_vec(), "2001:db8::9"),
        (v2_tcp4(&[]), "203.0.113.9"),
        // A TLV of three bytes that nobody knows.
        (v2_tcp4(&[0xe0, 0, 3, 1, 2, 3]), "203.0.113.9"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        // A health check of the balancer itself.
        (v2(0, 0, &[]), "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client_end = Client::connect(proxy.address());
        client_end.send(header);
        for _ in 0..2 {
            client_end.send(format!("GET /{index} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(client_end.read_response_to("GET").status, 200, "{index}");
            let request = origin.requests().pop().unwrap();
            assert_eq!(request.headers.all("x-forwarded-for"), [client], "{index}");
        }
        let log = proxy.wait_for_access(|line| line.contains(&format!("\"/{index}\"")));
        assert_eq!(
            json_value(&log, "client_ip").as_deref(),
            Some(client),
            "{log}"
        );
    }
    assert!(wait_until(SOON, || counted(&proxy, "accepted") == 4.0));
    assert!(wait_until(SOON, || counted(&proxy, "local") == 2.0));
}

#[test]
fn a_header_may_come_in_any_two_pieces_and_with_its_request() {
    let proxy = start(&config("127.0.0.1", "", "respond = \"ok\""));
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for header in [V1.as_bytes().to_vec(), v2_tcp4(&[4, 0, 1, 0])] {
        let whole = [&header[..], request].concat();
        for (first, second) in split_at_every_offset(&whole) {
            let mut client = Client::connect(proxy.address());
            client.send(first);
            std::thread::sleep(std::time::Duration::from_micros(300));
            client.send(second);
            assert_eq!(
                client.read_response_to("GET").status,
                200,
                "{}",
                first.len()
            );
        }
    }
}

#[test]
fn tls_begins_behind_the_header() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let server = "[server]\nlisten = [\"127.0.0.1:0\"]\nproxy_protocol = [\"127.0.0.0/8\"]\n\n";
    let proxy =
        house(&authority, &[("a", &a)]).start(&format!("{server}{}", site("a.example", "a")));
    let tls = TlsClient::trusting(&authority);
    for header in [V1.as_bytes().to_vec(), v2_tcp4(&[])] {
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(&header).unwrap();
        let mut client = tls.over(stream, "a.example").unwrap();
        assert_eq!(client.get("/behind").text(), "a.example");
    }
    let log = proxy.wait_for_access(|line| line.contains("/behind"));
    assert_eq!(
        json_value(&log, "client_ip").as_deref(),
        Some("203.0.113.9")
    );
    // Nobody shakes hands without it.
    assert!(tls.try_connect(proxy.address(), "a.example").is_err());
}

#[test]
fn f08_who_is_listed_and_sends_none_or_a_bad_one_is_not_heard() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = start(&config(
        "127.0.0.1",
        "[timeouts]\nhandshake = \"1s\"\n\n",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    let long = format!("PROXY TCP4 {} 192.0.2.1 4321 443\r\n", "1".repeat(90));
    for (header, result) in [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "missing"),
        (b"\x16\x03\x01\x02\x00\x01".to_vec(), "missing"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "missing"),
        (b"PROXY TCP4 203.0.113.9\r\n".to_vec(), "malformed"),
        (
            b"PROXY TCP4 203.0.113.999 192.0.2.1 4321 443\r\n".to_vec(),
            "malformed",
        ),
        (
            b"PROXY TCP4 203.0.113.9 192.0.2.1 4321 99999\r\n".to_vec(),
            "malformed",
        ),
        (long.into_bytes(), "malformed"),
        // Shorter than its addresses, an unknown version, a TLV that ends beyond the header.
        (v2(1, 0x11, &[1, 2, 3]), "malformed"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c".to_vec(),
            "malformed",
        ),
        (v2_tcp4(&[4, 0xff, 0xff, 0]), "malformed"),
        // Begun and never ended.
        (b"PROXY TCP4 203".to_vec(), "cut"),
        (v2_tcp4(&[])[..20].to_vec(), "cut"),
    ] {
        let before = counted(&proxy, result);
        let mut client = Client::connect(proxy.address());
        client.send(&header);
        let outcome = client.try_read_response();
        assert!(
            matches!(outcome, Err(Failure::Closed | Failure::Reset)),
            "{:?}: {outcome:?}",
            header.escape_ascii().to_string()
        );
        assert!(
            wait_until(SOON, || counted(&proxy, result) > before),
            "{:?} is {result}",
            header.escape_ascii().to_string()
        );
    }
    assert!(origin.requests().is_empty());
    let log = proxy.wait_for_log(|line| line.contains("proxy_protocol.refused"));
    assert!(log.contains("warn"), "{log}");
}

#[test]
fn f08_who_is_not_listed_can_not_be_somebody_else() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = start(&config(
        "10.0.0.0/8",
        "",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    for header in [V1.as_bytes().to_vec(), v2_tcp4(&[])] {
        let mut client = Client::connect(proxy.address());
        client.send([&header[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        assert_eq!(client.read_response_to("GET").status, 400);
    }
    assert!(origin.requests().is_empty());
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/").status, 200);
    assert_eq!(
        origin.requests()[0].headers.all("x-forwarded-for"),
        ["127.0.0.1"]
    );
}

#[test]
fn connections_are_counted_by_who_stands_behind() {
    let proxy = start(&config(
        "127.0.0.1",
        "[limits]\nconnections_per_client = 2\n\n",
        "respond = \"ok\"",
    ));
    let come = |ip: &str| {
        let mut client = Client::connect(proxy.address());
        client.send(format!("PROXY TCP4 {ip} 192.0.2.1 4321 443\r\n"));
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let status = client.try_read_response().map(|response| response.status);
        (client, status)
    };
    let kept: Vec<_> = (1..=4)
        .map(|n| come(&format!("203.0.113.{}", n / 3)))
        .collect();
    assert!(
        kept.iter().all(|(_, status)| *status == Ok(200)),
        "two of each client"
    );
    assert!(come("203.0.113.1").1.is_err(), "the third");
    assert_eq!(come("203.0.113.7").1, Ok(200), "another client");
    let refused = "croupier_connections_refused_total{reason=\"client_limit\"}";
    assert!(wait_until(SOON, || metric(&proxy, refused) == 1.0));
    drop(kept);
    assert!(wait_until(SOON, || come("203.0.113.1").1 == Ok(200)));
}
