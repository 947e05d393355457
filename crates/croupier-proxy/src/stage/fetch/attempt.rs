//! One attempt: a connection, the request on it, the head of an answer.

use std::{future::poll_fn, time::Instant};

use croupier_config::model::HedgeAfter;
use croupier_http::{BodyLen, ResponseHead};
use croupier_net::{
    NetError,
    client::ClientStream,
    dial::{dial, is_ours},
    origin::{OriginConn, h1::RequestLine},
    timers::{NEVER, Tick, ticks},
};

use super::{
    asking::{Asking, Gone, Heard, Interim},
    hedge::{Hedge, Won},
};
use crate::{
    exchange::Exchange,
    fault::{Code, Fault},
    live::Busy,
    plan::{HostRule, PoolPlan, ServerPlan, Way},
    pool::{
        idle::{Care, Keeping},
        lease::Lease,
        retry::{Repeatable, Sent},
        room::{self, Room},
    },
    relay::upload::Upload,
    stage::outgoing::RequestLines,
};

/// Which connection an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An idle one if there is one.
    Any,
    /// A new one: the last idle one was dead.
    Fresh,
}

/// Whom an attempt asks, and how.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) way: &'a Way,
    pub(super) pool: &'a PoolPlan,
    pub(super) plan: &'a ServerPlan,
    /// Its index.
    pub(super) index: usize,
    pub(super) line: Line,
    pub(super) repeatable: Repeatable,
    /// Another attempt may follow: this one need not wait for a server that has gone.
    pub(super) may_leave: bool,
    pub(super) interim: Interim,
    /// When a second server is asked beside this one.
    pub(super) hedge: Option<HedgeAfter>,
    /// Lines beside those of every request.
    pub(super) extra: &'a [(&'a [u8], &'a [u8])],
}

/// An answer's head, and the connection that its body will come by.
pub(super) struct Answered {
    pub(super) lease: Lease,
    pub(super) head: ResponseHead,
    pub(super) body: BodyLen,
    /// From asking to the head.
    pub(super) time: std::time::Duration,
}

/// Whose answer it is.
pub(super) enum Outcome {
    /// Of the server that was asked.
    Own(Answered),
    /// Of the one that was asked beside it.
    Other(Box<Won>),
}

/// An attempt that came to nothing; its place at the server is still held.
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) sent: Sent,
    pub(super) busy: Busy,
}

/// Makes one attempt.
pub(super) async fn run(
    x: &mut Exchange,
    conn: &mut ClientStream,
    ask: &Ask<'_>,
    busy: Busy,
    upload: &mut Upload,
    deadline: Tick,
) -> Result<Outcome, Failed> {
    let epoch = busy.admit().epoch;
    let connection = match borrow(x, conn, ask, deadline).await {
        Ok(connection) => connection,
        Err(fault) => return Err(unsent(fault, busy)),
    };
    let keeping = Keeping::of(ask.pool.idle_kept, ask.plan.connections_max);
    let mut lease = Lease::new(connection, busy, &x.worker.idle, keeping);
    if let Err(fault) = send_head(x, ask, &mut lease) {
        return Err(unsent(fault, lease.give_up()));
    }
    let mut times = ask.way.times;
    if let Some(time) = ask.way.retry.as_ref().and_then(|retry| retry.try_timeout) {
        times.response_head = Some(times.response_head.map_or(time, |head| head.min(time)));
    }
    let hedge = ask.hedge.and_then(|after| Hedge::new(after, ask));
    let mut response = x.worker.local.lend_response();
    // A connection at hand takes no time worth a clock.
    let asked = if lease.connection().is_reused() && x.tally.attempts == 1 {
        x.incoming.began
    } else {
        Instant::now()
    };
    let result = {
        let mut asking = Asking {
            x,
            conn,
            origin: lease.connection(),
            upload,
            response: &mut response,
            times,
            deadline,
            gone: ask.may_leave.then(|| Gone {
                server: ask.plan.server.clone(),
                epoch,
            }),
            interim: ask.interim,
            hedge: hedge.map(|hedge| (hedge, ask, ask.index)),
            lost: None,
            since: None,
            progress: (0, None),
        };
        asking.since = Some(asking.now());
        let result = poll_fn(|cx| asking.poll(cx)).await;
        result.map_err(|fault| (fault, asking.sent()))
    };
    match result {
        Ok(Heard::Other(won)) => {
            x.worker.local.take_back_response(response);
            drop(lease);
            Ok(Outcome::Other(won))
        }
        Ok(Heard::Own(body)) => {
            let now = Instant::now();
            let time = now - asked;
            if ask.interim == Interim::Pass {
                x.tally.origin_ttfb = Some(time);
                x.tally.ttfb = Some(now - x.incoming.began);
            }
            Ok(Outcome::Own(Answered {
                lease,
                head: response,
                body,
                time,
            }))
        }
        Err((fault, sent)) => {
            x.worker.local.take_back_response(response);
            let busy = lease.give_up();
            Err(Failed { fault, sent, busy })
        }
    }
}

