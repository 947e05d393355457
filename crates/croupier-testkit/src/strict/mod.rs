//! A strict HTTP/1 reader, written for the test kit alone.
//!
//! It accepts what a careful sender writes and names everything else. A *flaw* is something not
//! canonical after which reading can still go on; anything that leaves the end of a message in
//! doubt is [`Broken::Malformed`].
//!
//! - `reader.rs`: where heads, lines and bodies end.
//! - `head.rs`: what a head may say.

mod head;
mod reader;

use std::io;

pub(crate) use head::{announced_framing, head_lines, request_head};
pub(crate) use reader::Reader;

/// Why reading stopped before the end of a message.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The peer closed between messages.
    Closed,
    /// The peer closed inside a message.
    Cut,
    /// The connection failed: reset, timeout.
    Io(io::Error),
    Malformed(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(crate) fn malformed<T>(what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken::Malformed(what.into()))
}

/// Takes the bytes of a body as they arrive.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]);

#[cfg(test)]
mod tests;
