//! Where objects are looked up, filled, refreshed and purged, by all workers at once.
//!
//! [`Store::look_up`] says what is there: an answer, one that is arriving, or nothing. Who finds
//! nothing makes a [`claim`](Store::claim): he fetches it for all who ask meanwhile, or waits for
//! the one who does. What is fetched goes through a [`Writer`] into memory, and at the same time to
//! everybody who reads it from its [`Filling`]. Nothing here blocks longer than a short lock, and
//! waiting is done with wakers.
//!
//! - [`inner`]: what a store is made of, how things come into memory and leave it.
//! - [`key`]: what answers are looked up by. [`variants`]: which of a key's answers a request gets.
//! - [`memory`]: the index, and who stays in it. [`tags`]: who is purged together.
//! - [`wait`], [`fill`], [`filling`], [`writer`]: many ask, one fetches, all read.
//! - `forms`: what was made of a body in the background comes to it.
//! - [`below`], [`reading`]: the disk under it. [`sweep`]: purges there.
//! - [`purge`]: taken out before its time. [`list`], [`counters`]: what people are told.

mod below;
pub mod counters;
mod fill;
mod filling;
mod forms;
mod inner;
pub mod key;
pub mod list;
mod memory;
pub mod purge;
mod reading;
mod sweep;
pub(crate) mod tags;
pub(crate) mod variants;
mod wait;
mod writer;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use croupier_http::Fields;
use foldhash::quality::RandomState;

pub use counters::{Counts, Refusal};
pub use fill::{Fill, Full};
pub use filling::{Broken, Filling, Head, Reader};
pub use key::KeyBuf;
pub use list::{Item, Page};
pub use purge::{How, Purged, Which};
pub use reading::{Brought, Reading};
pub use sweep::Swept;
pub use wait::Waiting;
pub use writer::{Left, Writer};

use self::{
    below::Below,
    counters::Counters,
    filling::Budget,
    inner::{Inner, place},
    memory::Memory,
    purge::Purges,
    tags::Tags,
    wait::{Claimed, Pendings},
};
use crate::{Object, Terms, disk::Disk};

/// Of the configured size, this is for objects, percent.
const OBJECTS_PERCENT: u64 = 86;
/// One part of so many is for what is on its way. The rest is for what an index keeps in reserve.
const FILLING_PART: u64 = 8;
/// No object in memory is larger than one part of so many of the size: a few large ones must not
/// drive out everything else.
const LARGEST_PART: u64 = 16;

/// How a store is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// As it is called in the config.
    pub name: String,
    /// Bytes of memory: for objects with all that they cost, and for what is on its way.
    pub memory: u64,
    /// Bytes of the largest body that is kept.
    pub max_object: u64,
}

/// What a look-up finds.
#[derive(Debug)]
pub enum Found {
    /// An answer. Whether it may be given is for the rules to say.
    Held(Arc<Object>),
    /// It lies on disk, as far as is known without reading: wait for it.
    OnDisk(Reading),
    /// An answer that is arriving.
    Filling(Filling),
    /// Answers to this are not for keeping: ask, do not wait. A claim is allowed, and is a `Fill`
    /// that nobody waits for: if the answer is for keeping after all, it is kept.
    Pass,
    /// Nothing.
    Nothing,
}

/// What a claim comes to.
#[derive(Debug)]
pub enum Claim {
    /// You fetch it.
    Fill(Fill),
    /// Somebody else does: wait, then look up again.
    Wait(Waiting),
}

/// A store that all workers share.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

