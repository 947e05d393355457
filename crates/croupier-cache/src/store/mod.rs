//! Where objects are looked up, filled, refreshed and purged, by all workers at once.
//!
//! [`Store::look_up`] says what is there: an answer, one that is arriving, or nothing. Who finds
//! nothing makes a [`claim`](Store::claim): he fetches it for all who ask meanwhile, or waits for
//! the one who does. What is fetched goes through a [`Writer`] into memory, and at the same time to
//! everybody who reads it from its [`Filling`]. Nothing here blocks longer than a short lock, and
//! waiting is done with wakers.
//!
//! - [`key`]: what answers are looked up by. [`variants`]: which of a key's answers a request gets.
//! - [`memory`]: the index, and who stays in it. [`tags`]: who is purged together.
//! - [`wait`], [`fill`], [`filling`], [`writer`]: many ask, one fetches, all read.
//! - [`purge`]: taken out before its time. [`list`], [`counters`]: what people are told.

pub mod counters;
mod fill;
mod filling;
pub mod key;
pub mod list;
mod memory;
pub mod purge;
pub(crate) mod tags;
pub(crate) mod variants;
mod wait;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use croupier_http::Fields;
use foldhash::quality::RandomState;

pub use counters::{Counts, Refusal};
pub use fill::{Fill, Full};
pub use filling::{Broken, Filling, Head, Reader};
pub use key::KeyBuf;
pub use list::{Item, Page};
pub use purge::{How, Purged, Which};
pub use wait::Waiting;
pub use writer::{Left, Writer};

use self::{
    counters::Counters,
    filling::Budget,
    memory::Memory,
    purge::Purges,
    tags::Tags,
    wait::{Claimed, Pendings},
};
use crate::{Object, Terms};

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

