//! Many ask, one fetches: what is being fetched, and who waits for it.
//!
//! ```text
//! nothing --claim--> asking --begin--> arriving --finish--> nothing (the object is in memory)
//!                      |                  `-- broken, passing, purged --> nothing
//!                      `-- dropped, passed, purged --> nothing; who waits looks up again
//! ```

use std::{
    collections::HashMap,
    future::Future,
    hash::BuildHasher,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use foldhash::quality::RandomState;

use super::filling::{Filling, Shared};

/// Parts of the table, each with its lock.
const SHARDS: usize = 16;
/// Who asks when so many wait already fetches for himself.
const WAITERS_MAX: usize = 16_384;

/// What others wait for: one end, told to all of them at once.
#[derive(Debug, Default)]
pub(super) struct End {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_over: bool,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl End {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all. Who comes later does not wait.
    pub(super) fn come(&self) {
        let mut state = self.state();
        state.is_over = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    fn is_full(&self) -> bool {
        let state = self.state();
        state.wakers.len() - state.free.len() >= WAITERS_MAX
    }
}

/// Somebody else is asking already: wait, then look up again.
#[derive(Debug)]
pub struct Waiting {
    /// None: there is nothing to wait for any more.
    end: Option<Arc<End>>,
    place: Option<usize>,
}

impl Waiting {
    pub(super) fn over() -> Self {
        Self {
            end: None,
            place: None,
        }
    }

    fn on(end: Arc<End>) -> Self {
        Self {
            end: Some(end),
            place: None,
        }
    }

    /// Ready when it is worth looking up again.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(end) = &self.end else {
            return Poll::Ready(());
        };
        let mut state = end.state();
        if state.is_over {
            return Poll::Ready(());
        }
        let place = match self.place {
            Some(place) => place,
            None => state.free.pop().unwrap_or_else(|| {
                state.wakers.push(None);
                state.wakers.len() - 1
            }),
        };
        self.place = Some(place);
        match &mut state.wakers[place] {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll(self.get_mut(), cx)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (Some(end), Some(place)) = (&self.end, self.place) else {
            return;
        };
        let mut state = end.state();
        if !state.is_over {
            state.wakers[place] = None;
            state.free.push(place);
        }
    }
}

/// One key that is being fetched.
#[derive(Debug)]
enum Pending {
    Asking(Arc<End>),
    Arriving(Arc<Shared>),
}

/// What a claim comes to.
pub(super) enum Claimed {
    /// It is yours.
    Yours(Arc<End>),
    /// Somebody else has it.
    Wait(Waiting),
    /// Too many wait: fetch without a claim.
    Crowd,
}

type Shard = HashMap<Arc<[u8]>, Pending, RandomState>;

/// All that is being fetched. Bounded by the number of exchanges: each entry is taken out by the
/// `Fill` or `Writer` that it belongs to.
#[derive(Debug)]
pub(super) struct Pendings {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

impl Pendings {
    pub(super) fn new() -> Self {
        let hasher = RandomState::default();
        let shard = || Mutex::new(Shard::with_hasher(hasher.clone()));
        let shards = std::array::from_fn(|_| shard());
        Self { hasher, shards }
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        // The table uses the lowest and the highest bits.
        let at = (self.hasher.hash_one(key) >> 32) as usize % SHARDS;
        lock(&self.shards[at])
    }

    /// What is arriving under this key, with a place at its beginning.
    pub(super) fn filling(&self, key: &[u8]) -> Option<Filling> {
        match self.shard(key).get(key) {
            Some(Pending::Arriving(shared)) => Filling::of(shared),
            _ => None,
        }
    }

    pub(super) fn claim(&self, key: &Arc<[u8]>) -> Claimed {
        let mut shard = self.shard(key);
        match shard.get(key) {
            None => {
                let end = Arc::<End>::default();
                shard.insert(Arc::clone(key), Pending::Asking(Arc::clone(&end)));
                Claimed::Yours(end)
            }
            Some(Pending::Asking(end)) if end.is_full() => Claimed::Crowd,
            Some(Pending::Asking(end)) => Claimed::Wait(Waiting::on(Arc::clone(end))),
            Some(Pending::Arriving(_)) => Claimed::Wait(Waiting::over()),
        }
    }

    /// The claim is given up, if it is still in force. Wakes nobody.
    pub(super) fn release(&self, key: &[u8], end: &Arc<End>) {
        let mut shard = self.shard(key);
        let is_it = matches!(shard.get(key), Some(Pending::Asking(one)) if Arc::ptr_eq(one, end));
        if is_it {
            shard.remove(key);
        }
    }

    /// Something arrives under this key from now on, unless somebody else's does.
    pub(super) fn begin(&self, key: &Arc<[u8]>, own: Option<&Arc<End>>, shared: &Arc<Shared>) {
        let mut shard = self.shard(key);
        let is_free = match shard.get(key) {
            None => true,
            Some(Pending::Asking(end)) => own.is_some_and(|own| Arc::ptr_eq(own, end)),
            Some(Pending::Arriving(_)) => false,
        };
        if is_free {
            shard.insert(Arc::clone(key), Pending::Arriving(Arc::clone(shared)));
        }
    }

    /// It arrives no more, or nobody may join any more.
    pub(super) fn end(&self, key: &[u8], shared: &Arc<Shared>) {
        let mut shard = self.shard(key);
        let is_it =
            matches!(shard.get(key), Some(Pending::Arriving(one)) if Arc::ptr_eq(one, shared));
        if is_it {
            shard.remove(key);
        }
    }

    /// Takes out what a purge is about; who waited asks anew.
    pub(super) fn purge(&self, is_meant: impl Fn(&[u8], &[Box<[u8]>]) -> bool) {
        for shard in &self.shards {
            let mut ends = Vec::new();
            lock(shard).retain(|key, pending| {
                let tags = match pending {
                    Pending::Asking(_) => &[],
                    Pending::Arriving(shared) => shared.tags(),
                };
                let goes = is_meant(key, tags);
                if let (true, Pending::Asking(end)) = (goes, pending) {
                    ends.push(Arc::clone(end));
                }
                !goes
            });
            for end in ends {
                end.come();
            }
        }
    }

    /// How many keys are being fetched.
    pub(super) fn count(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
