//! Copies of requests for a shadow pool: sent beside the exchange, their answers thrown away.
//!
//! A copy meets nobody's client: it has its own task, connection and time, and what becomes of it
//! is counted and forgotten. It is never repeated, it marks no server, and it ends when its worker
//! drains. It knows no plan: who sends it says how long it may take. `worker::spawn` runs it.

#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use croupier_http::{BodyLen, Method, ResponseHead};
use croupier_net::{
    NetError,
    origin::{Manner, OriginStream, h1::OriginLimits},
    side::{Sink as _, Source as _},
    timers::{Tick, Timer},
};
use croupier_telemetry::Counter;

use super::{
    dial::{self, Wanted},
    idle::{Care, Idle, Keeping, Purpose, Which},
    lease::Lease,
};
use crate::live::Busy;

/// Copies of one worker under way: beyond it a shadow that lags would cost us memory.
const UNDER_WAY_MAX: usize = 64;
/// Bytes of an answer's body that are read so that its connection may be kept.
const BODY_READ_MAX: u64 = 1 << 20;
/// Reads of an answer in one turn of the task; then others get theirs.
const ROUNDS_MAX: usize = 32;

/// A copy of a request.
#[derive(Debug)]
pub(crate) struct RequestCopy {
    /// Written by [`croupier_net::origin::h1::encode_head`]: all but framing.
    pub(crate) head: Vec<u8>,
    /// Its method: it decides how the answer is framed.
    pub(crate) method: Method,
    /// What its connection begins with.
    pub(crate) hello: Vec<u8>,
    /// None when the request had no body.
    pub(crate) body: Option<Vec<u8>>,
}

/// What a copy may use.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// What is spoken.
    pub(crate) manner: Arc<Manner>,
    /// To connect.
    pub(crate) connect: Duration,
    /// From then on to the last byte of the answer.
    pub(crate) response: Duration,
    /// Of the answer's head and chunks.
    pub(crate) limits: OriginLimits,
    /// Interim responses before the answer.
    pub(crate) interim_max: u32,
    /// An idle connection is good when it rests since this tick.
    pub(crate) idle_since: Tick,
    /// How the connection is kept afterwards.
    pub(crate) keeping: Keeping,
    /// Connections the server may have; 0: no limit.
    pub(crate) connections_max: u32,
}

/// The copies of one worker.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    under_way: Rc<Cell<usize>>,
}

/// A copy's place among those under way.
#[derive(Debug)]
pub(crate) struct Place(Rc<Cell<usize>>);

