//! Where a large body lies, so that it can be sent without passing through memory.

use std::{fmt, fs::File, sync::Arc};

use super::{
    reads::Job,
    record::BLOCK,
    segment::{Segment, Stamp},
    shared::Shared,
    waiting::{Waiting, promise},
};

/// A body in a segment file, verified when it was handed out. The file stays readable as long as
/// somebody holds this, even when its segment has been reclaimed (its space is given back then).
#[derive(Clone)]
pub struct Extent {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    offset: u64,
    length: u64,
    sums: Box<[u8]>,
    stamp: Stamp,
}

impl Extent {
    pub(super) fn new(
        shared: &Arc<Shared>,
        segment: &Arc<Segment>,
        (offset, length): (u64, u64),
        sums: &[u8],
        stamp: Stamp,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                shared: Arc::clone(shared),
                segment: Arc::clone(segment),
                offset,
                length,
                sums: sums.into(),
                stamp,
            }),
        }
    }

    /// Bytes of the body.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.inner.length
    }

    /// Where it begins in [`Self::file`].
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.inner.offset
    }

    /// For `sendfile(2)`. Only to be read, by offset: others read it too.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.inner.segment.file
    }

    /// Is the file as it was when the body was verified? Costs one `fstat`. When it is not, which
    /// also comes from records that were appended since, ask the disk for the object again: it is
    /// verified anew.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let stamp = self.inner.segment.stamp();
        stamp.is_ok_and(|stamp| stamp == self.inner.stamp)
    }

    /// The bytes from `at` to the end of their block, at most 64 KiB, read and verified by a thread
    /// of the disk. `None` at once beyond the end or when too many reads wait; `None` later when
    /// the bytes are not what they were.
    #[must_use]
    pub fn read(&self, at: u64) -> Option<Waiting<Box<[u8]>>> {
        if at >= self.inner.length {
            return None;
        }
        let (promise, waiting) = promise();
        let job = Job::Block {
            extent: self.clone(),
            at,
            promise,
        };
        let reads = &self.inner.shared.reads;
        if !reads.push(job) {
            self.inner.shared.counters.reads_refused.bump();
            return None;
        }
        Some(waiting)
    }

    /// Where the block of `at` lies in the body: its number, where it begins, its bytes.
    pub(super) fn block(&self, at: u64) -> (usize, u64, usize) {
        let number = at / BLOCK as u64;
        let start = number * BLOCK as u64;
        let length = (self.inner.length - start).min(BLOCK as u64);
        (number as usize, start, length as usize)
    }

    pub(super) fn sums(&self) -> &[u8] {
        &self.inner.sums
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.inner.segment
    }

    /// Does it lie in a segment that this tier still has?
    pub(super) fn is_held_by(&self, shared: &Arc<Shared>) -> bool {
        let held = shared.segment(self.inner.segment.id);
        held.is_some_and(|held| Arc::ptr_eq(&held, &self.inner.segment))
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extent")
            .field("segment", &self.inner.segment.id)
            .field("offset", &self.inner.offset)
            .field("length", &self.inner.length)
            .finish_non_exhaustive()
    }
}
