//! Waiting for something instead of sleeping: an event that one side fires and another awaits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the kit waits for anything unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Something that happens once. Clones share it.
#[derive(Clone, Default, Debug)]
pub struct Event(Arc<Flag>);

#[derive(Default, Debug)]
struct Flag {
    is_fired: Mutex<bool>,
    changed: Condvar,
}

impl Event {
    /// An event that has not happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody go on who waits for it, now or later.
    pub fn fire(&self) {
        *lock(&self.0.is_fired) = true;
        self.0.changed.notify_all();
    }

    /// Whether it has happened.
    #[must_use]
    pub fn is_fired(&self) -> bool {
        *lock(&self.0.is_fired)
    }

    /// Waits for it; `false` when `timeout` passed first.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let guard = lock(&self.0.is_fired);
        let (fired, _) = self
            .0
            .changed
            .wait_timeout_while(guard, timeout, |fired| !*fired)
            .unwrap_or_else(PoisonError::into_inner);
        *fired
    }
}

/// Asks `condition` every few milliseconds until it holds; `false` when `timeout` passed first.
/// For what only the operating system knows (descriptors, memory); everything else has an event.
#[must_use]
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Locks what a panicking test may have left locked: its data is still good for a report.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
