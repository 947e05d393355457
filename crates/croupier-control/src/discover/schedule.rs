//! When a name is looked up next. No clock: the time is an argument.
//!
//! ```text
//!            found(ttl): in ttl, at least 1 s, at most 5 min
//!   due now ------------------------------------------------> waiting --+
//!      ^  |                                                      ^      |
//!      |  +--- failed: in 1 s, 2 s, 4 s .. 30 s -----------------+      |
//!      +----------------------------------------------------------------+
//! ```

use std::time::Duration;

/// However short a TTL, a name is looked up once a second at most.
pub(super) const TTL_MIN: Duration = Duration::from_secs(1);
/// However long a TTL, a change is seen after this: nobody who moves a server waits for a day.
pub(super) const TTL_MAX: Duration = Duration::from_secs(300);
/// After the first failure, and after many.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The look-ups of one name. Times are since the process began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    due: Duration,
    failures: u32,
}

impl Schedule {
    /// Due at once.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            due: now,
            failures: 0,
        }
    }

    /// When the next look-up is due.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// A good answer came. Gives how long it is taken to be good for.
    pub(super) fn found(&mut self, now: Duration, ttl: Duration) -> Duration {
        let ttl = ttl.clamp(TTL_MIN, TTL_MAX);
        self.failures = 0;
        self.due = now + ttl;
        ttl
    }

    /// The look-up failed. Gives the time until the next.
    pub(super) fn failed(&mut self, now: Duration) -> Duration {
        let pause = (RETRY_FIRST * (1 << self.failures.min(5))).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.due = now + pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Schedule;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_name_is_looked_up_by_its_ttl_within_bounds() {
        let mut schedule = Schedule::new(secs(7));
        assert_eq!(schedule.due(), secs(7), "the first time at once");
        for (ttl, wanted) in [(0, 1), (1, 1), (30, 30), (300, 300), (86_400, 300)] {
            assert_eq!(schedule.found(secs(100), secs(ttl)), secs(wanted), "{ttl}");
            assert_eq!(schedule.due(), secs(100 + wanted), "{ttl}");
        }
    }

    #[test]
    fn failures_are_retried_ever_slower_until_an_answer_comes() {
        let mut schedule = Schedule::new(secs(0));
        let mut now = secs(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(schedule.failed(now).as_secs());
            now = schedule.due();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        schedule.found(now, secs(5));
        assert_eq!(schedule.failed(now), secs(1), "an answer makes it forget");
    }
}
