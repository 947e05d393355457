//! Vocabulary and rules of HTTP, and the HTTP/1 codec: floor 0.
//!
//! This room computes on bytes given to it. It never waits, reads no clock, does no I/O and
//! logs nothing; time and limits are arguments. Start at [`head`] for the message form, at
//! [`h1`] for how bytes become heads and how a body ends, at [`rules`] for what a lawful
//! message is and what must not pass through a proxy.

#![forbid(unsafe_code)]

pub mod authority;
pub mod date;
pub mod fields;
pub mod h1;
pub mod head;
pub mod method;
pub mod names;
pub mod path;
pub mod rules;
pub mod target;

pub use authority::Authority;
pub use fields::{Field, Fields};
pub use head::{Framed, RequestHead, ResponseHead, Version};
pub use method::Method;
pub use names::{Name, NameSet};
pub use target::{Scheme, Target};

/// How the end of a body is found (RFC 9112 section 6). Decided once, in `h1::framing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLen {
    /// No body follows the head.
    None,
    /// Exactly this many bytes follow.
    Length(u64),
    /// Chunks follow, then a trailer section.
    Chunked,
    /// Bytes until the connection closes; responses only.
    UntilClose,
}

impl BodyLen {
    /// Is there certainly not one byte?
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}
