//! The byte stream under a connection: TCP or a unix socket (and TLS, later), one enum.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// A connected stream.
#[derive(Debug)]
pub enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connected stream that no runtime watches, so that it may change its thread.
#[derive(Debug)]
pub enum Unwatched {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

macro_rules! each {
    ($self:expr, $stream:ident => $body:expr) => {
        match $self {
            Transport::Tcp($stream) => $body,
            Transport::Unix($stream) => $body,
        }
    };
}

impl Transport {
    /// Reads once. `Ok(0)` is the end of the stream. A read that does not fill `room` tells
    /// the runtime that the socket is empty, so the next one waits without a system call.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(room);
        ready!(each!(self, stream => Pin::new(stream).poll_read(cx, &mut buffer)))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads once into a buffer of the runtime's.
    pub fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }

    /// Writes once.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    /// Writes several pieces in one system call.
    pub fn poll_write_all_of(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(cx, pieces))
    }

    /// Is there something to read, as far as the runtime knows? Costs no system call.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read_ready(cx))
    }

    /// Reads now or not at all.
    pub fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.try_read(room))
    }

    /// Asks the kernel whether the peer has neither sent anything nor left.
    pub fn peek_is_empty(&self) -> bool {
        each!(self, stream => peek_is_empty(stream))
    }

    /// Takes the stream from its runtime, with one system call; from any thread.
    ///
    /// # Errors
    /// What the operating system says; the stream is closed then.
    pub fn unwatch(self) -> io::Result<Unwatched> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Unwatched::Tcp),
            Self::Unix(stream) => stream.into_std().map(Unwatched::Unix),
        }
    }

    /// Says that nothing more will be sent.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write),
            Self::Unix(stream) => {
                socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write)
            }
        }
    }

    /// The TCP stream, when bytes may be moved without looking at them.
    #[must_use]
    pub fn plain_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) => None,
        }
    }

    /// Makes the coming close a reset, so that a peer can not take a cut message for whole.
    pub fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            // Best effort: without it the peer still sees a short body.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl Unwatched {
    /// Gives the stream to the runtime of this thread, with one system call.
    ///
    /// # Errors
    /// What the operating system says; the stream is closed then.
    pub fn watch(self) -> io::Result<Transport> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Transport::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream).map(Transport::Unix),
        }
    }

    /// Asks the kernel whether the peer has neither sent anything nor left.
    #[must_use]
    pub fn peek_is_empty(&self) -> bool {
        peek_is_empty(self)
    }
}

impl AsFd for Unwatched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

fn peek_is_empty(socket: impl AsFd) -> bool {
    use rustix::{
        io::Errno,
        net::{RecvFlags, recv},
    };
    let mut byte = [0u8; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    matches!(recv(socket, &mut byte[..], flags), Err(Errno::AGAIN))
}
