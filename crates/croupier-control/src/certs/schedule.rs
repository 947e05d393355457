//! When a certificate is ordered. Pure: the clock and chance are arguments, times are Unix
//! seconds.
//!
//! ```text
//!  no certificate ------------------------------> order now
//!  certificate --window known--> a moment in it -> order
//!              --none----------> at 2/3 of life -> order
//!  order failed --> back-off, doubling ----------> order again; the old certificate stays
//! ```

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The first wait after a failed order; each further one is twice as long.
const BACK_OFF_FIRST: u64 = MINUTE;
/// No wait is longer, unless the authority asks for more.
const BACK_OFF_MAX: u64 = DAY;
/// What an authority may ask for at most: Let's Encrypt's longest limits are weekly.
const RETRY_AFTER_MAX: u64 = 7 * DAY;
/// The window is asked for again after what the authority says, within these bounds
/// (RFC 9773 section 4.3.2), or after this long when that failed.
const WINDOW_AGAIN: (u64, u64) = (MINUTE, DAY);
const WINDOW_FAILED: u64 = HOUR;
/// Nothing is waited for in one piece that is longer: clocks are set.
const SLEEP_MAX: u64 = HOUR;

/// After a restart no wait is longer, unless the authority asked for more: five orders an hour are
/// what Let's Encrypt suffers to fail, however often we are started again; and whoever has mended
/// something and restarts us does not wait for a day.
const RESTART_MAX: u64 = 12 * MINUTE;

/// What of failed orders outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// In a row.
    pub(super) count: u32,
    /// When the last one failed.
    pub(super) at: u64,
    /// For how long the authority asked then, seconds.
    pub(super) asked: u64,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Order a certificate.
    Order,
    /// Ask the authority for the renewal window.
    AskWindow,
    /// Look again after this time.
    Wait(Duration),
}

/// Whether an authority is asked for renewal windows (RFC 9773).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Windows {
    Asked,
    /// It knows none, or it is our own.
    Unknown,
}

/// A stretch of time, Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Stretch {
    /// A part of it in thousandths, from the start.
    fn part(self, thousandths: u64) -> u64 {
        let length = u128::from(self.end.saturating_sub(self.start));
        let part = length * u128::from(thousandths) / 1000;
        self.start + u64::try_from(part).unwrap_or(u64::MAX / 2)
    }
}

/// One certificate's times.
#[derive(Debug)]
pub(super) struct Schedule {
    life: Option<Stretch>,
    windows: Windows,
    window: Option<Stretch>,
    ask_window_at: u64,
    /// Where in the window, or how much later than 2/3 of life: drawn once a certificate, so
    /// that many do not come at once. Below 1000.
    chance: u64,
    failures: u32,
    not_before: u64,
    /// Earlier than `not_before` when nobody asked us to wait: a person may say that it is mended.
    nudged_not_before: u64,
}

impl Schedule {
    /// Nothing is there yet.
    pub(super) fn new(windows: Windows) -> Self {
        Self {
            life: None,
            windows,
            window: None,
            ask_window_at: 0,
            chance: 0,
            failures: 0,
            not_before: 0,
            nudged_not_before: 0,
        }
    }

    /// What failed may be mended: it is tried again a minute after it last was, unless the
    /// authority asked for more.
    pub(super) fn nudge(&mut self) {
        self.not_before = self.not_before.min(self.nudged_not_before);
    }

    /// There is a certificate with this life now; `chance` is any number.
    pub(super) fn has(&mut self, life: Stretch, chance: u32) {
        self.life = Some(life);
        self.window = None;
        self.ask_window_at = 0;
        self.chance = u64::from(chance) % 1000;
        self.failures = 0;
        self.not_before = 0;
    }

    /// The authority has told its window, and when to ask again. One that is none is not heard.
    pub(super) fn window(&mut self, window: Stretch, again: Duration, now: u64) {
        let (min, max) = WINDOW_AGAIN;
        self.ask_window_at = now + again.as_secs().clamp(min, max);
        self.window = (window.start < window.end).then_some(window);
    }

    /// The authority could not be asked: what is known stays.
    pub(super) fn window_failed(&mut self, now: u64) {
        self.ask_window_at = now + WINDOW_FAILED;
    }

    /// The authority knows no windows.
    pub(super) fn no_windows(&mut self) {
        self.windows = Windows::Unknown;
        self.window = None;
    }

    /// An order failed; the authority may have said how long to wait. Gives how long that is.
    pub(super) fn failed(&mut self, now: u64, retry_after: Option<u64>, chance: u32) -> Duration {
        let doubled = BACK_OFF_FIRST << self.failures.min(20);
        // Half a day is too long for one that has only hours left.
        let left = self.life.map_or(0, |life| life.end.saturating_sub(now));
        let max = if left == 0 {
            BACK_OFF_MAX
        } else {
            (left / 4).clamp(HOUR, BACK_OFF_MAX)
        };
        let wait = doubled.min(max);
        let jitter = wait / 4 * (u64::from(chance) % 1000) / 1000;
        let asked = retry_after.unwrap_or(0).min(RETRY_AFTER_MAX);
        let wait = (wait + jitter).max(asked);
        self.failures += 1;
        self.not_before = now + wait;
        self.nudged_not_before = now + asked.max(BACK_OFF_FIRST);
        Duration::from_secs(wait)
    }

