//! Heads from HTTP/2 to HTTP/1 and back: one framing, one host, nothing that could be read twice.
//!
//! Rows B01 to B04 of the catalogue. Refused means: `RST_STREAM` or a 4xx, and nothing of it at the
//! origin; the origin of the kit judges every byte that does come through.

use std::fmt::Write as _;
use std::time::Duration;

use croupier_testkit::h2::{self, Answer, Frame, Head, flag};
use croupier_testkit::{Origin, Proxy, Reply, Request};

use crate::prelude::{SOON, config_with, in_front_of, start};

fn connect(proxy: &Proxy) -> h2::Client {
    h2::Client::connect(proxy.address())
}

/// A proxy that does not lose its patience with a client that breaks the rules all the time.
fn patient(origin: &Origin) -> Proxy {
    start(&format!(
        "{}[limits]\nh2_resets = 10000\nh2_control_frames = 1000000\n",
        config_with("", &format!("proxy = \"{}\"", origin.address()))
    ))
}

/// Where wrongs are collected, to be shown together.
#[derive(Default)]
struct Flaws(String);

impl Flaws {
    fn note(&mut self, what: &str, found: &Answer) {
        let end = (found.is_complete, found.reset);
        let _ = writeln!(
            self.0,
            "{what}: status {} {end:?} {}",
            found.status,
            found.text()
        );
    }

