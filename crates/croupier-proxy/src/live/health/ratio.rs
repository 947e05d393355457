//! How many of the last attempts failed.
//!
//! A window opens with a failure, so a server without failures costs nothing; successes are
//! counted by the caller, without a lock, while one is open.

/// Failures since the window was opened.
#[derive(Debug, Default)]
pub(super) struct Window {
    since: Option<u64>,
    failed: u32,
}

impl Window {
    pub(super) fn is_open(&self) -> bool {
        self.since.is_some()
    }

    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure; true when a new window begins with it.
    pub(super) fn failed(&mut self, now: u64, window_ms: u64) -> bool {
        self.tick(now, window_ms);
        let opened = self.since.is_none();
        self.since.get_or_insert(now);
        self.failed = self.failed.saturating_add(1);
        opened
    }

    /// Is it time to compare with others? Looking at all of them is not for every failure.
    pub(super) fn is_round(&self) -> bool {
        self.failed.is_multiple_of(4)
    }

    pub(super) fn tick(&mut self, now: u64, window_ms: u64) {
        if self
            .since
            .is_some_and(|since| now.saturating_sub(since) >= window_ms)
        {
            self.close();
        }
    }

    /// Percent of failures, and of how many attempts.
    pub(super) fn failures(&self, succeeded: u32) -> (u32, u32) {
        let all = self.failed.saturating_add(succeeded);
        let percent = u64::from(self.failed) * 100 / u64::from(all.max(1));
        (u32::try_from(percent).unwrap_or(100), all)
    }
}

/// Does a server fail clearly more often than the others of its pool? `above`: by so many
/// percentage points. A pool that fails as a whole has no outlier.
#[must_use]
pub fn is_clearly_worse(own: u32, others: impl IntoIterator<Item = u32>, above: u32) -> bool {
    let (sum, count) = others
        .into_iter()
        .fold((0_u32, 0_u32), |(sum, count), one| (sum + one, count + 1));
    count > 0 && own >= sum / count + above.max(1)
}