impl Store {
    /// A store of memory alone.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::with_disk(settings, None)
    }

    /// A store with what is on disk below it. A disk belongs to one store at a time.
    #[must_use]
    pub fn with_disk(settings: Settings, disk: Option<Arc<Disk>>) -> Self {
        let largest = settings.max_object.min(settings.memory / LARGEST_PART);
        let capacity = settings.memory / 100 * OBJECTS_PERCENT;
        let inner = Inner {
            largest,
            memory: Memory::new(capacity, largest, RandomState::default()),
            pendings: Pendings::new(),
            budget: Arc::new(Budget::new(settings.memory / FILLING_PART)),
            purges: Purges::default(),
            ends: Purges::default(),
            tags: Tags::default(),
            counters: Counters::new(),
            below: disk.map(Below::new),
            generation: AtomicU64::new(0),
            latest_ms: AtomicU64::new(0),
            settings,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// As it is called in the config.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.settings.name
    }

    /// What it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The disk below it.
    #[must_use]
    pub fn disk(&self) -> Option<&Arc<Disk>> {
        self.inner.below.as_ref().map(|below| &below.disk)
    }

    /// What is there for a request with these fields. Finding an object allocates nothing.
    ///
    /// An object that is fresh is given at once; instead of a stale one, what is just arriving.
    #[must_use]
    pub fn look_up(&self, key: &KeyBuf, asked: &Fields, now_ms: u64) -> Found {
        let inner = &self.inner;
        let held = inner.memory.get(key.as_bytes());
        let Some(record) = held.as_deref().and_then(Object::variants) else {
            return inner.judge(key, key.as_bytes(), held, now_ms);
        };
        let mut variant = key.variant.borrow_mut();
        record.key(key.as_bytes(), asked, &mut variant);
        let held = inner.memory.get(&variant);
        inner.judge(key, &variant, held, now_ms)
    }

    /// Claims what a look-up has not found, or found stale.
    #[must_use]
    pub fn claim(&self, key: &KeyBuf, asked: &Fields) -> Claim {
        let inner = &self.inner;
        // Read before anything is asked: a purge from here on counts for what is going to come.
        let epoch = inner.purges.epoch();
        let held = inner.memory.peek(key.as_bytes());
        let mut variant = key.variant.borrow_mut();
        let at: &[u8] = match held.as_deref().and_then(Object::variants) {
            Some(record) => {
                record.key(key.as_bytes(), asked, &mut variant);
                &variant
            }
            None => key.as_bytes(),
        };
        let at: Arc<[u8]> = Arc::from(at);
        let mut fill = Fill {
            store: Arc::clone(inner),
            primary: Arc::from(key.as_bytes()),
            key: Arc::clone(&at),
            end: None,
            epoch,
        };
        let is_mark = |object: &Arc<Object>| object.pass_until().is_some();
        if inner.memory.peek(&at).as_ref().is_some_and(is_mark) {
            inner.counters.site(&at).miss();
            return Claim::Fill(fill);
        }
        match inner.pendings.claim(&at) {
            Claimed::Wait(waiting) => return Claim::Wait(waiting),
            Claimed::Yours(end) => fill.end = Some(end),
            Claimed::Crowd => {}
        }
        // Whoever had it may have finished between the look-up and the claim.
        if fill.end.is_some() && place(inner.memory.peek(&at).as_ref()) != key.seen.get() {
            return Claim::Wait(Waiting::over());
        }
        inner.counters.site(&at).miss();
        Claim::Fill(fill)
    }

    /// A claim to a part: nobody waits for it, and several ask at once.
    #[must_use]
    pub fn part(&self, key: &KeyBuf, asked: &Fields) -> Fill {
        let inner = &self.inner;
        let epoch = inner.purges.epoch();
        let held = inner.memory.peek(key.as_bytes());
        let mut at = key.as_bytes().to_vec();
        if let Some(record) = held.as_deref().and_then(Object::variants) {
            record.key(key.as_bytes(), asked, &mut at);
        }
        inner.counters.site(&at).miss();
        Fill {
            store: Arc::clone(inner),
            primary: Arc::from(key.as_bytes()),
            key: Arc::from(at),
            end: None,
            epoch,
        }
    }

    /// Bytes of the largest body that is kept in one piece.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.inner.largest
    }

    /// Remembers why an answer was not kept.
    pub fn refused(&self, key: &KeyBuf, why: &'static str, now_ms: u64) {
        self.inner.counters.refused(key.as_bytes(), why, now_ms);
    }

    /// The same object with another head: what a 304 makes of it. It takes the place of the old one
    /// if that is still there and no purge is about to take it.
    #[must_use]
    pub fn refresh(&self, old: &Arc<Object>, lines: Box<[u8]>, terms: Terms) -> Arc<Object> {
        self.inner.refresh(old, lines, terms, None)
    }

    /// Takes out what is meant. A key or a tag is found at once; all else looks at every object, a
    /// quarter of a second for a million of them: not for workers.
    ///
    /// On disk a key is purged at once; all else is swept by a thread, and until it has been there
    /// what is meant is not given. What is counted is what was in memory.
    pub fn purge(&self, which: &Which, how: How) -> Purged {
        self.inner.purge(which, how).0
    }

    /// The same, and waits until the disk has been swept and the purge would survive a crash, at
    /// most `patience`. What was found there is the second; nothing without a disk, or when it is
    /// not through in time. Not for workers.
    #[must_use]
    pub fn purge_through(
        &self,
        which: &Which,
        how: How,
        patience: Duration,
    ) -> (Purged, Option<Swept>) {
        let (purged, through) = self.inner.purge(which, how);
        let below = self.inner.below.as_ref();
        (
            purged,
            below.and_then(|below| below.wait(through?, patience)),
        )
    }

    /// What is held, in the order of keys, `max` of it (and at most [`list::PAGE_MAX`]) behind
    /// `after`: the first page begins after nothing.
    #[must_use]
    pub fn list(&self, which: &Which, after: &[u8], max: usize, now_ms: u64) -> Page {
        list::page(self.inner.memory.iter(), which, after, max, now_ms)
    }

    /// What is held of a primary key: all variants and slices, in the order of keys.
    #[must_use]
    pub fn show(&self, key: &[u8], now_ms: u64) -> Vec<Item> {
        let mut all = self.inner.all_of(key);
        all.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let answers = all.iter().filter(|object| object.is_answer());
        answers.map(|object| list::item(object, now_ms)).collect()
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.inner.counters.total()
    }

    /// What was counted host by host; the last row is for all others.
    #[must_use]
    pub fn counts_by_site(&self) -> Vec<(String, Counts)> {
        self.inner.counters.by_site()
    }

    /// The last answers that were not kept, newest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.inner.counters.last_refusals()
    }

    /// How many answers were not kept for each reason.
    #[must_use]
    pub fn refusals_by_reason(&self) -> Vec<(&'static str, u64)> {
        self.inner.counters.reasons()
    }

    /// Bytes of memory: of what is kept, and of what is on its way.
    #[must_use]
    pub fn used(&self) -> (u64, u64) {
        (self.inner.memory.weight(), self.inner.budget.used())
    }

    /// How many keys are being fetched.
    #[must_use]
    pub fn fetching(&self) -> usize {
        self.inner.pendings.count()
    }

    /// Tags that objects have.
    #[must_use]
    pub fn tags(&self) -> usize {
        self.inner.tags.count()
    }
}