impl Mirror {
    /// A place for one more copy; None when there are too many.
    pub(crate) fn place(&self) -> Option<Place> {
        let count = self.under_way.get();
        (count < UNDER_WAY_MAX).then(|| {
            self.under_way.set(count + 1);
            Place(Rc::clone(&self.under_way))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Why a copy got no whole answer. Nobody is told: the number is what counts.
#[derive(Debug)]
enum Failure {
    /// Its answer is of no kind that we care for.
    NotWanted,
    /// The worker drains.
    Draining,
    /// The connection or what came over it was no good.
    Net,
}

impl From<NetError> for Failure {
    fn from(_: NetError) -> Self {
        Self::Net
    }
}

/// Sends a copy and reads its answer; counts what became of it.
pub(crate) async fn run(idle: Rc<Idle>, busy: Busy, copy: RequestCopy, terms: Terms) {
    let server = Arc::clone(busy.server());
    idle.cells.add(Counter::MirrorSent, 1);
    let began = Instant::now();
    let result = {
        let timer = idle.local.timers.timer();
        let mut asking = pin!(ask(&idle, busy, &copy, &terms, &timer));
        // A drain wakes all timers, and whatever a copy waits for it waits with its timer.
        poll_fn(|cx| {
            if idle.local.is_draining() {
                return Poll::Ready(Err(Failure::Draining));
            }
            asking.as_mut().poll(cx)
        })
        .await
    };
    match result {
        Ok(()) => idle.cells.server_exchange(server.slot, began.elapsed()),
        Err(Failure::Draining) => {}
        Err(Failure::NotWanted) => idle.cells.add(Counter::MirrorFailures, 1),
        Err(Failure::Net) => {
            idle.cells.add(Counter::MirrorFailures, 1);
            idle.cells.server_failure(server.slot);
        }
    }
}

async fn ask(
    idle: &Rc<Idle>,
    busy: Busy,
    copy: &RequestCopy,
    terms: &Terms,
    timer: &Timer,
) -> Result<(), Failure> {
    let mut lease = borrow(idle, busy, (copy, terms), timer).await?;
    timer.arm(idle.local.timers.after(Some(terms.response)));
    let origin = lease.connection();
    let length = copy.body.as_ref().map_or(BodyLen::None, |body| {
        BodyLen::Length(u64::try_from(body.len()).unwrap_or(u64::MAX))
    });
    origin.send_encoded(&copy.head, length);
    let mut asked = Asked {
        origin,
        body: copy.body.as_deref().unwrap_or_default(),
        upload: Upload::Streaming,
        method: copy.method,
        terms,
        timer,
    };
    let mut response = idle.local.lend_response();
    let head = poll_fn(|cx| asked.poll_head(cx, &mut response)).await;
    idle.local.take_back_response(response);
    head?;
    poll_fn(|cx| asked.poll_body(cx)).await
}

/// An idle connection that surely lives, since nothing is repeated; else a new one.
async fn borrow(
    idle: &Rc<Idle>,
    busy: Busy,
    (copy, terms): (&RequestCopy, &Terms),
    timer: &Timer,
) -> Result<Lease, Failure> {
    let which = Which {
        manner: &terms.manner,
        since: terms.idle_since,
        care: Care::Special,
        purpose: Purpose::Exchange,
    };
    let stream = match idle.take(busy.server(), which) {
        Some(stream) => stream,
        None => {
            let wanted = Wanted {
                server: busy.server(),
                which,
                connections_max: terms.connections_max,
                limits: &terms.limits,
                hello: &copy.hello,
            };
            let until = idle.local.timers.after(Some(terms.connect));
            let dialled = Box::pin(dial::dial(idle, wanted, timer, until)).await;
            dialled.map_err(|_| Failure::Net)?
        }
    };
    Ok(Lease::new(stream, busy, idle, terms.keeping))
}

/// A copy whose answer is awaited.
struct Asked<'a> {
    origin: &'a mut OriginStream,
    /// What of the request's body is still to be sent.
    body: &'a [u8],
    upload: Upload,
    method: Method,
    terms: &'a Terms,
    timer: &'a Timer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Streaming,
    Ended,
    /// The server takes no more; it may have answered before.
    Refused,
}

impl Asked<'_> {
    /// Sends what can be sent, without waiting for it: a server may answer first.
    fn upload(&mut self, cx: &mut Context<'_>) {
        while self.upload == Upload::Streaming {
            let polled = if self.body.is_empty() {
                self.origin.poll_finish(cx, None).map_ok(|()| 0)
            } else {
                self.origin.poll_send(cx, self.body)
            };
            match polled {
                Poll::Pending => return,
                Poll::Ready(Err(_)) => self.upload = Upload::Refused,
                Poll::Ready(Ok(_)) if self.body.is_empty() => self.upload = Upload::Ended,
                Poll::Ready(Ok(taken)) => self.body = &self.body[taken..],
            }
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        response: &mut ResponseHead,
    ) -> Poll<Result<(), Failure>> {
        self.upload(cx);
        loop {
            let limits = &self.terms.limits;
            match self.origin.poll_head(cx, self.method, limits, response) {
                Poll::Ready(Ok(_)) if !response.is_interim() => return Poll::Ready(Ok(())),
                // Nobody asked for a switch of protocols either.
                Poll::Ready(Ok(_))
                    if response.status == 101 || self.origin.interim() > self.terms.interim_max =>
                {
                    return Poll::Ready(Err(Failure::NotWanted));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return self.poll_deadline(cx),
            }
        }
    }

    /// Reads the body away. When it ends before the request's does, or is too long, the lease
    /// closes the connection.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.upload(cx);
        for _ in 0..ROUNDS_MAX {
            let read = match self.origin.poll_data(cx) {
                Poll::Pending => return self.poll_deadline(cx),
                Poll::Ready(read) => read?,
            };
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            self.origin.consume(read);
            if self.origin.body_received() > BODY_READ_MAX {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_deadline(&self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.timer.is_expired(cx) {
            return Poll::Ready(Err(NetError::Timeout.into()));
        }
        Poll::Pending
    }
}
