//! Purges on disk: what is meant is found by walking along all of it, by a thread that is there as
//! long as there is something to sweep. Until then what is meant is not given.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{How, Inner, Purged, Which, below};
use crate::disk::{Cursor, Disk, Settled};

/// Purges that may wait for the broom. One more, and all of the disk is swept.
const WAITING_MAX: usize = 256;
/// Records of a page.
const PAGE: usize = 256;
/// The disk is asked for a page this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages that may fail, one after another, before a sweep is given up.
const FAILURES_MAX: u32 = 30;

/// What is to be swept.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// With the numbers of those who wait for them.
    waiting: Vec<(u64, Which, How)>,
    /// What is being swept now.
    now: Vec<(u64, Which, How)>,
    is_running: bool,
    last: u64,
    /// What the last ones found, for those who wait.
    found: Vec<(u64, Swept)>,
}

/// What a sweep found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Objects, whether they were in memory too or not, with the bytes of their keys, heads and
    /// bodies.
    pub purged: Purged,
    /// Whether it would survive a crash; none when the disk could not be read to its end in time.
    pub settled: Option<Settled>,
}

impl Sweeps {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What would become of an object, if the broom had come to it already.
    pub(super) fn would(&self, key: &[u8], tags: &[Box<[u8]>]) -> Option<How> {
        let state = self.state();
        let all = state.waiting.iter().chain(&state.now);
        let meant = all.filter(|(_, which, _)| which.means(key, tags));
        let mut hows = meant.map(|(_, _, how)| *how);
        let first = hows.next()?;
        Some(hows.fold(first, |one, other| match (one, other) {
            (How::Soft, How::Soft) => How::Soft,
            _ => How::Hard,
        }))
    }

    /// Puts a purge in line. Returns its number, and whether a thread must be started.
    fn push(&self, which: &Which, how: How) -> (u64, Start) {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        // Too many: all of it then, as hard as the hardest.
        if state.waiting.len() >= WAITING_MAX {
            let is_hard =
                how == How::Hard || state.waiting.iter().any(|(_, _, how)| *how == How::Hard);
            let how = if is_hard { How::Hard } else { How::Soft };
            state.waiting.clear();
            state.waiting.push((number, Which::All, how));
        } else {
            state.waiting.push((number, which.clone(), how));
        }
        let start = if state.is_running {
            Start::No
        } else {
            Start::Yes
        };
        state.is_running = true;
        (number, start)
    }

