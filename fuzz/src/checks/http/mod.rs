//! Checks of `croupier-http`. Each takes any bytes, gives a verdict, and panics when a promise is
//! broken.

pub mod authority;
pub mod chunked;
pub mod cuts;
pub mod forwarded;
pub mod grammar;
pub mod h1_request;
pub mod h1_response;
pub mod h2_head;
pub mod target;

use croupier_http::h1::{chunked::ChunkLimits, scan::HeadLimits};

/// How the reading of an input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Read to the end: this many messages (or one value).
    Accepted(usize),
    /// Refused, after this many lawful messages.
    Refused(usize),
    /// The input ends in the middle of a message, after this many whole ones.
    Incomplete(usize),
}

/// The limits of a proxy without configuration.
pub const HEAD_LIMITS: HeadLimits = HeadLimits {
    head_bytes: 32 << 10,
    target_bytes: 8 << 10,
    fields: 100,
    field_bytes: 16 << 10,
};

/// The limits of a proxy without configuration.
pub const CHUNK_LIMITS: ChunkLimits = ChunkLimits {
    line_bytes: 256,
    trailer_bytes: 8 << 10,
    trailers: 32,
};

/// Limits so small that fuzzed inputs reach them, yet above the first look at a method.
pub fn tight_head_limits(seed: u64) -> HeadLimits {
    let pick = |shift: u32, span: u64| usize::try_from((seed >> shift) % span).unwrap_or(0);
    HeadLimits {
        head_bytes: 40 + pick(0, 128),
        target_bytes: 1 + pick(8, 32),
        fields: pick(16, 6),
        field_bytes: 1 + pick(24, 48),
    }
}

/// Limits so small that fuzzed inputs reach them.
pub fn tight_chunk_limits(seed: u64) -> ChunkLimits {
    let pick = |shift: u32, span: u64| usize::try_from((seed >> shift) % span).unwrap_or(0);
    ChunkLimits {
        line_bytes: 1 + pick(0, 24),
        trailer_bytes: pick(8, 48),
        trailers: pick(16, 4),
    }
}
