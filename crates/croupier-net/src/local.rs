//! What one core keeps for its connections: buffers, heads, deadlines, pipes, the drain sign.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use croupier_http::{RequestHead, ResponseHead};

use crate::{
    buffers::Buffers,
    h2::{fields::Text, piece::Piece},
    splice::Pipes,
    timers::Timers,
};

/// Heads a worker keeps for later use, and the largest that is worth keeping, bytes.
const HEADS_KEPT: usize = 128;
const HEAD_KEPT_BYTES: usize = 32 << 10;

/// A worker's toolbox. Never leaves its thread.
#[derive(Debug, Default)]
pub struct Local {
    /// Read and write buffers.
    pub buffers: Buffers,
    /// Deadlines and the coarse clock.
    pub timers: Rc<Timers>,
    /// Pipes for `splice`.
    pub pipes: Pipes,
    /// Bytes moved by all client connections of this worker.
    pub client_traffic: Traffic,
    /// Bytes moved by all origin connections of this worker.
    pub origin_traffic: Traffic,
    /// Lines of heads on their way to HTTP/2 clients.
    pub(crate) text: RefCell<Text>,
    /// The same of heads on their way to HTTP/2 servers.
    pub(crate) asked: RefCell<Text>,
    /// Body bytes that the HTTP/2 library writes at this moment, where they lie.
    pub(crate) shown: RefCell<Option<Piece>>,
    requests: RefCell<Vec<RequestHead>>,
    responses: RefCell<Vec<ResponseHead>>,
    draining: Cell<bool>,
}

/// Byte counts.
#[derive(Debug, Default)]
pub struct Traffic {
    received: Cell<u64>,
    sent: Cell<u64>,
}

impl Traffic {
    pub(crate) fn received(&self, count: usize) {
        self.received.set(self.received.get() + count as u64);
    }

    pub(crate) fn sent(&self, count: usize) {
        self.sent.set(self.sent.get() + count as u64);
    }

    /// Bytes received and sent since the last call.
    pub fn take(&self) -> (u64, u64) {
        (self.received.take(), self.sent.take())
    }
}

impl Local {
    /// An empty request head.
    pub fn lend_request(&self) -> RequestHead {
        self.requests.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a request head back.
    pub fn take_back_request(&self, mut head: RequestHead) {
        let mut spare = self.requests.borrow_mut();
        if spare.len() < HEADS_KEPT && head.fields.capacity() <= HEAD_KEPT_BYTES {
            head.clear();
            spare.push(head);
        }
    }

    /// An empty response head.
    pub fn lend_response(&self) -> ResponseHead {
        self.responses.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a response head back.
    pub fn take_back_response(&self, mut head: ResponseHead) {
        let mut spare = self.responses.borrow_mut();
        if spare.len() < HEADS_KEPT && head.fields.capacity() <= HEAD_KEPT_BYTES {
            head.clear();
            spare.push(head);
        }
    }

    /// From now on connections end after their present exchange; idle ones end at once.
    pub fn drain(&self) {
        self.draining.set(true);
        self.timers.wake_all();
    }

    /// Are connections to end?
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }
}