    #[track_caller]
    fn none(&self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

/// No request on its way to `/evil` was whole at the origin.
#[track_caller]
fn nothing_evil(origin: &Origin) {
    let evil: Vec<Request> = (origin.requests().into_iter())
        .filter(|r| r.target.contains("evil") && r.complete)
        .collect();
    assert!(evil.is_empty(), "{evil:#?}");
    assert_eq!(origin.violations(), [], "{}", origin.transcript());
}

fn echo() -> Origin {
    Origin::start(|request| Reply::ok(request.path()))
}

#[test]
fn a_head_becomes_one_of_http_1() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let head = Head::post("/a/b?c=d&e")
        .with(":authority", "Shop.Test:8080")
        .field("x-z", "1")
        .field("accept", "a")
        .field("cookie", "a=1")
        .field("x-y", "")
        .field("cookie", "b=2")
        .field("x-obs", [b'a', 0xe4, b'b'])
        .field("cookie", "c=3")
        .field("content-type", "text/plain")
        .field("te", "trailers");
    let answer = client.request(&head, "body");
    assert_eq!(answer.status, 200);
    let request = &origin.requests()[0];
    assert_eq!(request.version, "HTTP/1.1");
    assert_eq!((&*request.method, &*request.target), ("POST", "/a/b?c=d&e"));
    assert_eq!(request.headers.names()[0].to_ascii_lowercase(), "host");
    assert_eq!(request.headers.all("host").len(), 1);
    assert!(
        request
            .header("host")
            .unwrap()
            .eq_ignore_ascii_case("shop.test:8080")
    );
    assert_eq!(request.headers.all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(request.header("x-y"), Some(""));
    assert_eq!(request.header("x-obs"), Some("a\u{e4}b"));
    assert_eq!(request.headers.all("x-forwarded-host").len(), 1);
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert!(
        request.header("via").is_none_or(|via| via.starts_with("2")),
        "{:?}",
        request.header("via")
    );
    let theirs: Vec<_> = (request.headers.names().into_iter())
        .map(str::to_ascii_lowercase)
        .filter(|n| ["x-z", "accept", "x-y", "x-obs", "content-type"].contains(&n.as_str()))
        .collect();
    assert_eq!(theirs, ["x-z", "accept", "x-y", "x-obs", "content-type"]);
    assert!(
        request
            .headers
            .names()
            .iter()
            .all(|name| !name.starts_with(':'))
    );
}

#[test]
fn an_answer_becomes_one_of_http_2() {
    let origin = Origin::start(|_| {
        Reply::ok("x")
            .header("X-B", "1")
            .header("Set-Cookie", "a=1")
            .header("X-A", "2")
            .header("Set-Cookie", "b=2")
            .header("Connection", "X-Gone, keep-alive")
            .header("X-Gone", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("Upgrade", "h2c")
            .header("X-Empty", "")
    });
    let proxy = in_front_of(&origin);
    // The client judges that no field of one connection and no capital comes.
    let answer = connect(&proxy).get("/");
    assert_eq!(answer.headers.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.header("x-b"), Some("1"));
    assert_eq!(answer.header("x-empty"), Some(""));
    assert!(!answer.headers.has("x-gone"));
    assert_eq!(answer.headers.all("date").len(), 1);
    let order: Vec<_> = (answer.headers.names().into_iter())
        .filter(|name| name.starts_with("x-"))
        .take(2)
        .collect();
    assert_eq!(order, ["x-b", "x-a"]);
}

#[test]
fn large_heads_pass_both_ways_and_too_large_ones_do_not() {
    let origin = Origin::start(|request| {
        Reply::ok("x").header("X-Echo", request.header("x-large").unwrap_or_default())
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    for size in [1000, 10_000, 16_000] {
        let value = "v".repeat(size);
        let answer = client.request(&Head::get("/").field("x-large", &value), "");
        assert_eq!(answer.header("x-echo"), Some(&*value), "{size}");
    }
    for (what, head) in [
        (
            "a line of 17000",
            Head::get("/evil").field("x", "v".repeat(17_000)),
        ),
        (
            "a head of 40000",
            (0..10).fold(Head::get("/evil"), |head, _| {
                head.field("x", "v".repeat(4000))
            }),
        ),
        (
            "101 lines",
            (0..101).fold(Head::get("/evil"), |head, _| head.field("x", "v")),
        ),
        (
            "3000 lines",
            (0..3000).fold(Head::get("/evil"), |head, _| head.field("x", "v")),
        ),
        (
            "a target of 9000",
            Head::get(format!("/evil{}", "t".repeat(9000))),
        ),
        (
            "101 crumbs",
            (0..101).fold(Head::get("/evil"), |head, _| head.field("cookie", "a=b")),
        ),
        ("a method of 20000", Head::new("M".repeat(20_000), "/evil")),
    ] {
        let answer = client.request(&head, "");
        let wanted = if what.contains("target") { 414 } else { 431 };
        let is_method = what.contains("method") && answer.is_refusal();
        assert!(
            answer.status == wanted || is_method,
            "{what}: {}",
            answer.status
        );
    }
    client.expect_alive();
    nothing_evil(&origin);
}

#[test]
fn b01_a_length_that_is_not_the_bodys() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut client = connect(&proxy);
    let mut flaws = Flaws::default();
    let long = "9".repeat(20);
    // Lengths, the pieces of the body, and how the stream ends.
    for (lengths, pieces, end) in [
        (&["5"][..], &["abc"][..], "last"),
        (&["5"], &["abc"], "empty"),
        (&["5"], &["abc"], "trailers"),
        (&["5"], &[], "head"),
        (&["5"], &[], "empty"),
        (&["5"], &[], "trailers"),
        (&["5"], &["abc", "def"], "last"),
        (&["5"], &["abcdef"], "last"),
        (&["5"], &["abcdef"], "trailers"),
        (&["5"], &["abcdef"], "empty"),
        (&["0"], &["a"], "last"),
        (&["0"], &["a"], "trailers"),
        (&["1"], &[], "head"),
        (&["5", "3"], &["abc"], "last"),
        (&["3", "5"], &["abc"], "last"),
        (&["3", "3"], &["abc"], "last"),
        (&["3, 3"], &["abc"], "last"),
        (&[""], &["abc"], "last"),
        (&[""], &[], "head"),
        (&["+3"], &["abc"], "last"),
        (&["-3"], &["abc"], "last"),
        (&["0x3"], &["abc"], "last"),
        (&["3 "], &["abc"], "last"),
        (&["3a"], &["abc"], "last"),
        (&["3.0"], &["abc"], "last"),
        (&[&long], &["abc"], "last"),
        (&["18446744073709551616"], &["abc"], "last"),
        (&["18446744073709551619"], &["abc"], "last"),
    ] {
        for method in ["POST", "GET"] {
            let what = format!("{method} {lengths:?} {pieces:?} {end}");
            let head = lengths.iter().fold(Head::new(method, "/evil"), |h, l| {
                h.field("content-length", l)
            });
            let stream = match end {
                "head" => client.open(&head),
                _ => client.open_with_body(&head),
            };
            let mut frames: Vec<Frame> = pieces.iter().map(|p| Frame::data(stream, p)).collect();
            match (end, frames.pop()) {
                ("last", Some(last)) => frames.push(last.end_stream()),
                (_, last) => frames.extend(last),
            }
            match end {
                "empty" => frames.push(Frame::data(stream, "").end_stream()),
                "trailers" => {
                    let block = h2::Block::new().literal("x-sum", "1");
                    frames.push(Frame::headers(stream, block).flag(flag::END_STREAM));
                }
                _ => {}
            }
            let _ = client.try_send_all(&frames);
            let answer = client.try_answer(stream);
            if !answer.is_refusal() {
                flaws.note(&what, &answer);
            }
        }
    }
    // The end of a body that never was whole must not look like one, and its connection is gone.
    assert_eq!(client.get("/good").text(), "/good");
    origin.wait_for_connections(SOON, |all| {
        all.iter().filter(|c| c.ended.is_none()).all(|c| c.is_idle)
    });
    nothing_evil(&origin);
    flaws.none();
}

#[test]
fn b01_a_lawful_length_passes_in_any_form() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let head = Head::post("/").field("content-length", "3");
    for end in ["last", "empty", "trailers"] {
        let stream = client.open_with_body(&head);
        match end {
            "last" => {
                client.send(&Frame::data(stream, "abc").end_stream());
            }
            "empty" => {
                client.send_data(stream, "abc");
                client.finish(stream);
            }
            _ => {
                client.send_data(stream, "abc");
                client.finish_with(stream, &[("x-sum", "1")]);
            }
        }
        let answer = client.answer(stream);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "abc"),
            "{end}"
        );
    }
    for request in origin.requests() {
        assert_eq!(
            request.headers.all("content-length").len()
                + request.headers.all("transfer-encoding").len(),
            1
        );
    }
}

#[test]
fn b02_fields_of_one_connection_are_refused() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut client = connect(&proxy);
    let mut flaws = Flaws::default();
    for (name, value) in [
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("transfer-encoding", ""),
        ("connection", "close"),
        ("connection", "keep-alive"),
        ("connection", "x-other"),
        ("connection", "upgrade"),
        ("upgrade", "h2c"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("te", "gzip, trailers"),
        ("te", "chunked"),
    ] {
        for body in ["", "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let answer = client.request(&Head::post("/evil").field(name, value), body);
            if !answer.is_refusal() {
                flaws.note(&format!("{name}: {value:?}"), &answer);
            }
        }
    }
    assert_eq!(client.get("/good").status, 200);
    nothing_evil(&origin);
    flaws.none();
}

#[test]
fn b02_none_of_them_comes_as_a_trailer() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut client = connect(&proxy);
    for (name, value) in [
        ("transfer-encoding", "chunked"),
        ("content-length", "99"),
        ("connection", "close"),
        ("upgrade", "h2c"),
        ("host", "evil.test"),
        (":path", "/evil"),
        (":status", "200"),
        ("x-evil", "a\r\nb: c"),
        ("X-Evil", "a"),
    ] {
        let stream = client.open_with_body(&Head::post("/trailers"));
        client.send_data(stream, "x");
        client.plain().finish_with(stream, &[(name, value)]);
        let answer = client.answer(stream);
        assert!(answer.is_refusal() || answer.status == 200, "{name}");
    }
    for request in origin.requests() {
        let names = request.trailers.names();
        assert!(names.is_empty(), "{names:?} in trailers");
    }
    assert_eq!(origin.violations(), []);
    client.expect_alive();
}

