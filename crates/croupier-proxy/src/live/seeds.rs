//! Randomised stories that can be told again: a failing seed is printed, and
//! `CROUPIER_SEED=n` runs that one alone.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Tells the story with seeds from 0 on, or with the one that was asked for.
pub(crate) fn for_each_seed(count: u64, story: impl Fn(&mut fastrand::Rng)) {
    let asked = std::env::var("CROUPIER_SEED")
        .ok()
        .and_then(|seed| seed.parse::<u64>().ok());
    let seeds = asked.map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        let told = catch_unwind(AssertUnwindSafe(|| {
            story(&mut fastrand::Rng::with_seed(seed));
        }));
        if let Err(failed) = told {
            eprintln!("to see it again: CROUPIER_SEED={seed}");
            resume_unwind(failed);
        }
    }
}
