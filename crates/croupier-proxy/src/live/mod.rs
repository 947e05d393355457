//! What is true now and outlives plans, keyed by identity.
//!
//! A reload asks for a pool's servers by name and address and gets the same objects when they
//! did not change: marks, counters and idle connections stay.

mod doors;
mod server;
mod spare;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use croupier_config::model::ServerAddress;
use croupier_telemetry::Registry;

pub use doors::{Door, Doors, Refused};
pub use server::{Place, Server};
pub use spare::{Giver, Spares};

use crate::fault::Code;

/// Live state of the process, shared by all threads.
#[derive(Debug)]
pub struct Live {
    /// Numbers of the process.
    pub registry: Arc<Registry>,
    /// Who is connected.
    pub doors: Doors,
    /// Workers that were started.
    pub workers: AtomicUsize,
    began: Instant,
    servers: Mutex<HashMap<(String, ServerAddress), Arc<Server>>>,
}

impl Live {
    /// Live state with nothing in it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            registry: Registry::new(Code::WORDS),
            doors: Doors::default(),
            workers: AtomicUsize::new(0),
            began: Instant::now(),
            servers: Mutex::default(),
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
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pool.to_owned(), address.clone());
        let server = servers
            .entry(key)
            .or_insert_with(|| Arc::new(Server::new(pool, address, &self.registry)));
        Arc::clone(server)
    }

    /// All servers known, for whoever resolves names or shows them.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = servers.values().cloned().collect();
        all.sort_by(|a, b| (&a.pool, &a.name).cmp(&(&b.pool, &b.name)));
        all
    }

    /// Forgets servers that no plan holds any more.
    pub fn release(&self) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|_, server| Arc::strong_count(server) > 1);
    }
}
