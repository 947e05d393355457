//! The raw byte stream left after `101 Switching Protocols`: another type with another loop,
//! so the end of a request body can never mean the end of a tunnel.

use std::{
    io,
    task::{Context, Poll, ready},
};

use crate::{buffers::Buffer, buffers::Size, wire::Wire};

/// One direction of a tunnel.
#[derive(Debug, Default)]
struct Way {
    held: Buffer,
    ended: bool,
    shut: bool,
}

/// An end of a tunnel.
pub trait End {
    /// Takes what was read ahead of the switch; it goes first.
    fn ahead(&mut self) -> Buffer;

    /// Reads into `held`, which is empty. `Ok(0)` is the end. Holds no block while it waits.
    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>>;

    /// Writes once.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Ready when the kernel has taken all that was written.
    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be sent; [`Self::poll_through`] tells when it was.
    fn shut_down(&mut self);

    /// Gives an empty buffer's block back.
    fn release(&mut self, held: &mut Buffer);
}

impl End for Wire {
    fn ahead(&mut self) -> Buffer {
        std::mem::take(&mut self.input)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>> {
        ready!(self.io.poll_readable(cx))?;
        let room = held.room(Size::Page, &self.local.buffers);
        let result = self.io.poll_read(cx, room);
        if result.is_pending() {
            held.release(&self.local.buffers);
        }
        let count = ready!(result)?;
        held.filled(count);
        self.traffic().received(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(self.io.poll_write(cx, bytes))?;
        self.traffic().sent(count);
        Poll::Ready(Ok(count))
    }

    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_flush(cx)
    }

    fn shut_down(&mut self) {
        // The peer may be gone already; its own read will tell.
        let _ = self.io.shutdown_write();
    }

    fn release(&mut self, held: &mut Buffer) {
        held.release(&self.local.buffers);
    }
}

/// Two connections joined byte by byte. Each side may stop sending before the other.
#[derive(Debug)]
pub struct Tunnel<'a, C, O> {
    client: &'a mut C,
    origin: &'a mut O,
    up: Way,
    down: Way,
    /// Bytes moved from the client and from the origin.
    pub moved: (u64, u64),
}

impl<'a, C: End, O: End> Tunnel<'a, C, O> {
    /// Joins two connections.
    pub fn new(client: &'a mut C, origin: &'a mut O) -> Self {
        let up = Way {
            held: client.ahead(),
            ..Way::default()
        };
        let down = Way {
            held: origin.ahead(),
            ..Way::default()
        };
        Self {
            client,
            origin,
            up,
            down,
            moved: (0, 0),
        }
    }

    /// Moves bytes both ways until both have ended. Ready with an error when one side failed.
    pub fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let up = poll_way(
            cx,
            &mut self.up,
            self.client,
            self.origin,
            &mut self.moved.0,
        )?;
        let down = poll_way(
            cx,
            &mut self.down,
            self.origin,
            self.client,
            &mut self.moved.1,
        )?;
        if up.is_ready() && down.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

/// Reads in one turn of a task.
const ROUNDS_MAX: usize = 16;

fn poll_way(
    cx: &mut Context<'_>,
    way: &mut Way,
    from: &mut impl End,
    to: &mut impl End,
    moved: &mut u64,
) -> Poll<io::Result<()>> {
    for _ in 0..ROUNDS_MAX {
        while !way.held.is_empty() {
            let count = ready!(to.poll_write(cx, way.held.bytes()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            way.held.consume(count);
            *moved += count as u64;
        }
        from.release(&mut way.held);
        if way.ended {
            if !way.shut {
                way.shut = true;
                to.shut_down();
            }
            return to.poll_through(cx);
        }
        // Nothing else would wake us for what the other end has still to send.
        ready!(to.poll_through(cx))?;
        way.ended = ready!(from.poll_read(cx, &mut way.held))? == 0;
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
