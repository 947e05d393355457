//! In turn: smooth weighted round robin.
//!
//! Each turn every candidate gains its weight, the richest is picked and pays the sum: servers of
//! weight 5, 1, 1 are picked as `a a b a c a a`, never five in a row (the algorithm of nginx).
//! Weights may change from turn to turn, as they do in slow start.

use super::{Candidates, UNIT, draw::roll};

/// Whose turn it is. One per worker and pool or tier.
#[derive(Clone, Debug, Default)]
pub struct RoundRobin {
    credits: Vec<i64>,
    weights: Box<[u16]>,
}

impl RoundRobin {
    /// For servers of these configured weights, each at least 1; for [`RoundRobin::pick`].
    /// Whoever calls [`RoundRobin::next`] begins with the default.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = u16>) -> Self {
        let weights: Box<[u16]> = weights.into_iter().collect();
        Self {
            credits: vec![0; weights.len()],
            weights,
        }
    }

    /// The next server among those that `may` be asked, by the weights given to
    /// [`RoundRobin::new`].
    pub fn pick(&mut self, mut may: impl FnMut(usize) -> bool) -> Option<usize> {
        let weights = &self.weights;
        turn(&mut self.credits, |index| match may(index) {
            true => u32::from(weights[index]) * UNIT,
            false => 0,
        })
    }

    /// The next of these candidates. The first turn begins at a place drawn by lot, so that many
    /// workers that start together do not all begin with the first server.
    pub fn next(
        &mut self,
        table: &impl Candidates,
        dice: &mut impl FnMut() -> u64,
    ) -> Option<usize> {
        let len = table.len();
        self.credits.truncate(len);
        for index in self.credits.len()..len {
            let phase = roll(dice, u64::from(table.weight(index)));
            self.credits.push(i64::try_from(phase).unwrap_or(0));
        }
        turn(&mut self.credits, |index| table.weight(index))
    }
}

/// Who sits out keeps credit and debt for later. Neither may be more than the sum of the weights
/// of this turn: with constant weights it never is, and after a change nobody waits, or is
/// picked in a row, for longer than one round.
fn turn(credits: &mut [i64], mut weight: impl FnMut(usize) -> u32) -> Option<usize> {
    let mut sum = 0;
    let mut best: Option<(usize, i64)> = None;
    for (index, credit) in credits.iter_mut().enumerate() {
        let weight = i64::from(weight(index));
        if weight == 0 {
            continue;
        }
        sum += weight;
        *credit += weight;
        if best.is_none_or(|(_, richest)| *credit > richest) {
            best = Some((index, *credit));
        }
    }
    let (index, _) = best?;
    credits[index] -= sum;
    for credit in credits {
        *credit = (*credit).clamp(-sum, sum);
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Servers, dice, seeded};
    use super::{RoundRobin, UNIT};

    #[test]
    fn heavy_servers_do_not_come_in_a_row() {
        let mut turns = RoundRobin::new([5, 1, 1]);
        let picked: String = (0..7)
            .map(|_| ['a', 'b', 'c'][turns.pick(|_| true).unwrap()])
            .collect();
        assert_eq!(picked, "aabacaa");
    }

    #[test]
    fn nobody_to_ask() {
        assert_eq!(RoundRobin::new([1, 1]).pick(|_| false), None);
        assert_eq!(RoundRobin::new([]).pick(|_| true), None);
    }

    #[test]
    fn a_server_that_starts_slowly_gets_more_from_turn_to_turn() {
        let mut servers = Servers::of(&[UNIT, UNIT, 0]);
        let (mut turns, mut dice) = (RoundRobin::default(), dice(1));
        let mut shares = Vec::new();
        for weight in [0, UNIT / 16, UNIT / 4, UNIT] {
            servers.weights[2] = weight;
            let picked = (0..330).filter(|_| turns.next(&servers, &mut dice) == Some(2));
            shares.push(picked.count());
        }
        assert_eq!(shares[0], 0);
        assert!((9..=11).contains(&shares[1]), "{shares:?}"); // 1/33
        assert!((36..=38).contains(&shares[2]), "{shares:?}"); // 1/9
        assert!((109..=111).contains(&shares[3]), "{shares:?}"); // 1/3
    }

    #[test]
    fn a_server_that_became_light_does_not_wait_for_its_old_debt() {
        let mut servers = Servers::of(&[1_000 * UNIT, 1_000 * UNIT]);
        let (mut turns, mut dice) = (RoundRobin::default(), dice(1));
        while turns.next(&servers, &mut dice) != Some(0) {}
        servers.weights = vec![UNIT, UNIT];
        let picked: Vec<_> = (0..4).map(|_| turns.next(&servers, &mut dice)).collect();
        assert!(
            picked.contains(&Some(0)) && picked.contains(&Some(1)),
            "{picked:?}"
        );
    }

    proptest! {
        #![proptest_config(seeded())]

        #[test]
        fn each_gets_exactly_its_share(weights in prop::collection::vec(1u16..20, 1..8)) {
            let sum: u16 = weights.iter().sum();
            let mut turns = RoundRobin::new(weights.clone());
            let mut counts = vec![0u16; weights.len()];
            for _ in 0..sum {
                counts[turns.pick(|_| true).unwrap()] += 1;
            }
            prop_assert_eq!(counts, weights);
        }

        #[test]
        fn only_who_may_is_picked(out in 0usize..4, rounds in 1usize..40) {
            let mut turns = RoundRobin::new([3, 1, 2, 1]);
            for _ in 0..rounds {
                prop_assert_ne!(turns.pick(|index| index != out), Some(out));
            }
        }
    }
}
