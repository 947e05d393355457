//! Answers carried inside the kernel: from socket to pipe to socket.
//!
//! The first bytes after a request are read and written like any others; when they fill their
//! room, more is waiting, and the rest goes through a pipe. No HTTP is looked at: a new answer
//! begins when the client has sent something.
//!
//! Meant as a floor, so the policy is the leanest of those tried; decision 0016 has them. For
//! 1 MiB they differ less than turns of one do, and a proxy may take less than this relay.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Bytes asked of a pipe, as the proxy asks.
const PIPE: usize = 1 << 20;
/// Bytes of the first read.
const FIRST: usize = 16 << 10;

thread_local! {
    static PIPES: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    fn lend() -> io::Result<Self> {
        if let Some(pipe) = PIPES.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let _ = fcntl_setpipe_size(&writer, PIPE);
        Ok(Self { reader, writer })
    }
}

/// The direction of the answers.
pub(super) struct Answers {
    /// Where the first bytes are read, how many were, and how many of them are sent.
    first: Box<[u8]>,
    read: usize,
    sent: usize,
    /// Does what comes go through the pipe?
    rest: bool,
    /// Held while bytes are in it.
    pipe: Option<Pipe>,
    piped: usize,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            first: vec![0; FIRST].into_boxed_slice(),
            read: 0,
            sent: 0,
            rest: false,
            pipe: None,
            piped: 0,
        }
    }

    /// The client has sent something: what comes now is the beginning of an answer.
    pub(super) fn begin(&mut self) {
        self.rest = false;
    }

    /// Ready when the origin has closed.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.read {
                let left = &self.first[self.sent..self.read];
                self.sent += ready!(Pin::new(&mut *to).poll_write(cx, left))?;
            }
            let count = if self.rest || self.piped > 0 {
                ready!(self.poll_spliced(cx, from, to))?
            } else {
                ready!(self.poll_read(cx, from))?
            };
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, from: &mut TcpStream) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(&mut self.first);
        ready!(Pin::new(from).poll_read(cx, &mut room))?;
        (self.read, self.sent) = (room.filled().len(), 0);
        self.rest = self.read == FIRST;
        Poll::Ready(Ok(self.read))
    }

    /// One fill of the pipe, and its way out.
    fn poll_spliced(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => Pipe::lend()?,
        };
        let pipe = self.pipe.insert(pipe);
        let mut count = 0;
        if self.piped == 0 {
            let filled = poll_io(cx, from, Interest::READABLE, || {
                Ok(splice(from, None, &pipe.writer, None, PIPE, flags)?)
            });
            match filled {
                Poll::Ready(filled) => count = filled?,
                Poll::Pending => {
                    PIPES.with_borrow_mut(|pipes| pipes.extend(self.pipe.take()));
                    return Poll::Pending;
                }
            }
            self.piped = count;
        }
        while self.piped > 0 {
            let held = self.piped;
            let moved = ready!(poll_io(cx, to, Interest::WRITABLE, || {
                Ok(splice(&pipe.reader, None, to, None, held, flags)?)
            }))?;
            self.piped -= moved;
            count = count.max(moved);
        }
        PIPES.with_borrow_mut(|pipes| pipes.extend(self.pipe.take()));
        Poll::Ready(Ok(count))
    }
}

fn poll_io(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    interest: Interest,
    mut work: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        if interest.is_readable() {
            ready!(socket.poll_read_ready(cx))?;
        } else {
            ready!(socket.poll_write_ready(cx))?;
        }
        match socket.try_io(interest, &mut work) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other),
        }
    }
}
