//! After `fetch`: is what came to be kept, does it say that what is held still holds, or is a stale
//! copy better than a fault? One place decides.

use std::{rc::Rc, sync::Arc};

use croupier_cache::{
    Object,
    object::push_line,
    rules::{
        control::Asked,
        giving, groups, invalidate,
        storing::{self, Asking, Because, Moments},
        update,
        vary::VaryNames,
    },
    store::Fill,
};
use croupier_http::{BodyLen, Name, rules::hop};
use croupier_net::timers::Tick;

use super::{
    Ticket, fill,
    kept::{self, Held},
    key,
};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::Fault,
    plan::cache::CachePlan,
};

/// How long it is remembered that an answer is not for keeping, milliseconds.
const PASS_MS: u64 = 10_000;

/// Makes the answer of what was fetched.
pub(crate) fn conclude(
    x: &mut Exchange,
    ticket: Ticket,
    fetched: Result<Answer, Fault>,
    deadline: Tick,
) -> Result<Answer, Fault> {
    let installed = Rc::clone(&x.installed);
    let rule = x.route.and_then(|id| installed.plan.route(id).cache.as_deref());
    let Some(rule) = rule else { return fetched };
    match (ticket, fetched) {
        (Ticket::Skip, fetched) => fetched,
        (Ticket::Invalidate, fetched) => {
            if let Ok(Answer::Dealt(dealt)) = &fetched {
                invalidate(x, rule, dealt);
            }
            fetched
        }
        (Ticket::Refresh(_, held), Err(fault)) => or_stale(x, held, fault),
        (Ticket::Refresh(fill, held), Ok(Answer::Dealt(dealt))) => {
            refreshed(x, rule, (fill, held), dealt, deadline)
        }
        (Ticket::Fill(fill), Ok(Answer::Dealt(dealt))) => {
            Ok(filled(x, rule, fill, dealt, deadline))
        }
        // A fill that is dropped lets the next one ask.
        (_, fetched) => fetched,
    }
}

/// What is held instead of a fault, as long as it may be given.
fn or_stale(x: &mut Exchange, held: Arc<Object>, fault: Fault) -> Result<Answer, Fault> {
    let now_ms = x.worker.moment().1;
    let asked = Asked::of(&x.incoming.head.fields);
    if !fault.is_of_origin() || giving::may_give_on_error(&asked, &held.terms, now_ms).is_err() {
        return Err(fault);
    }
    x.failed(fault);
    x.tally.fault = None;
    Ok(stale(x, held, now_ms))
}

fn stale(x: &mut Exchange, held: Arc<Object>, now_ms: u64) -> Answer {
    x.tally.cache.stale(&held.terms, now_ms);
    held.hit();
    let age = Some(held.terms.age(now_ms));
    kept::answer(x, Held::Whole(held), age)
}