/// Where a byte is put.
const PLACES: [&str; 3] = ["start", "middle", "end"];

fn place(text: &str, byte: u8, place: &str) -> Vec<u8> {
    let at = match place {
        "start" => 0,
        "middle" => text.len() / 2,
        _ => text.len(),
    };
    let (front, back) = text.as_bytes().split_at(at);
    [front, &[byte], back].concat()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[test]
fn b03_no_byte_breaks_out_of_a_field() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut client = connect(&proxy);
    client.plain();
    let mut flaws = Flaws::default();
    for byte in 0..=255_u8 {
        for at in PLACES {
            let is_blank = matches!(byte, b' ' | b'\t');
            let name = place("xname", byte, at);
            let value = place("value", byte, at);
            let bad_name = !is_token(byte) || byte.is_ascii_uppercase();
            let bad_value = matches!(byte, 0 | b'\r' | b'\n')
                || (is_blank && at != "middle")
                || (byte < 32 && !is_blank)
                || byte == 127;
            let path = |bad: bool| if bad { "/evil" } else { "/good" };
            let cases = [
                (
                    "name",
                    Head::get(path(bad_name)).field(&name, "v"),
                    bad_name,
                ),
                (
                    "value",
                    Head::get(path(bad_value)).field("x-v", &value),
                    bad_value,
                ),
            ];
            for (what, head, is_bad) in cases {
                let count = origin.requests().len();
                let answer = client.request(&head, "");
                let what = format!("byte {byte:#04x} at the {at} of a {what}");
                if is_bad && !answer.is_refusal() {
                    flaws.note(&what, &answer);
                }
                // What passes comes as it was.
                if answer.status == 200 && !is_bad && head.0.last().unwrap().0 == b"x-v" {
                    let request = &origin.requests()[count];
                    let got: Vec<u8> = request
                        .header("x-v")
                        .unwrap_or_default()
                        .chars()
                        .map(|c| u8::try_from(u32::from(c)).unwrap_or(0))
                        .collect();
                    if got != value {
                        flaws.note(&format!("{what}: changed to {got:?}"), &answer);
                    }
                }
            }
        }
    }
    assert_eq!(client.get("/good").status, 200);
    nothing_evil(&origin);
    flaws.none();
}

