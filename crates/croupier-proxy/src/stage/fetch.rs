//! Stage 4: whom do we ask? Borrow a connection, send, wait for a head, and if that fails ask
//! another server when it is safe. The only stage that talks to origins, the only loop with
//! retries; the request body moves meanwhile.

use std::{
    fmt::Display,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use croupier_config::model::PoolId;
use croupier_http::{BodyLen, Name, ResponseHead};
use croupier_net::{
    NetError,
    client::ClientConn,
    dial::{dial, is_ours},
    origin::{OriginConn, h1::RequestLine},
    side::Sink as _,
    splice::Failure,
    timers::{NEVER, Tick, ticks},
};
use croupier_telemetry::{Level, event};

use super::{inspect, outgoing::RequestLines, shape::PassingLines};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::{Code, Fault},
    live::Server,
    plan::{HostRule, PoolPlan, Times},
    pool::{
        idle::Care,
        lease::Lease,
        retry::{Progress, Repeatable, Sent, may_retry},
    },
    relay::{Pump, Side},
};

/// Attempts for one request, whatever the size of the pool.
const ATTEMPTS_MAX: usize = 8;

/// Which connection an attempt may use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// An idle one if there is one.
    Any,
    /// A new one: the last idle one was dead.
    Fresh,
}

/// Gets an answer's head from a server of the pool.
pub(crate) async fn run(
    x: &mut Exchange,
    conn: &mut ClientConn,
    pool: PoolId,
    deadline: Tick,
) -> Result<Answer, Fault> {
    conn.wire
        .check_arrived()
        .map_err(|error| inspect::body_fault(&error))?;
    let installed = Rc::clone(&x.installed);
    let plan = installed.plan.pool(pool);
    let attempts_max = u32::try_from((plan.servers.len() + 1).min(ATTEMPTS_MAX)).unwrap_or(1);
    let mut tried: Vec<usize> = Vec::new();
    let mut line = Line::Any;
    let mut index = pick(x, pool, &tried).ok_or(Code::ProxyPoolEmpty)?;
    loop {
        let server = &plan.servers[index].0;
        x.tally.attempts += 1;
        if x.tally.attempts > 1 {
            x.worker.cells.server_retry(server.slot);
        }
        x.tally.server = Some(Arc::clone(server));
        let attempt = attempt(x, conn, plan, server, (line, deadline));
        let (fault, sent) = match attempt.await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        blame(x, server, fault.code);
        let progress = Progress {
            attempts: x.tally.attempts,
            attempts_max,
            sent,
            repeatable: if x.incoming.head.method.is_idempotent() {
                Repeatable::Yes
            } else {
                Repeatable::No
            },
        };
        if let Err(reason) = may_retry(fault.code, progress) {
            x.tally.no_retry = reason;
            return Err(fault);
        }
        if fault.code == Code::OriginReusedClosed {
            line = Line::Fresh;
        } else {
            tried.push(index);
        }
        let Some(next) = pick(x, pool, &tried) else {
            x.tally.no_retry = "servers";
            return Err(fault);
        };
        x.failed(fault);
        x.tally.fault = None;
        index = next;
    }
}

/// The next server that is up and was not tried; when none is up, the one whose pause ends
/// first: asking it beats refusing.
fn pick(x: &Exchange, pool: PoolId, tried: &[usize]) -> Option<usize> {
    let servers = &x.installed.plan.pool(pool).servers;
    let mut turn = x.installed.turns[pool.0].borrow_mut();
    let now = x.worker.coarse_ms();
    let may = |index: usize| !tried.contains(&index) && servers[index].0.has_address();
    // Only whom the turn has come to is claimed: the probe of a server that was put aside must
    // not be spent on a request that goes elsewhere.
    while let Some(index) = turn.pick(|index| may(index) && servers[index].0.is_due(now)) {
        if servers[index].0.admits(now) {
            return Some(index);
        }
    }
    (0..servers.len())
        .filter(|&index| may(index))
        .min_by_key(|&index| servers[index].0.aside_until())
}

