//! Coding against a dictionary that the client has (RFC 9842): as a rule the answer that it got
//! the last time. A new version of a script then costs what changed.
//!
//! One shot, for work in the background. The hash is the caller's: this crate knows no
//! cryptography. [`fields`] reads and writes what is said about dictionaries in heads.

pub mod fields;
pub mod pattern;
mod raw;
mod structured;

pub use crate::negotiate::negotiate_shared;
pub use raw::{decode, encode};

/// A coding with a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shared {
    /// `dcb`: brotli (RFC 9842 section 4).
    Dcb,
    /// `dcz`: zstd (RFC 9842 section 5).
    Dcz,
}

impl Shared {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dcb, Self::Dcz];

    /// As written in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dcb => "dcb",
            Self::Dcz => "dcz",
        }
    }

    /// The coding of that name, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        let has_name = |shared: &Self| name.eq_ignore_ascii_case(shared.as_str().as_bytes());
        Self::ALL.into_iter().find(has_name)
    }

    /// What a stream begins with, before the hash.
    const fn magic(self) -> &'static [u8] {
        match self {
            Self::Dcb => &[0xff, 0x44, 0x43, 0x42],
            // A frame to be skipped, of 32 bytes (RFC 8878 section 3.1.2).
            Self::Dcz => &[0x5e, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0],
        }
    }
}
