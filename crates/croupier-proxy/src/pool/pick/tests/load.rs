//! Laws of the ways that look at load and latency.

use proptest::prelude::*;

use super::super::testing::{Servers, dice, seeded};
use super::super::{Picker, UNIT};
use super::worst;

#[test]
fn the_least_loaded_for_its_weight_is_picked_and_ties_are_shared() {
    let mut servers = Servers::of(&[UNIT, UNIT, 2 * UNIT, 2 * UNIT, 0]);
    servers.loads = vec![3, 2, 5, 6, 0];
    // One more would be 4, 3, 3 and 3.5 for each of weight 1.
    let counts = servers.shares(&mut Picker::LeastRequests, 3_000);
    assert_eq!(counts[0] + counts[3] + counts[4], 0);
    assert!(worst(&counts[1..3], &[1, 2]) < 0.03, "{counts:?}");
}

#[test]
fn idle_servers_share_by_weight() {
    let servers = Servers::of(&[UNIT, 3 * UNIT]);
    for mut picker in [Picker::LeastRequests, Picker::TwoChoices, Picker::Ewma] {
        let counts = servers.shares(&mut picker, 4_000);
        assert!(worst(&counts, &[1, 3]) < 0.03, "{picker:?} {counts:?}");
    }
}

#[test]
fn a_server_that_starts_slowly_is_not_flooded_by_those_who_look_for_idle_ones() {
    let mut servers = Servers::of(&[UNIT, UNIT / 32]);
    servers.loads = vec![10, 0];
    for mut picker in [Picker::LeastRequests, Picker::TwoChoices] {
        assert_eq!(servers.shares(&mut picker, 100)[1], 0, "{picker:?}");
    }
    servers.loads[0] = 40;
    for mut picker in [Picker::LeastRequests, Picker::TwoChoices] {
        assert_eq!(servers.shares(&mut picker, 100)[1], 100, "{picker:?}");
    }
}

/// The load of the busiest when each of so many picks adds a request and none ends.
fn busiest(picker: &mut Picker, servers: &mut Servers, picks: u32) -> u32 {
    let mut dice = dice(9);
    for _ in 0..picks {
        let key = Some(dice());
        let index = picker.pick(servers, &mut dice, key).unwrap();
        servers.loads[index] += 1;
    }
    servers.loads.iter().copied().max().unwrap()
}

#[test]
fn two_choices_are_nearly_as_even_as_all_and_far_evener_than_a_lot() {
    let of = |mut picker: Picker| busiest(&mut picker, &mut Servers::of(&[UNIT; 1_000]), 10_000);
    assert_eq!(of(Picker::LeastRequests), 10);
    assert!(of(Picker::TwoChoices) <= 13);
    assert!(of(Picker::Random) >= 18);
}

#[test]
fn the_faster_of_two_is_preferred_until_it_is_the_busier() {
    let mut servers = Servers::of(&[UNIT, UNIT]);
    servers.latencies = vec![1_000, 10_000];
    assert_eq!(servers.shares(&mut Picker::Ewma, 100), [100, 0]);
    servers.loads = vec![11, 0];
    assert_eq!(servers.shares(&mut Picker::Ewma, 100), [0, 100]);
}

#[test]
fn an_unknown_latency_is_tried_at_once_and_not_flooded() {
    let mut servers = Servers::of(&[UNIT, UNIT]);
    servers.latencies = vec![1_000, 0];
    servers.loads = vec![3, 0];
    assert_eq!(servers.shares(&mut Picker::Ewma, 100), [0, 100]);
    servers.loads = vec![3, 4];
    assert_eq!(servers.shares(&mut Picker::Ewma, 100), [100, 0]);
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn under_load_the_ways_that_look_at_it_follow_the_weights(
        weights in prop::collection::vec(1u32..=10, 1..24),
    ) {
        let weights: Vec<u32> = weights.iter().map(|weight| weight * UNIT).collect();
        let sum: u32 = weights.iter().sum();
        for mut picker in [Picker::LeastRequests, Picker::TwoChoices, Picker::Ewma] {
            let mut servers = Servers::of(&weights);
            busiest(&mut picker, &mut servers, 40 * sum / UNIT);
            for (load, weight) in servers.loads.iter().zip(&weights) {
                let expected = 40.0 * f64::from(*weight) / f64::from(UNIT);
                let allowed = if matches!(picker, Picker::LeastRequests) { 1.0 } else { 0.25 * expected };
                prop_assert!((f64::from(*load) - expected).abs() <= allowed, "{:?} {:?}", picker, servers);
            }
        }
    }
}
