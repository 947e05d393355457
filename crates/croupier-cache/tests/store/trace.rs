//! Who stays in memory: the store's choice against the least recently used, and against one who
//! knows the future (Belady's). All objects are of one size, so that the last is exactly the best.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use croupier_cache::Object;
use croupier_testkit::trace::Trace;

use super::kit::*;

/// Objects that fit.
const CAPACITY: usize = 500;

fn of_store(asked: &[u64]) -> usize {
    // Keys of equal length, so that all weigh the same.
    let key_of = |object: u64| key(&format!("/{object:08}"));
    let own = key_of(0).as_bytes().len() + head(None).lines.len() + 1000;
    let weight = Object::OVERHEAD + own as u64;
    // 86 hundredths are for objects; with a little more for the rounding.
    let store = store(weight * CAPACITY as u64 * 100 / 86 + 200);
    let mut hits = 0;
    for &object in asked {
        let key = key_of(object);
        if held(&store, &key).is_some() {
            hits += 1;
        } else {
            put(&store, &key, &[1; 1000]).unwrap();
        }
    }
    let held = store.counts().objects as usize;
    assert!((CAPACITY - 5..=CAPACITY).contains(&held), "{held}");
    hits
}

fn of_lru(asked: &[u64]) -> usize {
    let (mut by_time, mut by_object) = (BTreeMap::new(), HashMap::new());
    let mut hits = 0;
    for (now, &object) in asked.iter().enumerate() {
        if let Some(before) = by_object.insert(object, now) {
            by_time.remove(&before);
            hits += 1;
        }
        by_time.insert(now, object);
        if by_time.len() > CAPACITY {
            let (_, oldest) = by_time.pop_first().unwrap();
            by_object.remove(&oldest);
        }
    }
    hits
}

fn of_belady(asked: &[u64]) -> usize {
    let mut next = vec![usize::MAX; asked.len()];
    let mut seen = HashMap::new();
    for (at, object) in asked.iter().enumerate().rev() {
        next[at] = seen.insert(object, at).unwrap_or(usize::MAX);
    }
    // By when each is asked for next.
    let (mut held, mut when) = (BTreeSet::new(), HashMap::new());
    let mut hits = 0;
    for (at, &object) in asked.iter().enumerate() {
        if let Some(was) = when.insert(object, next[at]) {
            held.remove(&(was, object));
            hits += 1;
        }
        held.insert((next[at], object));
        if held.len() > CAPACITY {
            let (_, last) = held.pop_last().unwrap();
            when.remove(&last);
        }
    }
    hits
}

#[test]
fn the_store_keeps_more_of_what_is_asked_for_again_than_lru_when_scans_pass() {
    let plain = Trace {
        seed: 1,
        objects: 5000,
        skew: 0.9,
        requests: 60_000,
        scan_every: 0,
        scan_len: 0,
    };
    let scans = Trace {
        scan_every: 2000,
        scan_len: 600,
        ..plain
    };
    for (name, trace) in [("no scans", plain), ("scans", scans)] {
        for seed in 1..4 {
            let asked = Trace { seed, ..trace }.run();
            let (store, lru, best) = (of_store(&asked), of_lru(&asked), of_belady(&asked));
            let percent = |hits: usize| hits as f64 * 100.0 / asked.len() as f64;
            println!(
                "{name}, seed {seed}: the store {:.1} %, LRU {:.1} %, the best {:.1} %",
                percent(store),
                percent(lru),
                percent(best)
            );
            assert!(store > lru && best >= store, "{name}: {store} {lru} {best}");
            if name == "scans" {
                // At least a fifth of the way from LRU to what nobody can do better.
                assert!((store - lru) * 5 >= best - lru, "{store} {lru} {best}");
            }
        }
    }
}
