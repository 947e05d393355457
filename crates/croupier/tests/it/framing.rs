//! Where a message ends: everything by which two readers could disagree about it.
//!
//! Rows A01 to A03, A05, A06, A09, A10, A12 to A18, A20, A28 and A30 of the catalogue, and the
//! framing part of the smuggling payloads (`g1` to `g178`).

use std::time::Duration;

use croupier_testkit::{Client, Ended, Event, Failure, Framing, Origin, Reply, wire::pattern};

use crate::{
    prelude::in_front_of,
    verdict::{CLOSE, SOON, Table, ask, expand},
};

const POST: &str = "POST /evil HTTP/1.1\r\nHost: a\r\n";

/// A POST with these field lines and this body.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("{POST}{lines}\r\n{body}").into_bytes()
}

/// A chunked POST with this body.
fn chunks(body: &[u8]) -> Vec<u8> {
    [POST.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", body].concat()
}

#[test]
fn garden_framing_is_refused() {
    let mut table = Table::set();
    for (name, payload) in GARDEN {
        table.refuses(name, &expand(payload), &[400]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a01_a02_length_beside_coding() {
    const SMUGGLED: &str = "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut table = Table::set();
    let length = format!("Content-Length: {}\r\n", SMUGGLED.len());
    let coding = "Transfer-Encoding: chunked\r\n";
    for (name, lines, body) in [
        (
            "CL.TE",
            format!("Content-Length: 6\r\n{coding}"),
            "0\r\n\r\nG",
        ),
        (
            "TE.CL",
            format!("{coding}Content-Length: 6\r\n"),
            "0\r\n\r\nG",
        ),
        (
            "CL.TE, a whole request",
            format!("{length}{coding}"),
            SMUGGLED,
        ),
        (
            "TE.CL, a whole request",
            format!("{coding}{length}"),
            SMUGGLED,
        ),
        (
            "a large chunk",
            format!("Content-Length: 4\r\n{coding}"),
            "2f\r\nGET /evil HTTP/1.1\r\nHost: a\r\nX: 12345678901\r\n\r\n0\r\n\r\n",
        ),
        (
            "length 0",
            format!("Content-Length: 0\r\n{coding}"),
            SMUGGLED,
        ),
        (
            "a bad length",
            format!("Content-Length: x\r\n{coding}"),
            SMUGGLED,
        ),
        (
            "lower case",
            format!("content-length: 6\r\n{}", coding.to_lowercase()),
            "0\r\n\r\nG",
        ),
        (
            "far apart",
            format!("Content-Length: 6\r\nA: b\r\nC: d\r\n{coding}"),
            "0\r\n\r\nG",
        ),
    ] {
        table.refuses(name, &post(&lines, body), &[400]);
    }
    let payload = post(
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\nG",
    );
    table.refuses_in_pieces("CL.TE", &payload, &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a03_codings_in_disguise() {
    let mut table = Table::set();
    let values: [&[u8]; 24] = [
        b"xchunked",
        b"chunkedx",
        b",chunked",
        b"chunked,",
        b"chunked,chunked",
        b"chunked, chunked",
        b"identity, chunked",
        b"chunked, identity",
        b"chunked, gzip",
        b"gzip, chunked",
        b"gzip",
        b"identity",
        b"chunked;q=1",
        b"chunked; a=b",
        b"\x0bchunked",
        b"\x0cchunked",
        b"\x85chunked",
        b"\xa0chunked",
        b"chunked\xa0",
        b"\"chunked\"",
        b"chunked chunked",
        b"",
        b"chunked\x00",
        b"\xef\xbb\xbfchunked",
    ];
    for value in values {
        for version in ["1.1", "1.0"] {
            let payload = [
                format!("POST /evil HTTP/{version}\r\nHost: a\r\nTransfer-Encoding: ").as_bytes(),
                value,
                b"\r\n\r\n0\r\n\r\n",
            ]
            .concat();
            let name = format!("{:?} in {version}", value.escape_ascii().to_string());
            table.refuses(&name, &payload, &[400]);
        }
    }
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\r\n \r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        "Connection: content-length\r\nContent-Length: 5\r\n",
    ] {
        table.refuses(lines, &post(lines, "0\r\n\r\n"), &[400]);
    }
    let payload = b"POST /evil HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    table.refuses("in HTTP/1.0", payload, &[400]);
    table.refuses_in_pieces(
        "\x0bchunked",
        &post("Transfer-Encoding: \x0bchunked\r\n", ""),
        &[400],
    );
    table.clear_without_a_trace();
}

#[test]
fn a03_one_chunked_in_any_case_passes_as_chunked() {
    let origin = Origin::start(|request| Reply::ok(&request.body));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for word in ["chunked", "Chunked", "CHUNKED"] {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {word}\r\n\r\n1\r\nZ\r\n0\r\n\r\n"
        ));
        assert_eq!(client.read_response().text(), "Z", "{word}");
    }
    for request in origin.requests() {
        assert_eq!(
            (request.framing, request.header("transfer-encoding")),
            (Framing::Chunked, Some("chunked"))
        );
    }
}

#[test]
fn a05_more_than_one_length() {
    let mut table = Table::set();
    for lines in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\ncontent-length: 5\r\n",
        "Content-Length: 0\r\nA: b\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5,5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: , 5\r\n",
        "Content-Length:\r\nContent-Length: 5\r\n",
    ] {
        table.refuses(lines, &post(lines, "hello"), &[400]);
    }
    let payload = post("Content-Length: 5\r\nContent-Length: 6\r\n", "");
    table.refuses_in_pieces("two lengths", &payload, &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a06_lengths_that_are_no_number() {
    let mut table = Table::set();
    let values: [&[u8]; 32] = [
        b"",
        b"+5",
        b"-0",
        b"-1",
        b"-5",
        b"0x5",
        b"0X5",
        b"5 5",
        b"5_0",
        b"1Z",
        b"Z1",
        b"1.0",
        b"1e0",
        b"05",
        b"005",
        b"00",
        b"0200",
        b"\"5\"",
        b"5;",
        b"5\x00",
        b"\x0b5",
        b"5\x0c",
        b"\xb2",
        b"\xef\xbc\x95",
        b"12345678901234567890",
        b"9223372036854775808",
        b"18446744073709551616",
        b"18446744073709551621",
        b"99999999999999999999",
        b"1234567890123456789012345678901234567890",
        b"5\r",
        b"0o5",
    ];
    for value in values {
        let payload = [
            POST.as_bytes(),
            b"Content-Length: ",
            value,
            b"\r\n\r\nhello",
        ]
        .concat();
        table.refuses(&value.escape_ascii().to_string(), &payload, &[400]);
    }
    table.refuses_in_pieces("+5", &post("Content-Length: +5\r\n", ""), &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a22_huge_lengths_are_waited_for_and_never_wrap() {
    let origin = Origin::start(|_| Reply::ok("read"));
    let proxy = in_front_of(&origin);
    for (index, payload) in [
        post("Content-Length: 4294967297\r\n", "Z"),
        post("Content-Length: 999999999999999999\r\n", "Z"),
        chunks(b"100000001\r\nZ\r\n0\r\n\r\n"),
        chunks(b"3fffffffffffffff\r\nZ\r\n0\r\n\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Client::connect(proxy.address());
        client.send(payload);
        let heads = origin.wait_for_heads(index + 1, SOON);
        assert!(!heads[index].complete, "{:?}", heads[index]);
        client.expect_silence(Duration::from_millis(50));
        client.close();
        let connections =
            origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
        assert_eq!(connections[index].ended.unwrap().1, Ended::Cut);
    }
}

#[test]
fn a09_an_answer_before_the_body_spoils_the_connection_to_its_origin() {
    for framing in ["Content-Length: 4000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let origin = Origin::builder()
            .at_head(|request| {
                (request.path() == "/early").then(|| Reply::ok("no need").then(Reply::read_body()))
            })
            .start(|request| Reply::ok(request.path()));
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        client.send(format!("POST /early HTTP/1.1\r\nHost: a\r\n{framing}\r\n"));
        assert_eq!(client.read_response().text(), "no need");
        // Its server closes: the rest of the body would be read as a request there.
        let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
        assert_eq!(connections[0].ended.unwrap().1, Ended::Cut);
        let other = ask(&proxy, "GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(other.text(), "/other");
        // What the client still sends is dropped as the body it is, or the connection closes.
        let body: &[u8] = if framing.contains("chunked") {
            b"5\r\nGET /\r\n0\r\n\r\n"
        } else {
            &[b'G'; 4000]
        };
        let _ = client.try_send([body, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        match client.try_read_response() {
            Ok(response) => assert_eq!(response.text(), "/next"),
            Err(failure) => assert!(
                matches!(failure, Failure::Closed | Failure::Reset),
                "{failure:?}"
            ),
        }
        let paths: Vec<String> = origin
            .requests()
            .into_iter()
            .map(|request| request.target)
            .collect();
        assert!(
            paths
                .iter()
                .all(|path| ["/early", "/other", "/next"].contains(&path.as_str())),
            "{paths:?}"
        );
    }
}

#[test]
fn a10_bodies_are_framed_by_fields_whatever_the_method() {
    let origin =
        Origin::start(|request| Reply::ok(format!("{} {}", request.method, request.text())));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
    for method in [
        "GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "POST", "QUERY", "SLUDGE",
    ] {
        let length = EVIL.len();
        client.send(format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{EVIL}"
        ));
        let response = client.read_response_to(method);
        let body = if method == "HEAD" {
            String::new()
        } else {
            format!("{method} {EVIL}")
        };
        assert_eq!(response.text(), body);
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{EVIL}\r\n0\r\n\r\n"));
        assert_eq!(client.read_response_to(method).text(), body);
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 18);
    assert!(requests.iter().all(|request| request.text() == EVIL));
}

#[test]
fn a12_chunk_sizes() {
    let mut table = Table::set();
    let lines: [&[u8]; 30] = [
        b"0x5",
        b"0X5",
        b"+5",
        b"-1",
        b"-0",
        b" 5",
        b"\t5",
        b"5 ",
        b"5\t",
        b"5_0",
        b"",
        b" ",
        b"Z",
        b"5Z",
        b"5.",
        b"5,",
        b"5:",
        b"00000000000000005",
        b"fffffffffffffffe",
        b"ffffffffffffffff",
        b"FFFFFFFFFFFFFFFF0",
        b"10000000000000005",
        b"8000000000000000",
        b"4000000000000000",
        b"5\x00",
        b"\x005",
        b"5\x0b",
        b"5\xa0",
        b"\xef\xbc\x95",
        b"5 ;a=b",
    ];
    for line in lines {
        let name = line.escape_ascii().to_string();
        table.refuses(
            &name,
            &chunks(&[line, b"\r\nhello\r\n0\r\n\r\n"].concat()),
            &[400],
        );
        // The same in a later chunk.
        table.refuses(
            &name,
            &chunks(&[b"1\r\nx\r\n", line, b"\r\nhello\r\n0\r\n\r\n"].concat()),
            &[400],
        );
    }
    for line_end in [
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\rhello",
        "0\n\r\n",
        "0\r\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        table.refuses(line_end, &chunks(line_end.as_bytes()), &[400]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a12_to_a14_refused_wherever_the_bytes_are_cut() {
    let mut table = Table::set();
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "1\r\nx\r\n0\r\n\n",
        "5;a=\"\r\nhello\r\n0\r\n\r\n",
    ] {
        table.refuses_in_pieces(body, &chunks(body.as_bytes()), &[400]);
    }
    // Cut, a good beginning may be on its way already; it is aborted and never whole.
    table.clear();
}

#[test]
fn a13_chunk_extensions() {
    let mut table = Table::set();
    let lines: [&[u8]; 24] = [
        b"5;",
        b"5;;",
        b"5;a=",
        b"5;=b",
        b"5;a=b;",
        b"5;a b",
        b"5; a",
        b"5;a =b",
        b"5;a= b",
        b"5;a=b c",
        b"5;a,b",
        b"5;a[=x",
        b"5;\x00",
        b"5;a=\x00",
        b"5;a=\"\x00\"",
        b"5;a=\"b",
        b"5;a=\"b\"c",
        b"5;a=\"b\\",
        b"5;a=\"\\\"",
        b"5;a=\"\x7f\"",
        b"5;\xff",
        b"5;a=\"\xff\"",
        b"5;a=(b)",
        b"5;a==b",
    ];
    for line in lines {
        let name = line.escape_ascii().to_string();
        table.refuses(
            &name,
            &chunks(&[line, b"\r\nhello\r\n0\r\n\r\n"].concat()),
            &[400],
        );
    }
    for body in [
        "5;\nhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5;a=b\rX\r\nhello\r\n0\r\n\r\n",
        "5;a=b\r\rX\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0;a\rb\r\n\r\n",
        "5\r\nhello\r\n0;\r\n\r\n",
        "2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n",
    ] {
        table.refuses(body, &chunks(body.as_bytes()), &[400]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a13_lawful_extensions_end_here() {
    let origin = Origin::start(|request| Reply::ok(&request.body));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    for line in [
        "5;a",
        "5;a=b",
        "5;a=b;c=d",
        "5;a=\"x;y\"",
        "5;a=\"\\\"\"",
        "5;a=\"\"",
        "05",
        "0000000000000005;a=\"b\";c",
    ] {
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{line}\r\nhello\r\n0;end=\"1\"\r\n\r\n"));
        assert_eq!(client.read_response().text(), "hello", "{line}");
    }
    // That no extension came through is the origin's own judgement.
    assert_eq!(origin.violations(), []);
}

#[test]
fn a14_chunk_data_ends_with_its_size() {
    let mut table = Table::set();
    for body in [
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello!!\r\n0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n",
        "5\r\nhello\n\r0\r\n\r\n",
        "1\r\nZZ\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\n\rX",
    ] {
        table.refuses(body, &chunks(body.as_bytes()), &[400]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a15_far_more_framing_than_data() {
    let mut table = Table::set();
    table.refuses(
        "a line of 64 KiB",
        &expand(&chunks(b"5;a=('x' x 65536)\r\nhello\r\n0\r\n\r\n")),
        &[400],
    );
    table.refuses(
        "a line of 257 bytes",
        &expand(&chunks(b"5;a=('x' x 253)\r\nhello\r\n0\r\n\r\n")),
        &[400],
    );
    let flood = format!("1;a={}\r\nx\r\n", "y".repeat(200)).repeat(100);
    table.refuses("chunks of one byte", &chunks(flood.as_bytes()), &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a15_far_more_framing_than_data_wherever_it_is_cut() {
    let origin = Origin::start(|_| Reply::ok("read"));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(chunks(b""));
    origin.wait_for_heads(1, SOON);
    // Each piece ends inside its data, the place where a look at the sum is easily forgotten.
    let piece = format!("1;a={}\r\nx", "y".repeat(200));
    client.send(&piece);
    for _ in 0..2000 {
        if client.try_send(format!("\r\n{piece}")).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    let response = client.read_response();
    assert_eq!(response.status, 400, "{}", response.text());
    let moved = origin.requests()[0].body_length;
    assert!(moved < 200, "{moved} bytes came through");
}

#[test]
fn a15_many_small_chunks_are_lawful() {
    let origin = Origin::start(|request| Reply::ok(request.body.len().to_string()));
    let proxy = in_front_of(&origin);
    let body = [b"1\r\nx\r\n".repeat(100_000), b"0\r\n\r\n".to_vec()].concat();
    let before = proxy.cpu_time();
    let response = ask(&proxy, chunks(&body));
    assert_eq!(response.text(), "100000");
    let spent = proxy.cpu_time() - before;
    assert!(
        spent < Duration::from_secs(2),
        "{spent:?} for 600 KB of chunks"
    );
}

#[test]
fn a16_trailers_are_never_fields() {
    let origin = Origin::start(|request| Reply::ok(&request.body));
    let proxy = in_front_of(&origin);
    let forbidden = [
        "Content-Length: 50",
        "Transfer-Encoding: chunked",
        "Host: b",
        "Connection: close",
        "Authorization: x",
        "Cookie: a=b",
        "Content-Type: text/evil",
        "X-Forwarded-For: 6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "Via: x",
        "Expect: 100-continue",
        "Trailer: X",
        "Upgrade: websocket",
        "Content_Length: 5",
        "X-Request-Id: mine",
        "TE: trailers",
        "Set-Cookie: a=b",
    ];
    let mut client = Client::connect(proxy.address());
    for line in forbidden {
        client.send(chunks(
            format!("1\r\nZ\r\n0\r\nX-Sum: 1\r\n{line}\r\n\r\n").as_bytes(),
        ));
        assert_eq!(client.read_response().text(), "Z", "{line}");
        let request = origin.requests().pop().unwrap();
        assert_eq!(request.trailers.names(), ["X-Sum"], "{line}");
        assert!(!request.headers.has("X-Sum"));
        let (name, value) = line.split_once(": ").unwrap();
        assert!(
            !request.headers.all(name).contains(&value) || name == "Transfer-Encoding",
            "{line} was merged"
        );
    }
    // garden 92: a trailer that looks like a request.
    client.send("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX:POST / HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    client.expect_silence(Duration::from_millis(20));
    assert_eq!(origin.requests().len(), forbidden.len() + 1);
}

#[test]
fn a16_trailers_obey_the_grammar_and_limits_of_fields() {
    let mut table = Table::set();
    let many = "X: y\r\n".repeat(10_000);
    let wide = format!("X: {}\r\n", "y".repeat(9000));
    for (name, trailer) in [
        ("a space before the colon", "X : y\r\n"),
        ("folded", "X: a\r\n b\r\n"),
        ("folded at once", " X: a\r\n"),
        ("a bare LF", "X: a\nY: b\r\n"),
        ("a bare CR", "X: a\rY: b\r\n"),
        ("a NUL", "X: a\0b\r\n"),
        ("no colon", "nocolon\r\n"),
        ("no name", ": x\r\n"),
        ("an odd name", "X[: x\r\n"),
        ("too many", &many),
        ("33", &"X: y\r\n".repeat(33)),
        ("too wide", &wide),
    ] {
        let body = format!("1\r\nZ\r\n0\r\n{trailer}\r\n");
        table.refuses(name, &chunks(body.as_bytes()), &[400]);
    }
    table.refuses_in_pieces("a bare LF", &chunks(b"0\r\nX: a\nY: b\r\n\r\n"), &[400]);
    table.clear();
}

#[test]
fn a17_http_1_0_has_no_body_until_close() {
    let mut table = Table::set();
    for method in ["POST", "PUT", "PATCH"] {
        let payload = format!("{method} /evil HTTP/1.0\r\nHost: a\r\n\r\nhello");
        table.refuses(method, payload.as_bytes(), &[411]);
    }
    for method in ["POST", "GET"] {
        let payload = format!(
            "{method} /evil HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        );
        table.refuses(method, payload.as_bytes(), &[400]);
    }
    let keep = b"POST /evil HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n";
    table.refuses("kept", keep, &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a18_nothing_is_a_tunnel_before_the_switch() {
    const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const CANARY: &str = "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n";
    let refusals: [fn() -> Reply; 5] = [
        || Reply::ok("no"),
        || {
            Reply::ok("no")
                .header("Connection", "Upgrade")
                .header("Upgrade", "websocket")
        },
        || Reply::empty(404),
        || Reply::empty(426).header("Sec-WebSocket-Version", "13"),
        || Reply::ok("no").chunked(&["n", "o"]),
    ];
    for (index, refusal) in refusals.into_iter().enumerate() {
        let origin = Origin::start(move |_| refusal());
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        client.send(format!("{UPGRADE}{CANARY}"));
        let response = client.read_response();
        assert_ne!(response.status, 101);
        // What came behind the head may be anything but a request (RFC 9931): no second answer.
        assert!(response.says_close(), "refusal {index}");
        client.expect_close(CLOSE);
        assert_eq!(origin.requests().len(), 1, "refusal {index}");
    }
}

#[test]
fn a18_bytes_behind_an_upgrade_wait_for_the_switch() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |_| {
        Reply::wait_for(&told)
            .then(Reply::switch_to_websocket())
            .then(Reply::echo())
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(
        "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
    );
    let head = origin.wait_for_heads(1, SOON).pop().unwrap();
    assert_eq!(head.framing, Framing::None);
    client.expect_silence(Duration::from_millis(30));
    let sent = origin.connections()[0]
        .transcript
        .bytes(croupier_testkit::Direction::In);
    assert!(
        sent.ends_with(b"\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&sent)
    );
    go.fire();
    assert_eq!(client.read_head().status, 101);
    assert_eq!(client.read_bytes(5), b"early");
}

#[test]
fn a18_a_switch_that_is_none_is_a_bad_gateway() {
    let switches: [fn() -> Reply; 4] = [
        || Reply::empty(101),
        || Reply::empty(101).header("Connection", "Upgrade"),
        || {
            Reply::empty(101)
                .header("Connection", "Upgrade")
                .header("Upgrade", "h2c")
        },
        || {
            Reply::bytes(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            )
        },
    ];
    for (index, switch) in switches.into_iter().enumerate() {
        let origin = Origin::start(move |_| switch());
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw bytes");
        assert_eq!(client.read_response().status, 502, "switch {index}");
        client.expect_close(CLOSE);
    }
}

#[test]
fn a28_leading_bytes() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = in_front_of(&origin);
    for leading in [
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\n\n",
        "\r",
        "\0\0",
        " ",
        "\t",
        "\x16\x03\x01\x02",
        "\u{feff}",
    ] {
        for cut in [false, true] {
            let mut client = Client::connect(proxy.address());
            client.send(leading);
            if cut {
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = client.try_send("GET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.read_response().status, 400, "{leading:?}");
            client.expect_close(CLOSE);
        }
    }
    assert_eq!(origin.requests(), []);
    // Between requests one empty line is forgiven, cut anywhere, and no second one.
    let mut client = Client::connect(proxy.address());
    for cut in 0..3 {
        assert_eq!(client.get("/good").status, 200);
        for byte in "\r\n".bytes().take(cut) {
            client.send([byte]);
        }
        client.send(&"\r\n"[cut..]);
        assert_eq!(client.get("/good").status, 200);
    }
    client.send("\r\n\r\nGET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    client.expect_close(CLOSE);
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/good").status, 200);
    client.send("\nGET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    client.expect_close(CLOSE);
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.target == "/good")
    );
}

#[test]
fn a30_pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|request| match request.path() {
        "/304" => Reply::empty(304).header("X-Path", request.path()),
        "/204" => Reply::empty(204).header("X-Path", request.path()),
        "/chunks" => Reply::empty(200)
            .chunked(&["one", "two"])
            .header("X-Path", request.path()),
        path => Reply::ok(request.text()).header("X-Path", path),
    });
    let proxy = in_front_of(&origin);
    let mut bytes = Vec::new();
    let mut wanted = Vec::new();
    for number in 0..50 {
        let (method, path, body) = match number % 6 {
            0 => ("HEAD", format!("/head/{number}"), ""),
            1 => ("GET", "/304".to_owned(), ""),
            2 => ("GET", "/204".to_owned(), ""),
            3 => ("GET", "/chunks".to_owned(), ""),
            4 => (
                "POST",
                format!("/post/{number}"),
                "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n",
            ),
            _ => ("GET", format!("/get/{number}"), ""),
        };
        let framing = if method == "POST" {
            format!("Content-Length: {}\r\n", body.len())
        } else {
            String::new()
        };
        bytes.extend(
            format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n{body}").into_bytes(),
        );
        wanted.push((method, path));
    }
    bytes.extend(b"GET /bad HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nGET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
    for pieces in [bytes.len(), 7] {
        let mut client = Client::connect(proxy.address());
        client.send_in_pieces(&bytes, pieces, Duration::ZERO);
        for (method, path) in &wanted {
            let response = client.read_response_to(method);
            assert_eq!(response.header("x-path"), Some(path.as_str()));
        }
        assert_eq!(client.read_response_to("GET").status, 400);
        client.expect_close(CLOSE);
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 100);
    assert!(
        requests
            .iter()
            .all(|request| !request.path().contains("canary"))
    );
}

#[test]
fn a30_what_follows_connection_close_is_not_read() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().text(), "/last");
    client.expect_close(CLOSE);
    let mut client = Client::connect(proxy.address());
    client.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nInvalid\r\n\r\n");
    assert_eq!(client.read_response().text(), "/last");
    client.expect_close(CLOSE);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_half_close_behind_a_whole_request_still_gets_its_answer() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/slow" => Reply::wait_for(&told).then(Reply::ok("at last")),
        _ => Reply::ok(&request.body),
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client
        .send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .shutdown_write();
    origin.wait_for_requests(1, SOON);
    go.fire();
    assert_eq!(client.read_response().text(), "at last");
    client.expect_close(CLOSE);
    let mut client = Client::connect(proxy.address());
    client
        .send(chunks(b"5\r\nhello\r\n0\r\n\r\n"))
        .shutdown_write();
    assert_eq!(client.read_response().text(), "hello");
    client.expect_close(CLOSE);
    // Two requests, then FIN: both are answered.
    let mut client = Client::connect(proxy.address());
    client
        .send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        .shutdown_write();
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 200);
    client.expect_close(CLOSE);
}

#[test]
fn garden_106_a_cut_request_is_never_whole_at_its_origin() {
    let origin = Origin::start(|_| Reply::ok("read"));
    let proxy = in_front_of(&origin);
    let cuts = [
        chunks(b"1\r\nZ\r\n"),
        chunks(b"5\r\nhel"),
        chunks(b"1\r\nZ\r\n0\r\n"),
        chunks(b"1\r\nZ\r\n0\r\n\r"),
        chunks(b""),
        post("Content-Length: 10\r\n", "hello"),
        post("Content-Length: 10\r\n", ""),
    ];
    for (index, payload) in cuts.into_iter().enumerate() {
        let mut client = Client::connect(proxy.address());
        client.send(payload);
        origin.wait_for_heads(index + 1, SOON);
        client.shutdown_write();
        match client.try_read_response() {
            Ok(response) => assert_eq!(response.status, 400),
            Err(failure) => assert!(
                matches!(failure, Failure::Closed | Failure::Reset),
                "{failure:?}"
            ),
        }
        let connections =
            origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
        assert_eq!(connections.len(), index + 1, "no connection is used again");
    }
    assert!(origin.requests().iter().all(|request| !request.complete));
}

#[test]
fn garden_164_to_172_bodies_and_pipelines() {
    let origin =
        Origin::start(|request| Reply::ok(format!("{} {}", request.target, request.text())));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send("GET /164 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890");
    assert_eq!(client.read_response().text(), "/164 1234567890");
    client.send("POST /166/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection:keep-alive\r\n\r\nPOST /166/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\n");
    client.send("GET / HTTP/1.1\r\nHost: a\r\nid: 2\r\n\r\n");
    assert_eq!(client.read_response().text(), "/166/0 ");
    assert_eq!(
        client.read_response().text(),
        "/166/1 GET / HTTP/1.1\r\nHost: a\r\nid: 2\r\n\r\n"
    );
    client.send("POST /168 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789GET /168 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().text(), "/168 0123456789");
    assert_eq!(client.read_response().text(), "/168 ");
    client.send("POST /169 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\nGET /169 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().text(), "/169 0123456789");
    assert_eq!(client.read_response().text(), "/169 ");
    client.send("HEAD /170 HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n\n");
    assert_eq!(client.read_response_to("HEAD").status, 200);
    client.send("OPTIONS /171 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /171 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response_to("OPTIONS").text(), "/171 ");
    assert_eq!(client.read_response_to("GET").text(), "/171 ");
    client.send("POST /172 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nX\0GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 400);
    client.expect_close(CLOSE);
    // garden 94: a stray byte behind a whole message.
    let mut client = Client::connect(proxy.address());
    client.send(chunks(b"0\r\n\r\n\0"));
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 400);
    client.expect_close(CLOSE);
}

#[test]
fn a_refusal_survives_what_the_client_still_sends() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = in_front_of(&origin);
    // As the second request, so that the connection has served one before.
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/good").status, 200);
    client.send(
        "POST /evil HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    // A reset in answer to late bytes may destroy a refusal that was not read yet: the proxy
    // reads them and drops them.
    let response = client.read_head();
    assert_eq!(response.status, 400);
    client.send(pattern(4000)).send(pattern(4000));
    let rest = client.read_until_close();
    assert!(rest.len() > 20, "the page is whole");
}

#[rustfmt::skip]
const GARDEN: &[(&str, &[u8])] = &[
    ("g1", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1_0\r\n\r\n0123456789"),
    ("g2", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n"),
    ("g3", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nZ"),
    ("g4", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -48\r\n\r\n"),
    ("g5", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1Z\r\n\r\nZ"),
    ("g6", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1abc\r\n\r\nZ"),
    ("g7", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\nZ"),
    ("g8", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 010\r\n\r\n01234567"),
    ("g9", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n"),
    ("g10", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g11", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length\x85: 10\r\n\r\n0123456789"),
    ("g12", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 34\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g13", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length 10\r\n\r\n0123456789"),
    ("g14", b"GET / HTTP/1.1\r\n\tContent-Length: 1\r\nHost: a\r\n\r\nX"),
    ("g15", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\nZ"),
    ("g17", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\x00\r\n\r\nZ"),
    ("g18", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,\r\n\r\nZ"),
    ("g19", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ,1\r\n\r\nZ"),
    ("g20", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2\r\n\r\nZ"),
    ("g21", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"1\"\r\n\r\nZ"),
    ("g22", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e0\r\n\r\nZ"),
    ("g23", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1.0\r\n\r\nZ"),
    ("g24", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 0\r\n\r\nZ"),
    ("g25", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\nZ"),
    ("g26", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 31\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g27", b"GET / HTTP/1.1\r\nHost: a\r\ncontent-length: \r\ncontent-length: 59\r\n\r\nPOST /evil HTTP/1.1\r\nhost: whatever\r\ncontent-length: 34\r\n\r\nGET / HTTP/1.1\r\nhost: whatever\r\n\r\n"),
    ("g28", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\nContent-Length: 43\r\n\r\nPOST /evil HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    ("g29", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ("g30", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("g31", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 6\r\n\r\nhello!"),
    ("g32", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("g33", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("g34", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: blahblahblah\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\n\r\n"),
    ("g35", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("g36", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-\r\nEncoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("g37", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g38", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    ("g39", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("g40", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("g41", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("g42", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    ("g43", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("g44", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\n\r\n"),
    ("g45", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \xa0chunked\xa0\r\n\r\n0\r\n\r\n"),
    ("g46", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x85chunked\r\n\r\n0\r\n\r\n"),
    ("g47", b"POST / HTTP/1.1\r\nHost: \xffa\xff\r\nTransfer-Encoding: \xffchunked\xff\r\n\r\n1\r\nZ\r\n0\r\n\r\n"),
    ("g48", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: blegh\r\n\r\n1\r\nZ\r\n0\r\n\r\n"),
    ("g49", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("g50", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    ("g51", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n"),
    ("g52", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("g53", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("g54", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("g55", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    ("g56", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("g58", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0_2e\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("g59", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2_e\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("g60", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3a\r\n\r\nGET /evil HTTP/1.1\r\nContent-Length: 23\r\nE: vil\r\nEvil: \r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    ("g61", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nZ\r\n0\r\n\r\n"),
    ("g62", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-0x0\r\n\r\n"),
    ("g63", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n-0x0\r\n\r\n"),
    ("g64", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\nZZ\r\nZZZ\r\n\r\n"),
    ("g65", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1these-bytes-never-get-validated\r\nZ\r\n0\r\n\r\n"),
    ("g66", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n           0\r\n\r\n"),
    ("g67", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\t0\r\n\r\n"),
    ("g68", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n"),
    ("g69", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g70", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g71", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nINVALID!!!\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g72", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\nZ\r\n0\r\n\r\n"),
    ("g74", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nZ\r\n0\r\n\r\n"),
    ("g75", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nZ\r\n0\r\n\r\n"),
    ("g76", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000000000000000001\r\nZ\r\n0\r\n\r\n"),
    ("g77", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\x00\r\nZ\r\n0\r\n\r\n"),
    ("g78", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\r;a\r\n02\r\n41\r\n0\r\n\r\nGET /bad_path/pwned HTTP/1.1\r\nHost: a\r\nContent-Length: 430\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g79", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\r;chunk-ext-name\r\nZ\r\n0\r\n\r\n"),
    ("g80", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    ("g81", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n41;a=b\r\r('X' x 65)\r\n0\r\n\r\nGET /bad_path/pwned HTTP/1.1\r\nHost: a\r\nContent-Length: 412\r\n\r\n0\r\n\r\nGET /def HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g84", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\nZ\r\n0\r\n\r\n"),
    ("g85", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nZ\r\n0\r\n\r\n"),
    ("g86", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"\r\nZ\r\n0\r\n\r\n"),
    ("g87", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a\rb\r\n\r\n"),
    ("g88", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\n0\r\n\r\n"),
    ("g89", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n"),
    ("g90", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r0\n"),
    ("g91", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n17\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n\r\n0\r\n\r\n"),
    ("g95", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZZ\r\n0\r\n\r\n"),
    ("g96", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ0\r\n\r\n"),
    ("g97", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n"),
    ("g98", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\rX"),
    ("g102", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n"),
    ("g103", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n"),
    ("g104", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\nY: b\r\n\r\n"),
    ("g105", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nnocolon\r\n\r\n"),
    ("g174", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Content-Length\r\nContent-Length: 5\r\n\r\nhello"),
    ("g175", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n"),
];
