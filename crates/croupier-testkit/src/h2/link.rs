//! The connection under the frames: bytes both ways with deadlines, and a log of what was said.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::frame::Frame;
use crate::stream::{Stream, is_timeout};
use crate::wire::readable;

/// What an HTTP/2 connection can go over.
pub trait Duplex: Send {
    /// Reads, or fails with a timeout.
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize>;

    /// Writes what goes, or fails with a timeout.
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<usize>;

    /// FIN of our direction.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Makes the close that follows a reset.
    fn reset_on_close(&mut self);
}

impl Duplex for Stream {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(timeout));
        Read::read(&mut &*self, buffer)
    }

    fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<usize> {
        self.set_write_timeout(Some(timeout));
        Write::write(&mut &*self, bytes)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn reset_on_close(&mut self) {
        Self::reset_on_close(self);
    }
}

/// How the proxy ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// FIN
    Fin,
    /// RST, or any other failure.
    Reset,
}

/// Lines of the log that are kept of each end; floods are long.
const KEPT: usize = 80;

/// How long a write waits before somebody reads instead.
const STALL: Duration = Duration::from_millis(5);

pub(super) struct Link {
    duplex: Box<dyn Duplex>,
    received: Vec<u8>,
    /// Bytes that wait to be written.
    pub(super) waiting: Vec<u8>,
    pub(super) closed: Option<Closed>,
    started: Instant,
    early: Vec<String>,
    late: VecDeque<String>,
    left_out: usize,
    /// Bytes that went out.
    pub(super) sent: u64,
}

impl Link {
    pub(super) fn new(duplex: Box<dyn Duplex>) -> Self {
        Self {
            duplex,
            received: Vec::new(),
            waiting: Vec::new(),
            closed: None,
            started: Instant::now(),
            early: Vec::new(),
            late: VecDeque::new(),
            left_out: 0,
            sent: 0,
        }
    }

    pub(super) fn tcp(stream: TcpStream) -> io::Result<Self> {
        Ok(Self::new(Box::new(Stream::tcp(stream)?)))
    }

    pub(super) fn note(&mut self, line: impl fmt::Display) {
        let at = self.started.elapsed().as_secs_f64() * 1000.0;
        let line = format!("{at:9.1}ms {line}");
        if self.early.len() < KEPT {
            self.early.push(line);
            return;
        }
        self.late.push_back(line);
        if self.late.len() > KEPT {
            self.late.pop_front();
            self.left_out += 1;
        }
    }

    /// Writes a part of what waits; `false` when the peer takes nothing just now.
    pub(super) fn write_some(&mut self) -> io::Result<bool> {
        match self.duplex.write(&self.waiting, STALL) {
            Ok(count) => {
                self.waiting.drain(..count);
                self.sent += count as u64;
                Ok(count > 0)
            }
            Err(error) if is_timeout(&error) => Ok(false),
            Err(error) => {
                self.waiting.clear();
                Err(error)
            }
        }
    }

    /// Reads once; `false` when nothing came in time or nothing will.
    pub(super) fn read_some(&mut self, timeout: Duration) -> bool {
        if self.closed.is_some() {
            return false;
        }
        let mut buffer = [0; 64 * 1024];
        match self.duplex.read(&mut buffer, timeout) {
            Ok(0) => self.close(Closed::Fin),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if is_timeout(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.close(Closed::Fin),
            Err(_) => self.close(Closed::Reset),
        }
        !self.received.is_empty() && self.closed.is_none()
    }

    fn close(&mut self, how: Closed) {
        self.closed = Some(how);
        self.note(format!("-- closed by the proxy: {how:?}"));
    }

    /// The next whole frame that was read.
    pub(super) fn frame(&mut self) -> Option<Frame> {
        let (frame, length) = Frame::decode(&self.received)?;
        self.received.drain(..length);
        self.note(format!("<< {frame}"));
        Some(frame)
    }

    /// Bytes that came and are no whole frame yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.received
    }

    pub(super) fn shutdown_write(&mut self) {
        self.note("-- half-closed by the client");
        let _ = self.duplex.shutdown_write();
    }

    pub(super) fn reset_on_close(&mut self) {
        self.duplex.reset_on_close();
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "--- HTTP/2 client ---")?;
        for line in &self.early {
            writeln!(f, "{line}")?;
        }
        if self.left_out > 0 {
            writeln!(f, "          .. {} lines left out", self.left_out)?;
        }
        for line in &self.late {
            writeln!(f, "{line}")?;
        }
        if !self.received.is_empty() {
            let shown = &self.received[..self.received.len().min(200)];
            writeln!(f, "part of a frame, or no frame: {}", readable(shown))?;
        }
        Ok(())
    }
}
