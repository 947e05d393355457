//! Idle origin connections of one worker.
//!
//! Kept for a short time only, below what common servers allow, so that we are the one who
//! closes. Last in, first out: the warmest connection is used, the coldest ages out.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use croupier_net::{Local, origin::OriginConn, timers::Tick};
use croupier_telemetry::{ServerGauge, WorkerCells};

use crate::live::Server;

/// One server's idle connections.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "the boxes move, not the connections")]
struct Shelf {
    server: Arc<Server>,
    /// Boxed: they are handed to and fro.
    connections: Vec<Box<OriginConn>>,
}

/// A worker's idle connections, by server identity.
#[derive(Debug)]
pub(crate) struct Idle {
    /// This core's buffers and clock.
    pub(super) local: Rc<Local>,
    /// This core's numbers.
    pub(super) cells: Rc<WorkerCells>,
    shelves: RefCell<HashMap<usize, Shelf, foldhash::fast::FixedState>>,
}

/// How sure one must be that a connection still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// The request can be repeated.
    Usual,
    /// It could not: ask the kernel before.
    Special,
}

fn identity(server: &Arc<Server>) -> usize {
    Arc::as_ptr(server).addr()
}

impl Idle {
    pub(crate) fn new(local: &Rc<Local>, cells: &Rc<WorkerCells>) -> Rc<Self> {
        Rc::new(Self {
            local: Rc::clone(local),
            cells: Rc::clone(cells),
            shelves: RefCell::default(),
        })
    }

    /// A connection that is still as we left it and was laid to rest after `since`.
    pub(crate) fn take(
        &self,
        server: &Arc<Server>,
        since: Tick,
        care: Care,
    ) -> Option<Box<OriginConn>> {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.get_mut(&identity(server))?;
        while let Some(connection) = shelf.connections.pop() {
            self.cells.server_gauge(server.slot, ServerGauge::Idle, -1);
            let quiet = match care {
                Care::Usual => connection.is_quiet(),
                Care::Special => connection.wire.is_surely_quiet(),
            };
            if quiet && connection.idle_since() >= since {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for later, unless `kept_max` are kept already.
    pub(crate) fn keep(
        &self,
        server: &Arc<Server>,
        mut connection: Box<OriginConn>,
        kept_max: usize,
    ) {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.entry(identity(server)).or_insert_with(|| Shelf {
            server: Arc::clone(server),
            connections: Vec::new(),
        });
        if shelf.connections.len() < kept_max && !server.is_retired() {
            connection.rest(self.local.timers.now());
            shelf.connections.push(connection);
            self.cells.server_gauge(server.slot, ServerGauge::Idle, 1);
        }
    }

    /// Closes what rests since before `since`, is no longer quiet, or belongs to a server that
    /// no plan in force has.
    pub(crate) fn sweep(&self, since: Tick) {
        self.shelves.borrow_mut().retain(|_, shelf| {
            let before = shelf.connections.len();
            let is_kept = !shelf.server.is_retired();
            shelf.connections.retain(|connection| {
                is_kept && connection.idle_since() >= since && connection.is_quiet()
            });
            let closed = before - shelf.connections.len();
            self.cells.server_gauge(
                shelf.server.slot,
                ServerGauge::Idle,
                -i64::try_from(closed).unwrap_or(i64::MAX),
            );
            !shelf.connections.is_empty()
        });
    }

    /// Closes all connections to a server that was put aside.
    pub(crate) fn forget(&self, server: &Arc<Server>) {
        if let Some(shelf) = self.shelves.borrow_mut().remove(&identity(server)) {
            let closed = i64::try_from(shelf.connections.len()).unwrap_or(i64::MAX);
            self.cells
                .server_gauge(server.slot, ServerGauge::Idle, -closed);
        }
    }
}
