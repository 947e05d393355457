//! What is true now and outlives plans, keyed by identity.
//!
//! Whoever builds a plan asks for a pool's servers by name and address and gets the same objects
//! when they did not change: marks, counters and idle connections stay.

mod doors;
mod names;
mod server;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use croupier_telemetry::Registry;

pub use doors::{Door, Doors, Refused};
pub use names::{Found, Name, NamedAddress, Names, Source};
pub use server::{Place, Server};

use crate::fault::Code;

/// Live state of the process, shared by all threads.
#[derive(Debug)]
pub struct Live {
    /// Numbers of the process.
    pub registry: Arc<Registry>,
    /// Who is connected.
    pub doors: Doors,
    /// What the names of the config stand for.
    pub names: Names,
    began: Instant,
    servers: Mutex<HashMap<(String, Place), Arc<Server>>>,
}

impl Live {
    /// Live state with nothing in it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            registry: Registry::new(Code::WORDS),
            doors: Doors::default(),
            names: Names::default(),
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

    /// The server of that pool at that place: the same object as long as somebody holds it.
    #[must_use]
    pub fn server(&self, pool: &str, place: &Place) -> Arc<Server> {
        let mut servers = self.held();
        let key = (pool.to_owned(), place.clone());
        let server = servers
            .entry(key)
            .or_insert_with(|| Arc::new(Server::new(pool, place, &self.registry)));
        // It may be back before the last of its old exchanges has ended.
        server.enlist();
        Arc::clone(server)
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

    /// Forgets servers that nobody holds any more.
    pub fn release(&self) {
        self.held()
            .retain(|_, server| Arc::strong_count(server) > 1);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(String, Place), Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
