//! The queue before the writing thread: objects, and removals, which are never dropped.
//!
//! Whatever is done here about a hash is done under one lock, so that a removal meets an object in
//! exactly one place: queued (it is taken out), being written (its writing does not count) or in
//! the index. Lock order: this, then a shard of the index.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Settled, Taken,
    index::{Index, Place},
    record::Kind,
    waiting::Promise,
};
use crate::{Body, Object};

#[derive(Default)]
pub(super) struct Writes {
    state: Mutex<State>,
    called: Condvar,
}

#[derive(Default)]
struct State {
    /// Hashes in the order of their coming; one without an object was removed.
    order: VecDeque<u64>,
    objects: HashMap<u64, Arc<Object>>,
    bytes: u64,
    /// Each stands for an object that was in the index or being written, so there are no more than
    /// there were of those.
    marks: Vec<(u64, Kind)>,
    settling: Vec<Promise<Settled>>,
    flushing: Vec<(u64, Promise<()>)>,
    pushed: u64,
    popped: u64,
    writing: Option<u64>,
    is_cancelled: bool,
    resting_until: Option<Instant>,
    stage: Stage,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Running,
    /// What waits is written, nothing more is taken.
    Closing,
    /// There is no writing thread any more.
    Over,
}

/// What the writing thread is to do next.
pub(super) enum Work {
    Marks(Vec<(u64, Kind)>, Vec<Promise<Settled>>),
    Object(u64, Arc<Object>),
    Nothing,
}

/// Bounds of the queue.
pub(super) struct Bounds {
    pub(super) count: usize,
    pub(super) bytes: u64,
}

/// Bytes that a queued object keeps in memory.
fn weight(object: &Object) -> u64 {
    let body = match &object.body {
        Body::Memory(body) => body.len(),
        Body::Disk(_) => 0,
    };
    (object.key.len() + object.lines.len() + body) as u64
}

impl State {
    fn take(&mut self, hash: u64) -> Option<Arc<Object>> {
        let object = self.objects.remove(&hash)?;
        self.bytes -= weight(&object);
        Some(object)
    }

    /// What is known of a hash is no longer so. Removes it everywhere.
    fn remove(&mut self, hash: u64, index: &Index) -> Option<Place> {
        self.take(hash);
        let is_writing = self.writing == Some(hash);
        self.is_cancelled |= is_writing;
        let was = index.remove(hash);
        if was.is_some() || is_writing {
            self.marks.push((hash, Kind::Removal));
        }
        was
    }
}

