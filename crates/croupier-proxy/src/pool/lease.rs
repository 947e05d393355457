//! A borrowed origin connection. Dropping it gives it back: to the shelf when both messages
//! ended cleanly, else it closes. A place on a shared one is free again either way.

use std::rc::Rc;

use croupier_net::origin::OriginStream;
use croupier_telemetry::{Counter, ServerGauge};

use super::idle::{Idle, Keeping};
use crate::live::{Busy, Server};

/// A borrowed connection to a server, and a place among its requests.
#[derive(Debug)]
pub(crate) struct Lease {
    held: Option<(OriginStream, Busy)>,
    idle: Rc<Idle>,
    keeping: Keeping,
}

impl Lease {
    pub(crate) fn new(
        connection: OriginStream,
        busy: Busy,
        idle: &Rc<Idle>,
        keeping: Keeping,
    ) -> Self {
        idle.cells
            .server_gauge(busy.server().slot, ServerGauge::Busy, 1);
        // What was at hand is counted by whoever took it from there.
        if connection.is_new() {
            idle.cells.add(Counter::LeasesDialled, 1);
        }
        Self {
            held: Some((connection, busy)),
            idle: Rc::clone(idle),
            keeping,
        }
    }

    #[expect(clippy::expect_used, reason = "it is taken by drop and `give_up` only")]
    fn held(&mut self) -> &mut (OriginStream, Busy) {
        self.held
            .as_mut()
            .expect("a lease holds its connection until it is dropped")
    }

    /// The connection.
    pub(crate) fn connection(&mut self) -> &mut OriginStream {
        &mut self.held().0
    }

    /// The place among the server's requests.
    pub(crate) fn busy(&mut self) -> &mut Busy {
        &mut self.held().1
    }

    /// Closes the connection; the place is still held.
    #[expect(clippy::expect_used, reason = "see `held`")]
    pub(crate) fn give_up(mut self) -> Busy {
        let (connection, busy) = self.held.take().expect("nobody took it");
        drop(connection);
        self.count_out(busy.server());
        busy
    }

    fn count_out(&self, server: &Server) {
        self.idle
            .cells
            .server_gauge(server.slot, ServerGauge::Busy, -1);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some((connection, busy)) = self.held.take() else {
            return;
        };
        self.count_out(busy.server());
        if !self.idle.local.is_draining()
            && let Some(connection) = connection.into_reusable()
        {
            self.idle.keep(busy.server(), connection, self.keeping);
        }
    }
}
