//! Many ask, one fetches: one thread, all orders of events.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use croupier_cache::{
    Body, Terms,
    rules::VaryNames,
    store::{Claim, Found},
};

use super::kit::*;

#[test]
fn what_was_filled_is_held_with_its_head_and_its_bytes() {
    let store = store(1 << 20);
    let key = key("/a");
    assert!(matches!(
        store.look_up(&key, &nothing(), NOW),
        Found::Nothing
    ));
    let kept = put(&store, &key, b"hello").unwrap();
    let held = held(&store, &key).unwrap();
    assert!(Arc::ptr_eq(&kept, &held));
    assert_eq!((body(&held), held.status), (&b"hello"[..], 200));
    assert_eq!(held.lines().count(), 1);
    assert_eq!(store.fetching(), 0);
    let (_, on_its_way) = store.used();
    assert_eq!(on_its_way, 0, "nothing is on its way any more");
}

#[test]
fn many_ask_and_one_fetches() {
    let store = store(1 << 20);
    let key = key("/a");
    let fill = to_ask(&store, &key, &nothing());
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut waiting: Vec<_> = (0..49)
        .map(|_| match store.claim(&key, &nothing()) {
            Claim::Wait(waiting) => waiting,
            Claim::Fill(_) => panic!("two ask"),
        })
        .collect();
    for one in &mut waiting {
        assert_eq!(one.poll(&mut cx), Poll::Pending);
        // Asked twice, it is woken once.
        assert_eq!(one.poll(&mut cx), Poll::Pending);
    }
    drop(waiting.pop());
    let (mut writer, own) = fill
        .begin(head(Some(4)), &VaryNames::default(), &nothing())
        .unwrap();
    assert_eq!(bell.rung(), 48, "all who are still there, and at once");
    let mut readers = vec![own.reader()];
    for one in &mut waiting {
        assert_eq!(one.poll(&mut cx), Poll::Ready(()));
        let Found::Filling(filling) = store.look_up(&key, &nothing(), NOW) else {
            panic!("it is arriving");
        };
        assert_eq!((filling.status, filling.length), (200, Some(4)));
        readers.push(filling.reader());
    }
    writer.push(b"ab");
    for reader in &mut readers {
        assert_eq!(read_now(reader).unwrap(), (b"ab".to_vec(), Ended::No));
    }
    writer.push(b"cd");
    writer.finish().unwrap().unwrap();
    for reader in &mut readers {
        assert_eq!(read_now(reader).unwrap(), (b"cd".to_vec(), Ended::Yes));
    }
    assert_eq!(body(&held(&store, &key).unwrap()), b"abcd");
    assert_eq!(store.counts().misses, 1);
}

#[test]
fn waiters_do_not_get_an_answer_that_is_not_for_keeping_and_do_not_queue_for_their_own() {
    let store = store(1 << 20);
    let key = key("/private");
    let fill = to_ask(&store, &key, &nothing());
    let Claim::Wait(mut waiting) = store.claim(&key, &nothing()) else {
        panic!("two ask");
    };
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiting.poll(&mut cx).is_pending());
    fill.pass(NOW + 1000);
    assert!(waiting.poll(&mut cx).is_ready());
    let mut fills = Vec::new();
    for _ in 0..50 {
        assert!(matches!(store.look_up(&key, &nothing(), NOW), Found::Pass));
        match store.claim(&key, &nothing()) {
            Claim::Fill(fill) => fills.push(fill),
            Claim::Wait(_) => panic!("nobody waits for what is not for keeping"),
        }
    }
    drop(fills.split_off(1));
    // One of them turns out to be for keeping after all.
    let begun = fills
        .pop()
        .unwrap()
        .begin(head(None), &vary(""), &nothing());
    let (mut writer, _) = begun.unwrap();
    assert!(matches!(
        store.look_up(&key, &nothing(), NOW),
        Found::Filling(_)
    ));
    writer.push(b"public");
    writer.finish().unwrap().unwrap();
    assert_eq!(body(&held(&store, &key).unwrap()), b"public");
}