    /// Orders failed before this process began.
    pub(super) fn failed_before(&mut self, failed: Failed, now: u64) {
        // The clock may have been set since.
        let at = failed.at.min(now);
        let asked = failed.asked.min(RETRY_AFTER_MAX);
        let doubled = BACK_OFF_FIRST << failed.count.saturating_sub(1).min(20);
        self.failures = failed.count;
        self.not_before = at + doubled.min(RESTART_MAX).max(asked);
        self.nudged_not_before = at + asked.max(BACK_OFF_FIRST);
    }

    /// Orders that failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the certificate is to be renewed; None while there is none.
    pub(super) fn due(&self) -> Option<u64> {
        let life = self.life?;
        // Two thirds, and up to a twentieth more; a window is believed up to nine tenths.
        let due = match self.window {
            Some(window) => window.part(self.chance).min(life.part(900)),
            None => life.part(667 + self.chance / 20),
        };
        Some(due)
    }

    /// What to do now.
    pub(super) fn next(&self, now: u64) -> Next {
        let due = self.due().unwrap_or(0).max(self.not_before);
        if due <= now {
            return Next::Order;
        }
        let asks = self.windows == Windows::Asked && self.life.is_some();
        if asks && self.ask_window_at <= now {
            return Next::AskWindow;
        }
        let until = if asks {
            due.min(self.ask_window_at)
        } else {
            due
        };
        Next::Wait(Duration::from_secs((until - now).min(SLEEP_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DAY, Failed, HOUR, MINUTE, Next, SLEEP_MAX, Schedule, Stretch, Windows};

    const NOW: u64 = 1_800_000_000;

    fn days(days: u64) -> Stretch {
        Stretch {
            start: NOW,
            end: NOW + days * DAY,
        }
    }

    fn secs(secs: u64) -> Next {
        Next::Wait(Duration::from_secs(secs))
    }

    #[test]
    fn what_is_missing_is_ordered_at_once() {
        assert_eq!(Schedule::new(Windows::Asked).next(NOW), Next::Order);
    }

    #[test]
    fn without_a_window_it_is_renewed_after_two_thirds_and_not_all_at_once() {
        let mut due = Vec::new();
        for chance in 0..1000 {
            let mut schedule = Schedule::new(Windows::Unknown);
            schedule.has(days(90), chance);
            due.push(schedule.due().unwrap() - NOW);
            assert_eq!(schedule.next(NOW), secs(SLEEP_MAX));
            assert_eq!(schedule.next(NOW + 65 * DAY), Next::Order);
        }
        let (min, max) = (due.iter().min().unwrap(), due.iter().max().unwrap());
        assert!(*min >= 60 * DAY && *max <= 65 * DAY, "{min} to {max}");
        assert!(max - min > 4 * DAY, "they are spread");
    }

    #[test]
    fn a_restart_forgets_no_failure_and_keeps_nobody_waiting_for_a_day() {
        let restarted = |count, asked, now| {
            let mut schedule = Schedule::new(Windows::Asked);
            let at = NOW;
            schedule.failed_before(Failed { count, at, asked }, now);
            schedule
        };
        assert_eq!(restarted(1, 0, NOW).next(NOW), secs(MINUTE));
        assert_eq!(
            restarted(3, 0, NOW + 10).next(NOW + 10),
            secs(4 * MINUTE - 10)
        );
        assert_eq!(restarted(50, 0, NOW).next(NOW), secs(12 * MINUTE));
        assert_eq!(restarted(50, 0, NOW + DAY).next(NOW + DAY), Next::Order);
        assert_eq!(restarted(1, 2000, NOW).next(NOW), secs(2000));
        // A clock that was set back by years keeps nobody waiting either.
        assert_eq!(
            restarted(1, 0, NOW - 300 * DAY).next(NOW - 300 * DAY),
            secs(MINUTE)
        );
        // The next failure waits longer still, and who says that it is mended does not wait.
        let mut schedule = restarted(6, 0, NOW);
        assert_eq!(schedule.failures(), 6);
        assert_eq!(
            schedule.failed(NOW, None, 0),
            Duration::from_secs(64 * MINUTE)
        );
        let mut schedule = restarted(6, 0, NOW);
        schedule.nudge();
        assert_eq!(schedule.next(NOW), secs(MINUTE));
    }

    #[test]
    fn short_lives_are_scheduled_by_the_second() {
        let mut schedule = Schedule::new(Windows::Unknown);
        let life = Stretch {
            start: NOW,
            end: NOW + 30,
        };
        schedule.has(life, 0);
        assert_eq!(schedule.next(NOW), secs(20));
        assert_eq!(schedule.next(NOW + 20), Next::Order);
    }

    #[test]
    fn a_window_wins_and_a_moment_in_it_is_drawn() {
        let mut schedule = Schedule::new(Windows::Asked);
        schedule.has(days(90), 250);
        assert_eq!(schedule.next(NOW), Next::AskWindow);
        let window = Stretch {
            start: NOW + 10 * DAY,
            end: NOW + 14 * DAY,
        };
        schedule.window(window, Duration::from_secs(6 * HOUR), NOW);
        assert_eq!(schedule.due(), Some(NOW + 11 * DAY));
        assert_eq!(
            schedule.next(NOW + 6 * HOUR),
            Next::AskWindow,
            "it may move"
        );
        // The authority wants it renewed now: something is wrong with the certificate.
        let window = Stretch {
            start: NOW - DAY,
            end: NOW,
        };
        schedule.window(window, Duration::from_secs(6 * HOUR), NOW);
        assert_eq!(schedule.next(NOW), Next::Order);
    }

    #[test]
    fn a_window_that_is_none_or_too_late_does_no_harm() {
        let mut schedule = Schedule::new(Windows::Asked);
        schedule.has(days(90), 0);
        let again = Duration::from_secs(HOUR);
        schedule.window(
            Stretch {
                start: NOW + DAY,
                end: NOW,
            },
            again,
            NOW,
        );
        assert!(schedule.due().unwrap() >= NOW + 60 * DAY);
        schedule.window(
            Stretch {
                start: NOW + 200 * DAY,
                end: NOW + 300 * DAY,
            },
            again,
            NOW,
        );
        assert_eq!(schedule.due(), Some(NOW + 81 * DAY));
        schedule.window_failed(NOW);
        assert_eq!(schedule.due(), Some(NOW + 81 * DAY), "what is known stays");
        assert_eq!(schedule.next(NOW), secs(HOUR));
        schedule.no_windows();
        assert_eq!(schedule.next(NOW + HOUR), secs(SLEEP_MAX));
    }

    #[test]
    fn the_authority_says_when_to_ask_for_the_window_again_within_reason() {
        let mut schedule = Schedule::new(Windows::Asked);
        schedule.has(days(90), 0);
        let window = Stretch {
            start: NOW + 60 * DAY,
            end: NOW + 61 * DAY,
        };
        schedule.window(window, Duration::ZERO, NOW);
        assert_eq!(schedule.next(NOW), secs(MINUTE));
        schedule.window(window, Duration::from_secs(365 * DAY), NOW);
        assert_eq!(schedule.next(NOW + DAY), Next::AskWindow);
    }

    #[test]
    fn failures_wait_twice_as_long_each_time_up_to_a_day() {
        let mut schedule = Schedule::new(Windows::Asked);
        let mut now = NOW;
        let mut waits = Vec::new();
        for _ in 0..14 {
            let wait = schedule.failed(now, None, 0).as_secs();
            assert_eq!(schedule.next(now), secs(wait.min(SLEEP_MAX)));
            now += wait;
            assert_eq!(schedule.next(now), Next::Order);
            waits.push(wait);
        }
        assert_eq!(waits[..4], [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]);
        assert_eq!(waits[13], DAY);
        let longest = schedule.failed(now, None, 999).as_secs();
        assert!((DAY..=DAY + DAY / 4).contains(&longest), "with jitter");
    }

    #[test]
    fn who_limits_us_is_obeyed_within_a_week() {
        let mut schedule = Schedule::new(Windows::Asked);
        assert_eq!(schedule.failed(NOW, Some(3 * HOUR), 0).as_secs(), 3 * HOUR);
        assert_eq!(schedule.failed(NOW, Some(u64::MAX), 0).as_secs(), 7 * DAY);
        assert_eq!(schedule.failed(NOW, Some(1), 0).as_secs(), 4 * MINUTE);
    }

    #[test]
    fn a_nudge_shortens_the_wait_but_not_what_the_authority_asked_for() {
        let mut schedule = Schedule::new(Windows::Asked);
        for _ in 0..6 {
            schedule.failed(NOW, None, 0);
        }
        schedule.nudge();
        assert_eq!(schedule.next(NOW), secs(MINUTE));
        assert_eq!(schedule.next(NOW + MINUTE), Next::Order);
        schedule.failed(NOW, Some(HOUR), 0);
        schedule.nudge();
        assert_eq!(schedule.next(NOW), secs(HOUR));
        schedule.has(days(90), 0);
        schedule.nudge();
        assert!(schedule.due().unwrap() > NOW + 59 * DAY);
    }

    #[test]
    fn the_closer_the_end_the_more_often_it_is_tried() {
        let mut schedule = Schedule::new(Windows::Asked);
        schedule.has(days(6), 0);
        let now = NOW + 5 * DAY;
        for _ in 0..20 {
            let wait = schedule.failed(now, None, 0).as_secs();
            assert!(wait <= 6 * HOUR, "{wait}");
        }
        schedule.has(days(90), 0);
        assert_eq!(schedule.failed(NOW, None, 0).as_secs(), MINUTE, "forgotten");
    }
}
