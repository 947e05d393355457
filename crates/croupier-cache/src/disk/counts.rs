//! The numbers of the disk tier.

use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers of a moment. What is not said to be of now counts from the opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects held now.
    pub objects: u64,
    /// Bytes of their records, now.
    pub bytes: u64,
    /// Bytes of all files, now, with the part of the open segment that is not used yet.
    pub file_bytes: u64,
    /// Segment files, now.
    pub segments: u64,
    /// Objects waiting to be written, now.
    pub queued: u64,
    /// 1 while nothing is written because a write failed.
    pub resting: u64,
    /// Objects written.
    pub written: u64,
    /// Objects not written: the queue was full, the tier rested, or the write failed.
    pub dropped: u64,
    /// Objects not written because they are larger than may be.
    pub too_large: u64,
    /// Objects read.
    pub read: u64,
    /// Reads that were not made because too many waited.
    pub reads_refused: u64,
    /// Reads that the system failed.
    pub read_errors: u64,
    /// Records whose bytes were not what was written.
    pub checksum_failures: u64,
    /// Records of another key with the same hash.
    pub collisions: u64,
    /// Writes that the system failed.
    pub write_errors: u64,
    /// Segments reclaimed.
    pub reclaimed: u64,
    /// Objects that went with them.
    pub reclaimed_objects: u64,
    /// Objects that were carried over instead, because somebody had asked for them.
    pub carried: u64,
    /// Objects removed by purges.
    pub removed: u64,
}

macro_rules! counters {
    ($($name:ident)*) => {
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn read_into(&self, counts: &mut Counts) {
                $(counts.$name = self.$name.get();)*
            }
        }
    };
}

counters! {
    file_bytes segments resting written dropped too_large read reads_refused read_errors
    checksum_failures collisions write_errors reclaimed reclaimed_objects carried removed
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn bump(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
