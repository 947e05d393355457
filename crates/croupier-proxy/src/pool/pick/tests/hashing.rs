//! Laws of the ways that go by a key.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::testing::{Servers, dice, seeded};
use super::super::{Bound, Candidates, Maglev, Picker, Ring, UNIT};
use super::{maglev, named, ring};
use crate::pool::hash_key::hash;

#[test]
fn requests_without_a_key_spread_by_two_choices() {
    let weights = [UNIT; 4];
    for mut picker in [maglev(&named(4, &weights)), ring(&named(4, &weights))] {
        let (mut servers, mut dice) = (Servers::of(&weights), dice(2));
        for _ in 0..400 {
            let index = picker.pick(&servers, &mut dice, None).unwrap();
            servers.loads[index] += 1;
        }
        assert!(servers.loads.iter().all(|load| (95..=105).contains(load)));
    }
}

#[test]
fn hashing_does_not_mind_the_order_of_the_list() {
    let servers = named(20, &[UNIT, 3 * UNIT]);
    let turned: Vec<_> = servers.iter().rev().copied().collect();
    let table = Servers::of(&[UNIT; 20]);
    for (mut one, mut other) in [
        (maglev(&servers), maglev(&turned)),
        (ring(&servers), ring(&turned)),
    ] {
        let mut keys = dice(4);
        for _ in 0..2_000 {
            let key = Some(keys());
            let index = one.pick(&table, &mut || 0, key).unwrap();
            assert_eq!(other.pick(&table, &mut || 0, key), Some(19 - index));
        }
    }
}

#[test]
fn tables_are_bounded() {
    let many = named(20_000, &[UNIT, 1_000 * UNIT]);
    assert_eq!(Maglev::new(&many[..163]).len(), 16_381);
    assert_eq!(Maglev::new(&many[..164]).len(), 131_071);
    assert_eq!(Maglev::new(&many).len(), 655_373);
    assert!(Ring::new(&many).len() <= 131_072 + 20_000);
    assert_eq!(Ring::new(&named(3, &[UNIT])).len(), 480);
    assert!(Maglev::new(&[]).is_empty() && Ring::new(&[(1, 0)]).is_empty());
}

#[test]
fn thousand_servers_share_evenly_and_twins_are_no_harm() {
    let weights = vec![UNIT; 1_000];
    let counts = Servers::of(&weights).shares(&mut maglev(&named(1_000, &weights)), 200_000);
    assert!(counts.iter().all(|count| (130..=280).contains(count)));
    let twins = maglev(&[(5, UNIT), (5, UNIT), (5, 0)]);
    let Picker::Maglev(table, _) = twins else {
        unreachable!()
    };
    assert_eq!(table.len(), 16_381);
}

/// Who moved when server `gone` left the list: (keys it had, other keys that changed server).
fn moved(before: &mut Picker, after: &mut Picker, count: usize, gone: usize) -> (u32, u32) {
    let (all, fewer) = (
        Servers::of(&vec![UNIT; count]),
        Servers::of(&vec![UNIT; count - 1]),
    );
    let (mut keys, mut had, mut others) = (dice(6), 0, 0);
    for _ in 0..10_000 {
        let key = Some(keys());
        let old = before.pick(&all, &mut || 0, key).unwrap();
        let new = after.pick(&fewer, &mut || 0, key).unwrap();
        let new = if new >= gone { new + 1 } else { new };
        had += u32::from(old == gone);
        others += u32::from(old != gone && old != new);
    }
    (had, others)
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn when_a_server_leaves_the_list_few_keys_but_its_own_move(
        count in 2usize..30, gone in 0usize..30,
    ) {
        let gone = gone % count;
        let all = named(count, &[UNIT]);
        let mut fewer = all.clone();
        fewer.remove(gone);
        let (had, others) = moved(&mut maglev(&all), &mut maglev(&fewer), count, gone);
        prop_assert!(had < 13_000 / count as u32 + 100);
        prop_assert!(others < 400, "{} of 10,000 moved without need", others);
        let (had, others) = moved(&mut ring(&all), &mut ring(&fewer), count, gone);
        prop_assert!(had < 16_000 / count as u32);
        prop_assert_eq!(others, 0);
    }

    #[test]
    fn when_a_server_is_down_exactly_its_keys_move_and_they_spread(
        count in 3usize..30, down in 0usize..30,
    ) {
        let down = down % count;
        let servers = named(count, &[UNIT]);
        let all = Servers::of(&vec![UNIT; count]);
        let mut some = all.clone();
        some.weights[down] = 0;
        for mut picker in [maglev(&servers), ring(&servers)] {
            let mut heirs = vec![false; count];
            let mut keys = dice(8);
            for _ in 0..4_000 {
                let key = Some(keys());
                let (old, new) = (picker.pick(&all, &mut || 0, key), picker.pick(&some, &mut || 0, key));
                if old == Some(down) {
                    heirs[new.unwrap()] = true;
                } else {
                    prop_assert_eq!(old, new);
                }
            }
            let heirs = heirs.iter().filter(|is_heir| **is_heir).count();
            prop_assert!(heirs * 3 >= count, "only {} of {} inherit", heirs, count);
        }
    }

    #[test]
    fn a_bound_is_never_exceeded_not_even_by_one_key(
        weights in prop::collection::vec(prop_oneof![Just(0u32), 1u32..800], 1..40),
        percent in 90u16..200,
        keys in 1u64..50,
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let servers = named(weights.len(), &weights);
        let bound = Bound::percent(percent);
        for mut picker in [
            Picker::Maglev(Arc::new(Maglev::new(&servers)), bound),
            Picker::Ring(Arc::new(Ring::new(&servers)), bound),
        ] {
            let mut table = Servers::of(&weights);
            for round in 0..300 {
                let key = Some(hash(&[(round % keys) as u8]));
                let index = picker.pick(&table, &mut || 0, key).unwrap();
                table.loads[index] += 1;
                let totals = table.totals();
                let part = f64::from(weights[index]) / totals.weight as f64;
                let most = f64::from(percent.max(100)) / 100.0 * totals.load as f64 * part;
                let load = f64::from(table.loads[index]);
                // A few are always welcome.
                let few = 8.0 * f64::from(weights[index].min(UNIT)) / f64::from(UNIT);
                let most = most.max(few);
                prop_assert!(load <= most.ceil() + 1e-6, "{} of {}", load, most);
            }
        }
    }
}
