//! Laws that every way of picking obeys; [`load`] and [`hashing`] have those of some.

use std::sync::Arc;

use proptest::prelude::*;

use super::testing::{Servers, dice, seeded};
use super::{Bound, Maglev, Picker, Ring, RoundRobin, UNIT};
use crate::pool::hash_key::hash;

mod hashing;
mod load;

fn named(count: usize, weights: &[u32]) -> Vec<(u64, u32)> {
    let name = |index: usize| format!("10.0.{}.{}:8080", index / 250, index % 250);
    let weight = |index: usize| weights[index % weights.len()];
    (0..count)
        .map(|index| (hash(name(index).as_bytes()), weight(index)))
        .collect()
}

fn maglev(servers: &[(u64, u32)]) -> Picker {
    Picker::Maglev(Arc::new(Maglev::new(servers)), Bound::NONE)
}

fn ring(servers: &[(u64, u32)]) -> Picker {
    Picker::Ring(Arc::new(Ring::new(servers)), Bound::NONE)
}

fn every_way(weights: &[u32]) -> Vec<Picker> {
    let servers = named(
        weights.len(),
        if weights.is_empty() { &[0] } else { weights },
    );
    let (maglev, ring) = (
        Arc::new(Maglev::new(&servers)),
        Arc::new(Ring::new(&servers)),
    );
    vec![
        Picker::RoundRobin(RoundRobin::default()),
        Picker::Random,
        Picker::LeastRequests,
        Picker::TwoChoices,
        Picker::Ewma,
        Picker::Maglev(Arc::clone(&maglev), Bound::NONE),
        Picker::Maglev(maglev, Bound::percent(125)),
        Picker::Ring(Arc::clone(&ring), Bound::NONE),
        Picker::Ring(ring, Bound::percent(125)),
    ]
}

/// The largest distance of a share from what the weights say, as a part of one.
fn worst(counts: &[u32], weights: &[u32]) -> f64 {
    let sum = |numbers: &[u32]| numbers.iter().map(|number| f64::from(*number)).sum::<f64>();
    let (picks, all) = (sum(counts), sum(weights));
    counts
        .iter()
        .zip(weights)
        .map(|(count, weight)| (f64::from(*count) / picks - f64::from(*weight) / all).abs())
        .fold(0.0, f64::max)
}

#[test]
fn nobody_is_picked_where_nobody_may_be() {
    for len in [0, 1, 2, 1_000] {
        let servers = Servers::of(&vec![0; len]);
        for mut picker in every_way(&servers.weights) {
            for key in [None, Some(7)] {
                assert_eq!(picker.pick(&servers, &mut dice(1), key), None, "{len}");
            }
        }
    }
}

#[test]
fn a_lonely_server_among_a_thousand_is_found() {
    let configured = vec![UNIT; 1_000];
    for mut picker in every_way(&configured) {
        let mut servers = Servers::of(&vec![0; 1_000]);
        servers.weights[617] = 1;
        servers.loads[617] = 40;
        let mut dice = dice(1);
        for key in [None, Some(1), Some(2), Some(3)] {
            assert_eq!(picker.pick(&servers, &mut dice, key), Some(617));
        }
    }
}

#[test]
fn the_largest_numbers_overflow_nothing() {
    let mut servers = Servers::of(&[u32::MAX; 1_000]);
    servers.loads = vec![u32::MAX; 1_000];
    servers.latencies = vec![u32::MAX; 1_000];
    for mut picker in every_way(&servers.weights) {
        for key in [None, Some(u64::MAX)] {
            let picked = picker.pick(&servers, &mut || u64::MAX, key);
            assert!(picked.is_some_and(|index| index < 1_000));
        }
    }
}

#[test]
fn a_table_that_shrank_or_grew_since_is_no_harm() {
    for mut picker in every_way(&[UNIT; 10]) {
        let mut dice = dice(3);
        for len in [10, 2, 30, 1, 0, 4] {
            let servers = Servers::of(&vec![UNIT; len]);
            let picked = picker.pick(&servers, &mut dice, Some(5));
            assert_eq!(picked.is_some(), len > 0);
            assert!(picked.is_none_or(|index| index < len));
        }
    }
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(1u32..=20, 1..24)) {
        let weights: Vec<u32> = weights.iter().map(|weight| weight * UNIT / 4).collect();
        let servers = Servers::of(&weights);
        let hashed = named(weights.len(), &weights);
        for (mut picker, allowed) in [
            (Picker::RoundRobin(RoundRobin::default()), 0.001),
            (Picker::Random, 0.03),
            (Picker::LeastRequests, 0.03),
            (maglev(&hashed), 0.03),
            (ring(&hashed), 0.12),
        ] {
            let counts = servers.shares(&mut picker, 6_000);
            prop_assert!(worst(&counts, &weights) < allowed, "{:?} {:?}", weights, counts);
        }
    }

    #[test]
    fn nobody_of_weight_0_is_ever_picked(
        weights in prop::collection::vec(prop_oneof![Just(0u32), 1u32..600], 1..60),
        loads in prop::collection::vec(0u32..20, 60),
        latencies in prop::collection::vec(0u32..3_000, 60),
    ) {
        let mut servers = Servers::of(&weights);
        servers.loads = loads;
        servers.latencies = latencies;
        let any = weights.iter().any(|weight| *weight > 0);
        // The hashing tables know them as ordinary servers that are down at the moment.
        for mut picker in every_way(&vec![UNIT; weights.len()]) {
            let mut dice = dice(1);
            for round in 0..20 {
                let key = (round % 5 > 0).then(&mut dice);
                let picked = picker.pick(&servers, &mut dice, key);
                prop_assert_eq!(picked.is_some(), any);
                prop_assert!(picked.is_none_or(|index| weights[index] > 0));
            }
        }
    }
}
