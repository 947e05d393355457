//! A borrowed origin connection. Dropping it gives it back: to the shelf when both messages
//! ended cleanly, else it closes.

use std::{rc::Rc, sync::Arc};

use croupier_net::origin::OriginConn;
use croupier_telemetry::{Counter, ServerGauge};

use super::idle::Idle;
use crate::live::Server;

/// A borrowed connection to a server.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<Box<OriginConn>>,
    server: Arc<Server>,
    idle: Rc<Idle>,
    idle_kept: usize,
}

impl Lease {
    pub(crate) fn new(
        connection: Box<OriginConn>,
        server: &Arc<Server>,
        idle: &Rc<Idle>,
        idle_kept: usize,
    ) -> Self {
        idle.cells.server_gauge(server.slot, ServerGauge::Busy, 1);
        // What was at hand is counted by whoever took it from there.
        if connection.is_new() {
            idle.cells.add(Counter::LeasesDialled, 1);
        }
        Self {
            connection: Some(connection),
            server: Arc::clone(server),
            idle: Rc::clone(idle),
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
        self.idle
            .cells
            .server_gauge(self.server.slot, ServerGauge::Busy, -1);
        if let Some(connection) = self.connection.take()
            && connection.is_reusable()
            && !self.idle.local.is_draining()
        {
            self.idle.keep(&self.server, connection, self.idle_kept);
        }
    }
}
