//! What could be read twice behind us: lengths, fields of one connection, bytes that break out of
//! their field, pseudo-headers. Rows B01 to B04 of the catalogue.
//!
//! Refused means: `RST_STREAM`, a 4xx or the end of the connection, and nothing of it at the origin;
//! the origin of the kit judges every byte that does come through.

use std::fmt::Write as _;

use croupier_testkit::h2::{self, Answer, Frame, Head, code, flag};
use croupier_testkit::{Origin, Proxy, Reply, Request};

use crate::prelude::{SOON, config_with, in_front_of, start};

pub(crate) fn connect(proxy: &Proxy) -> h2::Client {
    h2::Client::connect(proxy.address())
}

/// A proxy that does not lose its patience with a client that breaks the rules all the time.
fn patient(origin: &Origin) -> Proxy {
    start(&format!(
        "{}[limits]\nh2_resets = 10000\nh2_control_frames = 1000000\n",
        config_with("", &format!("proxy = \"{}\"", origin.address()))
    ))
}

/// A client that comes again when its connection was ended.
struct Asker<'a> {
    proxy: &'a Proxy,
    client: h2::Client,
}

impl<'a> Asker<'a> {
    fn of(proxy: &'a Proxy) -> Self {
        let mut client = connect(proxy);
        client.plain();
        Self { proxy, client }
    }

    /// A request, what came of it, and whether it was refused.
    fn ask(&mut self, head: &Head, body: &str) -> (Answer, bool) {
        let client = &mut self.client;
        let ends = if body.is_empty() { flag::END_STREAM } else { 0 };
        let stream = client.open_block(h2::Block::new().lines(head.0.clone()), ends);
        if !body.is_empty() {
            let _ = client.try_send(&Frame::data(stream, body).end_stream());
        }
        self.judge(stream)
    }

    fn judge(&mut self, stream: u32) -> (Answer, bool) {
        let answer = self.client.try_answer(stream);
        let told = self
            .client
            .goaways()
            .iter()
            .any(|g| g.code != code::NO_ERROR);
        let is_refused = answer.is_refusal() || (answer.status == 0 && told);
        if told || self.client.closed().is_some() {
            *self = Self::of(self.proxy);
        }
        (answer, is_refused)
    }
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
pub(crate) fn nothing_evil(origin: &Origin) {
    let evil: Vec<Request> = (origin.requests().into_iter())
        .filter(|r| r.target.contains("evil") && r.complete)
        .collect();
    assert!(evil.is_empty(), "{evil:#?}");
    assert_eq!(origin.violations(), [], "{}", origin.transcript());
}

pub(crate) fn echo() -> Origin {
    Origin::start(|request| Reply::ok(request.path()))
}

#[test]
fn b01_a_length_that_is_not_the_bodys() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut asker = Asker::of(&proxy);
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
            let client = &mut asker.client;
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
            let (answer, is_refused) = asker.judge(stream);
            if !is_refused {
                flaws.note(&what, &answer);
            }
        }
    }
    // The end of a body that never was whole must not look like one, and its connection is gone.
    assert_eq!(connect(&proxy).get("/good").text(), "/good");
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
    let mut asker = Asker::of(&proxy);
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
            let head = Head::post("/evil").field(name, value);
            let (answer, is_refused) = asker.ask(&head, body);
            if !is_refused {
                flaws.note(&format!("{name}: {value:?}"), &answer);
            }
        }
    }
    assert_eq!(connect(&proxy).get("/good").status, 200);
    nothing_evil(&origin);
    flaws.none();
}

#[test]
fn b02_none_of_them_comes_as_a_trailer() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut asker = Asker::of(&proxy);
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
        let client = &mut asker.client;
        let stream = client.open_with_body(&Head::post("/trailers"));
        client.send_data(stream, "x");
        client.finish_with(stream, &[(name, value)]);
        let (answer, is_refused) = asker.judge(stream);
        assert!(is_refused || answer.status == 200, "{name}");
    }
    for request in origin.requests() {
        let names = request.trailers.names();
        assert!(names.is_empty(), "{names:?} in trailers");
    }
    assert_eq!(origin.violations(), []);
    assert_eq!(connect(&proxy).get("/good").status, 200);
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
    let mut asker = Asker::of(&proxy);
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
                let (answer, is_refused) = asker.ask(&head, "");
                let what = format!("byte {byte:#04x} at the {at} of a {what}");
                if is_bad && !is_refused {
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
    assert_eq!(connect(&proxy).get("/good").status, 200);
    nothing_evil(&origin);
    flaws.none();
}

