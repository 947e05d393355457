//! What came back on one stream.

use crate::message::{Headers, text};
use crate::response::Interim;

/// An answer, or as much of it as has come.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Answer {
    pub stream: u32,
    /// What the request's method was.
    pub method: String,
    /// 0 until the head has come.
    pub status: u16,
    /// Without `:status`.
    pub headers: Headers,
    pub interim: Vec<Interim>,
    pub body: Vec<u8>,
    /// Counts also what [`forget_bodies`](super::Client::forget_bodies) does not keep.
    pub body_length: u64,
    pub trailers: Headers,
    /// `END_STREAM` has come.
    pub is_complete: bool,
    /// `RST_STREAM` has come, perhaps behind a whole answer.
    pub reset: Option<u32>,
    /// We reset it ourselves: what still comes is thrown away.
    pub was_cancelled: bool,
}

impl Answer {
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

    /// Whether nothing more is to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_complete || self.reset.is_some()
    }

    /// Whether the request was turned down: `RST_STREAM`, or an answer with status 4xx.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self.status {
            0 => self.reset.is_some(),
            status => (400..500).contains(&status),
        }
    }
}

/// A `GOAWAY` of the proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goaway {
    /// The last stream that it will look at.
    pub last: u32,
    pub code: u32,
    pub debug: String,
}
