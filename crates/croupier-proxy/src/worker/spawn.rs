//! The only spawn on the data plane: counts connections and contains panics.

use std::{net::IpAddr, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use croupier_net::timers::{NEVER, ticks};
use croupier_telemetry::{Counter, Gauge, Level, event};

use super::Worker;
use crate::{
    live::{Busy, Door, Refused},
    plan::{PoolPlan, Times},
    pool::{
        idle::Keeping,
        mirror::{self, Place, RequestCopy, Terms},
    },
};

/// How long a copy may take where the config sets no time: it holds memory and nobody waits for it.
const MIRROR_TIME: Duration = Duration::from_secs(30);

/// A connection's place at the table: counted for as long as its task lives.
#[derive(Debug)]
pub(crate) struct Seat {
    worker: Rc<Worker>,
    door: Door,
}

impl Seat {
    pub(crate) fn take(worker: &Rc<Worker>, door: Door) -> Self {
        worker.connections.set(worker.connections.get() + 1);
        worker.cells.gauge(Gauge::Connections, 1);
        worker.cells.add(Counter::Connections, 1);
        Self {
            worker: Rc::clone(worker),
            door,
        }
    }
}

impl Seat {
    /// Its client is known now: it came through a proxy that names it.
    ///
    /// # Errors
    /// When that client has too many connections.
    pub(crate) fn identify(&mut self, client: IpAddr, client_max: usize) -> Result<(), Refused> {
        self.door.identify(client, client_max)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.worker
            .connections
            .set(self.worker.connections.get() - 1);
        self.worker.cells.gauge(Gauge::Connections, -1);
        count_panic(&self.worker, "a bug; one connection was cut");
    }
}

/// For the `Drop` of what a task holds.
fn count_panic(worker: &Worker, help: &str) {
    if std::thread::panicking() {
        worker.cells.add(Counter::Panics, 1);
        event(Level::Error, "proxy.panic", &[("help", &help)]);
    }
}

/// A copy's place beside the table.
#[derive(Debug)]
struct Beside {
    worker: Rc<Worker>,
    _place: Place,
}

impl Drop for Beside {
    fn drop(&mut self) {
        count_panic(&self.worker, "a bug; a copy of a request was lost");
    }
}

/// Runs the life of one connection, which holds its [`Seat`]. A panic in it ends this
/// connection and nothing else.
pub(crate) fn connection(life: impl Future<Output = ()> + 'static) {
    // The handle is not needed: the task ends itself, and drops what it borrowed.
    drop(tokio::task::spawn_local(life));
}

/// Runs one exchange of a connection that carries many. A panic in it ends this exchange and
/// nothing else.
pub(crate) fn exchange(exchange: impl Future<Output = ()> + 'static) {
    // The handle is not needed: when the connection ends, so does what it carries.
    drop(tokio::task::spawn_local(exchange));
}

/// Runs an exchange that no client waits for: an answer on its way into the cache. The worker does
/// not end before it, as with a connection: whoever reads along gets the whole.
pub(crate) fn unattended(worker: &Rc<Worker>, exchange: impl Future<Output = ()> + 'static) {
    worker.connections.set(worker.connections.get() + 1);
    let held = Held(Rc::clone(worker));
    // The handle is not needed: the task ends itself.
    drop(tokio::task::spawn_local(async move {
        exchange.await;
        drop(held);
    }));
}

/// Keeps a worker from ending.
#[derive(Debug)]
struct Held(Rc<Worker>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
        count_panic(
            &self.0,
            "a bug; an answer on its way into the cache was lost",
        );
    }
}

/// Runs what makes or drives a connection to a server: several exchanges may depend on it, and none
/// of them waits for its end.
pub(crate) fn driver(driver: Pin<Box<dyn Future<Output = ()>>>) {
    drop(tokio::task::spawn_local(driver));
}

/// Sends a copy of a request to a server of a shadow pool and forgets its answer. When too many
/// copies are under way, or the worker drains, it is not sent. Nobody hears of what becomes of it.
pub(crate) fn mirror(
    worker: &Rc<Worker>,
    pool: &PoolPlan,
    busy: Busy,
    copy: RequestCopy,
    times: &Times,
) {
    let place = worker.mirror.place();
    let Some(place) = place.filter(|_| !worker.local.is_draining()) else {
        worker.cells.add(Counter::MirrorDropped, 1);
        return;
    };
    let limits = &worker.installed.borrow().plan.limits;
    let rests_max = limits.origin_idle.map_or(NEVER, ticks);
    let mut servers = pool.servers.iter();
    let server = servers.find(|plan| Arc::ptr_eq(&plan.server, busy.server()));
    let connections_max = server.map_or(0, |plan| plan.connections_max);
    let terms = Terms {
        manner: Arc::clone(&pool.manner),
        connect: times.connect.unwrap_or(MIRROR_TIME),
        response: times.response_head.unwrap_or(MIRROR_TIME),
        limits: limits.origin,
        interim_max: limits.interim_responses,
        idle_since: worker.local.timers.now().saturating_sub(rests_max),
        keeping: Keeping::of(pool.idle_kept, connections_max),
        connections_max,
    };
    let beside = Beside {
        worker: Rc::clone(worker),
        _place: place,
    };
    let sending = mirror::run(Rc::clone(&worker.idle), busy, copy, terms);
    // The handle is not needed: the task ends itself.
    drop(tokio::task::spawn_local(async move {
        sending.await;
        drop(beside);
    }));
}