/// A fault that is the server's own counts against it.
fn blame(x: &Exchange, server: &Arc<Server>, code: Code) {
    let now = x.worker.coarse_ms();
    let pause = match code {
        Code::OriginConnectRefused | Code::OriginConnectTimeout | Code::OriginConnectFailed => {
            server.failed_to_connect(now)
        }
        Code::OriginClosed
        | Code::OriginReset
        | Code::OriginHeadTimeout
        | Code::OriginHeadMalformed
        | Code::OriginHeadTooLarge
        | Code::OriginFraming
        | Code::OriginInterim
        | Code::OriginSwitch
        | Code::OriginSendTimeout => server.failed(now),
        _ => return,
    };
    x.worker.cells.server_failure(server.slot);
    if let Some(pause) = pause {
        x.worker.idle.forget(server);
        event(
            Level::Warn,
            "pool.server.aside",
            &[
                ("pool", &server.pool),
                ("server", &server.name),
                ("fault", &code.as_str()),
                ("pause_ms", &pause.as_millis()),
            ],
        );
    }
}

/// One attempt: a connection, the request on it, the head of an answer.
async fn attempt(
    x: &mut Exchange,
    conn: &mut ClientConn,
    pool: &PoolPlan,
    server: &Arc<Server>,
    (line, deadline): (Line, Tick),
) -> Result<Answer, (Fault, Sent)> {
    let unsent = |fault: Fault| (fault, Sent::Nothing);
    let mut lease = borrow(x, conn, pool, server, (line, deadline))
        .await
        .map_err(unsent)?;
    let times = send_head(x, pool, &mut lease).map_err(unsent)?;
    let mut upload = Pump::up_to(x.plan().limits.body_bytes);
    let mut response = x.worker.local.lend_response();
    // A connection at hand takes no time worth a clock.
    let asked = if lease.connection().is_reused() {
        x.incoming.began
    } else {
        Instant::now()
    };
    let result = {
        let mut asking = Asking {
            x,
            conn,
            origin: lease.connection(),
            upload: &mut upload,
            response: &mut response,
            times,
            deadline,
            since: None,
            progress: (0, None),
        };
        asking.since = Some(asking.now());
        let result = poll_fn(|cx| asking.poll(cx)).await;
        result.map_err(|fault| (fault, asking.sent()))
    };
    match result {
        Ok(body) => {
            let now = Instant::now();
            x.tally.origin_ttfb = Some(now - asked);
            x.tally.ttfb = Some(now - x.incoming.began);
            if server.succeeded() {
                let names: [(&str, &dyn Display); 2] =
                    [("pool", &server.pool), ("server", &server.name)];
                event(Level::Info, "pool.server.back", &names);
            }
            let is_switch = response.status == 101;
            let dealt = Dealt {
                lease,
                head: response,
                body,
                upload,
            };
            Ok(if is_switch {
                Answer::Switch(dealt)
            } else {
                Answer::Dealt(dealt)
            })
        }
        Err(failed) => {
            x.worker.local.take_back_response(response);
            Err(failed)
        }
    }
}

