//! What is looked up, filled, collapsed and counted: one thread, all orders of events.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a story may fail")]

mod store_kit;

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use croupier_cache::{
    Rules, Terms,
    rules::VaryNames,
    store::{Claim, Found, Full, How, Left, Which},
};
use store_kit::*;

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
    let (croupier_cache::Body::Memory(a), croupier_cache::Body::Memory(b)) = (&old.body, &new.body)
    else {
        panic!("both are in memory");
    };
    assert!(Arc::ptr_eq(a, b), "nothing was copied");
    // One that is no longer held changes nothing.
    let lost = store.refresh(&old, Box::default(), Terms::default());
    assert!(lost.lines.is_empty());
    assert_eq!(
        &*store_kit::held(&store, &key).unwrap().lines,
        b"age: 0\r\n"
    );
    assert_eq!(store.counts().objects, 1);
}

#[test]
fn an_answer_that_breaks_off_is_never_kept() {
    let store = store(1 << 20);
    let cases: [(&str, Option<u64>, &[u8], Finish); 5] = [
        ("short", Some(10), b"12345", Finish::Finished),
        ("long", Some(3), b"12345", Finish::Finished),
        ("dropped", None, b"12345", Finish::Dropped),
        ("given up", Some(5), b"12345", Finish::GivenUp),
        ("dropped empty", Some(0), b"", Finish::Dropped),
    ];
    for (name, length, bytes, how) in cases {
        let key = key("/broken");
        let fill = to_ask(&store, &key, &nothing());
        let (mut writer, own) = fill.begin(head(length), &vary(""), &nothing()).unwrap();
        let mut reader = own.reader();
        writer.push(bytes);
        match how {
            Finish::Finished => assert!(writer.finish().is_err(), "{name}"),
            Finish::Dropped => drop(writer),
            Finish::GivenUp => writer.give_up(),
        }
        if !bytes.is_empty() {
            let (read, ended) = read_now(&mut reader).unwrap();
            assert_eq!((&*read, ended), (bytes, Ended::No), "{name}");
        }
        assert!(
            read_now(&mut reader).is_err(),
            "{name}: never as if complete"
        );
        let found = store.look_up(&key, &nothing(), NOW);
        assert!(matches!(found, Found::Nothing), "{name}: {found:?}");
        assert_eq!(store.fetching(), 0, "{name}");
        drop(reader);
        assert_eq!(store.used(), (0, 0), "{name}");
    }
    assert_eq!(store.refusals()[0].why, "broken");
}

#[derive(Clone, Copy)]
enum Finish {
    Finished,
    Dropped,
    GivenUp,
}

#[test]
fn the_65th_variant_takes_the_place_of_the_oldest() {
    let store = store(64 << 20);
    let key = key("/a");
    let asked = |number: usize| fields(&[("X-Kind", &format!("kind {number}"))]);
    for number in 0..1000 {
        let asked = asked(number);
        put_with(&store, &key, head(None), "x-kind", &asked, b"body").unwrap();
        let last = number.saturating_sub(63);
        assert!(
            held_for(
                &store,
                &key,
                &self::fields(&[("X-Kind", &format!("kind {last}"))])
            )
            .is_some()
        );
    }
    let there = (0..1000).filter(|&number| held_for(&store, &key, &asked(number)).is_some());
    assert_eq!(there.collect::<Vec<_>>(), (936..1000).collect::<Vec<_>>());
    assert_eq!(store.counts().objects, 64);
}

#[test]
fn a_new_record_of_variants_never_revives_old_ones() {
    let store = store(1 << 20);
    let key = key("/a");
    let gzip = fields(&[("Accept-Encoding", "gzip"), ("X-User", "1")]);
    put_with(
        &store,
        &key,
        head(None),
        "accept-encoding",
        &gzip,
        b"for gzip",
    )
    .unwrap();
    let plain = fields(&[("X-User", "2")]);
    // Now the answer depends on the user as well.
    let names = "accept-encoding,x-user";
    put_with(&store, &key, head(None), names, &plain, b"for user 2").unwrap();
    assert!(held_for(&store, &key, &gzip).is_none());
    assert_eq!(
        body(&held_for(&store, &key, &plain).unwrap()),
        b"for user 2"
    );
    assert_eq!(
        store.counts().objects,
        1,
        "nobody finds the old one: it is gone"
    );
    // Back to fewer names: those that are told apart by more stay apart.
    put_with(
        &store,
        &key,
        head(None),
        "accept-encoding",
        &gzip,
        b"for user 1",
    )
    .unwrap();
    assert_eq!(
        body(&held_for(&store, &key, &plain).unwrap()),
        b"for user 2"
    );
    assert_eq!(body(&held_for(&store, &key, &gzip).unwrap()), b"for user 1");
    // A purge takes the record too; the next one has another generation.
    store.purge(&Which::Key(key.as_bytes().into()), How::Hard);
    put_with(
        &store,
        &key,
        head(None),
        "accept-encoding",
        &plain,
        b"again",
    )
    .unwrap();
    assert!(held_for(&store, &key, &gzip).is_none());
}

