//! What an origin does with a request, as data: messages and misdeeds, one after the other.
//!
//! [`Reply::ok`] and friends make a whole answer, the small verbs ([`wait_for`](Reply::wait_for),
//! [`reset`](Reply::reset), [`bytes`](Reply::bytes) ..) make one step, and [`Reply::then`] puts
//! replies one behind the other. Modifiers such as [`header`](Reply::header) change the last
//! message of the reply they are called on.

use std::time::Duration;

use crate::event::Event;
use crate::message::Framing;

/// The steps of one answer.
#[derive(Clone, Default, Debug)]
pub struct Reply {
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Message(Message),
    Bytes(Vec<u8>),
    Wait(Duration),
    WaitFor(Event),
    Fire(Event),
    ReadBody { bytes_each: usize, pause: Duration },
    HalfClose,
    Stall,
    Close,
    Reset,
    Echo,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    pub(crate) version: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<Vec<u8>>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Only the head is written; bytes follow as steps of their own.
    pub(crate) head_only: bool,
    pub(crate) cut_at: Option<usize>,
    pub(crate) pieces: Option<(usize, Duration)>,
}

/// Whole answers.
impl Reply {
    /// `200` with this body and its `Content-Length`.
    #[must_use]
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::empty(200).body(body)
    }

    /// An answer without a body: `Content-Length: 0` where the status allows one.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        let bodiless = status < 200 || status == 204 || status == 304;
        Self::one(Step::Message(Message {
            status,
            reason: None,
            version: "HTTP/1.1",
            headers: Vec::new(),
            framing: if bodiless {
                Framing::None
            } else {
                Framing::Length(0)
            },
            body: Vec::new(),
            trailers: Vec::new(),
            head_only: false,
            cut_at: None,
            pieces: None,
        }))
    }

    /// Only a head, unframed until [`length`](Self::length), [`chunked`](Self::chunked) or
    /// [`close_delimited`](Self::close_delimited) says otherwise; the body follows as steps of
    /// [`bytes`](Self::bytes), [`chunk`](Self::chunk) and [`last_chunk`](Self::last_chunk).
    #[must_use]
    pub fn head(status: u16) -> Self {
        Self::empty(status).change(|message| {
            message.head_only = true;
            message.framing = Framing::None;
        })
    }

    /// `301` to `location`.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::empty(301).header("Location", location)
    }

    /// `101 Switching Protocols` to a websocket; what follows is a tunnel.
    #[must_use]
    pub fn switch_to_websocket() -> Self {
        Self::empty(101)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }
}

/// Modifiers of the last message.
impl Reply {
    /// Another status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.change(|message| message.status = status)
    }

    /// Another reason phrase.
    #[must_use]
    pub fn reason(self, reason: &str) -> Self {
        self.change(|message| message.reason = Some(reason.to_owned()))
    }

    /// One more field, behind the others, written as given.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.change(|message| message.headers.push((name.to_owned(), value.to_owned())))
    }

    /// Speaks HTTP/1.0.
    #[must_use]
    pub fn http10(self) -> Self {
        self.change(|message| message.version = "HTTP/1.0")
    }

    /// This body, framed by its length.
    #[must_use]
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        self.change(|message| {
            message.framing = Framing::Length(body.len() as u64);
            message.body = vec![body];
        })
    }

    /// Announces this length whatever the body has.
    #[must_use]
    pub fn length(self, length: u64) -> Self {
        self.change(|message| message.framing = Framing::Length(length))
    }

    /// This body in these chunks, the last chunk included. On a [`head`](Self::head) the chunks
    /// are left to the steps that follow.
    #[must_use]
    pub fn chunked<B: AsRef<[u8]>>(self, chunks: &[B]) -> Self {
        let chunks = chunks.iter().map(|chunk| chunk.as_ref().to_vec()).collect();
        self.change(|message| {
            message.framing = Framing::Chunked;
            message.body = chunks;
        })
    }

    /// One trailer field, after chunks.
    #[must_use]
    pub fn trailer(self, name: &str, value: &str) -> Self {
        self.change(|message| message.trailers.push((name.to_owned(), value.to_owned())))
    }

    /// No framing: the body ends where the connection closes.
    #[must_use]
    pub fn close_delimited(self) -> Self {
        self.change(|message| message.framing = Framing::UntilClose)
    }

    /// Writes no framing field of its own, and no body unless [`body`](Self::body) gave one.
    #[must_use]
    pub fn unframed(self) -> Self {
        self.change(|message| message.framing = Framing::None)
    }

    /// Sends only the first `bytes` of the message, head included, then closes.
    #[must_use]
    pub fn cut_at(self, bytes: usize) -> Self {
        self.change(|message| message.cut_at = Some(bytes))
            .then(Self::close())
    }

    /// Sends the message in pieces of `bytes_each` with `pause` between them.
    #[must_use]
    pub fn slowly(self, bytes_each: usize, pause: Duration) -> Self {
        self.change(|message| message.pieces = Some((bytes_each.max(1), pause)))
    }

    fn change(mut self, edit: impl FnOnce(&mut Message)) -> Self {
        let last = self.steps.iter_mut().rev().find_map(|step| match step {
            Step::Message(message) => Some(message),
            _ => None,
        });
        match last {
            Some(message) => edit(message),
            None => panic!("this reply has no message to change"),
        }
        self
    }
}

