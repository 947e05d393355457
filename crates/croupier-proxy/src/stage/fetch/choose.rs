//! Whom do we ask? By the client's cookie, else as the pool balances; and when nobody can be
//! asked now, waiting for the first who can.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use croupier_http::Name;
use croupier_net::{
    client::ClientStream,
    timers::{Tick, ticks},
};

use crate::{
    exchange::Exchange,
    fault::{Code, Fault},
    incoming::Incoming,
    live::{Busy, Rank, Server},
    plan::{Action, PoolPlan, ServerPlan, Way},
    pool::{
        hash_key::{HashKey, Parts, cookie},
        pick::{Candidates, PeakEwma, Picker},
        queue::Waiting,
        sticky,
    },
};

/// A server that is out of reach is asked no more often than this, milliseconds.
const RESORT_MS: u64 = 100;

/// A server that was put aside waits so long for a request that may be its probe; then any request
/// is one, or a pool that is only asked with POST would never get it back. Milliseconds.
const PROBE_LATE_MS: u64 = 2_000;

/// May a request find out whether a server that was put aside is back?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probes {
    /// It can be repeated if not.
    Yes,
    /// When nobody else has done so for a while.
    Late,
    /// A failure would be felt, or success not be heard of.
    No,
}

/// What of a request decides about its server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// For pools that choose by a key.
    key: Option<u64>,
    /// The server that its cookie names.
    pub(super) stuck: Option<usize>,
    probes: Probes,
}

/// Servers that are out of the question.
#[derive(Clone, Copy, Debug)]
pub(super) struct But<'a> {
    /// Those that were asked already.
    pub(super) tried: &'a [usize],
    /// Those whose last answer was a failure, too?
    pub(super) failing: bool,
}

/// The way of a request: a split leads the same clients the same way.
pub(crate) fn way(action: &Action, incoming: &Incoming) -> usize {
    match action {
        Action::Split(split) => {
            let key = split.by.of(&parts(incoming));
            split.split.choose(key, &mut || fastrand::u64(..))
        }
        _ => 0,
    }
}

impl Wishes {
    pub(super) fn of(incoming: &Incoming, pool: &PoolPlan, probes: bool) -> Self {
        let key = (pool.key.as_ref()).and_then(|key| key.of(&parts(incoming)));
        let stuck = pool.sticky.as_ref().and_then(|sticky| {
            let lines = incoming.head.fields.all(Name::COOKIE);
            sticky::find(&sticky.tokens, cookie(lines, &sticky.rule.name)?)
        });
        let probes = if probes { Probes::Yes } else { Probes::No };
        Self { key, stuck, probes }
    }

    /// A request that can not be repeated probes all the same when nobody else has.
    pub(super) fn or_late(mut self) -> Self {
        if self.probes == Probes::No {
            self.probes = Probes::Late;
        }
        self
    }
}

fn parts(incoming: &Incoming) -> Parts<'_> {
    Parts {
        client_ip: incoming.client_ip,
        fields: &incoming.head.fields,
        target: &incoming.target,
    }
}

/// Does the request have what this key is made of?
pub(crate) fn has_key(key: &HashKey, incoming: &Incoming) -> bool {
    key.of(&parts(incoming)).is_some()
}

/// What the request alone says about its server while all are well: whom its cookie names, and
/// whom its key leads to.
pub(crate) fn first_choice(pool: &PoolPlan, incoming: &Incoming) -> (Option<usize>, Option<usize>) {
    let wishes = Wishes::of(incoming, pool, true);
    let keyed = wishes.key.and_then(|key| {
        let best = |index: &usize| {
            let plan = &pool.servers[*index];
            plan.tier == 0 && plan.weight > 0
        };
        match &pool.picker {
            Picker::Maglev(table, _) => table.preferred(key).find(best),
            Picker::Ring(table, _) => table.preferred(key).find(best),
            _ => None,
        }
    });
    (wishes.stuck, keyed)
}

/// A server for a copy of the request.
pub(crate) fn copy_to(x: &Exchange, way: &Way) -> Option<(usize, Busy)> {
    let pool = x.installed.plan.pool(way.pool);
    let wishes = Wishes::of(&x.incoming, pool, false);
    let but = But {
        tried: &[],
        failing: false,
    };
    pick(x, way, &wishes, but)
}

