//! The disk tier: what survives a restart.
//!
//! A directory of segment files that are only ever appended to and go as a whole, oldest first.
//! Callers never wait for the disk: what they want written or read goes into bounded queues of
//! threads of its own, and what does not fit there is dropped, or a miss. Every byte is verified
//! before it is given; what does not verify is a miss. See docs/decisions/0030.
//!
//! - [`settings`]: where, and how much.
//! - [`events`], [`counts`]: what people are told.

mod counts;
mod events;
mod extent;
mod settings;
mod superblock;
mod waiting;

use std::sync::Arc;

pub use counts::Counts;
pub use events::{Event, OpenError};
pub use extent::Extent;
pub use settings::{SIZE_MIN, Settings};
pub use waiting::Waiting;

use crate::{Object, Terms};

/// What becomes of an object that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits in the queue.
    Queued,
    /// It is larger than [`Disk::object_max`].
    TooLarge,
    /// The queue is full.
    Full,
    /// Writing failed a moment ago.
    Resting,
}

/// Whether removals would survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// They are on the disk.
    Durable,
    /// They are in force, but could not be written: a restart may bring the objects back. The
    /// tier tries again by itself.
    NotYet,
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    segment: u32,
    offset: u32,
}

/// A part of a listing.
#[derive(Debug)]
pub struct Page {
    /// Objects, oldest record first.
    pub entries: Vec<Entry>,
    /// Where the next part begins; none when this was the last.
    pub next: Option<Cursor>,
}

/// What is held of one object, without its body.
#[derive(Debug)]
pub struct Entry {
    /// Its key.
    pub key: Box<[u8]>,
    /// 200, ...
    pub status: u16,
    /// Its field lines.
    pub lines: Box<[u8]>,
    /// What it lives by.
    pub terms: Terms,
    /// Bytes of its body.
    pub length: u64,
}

/// The disk tier. Dropping it writes what waits and ends its threads.
#[derive(Debug)]
pub struct Disk {}

impl Disk {
    /// Opens a directory, or makes it. Blocks: reads a footer for each segment, and the heads in
    /// the last one. What was odd is told by [`Self::take_events`].
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. A damaged cache is none.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        Err(OpenError::TooSmall {
            size: settings.size,
        })
    }

    /// Bytes of the largest body that is taken.
    #[must_use]
    pub fn object_max(&self) -> u64 {
        0
    }

    /// Is there probably something with this key? A look into memory.
    #[must_use]
    pub fn holds(&self, _key: &[u8]) -> bool {
        false
    }

    /// Reads an object, by a thread of the disk. `None` at once if there is none, or too many
    /// reads wait. A body below `extent_min` comes in memory, a larger one as an [`Extent`]. Counts
    /// as somebody asking: see [`Self::touch`].
    #[must_use]
    pub fn read(&self, _key: &[u8]) -> Option<Waiting<Object>> {
        None
    }

    /// Somebody asked for it (and got it from memory): it is carried over when its segment is
    /// reclaimed.
    pub fn touch(&self, _key: &[u8]) {}

    /// Writes an object in place of whatever has its key, some time soon. Until then the former one
    /// is what is read. A body that lies in this disk tier already is not written again, but
    /// referred to: so a 304 costs a head.
    pub fn write(&self, _object: &Arc<Object>) -> Taken {
        Taken::Full
    }

    /// Removes what has this key, also from the queue. In force at once; durable when
    /// [`Self::settle`] says so. Returns the bytes of its record, if there was one.
    pub fn remove(&self, _key: &[u8]) -> Option<u64> {
        None
    }

    /// From now on what has this key is read with [`crate::Rules::MARKED_STALE`]. As durable as a
    /// removal. Returns the bytes of its record, if there was one.
    pub fn mark_stale(&self, _key: &[u8]) -> Option<u64> {
        None
    }

    /// Waits until all removals and marks of this moment are durable: an answer to a purge waits
    /// for this. `None` when the disk is closed.
    #[must_use]
    pub fn settle(&self) -> Option<Waiting<Settled>> {
        None
    }

    /// Waits until all that is queued now is written or dropped.
    #[must_use]
    pub fn flush(&self) -> Option<Waiting<()>> {
        None
    }

    /// Objects from `after` on, at most `count_max` (and at most 1024), read by a thread of the
    /// disk. Begin with `Cursor::default()`. What is written meanwhile may be seen or not.
    #[must_use]
    pub fn entries(&self, _after: Cursor, _count_max: usize) -> Option<Waiting<Page>> {
        None
    }

    /// The numbers of now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::default()
    }

    /// What people should know, since it was last taken.
    #[must_use]
    pub fn take_events(&self) -> Vec<Event> {
        Vec::new()
    }
}
