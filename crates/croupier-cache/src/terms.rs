//! What an answer lives by once it is kept: all that RFC 9111 section 4 asks about it, in 32 bytes.

use crate::rules::list::SECONDS_MAX;

/// The terms of a kept answer. Times are milliseconds since 1970, durations whole seconds; sums
/// saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// When its head arrived.
    pub received_ms: u64,
    /// Its age then: `corrected_initial_age` (RFC 9111 section 4.2.3).
    pub initial_age: u32,
    /// `freshness_lifetime` (section 4.2.1).
    pub lifetime: u32,
    /// So long after that it may be given while it is asked for again (RFC 5861 section 3).
    pub stale_while_revalidate: u32,
    /// So long after that it may be given when asking fails (RFC 5861 section 4).
    pub stale_if_error: u32,
    /// What else its head said.
    pub rules: Rules,
}

impl Terms {
    /// `current_age` (RFC 9111 section 4.2.3), seconds, at most 2^31: what `Age` says. A clock that
    /// was set back makes nothing younger than it came.
    #[must_use]
    pub fn age(&self, now_ms: u64) -> u32 {
        let resident = now_ms.saturating_sub(self.received_ms) / 1000;
        self.initial_age
            .saturating_add(u32::try_from(resident).unwrap_or(SECONDS_MAX))
            .min(SECONDS_MAX)
    }

    /// Seconds that are left of its freshness; negative when it is stale.
    #[must_use]
    pub fn left(&self, now_ms: u64) -> i64 {
        i64::from(self.lifetime) - i64::from(self.age(now_ms))
    }

    /// `response_is_fresh` (section 4.2), and nobody has marked it stale.
    #[must_use]
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        self.left(now_ms) > 0 && !self.rules.has(Rules::MARKED_STALE)
    }
}

/// A set of what a head said beside durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules(u16);

impl Rules {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `no-cache`: never given without asking.
    pub const NO_CACHE: Self = Self(1);
    /// `must-revalidate`, `proxy-revalidate` or `s-maxage`: never given stale, but within the two
    /// graces if the answer itself states them beside `s-maxage`.
    pub const MUST_REVALIDATE: Self = Self(1 << 1);
    /// Its lifetime is a guess (section 4.2.2).
    pub const HEURISTIC: Self = Self(1 << 2);
    /// `no-transform`.
    pub const NO_TRANSFORM: Self = Self(1 << 3);
    /// `immutable` (RFC 8246).
    pub const IMMUTABLE: Self = Self(1 << 4);
    /// It is for all, even if it was asked for with `Authorization` (section 3.5).
    pub const FOR_AUTHORIZED: Self = Self(1 << 5);
    /// It is a 206: `body` is what its `Content-Range` says.
    pub const PARTIAL: Self = Self(1 << 6);
    /// Somebody has purged it softly: it is stale whatever its age.
    pub const MARKED_STALE: Self = Self(1 << 7);

    /// Is all of `other` in it?
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As stored on disk.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// From what was stored.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}
