//! What is compressed on its way to the client, what is not, and what the head says of it
//! (RFC 9110 sections 8.4 and 12.5.3).

use croupier_coding::{Coding, Decoder, Level, Limits, decode_whole, encode_whole};
use croupier_testkit::h2::{self, Head};
use croupier_testkit::wire::pattern;
use croupier_testkit::{End, Event, Proxy, Response};

use crate::{
    prelude::{Client, Origin, Reply, SOON, config, start},
    shelf::{ask, did, is_hit, shelf_config},
};

const ALL: &str = "zstd, br, gzip";

fn text() -> String {
    "All text compresses, and this one most of all. ".repeat(200)
}

fn page(body: impl AsRef<[u8]>) -> Reply {
    Reply::ok(body).header("Content-Type", "text/html; charset=utf-8")
}

/// A proxy that compresses, and keeps nothing.
fn compressing(origin: &Origin) -> Proxy {
    compressing_with(origin, "true")
}

fn compressing_with(origin: &Origin, compress: &str) -> Proxy {
    start(&config(&format!(
        "proxy = \"{}\"\ncompress = {compress}",
        origin.address()
    )))
}

/// A proxy that compresses, and keeps what it may, uncompressed until it is given.
fn keeping(origin: &Origin) -> Proxy {
    start(&shelf_config(origin, "", "", "compress = true"))
}

fn take(proxy: &Proxy, path: &str, accept: &str) -> Response {
    ask(proxy, path, &[("Accept-Encoding", accept)])
}

fn coding_of(response: &Response) -> Option<Coding> {
    Coding::of(response.header("content-encoding")?.as_bytes())
}

fn decoded(response: &Response) -> Vec<u8> {
    match coding_of(response) {
        Some(coding) => decode_whole(coding, Limits::default(), &response.body).unwrap(),
        None => response.body.clone(),
    }
}

/// As much of a stream as can be read by now.
fn readable(coding: Coding, bytes: &[u8]) -> String {
    let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
    let (mut at, mut text, mut out) = (0, Vec::new(), vec![0; 4096]);
    loop {
        let done = decoder.push(&bytes[at..], &mut out).unwrap();
        at += done.consumed;
        text.extend_from_slice(&out[..done.produced]);
        if done.produced == 0 && done.consumed == 0 {
            return String::from_utf8(text).unwrap();
        }
    }
}

