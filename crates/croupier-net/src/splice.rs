//! Moving bytes from socket to socket inside the kernel (`splice(2)` through a pipe).
//!
//! Used for the rest of a large body when both sides are plain TCP and nobody needs to see the
//! bytes. Pipes are kept per worker and lent for as long as bytes lie in them.

use std::{
    cell::RefCell,
    io,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{io::Interest, net::TcpStream};

use crate::{
    error::NetError,
    side::{Sink, Source},
};

/// Bytes asked of a pipe. The kernel may grant less to an unprivileged user.
const PIPE_BYTES: usize = 1 << 20;
/// Pipes a worker keeps for later use.
const PIPES_KEPT: usize = 16;
/// Below this many bytes a copy is cheaper than the system calls of a splice.
pub const WORTH_BYTES: u64 = 32 << 10;

/// A worker's spare pipes.
#[derive(Debug, Default)]
pub struct Pipes(RefCell<Vec<Pipe>>);

/// A pipe, and how much lies in it.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    held: usize,
}

impl Pipes {
    /// An empty pipe.
    ///
    /// # Errors
    /// When the process has no descriptors left; the caller copies instead.
    pub fn lend(&self) -> io::Result<Pipe> {
        if let Some(pipe) = self.0.borrow_mut().pop() {
            return Ok(pipe);
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Best effort: the default of 64 KiB works too.
        let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
        Ok(Pipe {
            reader,
            writer,
            held: 0,
        })
    }

    /// Gives a pipe back. One that still holds bytes of somebody's body is closed.
    pub fn take_back(&self, pipe: Pipe) {
        let mut spare = self.0.borrow_mut();
        if pipe.held == 0 && spare.len() < PIPES_KEPT {
            spare.push(pipe);
        }
    }
}

impl Pipe {
    /// No bytes in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Moves bytes until the body is through, or one side has to be waited for. Gives whether
    /// the source has no more; counts in `moved` what reached the sink.
    ///
    /// # Errors
    /// Of either side, told apart by [`Side`].
    pub fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
        moved: &mut u64,
    ) -> Poll<Result<(), Failure>> {
        let mut rounds = 0;
        loop {
            if self.held > 0 {
                let count = {
                    let Some(socket) = sink.raw() else {
                        return Poll::Ready(Ok(()));
                    };
                    ready!(poll_out(cx, socket, self)).map_err(Failure::Sink)?
                };
                self.held -= count;
                sink.moved(count);
                *moved += count as u64;
                continue;
            }
            let count = {
                let Some((socket, left)) = source.raw() else {
                    return Poll::Ready(Ok(()));
                };
                // A fast pair must not keep the worker for itself.
                rounds += 1;
                if rounds > ROUNDS_MAX {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                ready!(poll_in(cx, socket, self, left)).map_err(Failure::Source)?
            };
            source.moved(count).map_err(Failure::Source)?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            self.held = count;
        }
    }
}

/// Pipe fills in one turn of a task.
const ROUNDS_MAX: usize = 8;

/// Which side failed.
#[derive(Debug)]
pub enum Failure {
    Source(NetError),
    Sink(NetError),
}

fn poll_in(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    pipe: &Pipe,
    left: u64,
) -> Poll<Result<usize, NetError>> {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(PIPE_BYTES);
    loop {
        ready!(socket.poll_read_ready(cx))?;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let result = socket.try_io(Interest::READABLE, || {
            Ok(splice(socket, None, &pipe.writer, None, length, flags)?)
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other.map_err(NetError::Io)),
        }
    }
}

fn poll_out(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    pipe: &Pipe,
) -> Poll<Result<usize, NetError>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let result = socket.try_io(Interest::WRITABLE, || {
            Ok(splice(&pipe.reader, None, socket, None, pipe.held, flags)?)
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other.map_err(NetError::Io)),
        }
    }
}
