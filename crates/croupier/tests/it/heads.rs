//! What a head may look like, byte by byte.
//!
//! Rows A04, A11, A21, A22 and A29 of the catalogue, and the payloads on field names, field
//! values, line ends and request lines (`g107` to `g163`).

use croupier_testkit::{Client, Origin, Reply};

use crate::{
    prelude::{in_front_of, start},
    verdict::{CLOSE, Table, ask, expand},
};

fn get(lines: &str) -> Vec<u8> {
    format!("GET /evil HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

#[test]
fn garden_heads_are_refused() {
    let mut table = Table::set();
    for (name, payload) in GARDEN {
        // `PRI * HTTP/2.0` is HTTP of another version, the rest is no HTTP/1 at all.
        let statuses: &[u16] = if *name == "g155" { &[505] } else { &[400] };
        table.refuses(name, &expand(payload), statuses);
    }
    table.clear_without_a_trace();
}

#[test]
fn a11_line_ends_other_than_crlf() {
    let mut table = Table::set();
    let payloads: [&[u8]; 20] = [
        b"GET /evil HTTP/1.1\nHost: a\n\n",
        b"GET /evil HTTP/1.1\nHost: a\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\n\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\nX: y\nZ: z\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\n\rX",
        b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\r\n",
        b"GET /evil HTTP/1.1\rHost: a\r\r",
        b"GET /evil HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\nX: \r\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\nX\r: y\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\nX\n: y\r\n\r\n",
        b"GET\r\n/evil HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /evil\r\nHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /evil\rHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /evil\nHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /evil HTTP/1.1\r\n\nHost: a\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\x0b\x0c\r\n\r\n",
    ];
    for payload in payloads {
        table.refuses(&payload.escape_ascii().to_string(), payload, &[400]);
    }
    for payload in [payloads[4], payloads[5], payloads[6], payloads[10]] {
        table.refuses_in_pieces(&payload.escape_ascii().to_string(), payload, &[400]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a11_whitespace_that_continues_or_precedes_a_line() {
    let mut table = Table::set();
    for payload in [
        "GET /evil HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET /evil HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
        "GET /evil HTTP/1.1\r\nHost: a\r\nX: a\r\n \r\n\r\n",
        "GET /evil HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n",
        "GET /evil HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET /evil HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n",
        "GET /evil HTTP/1.1\r\n \r\nHost: a\r\n\r\n",
        "GET /evil HTTP/1.1\r\nHost:\r\n a\r\n\r\n",
        " GET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        table.refuses(payload, payload.as_bytes(), &[400]);
    }
    table.refuses_in_pieces("folded", &get("X: a\r\n b\r\n"), &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a21_every_byte_in_a_field_name() {
    let mut table = Table::set();
    for byte in 0..=255u8 {
        let is_token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if is_token || byte == b':' {
            continue;
        }
        for name in [&[b'X', byte, b'Y'][..], &[byte, b'X'], &[b'X', byte]] {
            let payload = [b"GET /evil HTTP/1.1\r\nHost: a\r\n", name, b": v\r\n\r\n"].concat();
            let name = name.escape_ascii().to_string();
            let mut client = Client::connect(table.proxy.address());
            client.send(&payload);
            let answer = client.read_response();
            assert_eq!(answer.status, 400, "{name}");
            client.expect_close(CLOSE);
        }
    }
    table.refuses("empty", &get(": x\r\n"), &[400]);
    table.refuses("only a colon", &get(":\r\n"), &[400]);
    table.refuses("no colon", &get("Name\r\n"), &[400]);
    table.refuses(
        "a space before the colon",
        &get("Content-Length : 5\r\n"),
        &[400],
    );
    table.refuses(
        "a tab before the colon",
        &get("Content-Length\t: 5\r\n"),
        &[400],
    );
    table.refuses("over two lines", &get("Content-\r\nLength: 5\r\n"), &[400]);
    table.refuses_in_pieces("a space before the colon", &get("X : y\r\n"), &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a21_every_token_character_is_a_name() {
    let origin =
        Origin::start(|request| Reply::ok(request.header("X!#$%&'*+-.^`|~9").unwrap_or("none")));
    let proxy = in_front_of(&origin);
    let answer = ask(&proxy, get("X!#$%&'*+-.^`|~9: yes\r\n"));
    assert_eq!(answer.text(), "yes");
}

#[test]
fn every_byte_in_a_field_value() {
    let origin = Origin::start(|request| Reply::ok(&request.head));
    let proxy = in_front_of(&origin);
    for byte in 0..=255u8 {
        let line = [b"X-Value: a", &[byte][..], b"b\r\n"].concat();
        let payload = [b"GET / HTTP/1.1\r\nHost: a\r\n", &line[..], b"\r\n"].concat();
        let mut client = Client::connect(proxy.address());
        client.send(payload);
        let answer = client.read_response();
        if (byte < 0x20 && byte != b'\t') || byte == 0x7f {
            assert_eq!(answer.status, 400, "{byte:#x}");
            client.expect_close(CLOSE);
        } else {
            // Text of other times passes byte for byte (garden 132).
            assert_eq!(answer.status, 200, "{byte:#x}");
            assert!(
                answer.body.windows(line.len()).any(|window| window == line),
                "{byte:#x}"
            );
        }
    }
}

#[test]
fn whitespace_around_a_value_is_not_part_of_it() {
    let origin = Origin::start(|request| {
        Reply::ok(format!("[{}]", request.header("x").unwrap_or_default()))
    });
    let proxy = in_front_of(&origin);
    for (line, value) in [
        ("X:v", "v"),
        ("X: v", "v"),
        ("X:  \t v \t ", "v"),
        ("X:", ""),
        ("X: \t", ""),
        ("X: a  b", "a  b"),
    ] {
        let answer = ask(&proxy, get(&format!("{line}\r\n")));
        assert_eq!(answer.text(), format!("[{value}]"), "{line:?}");
    }
}

#[test]
fn a04_names_with_an_underscore_stay_here() {
    let origin = Origin::start(|request| Reply::ok(request.headers.names().join(" ")));
    let proxy = in_front_of(&origin);
    let lines = [
        "Transfer_Encoding: chunked",
        "Content_Length: 5",
        "X_Forwarded_For: 6.6.6.6",
        "X_Forwarded-For: 6.6.6.6",
        "X-Forwarded_Proto: https",
        "X_Real_Ip: 6.6.6.6",
        "Ho_st: b",
        "_: x",
        "a_b: 1",
        "HTTP_PROXY: x",
        "Remote_User: root",
    ];
    for line in lines {
        for beside in ["", "X-Beside: 1\r\n", "X-Forwarded-For: 1.1.1.1\r\n"] {
            let answer = ask(&proxy, get(&format!("{beside}{line}\r\n")));
            assert_eq!(answer.status, 200, "{line}");
            assert!(!answer.text().contains('_'), "{line}: {}", answer.text());
        }
    }
    // Next to the real one, which still frames the body.
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n\r\nhello");
    assert!(!client.read_response().text().contains('_'));
    assert_eq!(origin.requests().pop().unwrap().text(), "hello");
    // garden 117: alone it frames nothing, so what follows is read as a request.
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\nhello\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 400);
    client.expect_close(CLOSE);
}

#[test]
fn a29_methods() {
    let mut table = Table::set();
    let long = "A".repeat(1024);
    let invalid = [
        "G?T",
        "GET\x0b",
        "\x0bGET",
        "GET\t",
        "GE\0T",
        "G=\":<>(e),[T];?\"",
        "get",
        "Get",
        "gET",
        "post",
        "GET!",
        "0",
        "G(T",
        "GET,POST",
        "",
        "G\u{c9}T",
        &long,
        "-GET",
        "_GET",
        "GET/evil",
    ];
    for method in invalid {
        let payload = format!("{method} /evil HTTP/1.1\r\nHost: a\r\n\r\n");
        table.refuses(method, payload.as_bytes(), &[400]);
    }
    for (payload, status) in [
        ("TRACE /evil HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (
            "TRACE /evil HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
            405,
        ),
        ("TRACE * HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
        (
            "CONNECT elsewhere:22 HTTP/1.1\r\nHost: elsewhere:22\r\n\r\n",
            405,
        ),
        ("CONNECT /evil HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (
            "CONNECT a:443 HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello",
            405,
        ),
    ] {
        table.refuses(payload, payload.as_bytes(), &[status]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a29_methods_that_nobody_knows_are_the_origins_business() {
    let origin = Origin::start(|request| Reply::ok(&request.method));
    let proxy = in_front_of(&origin);
    for method in [
        "SLUDGE",
        "PROPFIND",
        "M-SEARCH",
        "X1",
        "VERSION-CONTROL",
        "GETS",
        "GE",
        "A_B",
    ] {
        let answer = ask(&proxy, format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((answer.status, answer.text().as_str()), (200, method));
    }
}

#[test]
fn a405_says_what_is_served() {
    let table = Table::set();
    let answer = ask(&table.proxy, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        answer.headers.has_token("allow", "GET") && !answer.headers.has_token("allow", "TRACE")
    );
    table.clear_without_a_trace();
}

#[test]
fn versions() {
    let mut table = Table::set();
    for (version, status) in [
        ("HTTP/2.0", 505),
        ("HTTP/3.0", 505),
        ("HTTP/9.9", 505),
        ("HTTP/1.2", 505),
        ("HTTP/0.9", 505),
        ("HTTP/1.", 400),
        ("HTTP/1", 400),
        ("HTTP/11", 400),
        ("HTTP/1.10", 400),
        ("HTTP/01.1", 400),
        ("HTTP/1.01", 400),
        ("HTTP/1,1", 400),
        ("HTTP/-1.1", 400),
        ("HTTP/ 1.1", 400),
        ("HTTP /1.1", 400),
        ("http/1.1", 400),
        ("Http/1.1", 400),
        ("HTTPS/1.1", 400),
        ("HTP/1.1", 400),
        ("HTTP/1.1 ", 400),
        ("HTTP/1.1\t", 400),
        ("HTTP/1.1 HTTP/1.1", 400),
        ("HTTP/1.1x", 400),
        ("HTTP/4294967297.1", 400),
        ("", 400),
    ] {
        let payload = format!("GET /evil {version}\r\nHost: a\r\n\r\n");
        table.refuses(version, payload.as_bytes(), &[status]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a22_sizes_never_wrap() {
    let mut table = Table::set();
    for size in [255, 256, 257, 65_535, 65_536, 65_537] {
        let name = "n".repeat(size);
        let value = "v".repeat(size);
        if size < 1000 {
            let answer = ask(
                &table.proxy,
                format!("GET /good HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n"),
            );
            assert_eq!(answer.status, 200);
            let seen = table.origin.requests().pop().unwrap();
            assert_eq!(seen.header(&name), Some(value.as_str()));
        } else {
            table.refuses(
                &format!("a name of {size}"),
                &get(&format!("{name}: v\r\n")),
                &[431],
            );
            table.refuses(
                &format!("a value of {size}"),
                &get(&format!("X: {value}\r\n")),
                &[431],
            );
            table.refuses(
                &format!("a name of {size} before the length"),
                &get(&format!("Content-Length{name}: 5\r\nContent-Length: 0\r\n")),
                &[431],
            );
        }
    }
    table.clear_without_a_trace();
}

#[test]
fn a_refusal_is_not_framed_by_the_request_before_it() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ));
    // One worker, so that what the first exchange left behind is used again.
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.request("HEAD", "/", &[], "").status, 200);
    let mut other = Client::connect(proxy.address());
    other.send("GET / HTTP/1.1\nHost: a\r\n\r\n");
    let answer = other.read_response();
    assert_eq!(answer.status, 400);
    assert!(answer.is_complete() && !answer.body.is_empty());
}

#[rustfmt::skip]
const GARDEN: &[(&str, &[u8])] = &[
    ("g107", b"GET / HTTP/1.1\r\nHost: a\r\n\xefoo: bar\r\n\r\n"),
    ("g108", b"GET / HTTP/1.1\r\nHost: a\r\nHeader\x85: value\r\n\r\n"),
    ("g109", b"GET / HTTP/1.1\r\nHost: a\r\n\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\x0b\x0c\x0e...\x1f \"(),/;<=>?@[/]{}: whatever\r\n\r\n"),
    ("g110", b"GET / HTTP/1.1\r\nHost: a\r\nHea\x00der: value\r\n\r\n"),
    ("g112", b"GET / HTTP/1.1\r\nHost: a\r\n: ignored\r\n\r\n"),
    ("g113", b"GET / HTTP/1.1\r\nHost: a\r\n:\r\nI: am chopped off\r\n\r\n"),
    ("g114", b"GET / HTTP/1.1\r\nHost: a\r\nTe\nst: test\r\nConnection: close\r\n\r\n"),
    ("g115", b"GET / HTTP/1.1\r\nHost: a\r\nTest\r\nConnection: close\r\n\r\n"),
    ("g119", b"GET / HTTP/1.1\r\nHost: a\r\nHeader: v\x00\ralue\r\n\r\n"),
    ("g120", b"GET / HTTP/1.1\r\nHost: a\r\nHeader: v\n\x00\ralue\r\n\r\n"),
    ("g121", b"GET / HTTP/1.1\r\nHost: a\r\nTest: x\n\r\x00\r\n\r\n"),
    ("g122", b"GET / HTTP/1.1\r\nHost: a\r\nVisible: :/\rSmuggled: :)\r\n\r\n"),
    ("g123", b"GET / HTTP/1.1\r\nHost: a\r\nWhatever: whatever\rContent-Length: 10\r\n\r\n0123456789"),
    ("g124", b"GET / HTTP/1.1\r\nHost: a\r\nInvalid-Header: this\rvalue\ris\rinvalid\r\n\r\n"),
    ("g125", b"GET / HTTP/1.1\r\nHost: google.com\x00.kallus.org\r\n\r\n"),
    ("g126", b"GET / HTTP/1.1\r\nHost: a\r\nTest: test\x00THESE BYTES GET DROPPED\r\nConnection: close\r\n\r\n"),
    ("g127", b"GET / HTTP/1.1\r\nHost: a\r\nEvil: evil\x00\r\n\r\n"),
    ("g128", b"GET / HTTP/1.1\r\nHost: a\r\na:b\r\nc\x00\r\n\r\n"),
    ("g129", b"GET / HTTP/1.1\r\nHost: a\r\nUseless:\n\nGET / HTTP/1.1\r\n\r\n"),
    ("g130", b"GET / HTTP/1.1\nHost: whatever\nConnection: close\n\n"),
    ("g131", b"GET / HTTP/1.1\r\nHost: a\r\n\rZGET /evil: HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g133", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    ("g134", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"),
    ("g135", b"GET / HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n"),
    ("g136", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n"),
    ("g137", b"GET /test HTTP/1.32\r\nHost: a\r\n\r\n"),
    ("g138", b"GET / HTTP/\r\r1.1\r\nHost: a\r\n\r\n"),
    ("g139", b"GET / HTTP/4294967295.255\r\nHost: a\r\n\r\n"),
    ("g140", b"\x00 / HTTP/............0596.7407.\r\n\r\n"),
    ("g141", b"G=\":<>(e),[T];?\" /get HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g142", b"GET ! HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g143", b"GET /\nHTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g144", b"GET /\r\n\r\n"),
    ("g145", b"GET / HTTP/1.1\r\n\r\n"),
    ("g147", b"0 / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g148", b"GET! / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g149", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    ("g150", b"GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g151", b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g152", b"GET /a\x0bb HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g153", b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("g154", b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    // With another CR, HTTP/2 would begin.
    ("g155", b"PRI * HTTP/2.0\r\n\r\nSM\n\r\n"),
    ("g156", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("g157", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    ("g158", b"GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n"),
    ("g159", b"GET / HTTP/1.1\r\nHost: a:80@b\r\n\r\n"),
    ("g160", b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"),
    ("g161", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ("g162", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("g163", b"GET / HTTP/1.1\r\nX: y\r\n Host: b\r\nHost: a\r\n\r\n"),
];
