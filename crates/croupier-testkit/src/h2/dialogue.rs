//! Saying and hearing, as a test does it.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::answer::{Answer, Goaway};
use super::client::Client;
use super::frame::{Frame, code_name};
use super::link::Closed;

/// Saying.
impl Client {
    /// Sends these bytes as they are.
    #[track_caller]
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if let Err(error) = self.try_send_bytes(bytes) {
            self.fail(&format!("sending failed: {error}"));
        }
        self
    }

    /// Sends these bytes, and leaves it to the test what a failure means.
    pub fn try_send_bytes(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.link.waiting.extend(bytes.as_ref());
        self.flush()
    }

    /// Sends a frame.
    #[track_caller]
    pub fn send(&mut self, frame: &Frame) -> &mut Self {
        if let Err(error) = self.try_send(frame) {
            self.fail(&format!("sending failed: {error}"));
        }
        self
    }

    /// Sends a frame, and leaves it to the test what a failure means.
    pub fn try_send(&mut self, frame: &Frame) -> io::Result<()> {
        self.queue(frame);
        self.flush()
    }

    /// Sends frames in one piece, as one segment if they fit; a failure is left to the test.
    pub fn try_send_all(&mut self, frames: &[Frame]) -> io::Result<()> {
        for frame in frames {
            self.queue(frame);
        }
        self.flush()
    }

    /// FIN for the requests' direction; answers are still read.
    pub fn shutdown_write(&mut self) -> &mut Self {
        self.link.shutdown_write();
        self
    }

    /// RST.
    pub fn abort(mut self) {
        self.link.reset_on_close();
    }
}

/// Hearing.
impl Client {
    /// Reads until `condition` holds; `false` when `timeout` passed first, or nothing more will
    /// come.
    #[track_caller]
    pub fn wait_for(&mut self, timeout: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            self.judge();
            if condition(self) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.link.closed.is_some() {
                return false;
            }
            self.pump(left);
        }
    }

    /// Reads until `condition` holds, and fails in vain.
    #[track_caller]
    pub fn wait(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        if !self.wait_for(self.patience, condition) {
            self.fail(&format!("waited in vain for {what}"));
        }
    }

    /// Reads what comes for so long, and does what a client does by itself.
    #[track_caller]
    pub fn idle(&mut self, duration: Duration) {
        let _ = self.wait_for(duration, |_| false);
    }

    /// The whole answer on a stream, perhaps a reset.
    #[track_caller]
    pub fn answer(&mut self, stream: u32) -> Answer {
        self.wait(&format!("the answer on stream {stream}"), |client| {
            client.so_far(stream).is_over()
        });
        self.so_far(stream).clone()
    }

    /// The same, or what there was of it when the connection ended, or time.
    #[track_caller]
    pub fn try_answer(&mut self, stream: u32) -> Answer {
        let _ = self.wait_for(self.patience, |client| client.is_over(stream));
        self.so_far(stream).clone()
    }

    /// The head of an answer; its body may follow.
    #[track_caller]
    pub fn head(&mut self, stream: u32) -> Answer {
        self.wait(&format!("a head on stream {stream}"), |client| {
            let answer = client.so_far(stream);
            answer.status > 0 || answer.is_over()
        });
        self.so_far(stream).clone()
    }

    /// Reads until so many bytes of a body have come in all.
    #[track_caller]
    pub fn read_body(&mut self, stream: u32, bytes: u64) {
        self.wait(&format!("{bytes} bytes on stream {stream}"), |client| {
            client.so_far(stream).body_length >= bytes
        });
    }

    /// Sends a `PING`, and tells whether its answer came.
    #[track_caller]
    pub fn ping(&mut self) -> bool {
        let opaque = (self.heard.pings.len() as u64 + 1).to_be_bytes();
        self.try_send(&Frame::ping(opaque)).is_ok()
            && self.wait_for(self.patience, |client| client.heard.pings.contains(&opaque))
    }

    /// Wants the connection to work still.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        if !self.ping() {
            self.fail("the connection is dead");
        }
    }

    /// Wants a stream reset with one of these codes, and the connection alive.
    #[track_caller]
    pub fn expect_reset(&mut self, stream: u32, codes: &[u32]) {
        let answer = self.answer(stream);
        match answer.reset {
            Some(code) if codes.contains(&code) => {}
            other => self.fail(&format!("wanted a reset with {codes:?}, got {other:?}")),
        }
    }

    /// Wants a `GOAWAY` with one of these codes, and the connection closed behind it.
    #[track_caller]
    pub fn expect_goaway(&mut self, codes: &[u32], timeout: Duration) -> Goaway {
        let is_due = |client: &Self| client.heard.goaways.iter().any(|g| codes.contains(&g.code));
        if !self.wait_for(timeout, is_due) {
            let names: Vec<_> = codes.iter().map(|code| code_name(*code)).collect();
            self.fail(&format!("no GOAWAY with {names:?}"));
        }
        self.expect_close(timeout);
        let mut told = self.heard.goaways.iter().rev();
        match told.find(|g| codes.contains(&g.code)) {
            Some(goaway) => goaway.clone(),
            None => self.fail("no GOAWAY"),
        }
    }

    /// Wants the connection closed, whatever comes before.
    #[track_caller]
    pub fn expect_close(&mut self, timeout: Duration) -> Closed {
        let _ = self.wait_for(timeout, |client| client.link.closed.is_some());
        match self.link.closed {
            Some(closed) => closed,
            None => self.fail(&format!("the connection is still open after {timeout:?}")),
        }
    }

    /// Bytes that came and are no whole frame: what a server says that speaks no HTTP/2.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        self.link.rest()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.link)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprint!("{}", self.link);
        }
    }
}
