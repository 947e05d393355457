//! Idle origin connections of one worker, and its share in those that belong to nobody.
//!
//! ```text
//!  Busy --keep--> on this worker's shelf --not needed for two ticks--> spare --take, by anyone--> Busy
//! ```
//!
//! Where connections are limited ([`Next::Anyone`]) one that rests is a spare at once: a worker
//! that may not dial can have any that nobody uses.
//!
//! Kept for a short time only, below what common servers allow, so that we are the one who
//! closes. Last in, first out: the warmest connection is used, the coldest becomes a spare
//! ([`crate::live::Spares`] says why) or ages out. A worker alone has no spares.
//!
//! Connections that carry several exchanges are kept too, busy or not, and never change their
//! worker; nor does any connection but a plain one. Nobody gets one that was made in another
//! [`Manner`] than his own. What can not change its worker is closed where connections are limited
//! and another worker waits ([`sought`]).

mod sought;
#[cfg(test)]
pub(super) mod tests;

pub(super) use sought::Seeking;

use std::{
    cell::RefCell,
    collections::HashMap,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use croupier_net::{
    Local,
    origin::{Manner, OriginConn, OriginStream, h2::Shared},
    timers::Tick,
};
use croupier_telemetry::{Counter, Gauge, ServerGauge, WorkerCells};

use super::dial::Dials;
use crate::live::{Giver, Live, Server};

/// A connection that rests since this many ticks or longer is one its worker can do without:
/// at least one whole tick has passed.
const UNNEEDED_TICKS: Tick = 2;

/// One server's idle connections.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "the boxes move, not the connections")]
struct Shelf {
    /// Held while there are spares too: whoever gave some sees to it that they are swept.
    server: Arc<Server>,
    /// By the time they were laid to rest. Boxed: they are handed to and fro.
    connections: Vec<Box<OriginConn>>,
    /// Those that carry several exchanges, with their manners; the oldest first.
    shared: Vec<(u32, Rc<Shared>)>,
    /// The last connection that might have carried several, in this manner, could not.
    carries_one: Option<u32>,
    /// Counts what was given away of them.
    giver: Giver,
}

/// A worker's idle connections, by server identity.
#[derive(Debug)]
pub(crate) struct Idle {
    /// This core's buffers and clock.
    pub(super) local: Rc<Local>,
    /// This core's numbers.
    pub(super) cells: Rc<WorkerCells>,
    live: Arc<Live>,
    shelves: RefCell<HashMap<usize, Shelf, foldhash::fast::FixedState>>,
    /// How many wait for room for one more connection, by server identity.
    seeking: RefCell<HashMap<usize, u32, foldhash::fast::FixedState>>,
    /// Connections under way that several will share.
    pub(super) dials: Dials,
    /// Runs what must go on whatever becomes of the exchange that began it.
    pub(super) spawn: Spawn,
}

/// Runs a future as a task of this worker.
pub(crate) type Spawn = fn(Pin<Box<dyn Future<Output = ()>>>);

/// What kind of connection is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which<'a> {
    /// What is spoken on it.
    pub(crate) manner: &'a Arc<Manner>,
    /// It was laid to rest after this.
    pub(crate) since: Tick,
    pub(crate) care: Care,
    pub(crate) purpose: Purpose,
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A request and its answer.
    Exchange,
    /// A request to become a WebSocket: not every shared connection can.
    WebSocket,
}

/// How sure one must be that a connection still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// The request can be repeated.
    Usual,
    /// It could not: ask the kernel before.
    Special,
}

/// Who may use a connection that comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Its worker, while it needs it.
    Own,
    /// Any worker: the server's connections are limited.
    Anyone,
}

/// How a connection is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// So many for each worker and server, the spares that it gave among them.
    pub(crate) kept_max: usize,
    pub(crate) next: Next,
}

impl Keeping {
    /// At a server with at most `connections_max` connections; 0: no limit.
    pub(crate) fn of(kept_max: usize, connections_max: u32) -> Self {
        let next = if connections_max == 0 {
            Next::Own
        } else {
            Next::Anyone
        };
        Self { kept_max, next }
    }
}

fn identity(server: &Arc<Server>) -> usize {
    Arc::as_ptr(server).addr()
}