/// Borrows a connection: an idle one that is still quiet, else a new one.
async fn borrow(
    x: &mut Exchange,
    conn: &ClientConn,
    pool: &PoolPlan,
    server: &Arc<Server>,
    (line, deadline): (Line, Tick),
) -> Result<Lease, Fault> {
    let worker = &x.worker;
    if line == Line::Any {
        let idle = x.plan().limits.origin_idle;
        let since = worker
            .local
            .timers
            .now()
            .saturating_sub(idle.map_or(NEVER, ticks));
        let care = if x.incoming.head.method.is_idempotent() {
            Care::Usual
        } else {
            Care::Special
        };
        if let Some(connection) = worker.idle.take(server, since, care) {
            return Ok(Lease::new(connection, server, &worker.idle, pool.idle_kept));
        }
    }
    let address = server.address().ok_or(Code::ProxyPoolEmpty)?;
    let time = x.route_plan().and_then(|route| route.times.connect);
    let began = Instant::now();
    let timers = &worker.local.timers;
    let until = timers.after(time).min(deadline);
    let transport = dial(&address, until, &conn.timer)
        .await
        .map_err(|error| match error {
            NetError::Timeout if deadline <= timers.now() => Code::ProxyTimeout.into(),
            error => connect_fault(&error),
        })?;
    x.tally.connect = Some(began.elapsed());
    let connection = OriginConn::new(transport, &x.worker.local, &x.plan().limits.origin);
    // Who speaks before it is asked would answer the wrong question.
    if !connection.is_quiet() {
        return Err(Code::OriginHeadMalformed.into());
    }
    Ok(Lease::new(
        Box::new(connection),
        server,
        &x.worker.idle,
        pool.idle_kept,
    ))
}

fn connect_fault(error: &NetError) -> Fault {
    match error {
        NetError::Timeout => Code::OriginConnectTimeout.into(),
        NetError::Io(error) if is_ours(error) => Code::ProxyExhausted.into(),
        NetError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Code::OriginConnectRefused.into()
        }
        _ => Code::OriginConnectFailed.into(),
    }
}

/// Encodes the request head into the connection's buffer.
fn send_head(x: &Exchange, pool: &PoolPlan, lease: &mut Lease) -> Result<Times, Fault> {
    let route = x.route_plan().ok_or(Code::ProxyInternal)?;
    let incoming = &x.incoming;
    let path = route.path_edit.apply(&incoming.target, &route.path)?;
    let server = Arc::clone(lease.server());
    let host = match &pool.host {
        HostRule::Fixed(host) => host,
        HostRule::Client if !incoming.target.authority.is_empty() => {
            incoming.target.authority.as_str()
        }
        // An HTTP/1.0 client without Host, or as configured.
        HostRule::Client | HostRule::Server if !server.authority.is_empty() => {
            server.authority.as_str()
        }
        HostRule::Client | HostRule::Server => "localhost",
    };
    let line = RequestLine {
        method: incoming.head.method_bytes(),
        path: &path,
        query: incoming.target.query(),
        host,
        body: incoming.lawful.body,
        websocket: incoming.lawful.wants_websocket,
    };
    lease
        .connection()
        .send_head(&line, &RequestLines { x, route });
    Ok(route.times)
}

/// Waiting for a head, with the request body moving meanwhile.
struct Asking<'a> {
    x: &'a mut Exchange,
    conn: &'a mut ClientConn,
    origin: &'a mut OriginConn,
    upload: &'a mut Pump,
    response: &'a mut ResponseHead,
    times: Times,
    /// Of the whole exchange.
    deadline: Tick,
    /// Since when we wait for what we wait for now.
    since: Option<Tick>,
    /// What had moved when `since` was set.
    progress: (u64, Option<Wait>),
}

/// What an attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    ClientBody,
    OriginRoom,
    Head,
}

