//! Bodies on their way: broken off, too large, read at many paces.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use croupier_cache::{
    Rules,
    store::{Found, Full, Left},
};

use super::kit::*;

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
