//! Stage 4: whom do we ask? Borrow a connection, send, wait for a head, and if that fails ask
//! another server when it is safe. The only stage that talks to origins, the only loop with
//! retries; the request body moves meanwhile.
//!
//! [`choose`] picks a server, or waits for one; [`attempt`] asks it; [`report`] tells the pool how
//! it went; [`resume`] continues a download that broke.

mod asking;
mod attempt;
mod choose;
mod hedge;
pub(crate) mod hello;
pub(crate) mod report;
pub(crate) mod resume;

use std::{rc::Rc, sync::Arc};

use croupier_config::model::HedgeAfter;
use croupier_net::{client::ClientStream, timers::Tick};

use self::{
    asking::Interim,
    attempt::{Answered, Ask, Failed, Line, Outcome},
    choose::{But, Patience, Wishes},
};
use super::{inspect, mirror};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::{Code, Fault, Retry},
    grpc,
    incoming::Incoming,
    live::{Busy, Server},
    plan::{MirrorPlan, PoolPlan, RetryPlan, Way},
    pool::{
        budget::{self, Retrying},
        retry::{Body, Cost, Progress, Repeatable, Sent, may_retry, may_retry_status},
    },
    relay::{replay::Replay, upload::Upload},
};

pub(crate) use attempt::host;
pub(crate) use choose::{copy_to, first_choice, has_key, way};

/// Chooses the way when there are several; gives the end of the exchange.
pub(crate) fn set_out(x: &mut Exchange) -> Result<Tick, Fault> {
    let route = x.route_plan().ok_or(Code::ProxyInternal)?;
    x.way = Some(way(&route.action, &x.incoming));
    let way = x.way().ok_or(Code::ProxyInternal)?;
    let timers = &x.worker.local.timers;
    let asked = grpc::timeout(&x.incoming.head.fields);
    Ok(timers.after(way.times.exchange).min(timers.after(asked)))
}

/// Gets an answer's head from a server of the pool.
pub(crate) async fn run(
    x: &mut Exchange,
    conn: &mut ClientStream,
    deadline: Tick,
) -> Result<Answer, Fault> {
    conn.check_arrived()
        .map_err(|error| inspect::body_fault(&error))?;
    let installed = Rc::clone(&x.installed);
    let route = x.route.map(|id| installed.plan.route(id));
    let ways = route.map_or(&[][..], |route| route.action.ways());
    let way = x
        .way
        .and_then(|way| ways.get(way))
        .ok_or(Code::ProxyInternal)?;
    let mirror = route.and_then(|route| route.mirror.as_deref());
    let mut trial = Trial::new(x, way, installed.plan.pool(way.pool), mirror);
    let mut next = choose::first(x, way, &trial.wishes, trial.but());
    loop {
        let (index, busy) = match next.take() {
            Some(picked) => picked,
            None => {
                trial.tried.clear();
                let patience = Patience {
                    until: &mut trial.waits_until,
                    pauses: trial.pauses,
                    deadline,
                };
                // Boxed, like all that is rare: every exchange carries what is not.
                let waiting = Box::pin(choose::wait(x, conn, way, &trial.wishes, patience));
                match waiting.await {
                    Ok(picked) => {
                        trial.pay_debt(x)?;
                        picked
                    }
                    Err(fault) => return Err(trial.gave_up(x, fault)),
                }
            }
        };
        match trial.attempt(x, conn, (index, busy), deadline).await {
            Ok((index, answered)) => match trial.judge(x, index, answered) {
                Verdict::Deliver(answered) => return Ok(trial.answer(x, index, answered)),
                Verdict::Again(picked) => next = Some(picked),
            },
            Err(failed) => next = trial.failed(x, index, failed)?,
        }
    }
}