#[derive(Debug)]
pub(crate) struct Inner {
    settings: Settings,
    /// Bytes of the largest body in memory.
    largest: u64,
    memory: Memory,
    pendings: Pendings,
    budget: Arc<Budget>,
    purges: Purges,
    tags: Tags,
    counters: Counters,
    generation: AtomicU64,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let largest = settings.max_object.min(settings.memory / LARGEST_PART);
        let capacity = settings.memory / 100 * OBJECTS_PERCENT;
        let inner = Inner {
            largest,
            memory: Memory::new(capacity, largest, RandomState::default()),
            pendings: Pendings::new(),
            budget: Arc::new(Budget::new(settings.memory / FILLING_PART)),
            purges: Purges::default(),
            tags: Tags::default(),
            counters: Counters::new(),
            generation: AtomicU64::new(0),
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

    /// What is there for a request with these fields. Finding an object allocates nothing.
    ///
    /// An object that is fresh is given at once; instead of a stale one, what is just arriving.
    #[must_use]
    pub fn look_up(&self, key: &KeyBuf, asked: &Fields, now_ms: u64) -> Found {
        let inner = &*self.inner;
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
        self.inner.refresh(old, lines, terms)
    }

    /// Takes out what is meant. A key or a tag is found at once; all else looks at every object, a
    /// quarter of a second for a million of them: not for workers.
    pub fn purge(&self, which: &Which, how: How) -> Purged {
        self.inner.purge(which, how)
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

/// Tells objects apart, without holding them.
fn place(object: Option<&Arc<Object>>) -> usize {
    object.map_or(0, |object| Arc::as_ptr(object).addr())
}

impl Inner {
    fn judge(&self, key: &KeyBuf, at: &[u8], held: Option<Arc<Object>>, now_ms: u64) -> Found {
        key.seen.set(place(held.as_ref()));
        let pass_until = held.as_deref().and_then(Object::pass_until);
        if let (Some(object), None) = (&held, pass_until)
            && object.is_current(now_ms)
        {
            return held.map_or(Found::Nothing, Found::Held);
        }
        if let Some(filling) = self.pendings.filling(at) {
            return Found::Filling(filling);
        }
        match (held, pass_until) {
            (_, Some(until)) if until > now_ms => Found::Pass,
            (Some(mark), Some(_)) => {
                self.memory.remove(&mark);
                key.seen.set(0);
                Found::Nothing
            }
            (Some(object), None) => Found::Held(object),
            (None, _) => Found::Nothing,
        }
    }

    /// Larger than all before, also after a restart: what is on disk has older ones.
    fn next_generation(&self, received_ms: u64) -> u64 {
        let next = |last: u64| Some((last + 1).max(received_ms << 16));
        let before = self.generation.fetch_update(Relaxed, Relaxed, next);
        before.map_or(0, |before| (before + 1).max(received_ms << 16))
    }

    /// Holds an object. False: it did not find room.
    fn insert(&self, object: &Arc<Object>) -> bool {
        if object.is_answer() {
            // Counted before it can be evicted.
            if let Some(site) = object.site() {
                site.entered(object);
            }
            self.tags.entered(object);
        }
        let mut is_in = true;
        for gone in self.memory.insert(Arc::clone(object)) {
            if Arc::ptr_eq(&gone, object) {
                is_in = false;
            } else if gone.key != object.key
                && let Some(site) = gone.site()
            {
                site.evicted();
            }
            self.left(&gone);
        }
        is_in
    }

    /// An object has left memory. A record's variants go with it: nobody finds them any more.
    fn left(&self, object: &Arc<Object>) {
        if let Some(variants) = object.variants() {
            for variant in variants.all() {
                self.remove(&variant);
            }
        } else if object.is_answer() {
            if let Some(site) = object.site() {
                site.left(object);
            }
            self.tags.left(object);
        }
    }

    /// Takes an object out. False: it was not there any more.
    fn remove(&self, object: &Arc<Object>) -> bool {
        let is_out = self.memory.remove(object);
        if is_out {
            self.left(object);
        }
        is_out
    }

    /// Puts a record of variants in its place, unless it is there.
    fn put_variants(&self, record: &Arc<Object>) {
        let held = self.memory.peek(&record.key);
        if place(held.as_ref()) != place(Some(record)) {
            self.insert(record);
        }
    }

    /// Remembers that answers to this are not for keeping. What is held makes room for the mark; a
    /// record of variants does not, its variants have marks of their own.
    fn mark_pass(&self, key: &[u8], until_ms: u64) {
        let held = self.memory.peek(key);
        if held.is_none_or(|object| object.variants().is_none()) {
            self.insert(&Arc::new(Object::of_pass(key.into(), until_ms)));
        }
    }

    /// Holds what was fetched, unless a purge has come since, or its variants are told apart by
    /// other fields now.
    fn keep(
        &self,
        mut object: Object,
        record: Option<&Arc<Object>>,
        epoch: u64,
    ) -> Result<Arc<Object>, &'static str> {
        let site = self.counters.site(&object.key);
        object.set_site(Arc::clone(&site));
        let object = Arc::new(object);
        let remembered = self.purges.read();
        if remembered.has(epoch, &object.key, object.tags()) {
            return Err("purged");
        }
        if let Some(record) = record {
            let now = self.memory.peek(&record.key);
            let is_other = now.is_some_and(|now| {
                !Arc::ptr_eq(&now, record) && (now.is_answer() || now.variants().is_some())
            });
            if is_other {
                return Err("vary-changed");
            }
            self.put_variants(record);
        }
        if !self.insert_with(record, &object) {
            return Err("no-room");
        }
        site.stored();
        Ok(object)
    }

    fn refresh(&self, old: &Arc<Object>, lines: Box<[u8]>, terms: Terms) -> Arc<Object> {
        let mut object = old.refreshed(lines, terms);
        if object.site().is_none() {
            object.set_site(self.counters.site(&old.key));
        }
        let object = Arc::new(object);
        let remembered = self.purges.read();
        if !remembered.searches(&old.key, old.tags()) {
            self.replace(old, &object);
        }
        object
    }

    /// One object for another, if that is still there. The lock on purges is held by the caller.
    fn replace(&self, old: &Arc<Object>, new: &Arc<Object>) -> bool {
        if place(self.memory.peek(&old.key).as_ref()) != place(Some(old)) {
            return false;
        }
        let record = self.memory.peek(key::primary(&new.key));
        let record = record.filter(|record| record.variants().is_some());
        self.insert_with(record.as_ref(), new)
    }

    /// Holds an object, and counts it among the variants of its record. The record must not leave
    /// without it: nobody would find it any more. So it is counted before it can be found, and the
    /// record is looked for afterwards.
    fn insert_with(&self, record: Option<&Arc<Object>>, object: &Arc<Object>) -> bool {
        let oldest = record.and_then(|record| record.variants()?.add(object));
        let is_in = self.insert(object);
        if let Some(oldest) = oldest {
            self.remove(&oldest);
        }
        let is_there = |record: &Arc<Object>| {
            let now = self.memory.peek(&record.key);
            now.is_some_and(|now| Arc::ptr_eq(&now, record))
        };
        if is_in && !record.is_none_or(is_there) {
            self.remove(object);
            return false;
        }
        is_in
    }

    /// What has a primary key, its variants and its slices, with their records.
    fn all_of(&self, primary: &[u8]) -> Vec<Arc<Object>> {
        let mut all = self.tags.slices(primary);
        let Some(object) = self.memory.peek(primary) else {
            return all;
        };
        if let Some(variants) = object.variants() {
            all.extend(variants.all());
        }
        all.push(object);
        all
    }

    fn purge(&self, which: &Which, how: How) -> Purged {
        let epoch = self.purges.begin(&mut self.purges.write(), which);
        self.pendings.purge(|key, tags| which.means(key, tags));
        let mut purged = Purged::default();
        match which {
            Which::Key(primary) => {
                let all = self.all_of(primary);
                all.iter()
                    .for_each(|object| self.purge_one(object, how, &mut purged));
            }
            Which::Tag(tag) => {
                let all = self.tags.all(tag);
                all.iter()
                    .for_each(|object| self.purge_one(object, how, &mut purged));
            }
            Which::All | Which::Prefix(_) | Which::Host(_) => {
                let meant = self.memory.iter().filter(|object| which.is_of(object));
                meant.for_each(|object| self.purge_one(&object, how, &mut purged));
            }
        }
        self.purges.end(epoch);
        purged
    }

    fn purge_one(&self, object: &Arc<Object>, how: How, purged: &mut Purged) {
        // Who would go with his record is counted before.
        if how == How::Hard
            && let Some(variants) = object.variants()
        {
            let all = variants.all();
            all.iter()
                .for_each(|variant| self.purge_one(variant, how, purged));
        }
        let is_done = match how {
            How::Hard => self.remove(object),
            How::Soft if object.is_answer() => {
                let marked = Arc::new(object.marked_stale());
                // Nobody brings anything in between the look and the act.
                let _remembered = self.purges.write();
                self.replace(object, &marked)
            }
            How::Soft => false,
        };
        if is_done {
            purged.add(object);
        }
    }
}
