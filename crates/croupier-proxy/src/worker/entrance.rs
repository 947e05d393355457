//! The listener by which a connection came in, as its exchanges see it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::{Installed, Worker};

/// A listener of one worker, shared with the connections it accepted.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// The listener's id in the plan in force.
    listener: Cell<usize>,
    /// Once the listener is gone: the last plan that knew it.
    last: RefCell<Option<Rc<Installed>>>,
}

impl Entrance {
    pub(crate) fn new(listener: usize) -> Self {
        Self {
            listener: Cell::new(listener),
            last: RefCell::default(),
        }
    }

    /// The plan to be installed has the listener under this id.
    pub(crate) fn renumber(&self, listener: usize) {
        self.listener.set(listener);
    }

    /// The listener goes. Its id may mean another one in the next plan, so whoever came by it
    /// stays with the present plan.
    pub(crate) fn close(&self, worker: &Worker) {
        *self.last.borrow_mut() = Some(worker.installed());
    }

    /// Is the listener gone? Then the present exchange of a connection is its last.
    pub(crate) fn is_closed(&self) -> bool {
        self.last.borrow().is_some()
    }

    /// The plan that an exchange sees, and the listener's id in it.
    pub(crate) fn plan(&self, worker: &Worker) -> (Rc<Installed>, usize) {
        let last = self.last.borrow().clone();
        (
            last.unwrap_or_else(|| worker.installed()),
            self.listener.get(),
        )
    }
}
