//! A TCP, Unix or TLS stream behind one face, shared between the thread that talks and those that cut.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::SockRef;

use crate::tls::Link;

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Link>),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tls(link) => {
                if how != Shutdown::Read {
                    link.say_farewell();
                }
                link.socket.shutdown(how)
            }
        }
    }

    /// Makes the close that follows a reset: RST at once, unsent bytes thrown away.
    pub(crate) fn reset_on_close(&self) {
        let socket = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(link) => &link.socket,
            Self::Unix(_) => return,
        };
        let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) {
        // A zero timeout is an error to the system; the shortest one says the same.
        let timeout = timeout.map(|timeout| timeout.max(Duration::from_micros(100)));
        let _ = match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            Self::Unix(stream) => stream.set_read_timeout(timeout),
            Self::Tls(link) => link.socket.set_read_timeout(timeout),
        };
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) {
        let _ = match self {
            Self::Tcp(stream) => stream.set_write_timeout(timeout),
            Self::Unix(stream) => stream.set_write_timeout(timeout),
            Self::Tls(link) => link.socket.set_write_timeout(timeout),
        };
    }

    pub(crate) fn set_receive_buffer(&self, bytes: usize) {
        let _ = match self {
            Self::Tcp(stream) => SockRef::from(stream).set_recv_buffer_size(bytes),
            Self::Unix(stream) => SockRef::from(stream).set_recv_buffer_size(bytes),
            Self::Tls(link) => SockRef::from(&link.socket).set_recv_buffer_size(bytes),
        };
    }

    /// Whether the peer has closed, asked without taking bytes. Unix streams cannot be asked.
    pub(crate) fn peer_has_closed(&self, within: Duration) -> bool {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(link) => return link.has_ended(within),
            Self::Unix(_) => {
                std::thread::sleep(within);
                return false;
            }
        };
        self.set_read_timeout(Some(within));
        let answer = stream.peek(&mut [0]);
        self.set_read_timeout(None);
        match answer {
            Ok(0) => true,
            Ok(_) => {
                std::thread::sleep(within);
                false
            }
            Err(error) => !is_timeout(&error),
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => { stream }.read(buffer),
            Stream::Unix(stream) => { stream }.read(buffer),
            Stream::Tls(link) => link.read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => { stream }.write(bytes),
            Stream::Unix(stream) => { stream }.write(bytes),
            Stream::Tls(link) => link.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
