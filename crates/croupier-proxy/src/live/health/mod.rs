//! The state of one server: one model for what the traffic says and what the checks say.
//!
//! Sans-IO: it takes events and the time, and touches nothing. Whether an ejection is allowed
//! is the pool's to say ([`super::LivePool`]): [`Health::failed`] only asks for it.
//!
//! ```text
//!            failures, allowed by the pool                 its time is over
//!   up ------------------------------------> ejected --------------------------> probation
//!    ^ ^                                      ^   |  a check says: it may be back  |  |
//!    | |                                      |   +------------------------------->+  |
//!    | |                                      +------------------- the probe failed --+
//!    | +--------------------------- the probe succeeded: slow start ------------------+
//!    |
//!    +-- `rise` checks passed: slow start -- down <-- `fall` checks failed, from any state
//! ```
//!
//! Below `down` the traffic's half of the state lives on: a server that comes up again while it
//! is ejected begins with a probe.

mod ratio;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use super::policy::HealthPolicy;
use ratio::Window;
pub use ratio::is_clearly_worse;
pub use words::{Admit, Failure, Pace, Rank, Reason, Role, State, Wish};

/// What the traffic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    In,
    /// Aside until then.
    Ejected {
        until: u64,
        failure: Failure,
    },
    /// One probe is out; from then on another may replace it.
    Probation {
        until: u64,
        failure: Failure,
    },
}

/// What the checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Passing,
    Failing,
}

/// The state of one server.
#[derive(Debug)]
pub struct Health {
    policy: HealthPolicy,
    traffic: Traffic,
    verdict: Verdict,
    reason: Reason,
    since_ms: u64,
    /// Grows with every way out and every probe: what was sent before speaks of a former life.
    epoch: u32,
    /// Transport failures and gateway errors in a row.
    transport: u32,
    gateway: u32,
    window: Window,
    /// Ejections in a row, and since when there was none.
    ejections: u32,
    calm_since: u64,
    /// Check results in a row that contradict the verdict.
    contrary: u32,
    /// Checks passed in a row since the ejection, and whether one failed since then.
    passed_since: u32,
    failed_since: bool,
    /// When the slow start began.
    recovered: Option<u64>,
}

impl Health {
    /// A server nobody has complained about.
    #[must_use]
    pub fn new(policy: HealthPolicy, now: u64) -> Self {
        Self {
            policy,
            traffic: Traffic::In,
            verdict: Verdict::Unknown,
            reason: "start",
            since_ms: now,
            epoch: 0,
            transport: 0,
            gateway: 0,
            window: Window::default(),
            ejections: 0,
            calm_since: now,
            contrary: 0,
            passed_since: 0,
            failed_since: false,
            recovered: None,
        }
    }

