//! Workers that share one server's connections, without threads: each has its own shelf and clock.

use std::{
    net::{TcpListener, TcpStream},
    sync::LazyLock,
};

use croupier_http::h1::{chunked::ChunkLimits, scan::HeadLimits};
use croupier_net::{
    address::Address, dial::dial, h2::H2Limits, origin::h1::OriginLimits, timers::NEVER,
};
use croupier_telemetry::render;

use super::*;
use crate::live::{Place, seeds::for_each_seed};

pub(in crate::pool) const LIMITS: OriginLimits = OriginLimits {
    head: HeadLimits {
        head_bytes: 4096,
        target_bytes: 4096,
        fields: 16,
        field_bytes: 4096,
    },
    chunks: ChunkLimits {
        line_bytes: 64,
        trailer_bytes: 64,
        trailers: 4,
    },
    h2: H2Limits {
        streams: 4,
        requests: 100,
        window: 65_536,
        stream_window: 65_536,
        resets: 10,
        control_frames: 100,
    },
};

/// A server that accepts whoever comes, and some workers' idle connections.
struct Table {
    server: Arc<Server>,
    workers: Vec<Rc<Idle>>,
    live: Arc<Live>,
    listener: TcpListener,
}

impl Table {
    fn new(workers: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = Live::new();
        let place = Place::written(Address::Ip(listener.local_addr().unwrap()));
        let start = |_| {
            live.workers.fetch_add(1, Ordering::Relaxed);
            let cells = Rc::new(live.registry.worker());
            Idle::new(&Rc::default(), &cells, &live, spawn)
        };
        Self {
            server: live.server("web", &place),
            workers: (0..workers).map(start).collect(),
            live,
            listener,
        }
    }

    /// Each worker dials and lays to rest `count` connections.
    async fn keep(&self, count: usize, kept_max: usize) {
        for idle in &self.workers {
            for _ in 0..count {
                let timer = idle.local.timers.timer();
                let stream = dial(self.server.address(), NEVER, &timer).await.unwrap();
                let connection = OriginConn::new(stream, &idle.local, &LIMITS);
                let keeping = Keeping::of(kept_max, 0);
                idle.keep(&self.server, Box::new(connection), keeping);
            }
        }
    }

    /// Time goes on for all workers, and all of them sweep.
    fn tick(&self, now: Tick, since: Tick) {
        for idle in &self.workers {
            idle.local.timers.advance(now);
            idle.sweep(since);
        }
    }

    /// Idle connections and, of them, spares, as the metrics tell.
    fn counts(&self) -> (usize, usize) {
        let page = render(&self.live.registry, &[]);
        let of = |series: &str| {
            let mut lines = page.lines().filter(|line| line.starts_with(series));
            let value = lines.find_map(|line| line.rsplit(' ').next()?.parse().ok());
            value.unwrap_or(0)
        };
        let name = &self.server.name;
        let idle =
            format!("croupier_server_connections{{pool=\"web\",server=\"{name}\",state=\"idle\"}}");
        (of(&idle), of("croupier_spare_connections "))
    }

    fn take(&self, worker: usize) -> Option<Box<OriginConn>> {
        self.take_since(worker, 0, Care::Usual)
    }

    fn take_since(&self, worker: usize, since: Tick, care: Care) -> Option<Box<OriginConn>> {
        let which = Which {
            manner: &PLAIN,
            since,
            care,
            purpose: Purpose::Exchange,
        };
        let taken = self.workers[worker].take(&self.server, which)?;
        let OriginStream::H1(connection) = taken else {
            panic!("nobody shares here");
        };
        Some(connection)
    }
}

pub(in crate::pool) static PLAIN: LazyLock<Arc<Manner>> =
    LazyLock::new(|| Arc::new(Manner::plain()));

pub(in crate::pool) fn spawn(task: Pin<Box<dyn Future<Output = ()>>>) {
    drop(tokio::task::spawn_local(task));
}

pub(in crate::pool) fn play(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build_local(tokio::runtime::LocalOptions::default());
    runtime.unwrap().block_on(story);
}

#[test]
fn what_one_worker_does_not_need_another_takes_before_it_dials() {
    play(async {
        let table = Table::new(2);
        table.tick(5, 0);
        table.keep(1, 8).await;
        table.tick(6, 0);
        assert_eq!(table.counts(), (2, 0), "it may need it still");
        let kept = table.take(0).unwrap();
        assert!(table.take(0).is_none(), "the other's is its own");
        table.tick(7, 0);
        assert_eq!(table.counts(), (1, 1));
        let taken = table.take(0).unwrap();
        assert!(taken.idle_since() == 5 && taken.is_quiet());
        assert_eq!(table.counts(), (0, 0));
        assert!(table.take(0).is_none() && table.take(1).is_none());
        drop((kept, taken));
    });
}