/// A server for a request that comes. Not before those that wait already.
pub(super) fn first(
    x: &Exchange,
    way: &Way,
    wishes: &Wishes,
    but: But<'_>,
) -> Option<(usize, Busy)> {
    let pool = x.installed.plan.pool(way.pool);
    if pool.live.queue().waiting() > 0 && may_wait(x, pool) {
        return None;
    }
    pick(x, way, wishes, but)
}

/// A server that may be asked now, and a place among its requests.
pub(super) fn pick(
    x: &Exchange,
    way: &Way,
    wishes: &Wishes,
    but: But<'_>,
) -> Option<(usize, Busy)> {
    let pool = x.installed.plan.pool(way.pool);
    let now = x.worker.coarse_ms();
    if let Some(index) = wishes.stuck
        && may_be(pool, &pool.servers[index], index, wishes, but, now)
        && let Some(busy) = enter(pool, index, now)
    {
        return Some((index, busy));
    }
    if let [plan] = &pool.servers[..] {
        let free = plan.weight > 0 && may_be(pool, plan, 0, wishes, but, now);
        return free
            .then(|| enter(pool, 0, now))
            .flatten()
            .map(|busy| (0, busy));
    }
    let mut picker = x.installed.pickers[way.pool.0].borrow_mut();
    let mut dice = || fastrand::u64(..);
    // Somebody else may take the last place between looking and entering: look again.
    for _ in 0..=pool.servers.len().min(16) {
        let first = pool.live.tier(fastrand::u32(..));
        if let Some(picked) = probe(pool, first, wishes, but, now) {
            return Some(picked);
        }
        let tiers = std::iter::once(first)
            .chain((0..=usize::from(ServerPlan::TIER_MAX)).filter(|tier| *tier != first));
        let index = tiers
            .map(|tier| Table {
                pool,
                tier,
                wishes,
                but,
                now,
            })
            .find_map(|table| picker.pick(&table, &mut dice, wishes.key))?;
        if let Some(busy) = enter(pool, index, now) {
            return Some((index, busy));
        }
    }
    None
}

/// A server of a better tier than that of the request, if it is time to find out whether it is
/// back. Such a tier gets no share of the requests: nobody else would ask.
fn probe(
    pool: &PoolPlan,
    tier: usize,
    wishes: &Wishes,
    but: But<'_>,
    now: u64,
) -> Option<(usize, Busy)> {
    if tier == 0 {
        return None;
    }
    let is_due = |(index, plan): &(usize, &ServerPlan)| {
        usize::from(plan.tier) < tier
            && plan.weight > 0
            && pool.live.is_probe_due(&plan.server, now)
            && may_be(pool, plan, *index, wishes, but, now)
    };
    let (index, _) = pool.servers.iter().enumerate().find(is_due)?;
    Some((index, enter(pool, index, now)?))
}

fn enter(pool: &PoolPlan, index: usize, now: u64) -> Option<Busy> {
    let plan = &pool.servers[index];
    if pool.live.mode() == Rank::Gone && !plan.server.claim_resort(now, RESORT_MS) {
        return None;
    }
    pool.live.enter(&plan.server, plan.requests_max, now)
}

/// May this server be asked, its weight aside?
fn may_be(
    pool: &PoolPlan,
    plan: &ServerPlan,
    index: usize,
    wishes: &Wishes,
    but: But<'_>,
    now: u64,
) -> bool {
    let server = &plan.server;
    (plan.requests_max == 0 || server.busy() < plan.requests_max)
        && !but.tried.contains(&index)
        && !(but.failing && server.is_failing())
        && is_eligible(pool, server, wishes.probes, now)
        && (pool.live.mode() != Rank::Gone || server.may_resort(now))
}

fn is_eligible(pool: &PoolPlan, server: &Server, probes: Probes, now: u64) -> bool {
    let is_probe = probes == Probes::Yes;
    pool.live.is_eligible(server, is_probe, now)
        || probes == Probes::Late
            && (pool.live).is_eligible(server, true, now.saturating_sub(PROBE_LATE_MS))
}

/// One tier of a pool as those who pick see it.
struct Table<'a> {
    pool: &'a PoolPlan,
    tier: usize,
    wishes: &'a Wishes,
    but: But<'a>,
    now: u64,
}

