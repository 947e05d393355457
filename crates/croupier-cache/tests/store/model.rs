//! Random commands against a model: a map that never evicts. What the store holds must be what the
//! model has; it may have less, and only if it evicted.

use std::collections::HashMap;

use croupier_cache::{
    Rules,
    store::{Found, How, Store, Which},
};
use croupier_http::Fields;

use super::kit::*;

/// Path and variant, to what the origin said last and whether it is marked stale.
#[derive(Default)]
struct Model(HashMap<(u64, u64), (Vec<u8>, bool)>);

impl Model {
    fn purge(&mut self, is_meant: impl Fn(u64) -> bool, how: How) -> u64 {
        let meant = self.0.keys().filter(|(path, _)| is_meant(*path)).count();
        match how {
            How::Hard => self.0.retain(|(path, _), _| !is_meant(*path)),
            How::Soft => {
                let all = self.0.iter_mut().filter(|((path, _), _)| is_meant(*path));
                all.for_each(|(_, (_, is_marked))| *is_marked = true);
            }
        }
        meant as u64
    }
}

/// How much room the store has: with little, it may have lost what the model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Plenty,
    Little,
}

fn asked(variant: u64) -> Fields {
    fields(&[("Accept-Language", &format!("x{variant}"))])
}

/// Purges in one of three ways what `path` belongs to.
fn purge(store: &Store, model: &mut Model, room: Room, path: u64, seeded: &mut Seeded) {
    let how = [How::Soft, How::Hard][seeded.below(2) as usize];
    let (which, meant) = match seeded.below(3) {
        0 => {
            let key = key(&format!("/{path:02}"));
            let which = Which::Key(key.as_bytes().into());
            (which, model.purge(|one| one == path, how))
        }
        1 => {
            let which = Which::below("https", "a.test", &format!("/{}", path / 10));
            (which, model.purge(|one| one / 10 == path / 10, how))
        }
        _ => {
            let which = Which::Tag(format!("t{}", path % 3).into_bytes().into());
            (which, model.purge(|one| one % 3 == path % 3, how))
        }
    };
    let purged = store.purge(&which, how).objects;
    let may_be = purged == meant || room == Room::Little && purged < meant;
    assert!(may_be, "{which:?} {how:?}: {purged} of {meant}");
}

/// Returns how many objects had to make room.
fn run(seed: u64, store: &Store, room: Room) -> u64 {
    let mut model = Model::default();
    let mut seeded = Seeded(seed);
    for step in 0..2000 {
        let (path, variant) = (seeded.below(30), seeded.below(4));
        // Even paths vary by language, odd ones do not.
        let variant = if path % 2 == 0 { variant } else { 0 };
        let key = key(&format!("/{path:02}"));
        let asked = asked(variant);
        match seeded.below(12) {
            0..6 => {
                let body = vec![seeded.next() as u8; seeded.below(20_000) as usize];
                let names = if path % 2 == 0 { "accept-language" } else { "" };
                let tag = format!("t{}", path % 3);
                match put_with(store, &key, tagged(&[&tag]), names, &asked, &body) {
                    Some(_) => model.0.insert((path, variant), (body, false)),
                    None => model.0.remove(&(path, variant)),
                };
            }
            6..9 => purge(store, &mut model, room, path, &mut seeded),
            9 => {
                if let Some(old) = held_for(store, &key, &asked) {
                    let _ = store.refresh(&old, old.lines.clone(), terms());
                    model.0.get_mut(&(path, variant)).unwrap().1 = false;
                }
            }
            _ => {}
        }
        let found = store.look_up(&key, &asked, NOW);
        match (found, model.0.get(&(path, variant))) {
            (Found::Held(object), Some((bytes, is_marked))) => {
                assert!(body(&object) == bytes, "step {step}");
                let marked = object.terms.rules.has(Rules::MARKED_STALE);
                assert_eq!(marked, *is_marked, "step {step}");
            }
            (Found::Nothing, None) => {}
            (Found::Nothing, Some(_)) => assert!(room == Room::Little, "step {step}: lost"),
            (found, held) => panic!("step {step}: {found:?}, {}", held.is_some()),
        }
    }
    let counts = store.counts();
    let count = store.list(&Which::All, b"", 1000, NOW).items.len();
    assert_eq!(counts.objects, count as u64, "seed {seed}");
    assert!(
        room == Room::Little || count == model.0.len(),
        "seed {seed}"
    );
    store.purge(&Which::All, How::Hard);
    let left = (store.used(), store.tags(), store.fetching());
    assert_eq!(left, ((0, 0), 0, 0), "seed {seed}");
    counts.evicted
}

#[test]
fn a_store_with_room_is_a_map() {
    for seed in 0..5 {
        assert_eq!(run(seed, &store(16 << 20), Room::Plenty), 0);
    }
}

#[test]
fn a_store_without_room_holds_nothing_that_the_map_has_not() {
    let evicted: u64 = (0..5)
        .map(|seed| run(seed, &store(512 << 10), Room::Little))
        .sum();
    assert!(evicted > 0);
}
