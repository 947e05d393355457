//! What memory really costs, measured by an allocator that counts the bytes of each thread.

#![expect(unsafe_code, reason = "a global allocator can not be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use croupier_cache::store::{Found, Store};

use super::kit::*;

struct Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn add(bytes: usize) {
    LIVE.set(LIVE.get() + i64::try_from(bytes).unwrap_or(0));
    PEAK.set(PEAK.get().max(LIVE.get()));
    COUNT.set(COUNT.get() + 1);
}

fn remove(bytes: usize) {
    LIVE.set(LIVE.get() - i64::try_from(bytes).unwrap_or(0));
}

// SAFETY: everything is handed to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        remove(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it is moved both are there.
        add(size);
        remove(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_hit_allocates_nothing() {
    let store = store(1 << 20);
    let plain = key("/a");
    put(&store, &plain, b"plain").unwrap();
    let varied = key("/b");
    let asked = fields(&[
        ("Accept-Encoding", "gzip, br;q=0.5"),
        ("Accept-Language", "de, en;q=0.7"),
    ]);
    let names = "accept-encoding,accept-language";
    put_with(&store, &varied, head(None), names, &asked, b"varied").unwrap();
    // The first look-up makes room for the variant's key.
    assert!(held_for(&store, &varied, &asked).is_some());
    let mut recycled = key("/a long enough path, so that it need not grow");
    let before = COUNT.get();
    for _ in 0..1000 {
        recycled.begin("https", "a.test", "/a", None::<&str>);
        let Found::Held(object) = store.look_up(&recycled, &asked, NOW) else {
            panic!("it is there");
        };
        object.hit();
        assert!(held_for(&store, &varied, &asked).is_some());
    }
    assert_eq!(COUNT.get() - before, 0);
}

#[test]
fn an_object_of_1_kib_costs_at_most_256_bytes_beyond_its_own() {
    let store = store(256 << 20);
    let body = [7_u8; 900];
    let (mut own, mut worst, mut claimed) = (0_i64, 0, 0);
    let before = LIVE.get();
    for number in 0..100_000_i64 {
        let key = key(&format!(
            "/some/longer/path/{number:012}/to-make-a-usual-key-of-it"
        ));
        let object = put(&store, &key, &body).unwrap();
        own += i64::try_from(object.size()).unwrap();
        drop((key, object));
        if number >= 2000 && number % 500 == 0 {
            let cost = (LIVE.get() - before - own) / (number + 1);
            worst = worst.max(cost);
            claimed = i64::try_from(croupier_cache::Object::OVERHEAD).unwrap();
        }
    }
    println!("at most {worst} bytes beyond an object's own, {claimed} are counted");
    assert!(worst <= 256, "{worst}");
    assert!(
        worst <= claimed,
        "{worst}: the weight would tell less than it is"
    );
}

/// Fills, eight at a time, of all sizes, and remembers the peak of all memory.
fn churn(store: &Store, seed: u64, largest: u64, chunk: &[u8]) {
    let mut seeded = Seeded(seed);
    let mut going = Vec::new();
    for number in 0..3000 {
        let key = key(&format!("/{number}"));
        let fill = to_ask(store, &key, &nothing());
        let len = seeded.below(seeded.0 % largest + 1);
        let length = (seeded.below(2) == 0).then_some(len);
        if let Ok((writer, own)) = fill.begin(head(length), &vary(""), &nothing()) {
            going.push((writer, own.reader(), len));
        }
        while going.len() > 7 {
            let at = seeded.below(8) as usize;
            let (writer, reader, left) = &mut going[at];
            let count = (*left).min(1 + seeded.below(chunk.len() as u64 - 1));
            writer.push(&chunk[..count as usize]);
            *left -= count;
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            if seeded.below(3) == 0 {
                let _ = reader.poll_chunk(&mut cx);
            }
            // What passes is not the store's: here its reader keeps up.
            while !writer.is_keeping() && reader.poll_chunk(&mut cx).is_ready() {}
            if *left == 0 {
                let (writer, reader, _) = going.swap_remove(at);
                drop(reader);
                let _ = writer.finish();
            }
        }
    }
}

#[test]
fn the_size_is_never_exceeded_by_more_than_a_twentieth_counting_what_is_on_its_way() {
    for (seed, memory, largest) in [
        (1, 8 << 20, 400_000),
        (2, 1 << 20, 2000),
        (3, 32 << 20, 200_000),
    ] {
        let chunk = vec![1; 16_000];
        let before = LIVE.get();
        let store = store(memory);
        PEAK.set(LIVE.get());
        churn(&store, seed, largest, &chunk);
        let peak = u64::try_from(PEAK.get() - before).unwrap();
        println!(
            "{memory}: {peak} at most, {} thousandths",
            peak * 1000 / memory
        );
        assert!(peak <= memory + memory / 20, "{peak} of {memory}");
        assert!(store.counts().evicted > 0, "it was full");
    }
}
