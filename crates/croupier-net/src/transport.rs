//! The byte stream under a connection: TCP, a unix socket, or TLS over one of them, one enum.

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

use crate::tls::stream::TlsStream;

/// A connected stream.
#[derive(Debug)]
pub enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// TLS over one of the others; made by [`crate::tls::accept`] and [`crate::tls::connect`].
    Tls(Box<TlsStream>),
}

/// A connected stream that no runtime watches, so that it may change its thread.
#[derive(Debug)]
pub enum Unwatched {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

macro_rules! each {
    ($self:expr, $stream:ident => $plain:expr, $tls:ident => $over:expr) => {
        match $self {
            Transport::Tcp($stream) => $plain,
            Transport::Unix($stream) => $plain,
            Transport::Tls($tls) => $over,
        }
    };
}

impl Transport {
    /// Reads once. `Ok(0)` is the end of the stream; see [`Self::is_cut`]. A read that does not
    /// fill `room` tells the runtime that the socket is empty, so the next one waits without a
    /// system call.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => {
            let mut buffer = ReadBuf::new(room);
            ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
            Poll::Ready(Ok(buffer.filled().len()))
        }, tls => tls.poll_read(cx, room))
    }

    /// Reads once into a buffer of the runtime's.
    pub fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buffer), tls => {
            let count = ready!(tls.poll_read(cx, buffer.initialize_unfilled()))?;
            buffer.advance(count);
            Poll::Ready(Ok(()))
        })
    }

    /// Writes once. What was taken may wait for [`Self::poll_flush`].
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, bytes),
            tls => tls.poll_write(cx, &[IoSlice::new(bytes)]))
    }

    /// Writes several pieces in one system call. What was taken may wait for
    /// [`Self::poll_flush`].
    pub fn poll_write_all_of(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(cx, pieces),
            tls => tls.poll_write(cx, pieces))
    }

    /// Ready when the kernel has taken all that was written.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, _stream => Poll::Ready(Ok(())), tls => tls.poll_flush(cx))
    }

    /// Has the kernel taken all that was written?
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        each!(self, _stream => true, tls => tls.is_flushed())
    }

    /// Is there something to read, as far as the runtime knows? Costs no system call.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read_ready(cx), tls => tls.poll_readable(cx))
    }

    /// Reads now or not at all.
    pub fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.try_read(room), tls => tls.try_read(room))
    }

    /// Writes to the socket now or not at all. Not for TLS, which has data under way.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.try_write(bytes),
            _tls => Err(io::ErrorKind::Unsupported.into()))
    }

    /// Has the socket room, as far as the runtime knows?
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_write_ready(cx), tls => tls.below().poll_writable(cx))
    }

    /// Asks the kernel whether the peer has neither sent anything nor left.
    pub fn peek_is_empty(&self) -> bool {
        each!(self, stream => peek_is_empty(stream), tls => tls.peek_is_empty())
    }

    /// Did the stream end without the peer having said so? Only TLS can tell: somebody between
    /// may have cut it, and what ends with the connection may not be whole (RFC 8446 section
    /// 6.1, RFC 9112 section 9.8).
    #[must_use]
    pub fn is_cut(&self) -> bool {
        each!(self, _stream => false, tls => tls.is_cut())
    }

    /// May bytes be moved without a look at them, and the stream to another thread?
    #[must_use]
    pub fn is_plain(&self) -> bool {
        each!(self, _stream => true, _tls => false)
    }

    /// Takes the stream from its runtime, with one system call; from any thread.
    ///
    /// # Errors
    /// What the operating system says, or `Unsupported` for TLS; the stream is closed then.
    pub fn unwatch(self) -> io::Result<Unwatched> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Unwatched::Tcp),
            Self::Unix(stream) => stream.into_std().map(Unwatched::Unix),
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Says that nothing more will be sent. Over TLS what the socket does not take now goes
    /// with [`Self::poll_flush`].
    ///
    /// # Errors
    /// What the operating system says: the peer may be gone.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(tls) => tls.shutdown_write(),
            plain => plain.shutdown_socket(),
        }
    }

    /// The same; ready when the kernel has taken all that was written before.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write()?;
        self.poll_flush(cx)
    }

    /// Says that nothing more will be sent where that is not said by the close that follows:
    /// over TLS. Best effort, one system call.
    pub fn say_farewell(&mut self) {
        if let Self::Tls(tls) = self {
            tls.notify();
        }
    }

    pub(crate) fn shutdown_socket(&self) -> io::Result<()> {
        let how = std::net::Shutdown::Write;
        each!(self, stream => socket2::SockRef::from(stream).shutdown(how),
            tls => tls.below().shutdown_socket())
    }

    /// The TCP stream, when bytes may be moved without looking at them.
    #[must_use]
    pub fn plain_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) | Self::Tls(_) => None,
        }
    }

    /// Makes the coming close a reset, so that a peer can not take a cut message for whole.
    pub fn reset_on_close(&self) {
        match self {
            Self::Tcp(stream) => {
                // Best effort: without it the peer still sees a short body.
                let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
            }
            Self::Unix(_) => {}
            Self::Tls(tls) => tls.below().reset_on_close(),
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
