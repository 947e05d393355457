//! An id of our own for every exchange: a UUIDv7 (RFC 9562).
//!
//! It sorts by time and needs no coordination between workers or machines. Nothing here reads a clock.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::text::hex;

/// A UUIDv7 as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; 36]);

impl RequestId {
    /// 36 characters: lower-case hex and hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always ASCII, so the fallback is never taken.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The same as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 36] {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One worker's source of ids. They are unique, not secret: never use one as a token.
#[derive(Debug)]
pub struct RequestIds {
    rng: fastrand::Rng,
    /// Milliseconds in the last id; never goes back while ids are made.
    last_ms: u64,
    /// The twelve bits after the version: random when a millisecond begins, then counted up.
    counter: u16,
}

impl RequestIds {
    /// A source with a known seed, for tests and for workers seeded by their owner. Two sources with one
    /// seed make the same ids.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            last_ms: 0,
            counter: 0,
        }
    }

    /// A source seeded by the operating system.
    #[must_use]
    pub fn random() -> Self {
        // The standard library keys its hashers with entropy from the system.
        Self::new(RandomState::new().build_hasher().finish())
    }

    /// The next id at this time (milliseconds since 1970). Ids of one source sort in the order in which
    /// they were made, also when the clock stands still or goes back.
    pub fn next(&mut self, unix_ms: u64) -> RequestId {
        if unix_ms > self.last_ms {
            self.last_ms = unix_ms;
            // The top bit is left free, so that at least 2048 ids fit into the millisecond.
            self.counter = self.rng.u16(..) & 0x7ff;
        } else if self.counter < 0xfff {
            self.counter += 1;
        } else {
            // Full: borrow from the next millisecond, as RFC 9562 section 6.2 allows.
            self.last_ms += 1;
            self.counter = self.rng.u16(..) & 0x7ff;
        }
        let high = self.last_ms << 16 | 0x7000 | u64::from(self.counter);
        let low = self.rng.u64(..) >> 2 | 1 << 63;
        let mut text = [b'-'; 36];
        hex(&mut text[0..8], high >> 32);
        hex(&mut text[9..13], high >> 16);
        hex(&mut text[14..18], high);
        hex(&mut text[19..23], low >> 48);
        hex(&mut text[24..36], low);
        RequestId(text)
    }

    /// A parent id for [`Traceparent::child`](crate::Traceparent::child); never 0.
    pub fn parent_id(&mut self) -> u64 {
        self.rng.u64(1..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7() {
        let mut ids = RequestIds::new(7);
        let id = ids.next(0x0123_4567_89ab);
        let text = id.as_str();
        assert_eq!(text.len(), 36);
        assert!(text.starts_with("01234567-89ab-7"), "{text}");
        assert!(
            matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
            "{text}"
        );
        for (at, byte) in text.bytes().enumerate() {
            assert_eq!(byte == b'-', matches!(at, 8 | 13 | 18 | 23), "{text}");
        }
    }

    #[test]
    fn ids_of_one_source_sort_and_differ() {
        let mut ids = RequestIds::new(7);
        let mut last = ids.next(5);
        // More than a millisecond holds, then a clock that goes back.
        for ms in std::iter::repeat_n(5, 20_000).chain([9, 3, 4]) {
            let next = ids.next(ms);
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert_ne!(RequestIds::random().next(1), RequestIds::random().next(1));
        assert_ne!(ids.parent_id(), 0);
    }
}
