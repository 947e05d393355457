//! What was won stays won: heap allocations of a warm worker for one proxied request.
//!
//! The whole proxy runs in this process under a counting allocator that counts on the worker
//! thread alone. Counts, not times: the same on every machine.

#![expect(unsafe_code, reason = "a global allocator can not be written without")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story may fail")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs, process,
    sync::{
        atomic::{AtomicI32, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use croupier_config::{Config, model::AccessLog};
use croupier_control::{Options, Source, Stop, boot::Signals};
use croupier_testkit::{Client, Origin, Reply};
use tokio::sync::oneshot;

/// Allocations of one request: the boxed future of its exchange.
const PER_REQUEST_MAX: u64 = 1;
/// What the ten ticks a second may add during a run: log buffers that take turns.
const SLACK: u64 = 60;

/// The thread whose allocations count.
static WATCHED: AtomicI32 = AtomicI32::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

thread_local! {
    /// This thread's id, once asked for.
    static ID: Cell<i32> = const { Cell::new(0) };
}

fn count() {
    let watched = WATCHED.load(Ordering::Relaxed);
    if watched == 0 {
        return;
    }
    let id = ID.get();
    let id = if id == 0 {
        rustix::thread::gettid().as_raw_nonzero().get()
    } else {
        id
    };
    ID.set(id);
    if id == watched {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: everything is handed to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The kernel's id of the only worker.
fn worker_id() -> i32 {
    let tasks = fs::read_dir(format!("/proc/{}/task", process::id())).unwrap();
    for task in tasks {
        let path = task.unwrap().path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "worker-0") {
            return path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        }
    }
    panic!("no thread is called `worker-0`");
}

#[test]
fn a_warm_request_allocates_only_the_future_of_its_exchange() {
    let origin = Origin::builder()
        .forget_bodies()
        .start(|_| Reply::ok("a small answer"));
    let log = std::env::temp_dir().join(format!("croupier-allocations-{}.log", process::id()));
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\naccess_log = \"{}\"\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        log.display(),
        origin.address()
    );
    let config = Config::from_str("test", &text).expect("a lawful config");
    assert!(!matches!(config.server.access_log, AccessLog::Off));
    let (ready, address) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let proxy = thread::spawn(move || {
        let options = Options {
            ready: Some(Box::new(move |addresses| {
                ready
                    .send(addresses[0].to_string())
                    .expect("the test waits");
            })),
            stop: Some(stopped),
            signals: Signals::Not,
            ..Options::default()
        };
        croupier_control::run(Source::Given(Box::new(config)), options).expect("it starts")
    });
    let address = address.recv().expect("it gets ready");
    let mut client = Client::connect(address.parse().unwrap());
    let mut ask = |times: u64| {
        for _ in 0..times {
            assert_eq!(client.get("/cards?suit=hearts").status, 200);
        }
    };
    ask(300);
    WATCHED.store(worker_id(), Ordering::Relaxed);
    let requests = 2_000;
    ask(requests);
    WATCHED.store(0, Ordering::Relaxed);
    let counted = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(
        counted <= requests * PER_REQUEST_MAX + SLACK,
        "{counted} allocations for {requests} requests"
    );
    assert!(counted >= requests, "the count itself works: {counted}");
    stop.send(Stop::Bounded).expect("it still runs");
    drop(client);
    proxy.join().expect("it ends");
    let _ = fs::remove_file(log);
}
