//! The line of one pool, shared by the workers that wait in it and those that call.
//!
//! A meeting place: entered when a request finds no server, and when a slot comes free while
//! somebody waits. Otherwise it costs one load.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use super::line::{Line, Standing, Ticket};

/// Who waits for a server of a pool.
#[derive(Debug, Default)]
pub struct Queue {
    line: Mutex<Line<Waker>>,
    /// Length of the line.
    waiting: AtomicUsize,
    /// Requests that ever waited, and that waited in vain.
    queued: AtomicU64,
    timeouts: AtomicU64,
    /// Requests that found the line full.
    full: AtomicU64,
}

impl Queue {
    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Requests that have waited since the process began.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// Those of them whose time was over before a server was free.
    #[must_use]
    pub fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }

    /// Requests that were refused because too many waited.
    #[must_use]
    pub fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }

    /// A place in the line, already called. None when `bound` are waiting.
    pub fn enqueue(&self, priority: u8, deadline: u64, bound: usize) -> Option<Ticket> {
        let ticket = self.with(|line| line.enqueue(priority, deadline, bound));
        let counter = if ticket.is_some() {
            &self.queued
        } else {
            &self.full
        };
        counter.fetch_add(1, Ordering::Relaxed);
        ticket
    }

    /// Where this one stands; while it waits, `waker` is what wakes it.
    pub fn poll(&self, ticket: Ticket, waker: &Waker) -> Standing {
        // The old waker is dropped outside of the lock: it may run foreign code.
        let (standing, _old) = self.with(|line| {
            let standing = line.standing(ticket);
            let waits = standing == Standing::Waiting;
            let old = waits.then(|| line.set_wake(ticket, waker.clone()));
            (standing, old)
        });
        standing
    }

    /// Called in vain: it waits on at its place.
    pub fn back(&self, ticket: Ticket) {
        self.with(|line| line.back(ticket));
    }

    /// Leaves the line, served or not.
    pub fn leave(&self, ticket: Ticket) {
        let next = self.with(|line| line.leave(ticket));
        if let Some(next) = next {
            next.wake();
        }
    }

    /// Something came free: the first that waits is called, and calls the next when it was
    /// served. So one call is enough however much came free.
    pub fn wake(&self) {
        // The pair of `with`: who joins writes the length and then looks for a free slot, who
        // frees a slot does so and then reads the length. In the one order of all sequentially
        // consistent accesses at least one of them sees the other.
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(first) = self.with(Line::wake_next) {
            first.wake();
        }
    }

    /// Sends away whose time is over at `now`.
    pub fn expire(&self, now: u64) {
        if self.waiting() == 0 {
            return;
        }
        let (gone, late) = self.with(|line| {
            let before = line.len();
            let late = line.expire(now);
            (before - line.len(), late)
        });
        self.timeouts
            .fetch_add(u64::try_from(gone).unwrap_or(0), Ordering::Relaxed);
        late.into_iter().for_each(Waker::wake);
    }

    /// One more waited in vain, as its own clock says.
    pub fn count_timeout(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    fn with<R>(&self, f: impl FnOnce(&mut Line<Waker>) -> R) -> R {
        let mut line: MutexGuard<'_, Line<Waker>> =
            self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut line);
        // SeqCst: see `wake`.
        self.waiting.store(line.len(), Ordering::SeqCst);
        result
    }
}
