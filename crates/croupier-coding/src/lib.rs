//! Content codings (RFC 9110 section 8.4): gzip, brotli and zstd, in streams and in slices of time.
//!
//! The only crate that knows the three libraries. It computes on bytes given to it: no sockets, no
//! clock, no threads. [`Encoder`] and [`Decoder`] take some bytes, give some bytes, and say whether
//! more waits inside; who calls decides how long that may go on. [`negotiate()`] and
//! [`is_compressible`] say whether to code at all; [`dictionary`] codes against an answer that the
//! client already has (RFC 9842).

#![forbid(unsafe_code)]

mod brotli;
mod coders;
mod decode;
pub mod dictionary;
mod encode;
mod gzip;
mod kinds;
mod negotiate;
mod progress;
mod whole;
mod zstd;

pub use coders::Coders;
pub use decode::{Decoder, Limits};
pub use encode::{Encoder, Level};
pub use kinds::is_compressible;
pub use negotiate::{Chosen, negotiate};
pub use progress::{Error, Left, OUT_BYTES_MIN, Progress, SLICE_BYTES};
pub use whole::{decode_whole, encode_whole};

/// A content coding that we make and undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// `gzip` (RFC 1952), also called `x-gzip`.
    Gzip,
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878, RFC 9659: a window of at most 8 MiB).
    Zstd,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Brotli, Self::Zstd];

    /// As written in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of that name, in any case; `x-gzip` is `gzip` (RFC 9110 section 8.4.1.3).
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        let has_name = |coding: &Self| name.eq_ignore_ascii_case(coding.as_str().as_bytes());
        Self::ALL.into_iter().find(has_name)
    }
}
