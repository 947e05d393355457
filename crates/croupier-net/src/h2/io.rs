//! Our transport as the library reads and writes it: bytes read ahead come first, traffic is
//! counted, a write that does not go on is noticed.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::meter::Meter;
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

/// What is known of a connection from outside the library, which owns its stream.
#[derive(Debug)]
pub(crate) struct Watch {
    meter: RefCell<Meter>,
    /// Since when the peer takes no bytes.
    stuck: Cell<Option<Tick>>,
    /// Something arrived since somebody asked.
    has_heard: Cell<bool>,
}

impl Watch {
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
}

/// Bytes read in one turn of the task; then the exchanges get theirs. A frame that costs its sender
/// ten bytes costs us hundreds, and whoever must judge it has to see it before there are thousands.
const TURN_BYTES: usize = 64 << 10;

/// A transport in the library's hands.
#[derive(Debug)]
pub(crate) struct H2Io {
    io: Transport,
    ahead: Vec<u8>,
    taken: usize,
    local: Rc<Local>,
    watch: Rc<Watch>,
    with: With,
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
    ) -> (Self, Rc<Watch>) {
        let meter = match with {
            With::Client => Meter::of_client(control_frames_max),
            With::Origin => Meter::of_server(control_frames_max),
        };
        let watch = Rc::new(Watch {
            meter: RefCell::new(meter),
            stuck: Cell::new(None),
            has_heard: Cell::new(false),
        });
        let this = Self {
            io,
            ahead,
            taken: 0,
            local: Rc::clone(local),
            watch: Rc::clone(&watch),
            with,
            left: TURN_BYTES,
        };
        (this, watch)
    }

    fn traffic(&self) -> &Traffic {
        match self.with {
            With::Client => &self.local.client_traffic,
            With::Origin => &self.local.origin_traffic,
        }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Pending => {
                if self.watch.stuck.get().is_none() {
                    self.watch.stuck.set(Some(self.local.timers.now()));
                }
            }
            Poll::Ready(Ok(count)) => {
                self.watch.stuck.set(None);
                self.traffic().sent(*count);
            }
            Poll::Ready(Err(_)) => {}
        }
        result
    }

    fn see(&self, bytes: &[u8]) {
        let now = self.local.timers.now();
        self.watch.meter.borrow_mut().see(bytes, now);
    }
}

impl AsyncRead for H2Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.taken < this.ahead.len() {
            let rest = &this.ahead[this.taken..];
            let count = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..count]);
            this.see(&rest[..count]);
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
        let polled = this.io.poll_read_buf(cx, buffer);
        if polled.is_pending() {
            this.left = TURN_BYTES;
        }
        ready!(polled)?;
        let bytes = &buffer.filled()[before..];
        this.see(bytes);
        this.left = this.left.saturating_sub(bytes.len());
        this.watch.has_heard.set(true);
        this.traffic().received(bytes.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for H2Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = this.io.poll_write(cx, bytes);
        this.wrote(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = this.io.poll_write_all_of(cx, pieces);
        this.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = this.io.poll_flush(cx);
        if result.is_pending() && this.watch.stuck.get().is_none() {
            this.watch.stuck.set(Some(this.local.timers.now()));
        }
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The peer may be gone already.
        let _ = ready!(self.get_mut().io.poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}
