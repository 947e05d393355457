//! The clients of the drill: an open loop. Requests leave when they are due, whether or not
//! answers have come, and latency counts from the moment a request was due. `xtask load` does the
//! same for speed; here every request is told apart and its answer looked at.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::{Ask, Client, Clients, Front, Got};
use super::clock_micros;

/// Clients at most; with this many stuck, requests wait for one.
const CLIENTS_MAX: usize = 512;

/// Sizes of bodies in turn: in one segment, in some, and beyond what proxies like to buffer.
const SIZES: [usize; 3] = [200, 4096, 100_000];

/// How the bodies of answers are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunks,
}

/// What is asked, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) rate: u64,
    pub(super) lasts: Duration,
    pub(super) framing: Framing,
}

impl Schedule {
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.lasts.as_millis()).unwrap_or(u64::MAX) * self.rate / 1000
    }

    /// When a request is due: at an even pace, each somewhere within its own slot, so that pauses
    /// between requests have every length and nothing keeps step with a server's timer.
    pub(super) fn due(&self, number: u64) -> Duration {
        let slot = 1_000_000_000 / self.rate;
        // The multiplier of Knuth's hash (2^32 divided by the golden ratio) spreads neighbours.
        let spread = ((number & 0xffff_ffff) * 2_654_435_761) & 0xffff_ffff;
        Duration::from_nanos(number * slot + ((spread * slot) >> 32))
    }

    /// Four GETs, then a POST.
    pub(super) fn method(number: u64) -> &'static str {
        if number % 5 == 4 { "POST" } else { "GET" }
    }

    fn size(number: u64) -> usize {
        usize::try_from(number % 3).map_or(SIZES[0], |index| SIZES[index])
    }
}

/// A request and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) nonce: String,
    pub(super) method: &'static str,
    pub(super) got: Got,
    /// When it was due, in microseconds of the wall clock, which the servers share.
    pub(super) due_micros: u64,
    pub(super) latency: Duration,
}

struct Queue {
    waiting: VecDeque<(u64, Instant, u64)>,
    idle: usize,
    is_over: bool,
}

/// Sends what the schedule says; ends when every request has an answer or was given up.
pub(super) fn drive(front: Front, schedule: Schedule) -> Vec<Asked> {
    let clients = Clients::new(front);
    let queue = Mutex::new(Queue {
        waiting: VecDeque::new(),
        idle: 0,
        is_over: false,
    });
    let (ready, seen) = (Condvar::new(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let work = || {
            let mut client = clients.client();
            while let Some((number, due, due_micros)) = next(&queue, &ready) {
                let asked = one(&mut client, schedule.framing, number, due, due_micros);
                lock(&seen).push(asked);
            }
        };
        let (started, started_micros) = (Instant::now(), clock_micros());
        let mut count = 0;
        for number in 0..schedule.count() {
            let after = schedule.due(number);
            std::thread::sleep((started + after).saturating_duration_since(Instant::now()));
            let mut guard = lock(&queue);
            let micros = started_micros + u64::try_from(after.as_micros()).unwrap_or(0);
            guard.waiting.push_back((number, started + after, micros));
            let wants_more = guard.idle < guard.waiting.len() && count < CLIENTS_MAX;
            drop(guard);
            ready.notify_one();
            if wants_more {
                count += 1;
                scope.spawn(work);
            }
        }
        lock(&queue).is_over = true;
        ready.notify_all();
    });
    seen.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next(queue: &Mutex<Queue>, ready: &Condvar) -> Option<(u64, Instant, u64)> {
    let mut guard = lock(queue);
    loop {
        if let Some(job) = guard.waiting.pop_front() {
            return Some(job);
        }
        if guard.is_over {
            return None;
        }
        guard.idle += 1;
        guard = ready.wait(guard).unwrap_or_else(PoisonError::into_inner);
        guard.idle -= 1;
    }
}

fn one(client: &mut Client, framing: Framing, number: u64, due: Instant, due_micros: u64) -> Asked {
    let nonce = format!("n{number}");
    let method = Schedule::method(number);
    let size = Schedule::size(number);
    let form = match framing {
        Framing::Length => "b",
        Framing::Chunks => "c",
    };
    let path = format!("/{form}/{size}/{nonce}");
    let ask = Ask {
        method,
        path,
        nonce,
        size,
    };
    let got = client.ask(&ask);
    Asked {
        nonce: ask.nonce,
        method,
        got,
        due_micros,
        latency: due.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, Schedule};
    use std::time::Duration;

    #[test]
    fn every_request_has_its_slot_and_one_in_five_is_a_post() {
        let schedule = Schedule {
            rate: 200,
            lasts: Duration::from_millis(6500),
            framing: Framing::Length,
        };
        assert_eq!(schedule.count(), 1300);
        for number in 0..1300 {
            let slot = Duration::from_millis(5 * number)..Duration::from_millis(5 * number + 5);
            assert!(slot.contains(&schedule.due(number)), "{number}");
        }
        let posts = (0..1300).filter(|n| Schedule::method(*n) == "POST");
        assert_eq!(posts.count(), 260);
    }
}
