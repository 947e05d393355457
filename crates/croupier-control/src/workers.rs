//! The worker threads: started once, told what changes.

use std::{sync::Arc, thread};

use croupier_config::Config;
use croupier_proxy::{
    Live, Plan, run,
    worker::{Command, Handle},
};
use croupier_telemetry::AccessLog;
use tokio::sync::oneshot;

use crate::{
    boot::BootError,
    listeners::{Change, NewSockets},
};

/// All workers.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<Handle>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Workers {
    /// One for each core that we may use, unless the config says otherwise.
    pub(crate) fn count(config: &Config) -> usize {
        config
            .server
            .workers
            .map_or_else(|| cores().len().max(1), std::num::NonZero::get)
    }

    /// Starts `count` workers; each gets a core of its own while there are enough.
    pub(crate) fn start(
        count: usize,
        live: &Arc<Live>,
        plan: &Arc<Plan>,
        log: Option<&AccessLog>,
    ) -> Result<Self, BootError> {
        let cores = cores();
        let mut this = Self {
            handles: Vec::new(),
            threads: Vec::new(),
        };
        for index in 0..count {
            let core = (count <= cores.len()).then(|| cores[index]);
            let (live, plan) = (Arc::clone(live), Arc::clone(plan));
            let (handle, thread) =
                run::start(index, core, live, plan, log.cloned()).map_err(|error| {
                    BootError::System {
                        what: "cannot start a worker".into(),
                        error,
                        help: "lower `server.workers`, or raise the limit of threads",
                    }
                })?;
            this.handles.push(handle);
            this.threads.push(thread);
        }
        Ok(this)
    }

    /// Number of workers.
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Hands each worker its socket of every new listener.
    pub(crate) async fn listen(&self, sockets: NewSockets) {
        for (id, sockets) in sockets {
            for (handle, socket) in self.handles.iter().zip(sockets) {
                handle.tell(Command::Listen { id, socket }).await;
            }
        }
    }

    /// Gives every worker the new plan and waits until all have it.
    pub(crate) async fn install(&self, plan: &Arc<Plan>, change: &mut Change) {
        // Before the ids change: those that go have none in the new plan.
        for gone in &change.gone {
            for handle in &self.handles {
                handle.tell(Command::Unlisten { id: *gone }).await;
            }
        }
        let mut waiting = Vec::new();
        for handle in &self.handles {
            let (done, wait) = oneshot::channel();
            let (plan, listeners) = (Arc::clone(plan), change.kept.clone());
            handle
                .tell(Command::Install {
                    plan,
                    listeners,
                    done,
                })
                .await;
            waiting.push(wait);
        }
        for wait in waiting {
            let _ = wait.await;
        }
        self.listen(std::mem::take(&mut change.new)).await;
    }

    /// Lets every worker end; gives how many connections were cut.
    pub(crate) async fn drain(&self, grace: Option<std::time::Duration>) -> usize {
        let mut waiting = Vec::new();
        for handle in &self.handles {
            let (done, wait) = oneshot::channel();
            handle.tell(Command::Drain { grace, done }).await;
            waiting.push(wait);
        }
        let mut cut = 0;
        for wait in waiting {
            cut += wait.await.unwrap_or(0);
        }
        cut
    }

    /// Waits for the threads to end.
    pub(crate) fn join(self) {
        drop(self.handles);
        for thread in self.threads {
            // A worker that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The cores this process may run on.
fn cores() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU)
            .filter(|core| set.is_set(*core))
            .collect(),
        Err(_) => (0..thread::available_parallelism().map_or(1, std::num::NonZero::get)).collect(),
    }
}