#[test]
fn b03_no_byte_breaks_out_of_a_start_line() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut asker = Asker::of(&proxy);
    let mut flaws = Flaws::default();
    for byte in 0..=255_u8 {
        for at in PLACES {
            let is_odd = !byte.is_ascii_graphic();
            // Behind `#` is a part that is never sent; what may not stand in a path is escaped.
            let bad_path = is_odd || b"<>\\`".contains(&byte) || (at == "start" && byte != b'/');
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
                let (answer, is_refused) = asker.ask(&head, "");
                if is_bad && !is_refused && answer.status != 501 {
                    flaws.note(&format!("byte {byte:#04x} at the {at} of {name}"), &answer);
                }
            }
        }
    }
    assert_eq!(connect(&proxy).get("/good").status, 200);
    for request in origin.requests() {
        let line = String::from_utf8_lossy(&request.head);
        let line = line.lines().next().unwrap_or_default();
        assert_eq!(line.split(' ').count(), 3, "{line:?}");
        assert!(
            request.target.starts_with('/')
                && !request.target.contains(['#', '"', '^', '|', '{', '}']),
            "{line:?}"
        );
        let host = request.header("host").unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+;=%:".contains(c);
        assert!(host.chars().all(is_plain) && host.len() <= 18, "{host:?}");
    }
    assert_eq!(origin.violations(), []);
    flaws.none();
}

/// What is wrong with a request: a name, what is done with its line, and the value.
const PSEUDO: [(&str, &str, &str); 40] = [
    (":status", "first", "200"),
    (":evil", "first", "x"),
    (":", "first", "x"),
    ("", "last", "x"),
    (":protocol", "first", "websocket"),
    (":path", "with", ""),
    (":path", "with", "evil"),
    (":path", "with", "http://example.test/evil"),
    (":path", "with", "*"),
    (":path", "with", "?evil"),
    (":path", "without", ""),
    (":path", "first", "/evil"),
    (":path", "first", "/other"),
    (":path", "late", "/evil"),
    (":path", "last", "/evil"),
    (":method", "with", ""),
    (":method", "with", "get"),
    (":method", "with", "TRACE"),
    (":method", "without", ""),
    (":method", "first", "GET"),
    (":method", "last", "GET"),
    (":scheme", "with", ""),
    (":scheme", "with", "ftp"),
    (":scheme", "with", "http://evil.test/?"),
    (":scheme", "without", ""),
    (":scheme", "first", "https"),
    (":scheme", "late", "http"),
    (":authority", "without", ""),
    (":authority", "with", ""),
    (":authority", "with", "a:b@example.test"),
    (":authority", "with", "example.test,evil.test"),
    (":authority", "with", "example.test/evil"),
    (":authority", "with", "example.test:99999"),
    (":authority", "with", "example.test:+80"),
    (":authority", "with", ":80"),
    (":authority", "first", "example.test"),
    (":authority", "late", "example.test"),
    ("host", "last", "evil.test"),
    ("host", "last", "example.test:81"),
    ("host", "last", ""),
];

#[test]
fn b04_pseudo_headers_that_are_missing_repeated_late_or_unknown() {
    let origin = echo();
    let proxy = patient(&origin);
    let mut asker = Asker::of(&proxy);
    let mut flaws = Flaws::default();
    let mut cases = vec![
        ("nothing".to_owned(), Head(Vec::new())),
        (
            "only a host".to_owned(),
            Head(Vec::new()).field("host", "a"),
        ),
    ];
    for (name, what, value) in PSEUDO {
        let get = Head::get("/evil");
        let head = match what {
            "first" => get.first(name, value),
            "last" => get.field("x", "y").field(name, value),
            "late" => get.without(name).field("x", "y").field(name, value),
            "with" => get.with(name, value),
            _ => get.without(name),
        };
        cases.push((format!("{what} {name:?} {value:?}"), head));
    }
    for (what, head) in &cases {
        for body in ["", "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let (answer, is_refused) = asker.ask(head, body);
            if !is_refused {
                flaws.note(what, &answer);
            }
        }
    }
    assert_eq!(connect(&proxy).get("/good").text(), "/good");
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
