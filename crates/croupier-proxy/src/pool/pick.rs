//! Choosing a server: smooth weighted round robin.
//!
//! Pure over weights and a question who may be asked. Each turn every candidate gains its
//! weight, the richest is picked and pays the sum: servers of weight 5, 1, 1 are picked as
//! `a a b a c a a`, never five in a row (the algorithm of nginx).

/// Whose turn it is. One per worker and pool.
#[derive(Debug)]
pub struct RoundRobin {
    servers: Box<[Share]>,
}

#[derive(Debug)]
struct Share {
    weight: i64,
    credit: i64,
}

impl RoundRobin {
    /// For servers of these weights, each at least 1.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = u16>) -> Self {
        let share = |weight: u16| Share {
            weight: weight.into(),
            credit: 0,
        };
        Self {
            servers: weights.into_iter().map(share).collect(),
        }
    }

    /// The next server among those that `may` be asked.
    pub fn pick(&mut self, mut may: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut sum = 0;
        let mut best: Option<(usize, i64)> = None;
        for (index, share) in self.servers.iter_mut().enumerate() {
            if !may(index) {
                continue;
            }
            share.credit += share.weight;
            sum += share.weight;
            if best.is_none_or(|(_, credit)| share.credit > credit) {
                best = Some((index, share.credit));
            }
        }
        let (index, _) = best?;
        self.servers[index].credit -= sum;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RoundRobin;

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

    proptest! {
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
