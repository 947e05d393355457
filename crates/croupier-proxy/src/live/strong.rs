//! The thread that encodes kept answers as hard as it can, once for all who get them.
//!
//! Who gives an answer asks for it and does not wait; what was made is found with the answer later.
//! One thread of the lowest priority, begun by the first who asks, and never busy for longer than
//! its share: after a job it rests. See `docs/decisions/0032-encoded-once.md`.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use croupier_cache::{
    forms::{Form, Made},
    store::Store,
};
use croupier_coding::{
    Coding, Level,
    dictionary::{self, Shared},
    encode_whole,
};
use croupier_config::model::Percent;
use croupier_net::digest::sha256;

use super::shelf::{Dictionary, Shelf};

/// Jobs that wait. Who finds it full asks again with a later request.
const JOBS_MAX: usize = 64;
/// Bodies above this are encoded while their clients wait, as before: brotli takes seconds for a
/// megabyte, and many times its memory.
pub const BYTES_MAX: usize = 8 << 20;
/// What saves less than this of a body is no form of it, percent: not worth its decoding.
const SAVING_MIN: usize = 5;

/// What is to be made of a body.
#[derive(Clone, Debug)]
pub enum Work {
    /// This coding of it.
    Encode(Coding),
    /// The same against a dictionary.
    Against(Shared, Arc<Dictionary>),
    /// A dictionary, of that origin, for what matches.
    Dictionary(Box<[u8]>, Box<str>),
}

/// A kept answer, and what is to be made of its body.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where it is kept.
    pub store: Arc<Store>,
    /// Under which key. If it is gone until then, nothing is made; if there is another, then of that.
    pub key: Box<[u8]>,
    /// What.
    pub work: Work,
    /// The share of one core for that.
    pub cpu: Percent,
}

/// Who makes it.
#[derive(Debug, Default)]
pub struct Strong {
    /// What clients may have.
    pub shelf: Arc<Shelf>,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    jobs: Mutex<Jobs>,
    rings: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    hand: Hand,
}

/// The thread.
#[derive(Debug, Default, PartialEq, Eq)]
enum Hand {
    #[default]
    None,
    Begun,
    /// The process goes on without it.
    Over,
}

impl Strong {
    /// Asks for something. False: there is no room for it now.
    pub fn ask(&self, job: Job) -> bool {
        let mut jobs = self.desk.jobs();
        if jobs.has(&job) {
            return true;
        }
        if jobs.waiting.len() >= JOBS_MAX || jobs.hand == Hand::Over {
            return false;
        }
        if jobs.hand == Hand::None {
            let desk = Arc::clone(&self.desk);
            let shelf = Arc::clone(&self.shelf);
            let named = thread::Builder::new().name("encode".into());
            if named.spawn(move || work(&desk, &shelf)).is_err() {
                jobs.hand = Hand::Over;
                return false;
            }
            jobs.hand = Hand::Begun;
        }
        jobs.waiting.push_back(job);
        self.desk.rings.notify_one();
        true
    }
}

impl Drop for Strong {
    fn drop(&mut self) {
        let mut jobs = self.desk.jobs();
        jobs.hand = Hand::Over;
        jobs.waiting.clear();
        self.desk.rings.notify_one();
    }
}

