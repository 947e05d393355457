//! Requests that wait for a server, in order: by priority, then first come, first served.
//!
//! Sans-IO: [`Line`] holds tickets and what to wake (`W`), and hands out what is to be woken.
//! The rule that nobody is forgotten: whoever is called either is served and calls the next, or
//! goes back to its place, or leaves and passes the call on.
//!
//! ```text
//!   enqueue -> called <----- wake_next ----- waiting --- its time is over ---> expired
//!                |  |                           ^
//!                |  +-- back, nothing was free -+
//!                +-- leave: served, or gone
//! ```

use std::collections::BTreeMap;

/// A place in the line: lower priority numbers first, then the order of coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    priority: u8,
    number: u64,
}

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Waits to be called.
    Waiting,
    /// It is its turn to try.
    Called,
    /// It waited too long, and is no longer in the line.
    Expired,
}

#[derive(Debug)]
struct Waiter<W> {
    deadline: u64,
    /// The number of calls made when it was called last.
    heard: u64,
    standing: Standing,
    wake: Option<W>,
}

/// Who waits.
#[derive(Debug)]
pub struct Line<W> {
    waiters: BTreeMap<Ticket, Waiter<W>>,
    next: u64,
    /// Calls made, whether or not somebody heard them.
    calls: u64,
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self {
            waiters: BTreeMap::new(),
            next: 0,
            calls: 0,
        }
    }
}

impl<W> Line<W> {
    /// How many are in the line, those that were called among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Is nobody there?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// A place until `deadline`; None when `bound` wait already. A newcomer that is first counts
    /// as called, so it looks once more for a server before it waits: what came free before it
    /// stood in the line is not missed. One behind others does not take what they wait for:
    /// while one of them waits there is nothing free, or another of them is called, and passes
    /// the call on.
    pub fn enqueue(&mut self, priority: u8, deadline: u64, bound: usize) -> Option<Ticket> {
        if self.waiters.len() >= bound {
            return None;
        }
        let ticket = Ticket {
            priority,
            number: self.next,
        };
        self.next += 1;
        let is_first = self.waiters.range(..ticket).next().is_none();
        let waiter = Waiter {
            deadline,
            heard: self.calls,
            standing: if is_first {
                Standing::Called
            } else {
                Standing::Waiting
            },
            wake: None,
        };
        self.waiters.insert(ticket, waiter);
        Some(ticket)
    }

    /// Where this one stands.
    #[must_use]
    pub fn standing(&self, ticket: Ticket) -> Standing {
        self.waiters
            .get(&ticket)
            .map_or(Standing::Expired, |waiter| waiter.standing)
    }

    /// What to wake when this one is called or expires; the old one comes back.
    pub fn set_wake(&mut self, ticket: Ticket, wake: W) -> Option<W> {
        self.waiters.get_mut(&ticket)?.wake.replace(wake)
    }

    /// Something came free: calls the first that waits, and gives what is to be woken.
    pub fn wake_next(&mut self) -> Option<W> {
        self.calls += 1;
        let calls = self.calls;
        let first = self
            .waiters
            .values_mut()
            .find(|waiter| waiter.standing == Standing::Waiting)?;
        first.standing = Standing::Called;
        first.heard = calls;
        first.wake.take()
    }

    /// It was called and nothing was free: it waits on at its old place. If there was a call
    /// meanwhile, which may have found nobody else, it is called again at once.
    pub fn back(&mut self, ticket: Ticket) {
        let calls = self.calls;
        if let Some(waiter) = self.waiters.get_mut(&ticket) {
            if waiter.heard == calls {
                waiter.standing = Standing::Waiting;
            } else {
                waiter.heard = calls;
            }
        }
    }

    /// It leaves, wherever it stands, and its place is free. Gives what is to be woken: one
    /// that was called passes the call on.
    pub fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let waiter = self.waiters.remove(&ticket)?;
        if waiter.standing == Standing::Called {
            self.wake_next()
        } else {
            None
        }
    }

    /// Takes out whose deadline has passed, and gives what is to be woken. Who is called may
    /// still try.
    pub fn expire(&mut self, now: u64) -> Vec<W> {
        let late: Vec<Ticket> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| waiter.standing == Standing::Waiting && waiter.deadline <= now)
            .map(|(ticket, _)| *ticket)
            .collect();
        late.into_iter()
            .filter_map(|ticket| self.waiters.remove(&ticket)?.wake)
            .collect()
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