#[test]
fn b03_no_byte_breaks_out_of_a_start_line() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut client = connect(&proxy);
    client.plain();
    let mut flaws = Flaws::default();
    for byte in 0..=255_u8 {
        for at in PLACES {
            let is_odd = !byte.is_ascii_graphic();
            // No path has these; behind `#` is a part that is never sent.
            let bad_path =
                is_odd || b"\"<>\\^`{|}".contains(&byte) || (at == "start" && byte != b'/');
            let bad_method = !is_token(byte) || byte.is_ascii_lowercase();
            let bad_host = is_odd || b"\"<>\\^`{|}/?#@, ()[];=&+$!'*%".contains(&byte);
            let bad_scheme = !byte.is_ascii_alphanumeric() && !b"+-.".contains(&byte);
            let cases = [
                (":path", "/evilpath", bad_path && byte != b'#'),
                (":method", "EVIL", bad_method),
                (
                    ":authority",
                    "evil.example.test",
                    bad_host && !b";=&+$!'*%()".contains(&byte),
                ),
                (":scheme", "http", bad_scheme),
            ];
            for (name, text, is_bad) in cases {
                let head = Head::get("/evilpath").with(name, place(text, byte, at));
                let answer = client.request(&head, "");
                if is_bad && !answer.is_refusal() && answer.status != 501 {
                    flaws.note(&format!("byte {byte:#04x} at the {at} of {name}"), &answer);
                }
            }
        }
    }
    assert_eq!(client.get("/good").status, 200);
    for request in origin.requests() {
        let line = String::from_utf8_lossy(&request.head);
        let line = line.lines().next().unwrap_or_default();
        assert_eq!(line.split(' ').count(), 3, "{line:?}");
        assert!(
            !request.target.contains('#') && request.target.starts_with('/'),
            "{line:?}"
        );
        let host = request.header("host").unwrap_or_default();
        assert!(
            host.ends_with("example.test") || host.contains("example.test:"),
            "{host:?}"
        );
    }
    assert_eq!(origin.violations(), []);
    flaws.none();
}

#[test]
fn b04_pseudo_headers_that_are_missing_repeated_late_or_unknown() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut client = connect(&proxy);
    client.plain();
    let get = || Head::get("/evil");
    let mut flaws = Flaws::default();
    let mut cases = vec![
        ("nothing".to_owned(), Head(Vec::new())),
        (
            "only fields".to_owned(),
            Head(Vec::new()).field("host", "example.test"),
        ),
        ("a status".to_owned(), get().first(":status", "200")),
        ("an unknown one".to_owned(), get().first(":evil", "x")),
        ("an empty name".to_owned(), get().field("", "x")),
        ("only a colon".to_owned(), get().first(":", "x")),
        (
            "a protocol".to_owned(),
            get().first(":protocol", "websocket"),
        ),
        ("an empty path".to_owned(), get().with(":path", "")),
        ("a relative path".to_owned(), get().with(":path", "evil")),
        (
            "a path with a host".to_owned(),
            get().with(":path", "http://example.test/evil"),
        ),
        ("a star".to_owned(), get().with(":path", "*")),
        (
            "no slash but a query".to_owned(),
            get().with(":path", "?evil"),
        ),
        ("an empty method".to_owned(), get().with(":method", "")),
        ("a lower method".to_owned(), get().with(":method", "get")),
        ("TRACE".to_owned(), get().with(":method", "TRACE")),
        ("an empty scheme".to_owned(), get().with(":scheme", "")),
        ("another scheme".to_owned(), get().with(":scheme", "ftp")),
        (
            "a scheme as a target".to_owned(),
            get().with(":scheme", "http://evil.test/?"),
        ),
        ("no host at all".to_owned(), get().without(":authority")),
        (
            "an empty authority".to_owned(),
            get().with(":authority", ""),
        ),
        (
            "a name and password".to_owned(),
            get().with(":authority", "a:b@example.test"),
        ),
        (
            "two hosts in one".to_owned(),
            get().with(":authority", "example.test,evil.test"),
        ),
        (
            "an authority with a path".to_owned(),
            get().with(":authority", "example.test/evil"),
        ),
        (
            "a large port".to_owned(),
            get().with(":authority", "example.test:99999"),
        ),
        (
            "a port with a sign".to_owned(),
            get().with(":authority", "example.test:+80"),
        ),
        (
            "a port of letters".to_owned(),
            get().with(":authority", "example.test:80a"),
        ),
        ("only a port".to_owned(), get().with(":authority", ":80")),
        ("another host".to_owned(), get().field("host", "evil.test")),
        (
            "another port".to_owned(),
            get().field("host", "example.test:81"),
        ),
        (
            "two hosts".to_owned(),
            get()
                .field("host", "example.test")
                .field("host", "evil.test"),
        ),
        (
            "two hosts and no authority".to_owned(),
            get()
                .without(":authority")
                .field("host", "a")
                .field("host", "b"),
        ),
        ("an empty host".to_owned(), get().field("host", "")),
    ];
    for name in [":method", ":scheme", ":authority", ":path"] {
        let value = get()
            .0
            .into_iter()
            .find(|(n, _)| n == name.as_bytes())
            .unwrap()
            .1;
        if name != ":authority" {
            cases.push((format!("no {name}"), get().without(name)));
        }
        cases.push((format!("{name} twice"), get().first(name, &value)));
        cases.push((
            format!("{name} twice, differently"),
            get().first(name, "other"),
        ));
        cases.push((
            format!("a late {name}"),
            get().without(name).field("x", "y").field(name, &value),
        ));
        cases.push((
            format!("a late second {name}"),
            get().field("x", "y").field(name, &value),
        ));
    }
    for (what, head) in &cases {
        for body in ["", "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let answer = client.request(head, body);
            if !answer.is_refusal() {
                flaws.note(what, &answer);
            }
        }
    }
    assert_eq!(client.get("/good").text(), "/good");
    nothing_evil(&origin);
    flaws.none();
}