impl Candidates for Table<'_> {
    fn len(&self) -> usize {
        self.pool.servers.len()
    }

    fn weight(&self, index: usize) -> u32 {
        let plan = &self.pool.servers[index];
        let out = usize::from(plan.tier) != self.tier
            || plan.weight == 0
            || !may_be(self.pool, plan, index, self.wishes, self.but, self.now);
        if out {
            return 0;
        }
        // Of 256, so that this cannot overflow; a beginner gets something.
        (plan.weight * plan.server.share_256(self.now) / 256).max(1)
    }

    fn load(&self, index: usize) -> u32 {
        self.pool.servers[index].server.busy()
    }

    fn latency_us(&self, index: usize) -> u32 {
        PeakEwma::from_bits(self.pool.servers[index].server.latency()).value(self.now)
    }

    fn weight_max(&self) -> u32 {
        self.pool.weight_max
    }
}

/// Is there hope? Servers that restart are back in a moment; when nobody has been in reach for
/// several times the longest wait, clients are better told at once.
pub(super) fn may_wait(x: &Exchange, pool: &PoolPlan) -> bool {
    let Some(queue) = pool.queue else {
        return false;
    };
    if x.asks.has_stand_in && pool.live.is_gone() {
        return false;
    }
    let long = u64::try_from(queue.timeout.as_millis()).unwrap_or(u64::MAX);
    !pool
        .live
        .is_long_gone(x.worker.coarse_ms(), long.saturating_mul(HOPE))
}

/// So many times the longest wait.
const HOPE: u64 = 3;

/// Lets time go by, unless the client leaves.
fn pause(cx: &mut Context<'_>, conn: &mut ClientStream, over: Tick) -> Poll<Result<(), Fault>> {
    if conn.has_received_all() && conn.poll_gone(cx).is_ready() {
        return Poll::Ready(Err(Code::ClientGone.into()));
    }
    conn.timer().arm(over);
    if conn.timer().is_expired(cx) {
        Poll::Ready(Ok(()))
    } else {
        Poll::Pending
    }
}

/// How long a request waits for a server.
pub(super) struct Patience<'a> {
    /// All waiting of the request ends then; set by its first.
    pub(super) until: &'a mut Option<Tick>,
    /// Nobody is asked before a tick has gone by.
    pub(super) pauses: bool,
    /// Of the whole exchange.
    pub(super) deadline: Tick,
}

/// Waits for a server that can be asked.
pub(super) async fn wait(
    x: &Exchange,
    conn: &mut ClientStream,
    way: &Way,
    wishes: &Wishes,
    patience: Patience<'_>,
) -> Result<(usize, Busy), Fault> {
    let pool = x.installed.plan.pool(way.pool);
    if pool.servers.is_empty() {
        return Err(Code::ProxyPoolEmpty.into());
    }
    let Some(queue) = pool.queue.filter(|_| may_wait(x, pool)) else {
        return Err(Code::ProxyPoolBusy.into());
    };
    let timers = &x.worker.local.timers;
    let Patience {
        until,
        pauses,
        deadline,
    } = patience;
    let until = *until.get_or_insert_with(|| timers.now().saturating_add(ticks(queue.timeout)));
    let priority = x.route_plan().map_or(0, |route| route.priority);
    if pauses {
        // Two: the present one may be over in a moment.
        let over = timers.now().saturating_add(2).min(until).min(deadline);
        poll_fn(|cx| pause(cx, conn, over)).await?;
    }
    let mut waiting =
        Waiting::join(&pool.live, priority, u64::MAX, queue.waiting).ok_or(Code::ProxyQueueFull)?;
    let but = But {
        tried: &[],
        failing: false,
    };
    loop {
        let called = poll_fn(|cx| {
            if waiting.poll_called(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            // A body that arrives meanwhile is read ahead a little, so that who leaves is noticed.
            if conn.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Code::ClientGone));
            }
            conn.timer().arm(until.min(deadline));
            if !conn.timer().is_expired(cx) {
                return Poll::Pending;
            }
            Poll::Ready(Err(if deadline <= timers.now() {
                Code::ProxyTimeout
            } else {
                Code::ProxyQueueTimeout
            }))
        });
        match called.await {
            Ok(()) => {}
            Err(Code::ProxyQueueTimeout) => {
                waiting.gave_up();
                return Err(Code::ProxyQueueTimeout.into());
            }
            Err(code) => return Err(code.into()),
        }
        if let Some(picked) = pick(x, way, wishes, but) {
            waiting.served();
            return Ok(picked);
        }
        waiting.back();
    }
}