#[test]
fn a_worker_alone_keeps_its_own() {
    play(async {
        let table = Table::new(1);
        table.keep(3, 8).await;
        table.tick(9, 0);
        assert_eq!(table.counts(), (3, 0));
    });
}

#[test]
fn spares_count_where_they_were_kept_until_somebody_takes_them() {
    play(async {
        let table = Table::new(2);
        table.keep(4, 3).await;
        assert_eq!(table.counts(), (6, 0));
        table.tick(5, 0);
        assert_eq!(table.counts(), (6, 6));
        table.keep(1, 3).await;
        assert_eq!(table.counts(), (6, 6), "not one more than before");
        let all: Vec<_> = (0..6).map(|_| table.take(0).unwrap()).collect();
        table.keep(4, 3).await;
        assert_eq!(table.counts(), (6, 0));
        drop(all);
    });
}

#[test]
fn spares_that_are_old_or_dead_or_of_a_server_put_aside_are_closed() {
    play(async {
        let table = Table::new(2);
        let mut peers = Vec::new();
        for tick in [10, 20, 30] {
            table.tick(tick, 0);
            table.keep(1, 8).await;
            for _ in 0..2 {
                peers.push(table.listener.accept().unwrap());
            }
        }
        table.tick(32, 0);
        assert_eq!(table.counts(), (6, 6));
        table.tick(33, 11);
        assert_eq!(table.counts(), (4, 4));
        drop(peers.drain(2..3)); // one of tick 20
        table.tick(34, 11);
        assert_eq!(table.counts(), (3, 3));
        drop(peers.pop()); // one of tick 30, found out by whoever wants it
        let taken = table.take_since(1, 30, Care::Usual);
        assert_eq!(taken.unwrap().idle_since(), 30);
        assert!(table.take_since(1, 30, Care::Usual).is_none());
        table.keep(1, 8).await;
        table.tick(37, 11);
        table.workers[0].forget(&table.server);
        assert_eq!(table.counts(), (0, 0));
        assert!(table.take(1).is_none());
    });
}

#[test]
fn a_draining_worker_closes_the_spares() {
    play(async {
        let table = Table::new(2);
        table.keep(2, 8).await;
        table.tick(2, 0);
        assert_eq!(table.counts(), (4, 4));
        table.workers[1].local.drain();
        table.tick(3, 0);
        assert_eq!(table.counts(), (0, 0));
        assert!(table.server.spares.is_empty());
    });
}

/// A connection at rest: nobody else rests since the same tick.
struct Resting {
    since: Tick,
    peer: Option<TcpStream>,
}

/// Whatever three workers do with one server's connections: who takes one gets a connection that
/// rests, is young, and lives; none is given twice; and never more rest than may.
#[test]
fn no_story_gives_away_a_connection_twice_or_dead() {
    const KEPT_MAX: usize = 3;
    const YOUNG: Tick = 12;
    for_each_seed(24, |dice| {
        play(async {
            let table = Table::new(3);
            let mut resting: Vec<Resting> = Vec::new();
            for now in 1..160_u64 {
                let worker = dice.usize(..3);
                let since = now.saturating_sub(YOUNG);
                for idle in &table.workers {
                    idle.local.timers.advance(now);
                }
                match dice.u32(..10) {
                    0..4 => {
                        let idle = &table.workers[worker];
                        let timer = idle.local.timers.timer();
                        let stream = dial(table.server.address(), NEVER, &timer).await.unwrap();
                        let (peer, _) = table.listener.accept().unwrap();
                        let connection = Box::new(OriginConn::new(stream, &idle.local, &LIMITS));
                        idle.keep(&table.server, connection, Keeping::of(KEPT_MAX, 0));
                        let peer = Some(peer);
                        resting.push(Resting { since: now, peer });
                    }
                    4..7 => {
                        if let Some(taken) = table.take_since(worker, since, Care::Special) {
                            let since_then = taken.idle_since();
                            assert!(since_then >= since, "too old");
                            let at = resting.iter().position(|one| one.since == since_then);
                            let one = resting.swap_remove(at.expect("it was given before"));
                            assert!(one.peer.is_some(), "its peer has closed it");
                        }
                    }
                    7 => {
                        if !resting.is_empty() {
                            let dies = dice.usize(..resting.len());
                            resting[dies].peer = None;
                        }
                    }
                    8 => table.workers[worker].sweep(since),
                    _ => {
                        if dice.u32(..8) == 0 {
                            table.workers[worker].forget(&table.server);
                        }
                    }
                }
                let (idle, spare) = table.counts();
                assert!(
                    idle <= 3 * KEPT_MAX && spare <= idle,
                    "{idle} rest, {spare} spare"
                );
            }
            for idle in &table.workers {
                idle.local.drain();
                idle.sweep(0);
                idle.forget(&table.server);
            }
            assert_eq!(table.counts(), (0, 0));
        });
    });
}