/// All attempts of one request.
struct Trial<'a> {
    way: &'a Way,
    pool: &'a PoolPlan,
    wishes: Wishes,
    repeatable: Repeatable,
    /// Servers asked, by index.
    tried: Vec<usize>,
    line: Line,
    /// Attempts that may have reached a server.
    reached: u32,
    upload: Upload,
    /// While a retry that costs something is under way.
    paid: Option<Paid>,
    /// A server that failed, and the epoch then: was it the server's end, or must the budget pay?
    owes: Option<(Arc<Server>, u32)>,
    /// A server did not look at the request: often enough to ask another one.
    unprocessed: bool,
    /// Nobody is asked again before a pause.
    pauses: bool,
    /// All waiting for a server ends then.
    waits_until: Option<Tick>,
    /// Who gets a copy.
    mirror: Option<&'a MirrorPlan>,
    /// Why we look for another server.
    last: Option<Fault>,
}

enum Verdict {
    Deliver(Answered),
    Again((usize, Busy)),
}

impl<'a> Trial<'a> {
    fn new(x: &Exchange, way: &'a Way, pool: &'a PoolPlan, mirror: Option<&'a MirrorPlan>) -> Self {
        let repeatable = repeatable(x, way.retry.as_ref());
        let mirror = mirror.filter(|mirror| mirror::is_wanted(x, mirror));
        let mut limits = way
            .retry
            .as_ref()
            .map(|retry| retry.replay)
            .unwrap_or_default();
        if let Some(mirror) = mirror {
            let body = usize::try_from(mirror.body_max).unwrap_or(usize::MAX);
            limits.memory = limits.memory.max(body);
        }
        let replays = &x.worker.replays;
        let replay = match &x.asks.content {
            Some(content) => Replay::of(content, replays),
            None => Replay::new(limits, x.incoming.lawful.body, replays),
        };
        Self {
            way,
            pool,
            wishes: Wishes::of(&x.incoming, pool, repeatable == Repeatable::Yes).or_late(),
            repeatable,
            tried: Vec::new(),
            line: Line::Any,
            reached: 0,
            upload: Upload::new(x.plan().limits.body_bytes, replay),
            paid: None,
            owes: None,
            unprocessed: false,
            pauses: false,
            waits_until: None,
            mirror,
            last: None,
        }
    }