    /// Waits until a purge is through.
    pub(super) fn wait(&self, number: u64, patience: Duration) -> Option<Swept> {
        let end = Instant::now() + patience;
        let mut state = self.state();
        loop {
            // What was merged into a later one is through with it.
            if let Some((_, swept)) = state.found.iter().find(|(found, _)| *found >= number) {
                return Some(*swept);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.over.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Yes,
    No,
}

/// What a purge on disk is waited for by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Through {
    /// It is in force, and has found this; it must still become durable.
    Settling(Purged),
    /// The sweep with this number.
    Sweep(u64),
}

impl below::Below {
    pub(super) fn wait(&self, through: Through, patience: Duration) -> Option<Swept> {
        match through {
            Through::Settling(purged) => Some(Swept {
                purged,
                settled: self.disk.settle().wait(patience),
            }),
            Through::Sweep(number) => self.sweeps.wait(number, patience),
        }
    }
}

impl Inner {
    /// Purges on disk, or begins to.
    pub(super) fn purge_below(self: &Arc<Self>, which: &Which, how: How) -> Option<Through> {
        let Which::Key(key) = which else {
            return self.sweep(which, how).map(Through::Sweep);
        };
        let below = self.below.as_ref()?;
        let record = self.memory.peek(key);
        let variants = record.as_deref().and_then(crate::Object::variants);
        let was = match (how, variants) {
            // Its variants are found by nobody any more.
            (How::Hard, _) => below.disk.remove(key),
            (How::Soft, None) => below.disk.mark_stale(key),
            (How::Soft, Some(variants)) => {
                variants.mark_stale(self.latest_ms.load(Relaxed));
                below.write_record(key, variants);
                None
            }
        };
        self.ended_below(which);
        let purged = Purged {
            objects: u64::from(was.is_some()),
            bytes: was.unwrap_or(0),
        };
        Some(Through::Settling(purged))
    }

    /// What was read before may be what has just been taken out.
    fn ended_below(&self, which: &Which) {
        let epoch = self.ends.begin(&mut self.ends.write(), which);
        self.ends.end(epoch);
    }

    /// Begins to sweep the disk. Returns the number to wait for.
    fn sweep(self: &Arc<Self>, which: &Which, how: How) -> Option<u64> {
        let below = self.below.as_ref()?;
        let (number, start) = below.sweeps.push(which, how);
        if start == Start::Yes {
            let inner = Arc::clone(self);
            let thread = thread::Builder::new().name("cache-sweep".into());
            if thread.spawn(move || inner.run_sweeps()).is_err() {
                // It stays in line, so that nothing of it is given; the next purge tries again.
                below.sweeps.state().is_running = false;
            }
        }
        Some(number)
    }

    fn run_sweeps(&self) {
        let Some(below) = &self.below else { return };
        loop {
            let mut state = below.sweeps.state();
            state.now = std::mem::take(&mut state.waiting);
            let now = state.now.clone();
            if now.is_empty() {
                state.is_running = false;
                return;
            }
            drop(state);
            let swept = walk(&below.disk, &now);
            let settled = swept.is_some().then(|| below.disk.settle().wait(PATIENCE));
            now.iter().for_each(|(_, which, _)| self.ended_below(which));
            let mut state = below.sweeps.state();
            for ((number, ..), purged) in now.iter().zip(swept.into_iter().flatten()) {
                let settled = settled.flatten();
                state.found.push((*number, Swept { purged, settled }));
            }
            let too_many = state.found.len().saturating_sub(WAITING_MAX * 2);
            state.found.drain(..too_many);
            // What could not be swept stays in force as long as the process lives.
            match settled {
                Some(_) => state.now.clear(),
                None => {
                    state.is_running = false;
                    let now = std::mem::take(&mut state.now);
                    state.waiting.splice(..0, now);
                    return;
                }
            }
            drop(state);
            below.sweeps.over.notify_all();
        }
    }
}

/// Walks along the disk once for all of these; what each of them found. None: it could not be read
/// to its end.
fn walk(disk: &Disk, sweeps: &[(u64, Which, How)]) -> Option<Vec<Purged>> {
    // What waits to be written would come behind the broom.
    disk.flush().wait(PATIENCE)?;
    let mut found = vec![Purged::default(); sweeps.len()];
    let mut after = Cursor::default();
    let mut failures = 0;
    loop {
        let page = disk
            .entries(after, PAGE)
            .and_then(|page| page.wait(PATIENCE));
        let Some(page) = page else {
            failures += 1;
            if failures >= FAILURES_MAX {
                return None;
            }
            // The disk is busy: a moment later it has read what waits.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        failures = 0;
        for entry in &page.entries {
            let (end, tags) = below::tags(&entry.lines);
            for ((_, which, how), purged) in sweeps.iter().zip(&mut found) {
                if !which.means(&entry.key, &tags) {
                    continue;
                }
                let is_record = entry.status == 0;
                let was = match how {
                    How::Hard => disk.remove(&entry.key),
                    // A record says nothing about the freshness of its variants.
                    How::Soft if is_record => None,
                    How::Soft => disk.mark_stale(&entry.key),
                };
                if was.is_some() && !is_record {
                    purged.objects += 1;
                    purged.bytes += (entry.key.len() + end) as u64 + entry.length;
                }
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Some(found),
        }
    }
}