impl Writes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an object. One that is not taken also takes an older one away: that must not be
    /// given once this one is forgotten.
    pub(super) fn push(
        &self,
        hash: u64,
        object: &Arc<Object>,
        bounds: &Bounds,
        index: &Index,
    ) -> Taken {
        let mut state = self.state();
        let former = state.take(hash);
        let bytes = state.bytes + weight(object);
        let has_no_place = former.is_none() && state.order.len() >= bounds.count;
        let taken = if state.resting_until.is_some() {
            Taken::Resting
        } else if state.stage != Stage::Running || has_no_place || bytes > bounds.bytes {
            Taken::Full
        } else {
            Taken::Queued
        };
        if taken == Taken::Queued {
            state.bytes = bytes;
            state.objects.insert(hash, Arc::clone(object));
            if former.is_none() {
                state.order.push_back(hash);
                state.pushed += 1;
            }
        } else {
            state.remove(hash, index);
        }
        drop(state);
        self.called.notify_one();
        taken
    }

    /// Removes what has this hash: queued, being written, or in the index.
    pub(super) fn remove(&self, hash: u64, index: &Index) -> Option<Place> {
        let was = self.state().remove(hash, index);
        self.called.notify_one();
        was
    }

    /// Removes it only if it is still there.
    pub(super) fn remove_at(&self, hash: u64, place: &Place, index: &Index) -> bool {
        let mut state = self.state();
        let is_removed = index.remove_at(hash, place);
        if is_removed {
            state.marks.push((hash, Kind::Removal));
        }
        drop(state);
        self.called.notify_one();
        is_removed
    }

    pub(super) fn mark_stale(&self, hash: u64, index: &Index) -> Option<Place> {
        let mut state = self.state();
        let was = if state.take(hash).is_some() || state.writing == Some(hash) {
            // It would come behind the mark. Rare enough to simply lose it.
            state.remove(hash, index)
        } else {
            let was = index.flag(hash, Place::STALE);
            if was.is_some() {
                state.marks.push((hash, Kind::Stale));
            }
            was
        };
        drop(state);
        self.called.notify_one();
        was
    }

    pub(super) fn settle(&self, promise: Promise<Settled>) {
        let mut state = self.state();
        if state.stage != Stage::Over {
            state.settling.push(promise);
        }
        drop(state);
        self.called.notify_one();
    }

    pub(super) fn flush(&self, promise: Promise<()>) {
        let mut state = self.state();
        let pushed = state.pushed;
        if state.stage != Stage::Over {
            state.flushing.push((pushed, promise));
        }
        drop(state);
        self.called.notify_one();
    }

    /// The writing thread has ended, however that came about: nobody waits for it any longer.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.stage = Stage::Over;
        state.settling.clear();
        state.flushing.clear();
    }

    pub(super) fn queued(&self) -> u64 {
        self.state().objects.len() as u64
    }

    /// No more objects; the thread does what is there and then gets `Nothing`.
    pub(super) fn close(&self) {
        self.state().stage = Stage::Closing;
        self.called.notify_all();
    }

    /// For the writing thread: blocks until there is something. The former work is done.
    pub(super) fn next(&self) -> Work {
        let mut state = self.state();
        loop {
            let popped = state.popped;
            let due = state.flushing.extract_if(.., |waits| waits.0 <= popped);
            let due: Vec<_> = due.collect();
            due.into_iter().for_each(|(_, promise)| promise.keep(()));

            let now = Instant::now();
            let rest = state
                .resting_until
                .map(|end| end.saturating_duration_since(now));
            // Who closes gets one more try for the removals.
            let rest = rest.filter(|left| !left.is_zero() && state.stage == Stage::Running);
            if rest.is_none() {
                state.resting_until = None;
                if !state.marks.is_empty() || !state.settling.is_empty() {
                    let state = &mut *state;
                    let marks = std::mem::take(&mut state.marks);
                    return Work::Marks(marks, std::mem::take(&mut state.settling));
                }
                if let Some(hash) = state.order.pop_front() {
                    state.popped += 1;
                    let Some(object) = state.take(hash) else {
                        continue;
                    };
                    state.writing = Some(hash);
                    return Work::Object(hash, object);
                }
            }
            let settling = std::mem::take(&mut state.settling);
            settling
                .into_iter()
                .for_each(|promise| promise.keep(Settled::NotYet));
            if state.stage != Stage::Running {
                return Work::Nothing;
            }
            state = match rest {
                Some(rest) => {
                    let waited = self.called.wait_timeout(state, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.called.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// For the writing thread: the object is on disk. False if it was removed meanwhile.
    pub(super) fn publish(&self, hash: u64, place: Place, index: &Index) -> bool {
        let mut state = self.state();
        state.writing = None;
        let is_cancelled = std::mem::take(&mut state.is_cancelled);
        if !is_cancelled {
            index.put(hash, place);
        }
        !is_cancelled
    }

    /// For the writing thread: the object is not on disk. An older one goes.
    pub(super) fn give_up(&self, hash: u64, index: &Index) {
        let mut state = self.state();
        state.writing = None;
        state.is_cancelled = false;
        if index.remove(hash).is_some() {
            state.marks.push((hash, Kind::Removal));
        }
    }

    /// For the writing thread: these marks are not on disk.
    pub(super) fn put_back(&self, marks: Vec<(u64, Kind)>) {
        let mut state = self.state();
        if state.stage == Stage::Running {
            state.marks.splice(0..0, marks);
        }
    }

    /// For the writing thread: nothing is written for so long. Returns how many objects are
    /// dropped; older ones go.
    pub(super) fn rest(&self, time: Duration, index: &Index) -> u64 {
        let mut state = self.state();
        state.resting_until = Some(Instant::now() + time);
        let hashes = std::mem::take(&mut state.order);
        let mut dropped = 0;
        for hash in hashes {
            state.popped += 1;
            dropped += u64::from(state.take(hash).is_some());
            state.remove(hash, index);
        }
        dropped
    }
}