#[test]
fn each_variant_is_fetched_once_and_waiters_of_others_ask_for_their_own() {
    let store = store(1 << 20);
    let key = key("/a");
    let (br, gzip) = (
        fields(&[("Accept-Encoding", "br")]),
        fields(&[("Accept-Encoding", "gzip")]),
    );
    let fill = to_ask(&store, &key, &br);
    // Nobody knows yet that the answer varies: all wait for the first.
    assert!(matches!(store.claim(&key, &gzip), Claim::Wait(_)));
    let begun = fill.begin(head(None), &vary("accept-encoding"), &br);
    let (mut first, _) = begun.unwrap();
    assert!(matches!(store.look_up(&key, &br, NOW), Found::Filling(_)));
    assert!(matches!(store.look_up(&key, &gzip, NOW), Found::Nothing));
    let Claim::Fill(fill) = store.claim(&key, &gzip) else {
        panic!("the first is not for this one");
    };
    assert!(matches!(store.claim(&key, &gzip), Claim::Wait(_)));
    let begun = fill.begin(head(None), &vary("accept-encoding"), &gzip);
    let (mut second, _) = begun.unwrap();
    first.push(b"in br");
    second.push(b"in gzip");
    second.finish().unwrap().unwrap();
    first.finish().unwrap().unwrap();
    assert_eq!(body(&held_for(&store, &key, &br).unwrap()), b"in br");
    assert_eq!(body(&held_for(&store, &key, &gzip).unwrap()), b"in gzip");
}

#[test]
fn what_is_too_large_passes_and_its_readers_get_every_byte() {
    let store = store_of(16 << 20, 100_000);
    let key = key("/large");
    let declared =
        to_ask(&store, &key, &nothing()).begin(head(Some(100_001)), &vary(""), &nothing());
    assert_eq!(declared.err(), Some(Full::TooLarge));
    assert!(matches!(store.look_up(&key, &nothing(), NOW), Found::Pass));
    // Without a declared length it shows later.
    let key = self::key("/larger");
    let (mut writer, own) = begin(&store, &key);
    let mut fast = own.reader();
    let Found::Filling(other) = store.look_up(&key, &nothing(), NOW) else {
        panic!("it is arriving");
    };
    let mut slow = other.reader();
    let mut cx = Context::from_waker(Waker::noop());
    let (mut sent, mut seen, mut waited) = (Vec::new(), Vec::new(), 0);
    for number in 0..4000_u32 {
        let piece: Vec<u8> = (0..997).map(|at| (number + at) as u8).collect();
        while writer.poll_ready(&mut cx).is_pending() {
            waited += 1;
            assert!(!writer.is_keeping());
            let Poll::Ready(Ok(Some(chunk))) = slow.poll_chunk(&mut cx) else {
                panic!("there is something to read");
            };
            seen.extend_from_slice(&chunk);
        }
        writer.push(&piece);
        sent.extend_from_slice(&piece);
        read_now(&mut fast).unwrap();
        let (_, on_its_way) = store.used();
        assert!(on_its_way <= 2 << 20);
        if number == 200 {
            assert!(matches!(store.look_up(&key, &nothing(), NOW), Found::Pass));
        }
    }
    assert!(waited > 0, "the writer waits for the slowest");
    assert!(writer.finish().unwrap().is_none());
    let (rest, ended) = read_now(&mut slow).unwrap();
    seen.extend_from_slice(&rest);
    assert!(seen == sent && ended == Ended::Yes);
    assert_eq!(read_now(&mut fast).unwrap(), (Vec::new(), Ended::Yes));
    drop((fast, slow));
    assert_eq!(store.used().1, 0);
    let reasons = store.refusals_by_reason();
    assert_eq!(reasons, [("too-large", 2)]);
}

