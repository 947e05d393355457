//! The receiving half: a body is read, unframed where it lies, and shown to the relay.

use std::task::{Context, Poll, ready};

use croupier_http::{
    BodyLen, Fields,
    h1::chunked::{ChunkDecoder, ChunkLimits},
};
use tokio::net::TcpStream;

use super::Wire;
use crate::{
    buffers::Size,
    error::NetError,
    side::{Given, Source},
    splice::WORTH_BYTES,
};

/// How the body being received ends.
#[derive(Debug)]
pub(super) enum Reader {
    Done,
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
}

impl Reader {
    pub(super) fn new(body: BodyLen) -> Self {
        match body {
            BodyLen::None | BodyLen::Length(0) => Self::Done,
            BodyLen::Length(length) => Self::Length(length),
            BodyLen::Chunked => Self::Chunked(Box::default()),
            BodyLen::UntilClose => Self::UntilClose,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Chunked(decoder) => decoder.is_done(),
            Self::Length(_) | Self::UntilClose => false,
        }
    }

    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Runs a second decoder over `bytes`.
    pub(super) fn check(&self, bytes: &[u8], limits: &ChunkLimits) -> Result<(), NetError> {
        let Self::Chunked(_) = self else {
            return Ok(());
        };
        let mut decoder = ChunkDecoder::default();
        let mut rest = bytes;
        loop {
            let step = decoder.step(rest, limits).map_err(NetError::Chunk)?;
            rest = &rest[step.skip + step.data..];
            if step.data == 0 {
                return Ok(());
            }
            decoder.took(step.data);
        }
    }
}

impl Wire {
    /// `count` bytes of the body have left the input.
    fn took(&mut self, count: usize) {
        self.ready -= count;
        self.body_received += count as u64;
        match &mut self.reader {
            Reader::Length(left) => {
                *left -= count as u64;
                if *left == 0 {
                    self.reader = Reader::Done;
                }
            }
            Reader::Chunked(decoder) => decoder.took(count),
            Reader::Done | Reader::UntilClose => {}
        }
    }

    /// The size of block for what is read next, when none is held.
    pub(super) fn next_block(&self) -> Size {
        let first = self.end.first_read(self.last_body);
        match self.reader {
            // The head has come, and what came behind it has gone.
            Reader::Length(left) if self.body_received > 0 => usize::try_from(left)
                .ok()
                .and_then(Size::holding)
                .map_or(Size::Large, |size| size.clamp(first, Size::Large)),
            _ => first,
        }
    }
}

impl Source for Wire {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        loop {
            if self.ready > 0 {
                return Poll::Ready(Ok(self.ready));
            }
            let here = self.input.len();
            match &mut self.reader {
                Reader::Done => return Poll::Ready(Ok(0)),
                Reader::Length(left) if here > 0 => {
                    self.ready = usize::try_from(*left).map_or(here, |left| left.min(here));
                    continue;
                }
                Reader::UntilClose if here > 0 => {
                    self.ready = here;
                    continue;
                }
                Reader::Chunked(decoder) if here > 0 => {
                    let step = decoder.step(self.input.bytes(), &self.chunk_limits);
                    let step = step.map_err(NetError::Chunk)?;
                    let done = decoder.is_done();
                    self.input.consume(step.skip);
                    self.ready = step.data;
                    if done {
                        return Poll::Ready(Ok(0));
                    }
                    if step.data > 0 {
                        continue;
                    }
                }
                Reader::Chunked(decoder) if decoder.is_done() => return Poll::Ready(Ok(0)),
                Reader::Length(_) | Reader::UntilClose | Reader::Chunked(_) => {}
            }
            if ready!(self.poll_fill(cx))? == 0 {
                if !matches!(self.reader, Reader::UntilClose) || self.io.is_cut() {
                    return Poll::Ready(Err(NetError::Truncated));
                }
                self.reader = Reader::Done;
            }
        }
    }

    fn data(&self) -> &[u8] {
        &self.input.bytes()[..self.ready]
    }

    fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.ready);
        let brimful = self.input.is_brimful();
        self.input.consume(count);
        if brimful {
            self.input.grow(&self.local.buffers);
        }
        self.took(count);
    }

    fn give_up(&mut self) -> Option<Given> {
        // A block that is nearly empty is copied rather than kept; one that came full is exchanged
        // for a larger one by `consume`, unless what is left says how large the next is to be.
        let knows = matches!(self.reader, Reader::Length(_));
        let pays = self.input.is_worth_giving(self.ready);
        if !pays || !knows && self.input.is_brimful() {
            return None;
        }
        let given = std::mem::take(&mut self.input);
        self.took(given.len());
        Some(Given::Block(given))
    }

    fn trailers(&mut self) -> Option<Fields> {
        let Reader::Chunked(decoder) = &mut self.reader else {
            return None;
        };
        if !decoder.is_done() {
            return None;
        }
        let trailers = decoder.trailer_bytes().and_then(super::parse_trailers);
        self.reader = Reader::Done;
        trailers
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        if !self.input.is_empty() {
            return None;
        }
        let left = match self.reader {
            Reader::Length(left) if left >= WORTH_BYTES || self.body_received >= WORTH_BYTES => {
                left
            }
            // Unknown length: a stream of events stays in the copying path, where the first
            // flush is ours; a long download has shown itself by its size.
            Reader::UntilClose if self.body_received >= 4 * WORTH_BYTES => u64::MAX,
            _ => return None,
        };
        self.input.release(&self.local.buffers);
        self.io.plain_tcp().map(|stream| (stream, left))
    }

    fn moved(&mut self, count: usize) -> Result<(), NetError> {
        self.moved = super::Moved::ByKernel;
        self.body_received += count as u64;
        self.traffic().received(count);
        if count == 0 {
            self.ended = true;
        }
        match &mut self.reader {
            Reader::Length(_) if count == 0 => return Err(NetError::Truncated),
            Reader::Length(left) => {
                *left -= count as u64;
                if *left == 0 {
                    self.reader = Reader::Done;
                }
            }
            reader if count == 0 => *reader = Reader::Done,
            _ => {}
        }
        Ok(())
    }
}
