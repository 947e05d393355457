//! A server's spare connections: idle ones that their worker has not needed lately, for any
//! worker to take before it dials.
//!
//! A worker's own shelf has no lock, and what it uses it keeps. It gives up only what has
//! rested for two ticks, so a connection moves where traffic is thin, and there a move (one
//! `epoll_ctl` to give, a look and one `epoll_ctl` to take) replaces a dial. The other way,
//! shelves under a lock which everybody may take from, would find a connection 200 ms sooner,
//! but lock on each take and keep, and under load connections would go to and fro between
//! workers that need one each: three system calls a request instead of none.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use croupier_net::{
    origin::{Spare, retain_quiet},
    timers::Tick,
};

/// Spares of one server; more stay with their workers. One `poll(2)` looks at all of them.
const SPARES_MAX: usize = 256;

/// A server's spare connections.
#[derive(Debug, Default)]
pub struct Spares {
    /// How many there are, so that nobody takes the lock in vain.
    len: AtomicUsize,
    /// The tick of the last sweep.
    swept: AtomicU64,
    /// The one given last lies last. Nobody waits, and nothing is closed, under this lock.
    shelf: Mutex<Vec<Given>>,
}

/// What one worker gave away of one server's connections and nobody has taken yet. They count as
/// its own where connections are bounded.
#[derive(Clone, Debug, Default)]
pub struct Giver(Arc<AtomicUsize>);

/// A spare, counted for its giver while it lies there.
#[derive(Debug)]
struct Given {
    spare: Spare,
    giver: Giver,
}

impl Giver {
    /// How many of its spares are still there.
    #[must_use]
    pub fn given(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn took_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsRef<Spare> for Given {
    fn as_ref(&self) -> &Spare {
        &self.spare
    }
}

impl Spares {
    /// How many there are, or were a moment ago.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// None, as far as is known?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more are welcome.
    #[must_use]
    pub fn room(&self) -> usize {
        SPARES_MAX.saturating_sub(self.len())
    }

    /// Gives spares away; how many were kept. What finds no room is closed.
    pub fn give(&self, mut spares: Vec<Spare>, giver: &Giver) -> usize {
        let mut shelf = self.lock();
        let kept = spares.len().min(SPARES_MAX.saturating_sub(shelf.len()));
        giver.0.fetch_add(kept, Ordering::Relaxed);
        shelf.extend(spares.drain(..kept).map(|spare| Given {
            spare,
            giver: giver.clone(),
        }));
        self.len.store(shelf.len(), Ordering::Relaxed);
        kept
    }

    /// Takes the one that was given last. Nobody has watched it: it may be old or dead.
    #[must_use]
    pub fn take(&self) -> Option<Spare> {
        if self.is_empty() {
            return None;
        }
        let mut shelf = self.lock();
        let given = shelf.pop();
        self.len.store(shelf.len(), Ordering::Relaxed);
        drop(shelf);
        let Given { spare, giver } = given?;
        giver.took_one();
        Some(spare)
    }

    /// Closes what rests since before `since` or is no longer quiet; how many that were. Of all
    /// the workers that come in one tick, the first does it.
    pub fn sweep(&self, now: Tick, since: Tick) -> usize {
        if self.is_empty() || self.swept.fetch_max(now, Ordering::Relaxed) >= now {
            return 0;
        }
        let closed = {
            let mut shelf = self.lock();
            let closed = retain_quiet(&mut shelf, |spare| spare.idle_since() >= since);
            self.len.store(shelf.len(), Ordering::Relaxed);
            closed
        };
        gone(&closed)
    }

    /// Closes all; how many that were.
    pub fn clear(&self) -> usize {
        let closed = {
            let mut shelf = self.lock();
            self.len.store(0, Ordering::Relaxed);
            std::mem::take(&mut *shelf)
        };
        gone(&closed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Given>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// They were taken out to be closed.
fn gone(closed: &[Given]) -> usize {
    for given in closed {
        given.giver.took_one();
    }
    closed.len()
}
