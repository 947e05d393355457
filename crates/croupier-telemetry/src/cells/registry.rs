//! Who hands out workers' cells, names the slots, and sums.
//!
//! Names are interned: the same site and route get the same slot after a reload, so counters survive it;
//! slots of servers that are gone are given to others in time. Locks here are taken at boot, at reload,
//! when a server or worker comes or goes, and by whoever reads the numbers; never by an exchange.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::labels::{RouteSlot, SeriesKey, ServerSlot};
use super::shard::{Shard, held};
use super::worker::WorkerCells;
use crate::histogram::HistogramTotal;
use crate::table::{Counter, Gauge};

/// Routes, and servers, that have a slot of their own; later ones share the slot `other`. Routes keep
/// theirs; servers come and go with what their names stand for, and give theirs back.
pub(super) const MAX_SLOTS: usize = 10_000;

/// Servers that are gone and still shown: a server that comes back soon counts on. The one that went
/// first makes room when more have gone.
pub(super) const MAX_RETIRED: usize = 256;

/// All numbers of the process.
#[derive(Debug)]
pub struct Registry {
    faults: &'static [&'static str],
    routes: Mutex<Names>,
    servers: Mutex<Names>,
    shards: Mutex<Shards>,
}

#[derive(Debug, Default)]
struct Shards {
    all: Vec<Arc<Shard>>,
    /// Of workers that are gone: the next worker counts on from there.
    free: Vec<Arc<Shard>>,
}

impl Registry {
    /// A registry that knows these faults by position.
    #[must_use]
    pub fn new(faults: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self {
            faults,
            routes: Mutex::new(Names::new()),
            servers: Mutex::new(Names::new()),
            shards: Mutex::default(),
        })
    }

    /// Cells for one more thread that counts: a worker, or control.
    #[must_use]
    pub fn worker(self: &Arc<Self>) -> WorkerCells {
        let shard = {
            let mut shards = held(&self.shards);
            shards.free.pop().unwrap_or_else(|| {
                let shard = Arc::new(Shard::new(self.faults.len()));
                shards.all.push(Arc::clone(&shard));
                shard
            })
        };
        WorkerCells::new(Arc::clone(self), shard)
    }

    /// The slot of a route, by its configured names.
    #[must_use]
    pub fn route(&self, site: &str, route: &str) -> RouteSlot {
        RouteSlot(held(&self.routes).slot(site, route))
    }

    /// The slot of a server, by its configured or discovered names.
    #[must_use]
    pub fn server(&self, pool: &str, server: &str) -> ServerSlot {
        let mut names = held(&self.servers);
        if let Some(slot) = names.known(pool, server) {
            names.retired.retain(|retired| *retired != slot);
            return ServerSlot(slot);
        }
        // Nobody writes to a retired slot, so its cells may be cleared from here; whoever gets it next
        // hears of it by a message that is sent after that.
        if (names.retired.len() >= MAX_RETIRED || names.is_full())
            && let Some(slot) = names.retired.pop_front()
        {
            for shard in &held(&self.shards).all {
                shard.clear_server(slot);
            }
            names.rename(slot, pool, server);
            return ServerSlot(slot);
        }
        ServerSlot(names.slot(pool, server))
    }

    /// Gives a server's slot back. Nobody may count there any more, on any thread, until
    /// [`server`](Self::server) hands it out again.
    pub fn retire_server(&self, slot: ServerSlot) {
        let mut names = held(&self.servers);
        if slot != ServerSlot::OTHER && !names.retired.contains(&slot.0) {
            names.retired.push_back(slot.0);
        }
    }

    pub(super) fn take_back(&self, shard: &Arc<Shard>) {
        shard.clear_gauges();
        held(&self.shards).free.push(Arc::clone(shard));
    }

    pub(crate) const fn fault_names(&self) -> &'static [&'static str] {
        self.faults
    }

    pub(crate) fn route_names(&self) -> Names {
        held(&self.routes).clone()
    }

    pub(crate) fn server_names(&self) -> Names {
        held(&self.servers).clone()
    }

    /// Sums over all workers, those that are gone too.
    pub(crate) fn totals(&self) -> Totals {
        let shards = held(&self.shards).all.clone();
        let mut totals = Totals::new(self.faults.len());
        for shard in shards {
            totals.add(&shard);
        }
        totals
    }
}

