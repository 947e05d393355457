//! The disk tier: what survives a restart.
//!
//! A directory of segment files that are only ever appended to and go as a whole, oldest first.
//! Callers never wait for the disk: what they want written or read goes into bounded queues of
//! threads of its own, and what does not fit there is dropped, or a miss. Every byte is verified
//! before it is given; what does not verify is a miss. See docs/decisions/0030.
//!
//! - [`settings`]: where, and how much. [`events`], [`counts`]: what people are told.
//! - [`directory`], [`superblock`]: what is ours, and whose it is now.
//! - [`record`], [`footer`], [`segment`]: the layout of a file, and looking along it.
//! - [`index`]: what lies where. [`recover`]: how a start finds that out.
//! - [`writes`], [`writer`], [`log`], [`reclaim`]: from the queue to the files, and making room.
//! - [`reads`], [`read`], [`extent`]: from the files to an object.
//! - [`waiting`]: what callers hold meanwhile.

mod counts;
mod directory;
mod events;
mod extent;
mod footer;
mod index;
mod log;
mod read;
mod reads;
mod reclaim;
mod record;
mod recover;
mod segment;
mod settings;
mod shared;
mod superblock;
#[cfg(test)]
mod tests;
mod waiting;
mod writer;
mod writes;

use std::{io, sync::Arc, thread};

pub use counts::Counts;
pub use events::{Event, OpenError};
pub use extent::Extent;
pub use settings::{SIZE_MIN, Settings};
pub use waiting::Waiting;

use directory::{Directory, Found};
use index::Place;
use log::Log;
use reads::Job;
use recover::{Recovered, Recovery};
use shared::Shared;
use superblock::Keyer;
use waiting::promise;
use writes::Bounds;

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

