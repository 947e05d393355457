//! Requests as read and answers as bytes. An answer is a function of its request alone, the same
//! at every server, with a strong validator: half of it may be had from another server.

use std::fmt::Write as _;
use std::io::Read;

/// The body that belongs to a nonce: the nonce and a line feed, over and over.
pub(in crate::drill) fn body(nonce: &str, size: usize) -> Vec<u8> {
    let line = format!("{nonce}\n").into_bytes();
    line.iter().copied().cycle().take(size).collect()
}

/// A request, its body read.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) nonce: String,
    range: Option<String>,
    if_range: Option<String>,
}

/// Bytes of a connection that were read and not yet used.
#[derive(Default)]
pub(super) struct Inbox(Vec<u8>);

impl Inbox {
    /// Reads a request; `None` when the connection ended, or was idle for too long, before one.
    pub(super) fn request(&mut self, mut stream: impl Read) -> Option<Request> {
        let end = loop {
            let found = self.0.windows(4).position(|four| four == b"\r\n\r\n");
            match found {
                Some(end) => break end + 4,
                None if self.0.len() > 64 * 1024 => return None,
                None => self.more(&mut stream)?,
            }
        };
        let head = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0.drain(..end);
        let field = |name: &str| {
            head.lines().skip(1).find_map(|line| {
                let (own, value) = line.split_once(':')?;
                own.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let length = field("content-length").map_or(Some(0), |length| length.parse().ok())?;
        while self.0.len() < length {
            self.more(&mut stream)?;
        }
        self.0.drain(..length);
        let mut words = head.split_whitespace();
        Some(Request {
            method: words.next()?.to_owned(),
            path: words.next()?.to_owned(),
            nonce: field("x-nonce").unwrap_or_default(),
            range: field("range"),
            if_range: field("if-range"),
        })
    }

    fn more(&mut self, stream: &mut impl Read) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        self.0.extend_from_slice(&buffer[..count]);
        Some(())
    }
}

/// The bytes of an answer, and where its head ends.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) head: usize,
}

impl Answer {
    /// A page that says no more than its status.
    pub(super) fn plain(status: u16) -> Self {
        let body = format!("status {status}\n");
        let head = format!(
            "HTTP/1.1 {status} Drill\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Self {
            head: head.len(),
            bytes: (head + &body).into_bytes(),
        }
    }

    /// What was asked for: `/b/SIZE/..` with a length, `/c/SIZE/..` in chunks.
    pub(super) fn to(request: &Request) -> Self {
        let mut parts = request.path.split('/').skip(1);
        let form = parts.next().unwrap_or_default();
        let size = parts.next().and_then(|size| size.parse::<usize>().ok());
        let Some(size) = size.filter(|size| *size <= 1 << 20) else {
            return Self::plain(404);
        };
        let nonce = &request.nonce;
        let whole = body(nonce, size);
        let tag = format!("\"{nonce}-{size}\"");
        let common = format!("ETag: {tag}\r\nAccept-Ranges: bytes\r\nX-Nonce: {nonce}\r\n");
        let mut head = String::new();
        let mut bytes = Vec::new();
        let from = request.from(&tag, size);
        if let Some(from) = from {
            let _ = write!(
                head,
                "HTTP/1.1 206 Partial Content\r\n{common}Content-Length: {}\r\n\
                 Content-Range: bytes {from}-{}/{size}\r\n\r\n",
                size - from,
                size - 1
            );
            bytes.extend_from_slice(&whole[from..]);
        } else if form == "c" {
            let _ = write!(
                head,
                "HTTP/1.1 200 OK\r\n{common}Transfer-Encoding: chunked\r\n\r\n"
            );
            for chunk in whole.chunks(1000) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            let _ = write!(
                head,
                "HTTP/1.1 200 OK\r\n{common}Content-Length: {size}\r\n\r\n"
            );
            bytes = whole;
        }
        Self {
            head: head.len(),
            bytes: [head.into_bytes(), bytes].concat(),
        }
    }
}

impl Request {
    /// Where a `Range: bytes=N-` begins, if it may be served in part (RFC 9110 section 14.2).
    fn from(&self, tag: &str, size: usize) -> Option<usize> {
        let range = self.range.as_deref()?.strip_prefix("bytes=")?;
        let (from, to) = range.split_once('-')?;
        let from = from.parse::<usize>().ok().filter(|from| *from < size)?;
        let is_to_the_end = to.is_empty() || to.parse() == Ok(size - 1);
        let is_same = self.if_range.as_deref().is_none_or(|own| own == tag);
        (is_to_the_end && is_same).then_some(from)
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Inbox, body};

    fn answer(request: &str) -> String {
        let request = Inbox::default().request(request.as_bytes()).unwrap();
        String::from_utf8(Answer::to(&request).bytes).unwrap()
    }

    #[test]
    fn requests_behind_each_other_are_told_apart() {
        let bytes = b"POST /b/9/x HTTP/1.1\r\nX-Nonce: n1\r\nContent-Length: 3\r\n\r\nabc\
                      GET /healthz HTTP/1.1\r\n\r\n";
        let mut inbox = Inbox::default();
        let mut stream = &bytes[..];
        let first = inbox.request(&mut stream).unwrap();
        assert_eq!(
            (first.method.as_str(), first.nonce.as_str()),
            ("POST", "n1")
        );
        assert_eq!(inbox.request(&mut stream).unwrap().path, "/healthz");
        assert!(inbox.request(&mut stream).is_none());
    }

    #[test]
    fn the_same_request_has_the_same_answer_whole_chunked_or_from_the_middle() {
        assert_eq!(body("ab", 7), b"ab\nab\na");
        let whole = answer("GET /b/7/x HTTP/1.1\r\nX-Nonce: ab\r\n\r\n");
        assert!(whole.ends_with("\r\n\r\nab\nab\na"), "{whole}");
        let chunked = answer("GET /c/7/x HTTP/1.1\r\nX-Nonce: ab\r\n\r\n");
        assert!(chunked.ends_with("\r\n\r\n7\r\nab\nab\na\r\n0\r\n\r\n"));
        let rest = "GET /b/7/x HTTP/1.1\r\nX-Nonce: ab\r\nRange: bytes=4-\r\n";
        let part = answer(&format!("{rest}If-Range: \"ab-7\"\r\n\r\n"));
        assert!(part.starts_with("HTTP/1.1 206"));
        assert!(part.contains("Content-Range: bytes 4-6/7") && part.ends_with("\r\n\r\nb\na"));
        let other = answer(&format!("{rest}If-Range: \"else\"\r\n\r\n"));
        assert!(other.starts_with("HTTP/1.1 200"));
    }
}
