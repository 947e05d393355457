//! What an origin writes down: requests, connections, violations.

use std::io;
use std::sync::{Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::lock;
use crate::message::{Framing, Headers};
use crate::reply::Reply;
use crate::stream::Stream;
use crate::wire::{Direction, Transcript};

/// One request as it arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Which connection it came on, and its number there; both count from 0.
    pub connection: usize,
    pub number: usize,
    /// Since the origin started.
    pub at: Duration,
    pub method: String,
    pub target: String,
    pub version: String,
    pub headers: Headers,
    pub framing: Framing,
    /// The head's own bytes.
    pub head: Vec<u8>,
    pub body: Vec<u8>,
    /// Counts also what [`OriginBuilder::forget_bodies`] does not keep.
    pub body_length: u64,
    pub trailers: Headers,
    /// Whether the whole body has arrived.
    pub complete: bool,
}

impl Request {
    /// The first value of a header field, any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The target without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        crate::message::text(&self.body)
    }
}

/// Something in a request that a careful proxy never sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub connection: usize,
    /// Where in the connection's bytes the offending message part begins or ends.
    pub offset: u64,
    pub what: String,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The proxy closed between requests.
    ByPeer,
    /// The proxy closed inside a request, or while the script still waited.
    Cut,
    /// The script closed it.
    ByOrigin,
    /// The script reset it.
    ByReset,
    /// Reading or writing failed, for instance with a reset from the proxy.
    Failed(io::ErrorKind),
    /// The bytes could not be a request.
    Malformed,
}

/// One connection, open or ended.
#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    pub id: usize,
    pub opened: Duration,
    pub ended: Option<(Duration, Ended)>,
    /// How many request heads it carried.
    pub requests: usize,
    pub is_idle: bool,
    pub transcript: Transcript,
}

type AtConnect = dyn Fn(usize) -> Reply + Send + Sync;
type AtHead = dyn Fn(&Request) -> Option<Reply> + Send + Sync;
type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

pub(crate) struct Script {
    pub(crate) at_connect: Option<Box<AtConnect>>,
    pub(crate) at_head: Option<Box<AtHead>>,
    pub(crate) answer: Box<Answer>,
    pub(crate) continues: bool,
    pub(crate) keeps_bodies: bool,
    pub(crate) receive_buffer: Option<usize>,
}

/// What the connection threads and the test look at together.
pub(crate) struct Shared {
    pub(crate) script: Script,
    pub(crate) started: Instant,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) connections: Vec<ConnectionRecord>,
    pub(crate) streams: Vec<Weak<Stream>>,
    pub(crate) requests: Vec<Request>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) violations_were_read: bool,
}

impl Shared {
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.notify_all();
        result
    }

    pub(crate) fn record(&self, id: usize, direction: Direction, bytes: &[u8]) {
        self.update(|state| state.connections[id].transcript.add(direction, bytes));
    }

    pub(crate) fn remark(&self, id: usize, text: &str) {
        self.update(|state| state.connections[id].transcript.remark(text));
    }

    pub(crate) fn idle(&self, id: usize, is_idle: bool) {
        self.update(|state| state.connections[id].is_idle = is_idle);
    }

    pub(crate) fn arrived(&self, request: Request) -> usize {
        self.update(|state| {
            state.connections[request.connection].requests += 1;
            state.requests.push(request);
            state.requests.len() - 1
        })
    }

    pub(crate) fn request(&self, index: usize) -> Request {
        lock(&self.state).requests[index].clone()
    }

    pub(crate) fn body(&self, index: usize, bytes: &[u8]) {
        let keep = self.script.keeps_bodies;
        self.update(|state| {
            let request = &mut state.requests[index];
            request.body_length += bytes.len() as u64;
            if keep {
                request.body.extend_from_slice(bytes);
            }
        });
    }

    pub(crate) fn completed(&self, index: usize, trailers: Headers) {
        self.update(|state| {
            state.requests[index].trailers = trailers;
            state.requests[index].complete = true;
        });
    }

    pub(crate) fn violations(&self, connection: usize, offset: u64, flaws: Vec<String>) {
        let found = flaws.into_iter().map(|what| Violation {
            connection,
            offset,
            what,
        });
        self.update(|state| state.violations.extend(found));
    }

    pub(crate) fn ended(&self, id: usize, ended: Ended) {
        let at = self.started.elapsed();
        self.update(|state| {
            let connection = &mut state.connections[id];
            connection.ended = Some((at, ended));
            connection.is_idle = false;
            connection.transcript.remark(format!("ended: {ended:?}"));
        });
    }
}