#[test]
fn who_only_passes_stops_when_nobody_reads_and_who_keeps_goes_on() {
    let store = store_of(16 << 20, 10_000);
    let mut cx = Context::from_waker(Waker::noop());
    let (mut keeping, own) = begin(&store, &key("/kept"));
    drop(own);
    keeping.push(&[1; 9000]);
    assert_eq!(keeping.poll_ready(&mut cx), Poll::Ready(Ok(())));
    assert!(keeping.finish().unwrap().is_some());
    let (mut passing, own) = begin(&store, &key("/passed"));
    let reader = own.reader();
    passing.push(&[1; 20_000]);
    assert_eq!(passing.poll_ready(&mut cx), Poll::Ready(Ok(())));
    drop(reader);
    assert_eq!(passing.poll_ready(&mut cx), Poll::Ready(Err(Left)));
}

#[test]
fn a_writer_that_waits_is_woken_by_whoever_reads_or_leaves() {
    let store = store_of(64 << 20, 1000);
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut quiet = Context::from_waker(Waker::noop());
    let (mut writer, own) = begin(&store, &key("/a"));
    let mut reader = own.reader();
    writer.push(&[0; 2000]);
    while let Poll::Ready(Ok(())) = writer.poll_ready(&mut cx) {
        writer.push(&[0; 60_000]);
    }
    assert_eq!(bell.rung(), 0);
    while writer.poll_ready(&mut cx).is_pending() {
        assert!(reader.poll_chunk(&mut quiet).is_ready());
    }
    assert!(bell.rung() > 0);
    while let Poll::Ready(Ok(())) = writer.poll_ready(&mut cx) {
        writer.push(&[0; 60_000]);
    }
    let before = bell.rung();
    drop(reader);
    assert_eq!(bell.rung(), before + 1);
    assert_eq!(writer.poll_ready(&mut cx), Poll::Ready(Err(Left)));
}

#[test]
fn when_too_much_is_on_its_way_answers_pass_without_being_kept() {
    // An eighth, 128 KiB, is for what is on its way.
    let store = store(1 << 20);
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    let mut refused = 0;
    for number in 0..20 {
        let key = key(&format!("/{number}"));
        let fill = to_ask(&store, &key, &nothing());
        let Ok((mut writer, own)) = fill.begin(head(None), &vary(""), &nothing()) else {
            assert!(matches!(store.look_up(&key, &nothing(), NOW), Found::Pass));
            refused += 1;
            continue;
        };
        writer.push(&[number; 12_000]);
        writers.push(writer);
        readers.push(own.reader());
        assert!(store.used().1 <= 128 << 10);
    }
    assert!(refused > 0);
    let mut kept = 0;
    for (writer, mut reader) in writers.into_iter().zip(readers) {
        kept += usize::from(writer.finish().unwrap().is_some());
        let (bytes, ended) = read_now(&mut reader).unwrap();
        assert_eq!((bytes.len(), ended), (12_000, Ended::Yes));
    }
    assert!((1..10).contains(&kept), "{kept}");
    assert_eq!(store.used().1, 0);
    assert!(
        store
            .refusals()
            .iter()
            .all(|refusal| refusal.why == "no-room")
    );
}

#[test]
fn what_does_not_fit_is_evicted_and_the_size_is_kept() {
    let store = store(1 << 20);
    for number in 0..2000 {
        put(&store, &key(&format!("/{number}")), &[7; 4000]).unwrap();
        let (kept, on_its_way) = store.used();
        assert!(kept + on_its_way <= 1 << 20);
    }
    let counts = store.counts();
    assert_eq!(
        (counts.stored, counts.stored - counts.evicted),
        (2000, counts.objects)
    );
    assert_eq!(counts.bytes, store.used().0);
    assert!(counts.objects > 150, "{counts:?}");
}

#[test]
fn hits_and_misses_are_counted_host_by_host() {
    let store = store(1 << 20);
    for (host, hits) in [("b.test", 3), ("a.test:8443", 1)] {
        let key = key_at(host, "/");
        put(&store, &key, b"x").unwrap();
        for _ in 0..hits {
            held(&store, &key).unwrap().hit();
        }
    }
    let rows = store.counts_by_site();
    let row = |at: usize| (rows[at].0.as_str(), rows[at].1.hits, rows[at].1.misses);
    assert_eq!(
        (row(0), row(1), row(2)),
        (("a.test", 1, 1), ("b.test", 3, 1), ("*", 0, 0))
    );
    let total = store.counts();
    assert_eq!(
        (total.hits, total.misses, total.stored, total.objects),
        (4, 2, 2, 2)
    );
    // Hosts without end share one row.
    for number in 0..2000 {
        put(&store, &key_at(&format!("{number}.test"), "/"), b"x").unwrap();
    }
    let rows = store.counts_by_site();
    assert_eq!(rows.len(), 1025);
    assert_eq!(rows[1024].1.stored, 2002 - 1024);
    assert_eq!(store.counts().stored, 2002);
}

