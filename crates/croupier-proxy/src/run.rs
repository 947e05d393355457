//! A worker thread's body: runtime, commands, accept loops. Calls `life`.

use std::{cell::RefCell, collections::HashMap, io, rc::Rc, sync::Arc, thread, time::Duration};

use croupier_net::{
    client::ClientConn,
    dial::is_ours,
    listen::{Bound, Listener},
    timers::TICK,
};
use croupier_telemetry::{AccessLog, Counter, Level, event};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use crate::{
    life,
    live::{Door, Live, Refused},
    plan::Plan,
    worker::{
        Command, Handle, Worker,
        entrance::Entrance,
        spawn::{self, Seat},
    },
};

/// After a failed accept for want of descriptors: existing connections need the core more.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Starts worker `index`, pinned to `core` when the system allows it.
///
/// # Errors
/// When the thread or its runtime can not be made.
pub fn start(
    index: usize,
    core: Option<usize>,
    live: Arc<Live>,
    plan: Arc<Plan>,
    log: Option<AccessLog>,
) -> io::Result<(Handle, thread::JoinHandle<()>)> {
    let (handle, commands) = Handle::new();
    let thread = thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            if let Some(core) = core {
                pin(core);
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build_local(tokio::runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(run(&live, plan, log.as_ref(), commands)),
                Err(error) => event(Level::Error, "worker.runtime", &[("error", &error)]),
            }
        })?;
    Ok((handle, thread))
}

/// Best effort: in a container the core may not be ours.
fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Sockets this worker accepts from, by listener id.
type Sockets = RefCell<HashMap<usize, Open>>;

struct Open {
    listener: Rc<Listener>,
    /// What its connections know of it.
    entrance: Rc<Entrance>,
    accepting: JoinHandle<()>,
}

async fn run(
    live: &Arc<Live>,
    plan: Arc<Plan>,
    log: Option<&AccessLog>,
    mut commands: mpsc::Receiver<Command>,
) {
    let worker = Worker::new(live, plan, log);
    worker.tick();
    let ticking = {
        let worker = Rc::clone(&worker);
        tokio::task::spawn_local(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                interval.tick().await;
                worker.tick();
            }
        })
    };
    let sockets = Sockets::default();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Install {
                plan,
                listeners,
                done,
            } => {
                worker.install(plan);
                renumber(&sockets, &listeners);
                let _ = done.send(());
            }
            Command::Listen { id, socket } => open(&worker, &sockets, id, socket),
            Command::Unlisten { id } => {
                let open = sockets.borrow_mut().remove(&id);
                if let Some(open) = open {
                    close(&worker, open).await;
                }
            }
            Command::Drain { grace, done } => {
                // First, so that whoever is served from now on hears that this is the end.
                worker.local.drain();
                let all: Vec<_> = sockets.borrow_mut().drain().map(|(_, open)| open).collect();
                for open in all {
                    close(&worker, open).await;
                }
                let _ = done.send(drained(&worker, grace).await);
                break;
            }
        }
    }
    ticking.abort();
    worker.tick();
}

/// Waits until the last connection has ended, or the grace is over; gives how many are left.
async fn drained(worker: &Rc<Worker>, grace: Option<Duration>) -> usize {
    let began = tokio::time::Instant::now();
    while worker.connections.get() > 0 && grace.is_none_or(|grace| began.elapsed() < grace) {
        sleep(TICK / 4).await;
    }
    worker.connections.get()
}

/// Gives open sockets the ids that their listeners have in the new plan.
fn renumber(sockets: &Sockets, ids: &[(usize, usize)]) {
    let mut sockets = sockets.borrow_mut();
    let renumbered = ids.iter().filter_map(|(old, new)| {
        let open = sockets.remove(old)?;
        open.entrance.renumber(*new);
        Some((*new, open))
    });
    let renumbered: HashMap<_, _> = renumbered.collect();
    *sockets = renumbered;
}

fn open(worker: &Rc<Worker>, sockets: &Sockets, id: usize, socket: Bound) {
    match Listener::open(socket) {
        Ok(listener) => {
            let listener = Rc::new(listener);
            let entrance = Rc::new(Entrance::new(id));
            let accepting = tokio::task::spawn_local(accept(
                Rc::clone(worker),
                Rc::clone(&listener),
                Rc::clone(&entrance),
            ));
            sockets.borrow_mut().insert(
                id,
                Open {
                    listener,
                    entrance,
                    accepting,
                },
            );
        }
        Err(error) => event(Level::Error, "listener.open", &[("error", &error)]),
    }
}

/// Stops accepting, but takes in whoever waits in the queue already: closing the socket would
/// reset them.
async fn close(worker: &Rc<Worker>, open: Open) {
    open.accepting.abort();
    let waiting = tokio::time::timeout(Duration::from_millis(10), async {
        while let Ok(accepted) = open.listener.accept().await {
            welcome(worker, &open.entrance, accepted);
        }
    });
    let _ = waiting.await;
    open.entrance.close(worker);
}

async fn accept(worker: Rc<Worker>, listener: Rc<Listener>, entrance: Rc<Entrance>) {
    loop {
        match listener.accept().await {
            Ok(accepted) => welcome(&worker, &entrance, accepted),
            Err(error) => {
                worker.cells.add(Counter::AcceptErrors, 1);
                event(
                    Level::Warn,
                    "listener.accept",
                    &[
                        ("error", &error),
                        ("help", &"raise `LimitNOFILE` or lower `limits.connections`"),
                    ],
                );
                if is_ours(&error) {
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn welcome(
    worker: &Rc<Worker>,
    entrance: &Rc<Entrance>,
    accepted: (
        croupier_net::transport::Transport,
        croupier_net::address::Peer,
    ),
) {
    let installed = worker.installed();
    let limits = &installed.plan.limits;
    // Whoever comes through a proxy that names it is counted when that is known.
    let is_named_later = installed.plan.proxied.holds_peer(accepted.1.ip);
    let door = Door::enter(
        &worker.live,
        accepted.1.ip.filter(|_| !is_named_later),
        limits.connections,
        limits.connections_per_client,
    );
    match door {
        Ok(door) => {
            let (io, peer) = accepted;
            let conn = ClientConn::new(io, peer, &worker.local, &limits.client);
            let seat = Seat::take(worker, door);
            let life = life::connection(Rc::clone(worker), Rc::clone(entrance), conn, seat);
            spawn::connection(life);
        }
        Err(refused) => {
            let (counter, limit) = match refused {
                Refused::Total => (Counter::RefusedLimit, "limits.connections"),
                Refused::Client => (Counter::RefusedClientLimit, "limits.connections_per_client"),
            };
            worker.cells.add(counter, 1);
            event(Level::Warn, "listener.refused", &[("limit", &limit)]);
        }
    }
}