    fn but(&self) -> But<'_> {
        But {
            tried: &self.tried,
            failing: false,
        }
    }

    fn progress(&self, x: &Exchange, sent: Sent) -> Progress {
        Progress {
            attempts: x.tally.attempts,
            reached: self.reached,
            // No retries at all have a reason of their own.
            retries_max: (self.way.retry.as_ref()).map_or(u32::MAX, |retry| retry.max),
            sent,
            repeatable: self.repeatable,
            body: if self.upload.is_repeatable() {
                Body::Whole
            } else {
                Body::Gone
            },
        }
    }

    async fn attempt(
        &mut self,
        x: &mut Exchange,
        conn: &mut ClientStream,
        (index, busy): (usize, Busy),
        deadline: Tick,
    ) -> Result<(usize, Answered), Failed> {
        let plan = &self.pool.servers[index];
        x.tally.attempts += 1;
        if x.tally.attempts > 1 {
            x.worker.cells.server_retry(plan.server.slot);
            self.upload.again();
        }
        x.tally.server = Some(plan.server.clone());
        let ask = Ask {
            way: self.way,
            pool: self.pool,
            plan,
            index,
            hedge: self.hedge(x),
            line: self.line,
            repeatable: self.repeatable,
            may_leave: (self.way.retry.as_ref())
                .is_some_and(|retry| retry.covers(Code::OriginGone))
                && may_retry(Code::OriginGone, self.progress(x, Sent::Head)).is_ok(),
            interim: Interim::Pass,
            extra: &[],
        };
        match attempt::run(x, conn, &ask, busy, &mut self.upload, deadline).await? {
            Outcome::Own(answered) => Ok((index, answered)),
            Outcome::Other(won) => {
                x.tally.server = Some(won.server);
                Ok((won.index, won.answered))
            }
        }
    }

    /// When a second server is asked beside the first one.
    fn hedge(&self, x: &Exchange) -> Option<HedgeAfter> {
        let first = x.tally.attempts == 1 && self.repeatable == Repeatable::Yes;
        let plain = x.incoming.lawful.body.is_empty() && !x.incoming.lawful.wants_websocket;
        self.way.hedge.filter(|_| first && plain)
    }

    /// What follows a failed attempt: another server, waiting for one (None), or the end.
    fn failed(
        &mut self,
        x: &mut Exchange,
        index: usize,
        failed: Failed,
    ) -> Result<Option<(usize, Busy)>, Fault> {
        let Failed {
            fault,
            sent,
            mut busy,
        } = failed;
        report::failed(x, self.pool, &mut busy, fault.code);
        // It is gone for everybody: such a retry adds no load to a pool that is alive.
        let failed_at = (Arc::clone(busy.server()), busy.admit().epoch);
        let is_out = failed_at.0.epoch() != failed_at.1;
        drop(busy);
        self.paid = None;
        self.reached += u32::from(sent != Sent::Nothing && !is_unseen(fault.code));
        let refused = |x: &mut Exchange, reason| {
            x.tally.no_retry = reason;
            Err(fault)
        };
        let cost = match may_retry(fault.code, self.progress(x, sent)) {
            Ok(cost) => cost,
            Err(reason) => return refused(x, reason),
        };
        match &self.way.retry {
            // No attempt was made at all.
            _ if is_unseen(fault.code) => {}
            None => return refused(x, "off"),
            Some(retry) if !retry.covers(fault.code) => return refused(x, "on"),
            Some(retry) => {
                if cost == Cost::Budget && !is_out && !self.pay(retry) {
                    // Many lose their connections at once when servers die: a moment later
                    // it is known whether this one has, and then it costs nothing.
                    if !is_of_connection(fault.code) || !choose::may_wait(x, self.pool) {
                        return refused(x, "budget");
                    }
                    self.owes = Some(failed_at);
                }
            }
        }
        if fault.code == Code::OriginReusedClosed && !is_out {
            self.line = Line::Fresh;
        } else if fault.code == Code::OriginUnprocessed && !is_out && !self.unprocessed {
            // It may be only that connection which takes no more; another is made.
            self.unprocessed = true;
            self.line = Line::Any;
        } else {
            self.line = Line::Any;
            self.tried.push(index);
        }
        let next = match &self.owes {
            None => choose::pick(x, self.way, &self.wishes, self.but()),
            Some(_) => None,
        };
        // Who has nobody left to ask waits for a server that comes back. A lost connection may
        // be the first that is heard of a server's end. One that is not known to be out is asked
        // again after a pause only.
        // No time heals a certificate.
        let heals = fault.code != Code::OriginTls;
        let waits = heals && (cost == Cost::Free || is_out || is_of_connection(fault.code));
        self.pauses = !is_out;
        if next.is_none() && !(waits && choose::may_wait(x, self.pool)) {
            return refused(x, "servers");
        }
        x.failed(fault);
        x.tally.fault = None;
        self.last = Some(fault);
        Ok(next)
    }

    /// Nobody could be asked in time: what went wrong before tells more than that.
    fn gave_up(&self, x: &mut Exchange, fault: Fault) -> Fault {
        if let Some(last) = self.last
            && fault.code != Code::ClientGone
        {
            x.tally.no_retry = "queue";
            if last.code.retry() != Retry::Elsewhere {
                return last;
            }
        }
        fault
    }

    /// What was put off when the last attempt failed.
    fn pay_debt(&mut self, x: &mut Exchange) -> Result<(), Fault> {
        let Some((server, epoch)) = self.owes.take() else {
            return Ok(());
        };
        let retry = self.way.retry.as_ref();
        if server.epoch() != epoch || retry.is_some_and(|retry| self.pay(retry)) {
            return Ok(());
        }
        x.tally.no_retry = "budget";
        Err(self.last.unwrap_or_else(|| Code::ProxyPoolBusy.into()))
    }

    fn pay(&mut self, retry: &RetryPlan) -> bool {
        self.paid = pay(self.pool, Some(retry));
        self.paid.is_some()
    }

    /// An answer came: is it the client's, or does it say that another server should be asked?
    fn judge(&mut self, x: &mut Exchange, index: usize, mut answered: Answered) -> Verdict {
        self.paid = None;
        self.reached += 1;
        let status = answered.head.status;
        let time = answered.time;
        report::answered(x, self.pool, answered.lease.busy(), &answered.head, time);
        if self.way.hedge.is_some() {
            self.pool.live.latencies.note(time);
        }
        let Some(retry) = &self.way.retry else {
            return Verdict::Deliver(answered);
        };
        if !retry.covers_status(status) {
            return Verdict::Deliver(answered);
        }
        if let Err(reason) = may_retry_status(self.progress(x, Sent::Body)) {
            x.tally.no_retry = reason;
            return Verdict::Deliver(answered);
        }
        self.tried.push(index);
        // Not to servers whose last answer was no better: when all say so, so it is.
        let but = But {
            tried: &self.tried,
            failing: true,
        };
        let Some(next) = choose::pick(x, self.way, &self.wishes, but) else {
            x.tally.no_retry = "servers";
            return Verdict::Deliver(answered);
        };
        if !self.pay(retry) {
            x.tally.no_retry = "budget";
            return Verdict::Deliver(answered);
        }
        x.worker.local.take_back_response(answered.head);
        Verdict::Again(next)
    }

    fn answer(mut self, x: &mut Exchange, index: usize, answered: Answered) -> Answer {
        if let Some(mirror) = self.mirror {
            mirror::send(x, mirror, &self.upload);
        }
        self.upload.is_final();
        if self.pool.sticky.is_some() && self.wishes.stuck != Some(index) {
            x.tally.stick = Some(index);
        }
        let is_switch = answered.head.status == 101;
        let dealt = Dealt {
            lease: answered.lease,
            head: answered.head,
            body: answered.body,
            upload: self.upload,
        };
        if is_switch {
            Answer::Switch(dealt)
        } else {
            Answer::Dealt(dealt)
        }
    }
}

