//! What can go wrong between bytes and messages.

use std::{fmt, io};

use croupier_http::h1::{chunked::ChunkError, framing::FramingError, scan::HeadError};

use crate::tls::TlsFailure;

/// A failure of one connection. Which side it was is known to whoever asked.
#[derive(Debug)]
pub enum NetError {
    /// The peer closed before anything of the awaited message came.
    Closed,
    /// The peer closed in the middle of a message.
    Truncated,
    /// The deadline of the present wait has passed.
    Timeout,
    /// A malformed head, or one beyond the limits.
    Head(HeadError),
    /// A head whose framing could be read in two ways.
    Framing(FramingError),
    /// A malformed chunked body.
    Chunk(ChunkError),
    /// The server says that it did not look at the request (RFC 9113 section 8.7).
    Unprocessed,
    /// The peer gave one exchange up, not the connection.
    Reset,
    /// The peer breaks the rules of its protocol, or speaks another.
    Protocol(&'static str),
    /// A handshake failed.
    Tls(TlsFailure),
    /// The operating system said so.
    Io(io::Error),
}

impl From<io::Error> for NetError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection was closed"),
            Self::Truncated => f.write_str("the connection was closed in the middle of a message"),
            Self::Timeout => f.write_str("the time was up"),
            Self::Head(error) => f.write_str(error.sentence()),
            Self::Framing(error) => f.write_str(error.sentence()),
            Self::Chunk(error) => f.write_str(error.sentence()),
            Self::Unprocessed => f.write_str("the server did not look at the request"),
            Self::Reset => f.write_str("the exchange was reset"),
            Self::Protocol(sentence) => f.write_str(sentence),
            Self::Tls(failure) => f.write_str(failure.sentence()),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NetError {}
