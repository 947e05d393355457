//! What is true now and outlives plans, keyed by identity.
//!
//! Whoever builds a plan asks for a pool's servers by name and address and gets the same objects
//! when they did not change: marks, counters and idle connections stay.
//!
//! [`health`] is the state of one server, `marks` what requests read of it, [`policy`] its
//! numbers; [`tiers`], `gate` and `pool` are the rules that need all servers of a pool; `busy`
//! counts attempts; [`line`] and `queue` are who waits; `names` is what names stand for,
//! `manners` how servers are spoken to; `doors`, `handshakes` and [`offers`] are the front door's;
//! [`certs`] are the certificates that sites show, `wants` the names that wait for one; `stores` is
//! what is kept, [`strong`] who encodes it again, [`shelf`] old versions as dictionaries.

mod doors;
mod handshakes;
mod manners;
mod names;

pub mod certs;
mod wants;

pub mod offers;

pub mod health;
pub mod policy;

mod marks;
mod server;
mod spare;
mod stores;

pub mod shelf;
pub mod strong;

mod busy;

pub mod line;
mod queue;

mod gate;
mod latencies;
mod pool;
pub mod tiers;

#[cfg(test)]
pub(crate) mod seeds;

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use croupier_telemetry::Registry;

pub use busy::{Busy, Connected};
pub use certs::{Certs, Pending};
pub use doors::{Door, Doors, Refused};
pub use handshakes::{Handshake, Handshakes};
pub use health::{Rank, Reason, State};
pub use manners::{Greeting, Manners, Speech, Spoken, Tls};
pub use names::{Found, Name, NamedAddress, Names, Source};
use offers::Offers;
pub use pool::LivePool;
pub use queue::Queue;
pub use server::{Place, Server, Status};
pub use spare::{Giver, Spares};
pub use stores::Stores;
use strong::Strong;

use crate::{fault::Code, pool::sticky::Secret};

/// Live state of the process, shared by all threads.
#[derive(Debug)]
pub struct Live {
    /// Numbers of the process.
    pub registry: Arc<Registry>,
    /// Who is connected.
    pub doors: Doors,
    /// TLS handshakes under way.
    pub handshakes: Handshakes,
    /// What handshakes are made with.
    pub offers: Offers,
    /// What the names of the config stand for.
    pub names: Names,
    /// What sites show, and what proves that names are ours.
    pub certs: Certs,
    /// How pools' servers are spoken to.
    pub manners: Manners,
    /// What answers are kept in.
    pub stores: Stores,
    /// Who encodes what is kept once more.
    pub strong: Strong,
    /// What sticky cookies are made with unless the config says a secret: of this process alone.
    pub secret: Secret,
    /// Workers that were started.
    pub workers: AtomicUsize,
    began: Instant,
    servers: Mutex<HashMap<(String, Place), Arc<Server>>>,
    pools: Mutex<HashMap<String, Arc<LivePool>>>,
}

impl Live {
    /// Live state with nothing in it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            registry: Registry::new(Code::WORDS),
            doors: Doors::default(),
            handshakes: Handshakes::default(),
            offers: Offers::default(),
            names: Names::default(),
            certs: Certs::default(),
            manners: Manners::default(),
            stores: Stores::default(),
            strong: Strong::default(),
            secret: random_secret(),
            workers: AtomicUsize::new(0),
            began: Instant::now(),
            servers: Mutex::default(),
            pools: Mutex::default(),
        })
    }

    /// When the process began: the zero of all coarse clocks.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Time since the process began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The server of that pool at that place: the same object as long as somebody holds it.
    #[must_use]
    pub fn server(&self, pool: &str, place: &Place) -> Arc<Server> {
        let live_pool = self.pool(pool);
        let mut servers = self.held();
        let key = (pool.to_owned(), place.clone());
        let server = servers.entry(key).or_insert_with(|| {
            let queue = live_pool.shared_queue();
            Arc::new(Server::new(pool, place, &self.registry, queue))
        });
        // It may be back before the last of its old exchanges has ended.
        server.enlist();
        Arc::clone(server)
    }

    /// The pool of that name: the same object as long as somebody holds it.
    #[must_use]
    pub fn pool(&self, name: &str) -> Arc<LivePool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = pools
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(LivePool::new(name)));
        Arc::clone(pool)
    }

    /// All pools known, by name.
    #[must_use]
    pub fn pools(&self) -> Vec<Arc<LivePool>> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = pools.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Milliseconds since the process began: the clock of everything here.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// All servers of the plan in force, for whoever shows them.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        let servers = self.held();
        let mut all: Vec<_> = servers
            .values()
            .filter(|server| !server.is_retired())
            .cloned()
            .collect();
        all.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
        all
    }

    /// A plan with these servers, and no others, is in force: idle connections to the others
    /// close within a tick.
    pub fn retire_all_but<'a>(&self, servers: impl IntoIterator<Item = &'a Arc<Server>>) {
        let kept: HashSet<_> = servers.into_iter().map(Arc::as_ptr).collect();
        for server in self.held().values() {
            if !kept.contains(&Arc::as_ptr(server)) {
                server.retire();
            }
        }
    }

    /// Forgets pools, servers, stores and certificates that nobody holds any more.
    pub fn release(&self) {
        self.certs.release();
        self.stores.release();
        // A pool holds its servers, and they its queue; so both may be let go in this order.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        drop(pools);
        // Offers hold slots, so these go first.
        self.offers.release();
        self.held()
            .retain(|_, server| Arc::strong_count(server) > 1);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(String, Place), Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From the randomness that the standard library keeps for its hash maps: 128 bits of the
/// system's, spread by a keyed hash.
fn random_secret() -> Secret {
    let state = RandomState::new();
    let (low, high) = (state.hash_one(0_u8), state.hash_one(1_u8));
    Secret::random((u128::from(high) << 64 | u128::from(low)).to_ne_bytes())
}