/// Pairs of names by slot. Slot 0 is `other`, `other`.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    by_slot: Vec<Pair>,
    slots: HashMap<Pair, u32>,
    /// Slots whose owners are gone, oldest first.
    retired: VecDeque<u32>,
}

type Pair = (Arc<str>, Arc<str>);

impl Names {
    fn new() -> Self {
        let other: Arc<str> = Arc::from("other");
        Self {
            by_slot: vec![(Arc::clone(&other), other)],
            slots: HashMap::new(),
            retired: VecDeque::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.by_slot.len() >= MAX_SLOTS
    }

    fn known(&self, first: &str, second: &str) -> Option<u32> {
        let names: Pair = (Arc::from(first), Arc::from(second));
        self.slots.get(&names).copied()
    }

    fn rename(&mut self, slot: u32, first: &str, second: &str) {
        let names: Pair = (Arc::from(first), Arc::from(second));
        if let Some(old) = self.by_slot.get_mut(slot as usize) {
            self.slots.remove(old);
            *old = names.clone();
            self.slots.insert(names, slot);
        }
    }

    fn slot(&mut self, first: &str, second: &str) -> u32 {
        let names: Pair = (Arc::from(first), Arc::from(second));
        if let Some(slot) = self.slots.get(&names) {
            return *slot;
        }
        if self.is_full() {
            return 0;
        }
        let slot = self.by_slot.len() as u32;
        self.by_slot.push(names.clone());
        self.slots.insert(names, slot);
        slot
    }

    /// The names of a slot.
    pub(crate) fn of(&self, slot: u32) -> (&str, &str) {
        self.by_slot
            .get(slot as usize)
            .map_or(("other", "other"), |(first, second)| (first, second))
    }
}

/// Exchanges of one series, over all workers.
#[derive(Debug, Default)]
pub(crate) struct SeriesTotal {
    pub(crate) duration: HistogramTotal,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// One server, over all workers.
#[derive(Debug, Default)]
pub(crate) struct ServerTotal {
    pub(crate) duration: HistogramTotal,
    pub(crate) failures: u64,
    pub(crate) retries: u64,
    pub(crate) idle: u64,
    pub(crate) busy: u64,
}

/// Everything, over all workers.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) counters: [u64; Counter::COUNT],
    /// Two's complement.
    pub(crate) gauges: [u64; Gauge::COUNT],
    pub(crate) faults: Vec<u64>,
    pub(crate) series: BTreeMap<SeriesKey, SeriesTotal>,
    pub(crate) servers: BTreeMap<u32, ServerTotal>,
}

impl Totals {
    fn new(faults: usize) -> Self {
        Self {
            counters: [0; Counter::COUNT],
            gauges: [0; Gauge::COUNT],
            faults: vec![0; faults],
            series: BTreeMap::new(),
            servers: BTreeMap::new(),
        }
    }

    fn add(&mut self, shard: &Shard) {
        let plain = self.counters.iter_mut().zip(&shard.counters);
        let plain = plain.chain(self.gauges.iter_mut().zip(&shard.gauges));
        for (sum, tick) in plain.chain(self.faults.iter_mut().zip(&shard.faults)) {
            *sum = sum.wrapping_add(tick.get());
        }
        // Copied, so that the lock is held for as short as can be.
        let series = shard.series().clone();
        for (key, one) in series {
            let total = self.series.entry(key).or_default();
            total.duration.add(&one.duration);
            total.bytes_in = total.bytes_in.wrapping_add(one.bytes_in.get());
            total.bytes_out = total.bytes_out.wrapping_add(one.bytes_out.get());
        }
        let servers = shard.servers().clone();
        for (slot, one) in servers {
            let total = self.servers.entry(slot).or_default();
            total.duration.add(&one.duration);
            total.failures = total.failures.wrapping_add(one.failures.get());
            total.retries = total.retries.wrapping_add(one.retries.get());
            total.idle = total.idle.wrapping_add(one.idle.get());
            total.busy = total.busy.wrapping_add(one.busy.get());
        }
    }
}