impl Idle {
    pub(crate) fn new(
        local: &Rc<Local>,
        cells: &Rc<WorkerCells>,
        live: &Arc<Live>,
        spawn: Spawn,
    ) -> Rc<Self> {
        Rc::new(Self {
            local: Rc::clone(local),
            cells: Rc::clone(cells),
            live: Arc::clone(live),
            shelves: RefCell::default(),
            seeking: RefCell::default(),
            dials: Dials::default(),
            spawn,
        })
    }

    /// A connection that is still as we left it: a place on a shared one, one of this worker's
    /// own, else a spare.
    pub(crate) fn take(&self, server: &Arc<Server>, which: Which<'_>) -> Option<OriginStream> {
        let manner = which.manner.id();
        if manner != Manner::PLAIN
            && let Some(stream) = self.take_shared(server, which)
        {
            return Some(stream);
        }
        let (connection, counter) = if let Some(own) = self.take_own(server, which) {
            (own, Counter::LeasesKept)
        } else if manner == Manner::PLAIN {
            (self.take_spare(server, which.since)?, Counter::LeasesSpare)
        } else {
            return None;
        };
        if !connection.is_new() {
            self.cells.add(counter, 1);
        }
        Some(OriginStream::H1(connection))
    }

    /// A place on the oldest shared connection that has one: so the others come to rest.
    fn take_shared(&self, server: &Arc<Server>, which: Which<'_>) -> Option<OriginStream> {
        let shelves = self.shelves.borrow();
        let shelf = shelves.get(&identity(server))?;
        let mut fitting = shelf.shared.iter().filter(|(manner, shared)| {
            *manner == which.manner.id()
                && (which.purpose == Purpose::Exchange || shared.takes_websockets())
        });
        let stream = fitting.find_map(|(_, shared)| shared.open())?;
        if !stream.is_new() {
            self.cells.add(Counter::LeasesKept, 1);
        }
        Some(OriginStream::H2(stream))
    }

