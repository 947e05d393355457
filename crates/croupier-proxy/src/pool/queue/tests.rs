//! Waiting across workers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use croupier_net::address::Address;

use super::{Late, Waiting};
use crate::live::{Live, LivePool, Place, Server, policy::HealthPolicy};

fn table() -> (Arc<Live>, Arc<LivePool>, Arc<Server>) {
    let live = Live::new();
    let pool = live.pool("web");
    let server = live.server(
        "web",
        &Place::written(Address::Ip("127.0.0.1:80".parse().unwrap())),
    );
    pool.adopt([(&server, 0)], HealthPolicy::default(), None, 0);
    (live, pool, server)
}

#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(waiting: &mut Waiting, bell: &Arc<Bell>) -> Poll<Result<(), Late>> {
    waiting.poll_called(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

fn joined(pool: &Arc<LivePool>, bell: &Arc<Bell>) -> Waiting {
    let mut waiting = Waiting::join(pool, 0, 1000, 8).unwrap();
    if poll(&mut waiting, bell).is_ready() {
        // The first one looks once more.
        waiting.back();
    }
    assert!(poll(&mut waiting, bell).is_pending());
    waiting
}

#[test]
fn a_request_that_ends_wakes_the_first_that_waits() {
    let (_live, pool, server) = table();
    let busy = pool.enter(&server, 1, 0).unwrap();
    let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
    let mut first = joined(&pool, &bells[0]);
    let second = joined(&pool, &bells[1]);
    assert_eq!(pool.queue().waiting(), 2);
    drop(busy);
    assert_eq!(
        bells.each_ref().map(|bell| bell.0.load(Ordering::Relaxed)),
        [1, 0]
    );
    assert_eq!(poll(&mut first, &bells[0]), Poll::Ready(Ok(())));
    first.served();
    assert_eq!(
        bells[1].0.load(Ordering::Relaxed),
        1,
        "there may be more room"
    );
    drop(second);
    assert_eq!(pool.queue().waiting(), 0);
    assert_eq!(pool.queue().queued(), 2);
}

#[test]
fn a_waiter_that_leaves_after_its_call_passes_it_on() {
    let (_live, pool, _server) = table();
    let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
    let first = joined(&pool, &bells[0]);
    let mut second = joined(&pool, &bells[1]);
    pool.wake();
    drop(first);
    assert_eq!(poll(&mut second, &bells[1]), Poll::Ready(Ok(())));
}

#[test]
fn too_late_and_too_many_are_told_and_counted() {
    let (_live, pool, _server) = table();
    let bell = Arc::new(Bell::default());
    let mut waiting = joined(&pool, &bell);
    assert!(Waiting::join(&pool, 0, 1000, 1).is_none());
    pool.tick(999);
    assert!(poll(&mut waiting, &bell).is_pending());
    pool.tick(1000);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut waiting, &bell), Poll::Ready(Err(Late)));
    joined(&pool, &bell).gave_up();
    assert_eq!((pool.queue().timeouts(), pool.queue().full()), (2, 1));
    assert_eq!(pool.queue().waiting(), 0);
}

/// Four threads fight for two slots; whoever finds none waits, with no clock to help. A wake
/// that is lost would leave the story without an end.
#[test]
fn no_wake_is_lost_between_threads() {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn one(pool: &Arc<LivePool>, server: &Arc<Server>) {
        let Some(busy) = pool.enter(server, 2, 0) else {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut waiting = Waiting::join(pool, 0, u64::MAX, 8).unwrap();
            loop {
                while waiting
                    .poll_called(&mut Context::from_waker(&waker))
                    .is_pending()
                {
                    thread::park_timeout(Duration::from_secs(20));
                }
                if let Some(busy) = pool.enter(server, 2, 0) {
                    waiting.served();
                    thread::yield_now();
                    drop(busy);
                    return;
                }
                waiting.back();
            }
        };
        thread::yield_now();
        drop(busy);
    }
    let (_live, pool, server) = table();
    let began = std::time::Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20_000).for_each(|_| one(&pool, &server)));
        }
    });
    assert!(
        began.elapsed() < Duration::from_secs(19),
        "somebody was forgotten for a while"
    );
    assert_eq!((server.busy(), pool.queue().waiting()), (0, 0));
}
