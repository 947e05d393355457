//! As much of an HTTP/1.1 server as the demo needs: keep-alive, lengths, chunks both ways.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::Ordering,
    thread,
    time::Duration,
};

use super::{
    cards::{self, SCRIPT},
    server::Shared,
};

const HEAD_BYTES: u64 = 64 << 10;
const BODY_BYTES: u64 = 1 << 20;
/// Of a stream.
const PIECES: u64 = 10;
const PIECES_MAX: u64 = 1000;

struct Request {
    method: String,
    target: String,
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// The value of a header field; the first of its name.
    fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A number from the query: `/stream?pieces=3`.
    fn number(&self, name: &str, default: u64) -> u64 {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(key, _)| *key == name);
        named
            .find_map(|(_, value)| value.parse().ok())
            .unwrap_or(default)
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().skip(1);
    let mut pairs = lines.filter_map(|line| line.split_once(':'));
    pairs
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Answers the requests of one connection until it ends.
pub(super) fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader, &mut writer)? {
        shared.busy.fetch_add(1, Ordering::Relaxed);
        let number = shared.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let result = answer(&request, shared, number, &mut writer);
        shared.busy.fetch_sub(1, Ordering::Relaxed);
        result?;
        if request
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            break;
        }
    }
    Ok(())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The next request with its body; None when the client has none.
fn read(reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut head = String::new();
    loop {
        let before = head.len();
        let room = HEAD_BYTES.saturating_sub(before as u64);
        if reader.by_ref().take(room).read_line(&mut head)? == 0 {
            return if before == 0 {
                Ok(None)
            } else {
                Err(invalid("half a head"))
            };
        }
        if head[before..].trim_end().is_empty() {
            break;
        }
    }
    let mut words = head.split_ascii_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(invalid("no request line"));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    if field(&head, "expect").is_some() {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let body = if field(&head, "transfer-encoding").is_some() {
        chunks(reader)?
    } else {
        let length = field(&head, "content-length").map_or(Ok(0), str::parse);
        whole(reader, length.map_err(|_| invalid("no length"))?)?
    };
    Ok(Some(Request {
        method,
        target,
        head,
        body,
    }))
}

/// So many bytes, of which the first are kept.
fn whole(reader: &mut impl io::Read, length: u64) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    reader.take(length.min(BODY_BYTES)).read_to_end(&mut body)?;
    let rest = length.saturating_sub(BODY_BYTES);
    io::copy(&mut reader.take(rest), &mut io::sink())?;
    Ok(body)
}

fn chunks(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        reader.by_ref().take(HEAD_BYTES).read_line(&mut line)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("no chunk size"))?;
        if size > 0 {
            let chunk = whole(reader, size)?;
            let room = usize::try_from(BODY_BYTES).unwrap_or(0);
            body.extend_from_slice(&chunk[..chunk.len().min(room.saturating_sub(body.len()))]);
        }
        // The end of the chunk, or the trailers up to an empty line.
        loop {
            line.clear();
            reader.by_ref().take(HEAD_BYTES).read_line(&mut line)?;
            if size > 0 || line.trim_end().is_empty() {
                break;
            }
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

/// What is said of keeping an answer.
mod control {
    /// Of most: it is another card each time.
    pub(super) const NO: &str = "no-store";
    /// Of the script, which is the same from every server.
    pub(super) const LONG: &str = "max-age=300";
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OK: &str = "200 OK";

fn answer(request: &Request, shared: &Shared, number: u64, out: &mut TcpStream) -> io::Result<()> {
    let suit = &shared.suit;
    let mut say = |kind: &str, control: &str, body: &[u8]| {
        send(request, out, OK, &head_lines(kind, control), body)
    };
    let json = || cards::json(suit, number).into_bytes();
    match request.path() {
        "/" => {
            let accept = request.field("accept").unwrap_or_default();
            if accept.contains("text/html") {
                let page = cards::page(suit, number);
                say("text/html; charset=utf-8", control::NO, page.as_bytes())
            } else {
                say(TEXT, control::NO, cards::text(suit, number).as_bytes())
            }
        }
        "/card" => say(JSON, control::NO, &json()),
        "/app.js" => {
            let kind = "text/javascript; charset=utf-8";
            say(kind, control::LONG, SCRIPT.as_bytes())
        }
        "/slow" => {
            pause(request, 2000);
            say(JSON, control::NO, &json())
        }
        // Slow, and soon out of date: what a cache is for.
        "/news" => {
            pause(request, 1000);
            let fresh = request.number("fresh", 1);
            let control = format!("max-age={fresh}, stale-while-revalidate=30");
            say(JSON, &control, &json())
        }
        "/stream" => stream(request, out, TEXT, |piece| {
            format!("{} {} of {}\n", suit.symbol, piece, suit.name)
        }),
        "/events" => stream(request, out, "text/event-stream", |piece| {
            format!("data: {} {} of {}\n\n", suit.symbol, piece, suit.name)
        }),
        "/echo" => {
            let mut body = request.head.clone().into_bytes();
            body.extend_from_slice(&request.body);
            say(TEXT, control::NO, &body)
        }
        _ => {
            let text = format!("{} has no such card\n", suit.name);
            let lines = head_lines(TEXT, control::NO);
            send(request, out, "404 Not Found", &lines, text.as_bytes())
        }
    }
}

/// So long it takes: `ms` of the query, or what is usual.
fn pause(request: &Request, usual: u64) {
    let ms = request.number("ms", usual).min(60_000);
    thread::sleep(Duration::from_millis(ms));
}

fn head_lines(kind: &str, control: &str) -> String {
    format!("Content-Type: {kind}\r\nCache-Control: {control}\r\n")
}

/// A whole answer in one write.
fn send(
    request: &Request,
    out: &mut TcpStream,
    status: &str,
    lines: &str,
    body: &[u8],
) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n");
    let mut bytes = head.into_bytes();
    if request.method != "HEAD" {
        bytes.extend_from_slice(body);
    }
    out.write_all(&bytes)
}

/// A chunked answer, one chunk each second.
fn stream(
    request: &Request,
    out: &mut TcpStream,
    kind: &str,
    piece: impl Fn(u64) -> String,
) -> io::Result<()> {
    let lines = head_lines(kind, control::NO);
    let head = format!("HTTP/1.1 {OK}\r\n{lines}Transfer-Encoding: chunked\r\n\r\n");
    out.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let pieces = request.number("pieces", PIECES).min(PIECES_MAX);
    let pause = Duration::from_millis(request.number("ms", 1000).min(60_000));
    for number in 1..=pieces {
        if number > 1 {
            thread::sleep(pause);
        }
        let text = piece(number);
        out.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
    }
    out.write_all(b"0\r\n\r\n")
}
