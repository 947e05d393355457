//! One HTTP/1 connection as bytes: what has been read, what waits to be written, and how the
//! bodies of both directions are framed. `client` and `origin` add the heads of their side.

mod input;

mod output;

mod socket;

use std::{
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use croupier_http::{
    BodyLen, Fields,
    h1::{
        chunked::ChunkLimits,
        head,
        scan::{HeadError, HeadLimits, HeadScan},
    },
};

use crate::{
    buffers::{Buffer, Size},
    error::NetError,
    local::{Local, Traffic},
    transport::Transport,
};
use input::Reader;
use output::Writer;
use socket::Socket;

/// Which end of an exchange is on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Origin,
}

impl End {
    /// A client begins with a request head, an origin with a head and a small body; but where
    /// the last body was moved inside the kernel, the next may be too, and what is read first
    /// is what has to be copied.
    fn first_read(self, last_body: Moved) -> Size {
        match (self, last_body) {
            (Self::Client, _) | (Self::Origin, Moved::ByKernel) => Size::Small,
            (Self::Origin, Moved::ByCopy) => Size::Page,
        }
    }
}

/// How the last body received went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    ByCopy,
    ByKernel,
}

/// A connection that speaks HTTP/1.
#[derive(Debug)]
pub struct Wire {
    pub(crate) io: Socket,
    pub(crate) local: Rc<Local>,
    pub(crate) input: Buffer,
    reader: Reader,
    /// Bytes at the front of the input that are body data.
    ready: usize,
    output: Vec<u8>,
    /// How much of the output has been sent.
    sent: usize,
    writer: Writer,
    chunk_limits: ChunkLimits,
    /// The peer has said that it sends no more.
    ended: bool,
    end: End,
    moved: Moved,
    last_body: Moved,
    /// Body bytes received and sent since the last reset, framing left out.
    pub(crate) body_received: u64,
    pub(crate) body_sent: u64,
}

impl Wire {
    pub(crate) fn new(
        io: Transport,
        local: Rc<Local>,
        chunk_limits: ChunkLimits,
        end: End,
    ) -> Self {
        Self {
            io: Socket::new(io),
            local,
            input: Buffer::default(),
            reader: Reader::Done,
            ready: 0,
            output: Vec::new(),
            sent: 0,
            writer: Writer::Nothing,
            chunk_limits,
            ended: false,
            end,
            moved: Moved::ByCopy,
            last_body: Moved::ByCopy,
            body_received: 0,
            body_sent: 0,
        }
    }

    /// Reads more into the input. 0 is the end of the stream. No block is held while waiting.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        // Three of five calls for a small request only wait: they need not lend a block.
        if !self.input.has_block() && self.io.poll_readable(cx)?.is_pending() {
            return Poll::Pending;
        }
        let next = self.next_block();
        let room = self.input.room(next, &self.local.buffers);
        if room.is_empty() {
            return Poll::Ready(Err(NetError::Head(HeadError::HeadTooLarge)));
        }
        match self.io.poll_read(cx, room) {
            Poll::Ready(Ok(count)) => {
                self.input.filled(count);
                self.ended = count == 0;
                self.traffic().received(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(NetError::Io(error))),
            Poll::Pending => {
                self.input.release(&self.local.buffers);
                Poll::Pending
            }
        }
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        match self.end {
            End::Client => &self.local.client_traffic,
            End::Origin => &self.local.origin_traffic,
        }
    }

