//! What the names in the config stand for, kept true beside the traffic: one task a name asks,
//! by its TTL ([`schedule`]), and a change becomes a new plan. A name that does not resolve never
//! stops anything, and a failed or empty answer keeps what was known.
//!
//! [`ask`] looks up once, with the files of [`system`]; [`halves`] and [`srv`] put answers into
//! one order. Only this room knows the DNS library.

mod ask;
mod halves;
mod schedule;
mod srv;
mod system;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use croupier_config::Config;
use croupier_proxy::{
    Live,
    live::{Found, Name, NamedAddress},
};
use croupier_telemetry::{Level, event};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::{sleep, timeout},
};

use ask::{Answer, Asker};
use schedule::Schedule;

/// How long a start or reload waits for the first answers.
const FIRST_TIME: Duration = Duration::from_secs(2);
/// Look-ups at once; each asks two questions or more.
const LOOK_UPS_MAX: usize = 16;
/// Changes within this become one plan.
const GATHER_TIME: Duration = Duration::from_millis(50);

/// The names of the config in force, and their look-ups. Dropping it ends them.
pub(crate) struct Discovery {
    shared: Rc<Shared>,
    tasks: HashMap<Name, JoinHandle<()>>,
}

struct Shared {
    live: Arc<Live>,
    asker: RefCell<Rc<Asker>>,
    /// Who is told of a change: the pools that write the name.
    pools: RefCell<HashMap<Name, Vec<String>>>,
    room: Semaphore,
    /// A name has been looked up, whatever came of it.
    tried: Notify,
    /// What the plan in force does not know yet.
    changes: RefCell<Vec<Change>>,
    changed: Notify,
}

/// A name stands for something else now. Told when a plan that knows it is in force.
#[derive(Debug)]
struct Change {
    name: Name,
    pools: Vec<String>,
    added: String,
    removed: String,
}

/// Changes that a plan was built with.
#[derive(Debug)]
#[must_use = "tell them when the plan is in force"]
pub(crate) struct Changes(Vec<Change>);

impl Changes {
    /// The plan is in force.
    pub(crate) fn tell(self) {
        for change in &self.0 {
            for pool in &change.pools {
                event(
                    Level::Info,
                    "pool.name.changed",
                    &[
                        ("pool", pool),
                        ("name", &change.name),
                        ("added", &change.added),
                        ("removed", &change.removed),
                    ],
                );
            }
        }
    }
}

impl Discovery {
    /// Nothing to look up yet.
    pub(crate) fn new(live: &Arc<Live>) -> Self {
        Self {
            shared: Rc::new(Shared {
                live: Arc::clone(live),
                asker: RefCell::new(Asker::new(&[])),
                pools: RefCell::default(),
                room: Semaphore::new(LOOK_UPS_MAX),
                tried: Notify::new(),
                changes: RefCell::default(),
                changed: Notify::new(),
            }),
            tasks: HashMap::new(),
        }
    }

    /// From now on the names of this config are looked up, and no others. Waits a short time for
    /// the first answers to those that are new.
    pub(crate) async fn follow(&mut self, config: &Config) {
        let wanted = names_of(config);
        let servers: &[SocketAddr] = &config.server.resolver;
        if self.shared.asker.borrow().servers() != servers {
            *self.shared.asker.borrow_mut() = Asker::new(servers);
            // Others are asked now: at once, whatever the last ones said.
            self.end(|_| true);
        }
        self.end(|name| !wanted.contains_key(name));
        let names = &self.shared.live.names;
        names.retain(|name| wanted.contains_key(name));
        let mut new: Vec<Name> = wanted.keys().cloned().collect();
        new.retain(|name| names.get(name) == Found::default());
        *self.shared.pools.borrow_mut() = wanted.clone().into_iter().collect();
        for name in wanted.into_keys() {
            let shared = &self.shared;
            self.tasks
                .entry(name.clone())
                .or_insert_with(|| tokio::task::spawn_local(Rc::clone(shared).keep(name)));
        }
        let all_tried = async {
            loop {
                let tried = self.shared.tried.notified();
                let names = &self.shared.live.names;
                new.retain(|name| names.get(name) == Found::default());
                if new.is_empty() {
                    return;
                }
                tried.await;
            }
        };
        let _ = timeout(FIRST_TIME, all_tried).await;
    }