#[test]
fn b04_a_host_that_says_the_same_is_the_same_and_one_alone_is_enough() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    for head in [
        Head::get("/").field("host", "example.test"),
        Head::get("/").field("host", "EXAMPLE.test"),
        Head::get("/")
            .without(":authority")
            .field("host", "example.test"),
        Head::get("/").with(":authority", "EXAMPLE.test"),
    ] {
        assert_eq!(client.request(&head, "").status, 200, "{head:?}");
    }
    for request in origin.requests() {
        assert_eq!(request.headers.all("host").len(), 1);
        assert!(
            request
                .header("host")
                .unwrap()
                .eq_ignore_ascii_case("example.test")
        );
    }
}

#[test]
fn b17_each_stream_goes_to_the_site_it_names() {
    let proxy = start(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [site.\"a.test\"]\nrespond = \"a\"\n\
         [site.\"b.test\"]\nrespond = \"b\"\n",
    );
    let mut client = connect(&proxy);
    for round in 0..10 {
        for (authority, status, text) in [
            ("a.test", 200, "a"),
            ("b.test", 200, "b"),
            ("c.test", 404, ""),
        ] {
            let answer = client.request(&Head::get("/").with(":authority", authority), "");
            assert_eq!(answer.status, status, "{authority} {round}");
            if status == 200 {
                assert_eq!(answer.text(), text);
            }
        }
    }
}

#[test]
fn an_outsider_can_not_say_who_he_is() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let head = Head::get("/")
        .with(":scheme", "https")
        .field("x-forwarded-for", "1.1.1.1")
        .field("x-forwarded-proto", "https")
        .field("x-forwarded-host", "evil.test")
        .field("forwarded", "for=1.1.1.1")
        .field("x-real-ip", "1.1.1.1")
        .field("x-request-id", "mine")
        .field("proxy-authorization", "x");
    let answer = connect(&proxy).request(&head, "");
    if answer.is_refusal() {
        return; // `https` on a plain port may be refused as well.
    }
    let request = &origin.requests()[0];
    assert_eq!(request.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["http"]);
    assert_eq!(request.headers.all("x-forwarded-host"), ["example.test"]);
    for name in ["forwarded", "x-real-ip", "proxy-authorization"] {
        assert!(!request.headers.has(name), "{name}");
    }
    assert_ne!(request.header("x-request-id"), Some("mine"));
}

#[test]
fn an_expectation_that_nobody_knows_is_refused() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy).patience(Duration::from_secs(5));
    let answer = client.request(&Head::post("/evil").field("expect", "a-pony"), "x");
    assert_eq!(answer.status, 417);
    client.expect_alive();
    nothing_evil(&origin);
}
