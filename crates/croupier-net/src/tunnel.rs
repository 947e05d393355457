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

/// Two connections joined byte by byte. Each side may stop sending before the other.
#[derive(Debug)]
pub struct Tunnel<'a> {
    client: &'a mut Wire,
    origin: &'a mut Wire,
    up: Way,
    down: Way,
    /// Bytes moved from the client and from the origin.
    pub moved: (u64, u64),
}

impl<'a> Tunnel<'a> {
    /// Joins two connections. What was read ahead of the switch goes first.
    pub fn new(client: &'a mut Wire, origin: &'a mut Wire) -> Self {
        let up = Way {
            held: std::mem::take(&mut client.input),
            ..Way::default()
        };
        let down = Way {
            held: std::mem::take(&mut origin.input),
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
    from: &mut Wire,
    to: &mut Wire,
    moved: &mut u64,
) -> Poll<io::Result<()>> {
    for _ in 0..ROUNDS_MAX {
        while !way.held.is_empty() {
            let count = ready!(to.io.poll_write(cx, way.held.bytes()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            way.held.consume(count);
            *moved += count as u64;
            to.traffic().sent(count);
        }
        way.held.release(&from.local.buffers);
        if way.ended {
            if !way.shut {
                way.shut = true;
                // The peer may be gone already; its own read will tell.
                let _ = to.io.shutdown_write();
            }
            return Poll::Ready(Ok(()));
        }
        ready!(from.io.poll_readable(cx))?;
        let room = way.held.room(Size::Page, &from.local.buffers);
        let result = from.io.poll_read(cx, room);
        if result.is_pending() {
            way.held.release(&from.local.buffers);
        }
        let count = ready!(result)?;
        way.held.filled(count);
        way.ended = count == 0;
        from.traffic().received(count);
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