    fn take_own(&self, server: &Arc<Server>, which: Which<'_>) -> Option<Box<OriginConn>> {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.get_mut(&identity(server))?;
        while let Some(connection) = shelf.connections.pop() {
            self.count(server, -1);
            let quiet = match which.care {
                Care::Usual => connection.is_quiet(),
                Care::Special => connection.is_surely_quiet(),
            };
            if quiet
                && connection.idle_since() >= which.since
                && connection.manner() == which.manner.id()
            {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection that several may use from now on.
    pub(super) fn share(&self, server: &Arc<Server>, manner: &Manner, shared: Rc<Shared>) {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelf(&mut shelves, server);
        shelf.carries_one = None;
        shelf.shared.push((manner.id(), shared));
    }

    /// Notes that this server chose to speak HTTP/1.
    pub(super) fn carries_one(&self, server: &Arc<Server>, manner: &Manner) {
        shelf(&mut self.shelves.borrow_mut(), server).carries_one = Some(manner.id());
    }

    /// May the next connection be shared, as far as the last one told?
    pub(super) fn may_share(&self, server: &Arc<Server>, manner: &Manner) -> bool {
        let shelves = self.shelves.borrow();
        let shelf = shelves.get(&identity(server));
        manner.may_share() && shelf.is_none_or(|shelf| shelf.carries_one != Some(manner.id()))
    }

    /// Can shared connections to this server become WebSockets? None: there is none.
    pub(super) fn takes_websockets(&self, server: &Arc<Server>, manner: &Manner) -> Option<bool> {
        let shelves = self.shelves.borrow();
        let shared = &shelves.get(&identity(server))?.shared;
        let same = shared.iter().filter(|(id, _)| *id == manner.id());
        same.map(|(_, shared)| shared.takes_websockets()).max()
    }

    /// How many exchanges a connection to this server carries, when there was one.
    pub(super) fn room_of(&self, server: &Arc<Server>, manner: &Manner) -> Option<usize> {
        let shelves = self.shelves.borrow();
        let shared = &shelves.get(&identity(server))?.shared;
        let mut same = shared.iter().rev().filter(|(id, _)| *id == manner.id());
        same.next().map(|(_, shared)| shared.room())
    }

    /// No runtime has watched a spare, so the kernel is asked whatever the care.
    fn take_spare(&self, server: &Arc<Server>, since: Tick) -> Option<Box<OriginConn>> {
        while let Some(spare) = server.spares.take() {
            self.count_spares(server, -1);
            if spare.idle_since() >= since
                && spare.is_quiet()
                && let Ok(connection) = OriginConn::from_spare(spare, &self.local)
            {
                return Some(Box::new(connection));
            }
        }
        None
    }

    /// Keeps a connection for later, unless enough are kept already.
    pub(crate) fn keep(
        &self,
        server: &Arc<Server>,
        mut connection: Box<OriginConn>,
        keeping: Keeping,
    ) {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelf(&mut shelves, server);
        let kept = shelf.connections.len() + shelf.giver.given();
        if kept >= keeping.kept_max || server.is_retired() {
            return;
        }
        let is_plain = connection.manner() == Manner::PLAIN;
        if !is_plain && keeping.next == Next::Anyone && self.is_sought(server) {
            return;
        }
        connection.rest(self.local.timers.now());
        let is_own = keeping.next == Next::Own || !is_plain;
        if is_own || self.is_alone() {
            shelf.connections.push(connection);
            self.count(server, 1);
        } else if let Some(spare) = connection.into_spare() {
            let given = server.spares.give(vec![spare], &shelf.giver);
            self.count_spares(server, number(given));
        }
    }

    /// Is there no other worker?
    fn is_alone(&self) -> bool {
        self.live.workers.load(Ordering::Relaxed) < 2
    }

    /// Closes what rests since before `since`, is no longer quiet, or belongs to a server that no
    /// plan in force has; gives away what this worker
    /// can do without, and forgets servers that only this shelf still knows.
    pub(crate) fn sweep(&self, since: Tick) {
        let now = self.local.timers.now();
        let is_draining = self.local.is_draining();
        let is_alone = self.is_alone();
        self.shelves.borrow_mut().retain(|_, shelf| {
            let before = shelf.connections.len();
            let is_retired = shelf.server.is_retired();
            shelf.connections.retain(|connection| {
                !is_retired && connection.idle_since() >= since && connection.is_quiet()
            });
            self.count(&shelf.server, -number(before - shelf.connections.len()));
            shelf.shared.retain(|(_, shared)| {
                let is_cold = shared.is_idle() && shared.idle_since() < since;
                !is_retired && !is_cold && !shared.is_ending()
            });
            let spares = &shelf.server.spares;
            if is_draining || is_retired {
                self.count_spares(&shelf.server, -number(spares.clear()));
            } else {
                self.count_spares(&shelf.server, -number(spares.sweep(now, since)));
                if !is_alone {
                    self.give(shelf, now);
                    self.make_room(shelf);
                }
            }
            !shelf.connections.is_empty()
                || !shelf.shared.is_empty()
                || !shelf.server.spares.is_empty()
        });
    }

    /// Gives away what this worker has not needed for two ticks, as far as there is room.
    fn give(&self, shelf: &mut Shelf, now: Tick) {
        let unneeded = shelf
            .connections
            .partition_point(|connection| connection.idle_since() + UNNEEDED_TICKS <= now);
        let unneeded = unneeded.min(shelf.server.spares.room());
        let is_plain = |connection: &OriginConn| connection.manner() == Manner::PLAIN;
        if unneeded == 0 || !is_plain(&shelf.connections[0]) {
            return;
        }
        let spares: Vec<_> = shelf
            .connections
            .drain(..unneeded)
            .filter_map(|connection| connection.into_spare())
            .collect();
        let given = number(shelf.server.spares.give(spares, &shelf.giver));
        self.count(&shelf.server, -number(unneeded));
        self.count_spares(&shelf.server, given);
    }

    /// Closes all connections to a server that was put aside.
    pub(crate) fn forget(&self, server: &Arc<Server>) {
        if let Some(shelf) = self.shelves.borrow_mut().remove(&identity(server)) {
            self.count(server, -number(shelf.connections.len()));
        }
        self.count_spares(server, -number(server.spares.clear()));
    }

    fn count(&self, server: &Arc<Server>, by: i64) {
        self.cells.server_gauge(server.slot, ServerGauge::Idle, by);
    }

    /// Spares are idle connections too. Who counts one up need not be who counts it down: only
    /// the sum over all workers means something.
    fn count_spares(&self, server: &Arc<Server>, by: i64) {
        self.count(server, by);
        self.cells.gauge(Gauge::SpareConnections, by);
    }
}

fn shelf<'a>(
    shelves: &'a mut HashMap<usize, Shelf, foldhash::fast::FixedState>,
    server: &Arc<Server>,
) -> &'a mut Shelf {
    shelves.entry(identity(server)).or_insert_with(|| Shelf {
        server: Arc::clone(server),
        connections: Vec::new(),
        shared: Vec::new(),
        carries_one: None,
        giver: Giver::default(),
    })
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
