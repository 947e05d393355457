//! What a store is made of, and how things come into memory and leave it.
//!
//! Locks, in the order in which they may be held together: the one on purges, then one of the table
//! of what is being fetched, then one of an answer's flow; the index, the tags and the counters let
//! go of theirs before they return.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    Found, How, KeyBuf, Purged, Settings, Which, below::Below, counters::Counters, filling::Budget,
    key, memory::Memory, purge::Purges, sweep::Through, tags::Tags, wait::Pendings,
};
use crate::{Object, Terms};

#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) settings: Settings,
    /// Bytes of the largest body in memory.
    pub(super) largest: u64,
    pub(super) memory: Memory,
    /// The disk, if there is one.
    pub(super) below: Option<Below>,
    pub(super) pendings: Pendings,
    pub(super) budget: Arc<Budget>,
    pub(super) purges: Purges,
    /// The ends of purges on disk: what was read before may be what they took out.
    pub(super) ends: Purges,
    pub(super) tags: Tags,
    pub(super) counters: Counters,
    pub(super) generation: AtomicU64,
    /// The newest time that was seen, milliseconds since 1970.
    pub(super) latest_ms: AtomicU64,
}

/// Tells objects apart, without holding them.
pub(super) fn place(object: Option<&Arc<Object>>) -> usize {
    object.map_or(0, |object| Arc::as_ptr(object).addr())
}

impl Inner {
    pub(super) fn judge(
        self: &Arc<Self>,
        key: &KeyBuf,
        at: &[u8],
        held: Option<Arc<Object>>,
        now_ms: u64,
    ) -> Found {
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
            (Some(object), None) => Found::Held(object),
            (mark, _) => {
                if let Some(mark) = mark {
                    self.memory.remove(&mark);
                    key.seen.set(0);
                }
                self.latest_ms.fetch_max(now_ms, Relaxed);
                self.read(at).map_or(Found::Nothing, Found::OnDisk)
            }
        }
    }

    /// Larger than all before, also after a restart: what is on disk has older ones.
    pub(super) fn next_generation(&self, received_ms: u64) -> u64 {
        let next = |last: u64| Some((last + 1).max(received_ms << 16));
        let before = self.generation.fetch_update(Relaxed, Relaxed, next);
        before.map_or(0, |before| (before + 1).max(received_ms << 16))
    }

    /// Holds an object. False: it did not find room.
    pub(super) fn insert(&self, object: &Arc<Object>) -> bool {
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
    pub(super) fn left(&self, object: &Arc<Object>) {
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
    pub(super) fn remove(&self, object: &Arc<Object>) -> bool {
        let is_out = self.memory.remove(object);
        if is_out {
            self.left(object);
        }
        is_out
    }

    /// Puts a record of variants in its place, unless it is there.
    pub(super) fn put_variants(&self, record: &Arc<Object>) {
        let held = self.memory.peek(&record.key);
        if place(held.as_ref()) != place(Some(record)) {
            self.insert(record);
            if let (Some(below), Some(variants)) = (&self.below, record.variants()) {
                below.write_record(&record.key, variants);
            }
        }
    }

    /// Remembers that answers to this are not for keeping. What is held makes room for the mark; a
    /// record of variants does not, its variants have marks of their own.
    pub(super) fn mark_pass(&self, key: &[u8], until_ms: u64) {
        let held = self.memory.peek(key);
        if held.is_none_or(|object| object.variants().is_none()) {
            self.insert(&Arc::new(Object::of_pass(key.into(), until_ms)));
            // On disk it would come to light again when the mark has gone.
            if let Some(below) = self.below.as_ref().filter(|below| below.disk.holds(key)) {
                below.disk.remove(key);
            }
        }
    }

    /// Holds what was fetched, unless a purge has come since, or its variants are told apart by
    /// other fields now.
    pub(super) fn keep(
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
        if let Some(below) = &self.below {
            below.write(&object);
        }
        Ok(object)
    }

    /// `epoch` is of the claim by which it was asked whether the old one holds.
    pub(super) fn refresh(
        &self,
        old: &Arc<Object>,
        lines: Box<[u8]>,
        terms: Terms,
        epoch: Option<u64>,
    ) -> Arc<Object> {
        let mut object = old.refreshed(lines, terms);
        if object.site().is_none() {
            object.set_site(self.counters.site(&old.key));
        }
        let object = Arc::new(object);
        let remembered = self.purges.read();
        if remembered.searches(&old.key, old.tags()) {
            return object;
        }
        let is_in = self.replace(old, &object);
        let Some(below) = &self.below else {
            return object;
        };
        // What came from disk and was not purged there since is as good as what is in memory.
        let is_below = || {
            let is_purged = |epoch| remembered.has(epoch, &old.key, old.tags());
            epoch.is_some_and(|epoch| !is_purged(epoch))
                && self.memory.peek(&old.key).is_none()
                && below.disk.holds(&old.key)
        };
        if is_in || is_below() {
            below.write_head(&object);
        }
        object
    }

    /// One object for another, if that is still there. The lock on purges is held by the caller.
    pub(super) fn replace(&self, old: &Arc<Object>, new: &Arc<Object>) -> bool {
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
    pub(super) fn insert_with(&self, record: Option<&Arc<Object>>, object: &Arc<Object>) -> bool {
        let oldest = record.and_then(|record| record.variants()?.add(object));
        let is_in = self.insert(object);
        if let Some(oldest) = oldest {
            self.remove(&oldest);
            if let Some(below) = &self.below {
                below.disk.remove(&oldest.key);
            }
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
    pub(super) fn all_of(&self, primary: &[u8]) -> Vec<Arc<Object>> {
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

    /// In this order: what is being fetched or read from here on finds the purge; nobody joins what
    /// was fetched before; memory; disk. Returns what the disk is waited for by.
    pub(super) fn purge(self: &Arc<Self>, which: &Which, how: How) -> (Purged, Option<Through>) {
        let epoch = self.purges.begin(&mut self.purges.write(), which);
        let through = match which.is_of_memory() {
            true => None,
            false => self.purge_below(which, how),
        };
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
        (purged, through)
    }

    pub(super) fn purge_one(&self, object: &Arc<Object>, how: How, purged: &mut Purged) {
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