    fn end(&mut self, which: impl Fn(&Name) -> bool) {
        self.tasks.retain(|name, task| {
            let ends = which(name);
            if ends {
                task.abort();
            }
            !ends
        });
    }

    /// Waits until the plan in force is behind what was found.
    pub(crate) async fn changed(&self) {
        while self.shared.changes.borrow().is_empty() {
            self.shared.changed.notified().await;
        }
        sleep(GATHER_TIME).await;
    }

    /// The plan that is built next knows everything found so far: this.
    pub(crate) fn catch_up(&self) -> Changes {
        Changes(self.shared.changes.take())
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.end(|_| true);
    }
}

/// The names of a config, each with the pools that write it.
fn names_of(config: &Config) -> BTreeMap<Name, Vec<String>> {
    let mut names: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    for pool in &config.pools {
        for server in &pool.servers {
            if let Some(name) = Name::of(&server.address.value) {
                let pools = names.entry(name).or_default();
                if pools.last() != Some(&pool.name.value) {
                    pools.push(pool.name.value.clone());
                }
            }
        }
    }
    names
}

impl Shared {
    /// Looks a name up again and again.
    async fn keep(self: Rc<Self>, name: Name) {
        let mut schedule = Schedule::new(self.live.elapsed());
        loop {
            sleep(schedule.due().saturating_sub(self.live.elapsed())).await;
            let known = self.live.names.get(&name).addresses;
            let answer = {
                let Ok(_room) = self.room.acquire().await else {
                    return;
                };
                let asker = Rc::clone(&self.asker.borrow());
                asker.look_up(&name, &known).await
            };
            match answer {
                Ok(answer) => self.found(&name, answer, &mut schedule),
                Err(error) => self.failed(&name, &error, &mut schedule),
            }
            self.tried.notify_waiters();
        }
    }

    fn found(&self, name: &Name, answer: Answer, schedule: &mut Schedule) {
        let now = self.live.elapsed();
        let ttl = schedule.found(now, answer.ttl);
        let found = Found {
            addresses: answer.addresses.into(),
            found_at: Some(now),
            ttl,
            source: answer.source,
            last_error: None,
        };
        let all = Arc::clone(&found.addresses);
        let before = self.live.names.found(name, found);
        if before.addresses == all {
            return;
        }
        if let Some(count) = answer.cut_from {
            let kept = all.len();
            event(
                Level::Warn,
                "pool.name.cut",
                &[("name", name), ("records", &count), ("kept", &kept)],
            );
        }
        let pools = self.pools.borrow().get(name).cloned();
        self.changes.borrow_mut().push(Change {
            name: name.clone(),
            pools: pools.unwrap_or_default(),
            added: without(&all, &before.addresses),
            removed: without(&before.addresses, &all),
        });
        self.changed.notify_one();
    }

    fn failed(&self, name: &Name, error: &str, schedule: &mut Schedule) {
        let pause = schedule.failed(self.live.elapsed());
        self.live.names.failed(name, error);
        let kept = self.live.names.get(name).addresses.len();
        let pools = self.pools.borrow();
        for pool in pools.get(name).map(Vec::as_slice).unwrap_or_default() {
            event(
                Level::Warn,
                "pool.name.unresolved",
                &[
                    ("pool", pool),
                    ("name", name),
                    ("error", &error),
                    ("kept", &kept),
                    ("retry_ms", &pause.as_millis()),
                ],
            );
        }
    }
}

/// Addresses of `all` that are not in `others`, by commas; a changed weight or tier is told as
/// the address going and coming.
fn without(all: &[NamedAddress], others: &[NamedAddress]) -> String {
    let gone: Vec<String> = all
        .iter()
        .filter(|one| !others.contains(one))
        .map(ToString::to_string)
        .collect();
    gone.join(",")
}
