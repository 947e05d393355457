//! When a server is checked next. Pure: chance is an argument.

use std::time::Duration;

use croupier_proxy::live::{health::Pace, policy::CheckPolicy};

/// The first checks of many servers are spread over this long, or over an interval if that is
/// shorter.
const SPREAD: Duration = Duration::from_secs(1);

/// The times of one server's checks.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckClock {
    steady: Duration,
    changing: Duration,
}

impl CheckClock {
    pub(super) fn new(policy: &CheckPolicy) -> Self {
        Self {
            steady: policy.interval,
            changing: policy.interval_changing.min(policy.interval),
        }
    }

    /// How long the first check waits, of server `index` of `count` that start together.
    pub(super) fn first(&self, index: usize, count: usize) -> Duration {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        SPREAD.min(self.steady) / count * index
    }

    /// How long to wait after a check; `chance` is any number and moves it by a tenth either
    /// way, so that many proxies do not fall into step.
    pub(super) fn next(&self, pace: Pace, chance: u32) -> Duration {
        let time = match pace {
            Pace::Steady => self.steady,
            Pace::Changing => self.changing,
        };
        time / 1000 * (900 + chance % 201)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use croupier_proxy::live::{health::Pace, policy::CheckPolicy};

    use super::CheckClock;

    #[test]
    fn checks_come_by_the_interval_and_sooner_while_something_changes() {
        let clock = CheckClock::new(&CheckPolicy::default());
        assert_eq!(clock.next(Pace::Steady, 100), Duration::from_secs(2));
        assert_eq!(clock.next(Pace::Changing, 100), Duration::from_millis(500));
        for chance in 0..1000 {
            let time = clock.next(Pace::Steady, chance).as_millis();
            assert!((1800..=2200).contains(&time), "{time}");
        }
    }

    #[test]
    fn the_first_is_at_once_and_many_are_spread() {
        let clock = CheckClock::new(&CheckPolicy::default());
        assert_eq!(clock.first(0, 1), Duration::ZERO);
        assert_eq!(clock.first(0, 50), Duration::ZERO);
        assert_eq!(clock.first(25, 50), Duration::from_millis(500));
        assert!(clock.first(49, 50) < Duration::from_secs(1));
    }

    #[test]
    fn a_longer_interval_for_changes_is_no_use() {
        let clock = CheckClock::new(&CheckPolicy {
            interval: Duration::from_millis(100),
            ..CheckPolicy::default()
        });
        assert_eq!(clock.next(Pace::Changing, 100), Duration::from_millis(100));
        assert!(clock.first(9, 10) < Duration::from_millis(100));
    }
}