#[test]
fn every_coding_that_a_client_takes_can_be_undone() {
    let origin = Origin::start(|_| page(text()).header("ETag", "\"one\""));
    let proxy = compressing(&origin);
    for (accept, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        (ALL, "zstd"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("*", "zstd"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
    ] {
        let response = take(&proxy, "/", accept);
        assert_eq!(
            response.header("content-encoding"),
            Some(coding),
            "{accept}"
        );
        assert!(response.body.len() < text().len() / 4, "{accept}");
        assert_eq!(decoded(&response), text().as_bytes(), "{accept}");
        assert!(!response.headers.has("content-length"), "{accept}");
        assert_eq!(response.header("etag"), Some("W/\"one\""), "{accept}");
        assert!(response.headers.has_token("vary", "accept-encoding"));
    }
    for accept in [
        "identity",
        "deflate",
        "gzip;q=0",
        "",
        "br;q=0, *;q=0.0",
        "identity, *;q=0",
    ] {
        let response = take(&proxy, "/", accept);
        assert_eq!(response.header("content-encoding"), None, "{accept}");
        assert_eq!(response.body, text().as_bytes(), "{accept}");
        assert_eq!(response.header("etag"), Some("\"one\""), "{accept}");
        assert!(
            response.headers.has_token("vary", "accept-encoding"),
            "{accept}"
        );
    }
}

#[test]
fn bodies_of_every_framing_and_size_are_compressed_whole() {
    let origin = Origin::start(|request| {
        let size: usize = request.path()[1..].parse().unwrap();
        let body = pattern(size);
        match request.target.split('?').nth(1) {
            Some("chunks") => page("").chunked(&body.chunks(3001).collect::<Vec<_>>()),
            Some("close") => page(&body).close_delimited(),
            _ => page(&body),
        }
    });
    let proxy = compressing_with(&origin, "{ min = \"0B\" }");
    let mut two = h2::Client::connect(proxy.address());
    for size in [0, 1, 1023, 32_768, 65_537, 1_500_000] {
        for framing in ["length", "chunks", "close"] {
            for accept in ["gzip", "br", "zstd"] {
                let path = format!("/{size}?{framing}");
                let response = take(&proxy, &path, accept);
                assert_eq!(response.end, End::Complete, "{path} {accept}");
                assert!(decoded(&response) == pattern(size), "{path} {accept}");
                let other = two.request(&Head::get(&path).field("accept-encoding", accept), "");
                assert!(other.is_complete);
                let same = match other.header("content-encoding") {
                    Some(name) => {
                        let coding = Coding::of(name.as_bytes()).unwrap();
                        decode_whole(coding, Limits::default(), &other.body).unwrap()
                    }
                    None => other.body,
                };
                assert!(same == pattern(size), "{path} {accept}");
            }
        }
    }
}

#[test]
fn a_client_that_has_the_compressed_one_is_told_that_it_still_holds() {
    let origin = Origin::start(|request| {
        let has = request.header("if-none-match");
        if has.is_some_and(|tags| tags.contains("\"one\"")) {
            return Reply::empty(304).header("ETag", "\"one\"");
        }
        page(text())
            .header("ETag", "\"one\"")
            .header("Cache-Control", "max-age=3600")
    });
    for proxy in [compressing(&origin), keeping(&origin)] {
        let first = take(&proxy, "/", ALL);
        let tag = first.header("etag").unwrap();
        assert_eq!(tag, "W/\"one\"");
        let headers = [("Accept-Encoding", ALL), ("If-None-Match", tag)];
        let again = ask(&proxy, "/", &headers);
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert!(again.headers.has_token("vary", "accept-encoding"));
        // The tag that the client's copy has, and not the one that the bytes before had.
        assert_eq!(again.header("etag"), Some(tag));
        let headers = [("Accept-Encoding", ALL), ("If-None-Match", "\"one\"")];
        let strong = ask(&proxy, "/", &headers);
        assert_eq!(
            (strong.status, strong.header("etag")),
            (304, Some("\"one\""))
        );
    }
}

#[test]
fn what_gains_nothing_or_tells_too_much_stays_as_it_is() {
    let origin = Origin::start(|request| {
        let kind = |kind: &str| Reply::ok(text()).header("Content-Type", kind);
        match request.path() {
            "/short" => page("short"),
            "/image" => kind("image/png"),
            "/font" => kind("font/woff2"),
            "/untyped" => Reply::ok(text()),
            "/no-transform" => page(text()).header("Cache-Control", "max-age=60, No-Transform"),
            "/cookie" => page(text()).header("Set-Cookie", "secret=1"),
            "/part" => page(text())
                .status(206)
                .header("Content-Range", "bytes 0-9399/20000"),
            "/coded" => page(text()).header("Content-Encoding", "aws-chunked"),
            "/twice" => page(text()).header("Content-Encoding", "gzip, br"),
            "/none" => Reply::empty(204),
            "/digest" => page(text()).header("Content-Digest", "sha-256=:AAAA:"),
            _ => page(text()),
        }
    });
    let proxy = compressing(&origin);
    for path in [
        "/short",
        "/image",
        "/font",
        "/untyped",
        "/no-transform",
        "/cookie",
        "/part",
        "/coded",
        "/twice",
    ] {
        let response = take(&proxy, path, ALL);
        let own = match path {
            "/coded" => Some("aws-chunked"),
            "/twice" => Some("gzip, br"),
            _ => None,
        };
        assert_eq!(response.header("content-encoding"), own, "{path}");
        let length = response.body.len().to_string();
        assert_eq!(response.header("content-length"), Some(&*length), "{path}");
    }
    assert_eq!(take(&proxy, "/none", ALL).status, 204);
    let headers = [("Accept-Encoding", ALL), ("Cache-Control", "no-transform")];
    assert_eq!(coding_of(&ask(&proxy, "/", &headers)), None);
    // A digest of other bytes than these would be a lie.
    let digest = take(&proxy, "/digest", ALL);
    assert!(coding_of(&digest).is_some() && !digest.headers.has("content-digest"));
    let all = compressing_with(
        &origin,
        "{ cookies = \"compress\", min = \"1B\", types = [\"*/*\"] }",
    );
    for path in ["/short", "/image", "/cookie"] {
        assert!(coding_of(&take(&all, path, ALL)).is_some(), "{path}");
    }
}

#[test]
fn head_says_what_get_would_and_old_clients_get_what_they_can_read() {
    let origin = Origin::start(|_| page(text()).header("ETag", "\"one\""));
    let proxy = compressing(&origin);
    let mut client = Client::connect(proxy.address());
    let head = client.request("HEAD", "/", &[("Accept-Encoding", ALL)], "");
    assert_eq!(head.header("content-encoding"), Some("zstd"));
    assert!(!head.headers.has("content-length"));
    assert_eq!(head.header("etag"), Some("W/\"one\""));
    let plain = client.request("HEAD", "/", &[], "");
    let length = text().len().to_string();
    assert_eq!(plain.header("content-length"), Some(&*length));
    // HTTP/1.0 knows no chunks: the body ends with the connection.
    for accept in ["", "Accept-Encoding: gzip\r\n"] {
        let mut old = Client::connect(proxy.address());
        old.send(format!(
            "GET / HTTP/1.0\r\nHost: example.test\r\n{accept}\r\n"
        ));
        let response = old.read_response();
        assert!(!response.headers.has("transfer-encoding"));
        assert_eq!(decoded(&response), text().as_bytes());
        old.expect_close(SOON);
    }
}

#[test]
fn what_is_kept_is_compressed_for_each_as_he_takes_it() {
    let origin = Origin::start(|_| {
        page(text())
            .header("ETag", "\"one\"")
            .header("Cache-Control", "max-age=3600")
    });
    let proxy = keeping(&origin);
    for _ in 0..3 {
        for accept in ["gzip", "br", "zstd", "identity"] {
            let response = take(&proxy, "/", accept);
            let coding = Coding::of(accept.as_bytes());
            assert_eq!(coding_of(&response), coding, "{accept}");
            assert_eq!(decoded(&response), text().as_bytes());
            assert!(response.headers.has_token("vary", "accept-encoding"));
        }
    }
    assert!(is_hit(&take(&proxy, "/", "gzip")));
    // Parts are of the bytes as they are: their tag is the strong one.
    let headers = [("Accept-Encoding", ALL), ("Range", "bytes=0-9")];
    let part = ask(&proxy, "/", &headers);
    assert_eq!(part.status, 206, "{}", did(&part));
    assert_eq!(part.text(), text()[..10]);
    assert_eq!(part.header("content-encoding"), None);
    let headers = [headers[0], headers[1], ("If-Range", "W/\"one\"")];
    assert_eq!(ask(&proxy, "/", &headers).status, 200);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_variant_in_a_coding_is_given_to_those_who_take_it_only() {
    let coded = encode_whole(Coding::Gzip, Level::Fast, text().as_bytes()).unwrap();
    let origin = Origin::start(move |request| {
        let takes = request.header("accept-encoding").unwrap_or_default();
        let fresh = |reply: Reply| {
            reply
                .header("Cache-Control", "max-age=3600")
                .header("Vary", "Accept-Encoding")
        };
        match takes.contains("gzip") {
            true => fresh(page(&coded)).header("Content-Encoding", "gzip"),
            false => fresh(page(text())),
        }
    });
    for site in ["", "compress = true"] {
        let proxy = start(&shelf_config(&origin, "", "", site));
        for _ in 0..2 {
            for accept in [
                "gzip",
                "identity",
                "br",
                "gzip, br",
                "",
                "gzip;q=0",
                "br, gzip;q=0",
            ] {
                let response = take(&proxy, "/", accept);
                assert_eq!(decoded(&response), text().as_bytes(), "{accept}");
                let takes_gzip = accept.contains("gzip") && !accept.contains("q=0");
                if !takes_gzip {
                    assert_ne!(coding_of(&response), Some(Coding::Gzip), "{accept}");
                }
            }
        }
    }
}

#[test]
fn each_event_arrives_when_it_was_sent() {
    for accept in ["gzip", "br", "zstd"] {
        let (first, second, third) = (Event::new(), Event::new(), Event::new());
        let gates = [first.clone(), second.clone(), third.clone()];
        let origin = Origin::start(move |_| {
            let mut reply = Reply::head(200)
                .header("Content-Type", "text/event-stream")
                .chunked::<&[u8]>(&[]);
            for (number, gate) in gates.iter().enumerate() {
                let event = format!("data: event {number}\n\n");
                reply = reply.then(Reply::chunk(event)).then(Reply::wait_for(gate));
            }
            reply.then(Reply::last_chunk())
        });
        let proxy = compressing_with(&origin, "{ types = [\"text/*\"], min = \"0B\" }");
        let mut client = h2::Client::connect(proxy.address());
        let stream = client.open(&Head::get("/").field("accept-encoding", accept));
        let coding = Coding::of(accept.as_bytes()).unwrap();
        for (number, gate) in [first, second, third].iter().enumerate() {
            client.wait("the next event", |client| {
                let so_far = client.so_far(stream);
                let text = match so_far.header("content-encoding") {
                    Some(_) => readable(coding, &so_far.body),
                    None => so_far.text(),
                };
                text.ends_with(&format!("data: event {number}\n\n"))
            });
            gate.fire();
        }
        let answer = client.answer(stream);
        assert!(answer.is_complete, "{accept}");
    }
}

/// One chunk of an answer over HTTP/1.1.
fn read_chunk(client: &mut Client) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(client.read_bytes(1));
    }
    let size = String::from_utf8(line).unwrap();
    let size = usize::from_str_radix(size.trim(), 16).unwrap();
    let mut data = client.read_bytes(size + 2);
    data.truncate(size);
    data
}

#[test]
fn a_page_that_is_flushed_in_pieces_arrives_in_pieces() {
    for accept in ["gzip", "br", "zstd"] {
        let go = [Event::new(), Event::new(), Event::new()];
        let gates = go.clone();
        let origin = Origin::start(move |_| {
            Reply::head(200)
                .header("Content-Type", "text/html")
                .chunked::<&[u8]>(&[])
                .then(Reply::chunk("begin "))
                .then(pieces(&gates))
        });
        let proxy = compressing(&origin);
        let mut client = Client::connect(proxy.address());
        client.send_request("GET", "/", &[("Accept-Encoding", accept)], "");
        let head = client.read_head();
        let coding = coding_of(&head).unwrap();
        let mut coded = Vec::new();
        let mut expected = "begin ".to_owned();
        for (number, gate) in go.iter().enumerate() {
            while readable(coding, &coded) != expected {
                coded.extend(read_chunk(&mut client));
            }
            gate.fire();
            expected.push_str(&format!("piece {number} "));
        }
        while readable(coding, &coded) != expected {
            coded.extend(read_chunk(&mut client));
        }
    }
}

fn pieces(gates: &[Event]) -> Reply {
    let each = gates
        .iter()
        .enumerate()
        .map(|(number, gate)| Reply::wait_for(gate).then(Reply::chunk(format!("piece {number} "))));
    let all = each.reduce(Reply::then).unwrap();
    all.then(Reply::last_chunk())
}

#[test]
fn what_comes_compressed_passes_and_is_undone_for_who_can_not_read_it() {
    for coding in Coding::ALL {
        let coded = encode_whole(coding, Level::Fast, text().as_bytes()).unwrap();
        let body = coded.clone();
        let origin = Origin::start(move |_| {
            page(&body)
                .header("Content-Encoding", coding.as_str())
                .header("ETag", "\"coded\"")
        });
        let proxy = compressing(&origin);
        let same = take(&proxy, "/", ALL);
        assert_eq!(same.header("content-encoding"), Some(coding.as_str()));
        assert_eq!(same.body, coded);
        assert_eq!(same.header("etag"), Some("\"coded\""));
        let plain = take(&proxy, "/", "identity");
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.body, text().as_bytes());
        assert_eq!(plain.header("etag"), Some("W/\"coded\""));
        assert!(plain.headers.has_token("vary", "accept-encoding"));
    }
}

