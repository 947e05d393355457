//! How busy a server is, over all workers, and the guards that say so.
//!
//! Each server has a line of the cache for its counts: they are written with every attempt, the
//! marks beside them are only read.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::{
    Server,
    health::{Admit, Role},
};

/// What is counted with every attempt.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Load {
    /// Attempts in flight.
    pub(super) busy: AtomicU32,
    /// Open connections.
    pub(super) connections: AtomicU32,
    /// Successes while a window is open.
    pub(super) succeeded: AtomicU32,
    /// Of whoever measures it, packed.
    pub(super) latency: AtomicU64,
    /// Those who wait for room for one more connection, and how many the last of them may have.
    seekers: AtomicU32,
    connections_max: AtomicU32,
}

impl Server {
    /// Somebody waits for room for one more connection than `max`, until [`Self::found`].
    pub(crate) fn sought(&self, max: u32) {
        self.load.connections_max.store(max, Ordering::Relaxed);
        self.load.seekers.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits no more.
    pub(crate) fn found(&self) {
        self.load.seekers.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many wait for room, over all workers.
    #[must_use]
    pub(crate) fn seekers(&self) -> u32 {
        self.load.seekers.load(Ordering::Relaxed)
    }

    /// Connections it may have, as whoever waited last knows it.
    #[must_use]
    pub(crate) fn connections_max(&self) -> u32 {
        self.load.connections_max.load(Ordering::Relaxed)
    }
}

/// An attempt in flight at a server, with the role in which it was let in. Dropping it ends it;
/// a probe that was dropped without a word makes room for another.
#[derive(Debug)]
pub struct Busy {
    server: Arc<Server>,
    admit: Admit,
    is_reported: bool,
}

impl Busy {
    /// Adds an attempt unless `max` are in flight; 0 is no limit.
    pub(super) fn enter(server: &Arc<Server>, max: u32, admit: Admit) -> Option<Self> {
        if !add(&server.load.busy, max) {
            return None;
        }
        Some(Self {
            server: Arc::clone(server),
            admit,
            is_reported: false,
        })
    }

    /// Whose attempt it is.
    #[must_use]
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The role in which it was let in.
    #[must_use]
    pub fn admit(&self) -> Admit {
        self.admit
    }

    pub(super) fn reported(&mut self) {
        self.is_reported = true;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.admit.role == Role::Probe && !self.is_reported {
            self.server.withdraw(self.admit);
        }
        // SeqCst: the pair is in `Queue::wake`.
        self.server.load.busy.fetch_sub(1, Ordering::SeqCst);
        self.server.queue.wake();
    }
}

/// An open connection to a server; dropping it says that it closed.
#[derive(Debug)]
pub struct Connected {
    server: Arc<Server>,
}

impl Connected {
    /// Counts one more connection unless there are `max`; 0 is no limit.
    #[must_use]
    pub fn open(server: &Arc<Server>, max: u32) -> Option<Self> {
        add(&server.load.connections, max).then(|| Self {
            server: Arc::clone(server),
        })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.server.load.connections.fetch_sub(1, Ordering::SeqCst);
        self.server.queue.wake();
    }
}

/// Adds one below `max`. Never exceeds it for a moment: an overshoot would turn away somebody
/// for whom there is room, and nobody would wake him.
fn add(count: &AtomicU32, max: u32) -> bool {
    if max == 0 {
        count.fetch_add(1, Ordering::SeqCst);
        return true;
    }
    let more = |now: u32| (now < max).then_some(now + 1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
        .is_ok()
}
