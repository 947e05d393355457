//! The servers of a pool together: what one of them may do depends on the others.
//!
//! Three rules. Failing answers put at most a share of the servers aside, and never the last
//! one that is usable. When too few are usable the pool fails open: whoever answered at all is
//! used again, whoever fails its check too only when nobody else is left. And what a tier can
//! not carry goes to the next one, by degrees.
//!
//! A server that can not be connected to has no capacity that a rule could save: it is put
//! aside whatever the share, and comes back by a probe, or when nobody is left at all.
//!
//! Requests read three atomics; a change of a server's state takes the pool's lock, then the
//! server's, never the other way round.

use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use croupier_telemetry::{Level, event};

use super::{
    Busy, Queue, Server, Status,
    gate::{Gate, Member},
    health::{Admit, Failure, Pace, Rank, Reason, Role, State, Wish},
    latencies::Latencies,
    marks::{Coming, Note},
    policy::{CheckPolicy, HealthPolicy},
    tiers::{TIERS_MAX, WHOLE, tier_shares},
};

/// What is true of a pool now.
#[derive(Debug)]
pub struct LivePool {
    /// Its name.
    pub name: String,
    pub(crate) retries: Retries,
    queue: Arc<Queue>,
    /// How long its servers take; kept where somebody asks.
    pub latencies: Latencies,
    /// The lowest [`Rank`] in use.
    mode: AtomicU8,
    /// Since when nobody is in reach; 0: somebody is.
    gone_at: AtomicU64,
    /// Sums of the tiers' shares, 16 bits each, the first tier in the low bits.
    shares: AtomicU64,
    gate: Mutex<Gate>,
}

/// Retries over all workers.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    pub(crate) in_flight: AtomicU32,
    pub(crate) refused: AtomicU64,
}

