//! A client over HTTP/1.1, plain or over TLS: a connection that is kept from one request to the
//! next, and an answer read to its end as its own framing says.

use std::io::{Read, Write as _};

use super::link::{Front, Link};
use super::{Ask, Got, HOST};

/// A client with a connection of its own.
pub(in crate::drill) struct Own {
    front: Front,
    link: Option<Link>,
}

impl Own {
    pub(super) fn new(front: Front) -> Self {
        Self { front, link: None }
    }

    pub(super) fn ask(&mut self, ask: &Ask) -> Got {
        // The kept one, unless the proxy has closed it while it was idle.
        let kept = self.link.take().filter(Link::is_quiet);
        let Some(mut link) = kept.or_else(|| self.front.dial().ok()) else {
            return Got::Nothing;
        };
        let sent = ask.body();
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: {HOST}\r\nX-Nonce: {}\r\nContent-Length: {}\r\n\r\n{sent}",
            ask.method,
            ask.path,
            ask.nonce,
            sent.len()
        );
        if link.write_all(head.as_bytes()).is_err() {
            return Got::Nothing;
        }
        match read(&mut link) {
            Reading::Nothing => Got::Nothing,
            Reading::Cut => Got::Cut,
            Reading::Whole {
                status,
                body,
                nonce,
                keeps,
            } => {
                let got = ask.judge(status, &body, nonce.as_deref());
                if keeps && got != Got::Wrong {
                    self.link = Some(link);
                }
                got
            }
        }
    }
}

/// An answer as it came.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Nothing,
    Cut,
    Whole {
        status: u16,
        body: Vec<u8>,
        nonce: Option<String>,
        keeps: bool,
    },
}

/// Reads an answer to its end as its framing says (RFC 9112 section 6.3).
fn read(stream: &mut impl Read) -> Reading {
    let mut inbox = Vec::new();
    let end = loop {
        if let Some(end) = inbox.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match more(stream, &mut inbox) {
            More::Some => {}
            _ if inbox.is_empty() => return Reading::Nothing,
            _ => return Reading::Cut,
        }
    };
    let head = String::from_utf8_lossy(&inbox[..end]).into_owned();
    inbox.drain(..end);
    let field = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| {
        let word = rest.split(' ').nth(1)?;
        word.trim().parse().ok()
    });
    let Some(status) = status else {
        return Reading::Cut;
    };
    let is_chunked = field("transfer-encoding").is_some();
    let length = field("content-length").and_then(|value| value.parse::<usize>().ok());
    let closes = field("connection").is_some_and(|word| word.eq_ignore_ascii_case("close"));
    let body = if is_chunked {
        chunks(stream, inbox)
    } else if let Some(length) = length {
        sized(stream, inbox, length)
    } else {
        to_the_end(stream, inbox)
    };
    body.map_or(Reading::Cut, |body| Reading::Whole {
        status,
        body,
        nonce: field("x-nonce"),
        keeps: !closes && (is_chunked || length.is_some()),
    })
}

enum More {
    Some,
    /// The connection ended in order.
    End,
    /// It was reset, or we waited for too long.
    Broken,
}

fn more(stream: &mut impl Read, inbox: &mut Vec<u8>) -> More {
    let mut buffer = [0; 32 * 1024];
    match stream.read(&mut buffer) {
        Ok(0) => More::End,
        Ok(count) => {
            inbox.extend_from_slice(&buffer[..count]);
            More::Some
        }
        Err(_) => More::Broken,
    }
}

fn sized(stream: &mut impl Read, mut inbox: Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while inbox.len() < length {
        let More::Some = more(stream, &mut inbox) else {
            return None;
        };
    }
    Some(inbox)
}

/// A body without any framing is whole when its connection ends in order.
fn to_the_end(stream: &mut impl Read, mut inbox: Vec<u8>) -> Option<Vec<u8>> {
    loop {
        match more(stream, &mut inbox) {
            More::Some => {}
            More::End => return Some(inbox),
            More::Broken => return None,
        }
    }
}

fn chunks(stream: &mut impl Read, mut inbox: Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = inbox.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            let More::Some = more(stream, &mut inbox) else {
                return None;
            };
        };
        let size = std::str::from_utf8(&inbox[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        let size = Some(size).filter(|size| *size <= 1 << 24)?;
        inbox.drain(..line + 2);
        // The chunk and its line end; behind the last one there are no trailers in a drill.
        while inbox.len() < size + 2 {
            let More::Some = more(stream, &mut inbox) else {
                return None;
            };
        }
        body.extend(inbox.drain(..size));
        inbox.drain(..2);
        if size == 0 {
            return Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, read};

    fn whole(body: &str, keeps: bool) -> Reading {
        Reading::Whole {
            status: 200,
            body: body.into(),
            nonce: None,
            keeps,
        }
    }

    #[test]
    fn an_answer_is_whole_when_its_own_framing_says_so() {
        let head = "HTTP/1.1 200 OK\r\n";
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        for (answer, expected) in [
            (String::new(), Reading::Nothing),
            (head.into(), Reading::Cut),
            ("\x16\x03 not HTTP\r\n\r\n".into(), Reading::Cut),
            (
                format!("{head}Content-Length: 2\r\n\r\nab"),
                whole("ab", true),
            ),
            (format!("{head}Content-Length: 3\r\n\r\nab"), Reading::Cut),
            (
                format!("{head}{chunked}2\r\nab\r\n0\r\n\r\n"),
                whole("ab", true),
            ),
            (format!("{head}{chunked}2\r\nab\r\n"), Reading::Cut),
            (format!("{head}{chunked}4\r\nab"), Reading::Cut),
            (format!("{head}\r\nab"), whole("ab", false)),
        ] {
            assert_eq!(read(&mut answer.as_bytes()), expected, "{answer:?}");
        }
    }
}
