//! What the disk tier is told: where, how much, and how it is divided.

use std::{path::PathBuf, time::Duration};

/// Bytes below which a disk tier is refused: sixteen segments of the smallest size would not fit.
pub const SIZE_MIN: u64 = 16 * SEGMENT_MIN;

/// The smallest segment, bytes.
const SEGMENT_MIN: u64 = 1 << 20;
/// As long as they suffice, segments are no larger than this: what is reclaimed goes in these
/// portions, and the open one is scanned at start.
const SEGMENT_USUAL: u64 = 64 << 20;
/// Every segment is an open file, so there are no more than this many, until...
const SEGMENTS_USUAL: u64 = 1024;
/// ...they are this large: offsets are 32 bits. Beyond 2 TiB there are more files.
const SEGMENT_MAX: u64 = 2 << 30;

/// What the files of a segment may cost the file system beside their bytes: half-used blocks.
pub(super) const BLOCK: u64 = 4096;

/// Where the disk tier is and how much it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A directory of its own. Made with mode 0700 if it is not there; its parent must be.
    pub path: PathBuf,
    /// Bytes of all files in it, at most. At least [`SIZE_MIN`].
    pub size: u64,
    /// A larger object is not taken, bytes of body. Also bounded by [`super::Disk::object_max`].
    pub object_max: u64,
    /// Bodies from here on are handed out as an [`super::Extent`], smaller ones in memory. Bytes.
    pub extent_min: u64,
    /// Bytes of bodies that may wait to be written. What comes on top is dropped.
    pub queue_bytes: u64,
    /// Objects that may wait to be written.
    pub queue_count: usize,
    /// Reads that may wait for a thread. What comes on top is a miss.
    pub reads: usize,
    /// Threads that read.
    pub readers: usize,
    /// After a failed write nothing is written for so long.
    pub rest: Duration,
}

impl Settings {
    /// Sound numbers for everything but where and how much.
    #[must_use]
    pub fn new(path: PathBuf, size: u64) -> Self {
        Self {
            path,
            size,
            object_max: u64::MAX,
            // Below, one read and one copy cost less than a system call more per answer.
            extent_min: 256 << 10,
            queue_bytes: 32 << 20,
            queue_count: 1024,
            reads: 256,
            readers: 2,
            rest: Duration::from_secs(5),
        }
    }

    /// Bytes of a segment file, at most. A sixteenth of the size, so that reclaiming one costs
    /// little of what is held.
    pub(super) fn segment_bytes(&self) -> u64 {
        let usual = (self.size / 16).clamp(SEGMENT_MIN, SEGMENT_USUAL);
        let few = (self.size / SEGMENTS_USUAL).min(SEGMENT_MAX);
        usual.max(few) / BLOCK * BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_a_sixteenth_within_bounds_and_few_enough_to_be_open() {
        let cases = [
            (16 << 20, 1 << 20),
            (100 << 20, (100 << 20) / 16 / 4096 * 4096),
            (50 << 30, 64 << 20),
            (1 << 40, 1 << 30),
            (100 << 40, 2 << 30),
        ];
        for (size, segment) in cases {
            let settings = Settings::new("/x".into(), size);
            assert_eq!(settings.segment_bytes(), segment, "{size}");
        }
    }
}
