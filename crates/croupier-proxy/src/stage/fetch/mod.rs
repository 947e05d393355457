//! Stage 4: whom do we ask? Borrow a connection, send, wait for a head, and if that fails ask
//! another server when it is safe. The only stage that talks to origins, the only loop with
//! retries; the request body moves meanwhile.
//!
//! [`choose`] picks a server, or waits for one; [`attempt`] asks it; [`report`] tells the pool how
//! it went; [`resume`] continues a download that broke.

mod asking;
mod attempt;
mod choose;
pub(crate) mod report;
pub(crate) mod resume;

use std::rc::Rc;

use croupier_net::{client::ClientConn, timers::Tick};

use self::{
    asking::Interim,
    attempt::{Answered, Ask, Failed, Line},
    choose::{But, Wishes},
};
use super::{inspect, mirror};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::{Code, Fault, Retry},
    live::Busy,
    plan::{MirrorPlan, PoolPlan, RetryPlan, Way},
    pool::{
        budget::{self, Retrying},
        retry::{Body, Cost, Progress, Repeatable, Sent, may_retry, may_retry_status},
    },
    relay::{replay::Replay, upload::Upload},
};

pub(crate) use attempt::host;
pub(crate) use choose::{copy_to, first_choice, way};

/// Chooses the way when there are several; gives the end of the exchange.
pub(crate) fn set_out(x: &mut Exchange) -> Result<Tick, Fault> {
    let route = x.route_plan().ok_or(Code::ProxyInternal)?;
    x.way = Some(way(&route.action, &x.incoming));
    let way = x.way().ok_or(Code::ProxyInternal)?;
    Ok(x.worker.local.timers.after(way.times.exchange))
}

/// Gets an answer's head from a server of the pool.
pub(crate) async fn run(
    x: &mut Exchange,
    conn: &mut ClientConn,
    deadline: Tick,
) -> Result<Answer, Fault> {
    conn.wire
        .check_arrived()
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
                let (wishes, until) = (&trial.wishes, &mut trial.waits_until);
                match choose::wait(x, conn, way, wishes, until, deadline).await {
                    Ok(picked) => picked,
                    Err(fault) => return Err(trial.gave_up(x, fault)),
                }
            }
        };
        match trial.attempt(x, conn, (index, busy), deadline).await {
            Ok(answered) => match trial.judge(x, index, answered) {
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
    /// A part of the budget, while a retry that costs one is under way.
    retrying: Option<Retrying>,
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
        let replay = Replay::new(limits, x.incoming.lawful.body, &x.worker.replays);
        Self {
            way,
            pool,
            wishes: Wishes::of(&x.incoming, pool, repeatable == Repeatable::Yes),
            repeatable,
            tried: Vec::new(),
            line: Line::Any,
            reached: 0,
            upload: Upload::new(x.plan().limits.body_bytes, replay),
            retrying: None,
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
        conn: &mut ClientConn,
        (index, busy): (usize, Busy),
        deadline: Tick,
    ) -> Result<Answered, Failed> {
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
            line: self.line,
            repeatable: self.repeatable,
            may_leave: (self.way.retry.as_ref())
                .is_some_and(|retry| retry.covers(Code::OriginGone))
                && may_retry(Code::OriginGone, self.progress(x, Sent::Head)).is_ok(),
            interim: Interim::Pass,
            extra: &[],
        };
        attempt::run(x, conn, &ask, busy, &mut self.upload, deadline).await
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
        let is_out = busy.server().epoch() != busy.admit().epoch;
        drop(busy);
        self.retrying = None;
        self.reached += u32::from(sent != Sent::Nothing && fault.code != Code::OriginReusedClosed);
        let refused = |x: &mut Exchange, reason| {
            x.tally.no_retry = reason;
            Err(fault)
        };
        let cost = match may_retry(fault.code, self.progress(x, sent)) {
            Ok(cost) => cost,
            Err(reason) => return refused(x, reason),
        };
        match &self.way.retry {
            // Whoever closes what is idle has not failed, and no rule about failures counts.
            _ if fault.code == Code::OriginReusedClosed => {}
            None => return refused(x, "off"),
            Some(retry) if !retry.covers(fault.code) => return refused(x, "on"),
            Some(retry) => {
                if cost == Cost::Budget && !is_out && !self.pay(retry) {
                    return refused(x, "budget");
                }
            }
        }
        if fault.code == Code::OriginReusedClosed && !is_out {
            self.line = Line::Fresh;
        } else {
            self.tried.push(index);
        }
        let next = choose::pick(x, self.way, &self.wishes, self.but());
        // Who has nobody left to ask waits for a server that comes back, but does not ask one
        // again that is there and failed.
        let waits = (cost == Cost::Free || is_out) && choose::may_wait(x, self.pool);
        if next.is_none() && !waits {
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

    fn pay(&mut self, retry: &RetryPlan) -> bool {
        let Some(share) = retry.budget else {
            return true;
        };
        let active = budget::active(self.pool.servers.iter().map(|plan| &plan.server));
        self.retrying = Retrying::begin(&self.pool.live, active, share, retry.budget_floor);
        self.retrying.is_some()
    }

    /// An answer came: is it the client's, or does it say that another server should be asked?
    fn judge(&mut self, x: &mut Exchange, index: usize, mut answered: Answered) -> Verdict {
        self.retrying = None;
        self.reached += 1;
        let status = answered.head.status;
        let time = answered.time;
        report::answered(x, self.pool, answered.lease.busy(), &answered.head, time);
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

/// May the request be repeated: by its method, its `Idempotency-Key`
/// (draft-ietf-httpapi-idempotency-key-header), or because the route says so?
fn repeatable(x: &Exchange, retry: Option<&RetryPlan>) -> Repeatable {
    let head = &x.incoming.head;
    let says_so = retry.is_some_and(|retry| retry.is_idempotent);
    let has_key = || head.fields.all_named(b"idempotency-key").next().is_some();
    if head.method.is_idempotent() || says_so || !x.incoming.lawful.wants_websocket && has_key() {
        Repeatable::Yes
    } else {
        Repeatable::No
    }
}
