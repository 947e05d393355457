//! What a thread of the disk owes to a caller: waited for with a `Waker`, or, where nothing else
//! runs, by blocking. One slot, one value, one who waits.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// A value that a thread of the disk is going to bring. Dropping it is allowed at any time: the
/// work is done or skipped, nobody is told.
#[derive(Debug)]
pub struct Waiting<T> {
    slot: Arc<Slot<T>>,
}

/// The other end. Dropping it unkept ends the waiting with `None`.
#[derive(Debug)]
pub(super) struct Promise<T> {
    slot: Arc<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<State<T>>,
    over: Condvar,
}

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    is_over: bool,
    waker: Option<Waker>,
}

impl<T> Slot<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, value: Option<T>) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        state.value = value;
        state.is_over = true;
        let waker = state.waker.take();
        drop(state);
        self.over.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A promise and who waits for it.
pub(super) fn promise<T>() -> (Promise<T>, Waiting<T>) {
    let slot = Arc::new(Slot {
        state: Mutex::new(State {
            value: None,
            is_over: false,
            waker: None,
        }),
        over: Condvar::new(),
    });
    let promise = Promise {
        slot: Arc::clone(&slot),
    };
    (promise, Waiting { slot })
}

impl<T> Waiting<T> {
    /// Ready with the value, or with `None` when there is none: it could not be read, or the disk
    /// was closed. Ready once; asked again afterwards it is `None`.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.slot.state();
        if state.is_over {
            return Poll::Ready(state.value.take());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Blocks this thread until it is ready, at most `patience`. Not for workers.
    #[must_use]
    pub fn wait(self, patience: Duration) -> Option<T> {
        let end = Instant::now() + patience;
        let mut state = self.slot.state();
        while !state.is_over {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.slot.over.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.value.take()
    }
}

impl<T> Future for Waiting<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Self::poll(self.get_mut(), cx)
    }
}

impl<T> Promise<T> {
    pub(super) fn keep(self, value: T) {
        self.slot.end(Some(value));
    }

    /// Has who waited gone?
    pub(super) fn is_forgotten(&self) -> bool {
        Arc::strong_count(&self.slot) == 1
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.slot.end(None);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Flag(Mutex<u32>);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    #[test]
    fn a_kept_promise_wakes_who_waits_and_is_ready_once() {
        let flag = Arc::new(Flag(Mutex::new(0)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut cx = Context::from_waker(&waker);
        let (promise, mut waiting) = promise();
        assert!(waiting.poll(&mut cx).is_pending());
        assert!(!promise.is_forgotten());
        promise.keep(7);
        assert_eq!(*flag.0.lock().unwrap(), 1);
        assert_eq!(waiting.poll(&mut cx), Poll::Ready(Some(7)));
        assert_eq!(waiting.poll(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_dropped_promise_ends_the_waiting_and_a_dropped_waiting_is_noticed() {
        let (owed, waiting) = promise::<u8>();
        drop(owed);
        assert_eq!(waiting.wait(Duration::from_secs(10)), None);
        let (owed, waiting) = promise::<u8>();
        drop(waiting);
        assert!(owed.is_forgotten());
    }
}
