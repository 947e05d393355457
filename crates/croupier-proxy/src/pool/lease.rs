//! A borrowed origin connection. Dropping it gives it back: to the shelf when both messages
//! ended cleanly, else it closes.

use std::{rc::Rc, sync::Arc};

use croupier_net::origin::OriginConn;
use croupier_telemetry::ServerGauge;

use crate::{live::Server, worker::Worker};

/// A borrowed connection to a server.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<Box<OriginConn>>,
    server: Arc<Server>,
    worker: Rc<Worker>,
    idle_kept: usize,
}

impl Lease {
    pub(crate) fn new(
        connection: Box<OriginConn>,
        server: &Arc<Server>,
        worker: &Rc<Worker>,
        idle_kept: usize,
    ) -> Self {
        worker.cells.server_gauge(server.slot, ServerGauge::Busy, 1);
        Self {
            connection: Some(connection),
            server: Arc::clone(server),
            worker: Rc::clone(worker),
            idle_kept,
        }
    }

    /// The connection.
    #[expect(clippy::expect_used, reason = "it is taken by drop only")]
    pub(crate) fn connection(&mut self) -> &mut OriginConn {
        self.connection
            .as_mut()
            .expect("a lease holds its connection until it is dropped")
    }

    /// Whose connection it is.
    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.worker
            .cells
            .server_gauge(self.server.slot, ServerGauge::Busy, -1);
        if let Some(connection) = self.connection.take()
            && connection.is_reusable()
            && !self.worker.local.is_draining()
        {
            let now = self.worker.local.timers.now();
            let kept = (now, self.idle_kept);
            self.worker
                .idle
                .keep(&self.server, connection, kept, &self.worker.cells);
        }
    }
}
