//! The narrow waist: how a body is taken from one side and given to the other.
//!
//! A [`Source`] shows bytes where they lie and is told how many were taken; a [`Sink`] takes
//! what it has room for. So bytes are copied at most once, nothing is read unless the other
//! side has room, and no part is allocated. Protocols implement the two traits; the relay is
//! written once over them, and its tests implement them by script.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use croupier_http::Fields;
use tokio::net::TcpStream;

use crate::{buffers::Buffer, error::NetError};

/// Where a body comes from.
pub trait Source {
    /// Waits for body bytes and gives their number; 0 is the end of the body. Asking again
    /// before [`Source::consume`] gives at least the same bytes.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>>;

    /// The bytes that the last `poll_data` announced.
    fn data(&self) -> &[u8];

    /// The first `count` bytes of `data` were taken.
    fn consume(&mut self, count: usize);

    /// Gives up the memory in which all that `data` shows lies, instead of a copy of it: that counts
    /// as consumed. None when there is none to be given, or other bytes lie there too.
    fn give_up(&mut self) -> Option<Given> {
        None
    }

    /// Shares the first `count` bytes that `data` shows instead of a copy: that counts as consumed.
    /// None when they lie in memory that is not shared.
    fn share(&mut self, _count: usize) -> Option<Bytes> {
        None
    }

    /// The trailer section, once the end was reached; None when there was none.
    fn trailers(&mut self) -> Option<Fields>;

    /// The socket, when the rest of the body may be moved without looking at it, and how much
    /// that is at most.
    fn raw(&mut self) -> Option<(&TcpStream, u64)>;

    /// `count` bytes were moved from the raw socket; 0 means that it ended.
    ///
    /// # Errors
    /// When it ended in the middle of the body.
    fn moved(&mut self, count: usize) -> Result<(), NetError>;
}

/// Memory that a source gave up, with nothing in it but body bytes.
#[derive(Debug)]
pub enum Given {
    /// A worker's block, to be given back to it.
    Block(Buffer),
    /// Bytes of a library's.
    Bytes(Bytes),
}

/// Where a body goes.
pub trait Sink {
    /// Takes the first bytes of `data` and gives their number, at least 1. Bytes not taken
    /// must be offered again. They may stay in a buffer until [`Sink::poll_flush`].
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>>;

    /// Takes the first bytes that `source` shows, by copy or by what it gives up, and gives their
    /// number, at least 1. `source` has them announced.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
    ) -> Poll<Result<usize, NetError>> {
        let count = ready!(self.poll_send(cx, source.data()))?;
        source.consume(count);
        Poll::Ready(Ok(count))
    }

    /// Ends the body, with a trailer section if the framing has one, and flushes.
    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>>;

    /// Sends what is still in a buffer.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>>;

    /// May [`Sink::raw`] give a socket for this body, once everything before it has gone? Where
    /// not, nobody flushes for it.
    fn can_be_raw(&self) -> bool {
        true
    }

    /// The socket, when body bytes may be moved to it as they are and nothing waits before them.
    fn raw(&mut self) -> Option<&TcpStream>;

    /// `count` bytes were moved to the raw socket.
    fn moved(&mut self, count: usize);
}

/// Calls `emit` with each name and value of all lines, those of the text first.
pub(crate) fn all_lines(fields: &impl Outgoing, emit: &mut dyn FnMut(&[u8], &[u8])) {
    for line in fields.text().split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        if let Some(colon) = line.iter().position(|&byte| byte == b':') {
            emit(&line[..colon], line[colon + 1..].trim_ascii());
        }
    }
    fields.lines(emit);
}

/// Field lines on their way out: a head seen through edits. Visits each line once, in order.
pub trait Outgoing {
    /// Lines that lie in one text already, each `name: value CRLF`. They go first, and `lines` does
    /// not visit them.
    fn text(&self) -> &[u8] {
        &[]
    }

    /// Calls `emit` with each name and value.
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8]));
}
