//! The only spawn on the data plane: counts connections and contains panics.

use std::rc::Rc;

use croupier_telemetry::{Counter, Gauge, Level, event};

use super::Worker;
use crate::live::Door;

/// A connection's place at the table: counted for as long as its task lives.
#[derive(Debug)]
pub(crate) struct Seat {
    worker: Rc<Worker>,
    _door: Door,
}

impl Seat {
    pub(crate) fn take(worker: &Rc<Worker>, door: Door) -> Self {
        worker.connections.set(worker.connections.get() + 1);
        worker.cells.gauge(Gauge::Connections, 1);
        worker.cells.add(Counter::Connections, 1);
        Self {
            worker: Rc::clone(worker),
            _door: door,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.worker
            .connections
            .set(self.worker.connections.get() - 1);
        self.worker.cells.gauge(Gauge::Connections, -1);
        if std::thread::panicking() {
            self.worker.cells.add(Counter::Panics, 1);
            event(
                Level::Error,
                "proxy.panic",
                &[("help", &"a bug; one connection was cut")],
            );
        }
    }
}

/// Runs the life of one connection, which holds its [`Seat`]. A panic in it ends this
/// connection and nothing else.
pub(crate) fn connection(life: impl Future<Output = ()> + 'static) {
    // The handle is not needed: the task ends itself, and drops what it borrowed.
    drop(tokio::task::spawn_local(life));
}
