//! What is true now and outlives plans, keyed by identity.
//!
//! A reload asks for a pool's servers by name and address and gets the same objects when they
//! did not change: marks, counters and idle connections stay.
//!
//! [`health`] is the state of one server, `marks` what requests read of it, [`policy`] its
//! numbers; [`tiers`], `gate` and `pool` are the rules that need all servers of a pool; `busy` counts
//! attempts; [`line`] and `queue` are who waits.

mod doors;

pub mod health;
pub mod policy;

mod marks;
mod server;

mod busy;

pub mod line;
mod queue;

mod gate;
mod pool;
pub mod tiers;

#[cfg(test)]
pub(crate) mod seeds;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use croupier_config::model::ServerAddress;
use croupier_telemetry::Registry;

pub use busy::{Busy, Connected};
pub use doors::{Door, Doors, Refused};
pub use health::{Rank, Reason, State};
pub use pool::LivePool;
pub use queue::Queue;
pub use server::{Place, Server, Status};

use crate::fault::Code;

/// Live state of the process, shared by all threads.
#[derive(Debug)]
pub struct Live {
    /// Numbers of the process.
    pub registry: Arc<Registry>,
    /// Who is connected.
    pub doors: Doors,
    began: Instant,
    servers: Mutex<HashMap<(String, ServerAddress), Arc<Server>>>,
    pools: Mutex<HashMap<String, Arc<LivePool>>>,
}

impl Live {
    /// Live state with nothing in it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            registry: Registry::new(Code::WORDS),
            doors: Doors::default(),
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

    /// The server of that pool at that address: the same object as long as somebody holds it.
    #[must_use]
    pub fn server(&self, pool: &str, address: &ServerAddress) -> Arc<Server> {
        let live_pool = self.pool(pool);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pool.to_owned(), address.clone());
        let server = servers.entry(key).or_insert_with(|| {
            let queue = live_pool.shared_queue();
            Arc::new(Server::new(pool, address, &self.registry, queue))
        });
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

    /// All servers known, for whoever resolves names or shows them.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = servers.values().cloned().collect();
        all.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
        all
    }

    /// Forgets pools and servers that no plan holds any more.
    pub fn release(&self) {
        // A pool holds its servers, and they its queue; so both may be let go in this order.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        drop(pools);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|_, server| Arc::strong_count(server) > 1);
    }
}