    /// Waits until a whole head lies at the front of the input, and gives its length.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        scan: &mut HeadScan,
        limits: &HeadLimits,
    ) -> Poll<Result<usize, NetError>> {
        loop {
            if !self.input.is_empty()
                && let Some(length) = scan
                    .find(self.input.bytes(), limits)
                    .map_err(NetError::Head)?
            {
                return Poll::Ready(Ok(length));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                let cut = !self.input.is_empty();
                return Poll::Ready(Err(if cut {
                    NetError::Truncated
                } else {
                    NetError::Closed
                }));
            }
        }
    }

    /// Watches a peer that should be silent or may send ahead: reads at most one small block.
    /// Ready when the connection has failed. A peer that only stopped sending is fine.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<NetError> {
        while !self.ended && self.input.len() < AHEAD_MAX {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }

    /// Has anything arrived, or has the peer left, while nothing was expected? Costs no
    /// system call unless the runtime has heard of something.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if !self.input.is_empty() || self.ended {
            return false;
        }
        match self.io.poll_readable(&mut cx) {
            Poll::Pending => true,
            Poll::Ready(Err(_)) => false,
            Poll::Ready(Ok(())) => {
                let mut byte = [0];
                matches!(self.io.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
        }
    }

    /// Makes the coming close a reset, so that a peer can not take a cut message for whole.
    pub fn reset_on_close(&self) {
        self.io.reset_on_close();
    }

    /// Says how the next body to be received ends.
    pub(crate) fn expect_body(&mut self, body: BodyLen) {
        self.reader = Reader::new(body);
        self.ready = 0;
        self.body_received = 0;
        self.moved = Moved::ByCopy;
    }

    /// Says how the next body to be sent is framed. The head must lie in the output already.
    pub(crate) fn begin_body(&mut self, body: BodyLen) {
        self.writer = Writer::new(body);
        self.body_sent = 0;
    }

    /// The write buffer: a head is encoded straight into it.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = self.local.buffers.lend_output();
        }
        &mut self.output
    }

    /// Has the body being received been read to its end?
    #[must_use]
    pub fn has_received_all(&self) -> bool {
        self.reader.is_done() && self.ready == 0
    }

    /// Has the body being sent been ended and handed to the kernel?
    #[must_use]
    pub fn has_sent_all(&self) -> bool {
        matches!(self.writer, Writer::Nothing)
            && self.sent == self.output.len()
            && self.io.is_flushed()
    }

    /// Will the body being sent end with the connection?
    pub(crate) fn is_close_delimited(&self) -> bool {
        matches!(self.writer, Writer::UntilClose)
    }

    /// Bytes of the received body so far, framing left out.
    #[must_use]
    pub fn body_received(&self) -> u64 {
        self.body_received
    }

    /// Bytes of the sent body so far, framing left out.
    #[must_use]
    pub fn body_sent(&self) -> u64 {
        self.body_sent
    }

    /// How much of the body is certain to come still; None when only its end will tell.
    #[must_use]
    pub fn body_left(&self) -> Option<u64> {
        self.reader.left()
    }

    /// Looks at the body bytes that have arrived already, without taking them.
    ///
    /// # Errors
    /// When they break the chunked grammar: such a request ends before an origin hears of it.
    pub fn check_arrived(&self) -> Result<(), NetError> {
        self.reader.check(self.input.bytes(), &self.chunk_limits)
    }

    /// The peer has said that it sends no more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Looks, with a system call, whether an idle connection is still as we left it: for a
    /// request that could not be repeated if it were not.
    #[must_use]
    pub fn is_surely_quiet(&self) -> bool {
        self.is_quiet() && self.io.peek_is_empty()
    }

    /// Gives back whatever is not needed while nothing happens.
    pub(crate) fn rest(&mut self) {
        self.last_body = self.moved;
        self.input.release(&self.local.buffers);
        self.release_output();
    }

    /// The stream of a wire at rest, and how the last body went on; None when bytes wait in it.
    pub(crate) fn into_stream(mut self) -> Option<(Transport, Moved)> {
        let at_rest = self.input.is_empty() && self.output.is_empty() && !self.ended;
        let stream = if at_rest { self.io.take() } else { None };
        stream.map(|stream| (stream, self.last_body))
    }

    /// Takes the stream out, with what was read of it and nobody has taken. Until another is put in
    /// its place, the wire is good for nothing but to be dropped.
    pub(crate) fn take_stream(&mut self) -> Option<(Transport, Vec<u8>)> {
        let stream = self.io.take()?;
        let ahead = self.input.bytes().to_vec();
        self.input.consume(ahead.len());
        self.rest();
        Some((stream, ahead))
    }

    /// Goes on over this stream.
    pub(crate) fn put_stream(&mut self, stream: Transport) {
        self.io = Socket::new(stream);
        self.ended = false;
    }

    /// Limits of the bodies received.
    pub(crate) fn chunk_limits(&self) -> ChunkLimits {
        self.chunk_limits
    }

    /// The bodies before were moved so, over the same stream.
    pub(crate) fn continue_from(&mut self, last_body: Moved) {
        self.last_body = last_body;
    }

    fn release_output(&mut self) {
        if self.sent == self.output.len() && self.output.capacity() > 0 {
            self.local
                .buffers
                .take_back_output(std::mem::take(&mut self.output));
            self.sent = 0;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.input.consume(self.input.len());
        self.input.release(&self.local.buffers);
        let output = std::mem::take(&mut self.output);
        self.local.buffers.take_back_output(output);
    }
}

/// Bytes a peer may send ahead while we are busy with its present message.
const AHEAD_MAX: usize = 16 << 10;

/// Parses the trailer section of a body that was read to its end.
fn parse_trailers(bytes: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    head::trailers(bytes, &mut fields).ok()?;
    (!fields.is_empty()).then_some(fields)
}
