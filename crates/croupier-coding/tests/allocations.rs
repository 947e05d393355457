//! What an encoder asks of the allocator, when a thread's encoders are lent again and again.
#![expect(
    unsafe_code,
    reason = "a global allocator that counts can not be written without"
)]
#![expect(clippy::unwrap_used, reason = "a story may fail")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use croupier_coding::{Coders, Coding, Left};

thread_local! {
    /// Allocations of this thread, and the largest of them.
    static ASKED: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set((ASKED.get().0 + 1, ASKED.get().1.max(layout.size())));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// One answer through a lent encoder; gives the allocations it took and the largest.
fn asked(coders: &Coders, coding: Coding, body: &[u8], room: &mut [u8]) -> (u64, usize) {
    ASKED.set((0, 0));
    let mut encoder = coders.lend(coding, Some(body.len() as u64)).unwrap();
    let mut rest = body;
    while !rest.is_empty() {
        let done = encoder.push(rest, room).unwrap();
        rest = &rest[done.consumed..];
    }
    while encoder.finish(room).unwrap().left == Left::More {}
    coders.take_back(encoder);
    ASKED.get()
}

/// Of Rust's allocator: zstd's contexts are C's, and are kept as well.
#[test]
fn an_answer_costs_no_large_allocation() {
    let coders = Coders::default();
    let mut room = vec![0; 16 << 10];
    let body = b"a row of some table, as it were; ".repeat(1000);
    for (coding, most, largest) in [
        (Coding::Gzip, 0, 0),
        (Coding::Zstd, 0, 0),
        // All of it is made anew: the library keeps nothing between streams.
        (Coding::Brotli, 40, 1 << 20),
    ] {
        asked(&coders, coding, &body, &mut room);
        let (count, size) = asked(&coders, coding, &body, &mut room);
        assert!(count <= most, "{coding:?}: {count} allocations");
        assert!(size <= largest, "{coding:?}: {size} bytes at once");
    }
}
