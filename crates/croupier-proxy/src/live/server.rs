//! A server of a pool: where it is, and what the traffic has taught us about it.
//!
//! Its health is a [`Health`] behind a lock that is taken only when there is something to note;
//! requests read its [`Marks`]. What needs the other servers' say is in [`super::LivePool`].

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use croupier_config::model::ServerAddress;
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

/// Where a server is.
#[derive(Debug)]
pub enum Place {
    /// Written as an address.
    Fixed(Address),
    /// Written as a name; the addresses last found for it.
    Named {
        host: String,
        port: u16,
        found: RwLock<Arc<[SocketAddr]>>,
        turn: AtomicUsize,
    },
}

/// A server of a pool.
#[derive(Debug)]
pub struct Server {
    /// Its pool's name.
    pub pool: String,
    /// Its address as written.
    pub name: String,
    /// `host[:port]` in normal form: what its answers must not show. Empty for a unix socket.
    pub authority: Authority,
    /// Its place in the metrics.
    pub slot: ServerSlot,
    place: Place,
    pub(super) marks: Marks,
    health: Mutex<Health>,
    pub(super) load: Load,
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
        address: &ServerAddress,
        registry: &Registry,
        queue: &Arc<Queue>,
    ) -> Self {
        let name = address.to_string();
        let mut authority = Authority::default();
        let place = match address {
            ServerAddress::Socket(socket) => Place::Fixed(Address::Ip(*socket)),
            ServerAddress::Unix(path) => Place::Fixed(Address::Unix(path.clone())),
            ServerAddress::Name { host, port } => Place::Named {
                host: host.clone(),
                port: *port,
                found: RwLock::new(Arc::from([])),
                turn: AtomicUsize::new(0),
            },
        };
        if !matches!(address, ServerAddress::Unix(_)) {
            // The config has checked it; a name that is no authority hides nothing.
            let _ = authority.read(name.as_bytes());
        }
        Self {
            pool: pool.to_owned(),
            slot: registry.server(pool, &name),
            name,
            authority,
            place,
            marks: Marks::default(),
            health: Mutex::new(Health::new(HealthPolicy::default(), 0)),
            load: Load::default(),
            queue: Arc::clone(queue),
            ejections: AtomicU64::new(0),
            checks_passed: AtomicU64::new(0),
            checks_failed: AtomicU64::new(0),
        }
    }

    /// An address to connect to; None while its name has not been resolved. Several addresses
    /// of one name take turns.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        match &self.place {
            Place::Fixed(address) => Some(address.clone()),
            Place::Named { found, turn, .. } => {
                let found = Arc::clone(&found.read().unwrap_or_else(PoisonError::into_inner));
                let at = turn.fetch_add(1, Ordering::Relaxed);
                found
                    .get(at % found.len().max(1))
                    .map(|address| Address::Ip(*address))
            }
        }
    }

    /// Is an address known?
    #[must_use]
    pub fn has_address(&self) -> bool {
        match &self.place {
            Place::Fixed(_) => true,
            Place::Named { found, .. } => !found
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty(),
        }
    }

    /// Its name was found to stand for these addresses.
    pub fn found(&self, addresses: &[SocketAddr]) {
        if let Place::Named { found, .. } = &self.place {
            *found.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(addresses);
        }
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
