//! What a server answered to a check: read as far as it is needed. Pure over the bytes so far.

use croupier_proxy::live::{Reason, policy::HttpCheck};

/// Bytes of the heads, interim ones included, and as many of the body.
pub(super) const HEAD_BYTES: usize = 16 << 10;
pub(super) const BODY_BYTES: usize = 16 << 10;

/// Whether more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    /// The server has closed.
    Closed,
}

/// The verdict on what has arrived; None: read on.
pub(super) fn judge(bytes: &[u8], end: End, check: &HttpCheck) -> Option<Result<(), Reason>> {
    let Answer { status, head, body } = match final_head(bytes) {
        Ok(Some(answer)) => answer,
        Ok(None) if end == End::Closed && bytes.is_empty() => return Some(Err("check.closed")),
        Ok(None) if end == End::Closed || bytes.len() >= HEAD_BYTES => {
            return Some(Err("check.head"));
        }
        Ok(None) => return None,
        Err(reason) => return Some(Err(reason)),
    };
    if !check.statuses.iter().any(|range| range.contains(&status)) {
        return Some(Err("check.status"));
    }
    let Some(text) = &check.body else {
        return Some(Ok(()));
    };
    let (content, is_whole) = content(head, body);
    let content = &content[..content.len().min(BODY_BYTES)];
    if holds(content, text.as_bytes()) {
        Some(Ok(()))
    } else if is_whole || end == End::Closed || content.len() >= BODY_BYTES {
        Some(Err("check.body"))
    } else if body.len() >= 2 * BODY_BYTES {
        // More framing than content: chunks of a byte each.
        Some(Err("check.body"))
    } else {
        None
    }
}

/// The final head, and what has arrived behind it.
struct Answer<'a> {
    status: u16,
    head: &'a [u8],
    body: &'a [u8],
}

/// The first head that is not an interim one; None while it is not complete.
fn final_head(mut bytes: &[u8]) -> Result<Option<Answer<'_>>, Reason> {
    let all = bytes.len();
    loop {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            // What can not become a status line is not waited for.
            let start = &bytes[..bytes.len().min(5)];
            return if b"HTTP/".starts_with(start) {
                Ok(None)
            } else {
                Err("check.head")
            };
        };
        let (head, rest) = bytes.split_at(end + 4);
        if all - rest.len() > HEAD_BYTES {
            return Err("check.head");
        }
        let status = status(head).ok_or("check.head")?;
        if !(100..200).contains(&status) || status == 101 {
            let body = rest;
            return Ok(Some(Answer { status, head, body }));
        }
        bytes = rest;
    }
}

/// The status of `HTTP/1.x SSS ...`.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    let [b'0'..=b'9', b' ', digits @ ..] = rest else {
        return None;
    };
    let (digits, after) = digits.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(after.first(), Some(b' ' | b'\r')) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The body without its framing, as far as it is there, and whether it is whole.
fn content(head: &[u8], body: &[u8]) -> (Vec<u8>, bool) {
    let field = |name: &str| {
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        let mut named = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (own, value) = (&line[..colon], &line[colon + 1..]);
            own.eq_ignore_ascii_case(name.as_bytes())
                .then(|| String::from_utf8_lossy(value.trim_ascii()).into_owned())
        });
        named.next()
    };
    let coding = field("transfer-encoding").unwrap_or_default();
    if coding.to_ascii_lowercase().ends_with("chunked") {
        return unchunked(body);
    }
    let length = field("content-length").and_then(|length| length.parse::<usize>().ok());
    match length {
        Some(length) => (
            body[..body.len().min(length)].to_vec(),
            body.len() >= length,
        ),
        None => (body.to_vec(), false),
    }
}

/// The data of chunks (RFC 9112 section 7.1). Malformed ones end it: then the text was not found.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    loop {
        let Some(line) = find(rest, b"\r\n") else {
            return (content, rest.len() > 1024);
        };
        let digits = rest[..line].split(|byte| *byte == b';').next();
        let digits = std::str::from_utf8(digits.unwrap_or_default()).unwrap_or_default();
        let Ok(size) = usize::from_str_radix(digits.trim(), 16) else {
            return (content, true);
        };
        rest = &rest[line + 2..];
        if size == 0 {
            return (content, true);
        }
        let here = size.min(rest.len());
        content.extend_from_slice(&rest[..here]);
        let Some(after) = rest.get(size.saturating_add(2)..) else {
            return (content, false);
        };
        rest = after;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

pub(super) fn holds(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || find(bytes, text).is_some()
}

#[cfg(test)]
mod tests {
    use croupier_proxy::live::policy::HttpCheck;

    use super::{End, judge};

    fn check(body: Option<&str>) -> HttpCheck {
        HttpCheck {
            body: body.map(Into::into),
            ..HttpCheck::default()
        }
    }

    #[test]
    fn an_answer_is_judged_as_soon_as_it_can_be() {
        let body = Some("ready");
        type Case = (&'static str, Option<&'static str>, End, Judged);
        type Judged = Option<Result<(), &'static str>>;
        let cases: &[Case] = &[
            ("", None, End::Open, None),
            ("", None, End::Closed, Some(Err("check.closed"))),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", None, End::Open, None),
            (
                "HTTP/1.1 200 OK\r\nA: b",
                None,
                End::Closed,
                Some(Err("check.head")),
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", None, End::Open, Some(Ok(()))),
            ("HTTP/1.0 399\r\n\r\n", None, End::Open, Some(Ok(()))),
            (
                "HTTP/1.1 503 No\r\n\r\n",
                None,
                End::Open,
                Some(Err("check.status")),
            ),
            (
                "HTTP/1.1 2000 OK\r\n\r\n",
                None,
                End::Open,
                Some(Err("check.head")),
            ),
            (
                "HTTP/2 200\r\n\r\n",
                None,
                End::Open,
                Some(Err("check.head")),
            ),
            ("SSH-2.0-x\r\n", None, End::Open, Some(Err("check.head"))),
            ("HTTP/1.1 103 Hints\r\n\r\n", None, End::Open, None),
            (
                "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
                None,
                End::Open,
                Some(Ok(())),
            ),
            ("HTTP/1.1 200 OK\r\n\r\nrea", body, End::Open, None),
            (
                "HTTP/1.1 200 OK\r\n\r\nall ready",
                body,
                End::Open,
                Some(Ok(())),
            ),
            (
                "HTTP/1.1 200 OK\r\n\r\nrea",
                body,
                End::Closed,
                Some(Err("check.body")),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nready",
                body,
                End::Open,
                Some(Err("check.body")),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2;x\r\ndy\r\n",
                body,
                End::Open,
                Some(Ok(())),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n0\r\n\r\n",
                body,
                End::Open,
                Some(Err("check.body")),
            ),
        ];
        for (bytes, body, end, expected) in cases {
            assert_eq!(
                judge(bytes.as_bytes(), *end, &check(*body)),
                *expected,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_head_or_body_without_end_is_not_read_for_ever() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(16 << 10));
        assert_eq!(
            judge(endless.as_bytes(), End::Open, &check(None)),
            Some(Err("check.head"))
        );
        let long = format!("HTTP/1.1 200 OK\r\n\r\n{}ready", "a".repeat(16 << 10));
        let judged = judge(long.as_bytes(), End::Open, &check(Some("ready")));
        assert_eq!(judged, Some(Err("check.body")));
    }
}
