//! What both sides of HTTP/2 share: our transport under the library's stream, what one turn sends,
//! body bytes as the library carries them, a meter for frames that carry nothing, and heads in the
//! library's form and in ours.

pub(crate) mod fields;
pub(crate) mod io;
pub(crate) mod meter;
pub(crate) mod outbox;
pub(crate) mod piece;

/// Limits of an HTTP/2 connection, from the limits table.
#[derive(Clone, Copy, Debug)]
pub struct H2Limits {
    /// Exchanges under way at once.
    pub streams: u32,
    /// Exchanges in all.
    pub requests: u32,
    /// Body bytes received and not taken, of the connection.
    pub window: u32,
    /// The same of one exchange.
    pub stream_window: u32,
    /// Exchanges that broke the rules before the connection is closed.
    pub resets: usize,
    /// Frames that carry nothing, in ten seconds.
    pub control_frames: u32,
}

/// Body bytes handed to the library and not yet sent, of one exchange.
pub(crate) const SEND_BUFFER: usize = 64 << 10;

/// A header list as the library counts it (RFC 9113 section 6.5.2: 32 bytes beside each field), for
/// heads of at most so many bytes and lines.
pub(crate) fn list_bytes(head_bytes: usize, fields: usize) -> u32 {
    u32::try_from(head_bytes + 32 * fields).unwrap_or(u32::MAX)
}
