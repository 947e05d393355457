//! One attempt: a connection, the request on it, the head of an answer.

use std::{future::poll_fn, time::Instant};

use croupier_config::model::HedgeAfter;
use croupier_http::{BodyLen, ResponseHead};
use croupier_net::{
    client::ClientStream,
    origin::{OriginStream, h1::RequestLine},
    timers::{NEVER, Tick, ticks},
};

use super::{
    asking::{Asking, Gone, Heard, Interim},
    hedge::{Hedge, Won},
    hello,
};
use crate::{
    exchange::Exchange,
    fault::{Code, Fault},
    live::Busy,
    plan::{HostRule, PoolPlan, ServerPlan, Way},
    pool::{
        dial::{self, Wanted},
        idle::{Care, Keeping, Purpose, Which},
        lease::Lease,
        retry::{Repeatable, Sent},
    },
    relay::upload::Upload,
    stage::{cache::key::asked, outgoing::RequestLines},
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

/// Borrows a connection: an idle one that is still quiet, a place on a shared one, else a new one.
async fn borrow(
    x: &mut Exchange,
    conn: &ClientStream,
    ask: &Ask<'_>,
    deadline: Tick,
) -> Result<OriginStream, Fault> {
    let worker = &x.worker;
    let server = &ask.plan.server;
    let timers = &worker.local.timers;
    let idle = x.plan().limits.origin_idle;
    let which = Which {
        manner: &ask.pool.manner,
        since: timers.now().saturating_sub(idle.map_or(NEVER, ticks)),
        care: match ask.repeatable {
            Repeatable::Yes => Care::Usual,
            Repeatable::No => Care::Special,
        },
        purpose: if x.incoming.lawful.wants_websocket {
            Purpose::WebSocket
        } else {
            Purpose::Exchange
        },
    };
    if ask.line == Line::Any
        && let Some(stream) = worker.idle.take(server, which)
    {
        return Ok(stream);
    }
    let began = Instant::now();
    let until = timers.after(ask.way.times.connect).min(deadline);
    let max = ask.plan.connections_max;
    if ask.line == Line::Fresh && max > 0 {
        // What rests may be as dead as the one before, and is in the way of a new one.
        worker.idle.forget(server);
    }
    let hello = hello::of(x, ask.pool);
    let wanted = Wanted {
        server,
        which,
        connections_max: max,
        limits: &x.plan().limits.origin,
        hello: &hello,
    };
    // Rare, and large.
    let dialling = Box::pin(dial::dial(&worker.idle, wanted, conn.timer(), until));
    let dialled = dialling.await;
    if matches!(&dialled, Err(fault) if fault.code == Code::OriginConnectTimeout)
        && deadline <= timers.now()
    {
        return Err(Code::ProxyTimeout.into());
    }
    if dialled.as_ref().is_ok_and(OriginStream::is_new) {
        x.tally.connect = Some(began.elapsed());
    }
    dialled
}

/// Encodes the request head into the connection's buffer.
fn send_head(x: &Exchange, ask: &Ask<'_>, lease: &mut Lease) -> Result<(), Fault> {
    let route = x.route_plan().ok_or(Code::ProxyInternal)?;
    let incoming = &x.incoming;
    let path = route.path_edit.apply(&incoming.target, &route.path)?;
    let line = RequestLine {
        method: incoming.head.method_bytes(),
        path: &path,
        query: asked(x.asks.query.as_deref(), &incoming.target),
        host: host(x, ask.pool, ask.plan),
        body: incoming.lawful.body,
        websocket: incoming.lawful.wants_websocket,
    };
    let lines = RequestLines {
        x,
        route,
        manner: &ask.pool.manner,
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
