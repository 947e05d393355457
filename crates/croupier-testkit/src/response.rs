//! A response as a client sees it, read by the kit's own strict reader.

use std::io::Read;

use crate::message::{Framing, Headers, text};
use crate::strict::{self, Broken, Reader};

/// How a response ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// As its framing says.
    Complete,
    /// The connection ended first, by FIN or RST.
    Cut,
}

/// A `1xx` before the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interim {
    pub status: u16,
    pub headers: Headers,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    pub version: String,
    pub status: u16,
    pub reason: String,
    pub headers: Headers,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub trailers: Headers,
    pub end: End,
    pub interim: Vec<Interim>,
    /// The head's own bytes.
    pub head: Vec<u8>,
}

impl Response {
    /// The first value of a header field, any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.body)
    }

    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end == End::Complete
    }

    /// Whether the proxy said it will close.
    #[must_use]
    pub fn says_close(&self) -> bool {
        self.headers.has_token("connection", "close")
    }
}

/// The final head of an answer to `method`, with the interim ones before it; its body is unread.
pub(crate) fn read_head<R: Read>(reader: &mut Reader<R>, method: &str) -> Result<Response, Broken> {
    let mut interim = Vec::new();
    loop {
        let bytes = match reader.head() {
            // After an interim answer the message has begun.
            Err(Broken::Closed) if !interim.is_empty() => return Err(Broken::Cut),
            other => other?,
        };
        let mut flaws = Vec::new();
        let mut response = judge(bytes, method, &mut flaws)?;
        refuse(flaws)?;
        if response.status < 200 && response.status != 101 {
            interim.push(Interim {
                status: response.status,
                headers: response.headers,
            });
            continue;
        }
        response.interim = interim;
        return Ok(response);
    }
}

/// Reads the body of `response` to its end, however it comes.
pub(crate) fn read_body<R: Read>(
    reader: &mut Reader<R>,
    response: &mut Response,
) -> Result<(), Broken> {
    let mut flaws = Vec::new();
    let body = &mut response.body;
    match reader.body(
        response.framing,
        &mut |bytes| body.extend_from_slice(bytes),
        &mut flaws,
    ) {
        Ok(trailers) => {
            response.trailers = trailers;
            response.end = End::Complete;
        }
        Err(Broken::Io(error)) if crate::stream::is_timeout(&error) => {
            return Err(Broken::Io(error));
        }
        Err(Broken::Cut | Broken::Closed | Broken::Io(_)) => response.end = End::Cut,
        Err(malformed @ Broken::Malformed(_)) => return Err(malformed),
    }
    refuse(flaws)
}

fn refuse(flaws: Vec<String>) -> Result<(), Broken> {
    if flaws.is_empty() {
        Ok(())
    } else {
        Err(Broken::Malformed(flaws.join("; ")))
    }
}

fn judge(bytes: Vec<u8>, method: &str, flaws: &mut Vec<String>) -> Result<Response, Broken> {
    let (start, headers) = strict::head_lines(&bytes, flaws)?;
    let mut words = start.splitn(3, ' ');
    let (Some(version), Some(status), Some(reason)) = (words.next(), words.next(), words.next())
    else {
        return Err(Broken::Malformed(format!("a status line: {start:?}")));
    };
    let status = status
        .parse()
        .ok()
        .filter(|code| (100..600).contains(code) && status.len() == 3);
    let (Some(status), true) = (status, version == "HTTP/1.1" || version == "HTTP/1.0") else {
        return Err(Broken::Malformed(format!("a status line: {start:?}")));
    };
    let announced = strict::announced_framing(&headers, flaws)?;
    if announced.is_some() && (status < 200 || status == 204) {
        flaws.push(format!("a {status} with framing fields"));
    }
    if announced == Some(Framing::Chunked) && version == "HTTP/1.0" {
        flaws.push("chunks in HTTP/1.0".into());
    }
    for name in ["connection", "date", "server", "content-type"] {
        if headers.all(name).len() > 1 {
            flaws.push(format!("`{name}` more than once"));
        }
    }
    let is_tunnel = status == 101 || (method == "CONNECT" && (200..300).contains(&status));
    let bodiless = status < 200 || status == 204 || status == 304 || method == "HEAD" || is_tunnel;
    let framing = if bodiless {
        Framing::None
    } else {
        announced.unwrap_or(Framing::UntilClose)
    };
    Ok(Response {
        version: version.to_owned(),
        status,
        reason: reason.to_owned(),
        headers,
        framing,
        body: Vec::new(),
        trailers: Headers::default(),
        end: End::Complete,
        interim: Vec::new(),
        head: bytes,
    })
}