#[test]
fn why_an_answer_was_not_kept_is_remembered() {
    let store = store(1 << 20);
    for number in 0..300 {
        let mut key = key(&format!("/{number}"));
        key.part("x");
        let why = if number % 2 == 0 {
            "private"
        } else {
            "no-store"
        };
        store.refused(&key, why, NOW + number);
    }
    let last = store.refusals();
    assert_eq!(last.len(), 256);
    assert_eq!(
        (&*last[0].target, last[0].why, last[0].at_ms),
        ("https://a.test/299", "no-store", NOW + 299)
    );
    assert_eq!(
        store.refusals_by_reason(),
        [("private", 150), ("no-store", 150)]
    );
    store.refused(&key(&"é".repeat(1000)), "private", NOW);
    assert!(store.refusals()[0].target.len() <= 512);
}

#[test]
fn what_is_held_is_listed_in_pages_in_the_order_of_keys() {
    let store = store(64 << 20);
    for number in 0..2500 {
        let host = if number % 5 == 0 { "b.test" } else { "a.test" };
        put(&store, &key_at(host, &format!("/{number:04}")), b"12345").unwrap();
    }
    let all = |which: &Which| {
        let (mut items, mut after): (Vec<_>, Box<[u8]>) = (Vec::new(), Box::default());
        loop {
            let page = store.list(which, &after, 5000, NOW + 1000);
            assert!(page.items.len() <= 1000);
            items.extend(page.items);
            match page.next {
                Some(next) => after = next,
                None => return items,
            }
        }
    };
    let items = all(&Which::All);
    assert_eq!(items.len(), 2500);
    assert!(items.windows(2).all(|two| two[0].key < two[1].key));
    let first = &items[0];
    assert_eq!(
        (&*first.target, first.length, first.age, first.left),
        ("https://a.test/0001", 5, 1, 59)
    );
    assert_eq!(all(&Which::Host(Box::from(&b"b.test"[..]))).len(), 500);
    assert_eq!(all(&Which::below("https", "a.test", "/1")).len(), 800);
    let shown = store.show(key("/0001").as_bytes(), NOW);
    assert_eq!(shown.len(), 1);
    let varied = key("/varied");
    for lang in ["de", "en"] {
        let asked = fields(&[("Accept-Language", lang)]);
        put_with(&store, &varied, head(None), "accept-language", &asked, b"x").unwrap();
    }
    let shown = store.show(varied.as_bytes(), NOW);
    let variants: Vec<_> = shown
        .iter()
        .map(|item| item.variant.as_deref().unwrap())
        .collect();
    assert_eq!(variants.len(), 2);
    assert!(
        variants[0].contains("de") && variants[1].contains("en"),
        "{variants:?}"
    );
}

#[test]
fn a_reader_that_comes_late_or_stays_long_gets_the_same_bytes() {
    let store = store(64 << 20);
    let key = key("/a");
    let (mut writer, own) = begin(&store, &key);
    let mut early = own.reader();
    let mut sent = Vec::new();
    let mut seeded = Seeded(7);
    for round in 0..50 {
        let piece: Vec<u8> = (0..seeded.below(60_000))
            .map(|_| seeded.next() as u8)
            .collect();
        writer.push(&piece);
        sent.extend_from_slice(&piece);
        if round % 10 == 0 {
            let Found::Filling(late) = store.look_up(&key, &nothing(), NOW) else {
                panic!("it is arriving");
            };
            let (all, ended) = read_now(&mut late.reader()).unwrap();
            assert!(all == sent && ended == Ended::No);
        }
    }
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(Some(first))) = early.poll_chunk(&mut cx) else {
        panic!("there is something to read");
    };
    writer.finish().unwrap().unwrap();
    assert_eq!(store.used().1, 0, "the long reader reads from the object");
    let (rest, ended) = read_now(&mut early).unwrap();
    assert!([first.as_ref(), &rest].concat() == sent && ended == Ended::Yes);
    assert!(early.is_whole());
    assert!(
        !held(&store, &key)
            .unwrap()
            .terms
            .rules
            .has(Rules::MARKED_STALE)
    );
}
