//! The store under several threads: nobody is forgotten, nobody gets another's bytes.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use croupier_cache::store::{Claim, Found, Reader, Store, Writer};

use super::kit::*;

fn read_all(mut reader: Reader) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = wait_for(|cx| reader.poll_chunk(cx)).ok()? {
        bytes.extend_from_slice(&chunk);
    }
    Some(bytes)
}

/// The bytes that belong to a path.
fn answer(path: u64, len: u64) -> Vec<u8> {
    let mut seeded = Seeded(path);
    (0..len).map(|_| seeded.next() as u8).collect()
}

/// What the one who fetches does.
fn fetch(mut writer: Writer, path: u64, seeded: &mut Seeded, len: u64) -> bool {
    let bytes = answer(path, len);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        if wait_for(|cx| writer.poll_ready(cx)).is_err() {
            return false;
        }
        let count = (1 + seeded.below(7000) as usize).min(rest.len());
        writer.push(&rest[..count]);
        rest = &rest[count..];
        if seeded.below(400) == 0 {
            return false; // breaks off
        }
    }
    writer.finish().is_ok()
}

/// One request; the bytes that it got, or nothing if the answer broke off.
fn ask(store: &Store, path: u64, seeded: &mut Seeded, fetches: &AtomicU64) -> Option<Vec<u8>> {
    let key = key(&format!("/{path}"));
    let len = path * 9973 % 150_000;
    loop {
        match store.look_up(&key, &nothing(), NOW) {
            Found::Held(object) => return Some(body(&object).to_vec()),
            Found::Filling(filling) => return read_all(filling.reader()),
            Found::Pass => return Some(answer(path, len)),
            Found::Nothing => {}
            found @ Found::OnDisk(_) => panic!("{found:?}"),
        }
        match store.claim(&key, &nothing()) {
            Claim::Wait(mut waiting) => wait_for(|cx| waiting.poll(cx)),
            Claim::Fill(fill) => {
                fetches.fetch_add(1, SeqCst);
                match seeded.below(10) {
                    0 => drop(fill),
                    1 => {
                        fill.pass(NOW);
                        return Some(answer(path, len));
                    }
                    _ => {
                        let length = (seeded.below(2) == 0).then_some(len);
                        let begun = fill.begin(head(length), &vary(""), &nothing());
                        let Ok((writer, own)) = begun else {
                            return Some(answer(path, len));
                        };
                        // Whoever asked for it first reads it as everybody else does.
                        let mut other = seeded.clone();
                        return thread::scope(|scope| {
                            let reading = scope.spawn(move || read_all(own.reader()));
                            fetch(writer, path, &mut other, len);
                            reading.join().unwrap()
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn nobody_waits_for_ever_and_nobody_gets_bytes_of_another() {
    for seed in 0..6 {
        // So small that answers are evicted, pass, and find no room.
        let store = store_of(2 << 20, 120_000);
        let fetches = AtomicU64::new(0);
        let broken = AtomicU64::new(0);
        thread::scope(|scope| {
            for worker in 0..4 {
                let (store, fetches, broken) = (&store, &fetches, &broken);
                scope.spawn(move || {
                    let mut seeded = Seeded(seed * 100 + worker);
                    for _ in 0..150 {
                        let path = seeded.below(40);
                        match ask(store, path, &mut seeded, fetches) {
                            Some(bytes) => {
                                let expected = answer(path, path * 9973 % 150_000);
                                assert!(bytes == expected, "{path}: {} bytes", bytes.len());
                            }
                            None => drop(broken.fetch_add(1, SeqCst)),
                        }
                    }
                });
            }
        });
        assert_eq!((store.fetching(), store.used().1), (0, 0), "seed {seed}");
        let counts = store.counts();
        assert!(counts.objects <= counts.stored && counts.bytes <= store.used().0);
    }
}

#[test]
fn of_many_threads_that_ask_at_once_one_fetches() {
    let store = store(8 << 20);
    for round in 0..200 {
        let fetches = AtomicU64::new(0);
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let key = key(&format!("/{round}"));
                    loop {
                        match store.look_up(&key, &nothing(), NOW) {
                            Found::Held(object) => return assert_eq!(body(&object), b"answer"),
                            Found::Filling(filling) => {
                                return assert_eq!(read_all(filling.reader()).unwrap(), b"answer");
                            }
                            Found::Pass => panic!("it is for keeping"),
                            Found::Nothing => {}
                            found @ Found::OnDisk(_) => panic!("{found:?}"),
                        }
                        match store.claim(&key, &nothing()) {
                            Claim::Wait(mut waiting) => wait_for(|cx| waiting.poll(cx)),
                            Claim::Fill(fill) => {
                                fetches.fetch_add(1, SeqCst);
                                let begun = fill.begin(head(Some(6)), &vary(""), &nothing());
                                let (mut writer, _) = begun.unwrap();
                                writer.push(b"ans");
                                thread::yield_now();
                                writer.push(b"wer");
                                writer.finish().unwrap().unwrap();
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(fetches.load(SeqCst), 1, "round {round}");
    }
}

#[test]
fn a_hot_object_is_given_by_all_threads_while_others_come_and_go() {
    let store = store(1 << 20);
    put(&store, &key("/hot"), b"hot").unwrap();
    thread::scope(|scope| {
        for worker in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let hot = key("/hot");
                for number in 0..3000 {
                    let object = held(store, &hot).expect("what is asked for all the time stays");
                    object.hit();
                    if number % 3 == 0 {
                        put(store, &key(&format!("/{worker}/{number}")), &[0; 2000]);
                    }
                }
            });
        }
    });
    let counts = store.counts();
    assert_eq!(counts.hits, 12_000);
    assert!(counts.evicted > 2000, "{counts:?}");
}
