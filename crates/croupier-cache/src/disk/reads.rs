//! The threads that read, and the bounded queue before them.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{Cursor, Page, extent::Extent, read, shared::Shared, waiting::Promise};
use crate::Object;

/// What a thread is to read.
pub(super) enum Job {
    Object {
        hash: u64,
        key: Box<[u8]>,
        promise: Promise<Object>,
    },
    Block {
        extent: Extent,
        at: u64,
        promise: Promise<Box<[u8]>>,
    },
    Page {
        after: Cursor,
        count_max: usize,
        promise: Promise<Page>,
    },
}

impl Job {
    /// Has who asked gone?
    fn is_forgotten(&self) -> bool {
        match self {
            Self::Object { promise, .. } => promise.is_forgotten(),
            Self::Block { promise, .. } => promise.is_forgotten(),
            Self::Page { promise, .. } => promise.is_forgotten(),
        }
    }

    fn run(self, shared: &Arc<Shared>) {
        match self {
            Self::Object { hash, key, promise } => {
                if let Some(object) = read::object(shared, hash, &key) {
                    promise.keep(object);
                }
            }
            Self::Block {
                extent,
                at,
                promise,
            } => {
                if let Some(bytes) = read::block(shared, &extent, at) {
                    promise.keep(bytes);
                }
            }
            Self::Page {
                after,
                count_max,
                promise,
            } => promise.keep(read::page(shared, after, count_max)),
        }
    }
}

pub(super) struct Reads {
    state: Mutex<State>,
    called: Condvar,
    count_max: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl Reads {
    pub(super) fn new(count_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            called: Condvar::new(),
            count_max,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when too many wait.
    pub(super) fn push(&self, job: Job) -> bool {
        let mut state = self.state();
        if state.is_closed || state.jobs.len() >= self.count_max {
            return false;
        }
        state.jobs.push_back(job);
        drop(state);
        self.called.notify_one();
        true
    }

    /// What waits is dropped, and so are its promises.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
        self.called.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            match state.jobs.pop_front() {
                Some(job) if job.is_forgotten() => {}
                Some(job) => return Some(job),
                None => {
                    let waited = self.called.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// The body of a reading thread.
pub(super) fn run(shared: &Arc<Shared>) {
    while let Some(job) = shared.reads.next() {
        job.run(shared);
    }
}
