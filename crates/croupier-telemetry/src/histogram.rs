//! Histograms with fixed buckets: the ones OpenTelemetry advises for HTTP durations, 5 ms to 10 s.
//!
//! A recorded value touches two cells, its own bucket and the sum; buckets become cumulative only when
//! somebody reads. The count is the sum of the buckets, so it always agrees with them.

use std::time::Duration;

use crate::cells::Tick;

/// Upper bounds, inclusive: nanoseconds, and the same as Prometheus writes it in `le`.
pub(crate) const BOUNDS: [(u64, &str); 14] = [
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (75_000_000, "0.075"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (750_000_000, "0.75"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (7_500_000_000, "7.5"),
    (10_000_000_000, "10"),
];

/// The bounds and, last, everything above them.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;

/// One worker's histogram of durations.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [Tick; BUCKETS],
    sum_ns: Tick,
}

impl Histogram {
    /// Counts one duration. Only the owning worker may call this.
    #[inline]
    pub(crate) fn record(&self, duration: Duration) {
        let ns = nanoseconds(duration);
        self.buckets[bucket(ns)].add(1);
        self.sum_ns.add(ns);
    }
}

impl Histogram {
    /// Forgets everything. Only while there is no owning worker.
    pub(crate) fn clear(&self) {
        for cell in self.buckets.iter().chain([&self.sum_ns]) {
            cell.clear();
        }
    }
}

/// A histogram summed over workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HistogramTotal {
    /// Not cumulative.
    pub(crate) buckets: [u64; BUCKETS],
    /// Nanoseconds; wraps after 584 years of summed time.
    pub(crate) sum_ns: u64,
}

impl HistogramTotal {
    /// Adds what one worker has counted so far.
    pub(crate) fn add(&mut self, one: &Histogram) {
        for (total, tick) in self.buckets.iter_mut().zip(&one.buckets) {
            *total = total.wrapping_add(tick.get());
        }
        self.sum_ns = self.sum_ns.wrapping_add(one.sum_ns.get());
    }

    /// How many durations were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.buckets
            .iter()
            .fold(0, |sum, bucket| sum.wrapping_add(*bucket))
    }
}

/// `Duration::as_nanos` without its 128-bit arithmetic; saturates after 584 years.
#[inline]
fn nanoseconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos().into())
}

/// The first bucket whose bound is not below `ns`.
#[inline]
fn bucket(ns: u64) -> usize {
    // Most exchanges of a healthy site end here, so this branch predicts well.
    if ns <= BOUNDS[0].0 {
        return 0;
    }
    // No early exit: fourteen compares and adds cost less than one branch guessed wrong.
    BOUNDS
        .iter()
        .map(|(bound, _)| usize::from(ns > *bound))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_the_first_bound_not_below() {
        for (index, (bound, le)) in BOUNDS.iter().enumerate() {
            assert_eq!(bucket(*bound), index, "at the bound");
            assert_eq!(bucket(*bound + 1), index + 1, "above it");
            let seconds: f64 = le.parse().unwrap();
            assert_eq!(
                (seconds * 1e9).round() as u64,
                *bound,
                "the label says the bound"
            );
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn totals_add_up_over_workers() {
        let (one, two) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_millis(3));
        one.record(Duration::from_secs(11));
        two.record(Duration::from_millis(3));
        let mut total = HistogramTotal::default();
        total.add(&one);
        total.add(&two);
        assert_eq!(total.count(), 3);
        assert_eq!(total.buckets[0], 2);
        assert_eq!(total.buckets[BUCKETS - 1], 1);
        assert_eq!(total.sum_ns, 11_006_000_000);
    }

    #[test]
    fn absurd_durations_saturate() {
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
        assert_eq!(nanoseconds(Duration::from_nanos(7)), 7);
    }
}
