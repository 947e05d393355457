//! The only spawn on the data plane: counts tasks and contains panics.

use std::rc::Rc;

use croupier_telemetry::{Counter, Gauge, Level, event};

use super::Worker;

/// Counts a connection for as long as its task lives.
struct Counted {
    worker: Rc<Worker>,
}

impl Drop for Counted {
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

/// Runs the life of one connection. A panic in it ends this connection and nothing else.
pub(crate) fn connection(worker: &Rc<Worker>, life: impl Future<Output = ()> + 'static) {
    worker.connections.set(worker.connections.get() + 1);
    worker.cells.gauge(Gauge::Connections, 1);
    worker.cells.add(Counter::Connections, 1);
    let counted = Counted {
        worker: Rc::clone(worker),
    };
    // The handle is not needed: the task ends itself, and drops what it borrowed.
    drop(tokio::task::spawn_local(async move {
        let _counted = counted;
        life.await;
    }));
}
