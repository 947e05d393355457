//! The scored cases of an independent probe (Http11Probe, 161 of them), run through the proxy.
//!
//! The rules are the probe's own, facts from its source: what passes, what only warns, and what
//! silence counts as. A case is scored by the first status line, the headers and whether the
//! connection is open about 150 ms later.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use croupier_testkit::{Origin, Reply};

use crate::{prelude::in_front_of, verdict::expand};

use Verdict::{Fail, Pass, Warn};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Pass,
    Warn,
    Fail,
}

/// How a case is judged.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// By status; then what a close and a silence without an answer count as.
    Answer(&'static str, &'static str, Verdict, Verdict),
    /// 2xx with this body.
    Echoes(&'static str),
    AcceptedAndClosed,
    /// 2xx and not one byte behind the head.
    NoBody,
    With(&'static str, &'static str),
    Without(&'static str, &'static str),
    NoSwitch,
    /// An odd name is refused or dropped, never read as its neighbour.
    Normalised,
    /// One answer and no second one.
    OneAnswer,
    /// One of these statuses, or the connection has closed.
    NoSecondStep(&'static [u16]),
}

const fn answer(pass: &'static str, warn: &'static str, closed: Verdict, silent: Verdict) -> Rule {
    Rule::Answer(pass, warn, closed, silent)
}

const ACCEPTED: Rule = answer("2xx", "", Fail, Fail);
const ACCEPTED_OR_CLOSED: Rule = answer("2xx", "", Pass, Fail);
const ANSWERED_400: Rule = answer("400", "", Fail, Fail);
const ANSWER_BEST: Rule = answer("400", "2xx", Warn, Warn);
const ANSWER_BETTER: Rule = answer("400", "", Warn, Warn);
const ANY_REFUSAL: Rule = answer("400", "", Pass, Pass);
const REFUSED: Rule = answer("400", "", Pass, Fail);
const REFUSED_OR_WARN: Rule = answer("400", "2xx", Pass, Fail);

/// What came back.
#[derive(Debug, Default)]
struct Outcome {
    bytes: Vec<u8>,
    is_closed: bool,
}

impl Outcome {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn status(&self) -> Option<u16> {
        let text = self.text();
        let rest = text.strip_prefix("HTTP/1.")?;
        rest.get(2..5)?.parse().ok()
    }

    fn is(&self, statuses: &str) -> bool {
        let status = self.status().unwrap_or_default();
        statuses
            .split_whitespace()
            .any(|wanted| match wanted.strip_suffix("xx") {
                Some(class) => class.parse() == Ok(status / 100),
                None => wanted.parse() == Ok(status),
            })
    }

    fn body(&self) -> String {
        let text = self.text();
        text.split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
            .unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        let text = self.text().to_ascii_lowercase();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .any(|line| line.starts_with(&format!("{name}:")))
    }

    fn silence(&self, closed: Verdict, silent: Verdict) -> Verdict {
        if self.is_closed { closed } else { silent }
    }
}

fn judge(rule: Rule, outcome: &Outcome) -> Verdict {
    let pass_if = |holds: bool| if holds { Pass } else { Fail };
    let status = outcome.status();
    match rule {
        Rule::Answer(.., closed, silent) if status.is_none() => outcome.silence(closed, silent),
        Rule::Answer(pass, ..) if outcome.is(pass) => Pass,
        Rule::Answer(_, warn, ..) if outcome.is(warn) => Warn,
        Rule::Answer(..) => Fail,
        Rule::Echoes(body) => pass_if(outcome.is("2xx") && outcome.body().trim_end() == body),
        Rule::AcceptedAndClosed => pass_if(outcome.is("2xx") && outcome.is_closed),
        Rule::NoBody => pass_if(outcome.is("2xx") && outcome.body().is_empty()),
        Rule::With(pass, name) => pass_if(outcome.is(pass) && outcome.has(name)),
        Rule::Without(pass, name) => pass_if(outcome.is(pass) && !outcome.has(name)),
        Rule::NoSwitch => match status {
            Some(101) => Fail,
            Some(_) => Pass,
            None => outcome.silence(Pass, Fail),
        },
        Rule::Normalised => match status {
            None => outcome.silence(Pass, Fail),
            Some(400..) => Pass,
            Some(200..300) => {
                let body = outcome.body().to_ascii_lowercase();
                let odd = ["content_length: 99", "transfer_encoding: chunked"];
                let merged = ["content-length: 99", "transfer-encoding: chunked"];
                if merged.iter().any(|line| body.contains(line)) {
                    Fail
                } else if odd.iter().any(|line| body.contains(line)) {
                    Warn
                } else {
                    Pass
                }
            }
            Some(_) => Fail,
        },
        Rule::OneAnswer => {
            let answers = outcome.text().matches("HTTP/1.1 ").count();
            pass_if(answers < 2 && (status == Some(400) || outcome.is_closed))
        }
        Rule::NoSecondStep(pass) => {
            pass_if(outcome.is_closed || status.is_some_and(|status| pass.contains(&status)))
        }
    }
}

/// Sends a case and reads as the probe reads: to the end of the first head, then what is there
/// within 150 ms.
fn run(address: SocketAddr, payload: &[u8], patience: Duration) -> Outcome {
    let mut outcome = Outcome::default();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(payload).unwrap();
    let mut deadline = Instant::now() + patience;
    let mut buffer = [0; 64 * 1024];
    let mut has_head = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => outcome.is_closed = true,
            Ok(count) => outcome.bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(_) => outcome.is_closed = true,
        }
        if outcome.is_closed {
            break;
        }
        if !has_head && outcome.bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            has_head = true;
            deadline = Instant::now() + Duration::from_millis(150);
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    outcome
}

