//! Content codings (RFC 9110 section 8.4): gzip, brotli and zstd, in streams and in slices of time.
//!
//! The only crate that knows the three libraries.

#![forbid(unsafe_code)]

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
    /// As written in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}