#[test]
fn a_bomb_is_cut() {
    for coding in Coding::ALL {
        let zeroes = vec![0; 64 << 20];
        let mut bomb = encode_whole(coding, Level::Fast, &zeroes).unwrap();
        if coding == Coding::Gzip {
            // A thousand for one is honest; this is two streams, one behind the other.
            bomb.extend_from_within(..);
        }
        drop(zeroes);
        let origin =
            Origin::start(move |_| page(&bomb).header("Content-Encoding", coding.as_str()));
        let proxy = compressing(&origin);
        let mut client = h2::Client::connect(proxy.address());
        client.forget_bodies();
        let stream = client.open(&Head::get("/").field("accept-encoding", "identity"));
        let answer = client.answer(stream);
        let grown = proxy.rss_bytes();
        assert!(grown < 200 << 20, "{grown}");
        if coding != Coding::Gzip {
            assert!(!answer.is_complete, "{coding:?}: {}", answer.body_length);
            assert!(answer.body_length < 32 << 20, "{coding:?}");
        }
        client.expect_alive();
    }
}

#[test]
fn what_is_no_stream_of_its_coding_is_cut_and_never_whole() {
    let mut coded = encode_whole(Coding::Gzip, Level::Fast, text().as_bytes()).unwrap();
    coded.truncate(coded.len() - 9);
    let origin = Origin::start(move |request| match request.path() {
        "/short" => page(&coded).header("Content-Encoding", "gzip"),
        _ => page(text()).header("Content-Encoding", "gzip"),
    });
    let proxy = compressing(&origin);
    for path in ["/short", "/plain"] {
        let mut client = Client::connect(proxy.address());
        let response = client.request("GET", path, &[("Accept-Encoding", "identity")], "");
        assert!(response.end == End::Cut || response.status == 502, "{path}");
    }
}

#[test]
fn a_body_that_breaks_off_is_not_made_whole_by_compressing_it() {
    let origin = Origin::start(|_| {
        Reply::head(200)
            .header("Content-Type", "text/plain")
            .header("Cache-Control", "max-age=3600")
            .length(100_000)
            .then(Reply::bytes(text()))
            .and_close()
    });
    for proxy in [compressing(&origin), keeping(&origin)] {
        for accept in ["gzip", "br", "zstd"] {
            let response = take(&proxy, "/", accept);
            assert!(
                response.end == End::Cut || response.status == 502,
                "{accept}"
            );
        }
    }
}