    /// From now on by this policy; what is known stays.
    pub fn set_policy(&mut self, policy: HealthPolicy) {
        self.policy = policy;
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.verdict, self.traffic) {
            (Verdict::Failing, _) => State::Down,
            (_, Traffic::In) => State::Up,
            (_, Traffic::Ejected { .. }) => State::Ejected,
            (_, Traffic::Probation { .. }) => State::Probation,
        }
    }

    /// Why it is in that state.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Since when, milliseconds since the process began.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// What reports must carry to count.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// How readily it is used.
    #[must_use]
    pub fn rank(&self) -> Rank {
        let failure = match self.traffic {
            Traffic::In => None,
            Traffic::Ejected { failure, .. } | Traffic::Probation { failure, .. } => Some(failure),
        };
        match (self.verdict == Verdict::Failing, failure) {
            (false, None) => Rank::Usable,
            (true, None) => Rank::Unchecked,
            (false, Some(failure)) if !failure.is_of_connecting() => Rank::Failing,
            _ => Rank::Gone,
        }
    }

    /// From when on a request may go there as a probe; None while it is in, or down.
    #[must_use]
    pub fn probe_at(&self) -> Option<u64> {
        match self.traffic {
            _ if self.verdict == Verdict::Failing => None,
            Traffic::In => None,
            Traffic::Ejected { until, .. } | Traffic::Probation { until, .. } => Some(until),
        }
    }

    /// Has traffic put it aside?
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.traffic != Traffic::In
    }

    /// Would a success change anything?
    #[must_use]
    pub fn has_streak(&self) -> bool {
        self.transport + self.gateway > 0
    }

    /// Are attempts being counted for the failure ratio?
    #[must_use]
    pub fn is_counting(&self) -> bool {
        self.window.is_open()
    }

    /// When it recovered last, while its slow start runs.
    #[must_use]
    pub fn recovered(&self) -> Option<u64> {
        self.recovered
    }

    /// How long a slow start is.
    #[must_use]
    pub fn slow_start(&self) -> Option<Duration> {
        self.policy.slow_start
    }

    /// Percent of failures in the window, 0 without one. `succeeded`: attempts that did not fail
    /// since it was opened.
    #[must_use]
    pub fn failure_percent(&self, succeeded: u32) -> u32 {
        self.window.failures(succeeded).0
    }

    /// Is that percentage of enough attempts to mean something?
    #[must_use]
    pub fn has_ratio(&self, succeeded: u32) -> bool {
        self.window.failures(succeeded).1 >= self.policy.window_attempts
    }

    /// Makes the caller's request the probe if the time has come.
    pub fn claim_probe(&mut self, now: u64) -> Option<Admit> {
        if self.probe_at().is_none_or(|at| now < at) {
            return None;
        }
        let (Traffic::Ejected { failure, .. } | Traffic::Probation { failure, .. }) = self.traffic
        else {
            return None;
        };
        self.epoch = self.epoch.wrapping_add(1);
        if matches!(self.traffic, Traffic::Ejected { .. }) {
            self.since_ms = now;
        }
        self.traffic = Traffic::Probation {
            until: now + millis(self.policy.probe),
            failure,
        };
        Some(Admit {
            epoch: self.epoch,
            role: Role::Probe,
        })
    }

    /// The probe will not report: another request may be one at once.
    pub fn withdrew(&mut self, admit: Admit) {
        if let Traffic::Probation { failure, .. } = self.traffic
            && admit.epoch == self.epoch
            && admit.role == Role::Probe
        {
            self.traffic = Traffic::Ejected { until: 0, failure };
        }
    }

    /// A request was answered, and not with a gateway error.
    pub fn succeeded(&mut self, admit: Admit, now: u64) {
        if admit.epoch != self.epoch {
            return;
        }
        match (self.traffic, admit.role) {
            (Traffic::In, _) => {
                self.transport = 0;
                self.gateway = 0;
            }
            (Traffic::Probation { .. }, Role::Probe) | (_, Role::Resort) => self.readmit(now),
            _ => {}
        }
    }

    fn readmit(&mut self, now: u64) {
        self.traffic = Traffic::In;
        self.transport = 0;
        self.gateway = 0;
        self.window.close();
        self.calm_since = now;
        self.recovered = Some(now);
        self.reason = "probe.passed";
        self.since_ms = now;
    }

    /// A request failed: what is to be done? To eject it the caller asks the pool and then
    /// calls [`Self::eject`].
    #[must_use]
    pub fn failed(&mut self, admit: Admit, failure: Failure, now: u64) -> Wish {
        // Many requests fail at once when a server dies: they are one failure.
        if admit.epoch != self.epoch {
            return Wish::None;
        }
        let wish = match (self.traffic, admit.role) {
            (Traffic::Probation { .. }, Role::Probe) => Wish::Eject,
            (Traffic::In, _) => self.count(failure, now),
            _ => Wish::None,
        };
        // Where nobody is put aside it is still known who failed last.
        if self.policy.share == 0 && wish != Wish::Recount {
            return Wish::None;
        }
        wish
    }

    fn count(&mut self, failure: Failure, now: u64) -> Wish {
        let opened = self.window.failed(now, millis(self.policy.window));
        match failure {
            Failure::Refused | Failure::Unreachable => return Wish::Eject,
            Failure::Transport => self.transport = self.transport.saturating_add(1),
            Failure::Gateway => {
                self.transport = 0;
                self.gateway = self.gateway.saturating_add(1);
            }
        }
        if self.transport >= self.policy.failures || self.gateway >= self.policy.gateway_errors {
            Wish::Eject
        } else if opened {
            Wish::Recount
        } else if self.window.is_round() {
            Wish::Compare
        } else {
            Wish::None
        }
    }

    /// Puts it aside. `chance` is any number: it spreads the time by a fifth either way. Gives
    /// the time, milliseconds.
    pub fn eject(&mut self, failure: Failure, reason: Reason, now: u64, chance: u32) -> u64 {
        if self.traffic == Traffic::In {
            let calm = now.saturating_sub(self.calm_since) / millis(self.policy.decay).max(1);
            let calm = u32::try_from(calm).unwrap_or(u32::MAX);
            self.ejections = self.ejections.saturating_sub(calm);
        }
        self.ejections = self.ejections.saturating_add(1);
        let first = match failure {
            Failure::Refused => self.policy.refused_first,
            _ => self.policy.first,
        };
        let last = millis(self.policy.last);
        let doubled = millis(first) << (self.ejections - 1).min(20);
        let nominal = doubled.min(last);
        let spread = u64::from(chance % 401); // thousandths above 800
        let time = (nominal * (800 + spread) / 1000).clamp(1, last.max(1));
        self.epoch = self.epoch.wrapping_add(1);
        self.traffic = Traffic::Ejected {
            until: now + time,
            failure,
        };
        self.window.close();
        self.recovered = None;
        self.transport = 0;
        self.gateway = 0;
        self.passed_since = 0;
        self.failed_since = false;
        if self.verdict != Verdict::Failing {
            self.reason = reason;
            self.since_ms = now;
        }
        time
    }

    /// A check has a result. The first one decides at once; later ones by `rise` and `fall`.
    pub fn checked(
        &mut self,
        result: Result<(), Reason>,
        (rise, fall): (u32, u32),
        now: u64,
    ) -> Pace {
        self.passed_since = match result {
            Ok(()) => self.passed_since.saturating_add(1),
            Err(_) => 0,
        };
        self.failed_since |= result.is_err();
        match (self.verdict, result) {
            (Verdict::Unknown, Ok(())) => self.verdict = Verdict::Passing,
            (Verdict::Unknown, Err(reason)) => self.go_down(reason, now),
            (Verdict::Passing, Ok(())) | (Verdict::Failing, Err(_)) => self.contrary = 0,
            (Verdict::Passing, Err(reason)) => {
                self.contrary += 1;
                if self.contrary >= fall {
                    self.go_down(reason, now);
                }
            }
            (Verdict::Failing, Ok(())) => {
                self.contrary += 1;
                if self.contrary >= rise {
                    self.come_up(now);
                }
            }
        }
        self.shorten(rise, now);
        if self.contrary > 0 {
            Pace::Changing
        } else {
            Pace::Steady
        }
    }

    fn go_down(&mut self, reason: Reason, now: u64) {
        self.verdict = Verdict::Failing;
        self.contrary = 0;
        self.epoch = self.epoch.wrapping_add(1);
        self.recovered = None;
        self.window.close();
        self.reason = reason;
        self.since_ms = now;
        // The probe's epoch is over, so it can no longer report.
        if let Traffic::Probation { failure, .. } = self.traffic {
            self.traffic = Traffic::Ejected {
                until: now,
                failure,
            };
        }
    }

    fn come_up(&mut self, now: u64) {
        self.verdict = Verdict::Passing;
        self.contrary = 0;
        self.reason = "check.passed";
        self.since_ms = now;
        self.calm_since = now;
        self.transport = 0;
        self.gateway = 0;
        if self.traffic == Traffic::In {
            self.recovered = Some(now);
        }
    }

    /// Passed checks let the probe go now. Not always: checks that never failed while traffic
    /// does say nothing new, so they help once and then the ejections grow as without them.
    fn shorten(&mut self, rise: u32, now: u64) {
        if let Traffic::Ejected { until, failure } = self.traffic
            && self.passed_since >= rise
            && (self.failed_since || self.ejections == 1)
        {
            let until = until.min(now);
            self.traffic = Traffic::Ejected { until, failure };
        }
    }

    /// Nobody checks it any more: only traffic counts.
    pub fn forget_checks(&mut self, now: u64) {
        if self.verdict == Verdict::Failing {
            self.come_up(now);
            self.reason = "check.removed";
        }
        self.verdict = Verdict::Unknown;
        self.contrary = 0;
    }

    /// Time goes on: closes a window that is over and a slow start that has ended.
    pub fn tick(&mut self, now: u64) {
        self.window.tick(now, millis(self.policy.window));
        let slow = self.policy.slow_start.map_or(0, millis);
        if self
            .recovered
            .is_some_and(|at| now.saturating_sub(at) >= slow)
        {
            self.recovered = None;
        }
    }
}

/// The share of its weight that a server gets during its slow start, of 256: a tenth at the
/// beginning, all of it after `window_ms`, linear between.
#[must_use]
pub fn slow_start_256(since_ms: u64, window_ms: u64) -> u32 {
    const FIRST: u64 = 26; // a tenth, so that there is traffic to learn from
    if since_ms >= window_ms {
        return 256;
    }
    let grown = (256 - FIRST) * since_ms / window_ms;
    u32::try_from(FIRST + grown).unwrap_or(256)
}

/// Whole milliseconds of a configured time.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX / 4)
        .min(u64::MAX / 4)
}
