//! The latency of a server as an average that forgets over ten seconds, but believes a worse
//! answer at once (Finagle's peak EWMA): a server that stalls is avoided after one answer, one
//! that recovered is believed gradually.
//!
//! One word of 64 bits, so that it lives in an atomic: load it, [`PeakEwma::observe`], store it.
//! Of two workers that do so at once one sample is lost, which is nothing. Most samples of a
//! busy server change nothing; then storing may be left out too.

/// After so long without an answer, a latency counts e (2.7) times less.
const FORGET_MS: f64 = 10_000.0;

/// Answers that are better than the average count once per so long. A smaller step would be
/// lost in rounding, and every answer would write to a word that all workers read.
const STEP_MS: u32 = 16;

/// Fractions of a microsecond kept, for the same reason: 1/16. Leaves 268 seconds.
const FRACTION_BITS: u32 = 4;

/// Latency and when it was last counted. The default knows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeakEwma {
    /// In 1/16 microseconds; 0: never measured.
    value: u32,
    /// The low bits of the clock. After 49 days without an answer the past looks young again:
    /// by then nothing is left of it that could do harm.
    stamp_ms: u32,
}

impl PeakEwma {
    /// From what [`PeakEwma::to_bits`] gave; 0 knows nothing.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            value: (bits >> 32) as u32,
            stamp_ms: bits as u32,
        }
    }

    /// For an atomic.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        (u64::from(self.value) << 32) | u64::from(self.stamp_ms)
    }

    /// With one more answer, which took `latency_us`. `now_ms` is of a clock that does not go
    /// back; that another worker's is a little ahead does no harm.
    #[must_use]
    pub fn observe(self, latency_us: u32, now_ms: u64) -> Self {
        let sample = latency_us
            .clamp(1, u32::MAX >> FRACTION_BITS)
            .wrapping_shl(FRACTION_BITS);
        let elapsed_ms = self.elapsed_ms(now_ms);
        if sample >= self.value {
            return Self {
                value: sample,
                stamp_ms: low(now_ms),
            };
        }
        if elapsed_ms < STEP_MS {
            return self;
        }
        // Rounded down: the average always gets nearer to the better answer.
        let value = sample + scaled(self.value - sample, elapsed_ms);
        Self {
            value,
            stamp_ms: low(now_ms),
        }
    }

    /// The latency in microseconds as it is believed now; 0: not known, or forgotten.
    #[must_use]
    pub fn value(self, now_ms: u64) -> u32 {
        scaled(self.value, self.elapsed_ms(now_ms)) >> FRACTION_BITS
    }

    fn elapsed_ms(self, now_ms: u64) -> u32 {
        let elapsed = low(now_ms).wrapping_sub(self.stamp_ms);
        // Another worker's clock was ahead.
        if elapsed > u32::MAX / 2 { 0 } else { elapsed }
    }
}

/// What is left of `value` after that long.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a u32; the cast rounds down"
)]
fn scaled(value: u32, elapsed_ms: u32) -> u32 {
    (f64::from(value) * (-f64::from(elapsed_ms) / FORGET_MS).exp()) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
fn low(now_ms: u64) -> u32 {
    now_ms as u32
}

/// [`PeakEwma::observe`] on the bits, for `AtomicU64::update` or a load and a store.
#[must_use]
pub fn next(bits: u64, latency_us: u32, now_ms: u64) -> u64 {
    PeakEwma::from_bits(bits)
        .observe(latency_us, now_ms)
        .to_bits()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PeakEwma;

    #[test]
    fn a_worse_answer_is_believed_at_once_a_better_one_gradually() {
        let calm = PeakEwma::default().observe(1_000, 5);
        assert_eq!(calm.value(5), 1_000);
        let stalled = calm.observe(80_000, 6);
        assert_eq!(stalled.value(6), 80_000);
        let mut now = 6;
        let mut healing = stalled;
        while now < 10_006 {
            now += 1;
            healing = healing.observe(1_000, now);
        }
        let expected = 1_000.0 + 79_000.0 / std::f64::consts::E;
        let value = f64::from(healing.value(now));
        assert!((value / expected - 1.0).abs() < 0.02, "{value} {expected}");
    }

    #[test]
    fn what_is_not_asked_any_more_is_forgotten() {
        let slow = PeakEwma::default().observe(1_000_000, 0);
        assert_eq!(slow.value(10_000), 367_879);
        assert_eq!(slow.value(300_000), 0);
        assert_eq!(PeakEwma::default().value(7), 0);
    }

    #[test]
    fn a_steady_server_keeps_its_value() {
        let mut steady = PeakEwma::default();
        for now in 0..60_000 {
            steady = steady.observe(1_000 + (now % 3) as u32, now);
            let value = steady.value(now);
            assert!((990..=1_002).contains(&value), "{value} at {now}");
        }
    }

    #[test]
    fn clocks_of_workers_may_differ_and_wrap() {
        let ahead = PeakEwma::default().observe(1_000, 50);
        assert_eq!(ahead.value(40), 1_000);
        assert_eq!(ahead.observe(10, 40), ahead);
        let late = u64::from(u32::MAX);
        let wrapped = PeakEwma::default().observe(1_000, late);
        assert_eq!(wrapped.value(late + 10_000), 367);
    }

    proptest! {
        #![proptest_config(super::super::testing::seeded())]

        #[test]
        fn it_stays_between_its_samples(
            samples in prop::collection::vec((1u32..1 << 28, 0u64..20_000), 1..60),
        ) {
            let (mut now, mut ewma) = (0, PeakEwma::default());
            let least = samples.iter().map(|(sample, _)| *sample).min().unwrap();
            let most = samples.iter().map(|(sample, _)| *sample).max().unwrap();
            for (sample, pause) in samples {
                now += pause;
                ewma = PeakEwma::from_bits(super::next(ewma.to_bits(), sample, now));
                // A step that is not counted yet is forgotten a little.
                let floor = least - least / 500 - 1;
                prop_assert!((floor..=most).contains(&ewma.value(now)));
            }
        }
    }
}