#[test]
fn a_mark_that_has_run_out_is_gone() {
    let store = store(1 << 20);
    let key = key("/private");
    to_ask(&store, &key, &nothing()).pass(NOW + 1000);
    assert!(matches!(store.look_up(&key, &nothing(), NOW), Found::Pass));
    let later = store.look_up(&key, &nothing(), NOW + 1000);
    assert!(matches!(later, Found::Nothing));
    let Claim::Fill(_first) = store.claim(&key, &nothing()) else {
        panic!("nobody asks");
    };
    assert!(matches!(store.claim(&key, &nothing()), Claim::Wait(_)));
}

#[test]
fn when_the_one_who_asks_gives_up_the_next_one_asks_and_the_others_wait_for_him() {
    let store = store(1 << 20);
    let key = key("/a");
    let mut fill = Some(to_ask(&store, &key, &nothing()));
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..5 {
        let mut all: Vec<_> = (0..10)
            .map(|_| match store.claim(&key, &nothing()) {
                Claim::Wait(waiting) => waiting,
                Claim::Fill(_) => panic!("two ask"),
            })
            .collect();
        assert!(all.iter_mut().all(|one| one.poll(&mut cx).is_pending()));
        drop(fill.take());
        assert!(all.iter_mut().all(|one| one.poll(&mut cx).is_ready()));
        fill = Some(to_ask(&store, &key, &nothing()));
    }
    assert_eq!(store.fetching(), 1);
    drop(fill);
    assert_eq!(store.fetching(), 0);
}

#[test]
fn what_came_between_the_look_and_the_claim_is_noticed() {
    let store = store(1 << 20);
    let (mine, theirs) = (key("/a"), key("/a"));
    assert!(matches!(
        store.look_up(&mine, &nothing(), NOW),
        Found::Nothing
    ));
    put(&store, &theirs, b"x").unwrap();
    let Claim::Wait(mut waiting) = store.claim(&mine, &nothing()) else {
        panic!("it is there already");
    };
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiting.poll(&mut cx).is_ready());
    assert!(held(&store, &mine).is_some());
    assert_eq!(store.fetching(), 0);
}

#[test]
fn a_stale_object_is_found_until_another_one_arrives() {
    let store = store(1 << 20);
    let key = key("/a");
    put(&store, &key, b"old").unwrap();
    let late = NOW + 61_000;
    let Found::Held(stale) = store.look_up(&key, &nothing(), late) else {
        panic!("it is stale, and there");
    };
    assert!(!stale.is_current(late));
    let Claim::Fill(fill) = store.claim(&key, &nothing()) else {
        panic!("nobody asks");
    };
    // While it is asked for, everybody else finds the stale one.
    assert!(matches!(
        store.look_up(&key, &nothing(), late),
        Found::Held(_)
    ));
    assert!(matches!(store.claim(&key, &nothing()), Claim::Wait(_)));
    let mut new = head(None);
    new.terms.received_ms = late;
    let (mut writer, _) = fill.begin(new, &vary(""), &nothing()).unwrap();
    let arriving = store.look_up(&key, &nothing(), late);
    assert!(matches!(arriving, Found::Filling(_)));
    drop(arriving);
    writer.push(b"new");
    writer.finish().unwrap().unwrap();
    assert_eq!(body(&held(&store, &key).unwrap()), b"new");
}

#[test]
fn a_304_makes_another_object_of_the_same_body() {
    let store = store(1 << 20);
    let key = key("/a");
    let old = put(&store, &key, b"body").unwrap();
    old.hit();
    let mut terms = terms();
    terms.received_ms = NOW + 100_000;
    let new = store.refresh(&old, Box::from(&b"age: 0\r\n"[..]), terms);
    let held = held(&store, &key).unwrap();
    assert!(Arc::ptr_eq(&new, &held) && held.hits() == 1);
    assert_eq!(
        (&*held.lines, body(&held)),
        (&b"age: 0\r\n"[..], &b"body"[..])
    );
    let (Body::Memory(a), Body::Memory(b)) = (&old.body, &new.body) else {
        panic!("both are in memory");
    };
    assert!(Arc::ptr_eq(a, b), "nothing was copied");
    // One that is no longer held changes nothing.
    let lost = store.refresh(&old, Box::default(), Terms::default());
    assert!(lost.lines.is_empty());
    assert_eq!(
        &*super::kit::held(&store, &key).unwrap().lines,
        b"age: 0\r\n"
    );
    assert_eq!(store.counts().objects, 1);
}