/// Fills in what the table only names.
fn payload(template: &[u8], address: SocketAddr) -> Vec<u8> {
    let host = format!("localhost:{}", address.port());
    let get = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let inner = format!("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 7\r\n\r\n");
    let fields: String = (0..10_000).map(|n| format!("X-H-{n}: value\r\n")).collect();
    let garbage: Vec<u8> = (0..256u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut bytes = expand(template);
    for (mark, text) in [
        ("{H}", host.as_bytes()),
        ("<GET>", get.as_bytes()),
        ("<FIELDS>", fields.as_bytes()),
        ("<GARBAGE>", &garbage),
        ("{x}", format!("{:x}", inner.len()).as_bytes()),
    ] {
        bytes = replace(&bytes, mark.as_bytes(), text);
    }
    let body = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(0, |at| bytes.len() - at - 4);
    replace(&bytes, b"{n}", body.to_string().as_bytes())
}

fn replace(bytes: &[u8], mark: &[u8], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(text);
        rest = &rest[at + mark.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// The origin that the probe expects behind a proxy.
fn origin() -> Origin {
    Origin::start(|request| {
        let ok = |body: &[u8]| {
            Reply::ok(body)
                .header("Content-Type", "text/plain")
                .header("ETag", "\"v1\"")
        };
        match (request.method.as_str(), request.path()) {
            ("GET" | "HEAD", "/") => ok(b"OK"),
            ("POST", "/") => ok(&request.body),
            ("GET" | "POST", "/echo") => {
                let lines = request
                    .headers
                    .0
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\n"));
                ok(lines.collect::<String>().as_bytes())
            }
            ("OPTIONS", "/" | "*") => Reply::empty(204).header("Allow", "GET, HEAD, POST, OPTIONS"),
            (_, "/") => Reply::empty(405).header("Allow", "GET, HEAD, POST, OPTIONS"),
            _ => Reply::empty(404),
        }
    })
}

#[test]
fn the_probe_is_passed() {
    let origin = origin();
    let proxy = in_front_of(&origin);
    let address = proxy.address();
    let next = AtomicUsize::new(0);
    let mut flaws: Vec<(usize, Verdict, Outcome)> = thread::scope(|scope| {
        let work = || {
            let mut flaws = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((_, template, rule)) = CASES.get(index) else {
                    break;
                };
                let may_be_silent = matches!(rule, Rule::Answer(.., Pass));
                let patience = Duration::from_millis(if may_be_silent { 1000 } else { 4000 });
                let outcome = run(address, &payload(template, address), patience);
                let verdict = judge(*rule, &outcome);
                if verdict != Pass {
                    flaws.push((index, verdict, outcome));
                }
            }
            flaws
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    flaws.sort_by_key(|(index, ..)| *index);
    let passed = CASES.len() - flaws.len();
    let report: String = flaws
        .iter()
        .map(|(index, verdict, outcome)| {
            let text: String = outcome.text().chars().take(160).collect();
            format!(
                "{verdict:?} {}: {text:?}, closed: {}\n",
                CASES[*index].0, outcome.is_closed
            )
        })
        .collect();
    println!("{passed} of {} pass\n{report}", CASES.len());
    let failed = flaws
        .iter()
        .filter(|(_, verdict, _)| *verdict == Fail)
        .count();
    assert_eq!(failed, 0, "{report}");
    assert!(passed >= 150, "{passed} pass\n{report}");
}

#[rustfmt::skip]
const CASES: &[(&str, &[u8], Rule)] = &[
    ("COMP-BASELINE", b"GET / HTTP/1.1\r\nHost: {H}\r\n\r\n", ACCEPTED),
    ("RFC9112-2.2-BARE-LF-REQUEST-LINE", b"GET / HTTP/1.1\nHost: {H}\r\n\r\n", REFUSED_OR_WARN),
    ("RFC9112-2.2-BARE-LF-HEADER", b"GET / HTTP/1.1\r\nHost: {H}\nX-Test: value\r\n\r\n", REFUSED_OR_WARN),
    ("RFC9112-5.1-OBS-FOLD", b"GET / HTTP/1.1\r\nHost: {H}\r\nX-Test: value\r\n continued\r\n\r\n", ANSWERED_400),
    ("RFC9110-5.6.2-SP-BEFORE-COLON", b"GET / HTTP/1.1\r\nHost: {H}\r\nX-Test : value\r\n\r\n", ANSWERED_400),
    ("RFC9112-3-MULTI-SP-REQUEST-LINE", b"GET  / HTTP/1.1\r\nHost: {H}\r\n\r\n", ANSWER_BEST),
    ("RFC9112-7.1-MISSING-HOST", b"GET / HTTP/1.1\r\n\r\n", ANSWERED_400),
    ("RFC9112-2.3-INVALID-VERSION", b"GET / HTTP/9.9\r\nHost: {H}\r\n\r\n", answer("400 505", "", Warn, Warn)),
    ("RFC9112-5-EMPTY-HEADER-NAME", b"GET / HTTP/1.1\r\nHost: {H}\r\n: empty-name\r\n\r\n", REFUSED),
    ("RFC9112-3-CR-ONLY-LINE-ENDING", b"GET / HTTP/1.1\rHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("RFC9112-3-MISSING-TARGET", b"GET HTTP/1.1\r\nHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("RFC9112-3.2-FRAGMENT-IN-TARGET", b"GET /path#frag HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("400", "2xx 404", Warn, Warn)),
    ("RFC9112-2.3-HTTP09-REQUEST", b"GET /\r\n", ANY_REFUSAL),
    ("RFC9112-5-INVALID-HEADER-NAME", b"GET / HTTP/1.1\r\nHost: {H}\r\nBad[Name: value\r\n\r\n", REFUSED),
    ("RFC9112-5-HEADER-NO-COLON", b"GET / HTTP/1.1\r\nHost: {H}\r\nNoColonHere\r\n\r\n", REFUSED),
    ("RFC9110-5.4-DUPLICATE-HOST", b"GET / HTTP/1.1\r\nHost: {H}\r\nHost: other.example.com\r\n\r\n", ANSWERED_400),
    ("RFC9112-6.1-CL-NON-NUMERIC", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: abc\r\n\r\n", REFUSED),
    ("RFC9112-6.1-CL-PLUS-SIGN", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: +5\r\n\r\nhello", REFUSED),
    ("COMP-WHITESPACE-BEFORE-HEADERS", b"GET / HTTP/1.1\r\n \r\nHost: {H}\r\n\r\n", REFUSED),
    ("COMP-DUPLICATE-HOST-SAME", b"GET / HTTP/1.1\r\nHost: {H}\r\nHost: {H}\r\n\r\n", ANSWERED_400),
    ("COMP-HOST-WITH-USERINFO", b"GET / HTTP/1.1\r\nHost: user@{H}\r\n\r\n", REFUSED),
    ("COMP-HOST-WITH-PATH", b"GET / HTTP/1.1\r\nHost: {H}/path\r\n\r\n", REFUSED),
    ("COMP-ASTERISK-WITH-GET", b"GET * HTTP/1.1\r\nHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("COMP-OPTIONS-STAR", b"OPTIONS * HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("2xx 405", "", Warn, Warn)),
    ("COMP-UNKNOWN-TE-501", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: gzip\r\n\r\n", answer("400 501", "", Pass, Fail)),
    ("COMP-LEADING-CRLF", b"\r\n\r\nGET / HTTP/1.1\r\nHost: {H}\r\n\r\n", ANSWER_BEST),
    ("COMP-METHOD-CASE", b"get / HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("400 405 501", "2xx", Warn, Warn)),
    ("COMP-POST-CL-BODY", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\n\r\nhello", Rule::Echoes("hello")),
    ("COMP-POST-CL-ZERO", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 0\r\n\r\n", ACCEPTED_OR_CLOSED),
    ("COMP-POST-NO-CL-NO-TE", b"POST / HTTP/1.1\r\nHost: {H}\r\n\r\n", ACCEPTED_OR_CLOSED),
    ("COMP-POST-CL-UNDERSEND", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 10\r\n\r\nhello", ANY_REFUSAL),
    ("COMP-CHUNKED-BODY", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Rule::Echoes("hello")),
    ("COMP-CHUNKED-MULTI", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", Rule::Echoes("hello world")),
    ("COMP-CHUNKED-EMPTY", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ACCEPTED_OR_CLOSED),
    ("COMP-CHUNKED-NO-FINAL", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ANY_REFUSAL),
    ("COMP-METHOD-CONNECT", b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", answer("400 405 501", "", Pass, Fail)),
    ("COMP-EXPECT-UNKNOWN", b"GET / HTTP/1.1\r\nHost: {H}\r\nExpect: 200-ok\r\n\r\n", answer("417", "2xx", Pass, Fail)),
    ("COMP-CHUNKED-EXTENSION", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=value\r\nhello\r\n0\r\n\r\n", Rule::Echoes("hello")),
    ("COMP-HOST-EMPTY-VALUE", b"GET / HTTP/1.1\r\nHost: \r\n\r\n", REFUSED),
    ("COMP-REQUEST-LINE-TAB", b"GET\t/ HTTP/1.1\r\nHost: {H}\r\n\r\n", ANSWER_BEST),
    ("COMP-VERSION-MISSING-MINOR", b"GET / HTTP/1\r\nHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("COMP-VERSION-LEADING-ZEROS", b"GET / HTTP/01.01\r\nHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("COMP-VERSION-WHITESPACE", b"GET / HTTP/ 1.1\r\nHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("COMP-CONNECTION-CLOSE", b"GET / HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\n\r\n", Rule::AcceptedAndClosed),
    ("COMP-HTTP10-DEFAULT-CLOSE", b"GET / HTTP/1.0\r\nHost: {H}\r\n\r\n", Rule::AcceptedAndClosed),
    ("COMP-CHUNKED-TRAILER-VALID", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n", Rule::Echoes("hello")),
    ("COMP-CHUNKED-HEX-UPPERCASE", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhelloworld\r\n0\r\n\r\n", Rule::Echoes("helloworld")),
    ("COMP-RANGE-POST", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\nRange: bytes=0-10\r\n\r\nhello", answer("200", "", Fail, Fail)),
    ("COMP-HEAD-NO-BODY", b"HEAD / HTTP/1.1\r\nHost: {H}\r\n\r\n", Rule::NoBody),
    ("COMP-UNKNOWN-METHOD", b"FOOBAR / HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("400 405 501", "2xx", Pass, Fail)),
    ("COMP-405-ALLOW", b"DELETE / HTTP/1.1\r\nHost: {H}\r\n\r\n", Rule::With("405", "allow")),
    ("COMP-DATE-HEADER", b"GET / HTTP/1.1\r\nHost: {H}\r\n\r\n", Rule::With("2xx", "date")),
    ("COMP-NO-1XX-HTTP10", b"POST / HTTP/1.0\r\nHost: {H}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", answer("2xx 3xx 4xx 5xx", "", Pass, Pass)),
    ("COMP-NO-CL-IN-204", b"OPTIONS / HTTP/1.1\r\nHost: {H}\r\n\r\n", Rule::Without("204", "content-length")),
    ("COMP-OPTIONS-ALLOW", b"OPTIONS / HTTP/1.1\r\nHost: {H}\r\n\r\n", Rule::With("2xx 405", "allow")),
    ("COMP-CONTENT-TYPE", b"GET / HTTP/1.1\r\nHost: {H}\r\n\r\n", Rule::With("2xx", "content-type")),
    ("COMP-VERSION-CASE", b"GET / http/1.1\r\nHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("COMP-LONG-URL-OK", b"GET /('a' x 7900) HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("2xx 404", "", Warn, Warn)),
    ("COMP-SPACE-IN-TARGET", b"GET /pa th HTTP/1.1\r\nHost: {H}\r\n\r\n", ANSWER_BETTER),
    ("COMP-DUPLICATE-CT", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-CL-TE-BOTH", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 23\r\nTransfer-Encoding: chunked\r\n\r\nD\r\nhello-bananas\r\n0\r\n\r\n", REFUSED_OR_WARN),
    ("SMUG-DUPLICATE-CL", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\nhelloworld", REFUSED),
    ("SMUG-CL-LEADING-ZEROS", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 005\r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-TE-XCHUNKED", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello", answer("400 501", "", Pass, Fail)),
    ("SMUG-TE-TRAILING-SPACE", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked \r\nContent-Length: 5\r\n\r\nhello", answer("400 501", "", Pass, Fail)),
    ("SMUG-TE-SP-BEFORE-COLON", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-CL-NEGATIVE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: -1\r\n\r\n", REFUSED),
    ("SMUG-CLTE-PIPELINE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED),
    ("SMUG-TECL-PIPELINE", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CL-TRAILING-SPACE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5 \r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-TE-DOUBLE-CHUNKED", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked, chunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-CL-EXTRA-LEADING-SP", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length:  5\r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-TE-CASE-MISMATCH", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: Chunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-CL-COMMA-DIFFERENT", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5, 10\r\n\r\nhello", REFUSED),
    ("SMUG-TE-NOT-FINAL-CHUNKED", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", REFUSED),
    ("SMUG-TE-HTTP10", b"POST / HTTP/1.0\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-CHUNK-BARE-SEMICOLON", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-EXT-INVALID-TOKEN", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5;bad[=x\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-BARE-CR-HEADER-VALUE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\nX-Test: val\rue\r\n\r\nhello", REFUSED),
    ("SMUG-CL-OCTAL", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 0o5\r\n\r\nhello", REFUSED),
    ("SMUG-CHUNK-UNDERSCORE", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\nhello world!!!!!\r\n0\r\n\r\n", REFUSED),
    ("SMUG-TE-EMPTY-VALUE", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: \r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-TE-LEADING-COMMA", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: , chunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-TE-DUPLICATE-HEADERS", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-CHUNK-HEX-PREFIX", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-SIZE-PLUS", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-SIZE-TRAILING-OWS", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CL-HEX-PREFIX", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 0x5\r\n\r\nhello", REFUSED),
    ("SMUG-CL-INTERNAL-SPACE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 1 0\r\n\r\nhello12345", REFUSED),
    ("SMUG-CHUNK-LEADING-SP", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-MISSING-TRAILING-CRLF", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-EXT-LF", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5;\nhello\r\n0\r\n\r\n", REFUSED_OR_WARN),
    ("SMUG-CHUNK-SPILL", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-LF-TERM", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", REFUSED_OR_WARN),
    ("SMUG-CHUNK-EXT-CTRL", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5;\x00ext\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-EXT-CR", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5;a\rX\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-TE-VTAB", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-TE-FORMFEED", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: \x0cchunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-TE-NULL", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\x00\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-CHUNK-LF-TRAILER", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\n", REFUSED_OR_WARN),
    ("SMUG-TE-IDENTITY", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", answer("400 501", "", Pass, Fail)),
    ("SMUG-CHUNK-NEGATIVE", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CL-UNDERSCORE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 1_0\r\n\r\nhelloworld", REFUSED),
    ("SMUG-CL-NEGATIVE-ZERO", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: -0\r\n\r\n", REFUSED),
    ("SMUG-CL-DOUBLE-ZERO", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 00\r\n\r\n", REFUSED_OR_WARN),
    ("SMUG-CL-LEADING-ZEROS-OCTAL", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 0200\r\n\r\n('A' x 200)", REFUSED_OR_WARN),
    ("SMUG-TE-OBS-FOLD", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\nhello", REFUSED),
    ("SMUG-TE-TRAILING-COMMA", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked,\r\nContent-Length: 5\r\n\r\nhello", REFUSED_OR_WARN),
    ("SMUG-MULTIPLE-HOST-COMMA", b"GET / HTTP/1.1\r\nHost: {H}, other.example.com\r\n\r\n", REFUSED),
    ("SMUG-CHUNK-BARE-CR-TERM", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5\rhello\r\n0\r\n\r\n", REFUSED),
    ("SMUG-CLTE-CONN-CLOSE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Rule::NoSecondStep(&[400])),
    ("SMUG-TECL-CONN-CLOSE", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Rule::NoSecondStep(&[400])),
    ("SMUG-CLTE-DESYNC", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", Rule::NoSecondStep(&[400])),
    ("SMUG-CLTE-SMUGGLED-GET", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-CLTE-SMUGGLED-GET-CL-PLUS", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: +{n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-CLTE-SMUGGLED-GET-CL-NON-NUMERIC", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: {n}x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-CLTE-SMUGGLED-GET-TE-OBS-FOLD", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: {n}\r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-CLTE-SMUGGLED-HEAD", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHEAD / HTTP/1.1\r\nHost: {H}\r\n\r\n", Rule::OneAnswer),
    ("SMUG-CLTE-SMUGGLED-GET-TE-TRAILING-SPACE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: {n}\r\nTransfer-Encoding: chunked \r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-CLTE-SMUGGLED-GET-TE-LEADING-COMMA", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: {n}\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-CLTE-SMUGGLED-GET-TE-CASE-MISMATCH", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: {n}\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-TE-DUPLICATE-HEADERS-SMUGGLED-GET", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: {n}\r\n\r\n0\r\n\r\n<GET>", Rule::OneAnswer),
    ("SMUG-TECL-SMUGGLED-GET", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{x}\r\nGET / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 7\r\n\r\n\r\n0\r\n\r\n", Rule::OneAnswer),
    ("SMUG-DUPLICATE-CL-SMUGGLED-GET", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 4\r\nContent-Length: {n}\r\n\r\nPING<GET>", Rule::OneAnswer),
    ("SMUG-TECL-DESYNC", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\nX", Rule::NoSecondStep(&[400])),
    ("SMUG-OPTIONS-TE-OBS-FOLD", b"OPTIONS / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\nhello", Rule::NoSecondStep(&[400, 405])),
    ("SMUG-CHUNK-INVALID-SIZE-DESYNC", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\nX", Rule::NoSecondStep(&[400])),
    ("MAL-BINARY-GARBAGE", b"<GARBAGE>", ANY_REFUSAL),
    ("MAL-LONG-URL", b"GET /('A' x 100000) HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("400 414 431", "", Pass, Fail)),
    ("MAL-LONG-HEADER-VALUE", b"GET / HTTP/1.1\r\nHost: {H}\r\nX-Big: ('B' x 100000)\r\n\r\n", answer("400 431", "", Pass, Fail)),
    ("MAL-MANY-HEADERS", b"GET / HTTP/1.1\r\nHost: {H}\r\n<FIELDS>\r\n", answer("400 431", "", Pass, Fail)),
    ("MAL-NUL-IN-URL", b"GET /\x00test HTTP/1.1\r\nHost: {H}\r\n\r\n", REFUSED),
    ("MAL-CONTROL-CHARS-HEADER", b"GET / HTTP/1.1\r\nHost: {H}\r\nX-Test: abc\x07\x08?f\r\n\r\n", REFUSED),
    ("MAL-INCOMPLETE-REQUEST", b"GET / HTTP/1.1\r\nHost: {H}\r\nX-Test: value", ANY_REFUSAL),
    ("MAL-EMPTY-REQUEST", b"", ANY_REFUSAL),
    ("MAL-LONG-HEADER-NAME", b"GET / HTTP/1.1\r\nHost: {H}\r\n('A' x 100000): val\r\n\r\n", answer("400 431", "", Pass, Fail)),
    ("MAL-LONG-METHOD", b"('A' x 100000) / HTTP/1.1\r\nHost: {H}\r\n\r\n", REFUSED),
    ("MAL-NON-ASCII-HEADER-NAME", b"GET / HTTP/1.1\r\nHost: {H}\r\nX-T\xc3\xabst: value\r\n\r\n", REFUSED),
    ("MAL-NON-ASCII-URL", b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: {H}\r\n\r\n", REFUSED),
    ("MAL-CL-OVERFLOW", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 99999999999999999999\r\n\r\n", REFUSED),
    ("MAL-WHITESPACE-ONLY-LINE", b"   \r\n\r\n", ANY_REFUSAL),
    ("MAL-NUL-IN-HEADER-VALUE", b"GET / HTTP/1.1\r\nHost: {H}\r\nX-Test: val\x00ue\r\n\r\n", REFUSED),
    ("MAL-CHUNK-SIZE-OVERFLOW", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("MAL-H2-PREFACE", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", answer("400 505", "", Pass, Pass)),
    ("MAL-CL-EMPTY", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: \r\n\r\n", REFUSED),
    ("MAL-CL-TAB-BEFORE-VALUE", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length:\t5\r\n\r\nhello", REFUSED_OR_WARN),
    ("MAL-URL-BACKSLASH", b"GET /path\x5cfile HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("400", "2xx 3xx 4xx", Pass, Fail)),
    ("MAL-URL-OVERLONG-UTF8", b"GET /\xc0\xaf HTTP/1.1\r\nHost: {H}\r\n\r\n", REFUSED),
    ("MAL-URL-PERCENT-NULL", b"GET /path%00.html HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("400", "2xx 3xx 4xx", Pass, Fail)),
    ("MAL-URL-PERCENT-CRLF", b"GET /path%0d%0aX-Injected:%20true HTTP/1.1\r\nHost: {H}\r\n\r\n", answer("400", "2xx 3xx 4xx", Pass, Fail)),
    ("MAL-CHUNK-EXT-64K", b"POST / HTTP/1.1\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=('a' x 65536)\r\nhello\r\n0\r\n\r\n", answer("400 431", "2xx", Pass, Fail)),
    ("MAL-POST-CL-HUGE-NO-BODY", b"POST / HTTP/1.1\r\nHost: {H}\r\nContent-Length: 999999999\r\n\r\n", answer("400 413", "", Pass, Pass)),
    ("NORM-UNDERSCORE-CL", b"POST /echo HTTP/1.1\r\nHost: {H}\r\nContent-Length: 11\r\nContent_Length: 99\r\n\r\nhello world", Rule::Normalised),
    ("NORM-SP-BEFORE-COLON-CL", b"POST /echo HTTP/1.1\r\nHost: {H}\r\nContent-Length: 11\r\nContent-Length : 5\r\n\r\nhello world", Rule::Normalised),
    ("NORM-TAB-IN-NAME", b"POST /echo HTTP/1.1\r\nHost: {H}\r\nContent-Length: 11\r\nContent\tLength: 99\r\n\r\nhello world", Rule::Normalised),
    ("NORM-UNDERSCORE-TE", b"POST /echo HTTP/1.1\r\nHost: {H}\r\nTransfer_Encoding: chunked\r\n\r\nB\r\nhello world\r\n0\r\n\r\n", Rule::Normalised),
    ("WS-UPGRADE-POST", b"POST / HTTP/1.1\r\nHost: {H}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", Rule::NoSwitch),
    ("WS-UPGRADE-MISSING-CONN", b"GET / HTTP/1.1\r\nHost: {H}\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", Rule::NoSwitch),
    ("WS-UPGRADE-UNKNOWN", b"GET / HTTP/1.1\r\nHost: {H}\r\nConnection: Upgrade\r\nUpgrade: totally-made-up/1.0\r\n\r\n", Rule::NoSwitch),
    ("WS-UPGRADE-INVALID-VER", b"GET / HTTP/1.1\r\nHost: {H}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 99\r\n\r\n", answer("3xx 4xx 5xx", "2xx", Pass, Fail)),
    ("WS-UPGRADE-HTTP10", b"GET / HTTP/1.0\r\nHost: {H}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", Rule::NoSwitch),
];
