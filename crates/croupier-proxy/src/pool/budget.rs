//! The retry budget: retries are a share of the requests in flight, so that a pool in trouble
//! is not asked many times over (the sustaining effect of most metastable failures).
//!
//! An attempt of which nothing was sent costs the servers nothing and needs no budget; that is
//! the caller's to say.

use std::sync::{Arc, atomic::Ordering};

use crate::live::{LivePool, Server};

/// May one more retry be in flight? `active`: attempts in flight; `share`: percent of them
/// that may be retries; `floor`: so many may be always.
#[must_use]
pub fn may_retry(active: u32, retries: u32, share: u32, floor: u32) -> bool {
    let allowed = u64::from(active) * u64::from(share) / 100;
    u64::from(retries) < allowed.max(u64::from(floor))
}

/// Attempts in flight to these servers, over all workers.
pub fn active<'a>(servers: impl IntoIterator<Item = &'a Arc<Server>>) -> u32 {
    servers
        .into_iter()
        .fold(0, |sum, server| sum.saturating_add(server.busy()))
}

/// A retry in flight; dropping it gives its part of the budget back.
#[derive(Debug)]
pub struct Retrying {
    pool: Arc<LivePool>,
}

impl Retrying {
    /// Takes a part of the budget, or counts the refusal. Holds its bound over all workers.
    #[must_use]
    pub fn begin(pool: &Arc<LivePool>, active: u32, share: u32, floor: u32) -> Option<Self> {
        let counts = &pool.retries;
        let begun =
            counts
                .in_flight
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |retries| {
                    may_retry(active, retries, share, floor).then_some(retries + 1)
                });
        if begun.is_err() {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Self {
            pool: Arc::clone(pool),
        })
    }
}

impl Drop for Retrying {
    fn drop(&mut self) {
        self.pool.retries.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Retrying, may_retry};
    use crate::live::Live;

    #[test]
    fn a_quiet_pool_may_always_retry_a_little() {
        assert!(may_retry(1, 2, 20, 3));
        assert!(!may_retry(1, 3, 20, 3));
        assert!(may_retry(100, 19, 20, 3));
        assert!(!may_retry(100, 20, 20, 3));
        assert!(!may_retry(1000, 0, 0, 0), "no budget at all");
    }

    #[test]
    fn a_retry_that_ends_gives_its_part_back() {
        let pool = Live::new().pool("web");
        let held: Vec<_> = (0..10)
            .filter_map(|_| Retrying::begin(&pool, 20, 20, 3))
            .collect();
        assert_eq!(held.len(), 4);
        assert_eq!((pool.retries_in_flight(), pool.retries_refused()), (4, 6));
        drop(held);
        assert_eq!(pool.retries_in_flight(), 0);
        assert!(Retrying::begin(&pool, 0, 20, 3).is_some());
    }

    proptest! {
        #[test]
        fn the_load_never_grows_by_more_than_the_share(
            requests in 1u32..5_000, share in 0u32..100, floor in 0u32..5
        ) {
            let pool = Live::new().pool("web");
            let held: Vec<_> =
                (0..requests).filter_map(|_| Retrying::begin(&pool, requests, share, floor)).collect();
            let bound = (requests * share / 100).max(floor);
            prop_assert!(held.len() <= bound as usize);
        }
    }
}
