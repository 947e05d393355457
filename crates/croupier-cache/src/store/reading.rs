//! An object on its way from the disk: read once for all who ask at once.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering::Relaxed},
    task::{Context, Poll, Wake, Waker},
};

use super::{How, Inner, below, key, purge::Remembered};
use crate::{Body, Object, Rules, disk};

/// Reads of objects that are forgotten only now and then.
const FORGOTTEN_MAX: usize = 1024;

/// What came from the disk.
#[derive(Clone, Debug)]
pub enum Brought {
    /// The object. Whether it may be given is for the rules to say.
    Object(Arc<Object>),
    /// Something that helps to find it: look up again.
    Again,
    /// It is not there after all, or not for giving any more: make a claim, as if nothing had been
    /// found.
    Nothing,
}

/// Waits for an object from the disk.
#[derive(Debug)]
pub struct Reading {
    store: Arc<Inner>,
    read: Arc<Read>,
    place: Option<usize>,
}

/// One read, which several may wait for. It wakes them all when the disk wakes it. The disk's threads
/// hold it, so it holds neither store nor disk.
#[derive(Debug)]
pub(super) struct Read {
    key: Box<[u8]>,
    /// The last purge before it was read, and the last one that had an end on disk.
    epochs: (u64, u64),
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiting: disk::Waiting<Object>,
    brought: Option<Brought>,
    wakers: Vec<Option<Waker>>,
}

impl Read {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        let wakers: Vec<_> = self.state().wakers.iter_mut().map(Option::take).collect();
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Wake for Read {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

impl Reading {
    /// Ready when it is there or turns out not to be.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Brought> {
        let read = &self.read;
        let mut state = read.state();
        if let Some(brought) = &state.brought {
            return Poll::Ready(brought.clone());
        }
        let waker = Waker::from(Arc::clone(read));
        let object = match state.waiting.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(object) => object,
            Poll::Pending => {
                let place = *self.place.get_or_insert_with(|| {
                    state.wakers.push(None);
                    state.wakers.len() - 1
                });
                state.wakers[place] = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        let brought = self.store.brought(object, read.epochs);
        state.brought = Some(brought.clone());
        drop(state);
        // Who comes from now on reads anew: by then it may have been purged.
        self.store.forget_read(read);
        read.wake_all();
        Poll::Ready(brought)
    }
}

impl Future for Reading {
    type Output = Brought;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Brought> {
        Self::poll(self.get_mut(), cx)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.read.state().wakers[place] = None;
        }
    }
}

impl Inner {
    /// Begins to read what has this key, or joins who does. None: it is not on disk, or the disk
    /// is too busy.
    pub(super) fn read(self: &Arc<Self>, key: &[u8]) -> Option<Reading> {
        let below = self.below.as_ref()?;
        if !below.disk.holds(key) {
            return None;
        }
        // Read before the disk is asked, so that a purge from here on counts.
        let epochs = (self.purges.epoch(), self.ends.epoch());
        let mut reads = below.reads();
        let going = reads.get(key).and_then(Weak::upgrade);
        let read = match going {
            // What was begun before a purge is not for who asks after it.
            Some(read) if read.epochs == epochs => read,
            _ => {
                let waiting = below.disk.read(key)?;
                let read = Arc::new(Read {
                    key: key.into(),
                    epochs,
                    state: Mutex::new(State {
                        waiting,
                        brought: None,
                        wakers: Vec::new(),
                    }),
                });
                if reads.len() >= FORGOTTEN_MAX {
                    reads.retain(|_, read| read.strong_count() > 0);
                }
                reads.insert(key.into(), Arc::downgrade(&read));
                read
            }
        };
        drop(reads);
        Some(Reading {
            store: Arc::clone(self),
            read,
            place: None,
        })
    }

    fn forget_read(&self, read: &Arc<Read>) {
        let Some(below) = &self.below else { return };
        let mut reads = below.reads();
        let is_it = |one: &Weak<Read>| std::ptr::eq(one.as_ptr(), Arc::as_ptr(read));
        if reads.get(&read.key).is_some_and(is_it) {
            reads.remove(&read.key);
        }
    }

    fn brought(&self, object: Option<Object>, epochs: (u64, u64)) -> Brought {
        let (Some(object), Some(below)) = (object, &self.below) else {
            return Brought::Nothing;
        };
        if let Some(record) = below::record(&object) {
            return self.brought_record(record, object.terms.rules, epochs);
        }
        let mut object = below::restored(object);
        let remembered = self.purges.read();
        if self.has_gone(&remembered, epochs, &object.key, object.tags()) {
            return Brought::Nothing;
        }
        let record = self.memory.peek(key::primary(&object.key));
        let record = record.filter(|record| record.variants().is_some());
        let marked_until = record
            .as_ref()
            .and_then(|record| Some(record.variants()?.stale_until()));
        match below.sweeps.would(&object.key, object.tags()) {
            Some(How::Hard) => return Brought::Nothing,
            Some(How::Soft) => object = object.marked_stale(),
            None if marked_until.is_some_and(|until| object.terms.received_ms <= until) => {
                object = object.marked_stale();
            }
            None => {}
        }
        object.set_site(self.counters.site(&object.key));
        let object = Arc::new(object);
        // A large body stays where it is: it is sent from there.
        let is_small =
            matches!(&object.body, Body::Memory(body) if body.len() as u64 <= self.largest);
        if is_small && below.is_again(&object.key) && self.memory.peek(&object.key).is_none() {
            self.insert_with(record.as_ref(), &object);
        }
        Brought::Object(object)
    }

    fn brought_record(&self, record: Object, rules: Rules, epochs: (u64, u64)) -> Brought {
        let (Some(variants), Some(below)) = (record.variants(), &self.below) else {
            return Brought::Nothing;
        };
        let remembered = self.purges.read();
        let is_swept = below.sweeps.would(&record.key, &[]) == Some(How::Hard);
        if is_swept || self.has_gone(&remembered, epochs, &record.key, &[]) {
            return Brought::Nothing;
        }
        if rules.has(Rules::MARKED_STALE) {
            variants.mark_stale(self.latest_ms.load(Relaxed));
            below.write_record(&record.key, variants);
        }
        if self.memory.peek(&record.key).is_some() || self.insert(&Arc::new(record)) {
            return Brought::Again;
        }
        Brought::Nothing
    }

    /// Has a purge come or ended on disk since it was read?
    fn has_gone(
        &self,
        remembered: &Remembered,
        (begun, ended): (u64, u64),
        key: &[u8],
        tags: &[Box<[u8]>],
    ) -> bool {
        remembered.has(begun, key, tags) || self.ends.read().has(ended, key, tags)
    }
}
