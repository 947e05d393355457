//! A weighted split between pools: a canary gets five in a hundred clients, and always the same.
//!
//! Every client has a fixed point on a scale, and the shares lie on it one behind the other, in
//! the order written. Moving a border moves the clients that it passes and nobody else: from 95/5
//! to 90/10 the canary keeps its clients and gains some. Put what stays first and what grows last;
//! between neighbours no client moves that does not have to.

use super::{hash_key::mix, pick::draw::roll};

/// Shares on a scale of 2^64.
#[derive(Clone, Debug)]
pub struct Split<Id> {
    /// Where each share ends, exclusive; the last has what remains.
    ends: Box<[(u64, Id)]>,
    last: Id,
    salt: u64,
}

impl<Id: Copy> Split<Id> {
    /// Of (id, weight) in this order; weight 0 gets nobody. None when nobody gets anything.
    ///
    /// The `salt` is a name's hash ([`super::hash_key::hash`]): two splits with different ones
    /// choose different clients for their canaries, two with the same one the same clients.
    #[must_use]
    pub fn new(shares: impl IntoIterator<Item = (Id, u32)>, salt: u64) -> Option<Self> {
        let shares = shares.into_iter().filter(|(_, weight)| *weight > 0);
        let mut shares: Vec<(Id, u32)> = shares.collect();
        let sum: u128 = shares.iter().map(|(_, weight)| u128::from(*weight)).sum();
        let (last, _) = shares.pop()?;
        let mut before = 0;
        let end = |(id, weight): (Id, u32)| {
            before += u128::from(weight);
            // Below 2^64: at least the last share lies behind.
            let end = (before << 64) / sum;
            (u64::try_from(end).unwrap_or(u64::MAX), id)
        };
        Some(Self {
            ends: shares.into_iter().map(end).collect(),
            last,
            salt,
        })
    }

    /// Whose turn it is: by the client's key, always the same; without a key, by lot.
    #[must_use]
    pub fn choose(&self, key: Option<u64>, dice: &mut impl FnMut() -> u64) -> Id {
        let point = match key {
            // Not the hash itself: it also decides about the server.
            Some(key) => mix(key ^ self.salt, 0x51_17),
            None => roll(dice, u64::MAX),
        };
        let share = self.ends.iter().find(|(end, _)| point < *end);
        share.map_or(self.last, |(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Split;
    use crate::pool::pick::testing::{dice, seeded};

    fn choices(weights: &[u32], keys: u64) -> Vec<usize> {
        let split = Split::new(weights.iter().copied().enumerate(), 3).unwrap();
        let mut keyed = dice(11);
        (0..keys)
            .map(|_| split.choose(Some(keyed()), &mut || 0))
            .collect()
    }

    #[test]
    fn nobody_to_choose() {
        assert!(Split::new([(1, 0), (2, 0)], 0).is_none());
        assert!(Split::<u8>::new([], 0).is_none());
        let only = Split::new([(1, 0), (2, 7), (3, 0)], 0).unwrap();
        assert_eq!(only.choose(Some(u64::MAX), &mut || 0), 2);
        assert_eq!(only.choose(None, &mut || u64::MAX), 2);
    }

    #[test]
    fn without_a_key_the_lot_decides_by_weight() {
        let split = Split::new([("web", 95), ("canary", 5)], 0).unwrap();
        let mut dice = dice(5);
        let chosen = (0..20_000).filter(|_| split.choose(None, &mut dice) == "canary");
        let count = chosen.count();
        assert!((900..1_100).contains(&count), "{count}");
    }

    #[test]
    fn splits_with_different_salts_have_different_canaries() {
        let canary = |salt| {
            let split = Split::new([(false, 95), (true, 5)], salt).unwrap();
            (0..20_000_u64).filter(move |key| split.choose(Some(*key), &mut || 0))
        };
        let both = canary(1).filter(|key| canary(2).any(|other| other == *key));
        assert!(both.count() < 120); // 50 are expected, 1,000 would be the same
    }

    proptest! {
        #![proptest_config(seeded())]

        #[test]
        fn shares_are_as_written(weights in prop::collection::vec(0u32..100, 1..6)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let sum: u32 = weights.iter().sum();
            let chosen = choices(&weights, 10_000);
            for (id, weight) in weights.iter().enumerate() {
                let count = chosen.iter().filter(|other| **other == id).count();
                let share = count as f64 / 10_000.0;
                let expected = f64::from(*weight) / f64::from(sum);
                prop_assert!((share - expected).abs() < 0.025, "{} {}", share, expected);
            }
        }

        #[test]
        fn a_canary_that_grows_keeps_its_clients(small in 0u32..100, more in 0u32..100) {
            let grown = (small + more).min(100);
            prop_assume!(small < 100);
            let before = choices(&[100 - small, small], 5_000);
            let after = choices(&[100 - grown, grown], 5_000);
            let mut moved = 0;
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(before <= after, "a client left the canary");
                moved += u32::from(before != after);
            }
            let expected = f64::from(grown - small) / 100.0;
            prop_assert!((f64::from(moved) / 5_000.0 - expected).abs() < 0.03);
        }

        #[test]
        fn shares_that_are_not_neighbours_of_a_border_keep_their_clients(
            first in 1u32..50, moved in 1u32..50, rest in 1u32..50,
        ) {
            let before = choices(&[rest, first + moved, 50], 2_000);
            let after = choices(&[rest, first, 50 + moved], 2_000);
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(before == after || (*before, *after) == (1, 2));
            }
        }
    }
}
