//! How long a pool's servers take to their heads: a histogram that forgets, for quantiles.
//!
//! Buckets grow by an eighth of a power of two, so a quantile is right within 9 %. Every ten
//! seconds all counts are halved: what was a minute ago weighs next to nothing.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use croupier_config::model::Percent;

/// Up to 2^32 microseconds, over an hour.
const BUCKETS: usize = 8 * 32;
/// Answers before a quantile means anything.
const ENOUGH: u64 = 100;
/// Between two halvings, milliseconds.
const HALVE_MS: u64 = 10_000;

/// Latencies over all workers. Counts are relaxed: a lost one changes nothing.
#[derive(Debug)]
pub struct Latencies {
    counts: [AtomicU32; BUCKETS],
    halved_at: AtomicU64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU32::new(0) }; BUCKETS],
            halved_at: AtomicU64::new(0),
        }
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.clamp(1, u64::from(u32::MAX));
    let octave = micros.ilog2();
    // The three bits below the highest one.
    let eighth = (micros << 3 >> octave) & 7;
    (octave as usize * 8 + usize::try_from(eighth).unwrap_or(0)).min(BUCKETS - 1)
}

/// Where the bucket ends, microseconds.
fn end(bucket: usize) -> u64 {
    let (octave, eighth) = (bucket / 8, bucket as u64 % 8);
    ((8 + eighth + 1) << octave) >> 3
}

impl Latencies {
    /// One more answer.
    pub fn note(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// The time within which this share of answers came; None while there were too few.
    #[must_use]
    pub fn quantile(&self, share: Percent) -> Option<Duration> {
        let counts = self
            .counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        let all: u64 = counts.iter().copied().map(u64::from).sum();
        if all < ENOUGH {
            return None;
        }
        let wanted = share.of(all).max(1);
        let mut sum = 0;
        let found = counts.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        });
        found.map(|bucket| Duration::from_micros(end(bucket)))
    }

    /// Time goes on: old answers count less.
    pub fn tick(&self, now: u64) {
        let at = self.halved_at.load(Ordering::Relaxed);
        if now.saturating_sub(at) < HALVE_MS {
            return;
        }
        self.halved_at.store(now, Ordering::Relaxed);
        for count in &self.counts {
            let now = count.load(Ordering::Relaxed);
            if now > 0 {
                count.fetch_sub(now.div_ceil(2), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use croupier_config::model::Percent;
    use proptest::prelude::*;

    use super::{Latencies, bucket, end};

    #[test]
    fn a_quantile_is_right_within_an_eighth_of_a_power_of_two() {
        let latencies = Latencies::default();
        for micros in 1..=1000 {
            latencies.note(Duration::from_micros(micros));
        }
        let quantile = latencies.quantile(Percent::whole(95)).unwrap().as_micros();
        assert!((950..=1070).contains(&quantile), "{quantile}");
    }

    #[test]
    fn too_few_answers_say_nothing_and_old_ones_are_forgotten() {
        let latencies = Latencies::default();
        for _ in 0..99 {
            latencies.note(Duration::from_millis(5));
        }
        assert_eq!(latencies.quantile(Percent::whole(50)), None);
        latencies.note(Duration::from_millis(5));
        assert!(latencies.quantile(Percent::whole(50)).is_some());
        latencies.tick(10_000);
        latencies.tick(10_001);
        for _ in 0..50 {
            latencies.note(Duration::from_millis(50));
        }
        assert!(latencies.quantile(Percent::whole(95)).unwrap() > Duration::from_millis(40));
        (2..20).for_each(|turn| latencies.tick(turn * 10_001));
        assert_eq!(latencies.quantile(Percent::whole(50)), None);
    }

    proptest! {
        #[test]
        fn every_time_lies_in_its_bucket(micros in 1u64..u64::from(u32::MAX)) {
            let bucket = bucket(micros);
            prop_assert!(micros <= end(bucket));
            prop_assert!(bucket == 0 || micros >= end(bucket - 1) || micros < 8);
        }
    }
}
