//! A second server is asked while the first is still silent; whose head comes first wins (Dean and
//! Barroso, "The tail at scale", 2013). For requests without a body that may be repeated, at the
//! expense of the retry budget.

use std::{
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use croupier_config::model::HedgeAfter;
use croupier_http::{BodyLen, Method};
use croupier_net::{
    origin::{
        Manner,
        h1::{RequestLine, encode_head},
    },
    side::Sink as _,
    timers::{NEVER, ticks},
};
use tokio::{
    task::JoinHandle,
    time::{Sleep, sleep},
};

use super::{
    attempt::{Answered, Ask, host},
    choose::{self, But, Wishes},
    hello, pay,
};
use crate::{
    exchange::Exchange,
    live::{Busy, Server},
    plan::{LimitsPlan, Times},
    pool::{
        dial::{self, Wanted},
        idle::{Care, Keeping, Purpose, Which},
        lease::Lease,
    },
    stage::outgoing::RequestLines,
    worker::Worker,
};

/// The second attempt of a request, or when it begins.
pub(super) enum Hedge {
    Later(Pin<Box<Sleep>>),
    Asked(Second),
    /// It failed, or could not be made.
    Over,
}

/// An attempt under way beside the first. Dropping it ends it.
pub(super) struct Second {
    index: usize,
    server: Arc<Server>,
    task: JoinHandle<Option<Answered>>,
}

impl Drop for Second {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The second attempt won.
pub(super) struct Won {
    pub(super) index: usize,
    pub(super) server: Arc<Server>,
    pub(super) answered: Answered,
}

impl Hedge {
    /// None when the pool has too few answers yet to know what is late.
    pub(super) fn new(after: HedgeAfter, ask: &Ask<'_>) -> Option<Self> {
        let time = match after {
            HedgeAfter::Time(time) => time,
            HedgeAfter::Quantile(share) => ask.pool.live.latencies.quantile(share)?,
        };
        Some(Self::Later(Box::pin(sleep(time))))
    }

    /// Is an attempt under way that may still win?
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self, Self::Asked(_))
    }

    /// Begins the second attempt when it is time; ready when it has won.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        x: &Exchange,
        ask: &Ask<'_>,
        first: usize,
    ) -> Poll<Won> {
        if let Self::Later(sleep) = self {
            ready!(sleep.as_mut().poll(cx));
            *self = begin(x, ask, first).map_or(Self::Over, Self::Asked);
        }
        let Self::Asked(second) = self else {
            return Poll::Pending;
        };
        let answered = ready!(Pin::new(&mut second.task).poll(cx)).ok().flatten();
        let (index, server) = (second.index, Arc::clone(&second.server));
        *self = Self::Over;
        match answered {
            Some(answered) => Poll::Ready(Won {
                index,
                server,
                answered,
            }),
            None => Poll::Pending,
        }
    }
}

fn begin(x: &Exchange, ask: &Ask<'_>, first: usize) -> Option<Second> {
    let wishes = Wishes::of(&x.incoming, ask.pool, false);
    let but = But {
        tried: &[first],
        failing: true,
    };
    let (index, busy) = choose::pick(x, ask.way, &wishes, but)?;
    let paid = pay(ask.pool, ask.way.retry.as_ref())?;
    let route = x.route_plan()?;
    let path = route
        .path_edit
        .apply(&x.incoming.target, &route.path)
        .ok()?;
    let plan = &ask.pool.servers[index];
    let line = RequestLine {
        method: x.incoming.head.method_bytes(),
        path: &path,
        query: x.incoming.target.query(),
        host: host(x, ask.pool, plan),
        body: BodyLen::None,
        websocket: false,
    };
    let lines = RequestLines {
        x,
        route,
        manner: &ask.pool.manner,
        extra: &[],
    };
    let mut head = Vec::with_capacity(512);
    encode_head(&mut head, &line, &lines);
    x.worker.cells.server_retry(plan.server.slot);
    let second = ask_second(
        Rc::clone(&x.worker),
        busy,
        (head, x.incoming.head.method),
        (ask.way.times, x.plan().limits),
        (ask.pool.idle_kept, plan.connections_max),
        (Arc::clone(&ask.pool.manner), hello::of(x, ask.pool)),
    );
    let task = tokio::task::spawn_local(async move {
        let answered = second.await;
        drop(paid);
        answered
    });
    Some(Second {
        index,
        server: Arc::clone(&plan.server),
        task,
    })
}

async fn ask_second(
    worker: Rc<Worker>,
    busy: Busy,
    (head, method): (Vec<u8>, Method),
    (times, limits): (Times, LimitsPlan),
    (idle_kept, connections_max): (usize, u32),
    (manner, hello): (Arc<Manner>, Vec<u8>),
) -> Option<Answered> {
    let began = Instant::now();
    let timers = &worker.local.timers;
    let timer = timers.timer();
    let rests_max = limits.origin_idle.map_or(NEVER, ticks);
    let since = timers.now().saturating_sub(rests_max);
    let which = Which {
        manner: &manner,
        since,
        care: Care::Usual,
        purpose: Purpose::Exchange,
    };
    let connection = match worker.idle.take(busy.server(), which) {
        Some(connection) => connection,
        None => {
            let wanted = Wanted {
                server: busy.server(),
                which,
                connections_max,
                limits: &limits.origin,
                hello: &hello,
            };
            let until = timers.after(times.connect);
            let dialling = Box::pin(dial::dial(&worker.idle, wanted, &timer, until));
            dialling.await.ok()?
        }
    };
    let keeping = Keeping::of(idle_kept, connections_max);
    let mut lease = Lease::new(connection, busy, &worker.idle, keeping);
    let origin = lease.connection();
    origin.send_encoded(&head, BodyLen::None);
    timer.arm(timers.after(times.response_head));
    let mut response = worker.local.lend_response();
    let body = poll_fn(|cx| {
        if let Poll::Ready(Err(_)) = origin.poll_finish(cx, None) {
            return Poll::Ready(None);
        }
        loop {
            match origin.poll_head(cx, method, &limits.origin, &mut response) {
                Poll::Ready(Ok(body)) if !response.is_interim() => return Poll::Ready(Some(body)),
                Poll::Ready(Ok(_)) if response.status == 101 => return Poll::Ready(None),
                Poll::Ready(Ok(_)) if origin.interim() <= limits.interim_responses => {}
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending if timer.is_expired(cx) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    match body.await {
        Some(body) => Some(Answered {
            lease,
            head: response,
            body,
            time: began.elapsed(),
        }),
        None => {
            worker.local.take_back_response(response);
            None
        }
    }
}