fn unsent(fault: Fault, busy: Busy) -> Failed {
    Failed {
        fault,
        sent: Sent::Nothing,
        busy,
    }
}

/// Borrows a connection: an idle one that is still quiet, else a new one.
async fn borrow(
    x: &mut Exchange,
    conn: &ClientStream,
    ask: &Ask<'_>,
    deadline: Tick,
) -> Result<Box<OriginConn>, Fault> {
    let worker = &x.worker;
    let server = &ask.plan.server;
    let timers = &worker.local.timers;
    let idle = x.plan().limits.origin_idle;
    let since = timers.now().saturating_sub(idle.map_or(NEVER, ticks));
    let care = match ask.repeatable {
        Repeatable::Yes => Care::Usual,
        Repeatable::No => Care::Special,
    };
    if ask.line == Line::Any
        && let Some(connection) = worker.idle.take(server, since, care)
    {
        return Ok(connection);
    }
    let time = ask.way.times.connect;
    let began = Instant::now();
    let until = timers.after(time).min(deadline);
    let max = ask.plan.connections_max;
    if ask.line == Line::Fresh && max > 0 {
        // What rests may be as dead as the one before, and is in the way of a new one.
        worker.idle.forget(server);
    }
    let room = room::find(
        &worker.idle,
        server,
        max,
        (since, care),
        conn.timer(),
        until,
    );
    let connected = match room.await {
        Some(Room::New(connected)) => connected,
        Some(Room::Idle(connection)) => return Ok(connection),
        None => return Err(Code::ProxyPoolBusy.into()),
    };
    let dialling = Box::pin(dial(server.address(), until, conn.timer())); // rare, and large
    let transport = dialling.await.map_err(|error| match error {
        NetError::Timeout if deadline <= timers.now() => Code::ProxyTimeout.into(),
        error => connect_fault(&error),
    })?;
    x.tally.connect = Some(began.elapsed());
    let connection =
        OriginConn::new(transport, &x.worker.local, &x.plan().limits.origin).guarded(connected);
    // Who speaks before it is asked would answer the wrong question.
    if !connection.is_quiet() {
        return Err(Code::OriginHeadMalformed.into());
    }
    Ok(Box::new(connection))
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
fn send_head(x: &Exchange, ask: &Ask<'_>, lease: &mut Lease) -> Result<(), Fault> {
    let route = x.route_plan().ok_or(Code::ProxyInternal)?;
    let incoming = &x.incoming;
    let path = route.path_edit.apply(&incoming.target, &route.path)?;
    let line = RequestLine {
        method: incoming.head.method_bytes(),
        path: &path,
        query: incoming.target.query(),
        host: host(x, ask.pool, ask.plan),
        body: incoming.lawful.body,
        websocket: incoming.lawful.wants_websocket,
    };
    let lines = RequestLines {
        x,
        route,
        extra: ask.extra,
    };
    lease.connection().send_head(&line, &lines);
    Ok(())
}

/// The `Host` that this server sees.
pub(crate) fn host<'a>(x: &'a Exchange, pool: &'a PoolPlan, plan: &'a ServerPlan) -> &'a str {
    let client = &x.incoming.target.authority;
    let server = &plan.server.authority;
    match &pool.host {
        HostRule::Fixed(host) => host,
        HostRule::Client if !client.is_empty() => client.as_str(),
        // An HTTP/1.0 client without Host, or as configured.
        HostRule::Client | HostRule::Server if !server.is_empty() => server.as_str(),
        HostRule::Client | HostRule::Server => "localhost",
    }
}
