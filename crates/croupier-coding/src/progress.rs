//! What one call of a coder did, and how it can fail.

use std::fmt;

/// Input bytes that one call takes at most: the slice of time a coder gets before others get theirs.
pub const SLICE_BYTES: usize = 32 << 10;

/// Room for output that a call needs. zlib repeats its flush marker of five bytes for ever when it
/// is given less than seven bytes at a time.
pub const OUT_BYTES_MIN: usize = 64;

/// What one call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Progress {
    /// Input bytes taken, from the front.
    pub consumed: usize,
    /// Output bytes written, from the front.
    pub produced: usize,
    /// Does the coder hold output that had no room?
    pub left: Left,
}

/// What a coder still holds that can be had without giving it anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing. After a flush or a finish: it is complete.
    Nothing,
    /// Perhaps something: call again with room for output.
    More,
}

/// Why a coder gave up. It gives nothing more afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes are not in that coding.
    Corrupt,
    /// The bytes end in the middle.
    Truncated,
    /// Something follows the end.
    Trailing,
    /// More comes out than may.
    TooLarge,
    /// Much more comes out than goes in.
    Bomb,
    /// There was less than [`OUT_BYTES_MIN`] room for output.
    NoRoom,
    /// It was asked to go on after its end.
    Over,
    /// The library refuses: memory, as a rule.
    Refused,
}

impl Error {
    /// What happened, in a sentence that tells nothing of the bytes.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Corrupt => "the bytes are not in the coding they claim",
            Self::Truncated => "the coded bytes end in the middle",
            Self::Trailing => "bytes follow the end of the coded ones",
            Self::TooLarge => "more is decoded than is allowed",
            Self::Bomb => "much more is decoded than was received",
            Self::NoRoom => "there is too little room for coded bytes",
            Self::Over => "the coder was asked to go on after its end",
            Self::Refused => "the coder does not work",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Error {}
