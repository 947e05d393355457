//! Counting: what a worker calls.
//!
//! Nothing here waits or allocates once a series has been used. A `WorkerCells` may move to its thread
//! but not be shared between threads, which is what makes a load and a store enough.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::labels::{MethodLabel, ProtoVersion, RouteSlot, SeriesKey, ServerSlot};
use super::registry::Registry;
use super::shard::{Series, ServerCells, Shard};
use crate::table::{Counter, Gauge};

/// Series of exchanges that one worker keeps apart; beyond it, exchanges are kept apart by status only,
/// under the route `other`. About 5 MB a worker when full.
pub(super) const MAX_SERIES: usize = 20_000;

/// What is counted about a finished exchange.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// The route that took it, or [`RouteSlot::OTHER`].
    pub route: RouteSlot,
    /// The request's method.
    pub method: MethodLabel,
    /// The status sent to the client, 100..=999; 0 when none was.
    pub status: u16,
    /// What the client spoke.
    pub version: ProtoVersion,
    /// From the first byte of the request to the last byte of the answer.
    pub duration: Duration,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
}

/// A level that is kept per server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerGauge {
    /// Connections that wait for work.
    Idle,
    /// Connections that carry an exchange.
    Busy,
}

type SeriesTable = HashMap<u64, Arc<Series>, FixedState>;
type ServerTable = Vec<Option<Arc<ServerCells>>>;

/// One worker's cells. Dropping it keeps its counts and clears its gauges.
#[derive(Debug)]
pub struct WorkerCells {
    registry: Arc<Registry>,
    shard: Arc<Shard>,
    /// What the shard lists, found by key. Keys are made of configured names and closed sets, so the
    /// hash needs no secret.
    series: RefCell<SeriesTable>,
    /// By slot; `None` until first used.
    servers: RefCell<ServerTable>,
}

impl WorkerCells {
    pub(super) fn new(registry: Arc<Registry>, shard: Arc<Shard>) -> Self {
        let series = shard
            .series()
            .iter()
            .map(|(key, it)| (key.bits(), Arc::clone(it)))
            .collect();
        let mut servers = Vec::new();
        for (slot, server) in shard.servers().iter() {
            place(&mut servers, *slot as usize, Arc::clone(server));
        }
        Self {
            registry,
            shard,
            series: RefCell::new(series),
            servers: RefCell::new(servers),
        }
    }

    /// Counts `n` of something.
    #[inline]
    pub fn add(&self, counter: Counter, n: u64) {
        self.shard.counters[counter as usize].add(n);
    }

    /// Moves a level up or down. The sum over all workers is what is shown, never below 0.
    #[inline]
    pub fn gauge(&self, gauge: Gauge, by: i64) {
        self.shard.gauges[gauge as usize].shift(by);
    }

    /// Counts a fault by its position in the list given to [`Registry::new`]; one that is not in the
    /// list is not counted.
    #[inline]
    pub fn fault(&self, index: usize) {
        debug_assert!(
            index < self.shard.faults.len(),
            "fault {index} is not in the list"
        );
        if let Some(fault) = self.shard.faults.get(index) {
            fault.add(1);
        }
    }

    /// Counts a finished exchange: its duration, and the bytes of both bodies.
    #[inline]
    pub fn exchange(&self, done: &Finished) {
        let key = SeriesKey::new(done.route, done.method, done.status, done.version);
        if let Some(series) = self.series.borrow().get(&key.bits()) {
            count(series, done);
            return;
        }
        count(&self.first_exchange(key), done);
    }

    /// Counts an answer that a server gave in full, however long ago the request was sent.
    #[inline]
    pub fn server_exchange(&self, server: ServerSlot, duration: Duration) {
        self.with_server(server, |cells| cells.duration.record(duration));
    }

    /// Counts an attempt that ended without a complete answer.
    #[inline]
    pub fn server_failure(&self, server: ServerSlot) {
        self.with_server(server, |cells| cells.failures.add(1));
    }

    /// Counts an attempt made because an earlier one failed; `server` is the one tried now. Shown per
    /// pool.
    #[inline]
    pub fn server_retry(&self, server: ServerSlot) {
        self.with_server(server, |cells| cells.retries.add(1));
    }

    /// Moves one of the levels kept per server.
    #[inline]
    pub fn server_gauge(&self, server: ServerSlot, gauge: ServerGauge, by: i64) {
        self.with_server(server, |cells| match gauge {
            ServerGauge::Idle => cells.idle.shift(by),
            ServerGauge::Busy => cells.busy.shift(by),
        });
    }

    #[inline]
    fn with_server(&self, slot: ServerSlot, count: impl FnOnce(&ServerCells)) {
        let index = slot.0 as usize;
        if let Some(Some(server)) = self.servers.borrow().get(index) {
            count(server);
            return;
        }
        count(&self.first_server(index, slot));
    }

    #[cold]
    fn first_exchange(&self, key: SeriesKey) -> Arc<Series> {
        let mut known = self.series.borrow_mut();
        let key = if known.len() < MAX_SERIES {
            key
        } else {
            key.folded()
        };
        let series = known.entry(key.bits()).or_insert_with(|| {
            let series = Arc::new(Series::default());
            self.shard.series().push((key, Arc::clone(&series)));
            series
        });
        Arc::clone(series)
    }

    #[cold]
    fn first_server(&self, index: usize, slot: ServerSlot) -> Arc<ServerCells> {
        let server = Arc::new(ServerCells::default());
        place(&mut self.servers.borrow_mut(), index, Arc::clone(&server));
        self.shard.servers().push((slot.0, Arc::clone(&server)));
        server
    }
}

impl Drop for WorkerCells {
    fn drop(&mut self) {
        self.registry.take_back(&self.shard);
    }
}

#[inline]
fn count(series: &Series, done: &Finished) {
    series.duration.record(done.duration);
    series.bytes_in.add(done.bytes_in);
    series.bytes_out.add(done.bytes_out);
}

fn place(servers: &mut ServerTable, index: usize, server: Arc<ServerCells>) {
    if servers.len() <= index {
        servers.resize(index + 1, None);
    }
    servers[index] = Some(server);
}
