//! A transport as the `h2` crate wants it, with its bytes counted. It gives at most so many bytes
//! a turn: frames that cost their sender ten bytes cost us hundreds, and whoever must judge them
//! gets a turn in between.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Watch;
use crate::{local::Local, transport::Transport};

/// Bytes read in one turn of the driver; then the exchanges get theirs.
const TURN_BYTES: usize = 64 << 10;

/// The stream under an HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Io {
    stream: Transport,
    local: Rc<Local>,
    watch: Rc<Watch>,
    /// What may still be read in this turn.
    left: usize,
}

impl Io {
    pub(super) fn new(stream: Transport, local: &Rc<Local>, watch: &Rc<Watch>) -> Self {
        Self {
            stream,
            local: Rc::clone(local),
            watch: Rc::clone(watch),
            left: TURN_BYTES,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.left == 0 {
            this.left = TURN_BYTES;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = {
            let room = buffer.initialize_unfilled_to(buffer.remaining().min(this.left));
            this.stream.poll_read(cx, room)
        };
        if polled.is_pending() {
            this.left = TURN_BYTES;
        }
        let count = ready!(polled)?;
        buffer.advance(count);
        this.left -= count;
        this.local.origin_traffic.received(count);
        this.watch.heard();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream.poll_write(cx, bytes))?;
        self.local.origin_traffic.sent(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream.poll_write_all_of(cx, pieces))?;
        self.local.origin_traffic.sent(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The peer may be gone already; the next read tells.
        let _ = self.stream.shutdown_write();
        Poll::Ready(Ok(()))
    }
}