impl Asking<'_> {
    fn now(&self) -> Tick {
        self.x.worker.local.timers.now()
    }

    /// What of the request had left us: decides whether it may be sent again.
    fn sent(&self) -> Sent {
        if self.upload.moved > 0 {
            Sent::Body
        } else if self.origin.wire.has_sent_any() {
            Sent::Head
        } else {
            Sent::Nothing
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyLen, Fault>> {
        if !self.upload.is_over() {
            self.poll_upload(cx)?;
        }
        loop {
            let limits = &self.x.installed.plan.limits;
            let method = self.x.incoming.head.method;
            match self
                .origin
                .poll_head(cx, method, &limits.origin, self.response)
            {
                Poll::Ready(Ok(body)) if self.response.is_interim() => {
                    if self.interim()? {
                        return Poll::Ready(Ok(body));
                    }
                }
                Poll::Ready(Ok(body)) => return Poll::Ready(Ok(body)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.origin_fault(&error))),
                Poll::Pending => break,
            }
        }
        // Interim heads leave at once; a client that has left is noticed.
        if let Poll::Ready(Err(_)) = self.conn.wire.poll_flush(cx) {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        if self.conn.wire.has_received_all() && self.conn.wire.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        self.poll_deadline(cx)
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let pipes = &self.x.worker.local.pipes;
        let polled = self
            .upload
            .poll(cx, &mut self.conn.wire, &mut self.origin.wire, pipes);
        self.x.tally.bytes_in = self.upload.moved;
        if let Some(max) = self.x.installed.plan.limits.body_bytes
            && self.upload.moved > max
        {
            return Err(Code::ClientBodyTooLarge.into());
        }
        match polled {
            Poll::Ready(Err(Failure::Source(error))) => Err(inspect::body_fault(&error)),
            // It may have answered before it closed: the head will tell.
            Poll::Ready(Err(Failure::Sink(_))) => {
                self.upload.stop();
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Handles an interim head. True when it is the switch that was asked for.
    fn interim(&mut self) -> Result<bool, Fault> {
        let response = &mut *self.response;
        if self.origin.interim() > self.x.installed.plan.limits.interim_responses {
            return Err(Code::OriginInterim.into());
        }
        match response.status {
            101 => {
                let asked = self.x.incoming.lawful.wants_websocket
                    && response
                        .fields
                        .get(Name::UPGRADE)
                        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
                if asked {
                    Ok(true)
                } else {
                    Err(Code::OriginSwitch.into())
                }
            }
            100 if !self.x.incoming.lawful.expects_continue => Ok(false),
            _ => {
                self.conn.send_interim(
                    response,
                    &PassingLines {
                        x: self.x,
                        head: response,
                    },
                );
                Ok(false)
            }
        }
    }

    fn origin_fault(&self, error: &NetError) -> Fault {
        use croupier_http::h1::scan::HeadError;
        let unanswered = self.origin.is_reused() && !self.origin.has_answered();
        match error {
            NetError::Closed | NetError::Io(_) if unanswered => Code::OriginReusedClosed.into(),
            NetError::Closed | NetError::Truncated => Code::OriginClosed.into(),
            NetError::Io(_) => Code::OriginReset.into(),
            NetError::Timeout => Code::OriginHeadTimeout.into(),
            NetError::Head(HeadError::HeadTooLarge | HeadError::TooManyFields) => {
                Code::OriginHeadTooLarge.into()
            }
            NetError::Framing(_) => Code::OriginFraming.into(),
            NetError::Head(_) | NetError::Chunk(_) => Code::OriginHeadMalformed.into(),
        }
    }

    /// The clock of what we wait for begins anew with every byte that moves.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyLen, Fault>> {
        let wait = if self.upload.is_over() {
            Wait::Head
        } else if self.upload.waits_for == Side::Source {
            Wait::ClientBody
        } else {
            Wait::OriginRoom
        };
        let progress = (self.upload.moved, Some(wait));
        if progress != self.progress {
            self.progress = progress;
            self.since = Some(self.now());
        }
        let time = match wait {
            Wait::ClientBody => self.times.client_body,
            Wait::OriginRoom | Wait::Head => self.times.response_head,
        };
        let since = self.since.unwrap_or_default();
        let until = time.map_or(NEVER, |time| since.saturating_add(ticks(time)));
        self.conn.timer.arm(until.min(self.deadline));
        if !self.conn.timer.is_expired(cx) {
            return Poll::Pending;
        }
        let code = match wait {
            _ if self.deadline <= self.now() => Code::ProxyTimeout,
            Wait::ClientBody => Code::ClientBodyTimeout,
            Wait::OriginRoom => Code::OriginSendTimeout,
            Wait::Head => Code::OriginHeadTimeout,
        };
        Poll::Ready(Err(code.into()))
    }
}
