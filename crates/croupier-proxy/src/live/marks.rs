//! What of a server's health a request reads: one word, for a server that is plainly up.
//!
//! Written under the lock of its [`Health`], read relaxed: a request that reads an old word
//! acts as if it had come a moment earlier.

use std::sync::atomic::{AtomicU64, Ordering};

use super::health::{Admit, Health, Rank, Role, millis, slow_start_256};

/// The low bits of the word; the epoch is in the upper half.
const RANK: u64 = 0b11;
/// `probe_at` says when a probe may go.
const PROBE: u64 = 1 << 2;
/// A success must be noted.
const STREAK: u64 = 1 << 3;
/// Successes are counted.
const COUNT: u64 = 1 << 4;
/// Its share grows.
const RAMP: u64 = 1 << 5;
/// Traffic has put it aside.
const OUT: u64 = 1 << 6;

/// A server's health as requests see it.
#[derive(Debug, Default)]
pub(super) struct Marks {
    word: AtomicU64,
    probe_at: AtomicU64,
    recovered: AtomicU64,
    slow_start: AtomicU64,
}

/// What a request that comes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coming {
    Admitted(Admit),
    /// It may be the probe; the lock decides.
    MayProbe,
    Refused,
}

/// What a success has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Nothing,
    Count,
    Lock,
}

impl Marks {
    /// Shows the health to requests.
    pub(super) fn publish(&self, health: &Health) {
        let mut word = health.rank() as u64 | u64::from(health.epoch()) << 32;
        if let Some(at) = health.probe_at() {
            self.probe_at.store(at, Ordering::Relaxed);
            word |= PROBE;
        }
        if let Some(at) = health.recovered()
            && let Some(slow_start) = health.slow_start()
        {
            self.recovered.store(at, Ordering::Relaxed);
            self.slow_start.store(millis(slow_start), Ordering::Relaxed);
            word |= RAMP;
        }
        for (holds, bit) in [
            (health.has_streak(), STREAK),
            (health.is_counting(), COUNT),
            (health.is_ejected(), OUT),
        ] {
            if holds {
                word |= bit;
            }
        }
        self.word.store(word, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        self.word.load(Ordering::Relaxed)
    }

    pub(super) fn rank(&self) -> Rank {
        rank(self.load())
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.load() & OUT != 0
    }

    /// Was the last attempt a failure?
    pub(super) fn has_streak(&self) -> bool {
        self.load() & STREAK != 0
    }

    pub(super) fn epoch(&self) -> u32 {
        epoch(self.load())
    }

    /// Is a probe due?
    pub(super) fn may_probe(&self, now: u64) -> bool {
        self.load() & PROBE != 0 && now >= self.probe_at.load(Ordering::Relaxed)
    }

    /// May a request go there, while the pool uses servers down to `mode`?
    pub(super) fn coming(&self, mode: Rank, now: u64) -> Coming {
        let word = self.load();
        let role = if mode >= Rank::Unchecked {
            Role::Resort
        } else {
            Role::Usual
        };
        let epoch = epoch(word);
        if word & (RANK | OUT) == 0 {
            Coming::Admitted(Admit { epoch, role })
        } else if word & PROBE != 0 && now >= self.probe_at.load(Ordering::Relaxed) {
            Coming::MayProbe
        } else if rank(word) <= mode {
            Coming::Admitted(Admit { epoch, role })
        } else {
            Coming::Refused
        }
    }

    /// What a success of such a request has to do.
    pub(super) fn note(&self, role: Role) -> Note {
        let word = self.load();
        let decides = role != Role::Usual && word & (RANK | OUT) != 0;
        if decides || word & STREAK != 0 {
            Note::Lock
        } else if word & COUNT != 0 {
            Note::Count
        } else {
            Note::Nothing
        }
    }

    /// The share of its weight it should get, of 256.
    pub(super) fn share_256(&self, now: u64) -> u32 {
        if self.load() & RAMP == 0 {
            return 256;
        }
        let since = now.saturating_sub(self.recovered.load(Ordering::Relaxed));
        slow_start_256(since, self.slow_start.load(Ordering::Relaxed))
    }
}

fn rank(word: u64) -> Rank {
    match word & RANK {
        0 => Rank::Usable,
        1 => Rank::Failing,
        2 => Rank::Unchecked,
        _ => Rank::Gone,
    }
}

fn epoch(word: u64) -> u32 {
    (word >> 32) as u32
}
