//! The sending half: heads and small bodies leave together, large ones are not copied.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use croupier_http::{BodyLen, Fields, h1::encode};
use tokio::net::TcpStream;

use super::Wire;
use crate::{error::NetError, side::Sink};

/// Up to this many bytes are gathered by copying; more goes out as it lies, in one vectored
/// write behind what was gathered.
const GATHER_BYTES: usize = 16 << 10;

/// How the body being sent is framed.
#[derive(Debug)]
pub(super) enum Writer {
    /// No body, or its end was written.
    Nothing,
    Length(u64),
    /// Bytes that the open chunk still wants; 0 between chunks.
    Chunked(usize),
    UntilClose,
}

impl Writer {
    pub(super) fn new(body: BodyLen) -> Self {
        match body {
            BodyLen::None => Self::Nothing,
            BodyLen::Length(length) => Self::Length(length),
            BodyLen::Chunked => Self::Chunked(0),
            BodyLen::UntilClose => Self::UntilClose,
        }
    }
}

impl Wire {
    /// Writes what waits in the output.
    pub(crate) fn poll_flush_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        while self.sent < self.output.len() {
            let count = ready!(self.io.poll_write(cx, &self.output[self.sent..]))?;
            self.wrote(count)?;
        }
        self.release_output();
        ready!(self.io.poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Has the kernel taken any byte of the present output?
    #[must_use]
    pub fn has_sent_any(&self) -> bool {
        self.sent > 0 || self.output.is_empty()
    }

    fn wrote(&mut self, count: usize) -> Result<(), NetError> {
        if count == 0 {
            return Err(NetError::Io(io::ErrorKind::WriteZero.into()));
        }
        self.sent += count;
        self.traffic().sent(count);
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
        Ok(())
    }

    /// Opens a chunk of `length` bytes when the framing needs one; gives how many of them the
    /// framing takes now.
    fn frame(&mut self, length: usize) -> usize {
        match self.writer {
            Writer::Nothing => 0,
            Writer::UntilClose => length,
            Writer::Length(left) => usize::try_from(left).map_or(length, |left| left.min(length)),
            Writer::Chunked(0) => {
                encode::chunk_line(self.output(), length);
                self.writer = Writer::Chunked(length);
                length
            }
            Writer::Chunked(open) => open.min(length),
        }
    }

    /// `count` body bytes have gone out or into the output.
    fn framed(&mut self, count: usize) {
        self.body_sent += count as u64;
        match &mut self.writer {
            Writer::Length(left) => *left -= count as u64,
            Writer::Chunked(open) => {
                *open -= count;
                if *open == 0 {
                    self.output().extend_from_slice(b"\r\n");
                }
            }
            Writer::Nothing | Writer::UntilClose => {}
        }
    }
}

impl Sink for Wire {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        loop {
            let waiting = self.output.len() - self.sent;
            if waiting + data.len() <= GATHER_BYTES {
                let count = self.frame(data.len());
                self.output().extend_from_slice(&data[..count]);
                self.framed(count);
                return Poll::Ready(Ok(count));
            }
            if waiting > GATHER_BYTES {
                ready!(self.poll_flush_output(cx))?;
                continue;
            }
            let count = self.frame(data.len());
            let waiting = self.output.len() - self.sent;
            let written = if waiting == 0 {
                ready!(self.io.poll_write(cx, &data[..count]))?
            } else {
                let pieces = [
                    IoSlice::new(&self.output[self.sent..]),
                    IoSlice::new(&data[..count]),
                ];
                ready!(self.io.poll_write_all_of(cx, &pieces))?
            };
            let of_output = written.min(waiting);
            if of_output > 0 || written == 0 {
                self.wrote(of_output)?;
            }
            let of_data = written - of_output;
            if of_data > 0 {
                self.traffic().sent(of_data);
                self.framed(of_data);
                return Poll::Ready(Ok(of_data));
            }
        }
    }

    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        if let Writer::Chunked(_) = self.writer {
            encode::last_chunk(self.output(), trailers);
        }
        debug_assert!(!matches!(self.writer, Writer::Length(left) if left > 0));
        self.writer = Writer::Nothing;
        self.poll_flush_output(cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.poll_flush_output(cx)
    }

    fn can_be_raw(&self) -> bool {
        let plain = matches!(self.writer, Writer::Length(_) | Writer::UntilClose);
        plain && self.io.plain_tcp().is_some()
    }

    fn raw(&mut self) -> Option<&TcpStream> {
        if self.can_be_raw() && self.sent == self.output.len() {
            self.io.plain_tcp()
        } else {
            None
        }
    }

    fn moved(&mut self, count: usize) {
        self.traffic().sent(count);
        self.framed(count);
    }
}
