//! Active checks: each server of a pool that asks for it is asked whether it works.
//!
//! One task for each server, on the control thread; `clock` says when, `prober` asks, `spoken` those
//! that speak more than plain HTTP/1, `answer` judges. What comes of it goes to the pool ([`LivePool::checked`]); nothing here decides
//! about a server. A reload keeps the tasks of servers whose check did not change.

mod answer;
mod clock;
mod prober;
mod spoken;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Weak},
    time::Duration,
};

use croupier_net::Local;
use croupier_proxy::{
    Live, Plan,
    live::{LivePool, Server, health::Pace, policy::CheckPolicy},
};
use tokio::{sync::Semaphore, task::JoinHandle, time::sleep};

use clock::CheckClock;
use prober::Spoken;

/// Checks at once, over all pools: they must not be what exhausts our descriptors.
const AT_ONCE: usize = 64;
/// How often pools are told that time goes on.
const TICK: Duration = Duration::from_millis(100);

/// The checks that are running.
#[derive(Debug)]
pub(crate) struct Checks {
    live: Arc<Live>,
    tasks: HashMap<Key, Task>,
    slots: Rc<Semaphore>,
    /// Buffers and such of the data plane's client.
    local: Rc<Local>,
    ticking: JoinHandle<()>,
}

/// A pool's and a server's name.
type Key = (String, String);

/// A running check; dropping it ends it.
#[derive(Debug)]
struct Task {
    server: Weak<Server>,
    policy: Arc<CheckPolicy>,
    spoken: Spoken,
    running: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

impl Checks {
    /// Starts what a plan asks for, and lets time go on for its pools.
    pub(crate) fn start(live: &Arc<Live>, plan: &Plan) -> Self {
        let mut this = Self {
            live: Arc::clone(live),
            tasks: HashMap::new(),
            slots: Rc::new(Semaphore::new(AT_ONCE)),
            local: Rc::default(),
            ticking: tokio::task::spawn_local(tick(Arc::downgrade(live))),
        };
        this.adopt(plan);
        this
    }

    /// Another plan is in force: the checks that it asks for, and no others. Those that did
    /// not change go on undisturbed.
    pub(crate) fn adopt(&mut self, plan: &Plan) {
        let mut before = std::mem::take(&mut self.tasks);
        let mut new = Vec::new();
        for pool in &plan.pools {
            let Some(policy) = &pool.check else { continue };
            let spoken = Spoken::of(pool);
            for croupier_proxy::plan::ServerPlan { server, .. } in &pool.servers {
                let key = (pool.name.clone(), server.name.clone());
                match before.remove(&key) {
                    Some(task) if task.is_of(server, policy, &spoken) => {
                        self.tasks.insert(key, task);
                    }
                    _ => new.push((key, &pool.live, server, (policy, spoken.clone()))),
                }
            }
        }
        let count = new.len();
        for (index, (key, pool, server, (policy, spoken))) in new.into_iter().enumerate() {
            let check = Check {
                live: Arc::downgrade(&self.live),
                pool: Arc::downgrade(pool),
                server: Arc::downgrade(server),
                policy: Arc::clone(policy),
                spoken: spoken.clone(),
                local: Rc::clone(&self.local),
                slots: Rc::clone(&self.slots),
            };
            let first = CheckClock::new(policy).first(index, count);
            let task = Task {
                server: Arc::downgrade(server),
                policy: Arc::clone(policy),
                spoken,
                running: tokio::task::spawn_local(check.run(first)),
            };
            self.tasks.insert(key, task);
        }
    }
}

impl Task {
    fn is_of(&self, server: &Arc<Server>, policy: &CheckPolicy, spoken: &Spoken) -> bool {
        std::ptr::eq(self.server.as_ptr(), Arc::as_ptr(server))
            && *self.policy == *policy
            && self.spoken.is(spoken)
    }
}

/// What a task knows. Weak, so that a server that no plan holds can be forgotten.
struct Check {
    live: Weak<Live>,
    pool: Weak<LivePool>,
    server: Weak<Server>,
    policy: Arc<CheckPolicy>,
    spoken: Spoken,
    slots: Rc<Semaphore>,
    local: Rc<Local>,
}

impl Check {
    async fn run(self, first: Duration) {
        let clock = CheckClock::new(&self.policy);
        let mut wait = first;
        loop {
            sleep(wait).await;
            let Some(pace) = self.once().await else {
                return;
            };
            wait = clock.next(pace, fastrand::u32(..));
        }
    }

    /// One check. None when there is nobody left to check.
    async fn once(&self) -> Option<Pace> {
        let _slot = self.slots.acquire().await.ok()?;
        let question = {
            let server = self.server.upgrade()?;
            prober::Question::new(&server, &self.policy, &self.spoken)
        };
        let answer = prober::ask(&question, &self.policy, &self.local).await;
        let (live, pool, server) = (
            self.live.upgrade()?,
            self.pool.upgrade()?,
            self.server.upgrade()?,
        );
        Some(match answer {
            Some(result) => pool.checked(&server, result, live.now_ms()),
            None => Pace::Steady,
        })
    }
}

async fn tick(live: Weak<Live>) {
    loop {
        sleep(TICK).await;
        let Some(live) = live.upgrade() else { return };
        let now = live.now_ms();
        for pool in live.pools() {
            pool.tick(now);
        }
    }
}
