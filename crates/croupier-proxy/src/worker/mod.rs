//! One core's world: the plan in force, idle connections, buffers, cells. Never leaves its
//! thread; nothing in it is shared but what `Live` shares.

pub(crate) mod command;

pub(crate) mod entrance;

pub(crate) mod spawn;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use croupier_cache::store::key::KeyBuf;
use croupier_coding::Coders;
use croupier_http::Target;
use croupier_net::{
    Local,
    client::h1::{ClientLimits, Times},
    timers::{TICK, ticks},
};
use croupier_telemetry::{AccessLog, Counter, LogBuffer, RequestId, RequestIds, WorkerCells};

use crate::{
    live::Live, plan::Plan, pool::idle::Idle, pool::mirror::Mirror, pool::pick::Picker,
    relay::replay::ReplayRoom,
};

pub use command::{Command, Handle};

/// Targets a worker keeps for later use.
const TARGETS_KEPT: usize = 128;

/// A plan as one worker holds it: with this worker's turns.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The plan.
    pub(crate) plan: Arc<Plan>,
    /// How servers are picked, by pool.
    pub(crate) pickers: Vec<RefCell<Picker>>,
}

impl Installed {
    fn new(plan: Arc<Plan>) -> Rc<Self> {
        let pickers = plan
            .pools
            .iter()
            .map(|pool| RefCell::new(pool.picker.clone()))
            .collect();
        Rc::new(Self { plan, pickers })
    }
}

/// One core's world.
#[derive(Debug)]
pub(crate) struct Worker {
    /// What the network room keeps for this core.
    pub(crate) local: Rc<Local>,
    /// What outlives plans.
    pub(crate) live: Arc<Live>,
    /// Idle origin connections.
    pub(crate) idle: Rc<Idle>,
    /// Memory of request bodies that may be sent again.
    pub(crate) replays: Rc<ReplayRoom>,
    /// Copies of requests under way.
    pub(crate) mirror: Mirror,
    /// This core's numbers.
    pub(crate) cells: Rc<WorkerCells>,
    /// This core's end of the access log.
    pub(crate) log: RefCell<Option<LogBuffer>>,
    /// Client connections of this worker.
    pub(crate) connections: Cell<usize>,
    installed: RefCell<Rc<Installed>>,
    ids: RefCell<RequestIds>,
    targets: RefCell<Vec<Target>>,
    clock: Cell<Clock>,
    date: RefCell<(u64, String)>,
    scratch: RefCell<Vec<u8>>,
    /// Encoders between two bodies.
    pub(crate) coders: Coders,
    /// The key of the request that is being looked up.
    pub(crate) key: RefCell<KeyBuf>,
}

/// The wall clock, read about ten times a second.
#[derive(Clone, Copy, Debug)]
struct Clock {
    at: Instant,
    unix_ms: u64,
}

impl Clock {
    fn read() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            at: Instant::now(),
            unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Worker {
    pub(crate) fn new(live: &Arc<Live>, plan: Arc<Plan>, log: Option<&AccessLog>) -> Rc<Self> {
        let local = Rc::new(Local::default());
        let cells = Rc::new(live.registry.worker());
        live.workers.fetch_add(1, Ordering::Relaxed);
        Rc::new(Self {
            idle: Idle::new(&local, &cells, live, spawn::driver),
            mirror: Mirror::default(),
            replays: Rc::default(),
            local,
            live: Arc::clone(live),
            cells,
            log: RefCell::new(log.map(AccessLog::buffer)),
            connections: Cell::new(0),
            installed: RefCell::new(Installed::new(plan)),
            ids: RefCell::new(RequestIds::random()),
            targets: RefCell::default(),
            clock: Cell::new(Clock::read()),
            date: RefCell::default(),
            coders: Coders::default(),
            key: RefCell::default(),
            scratch: RefCell::default(),
        })
    }

    /// The plan in force. An exchange that holds it keeps it to its end.
    pub(crate) fn installed(&self) -> Rc<Installed> {
        Rc::clone(&self.installed.borrow())
    }

    pub(crate) fn install(&self, plan: Arc<Plan>) {
        *self.installed.borrow_mut() = Installed::new(plan);
    }

    pub(crate) fn next_id(&self, unix_ms: u64) -> RequestId {
        self.ids.borrow_mut().next(unix_ms)
    }

    /// Now, in both of its forms, at the price of one clock.
    pub(crate) fn moment(&self) -> (Instant, u64) {
        let now = Instant::now();
        let clock = self.clock.get();
        let since = now.saturating_duration_since(clock.at).as_millis();
        (now, clock.unix_ms + u64::try_from(since).unwrap_or(0))
    }

    /// The moment of the last tick: good enough for what is about to be measured anew.
    pub(crate) fn last_moment(&self) -> (Instant, u64) {
        let clock = self.clock.get();
        (clock.at, clock.unix_ms)
    }

    /// Milliseconds since the process began, in steps of a tick.
    #[expect(clippy::cast_possible_truncation, reason = "a tick is 100 ms")]
    pub(crate) fn coarse_ms(&self) -> u64 {
        self.local.timers.now() * TICK.as_millis() as u64
    }

    /// The value of a `Date` field, made once a second.
    pub(crate) fn with_date<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        let second = self.clock.get().unix_ms / 1000;
        let mut date = self.date.borrow_mut();
        if date.0 != second || date.1.is_empty() {
            *date = (second, croupier_http::date::format(second));
        }
        f(&date.1)
    }

    /// How long a client connection waits for a request.
    pub(crate) fn client_times(&self) -> Times {
        self.installed.borrow().plan.limits.client.times()
    }

    /// What of a client connection's requests is bounded.
    pub(crate) fn client_limits(&self) -> ClientLimits {
        self.installed.borrow().plan.limits.client
    }

    /// How long a client connection may take no bytes at all.
    pub(crate) fn send_time(&self) -> Option<Duration> {
        self.installed.borrow().plan.limits.times.client_send
    }

    /// How much of unwanted bytes is read before a close, and for how long.
    pub(crate) fn drain_limits(&self) -> (u64, Option<Duration>) {
        let limits = &self.installed.borrow().plan.limits;
        (limits.drain_bytes, limits.drain_time)
    }

    /// An empty buffer for a short text, while `f` runs.
    pub(crate) fn with_scratch<R>(&self, f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        f(&mut scratch)
    }

    pub(crate) fn lend_target(&self) -> Target {
        self.targets.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn take_back_target(&self, mut target: Target) {
        let mut targets = self.targets.borrow_mut();
        if targets.len() < TARGETS_KEPT && target.capacity() <= 16 << 10 {
            target.clear();
            targets.push(target);
        }
    }

    /// Once a tick: time goes on, logs leave, cold connections close, bytes are counted.
    pub(crate) fn tick(&self) {
        self.clock.set(Clock::read());
        let now = ticks(self.live.elapsed()) - 1;
        self.local.timers.advance(now);
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.flush();
        }
        let idle = self.installed.borrow().plan.limits.origin_idle;
        self.idle.sweep(now.saturating_sub(idle.map_or(now, ticks)));
        let (received, sent) = self.local.client_traffic.take();
        self.cells.add(Counter::BytesClientIn, received);
        self.cells.add(Counter::BytesClientOut, sent);
        let (received, sent) = self.local.origin_traffic.take();
        self.cells.add(Counter::BytesOriginIn, received);
        self.cells.add(Counter::BytesOriginOut, sent);
    }
}
