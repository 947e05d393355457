//! The message form at the waist: heads as every protocol gives them.
//!
//! A head owns the bytes it was parsed from, so it outlives the read buffer and can be read
//! by every stage, by a second attempt and by the log. Heads are recycled per worker.

use crate::{fields::Fields, method::Method};

/// The HTTP version a message was received with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}

impl Version {
    /// As written in a start line and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// Who says where a message ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framed {
    /// The fields of its head: HTTP/1.
    #[default]
    ByHead,
    /// The protocol: it ended with its head.
    Whole,
    /// The protocol: its body ends when it says so.
    Open,
    /// The protocol: it asks to become a WebSocket, and what follows is one (RFC 8441).
    WebSocket,
}

/// A span of the head's text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl Span {
    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.at as usize..(self.at + self.len) as usize]
    }
}

/// A request head as received.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The field lines.
    pub fields: Fields,
    /// The method; for `Other` see [`RequestHead::method_bytes`].
    pub method: Method,
    /// The version of the start line.
    pub version: Version,
    /// How the message was framed, where the protocol and not the head says so.
    pub framed: Framed,
    pub(crate) method_span: Span,
    pub(crate) target_span: Span,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            fields: Fields::new(),
            method: Method::Get,
            version: Version::Http11,
            framed: Framed::ByHead,
            method_span: Span::default(),
            target_span: Span::default(),
        }
    }
}

impl RequestHead {
    /// The method's bytes as received.
    #[must_use]
    pub fn method_bytes(&self) -> &[u8] {
        self.method_span.of(self.fields.text())
    }

    /// The request target's bytes as received.
    #[must_use]
    pub fn target_bytes(&self) -> &[u8] {
        self.target_span.of(self.fields.text())
    }

    /// Begins a head that comes in parts, its fields one by one: HTTP/2 and later.
    pub fn begin(&mut self, version: Version, framed: Framed, method: &[u8], target: &[u8]) {
        self.clear();
        self.version = version;
        self.framed = framed;
        self.method = Method::from_bytes(method);
        (self.method_span, self.target_span) = self.fields.set_parts(method, target);
    }

    /// Forgets the message, keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.method = Method::Get;
        self.version = Version::Http11;
        self.framed = Framed::ByHead;
        self.method_span = Span::default();
        self.target_span = Span::default();
    }
}

/// A response head as received, or made by us.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The field lines.
    pub fields: Fields,
    /// Three digits, 100 to 999: passed through as sent.
    pub status: u16,
    /// The version of the status line.
    pub version: Version,
    pub(crate) reason_span: Span,
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self {
            fields: Fields::new(),
            status: 200,
            version: Version::Http11,
            reason_span: Span::default(),
        }
    }
}

impl ResponseHead {
    /// A head of our own, without fields.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// The reason phrase as received; empty for heads made by us.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.reason_span.of(self.fields.text())
    }

    /// Is this an interim response (1xx)?
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// Forgets the message, keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.reason_span = Span::default();
        self.status = 200;
        self.version = Version::Http11;
    }
}

/// The standard reason phrase of a status, for answers made by us (RFC 9110 section 15).
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a Teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestHead, Version};
    use crate::method::Method;

    /// A head that could not be read is answered too: not as if it were the one before.
    #[test]
    fn a_recycled_head_remembers_nothing() {
        let mut head = RequestHead {
            method: Method::Head,
            version: Version::Http10,
            ..RequestHead::default()
        };
        head.clear();
        assert_eq!((head.method, head.version), (Method::Get, Version::Http11));
    }
}