impl Desk {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; None when nobody will ask any more.
    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs();
        loop {
            if jobs.hand == Hand::Over {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            let woken = self.rings.wait(jobs);
            jobs = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests, unless the end comes.
    fn rest(&self, time: Duration) {
        let is_on = |jobs: &mut Jobs| jobs.hand != Hand::Over;
        let rested = (self.rings).wait_timeout_while(self.jobs(), time, is_on);
        drop(rested.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Jobs {
    fn has(&self, job: &Job) -> bool {
        self.waiting.iter().any(|one| {
            one.key == job.key && one.work.is_same(&job.work) && Arc::ptr_eq(&one.store, &job.store)
        })
    }
}

impl Work {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Encode(own), Self::Encode(other)) => own == other,
            (Self::Against(shared, own), Self::Against(other_shared, other)) => {
                shared == other_shared && own.hash == other.hash
            }
            (Self::Dictionary(..), Self::Dictionary(..)) => true,
            _ => false,
        }
    }

    fn made(&self) -> Option<Made> {
        match self {
            Self::Encode(coding) => Some(Made {
                coding: coding.as_str(),
                dictionary: None,
            }),
            Self::Against(shared, dictionary) => Some(Made {
                coding: shared.as_str(),
                dictionary: Some(dictionary.hash),
            }),
            Self::Dictionary(..) => None,
        }
    }
}

/// The thread's life.
fn work(desk: &Desk, shelf: &Shelf) {
    step_back();
    while let Some(job) = desk.next() {
        let began = Instant::now();
        let cpu = job.cpu;
        // A panic of a library is a bug, and told of where panics are; others go on.
        if catch_unwind(AssertUnwindSafe(|| make(&job, shelf))).is_err() {
            give_up(&job);
        }
        drop(job);
        desk.rest(rest_after(began.elapsed(), cpu));
    }
}

/// The worker that asked first has this thread pinned beside itself: it goes where the main thread
/// may, whose number is the process's. The priority is of this thread alone, on Linux. Where either
/// is refused, the rests are all the modesty there is.
fn step_back() {
    let main = rustix::process::getpid();
    if let Ok(set) = rustix::thread::sched_getaffinity(Some(main)) {
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
    let _ = rustix::process::setpriority_process(None, 19);
}

/// It is not tried again.
fn give_up(job: &Job) {
    let held = job.store.peek(&job.key);
    let body = held.as_ref().and_then(|held| held.memory());
    if let (Some(made), Some(body)) = (job.work.made(), body) {
        job.store
            .keep_form(&job.key, body, &Form { made, bytes: None });
    }
}

/// So long it rests after so long a job. On a busy machine jobs take longer, and so do rests.
fn rest_after(busy: Duration, cpu: Percent) -> Duration {
    let share = cpu.hundredths().clamp(1, 10_000);
    busy * (10_000 - share) / share
}

fn make(job: &Job, shelf: &Shelf) {
    let Some(held) = job.store.peek(&job.key) else {
        return;
    };
    let Some(body) = held.memory().filter(|body| body.len() <= BYTES_MAX) else {
        return;
    };
    let Some(made) = job.work.made() else {
        if let Work::Dictionary(origin, matches) = &job.work {
            shelf.keep(Dictionary {
                origin: origin.clone(),
                matches: matches.clone(),
                hash: sha256(body),
                bytes: Arc::clone(body),
            });
        }
        return;
    };
    // It was asked for again while it was being made.
    if held.form(&made).is_some() {
        return;
    }
    let coded = match &job.work {
        Work::Encode(coding) => encode_whole(*coding, Level::Strong, body).ok(),
        Work::Against(shared, dictionary) => {
            dictionary::encode(*shared, &dictionary.bytes, &dictionary.hash, body).ok()
        }
        Work::Dictionary(..) => None,
    };
    let is_worth_it = |coded: &Vec<u8>| coded.len() < body.len() / 100 * (100 - SAVING_MIN);
    let bytes = coded.filter(is_worth_it).map(Arc::from);
    job.store.keep_form(&job.key, body, &Form { made, bytes });
}

#[cfg(test)]
mod tests {
    use croupier_cache::store::Settings;

    use super::*;

    fn job(store: &Arc<Store>, key: usize, work: Work) -> Job {
        Job {
            store: Arc::clone(store),
            key: key.to_be_bytes().into(),
            work,
            cpu: Percent::whole(10),
        }
    }

    #[test]
    fn a_job_is_asked_for_once_and_the_queue_has_an_end() {
        let store = Arc::new(Store::new(Settings {
            name: "edge".into(),
            memory: 1 << 20,
            max_object: 1 << 20,
        }));
        let strong = Strong::default();
        // Nobody works: what is asked for stays.
        strong.desk.jobs().hand = Hand::Begun;
        for key in 0..JOBS_MAX {
            for _ in 0..3 {
                assert!(strong.ask(job(&store, key, Work::Encode(Coding::Gzip))));
            }
            assert_eq!(strong.desk.jobs().waiting.len(), key + 1);
        }
        let other = || job(&store, 0, Work::Encode(Coding::Brotli));
        assert!(!strong.ask(other()), "there is no room");
        let first = strong.desk.next().unwrap();
        assert!(strong.ask(other()));
        // What is being made may be made of what was held before: it is asked for anew.
        assert!(!strong.ask(first), "and there is no room");
        assert_eq!(strong.desk.jobs().waiting.len(), JOBS_MAX);
    }

    #[test]
    fn rests_are_as_long_as_the_share_demands() {
        let job = Duration::from_millis(20);
        let after = |percent| rest_after(job, Percent::whole(percent));
        assert_eq!(after(10), Duration::from_millis(180));
        assert_eq!(after(50), job);
        assert_eq!(after(100), Duration::ZERO);
        assert_eq!(after(400), Duration::ZERO, "one thread is all there is");
    }
}
