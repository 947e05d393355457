//! Deadlines, one per connection, at the price of one store.
//!
//! A proxy arms far more deadlines than it ever lets pass. Arming writes a number; a coarse
//! wheel looks at a connection only when its earliest listed deadline comes up, and lists it
//! again when that deadline has moved. The wheel is sans-IO: somebody calls
//! [`Timers::advance`] about every [`TICK`].

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

/// Resolution of all deadlines.
pub const TICK: Duration = Duration::from_millis(100);

/// A moment in ticks since the worker began.
pub type Tick = u64;

/// No deadline.
pub const NEVER: Tick = Tick::MAX;

/// Buckets of the wheel; deadlines further away are listed in the last and looked at again.
const BUCKETS: u64 = 512;

#[derive(Debug)]
struct Entry {
    deadline: Tick,
    /// The bucket in which a live listing of this entry lies; NEVER when there is none.
    listed: Tick,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Wheel {
    entries: Vec<Entry>,
    free: Vec<u32>,
    buckets: Vec<Vec<u32>>,
}

/// A worker's deadlines and its coarse clock.
#[derive(Debug)]
pub struct Timers {
    wheel: RefCell<Wheel>,
    now: Cell<Tick>,
}

/// One connection's deadline.
#[derive(Debug)]
pub struct Timer {
    timers: Rc<Timers>,
    slot: u32,
}

impl Default for Timers {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| Vec::new()).collect();
        Self {
            wheel: RefCell::new(Wheel {
                entries: Vec::new(),
                free: Vec::new(),
                buckets,
            }),
            now: Cell::new(0),
        }
    }
}

/// A duration in whole ticks, never too short.
#[must_use]
pub fn ticks(duration: Duration) -> Tick {
    let tick = TICK.as_nanos();
    u64::try_from(duration.as_nanos().div_ceil(tick)).map_or(NEVER, |ticks| ticks.saturating_add(1))
}

