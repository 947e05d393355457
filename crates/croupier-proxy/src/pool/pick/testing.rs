//! Servers on paper, loaded dice and fixed seeds for the tests of this room.

use proptest::test_runner::{Config, RngSeed};

use super::{Candidates, Picker};

/// A table of servers that a test may change between picks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Servers {
    pub(crate) weights: Vec<u32>,
    pub(crate) loads: Vec<u32>,
    pub(crate) latencies: Vec<u32>,
}

impl Servers {
    /// Idle ones of unknown latency.
    pub(crate) fn of(weights: &[u32]) -> Self {
        Self {
            weights: weights.to_vec(),
            loads: vec![0; weights.len()],
            latencies: vec![0; weights.len()],
        }
    }

    /// Picks so often and counts; loads stay as they are.
    pub(crate) fn shares(&self, picker: &mut Picker, picks: u32) -> Vec<u32> {
        let mut dice = dice(7);
        let mut counts = vec![0; self.weights.len()];
        for _ in 0..picks {
            let key = Some(dice());
            counts[picker.pick(self, &mut dice, key).unwrap()] += 1;
        }
        counts
    }
}

impl Candidates for Servers {
    fn len(&self) -> usize {
        self.weights.len()
    }

    fn weight(&self, index: usize) -> u32 {
        self.weights[index]
    }

    fn load(&self, index: usize) -> u32 {
        self.loads[index]
    }

    fn latency_us(&self, index: usize) -> u32 {
        self.latencies[index]
    }
}

/// splitmix64.
pub(crate) fn dice(seed: u64) -> impl FnMut() -> u64 {
    let mut turns = 0;
    move || {
        turns += 1;
        crate::pool::hash_key::mix(seed, turns)
    }
}

/// The same cases in every run.
pub(crate) fn seeded() -> Config {
    Config {
        cases: 64,
        rng_seed: RngSeed::Fixed(0x5eed),
        failure_persistence: None,
        ..Config::default()
    }
}