/// Single steps, and putting them together.
impl Reply {
    /// Continues with `next`.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.steps.extend(next.steps);
        self
    }

    /// Waits before anything else.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self::wait(pause).then(self)
    }

    /// Closes at the end.
    #[must_use]
    pub fn and_close(self) -> Self {
        self.then(Self::close())
    }

    /// Resets at the end.
    #[must_use]
    pub fn and_reset(self) -> Self {
        self.then(Self::reset())
    }

    /// These bytes as they are: garbage, half a head, a body piece after a [`head`](Self::head).
    #[must_use]
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self::one(Step::Bytes(bytes.as_ref().to_vec()))
    }

    /// One chunk with its size line.
    #[must_use]
    pub fn chunk(data: impl AsRef<[u8]>) -> Self {
        Self::bytes(chunk_bytes(data.as_ref()))
    }

    /// The chunk that ends a body.
    #[must_use]
    pub fn last_chunk() -> Self {
        Self::bytes("0\r\n\r\n")
    }

    /// An interim answer with these fields: `Reply::interim(103).header(..).then(Reply::ok(..))`.
    #[must_use]
    pub fn interim(status: u16) -> Self {
        Self::empty(status)
    }

    /// Waits; given up when the peer closes.
    #[must_use]
    pub fn wait(pause: Duration) -> Self {
        Self::one(Step::Wait(pause))
    }

    /// Waits for `event`, reading nothing; given up when the peer closes, or after 30 seconds.
    #[must_use]
    pub fn wait_for(event: &Event) -> Self {
        Self::one(Step::WaitFor(event.clone()))
    }

    /// Fires `event` when the steps before are done.
    #[must_use]
    pub fn fire(event: &Event) -> Self {
        Self::one(Step::Fire(event.clone()))
    }

    /// Reads the request's body now: for replies made `at_head`.
    #[must_use]
    pub fn read_body() -> Self {
        Self::one(Step::ReadBody {
            bytes_each: 64 * 1024,
            pause: Duration::ZERO,
        })
    }

    /// Reads the request's body in sips of `bytes_each` with `pause` after each.
    #[must_use]
    pub fn read_body_slowly(bytes_each: usize, pause: Duration) -> Self {
        Self::one(Step::ReadBody {
            bytes_each: bytes_each.max(1),
            pause,
        })
    }

    /// Never answers, but keeps reading until the peer closes.
    #[must_use]
    pub fn stall() -> Self {
        Self::one(Step::Stall)
    }

    /// FIN for the answers' direction; requests are still read.
    #[must_use]
    pub fn half_close() -> Self {
        Self::one(Step::HalfClose)
    }

    /// FIN.
    #[must_use]
    pub fn close() -> Self {
        Self::one(Step::Close)
    }

    /// RST.
    #[must_use]
    pub fn reset() -> Self {
        Self::one(Step::Reset)
    }

    /// Sends every byte back that arrives, until the peer closes: the other end of a tunnel.
    #[must_use]
    pub fn echo() -> Self {
        Self::one(Step::Echo)
    }

    fn one(step: Step) -> Self {
        Self { steps: vec![step] }
    }
}

impl Message {
    /// Head and body as bytes; `without_body` for the answer to a HEAD.
    pub(crate) fn encode(&self, without_body: bool) -> Vec<u8> {
        let reason = self
            .reason
            .as_deref()
            .unwrap_or_else(|| reason(self.status));
        let mut head = format!("{} {} {reason}\r\n", self.version, self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            Framing::Length(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::None | Framing::UntilClose => {}
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if self.head_only || without_body {
            return bytes;
        }
        if self.framing != Framing::Chunked {
            bytes.extend(self.body.iter().flatten());
            return bytes;
        }
        for data in &self.body {
            bytes.extend(chunk_bytes(data));
        }
        bytes.extend(b"0\r\n");
        for (name, value) in &self.trailers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes
    }

    /// Whether nothing can follow this message on its connection.
    pub(crate) fn ends_connection(&self) -> bool {
        let says_close = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
        };
        let until_close = self.framing == Framing::UntilClose || self.version == "HTTP/1.0";
        (until_close && !self.head_only) || self.headers.iter().any(says_close)
    }
}

fn chunk_bytes(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend(data);
    bytes.extend(b"\r\n");
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