/// The disk tier. Dropping it writes what waits and ends its threads, which blocks until then.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Disk {
    /// Opens a directory, or makes it. Blocks: reads a footer for each segment, and the heads in
    /// the last one. What was odd is told by [`Self::take_events`].
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. A damaged cache is none.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        Self::open_with(settings, |keyer| keyer)
    }

    fn open_with(settings: &Settings, keyer: impl Fn(Keyer) -> Keyer) -> Result<Self, OpenError> {
        if settings.size < SIZE_MIN {
            return Err(OpenError::TooSmall {
                size: settings.size,
            });
        }
        let fails = |doing| {
            move |error| OpenError::Io {
                doing,
                path: settings.path.clone(),
                error,
            }
        };
        let (directory, found) = Directory::open(&settings.path)?;
        let mut aside = None;
        if let Found::Unreadable(version) = found {
            aside = Some(directory.set_aside(version).map_err(fails("clear"))?);
        }
        let (keyer, ids) = match found {
            Found::Ours(found, ids) => (keyer(found), ids),
            Found::Nothing | Found::Unreadable(_) => {
                let new = keyer(Keyer::new());
                directory.begin(&new).map_err(fails("begin"))?;
                (new, Vec::new())
            }
        };
        let shared = Shared::new(settings, keyer);
        aside
            .into_iter()
            .for_each(|event| shared.events.push(event));
        let recovery = Recovery {
            directory: &directory,
            keyer: &shared.keyer,
            index: &shared.index,
            events: &shared.events,
        };
        let recovered = recovery.run(&ids).map_err(fails("read"))?;
        Self::start(shared, directory, recovered).map_err(fails("start"))
    }

    fn start(shared: Shared, directory: Directory, recovered: Recovered) -> io::Result<Self> {
        let shared = Arc::new(shared);
        let log = Log::new(Arc::clone(&shared), directory, recovered)?;
        let mut disk = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for number in 0..shared.settings.readers.max(1) {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("disk-{}", number + 1));
            disk.threads
                .push(thread.spawn(move || reads::run(&shared))?);
        }
        let thread = thread::Builder::new().name("disk-0".into());
        disk.threads
            .push(thread.spawn(move || writer::run(&shared, log))?);
        Ok(disk)
    }

    /// Bytes of the largest body that is taken, if its head is of usual size.
    #[must_use]
    pub fn object_max(&self) -> u64 {
        // What is left beside it: a head, and a sum of 4 bytes for each 64 KiB.
        let room = self.shared.segment_bytes / 64 * 63;
        let settings = &self.shared.settings;
        room.min(settings.object_max).min(settings.queue_bytes)
    }

    /// Is there probably something with this key? A look into memory.
    #[must_use]
    pub fn holds(&self, key: &[u8]) -> bool {
        self.shared
            .index
            .find(self.shared.keyer.hash(key))
            .is_some()
    }

    /// Reads an object, by a thread of the disk. `None` at once if there is none, or too many
    /// reads wait. A body below `extent_min` comes in memory, a larger one as an [`Extent`]. Counts
    /// as somebody asking: see [`Self::touch`].
    #[must_use]
    pub fn read(&self, key: &[u8]) -> Option<Waiting<Object>> {
        let hash = self.shared.keyer.hash(key);
        self.shared.index.flag(hash, Place::HIT)?;
        let (promise, waiting) = promise();
        let key = key.into();
        self.ask(Job::Object { hash, key, promise }, waiting)
    }

    /// Somebody asked for it (and got it from memory): it is carried over when its segment is
    /// reclaimed.
    pub fn touch(&self, key: &[u8]) {
        let hash = self.shared.keyer.hash(key);
        self.shared.index.flag(hash, Place::HIT);
    }

    /// Writes an object in place of whatever has its key, some time soon. Until then the former one
    /// is what is read. When it is not taken, or cannot be written later, the former one is
    /// removed: it must not be given once this one is forgotten.
    ///
    /// A body that lies in this disk tier already is not written again, but referred to: so a 304
    /// costs a head.
    pub fn write(&self, object: &Arc<Object>) -> Taken {
        let shared = &self.shared;
        let hash = shared.keyer.hash(&object.key);
        if !shared.has_room_for(object) {
            shared.counters.too_large.bump();
            shared.writes.remove(hash, &shared.index);
            return Taken::TooLarge;
        }
        let bounds = Bounds {
            count: shared.settings.queue_count,
            bytes: shared.settings.queue_bytes,
        };
        let taken = shared.writes.push(hash, object, &bounds, &shared.index);
        if taken != Taken::Queued {
            shared.counters.dropped.bump();
        }
        taken
    }

    /// Removes what has this key, also from the queue. In force at once; durable when
    /// [`Self::settle`] says so. Returns the bytes of its record, if there was one.
    pub fn remove(&self, key: &[u8]) -> Option<u64> {
        let hash = self.shared.keyer.hash(key);
        let was = self.shared.writes.remove(hash, &self.shared.index)?;
        self.shared.counters.removed.bump();
        Some(u64::from(was.length))
    }

    /// From now on what has this key is read with [`crate::Rules::MARKED_STALE`]. As durable as a
    /// removal. Returns the bytes of its record, if there was one.
    pub fn mark_stale(&self, key: &[u8]) -> Option<u64> {
        let hash = self.shared.keyer.hash(key);
        let was = self.shared.writes.mark_stale(hash, &self.shared.index)?;
        Some(u64::from(was.length))
    }

    /// Waits until all removals and marks of this moment are durable: an answer to a purge waits
    /// for this. Ends with `None` when the disk is closed.
    #[must_use]
    pub fn settle(&self) -> Waiting<Settled> {
        let (promise, waiting) = promise();
        self.shared.writes.settle(promise);
        waiting
    }

    /// Waits until all that is queued now is written or dropped.
    #[must_use]
    pub fn flush(&self) -> Waiting<()> {
        let (promise, waiting) = promise();
        self.shared.writes.flush(promise);
        waiting
    }

    /// Objects from `after` on, at most `count_max` (and at most 1024, and about 4 MiB of keys and
    /// lines), read by a thread of the disk. Begin with `Cursor::default()`. A page may be empty
    /// and not be the last. What is written meanwhile may be seen or not, what is carried over
    /// meanwhile twice. `None` at once when too many reads wait.
    #[must_use]
    pub fn entries(&self, after: Cursor, count_max: usize) -> Option<Waiting<Page>> {
        let (promise, waiting) = promise();
        let job = Job::Page {
            after,
            count_max,
            promise,
        };
        self.ask(job, waiting)
    }

    fn ask<T>(&self, job: Job, waiting: Waiting<T>) -> Option<Waiting<T>> {
        if self.shared.reads.push(job) {
            return Some(waiting);
        }
        self.shared.counters.reads_refused.bump();
        None
    }

    /// The numbers of now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.shared.counters.read_into(&mut counts);
        (counts.objects, counts.bytes) = self.shared.index.sums();
        counts.queued = self.shared.writes.queued();
        counts
    }

    /// What people should know, since it was last taken.
    #[must_use]
    pub fn take_events(&self) -> Vec<Event> {
        self.shared.events.take()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.reads.close();
        self.shared.writes.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
