//! For whoever counts failures instead of failing with the first: a drill.

use std::io;
use std::time::Duration;

use super::client::Client;
use super::frame::Frame;
use super::head::Head;
use crate::message::text;

impl Client {
    /// Sends a request with a body that any window has room for, and gives its stream; a failure
    /// of sending is left to the caller.
    pub fn try_open(&mut self, head: &Head, body: impl AsRef<[u8]>) -> io::Result<u32> {
        let (stream, body) = (self.next_stream(), body.as_ref());
        self.opened(stream, &text(head.value(":method").unwrap_or_default()));
        let block = self.encoder.encode(&head.0);
        let first = Frame::headers(stream, block);
        let frames = match body.is_empty() {
            true => vec![first.end_stream()],
            false => vec![first, Frame::data(stream, body).end_stream()],
        };
        self.try_send_all(&frames)?;
        Ok(stream)
    }

    /// Reads what comes, for `timeout` at most, and does what a client does by itself; tells what
    /// the proxy has ever said that it must not.
    pub fn listen(&mut self, timeout: Duration) -> Result<(), String> {
        self.pump(timeout);
        match &self.flaw {
            None => Ok(()),
            Some(flaw) => Err(flaw.clone()),
        }
    }
}
