//! Room that other workers wait for. Where a server's connections are limited and can not be handed
//! over (they are secured, or shared), a worker that has more than its part closes one.

use std::sync::{Arc, atomic::Ordering};

use super::{Idle, Shelf, identity};
use crate::live::Server;

/// Somebody waits until there is room for one more connection.
#[derive(Debug)]
pub(crate) struct Seeking<'a> {
    idle: &'a Idle,
    server: &'a Arc<Server>,
}

impl<'a> Seeking<'a> {
    /// `max`: connections that the server may have.
    pub(crate) fn begin(idle: &'a Idle, server: &'a Arc<Server>, max: u32) -> Self {
        server.sought(max);
        let mut seeking = idle.seeking.borrow_mut();
        *seeking.entry(identity(server)).or_default() += 1;
        Self { idle, server }
    }
}

impl Drop for Seeking<'_> {
    fn drop(&mut self) {
        self.server.found();
        let mut seeking = self.idle.seeking.borrow_mut();
        if let Some(count) = seeking.get_mut(&identity(self.server)) {
            *count -= 1;
            if *count == 0 {
                seeking.remove(&identity(self.server));
            }
        }
    }
}

impl Idle {
    /// Does another worker wait for room at this server?
    pub(super) fn is_sought(&self, server: &Arc<Server>) -> bool {
        let all = server.seekers();
        if all == 0 {
            return false;
        }
        let own = self.seeking.borrow().get(&identity(server)).copied();
        all > own.unwrap_or(0)
    }

    /// Closes one connection if another worker waits for room: one that nobody uses, else of those
    /// that several use the youngest, which ends with its exchanges, if there are more than this
    /// worker's part. Once a tick: whoever waits may take it meanwhile.
    pub(super) fn make_room(&self, shelf: &mut Shelf) {
        if !self.is_sought(&shelf.server) {
            return;
        }
        if !shelf.connections.is_empty() {
            shelf.connections.remove(0);
            self.count(&shelf.server, -1);
            return;
        }
        let workers = self.live.workers.load(Ordering::Relaxed).max(1);
        let part = shelf.server.connections_max() as usize / workers;
        let of_nobody = shelf.shared.iter().position(|(_, shared)| shared.is_idle());
        let closed = match of_nobody {
            None if shelf.shared.len() > part => shelf.shared.len().checked_sub(1),
            found => found,
        };
        if let Some(index) = closed {
            // The last handle gone, it says goodbye.
            shelf.shared.remove(index);
        }
    }
}