impl LivePool {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            retries: Retries::default(),
            queue: Arc::default(),
            latencies: Latencies::default(),
            mode: AtomicU8::new(0),
            gone_at: AtomicU64::new(0),
            shares: AtomicU64::new(packed(tier_shares([(0, 0); TIERS_MAX]))),
            gate: Mutex::new(Gate {
                members: Vec::new(),
                policy: HealthPolicy::default(),
                rise_fall: (1, 1),
            }),
        }
    }

    /// The plan in force says who belongs to the pool, in which tier, and how they are judged.
    /// What is known of a server stays. Called when nothing of a reload can fail any more.
    pub fn adopt<'a>(
        &self,
        servers: impl IntoIterator<Item = (&'a Arc<Server>, usize)>,
        policy: HealthPolicy,
        check: Option<&CheckPolicy>,
        now: u64,
    ) {
        let mut gate = self.lock();
        gate.policy = policy;
        gate.rise_fall = check.map_or((1, 1), |check| (check.rise.max(1), check.fall.max(1)));
        gate.members = servers
            .into_iter()
            .map(|(server, tier)| Member {
                server: Arc::clone(server),
                tier: tier.min(TIERS_MAX - 1),
            })
            .collect();
        let mut changes = Vec::new();
        for member in &gate.members {
            let ((), from, to) = member.server.note(|health| {
                health.set_policy(policy);
                if check.is_none() {
                    health.forget_checks(now);
                }
            });
            if from != to.state {
                changes.push((Arc::clone(&member.server), from, to));
            }
        }
        self.recount(&gate);
        drop(gate);
        for (server, from, to) in changes {
            self.tell(&server, from, to, None);
        }
        self.wake();
    }

    /// The lowest rank in use: `Usable` while the pool is well.
    #[must_use]
    pub fn mode(&self) -> Rank {
        Rank::ALL[usize::from(self.mode.load(Ordering::Relaxed)).min(Rank::ALL.len() - 1)]
    }

    /// Has nobody been in reach for longer than this? Then waiting would be in vain.
    #[must_use]
    pub fn is_long_gone(&self, now: u64, millis: u64) -> bool {
        let at = self.gone_at.load(Ordering::Relaxed);
        at != 0 && now.saturating_sub(at) > millis
    }

    /// Is nobody in reach now?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone_at.load(Ordering::Relaxed) != 0
    }

    /// The tier that a request goes to; `chance` is any number. 0 in a pool with one tier. Only
    /// tiers with somebody to pick are given.
    #[must_use]
    pub fn tier(&self, chance: u32) -> usize {
        let shares = self.shares.load(Ordering::Relaxed);
        let at = u64::from(chance % WHOLE);
        (0..TIERS_MAX - 1)
            .find(|tier| at < shares >> (16 * tier) & 0xffff)
            .unwrap_or(TIERS_MAX - 1)
    }

    /// May this server be picked at `now`? Claims nothing. `probes`: may the request find out
    /// whether a server that was put aside is back?
    #[must_use]
    pub fn is_eligible(&self, server: &Server, probes: bool, now: u64) -> bool {
        match server.marks.coming(self.mode(), now) {
            Coming::Admitted(_) => true,
            Coming::MayProbe => probes || self.mode() != Rank::Usable,
            Coming::Refused => false,
        }
    }

    /// Is it time for a request to find out whether this server is back?
    #[must_use]
    pub fn is_probe_due(&self, server: &Server, now: u64) -> bool {
        server.marks.coming(self.mode(), now) == Coming::MayProbe
    }

    /// Begins an attempt at the server that was picked; `max` attempts in flight, 0 for no
    /// limit. None when it is full, or no longer eligible, or its probe is somebody else: pick
    /// another.
    #[must_use]
    pub fn enter(&self, server: &Arc<Server>, max: u32, now: u64) -> Option<Busy> {
        match server.marks.coming(self.mode(), now) {
            Coming::Admitted(admit) => Busy::enter(server, max, admit),
            Coming::Refused => None,
            Coming::MayProbe => self.enter_as_probe(server, max, now),
        }
    }

    fn enter_as_probe(&self, server: &Arc<Server>, max: u32, now: u64) -> Option<Busy> {
        if max != 0 && server.busy() >= max {
            return None;
        }
        let (admit, from, to) = server.note(|health| health.claim_probe(now));
        if let Some(admit) = admit {
            if from != to.state {
                self.tell(server, from, to, None);
            }
            let busy = Busy::enter(server, max, admit);
            if busy.is_none() {
                server.withdraw(admit);
            }
            return busy;
        }
        // Somebody was quicker; in a pool that is not well it may do without.
        match server.marks.coming(self.mode(), now) {
            Coming::Admitted(admit) => Busy::enter(server, max, admit),
            _ => None,
        }
    }

    /// Begins an attempt whatever the server's state: for a request that must go there.
    /// `Role::Resort`: its success ends an ejection.
    #[must_use]
    pub fn enter_anyway(&self, server: &Arc<Server>, max: u32) -> Option<Busy> {
        let admit = Admit {
            epoch: server.epoch(),
            role: Role::Resort,
        };
        Busy::enter(server, max, admit)
    }

    /// The attempt was answered, and not with 502, 503 or 504.
    pub fn succeeded(&self, busy: &mut Busy, now: u64) {
        busy.reported();
        let (server, admit) = (busy.server(), busy.admit());
        match server.marks.note(admit.role) {
            Note::Nothing => {}
            Note::Count => {
                server.load.succeeded.fetch_add(1, Ordering::Relaxed);
            }
            Note::Lock => {
                server.load.succeeded.fetch_add(1, Ordering::Relaxed);
                let ((), from, to) = server.note(|health| health.succeeded(admit, now));
                self.changed(server, from, to);
            }
        }
    }

    /// The attempt failed. `reason` is the word for it: a fault's code, `status.503`. Gives the
    /// time in milliseconds if the server was put aside for it.
    pub fn failed(
        &self,
        busy: &mut Busy,
        failure: Failure,
        reason: Reason,
        now: u64,
    ) -> Option<u64> {
        busy.reported();
        let (server, admit) = (busy.server(), busy.admit());
        let (wish, ..) = server.note(|health| health.failed(admit, failure, now));
        match wish {
            Wish::None => None,
            Wish::Recount => {
                server.load.succeeded.store(0, Ordering::Relaxed);
                None
            }
            Wish::Eject => self.eject(busy, (failure, reason), now, Cause::Streak),
            Wish::Compare => self.eject(busy, (failure, "failure.ratio"), now, Cause::Ratio),
        }
    }

    /// Puts a server aside if the others allow it.
    fn eject(
        &self,
        busy: &Busy,
        (failure, reason): (Failure, Reason),
        now: u64,
        cause: Cause,
    ) -> Option<u64> {
        let (server, epoch) = (busy.server(), busy.admit().epoch);
        let gate = self.lock();
        if !gate.may_eject(server, failure) || cause == Cause::Ratio && !gate.is_outlier(server) {
            return None;
        }
        let chance = fastrand::u32(..);
        // Of several who wished for it one was quicker: then the epoch is another.
        let (time, from, to) = server.note(|health| {
            (health.epoch() == epoch).then(|| health.eject(failure, reason, now, chance))
        });
        let time = time?;
        server.ejections.fetch_add(1, Ordering::Relaxed);
        self.recount(&gate);
        drop(gate);
        self.tell(server, from, to, Some(time));
        // Who waits may be wanted elsewhere: the mode may have changed.
        self.wake();
        Some(time)
    }

    /// An active check has a result. Says how soon the next one should come.
    pub fn checked(&self, server: &Arc<Server>, result: Result<(), Reason>, now: u64) -> Pace {
        let counter = match result {
            Ok(()) => &server.checks_passed,
            Err(_) => &server.checks_failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let rise_fall = self.lock().rise_fall;
        let (pace, from, to) = server.note(|health| health.checked(result, rise_fall, now));
        self.changed(server, from, to);
        pace
    }

    /// A state may have changed: the others are looked at anew, and it is told.
    fn changed(&self, server: &Server, from: State, to: Status) {
        if from == to.state {
            return;
        }
        self.recount(&self.lock());
        self.tell(server, from, to, None);
        self.wake();
    }

    /// Time goes on: once in a while, by control. Traffic gets on without.
    pub fn tick(&self, now: u64) {
        self.latencies.tick(now);
        let gate = self.lock();
        let mut may_probe = false;
        for member in &gate.members {
            member.server.note(|health| health.tick(now));
            may_probe |= member.server.marks.may_probe(now);
        }
        drop(gate);
        if self.mode() != Rank::Gone {
            self.gone_at.store(0, Ordering::Relaxed);
        } else if self.gone_at.load(Ordering::Relaxed) == 0 {
            self.gone_at.store(now.max(1), Ordering::Relaxed);
        }
        self.queue.expire(now);
        // Who waits for a server that is out of reach looks again.
        if may_probe || self.mode() != Rank::Usable {
            self.wake();
        }
    }

    /// Something came free for whoever waits.
    pub fn wake(&self) {
        self.queue.wake();
    }

    /// Who waits for a server.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn shared_queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Retries in flight, over all workers.
    #[must_use]
    pub fn retries_in_flight(&self) -> u32 {
        self.retries.in_flight.load(Ordering::Relaxed)
    }

    /// Retries that the budget refused.
    #[must_use]
    pub fn retries_refused(&self) -> u64 {
        self.retries.refused.load(Ordering::Relaxed)
    }

    /// Works out the mode and the tiers' shares. The last one to come here after several
    /// changes sees all of them.
    fn recount(&self, gate: &Gate) {
        let mode = gate.mode();
        let before = self.mode.swap(mode as u8, Ordering::Relaxed);
        let shares = tier_shares(gate.by_tier(mode));
        self.shares.store(packed(shares), Ordering::Relaxed);
        if (before == 0) != (mode == Rank::Usable) {
            let (level, name) = if before == 0 {
                (Level::Warn, "pool.fail_open")
            } else {
                (Level::Info, "pool.well")
            };
            let usable = gate.usable();
            let servers = gate.members.len();
            let values: [(&str, &dyn Display); 3] = [
                ("pool", &self.name),
                ("usable", &usable),
                ("servers", &servers),
            ];
            event(level, name, &values);
        }
    }

    fn tell(&self, server: &Server, from: State, to: Status, time: Option<u64>) {
        let level = match to.state {
            State::Up | State::Probation => Level::Info,
            State::Ejected | State::Down => Level::Warn,
        };
        let (from, state) = (from.as_str(), to.state.as_str());
        let mut values: Vec<(&str, &dyn Display)> = vec![
            ("pool", &self.name),
            ("server", &server.name),
            ("from", &from),
            ("to", &state),
            ("reason", &to.reason),
        ];
        if let Some(time) = &time {
            values.push(("for_ms", time));
        }
        event(level, "pool.server.state", &values);
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a server should be put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Streak,
    Ratio,
}

fn packed(shares: [u32; TIERS_MAX]) -> u64 {
    let mut sum = 0;
    shares.iter().enumerate().fold(0, |packed, (tier, share)| {
        sum += u64::from(*share);
        packed | sum << (16 * tier)
    })
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
