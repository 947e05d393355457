//! Traces of requests for caches: which object is asked for, one after another. The same for the
//! same seed, on every machine.

/// How a trace is made.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// Numbers that differ make traces that differ.
    pub seed: u64,
    /// Objects that are asked for again and again: 0 is the most popular.
    pub objects: u64,
    /// The exponent of Zipf's law: 0 is all alike; the web has 0.6 to 1.
    pub skew: f64,
    /// Requests in all.
    pub requests: usize,
    /// After so many requests a scan comes; 0 for none.
    pub scan_every: usize,
    /// Objects of a scan: each is asked for once and never again.
    pub scan_len: usize,
}

/// Numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// Begins at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what fits")]
    pub fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Trace {
    /// The objects in the order in which they are asked for.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "so many objects are never asked for"
    )]
    pub fn run(&self) -> Vec<u64> {
        let mut sums = Vec::new();
        let mut sum = 0.0;
        for rank in 1..=self.objects.max(1) {
            sum += (rank as f64).powf(-self.skew);
            sums.push(sum);
        }
        let mut seeded = Seeded::new(self.seed);
        let mut asked = Vec::with_capacity(self.requests);
        let mut next_of_scan = self.objects;
        while asked.len() < self.requests {
            let is_scan = self.scan_every > 0
                && asked.len() % (self.scan_every + self.scan_len) >= self.scan_every;
            if is_scan {
                asked.push(next_of_scan);
                next_of_scan += 1;
            } else {
                let at = seeded.fraction() * sum;
                asked.push(sums.partition_point(|sum| *sum < at) as u64);
            }
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_what_it_was_asked_to_be() {
        let trace = Trace {
            seed: 1,
            objects: 100,
            skew: 1.0,
            requests: 10_000,
            scan_every: 900,
            scan_len: 100,
        };
        let asked = trace.run();
        assert_eq!(asked.len(), 10_000);
        assert_eq!(asked, trace.run());
        let count = |object: u64| asked.iter().filter(|&&one| one == object).count();
        assert_eq!(asked.iter().filter(|&&one| one >= 100).count(), 1000);
        assert_eq!((count(100), count(1099)), (1, 1));
        // 9,000 times 1 / 5.19 (the hundredth harmonic number).
        assert!((1500..2000).contains(&count(0)), "{}", count(0));
        assert!(count(0) > count(3) && count(3) > count(50));
    }
}
