//! A server of a pool: where it is, and what the traffic has taught us about it.
//!
//! Its health is a [`Health`] behind a lock that is taken only when there is something to note;
//! requests read its [`Marks`]. What needs the other servers' say is in [`super::LivePool`].

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use croupier_http::Authority;
use croupier_net::address::Address;
use croupier_telemetry::{Registry, ServerSlot};

use super::{
    busy::Load,
    health::{Admit, Health, Reason, State},
    marks::Marks,
    policy::HealthPolicy,
    queue::Queue,
};

/// Where a server is, and how it was found: with its pool, a server's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// `host:port` of the name that stands for the address; None when the address is written.
    pub host: Option<String>,
    /// Where it is.
    pub address: Address,
}

impl Place {
    /// An address written in the config.
    #[must_use]
    pub fn written(address: Address) -> Self {
        Self {
            host: None,
            address,
        }
    }

    /// One of the addresses that a name was found to stand for.
    #[must_use]
    pub fn found(host: &str, address: SocketAddr) -> Self {
        Self {
            host: Some(format!("{host}:{}", address.port())),
            address: Address::Ip(address),
        }
    }
}

impl fmt::Display for Place {
    /// The address, after `host:port@` when it was found by a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}@")?;
        }
        self.address.fmt(f)
    }
}

/// A server of a pool.
#[derive(Debug)]
pub struct Server {
    /// Its pool's name.
    pub pool: String,
    /// Its address as written; `host:port@address` when it was found by a name.
    pub name: String,
    /// `host[:port]` as written, in normal form: the `Host` it expects. Empty for a unix socket.
    pub authority: Authority,
    /// Its place in the metrics.
    pub slot: ServerSlot,
    /// Connections to it that any worker may take.
    pub spares: super::Spares,
    place: Place,
    /// No plan in force has it: its connections are not kept.
    is_retired: AtomicBool,
    /// Gets the slot back.
    registry: Arc<Registry>,
    pub(super) marks: Marks,
    health: Mutex<Health>,
    pub(super) load: Load,
    /// When it may next be asked while nobody of its pool is in reach.
    resort_at: AtomicU64,
    pub(super) queue: Arc<Queue>,
    pub(super) ejections: AtomicU64,
    pub(super) checks_passed: AtomicU64,
    pub(super) checks_failed: AtomicU64,
}

/// What a server is, for whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Why it is in that state.
    pub reason: Reason,
    /// Since when, milliseconds since the process began.
    pub since_ms: u64,
}

impl Server {
    pub(super) fn new(
        pool: &str,
        place: &Place,
        registry: &Arc<Registry>,
        queue: &Arc<Queue>,
    ) -> Self {
        let name = place.to_string();
        let mut authority = Authority::default();
        if let Address::Ip(address) = &place.address {
            let written = (place.host.clone()).unwrap_or_else(|| address.to_string());
            // The config has checked it; a name that is no authority is sent by nobody.
            let _ = authority.read(written.as_bytes());
        }
        Self {
            pool: pool.to_owned(),
            slot: registry.server(pool, &name),
            spares: super::Spares::default(),
            name,
            authority,
            place: place.clone(),
            is_retired: AtomicBool::new(false),
            registry: Arc::clone(registry),
            marks: Marks::default(),
            health: Mutex::new(Health::new(HealthPolicy::default(), 0)),
            load: Load::default(),
            resort_at: AtomicU64::new(0),
            queue: Arc::clone(queue),
            ejections: AtomicU64::new(0),
            checks_passed: AtomicU64::new(0),
            checks_failed: AtomicU64::new(0),
        }
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.place.address
    }

    /// Is it in no plan in force any more? Then its idle connections close.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn enlist(&self) {
        self.is_retired.store(false, Ordering::Relaxed);
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its state, why, and since when.
    #[must_use]
    pub fn status(&self) -> Status {
        let health = self.lock();
        Status {
            state: health.state(),
            reason: health.reason(),
            since_ms: health.since_ms(),
        }
    }

    /// Was its last answer a failure?
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.marks.has_streak()
    }

    /// May it be asked at `now` although it is out of reach?
    #[must_use]
    pub fn may_resort(&self, now: u64) -> bool {
        now >= self.resort_at.load(Ordering::Relaxed)
    }

    /// Takes the one attempt that such a server gets in `every` milliseconds.
    #[must_use]
    pub fn claim_resort(&self, now: u64, every: u64) -> bool {
        let at = self.resort_at.load(Ordering::Relaxed);
        now >= at
            && (self.resort_at)
                .compare_exchange(at, now + every, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The share of its weight it should get now, of 256: less than all during a slow start.
    #[must_use]
    pub fn share_256(&self, now: u64) -> u32 {
        self.marks.share_256(now)
    }

    /// Grows whenever it goes out of use: connections made in an earlier epoch are better not
    /// used again.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.marks.epoch()
    }

    /// Attempts in flight, over all workers.
    #[must_use]
    pub fn busy(&self) -> u32 {
        // SeqCst: the pair is in `Queue::wake`.
        self.load.busy.load(Ordering::SeqCst)
    }

    /// Open connections, over all workers.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.load.connections.load(Ordering::Relaxed)
    }

    /// What [`Self::set_latency`] left, 0 at first; its form is the measurer's.
    #[must_use]
    pub fn latency(&self) -> u64 {
        self.load.latency.load(Ordering::Relaxed)
    }

    /// Keeps a measure of its latency. Of two at once the last one stays.
    pub fn set_latency(&self, packed: u64) {
        self.load.latency.store(packed, Ordering::Relaxed);
    }

    /// Times it was put aside by traffic.
    #[must_use]
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// Active checks that passed, and that failed.
    #[must_use]
    pub fn checks(&self) -> (u64, u64) {
        (
            self.checks_passed.load(Ordering::Relaxed),
            self.checks_failed.load(Ordering::Relaxed),
        )
    }

    pub(super) fn withdraw(&self, admit: Admit) {
        self.note(|health| health.withdrew(admit));
    }

    /// Changes the health and shows it; gives the state before and after, too.
    pub(super) fn note<R>(&self, f: impl FnOnce(&mut Health) -> R) -> (R, State, Status) {
        let mut health = self.lock();
        let before = health.state();
        let result = f(&mut health);
        self.marks.publish(&health);
        let after = Status {
            state: health.state(),
            reason: health.reason(),
            since_ms: health.since_ms(),
        };
        (result, before, after)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.registry.retire_server(self.slot);
    }
}