impl Timers {
    /// The coarse present.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.now.get()
    }

    /// A deadline that lies `duration` ahead; None is no deadline.
    #[must_use]
    pub fn after(&self, duration: Option<Duration>) -> Tick {
        duration.map_or(NEVER, |duration| self.now().saturating_add(ticks(duration)))
    }

    /// A new deadline, not armed.
    #[must_use]
    pub fn timer(self: &Rc<Self>) -> Timer {
        let mut wheel = self.wheel.borrow_mut();
        let entry = Entry {
            deadline: NEVER,
            listed: NEVER,
            waker: None,
        };
        let slot = match wheel.free.pop() {
            Some(slot) => {
                // A listing of the slot's former life may still lie in a bucket: it is told
                // apart by `listed`.
                wheel.entries[slot as usize] = entry;
                slot
            }
            None => {
                wheel.entries.push(entry);
                u32::try_from(wheel.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        Timer {
            timers: Rc::clone(self),
            slot,
        }
    }

    /// Moves the present forward and wakes whose deadline has passed.
    pub fn advance(&self, now: Tick) {
        let before = self.now.get();
        if now <= before {
            return;
        }
        self.now.set(now);
        let mut woken = Vec::new();
        let mut wheel = self.wheel.borrow_mut();
        // After a long stop every bucket is due, once.
        let first = (before + 1).max(now.saturating_sub(BUCKETS - 1));
        for tick in first..=now {
            let due = std::mem::take(&mut wheel.buckets[bucket(tick)]);
            for &slot in &due {
                if let Some(waker) = wheel.due(slot, now) {
                    woken.push(waker);
                }
            }
            let mut due = due;
            due.clear();
            if wheel.buckets[bucket(tick)].is_empty() {
                wheel.buckets[bucket(tick)] = due;
            }
        }
        drop(wheel);
        for waker in woken {
            waker.wake();
        }
    }

    /// Wakes everybody: something other than time has changed.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = self
            .wheel
            .borrow()
            .entries
            .iter()
            .filter_map(|entry| entry.waker.clone())
            .collect();
        for waker in wakers {
            waker.wake();
        }
    }
}

fn bucket(tick: Tick) -> usize {
    (tick % BUCKETS) as usize
}

impl Wheel {
    /// A listing of `slot` has come up.
    fn due(&mut self, slot: u32, now: Tick) -> Option<Waker> {
        let entry = &mut self.entries[slot as usize];
        if entry.listed > now {
            return None; // an old listing; the live one lies elsewhere
        }
        entry.listed = NEVER;
        if entry.deadline <= now {
            return entry.waker.clone();
        }
        self.list(slot, now);
        None
    }

    fn list(&mut self, slot: u32, now: Tick) {
        let entry = &mut self.entries[slot as usize];
        if entry.deadline == NEVER {
            return;
        }
        let tick = entry.deadline.clamp(now + 1, now + BUCKETS - 1);
        if tick < entry.listed {
            entry.listed = tick;
            self.buckets[bucket(tick)].push(slot);
        }
    }
}

impl Timer {
    /// Sets the deadline, replacing the former one.
    pub fn arm(&self, deadline: Tick) {
        let mut wheel = self.timers.wheel.borrow_mut();
        wheel.entries[self.slot as usize].deadline = deadline;
        if deadline < wheel.entries[self.slot as usize].listed {
            wheel.list(self.slot, self.timers.now());
        }
    }

    /// Has the deadline passed? If not, the task of `cx` is woken when it does.
    pub fn is_expired(&self, cx: &Context<'_>) -> bool {
        let mut wheel = self.timers.wheel.borrow_mut();
        let entry = &mut wheel.entries[self.slot as usize];
        if entry.deadline <= self.timers.now() {
            return true;
        }
        match &mut entry.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        false
    }

    /// The timers this one belongs to.
    #[must_use]
    pub fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut wheel = self.timers.wheel.borrow_mut();
        let entry = &mut wheel.entries[self.slot as usize];
        entry.deadline = NEVER;
        entry.waker = None;
        wheel.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        rc::Rc,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Wake, Waker},
        time::Duration,
    };

    use super::{NEVER, Timers, ticks};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_once_and_only_when_due() {
        let timers = Rc::new(Timers::default());
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let timer = timers.timer();
        timer.arm(10);
        assert!(!timer.is_expired(&cx));
        timers.advance(9);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timers.advance(10);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(timer.is_expired(&cx));
        timer.arm(NEVER);
        timers.advance(5000);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn deadlines_move_both_ways_and_far() {
        let timers = Rc::new(Timers::default());
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let timer = timers.timer();
        timer.arm(100);
        timer.arm(3000);
        assert!(!timer.is_expired(&cx));
        for now in 1..2999 {
            timers.advance(now);
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timer.arm(3001);
        timers.advance(3000);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timers.advance(3001);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_slot_used_again_forgets_its_former_life() {
        let timers = Rc::new(Timers::default());
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let first = timers.timer();
        first.arm(5);
        drop(first);
        let second = timers.timer();
        second.arm(20);
        assert!(!second.is_expired(&cx));
        timers.advance(19);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timers.advance(4000);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn many_random_deadlines_agree_with_a_list() {
        let timers = Rc::new(Timers::default());
        let cx = Context::from_waker(Waker::noop());
        let mut seed = 7u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        let mut all: Vec<_> = (0..50).map(|_| (timers.timer(), NEVER)).collect();
        for now in 1..4000 {
            timers.advance(now);
            let (timer, deadline) = &mut all[(random() % 50) as usize];
            *deadline = now + random() % 1500;
            timer.arm(*deadline);
            for (timer, deadline) in &all {
                assert_eq!(timer.is_expired(&cx), *deadline <= now);
            }
        }
    }

    #[test]
    fn durations_are_never_cut_short() {
        assert_eq!(ticks(Duration::from_millis(1)), 2);
        assert_eq!(ticks(Duration::from_millis(100)), 2);
        assert_eq!(ticks(Duration::from_secs(1)), 11);
        assert_eq!(ticks(Duration::MAX), NEVER);
    }
}