/// A part of the retry budget; dropping it gives it back. Pools without a budget ask for none.
struct Paid(#[expect(dead_code, reason = "held for its drop")] Option<Retrying>);

/// Takes a part of the pool's budget. None when it is used up.
fn pay(pool: &PoolPlan, retry: Option<&RetryPlan>) -> Option<Paid> {
    let Some((retry, share)) = retry.and_then(|retry| Some((retry, retry.budget?))) else {
        return Some(Paid(None));
    };
    let active = budget::active(pool.servers.iter().map(|plan| &plan.server));
    let retrying = Retrying::begin(&pool.live, active, share, retry.budget_floor)?;
    Some(Paid(Some(retrying)))
}

/// Did the server surely not look at the request: because it had closed the connection while it
/// was idle, or because it says so?
fn is_unseen(code: Code) -> bool {
    matches!(code, Code::OriginReusedClosed | Code::OriginUnprocessed)
}

/// Did the connection fail, rather than what came over it?
fn is_of_connection(code: Code) -> bool {
    matches!(
        code,
        Code::OriginReusedClosed | Code::OriginClosed | Code::OriginReset | Code::OriginGone
    )
}

/// May the request be repeated: by its method, its `Idempotency-Key`
/// (draft-ietf-httpapi-idempotency-key-header), or because the route says so?
fn repeatable(x: &Exchange, retry: Option<&RetryPlan>) -> Repeatable {
    if is_repeatable(&x.incoming, retry) {
        Repeatable::Yes
    } else {
        Repeatable::No
    }
}

pub(crate) fn is_repeatable(incoming: &Incoming, retry: Option<&RetryPlan>) -> bool {
    let head = &incoming.head;
    let says_so = retry.is_some_and(|retry| retry.is_idempotent);
    let has_key = || head.fields.all_named(b"idempotency-key").next().is_some();
    head.method.is_idempotent() || says_so || !incoming.lawful.wants_websocket && has_key()
}
