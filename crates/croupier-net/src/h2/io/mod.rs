//! Our transport as the library reads and writes it: bytes read ahead come first, traffic is
//! counted, what one turn sends is collected, a write that does not go on is noticed.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{meter::Meter, outbox::Outbox};
use crate::{
    local::{Local, Traffic},
    timers::Tick,
    transport::Transport,
};

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    Client,
    Origin,
}

/// The connection below the library, as whoever drives the library sees it: the library owns only
/// a handle of it.
#[derive(Debug)]
pub(crate) struct Below {
    io: RefCell<Transport>,
    outbox: RefCell<Outbox>,
    /// A write failed so; the library hears of it when it writes next.
    failed: Cell<Option<io::ErrorKind>>,
    local: Rc<Local>,
    with: With,
    meter: RefCell<Meter>,
    /// Since when the peer takes no bytes.
    stuck: Cell<Option<Tick>>,
    /// Something arrived since somebody asked.
    has_heard: Cell<bool>,
}

impl Below {
    /// Were there too many frames that carry nothing?
    pub(crate) fn is_flooded(&self) -> bool {
        self.meter.borrow().is_exceeded()
    }

    /// Did the peer begin with another frame than SETTINGS?
    pub(crate) fn began_wrong(&self) -> bool {
        self.meter.borrow().began_wrong()
    }

    /// Since when bytes wait for the peer to take them; None when none do.
    pub(crate) fn stuck(&self) -> Option<Tick> {
        self.stuck.get()
    }

    /// Has anything arrived since this was asked last?
    pub(crate) fn has_heard(&self) -> bool {
        self.has_heard.replace(false)
    }

    /// Sends what the library has written: the end of every turn, since the library's own flushes
    /// send nothing. A failure is the library's to tell: it is woken for that.
    pub(crate) fn send(&self, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(_)) = self.poll_send(cx) {
            cx.waker().wake_by_ref();
        }
    }

    /// Ready when the transport has taken all that the library has written.
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(kind) = self.failed.get() {
            return Poll::Ready(Err(kind.into()));
        }
        let polled = self.poll_through(cx);
        match &polled {
            Poll::Ready(Ok(())) => self.stuck.set(None),
            Poll::Ready(Err(error)) => self.failed.set(Some(error.kind())),
            Poll::Pending => {
                if self.stuck.get().is_none() {
                    self.stuck.set(Some(self.local.timers.now()));
                }
            }
        }
        polled
    }

    fn poll_through(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut io = self.io.borrow_mut();
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.is_empty() {
            let polled = outbox.poll_write(&self.local.buffers, |pieces| {
                io.poll_write_all_of(cx, pieces)
            });
            let count = ready!(polled)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.stuck.set(None);
            self.traffic().sent(count);
        }
        io.poll_flush(cx)
    }

    /// Collects what the library writes; pending while too much waits already.
    fn poll_collect(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let shown = self.local.shown.take();
        if self.outbox.borrow().is_full() || self.failed.get().is_some() {
            ready!(self.poll_send(cx))?;
        }
        let mut outbox = self.outbox.borrow_mut();
        for bytes in pieces {
            match shown.as_ref().and_then(|shown| shown.part(bytes)) {
                Some(piece) => outbox.push_piece(piece),
                None => outbox.push(bytes, &self.local.buffers),
            }
        }
        Poll::Ready(Ok(pieces.iter().map(|bytes| bytes.len()).sum()))
    }

    fn traffic(&self) -> &Traffic {
        match self.with {
            With::Client => &self.local.client_traffic,
            With::Origin => &self.local.origin_traffic,
        }
    }

    fn see(&self, bytes: &[u8]) {
        let now = self.local.timers.now();
        self.meter.borrow_mut().see(bytes, now);
    }

    #[cfg(test)]
    pub(crate) fn holds_output(&self) -> bool {
        self.outbox.borrow().holds_memory()
    }
}

/// Bytes read in one turn of the task; then the exchanges get theirs. A frame that costs its sender
/// ten bytes costs us hundreds, and whoever must judge it has to see it before there are thousands.
const TURN_BYTES: usize = 64 << 10;

/// A transport in the library's hands.
#[derive(Debug)]
pub(crate) struct H2Io {
    below: Rc<Below>,
    ahead: Vec<u8>,
    taken: usize,
    /// What may still be read in this turn.
    left: usize,
}

impl H2Io {
    /// `ahead` was read from the transport before.
    pub(crate) fn new(
        io: Transport,
        ahead: Vec<u8>,
        local: &Rc<Local>,
        with: With,
        control_frames_max: u32,
    ) -> (Self, Rc<Below>) {
        let meter = match with {
            With::Client => Meter::of_client(control_frames_max),
            With::Origin => Meter::of_server(control_frames_max),
        };
        let below = Rc::new(Below {
            io: RefCell::new(io),
            outbox: RefCell::default(),
            failed: Cell::new(None),
            local: Rc::clone(local),
            with,
            meter: RefCell::new(meter),
            stuck: Cell::new(None),
            has_heard: Cell::new(false),
        });
        let this = Self {
            below: Rc::clone(&below),
            ahead,
            taken: 0,
            left: TURN_BYTES,
        };
        (this, below)
    }
}

impl AsyncRead for H2Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let below = &*this.below;
        if this.taken < this.ahead.len() {
            let rest = &this.ahead[this.taken..];
            let count = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..count]);
            below.see(&rest[..count]);
            this.taken += count;
            if this.taken == this.ahead.len() {
                this.ahead = Vec::new();
                this.taken = 0;
            }
            return Poll::Ready(Ok(()));
        }
        if this.left == 0 {
            this.left = TURN_BYTES;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = below.io.borrow_mut().poll_read_buf(cx, buffer);
        if polled.is_pending() {
            this.left = TURN_BYTES;
        }
        ready!(polled)?;
        let bytes = &buffer.filled()[before..];
        below.see(bytes);
        this.left = this.left.saturating_sub(bytes.len());
        below.has_heard.set(true);
        below.traffic().received(bytes.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.below.poll_collect(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.below.poll_collect(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was collected leaves when the turn ends ([`Below::send`]).
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.below.failed.get() {
            Some(kind) => Poll::Ready(Err(kind.into())),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The peer may be gone already.
        let _ = ready!(self.below.poll_send(cx));
        let _ = ready!(self.below.io.borrow_mut().poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
