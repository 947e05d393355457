//! Before and after `fetch`: is the answer held already, and is what comes to be held?
//!
//! [`look_up`] stands before any origin is bothered: it answers from what is held, waits for
//! another exchange that asks for the same, or gives a [`Ticket`], which says what the answer may
//! do. [`conclude()`] looks at that answer: kept, merged into what is held, or passed on; or a stale
//! copy stands in for a fault. What is right is judged by `croupier_cache::rules`.

mod conclude;
mod content;
mod fill;
pub(crate) mod key;
mod parts;
mod purge;
mod slices;
mod tell;
mod wait;

use std::{rc::Rc, sync::Arc};

use croupier_cache::{
    Object, Rules,
    rules::{Asked, Because, Give, control::Wish, may_give},
    store::{Brought, Claim, Fill, Found, Reading, Waiting},
};
use croupier_http::{Method, Name, NameSet, rules::hop};
use croupier_net::{client::ClientStream, timers::Tick};

use self::wait::{Pause, Waited};
use crate::{
    answer::Answer,
    exchange::Exchange,
    fault::{Code, Fault},
    incoming::Incoming,
    kept::{Held, Kept, Share},
    plan::cache::CachePlan,
};

pub(crate) use conclude::conclude;

/// What the cache says to a request.
#[expect(
    clippy::large_enum_variant,
    reason = "given once an exchange, and never kept"
)]
pub(crate) enum Looked {
    /// It is answered.
    Answer(Answer),
    /// An origin must be asked.
    Ask(Ticket),
}

/// What the answer of an origin may do to what is held.
pub(crate) enum Ticket {
    /// Nothing.
    Skip,
    /// Make what is held of its target invalid: the request changes something.
    Invalidate,
    /// Be kept.
    Fill(Fill),
    /// Say that what is held holds still, or take its place. Without a fill it can do neither, but
    /// what is held still stands in for an error.
    Refresh(Option<Fill>, Arc<Object>),
    /// Be the rest of what is held the beginning of.
    Rest(Fill, Arc<Object>),
    /// Say in answer to HEAD whether what is held holds still.
    Head(Arc<Object>),
}

/// So often a request looks again, because another one's answer turned out not to be for it or what
/// the disk had led on.
const ROUNDS_MAX: u32 = 6;

/// Looks for an answer that is held.
pub(crate) async fn look_up(x: &mut Exchange, conn: &mut ClientStream) -> Result<Looked, Fault> {
    let installed = Rc::clone(&x.installed);
    let rule = x
        .route
        .and_then(|id| installed.plan.route(id).cache.as_ref());
    let Some(rule) = rule else {
        return Ok(Looked::Ask(Ticket::Skip));
    };
    if let Some(answer) = purge::run(x, rule) {
        return Ok(Looked::Answer(answer));
    }
    let asked = Asked::of(&x.incoming.head.fields);
    if let Some(aside) = stands_aside(&x.incoming, rule, &asked) {
        tell::forward(x, rule, aside.because);
        return Ok(Looked::Ask(aside.ticket));
    }
    if x.incoming.head.method == Method::Query {
        Box::pin(content::read(x, conn)).await?;
    }
    let mut until = None;
    let mut brought = None;
    for _ in 0..ROUNDS_MAX {
        // Each time: while this exchange waited, the worker's key was others'.
        key::write(x, rule);
        let (pause, held) = match look(x, rule, &asked, brought.take())? {
            Once::Done(looked) => return Ok(looked),
            Once::Wait(waiting, held) => (Pause::Other(waiting), held),
            Once::Read(reading) => (Pause::Disk(reading), None),
            Once::Slices(object, share) => {
                let giving = slices::give(x, conn, rule, (object, share));
                match Box::pin(giving).await? {
                    Some(answer) => return Ok(Looked::Answer(answer)),
                    None => continue,
                }
            }
        };
        let timers = &x.worker.local.timers;
        let until = *until.get_or_insert_with(|| timers.after(Some(rule.collapse_wait)));
        // Rare, and large.
        match Box::pin(wait::run(x, conn, pause, until)).await? {
            Waited::Woken => {}
            Waited::Brought(what) => brought = Some(what),
            Waited::TooLong => {
                tell::forward(x, rule, Because::Waited);
                return Ok(Looked::Ask(match held {
                    Some(held) => Ticket::Refresh(None, held),
                    None => Ticket::Skip,
                }));
            }
        }
    }
    tell::forward(x, rule, Because::Waited);
    Ok(Looked::Ask(Ticket::Skip))
}

/// Between `fetch` and [`conclude()`]: an origin that was asked for the rest of what is held, and does
/// not give it, is asked again.
pub(crate) async fn complete(
    x: &mut Exchange,
    conn: &mut ClientStream,
    ticket: Ticket,
    fetched: Result<Answer, Fault>,
    deadline: Tick,
) -> (Ticket, Result<Answer, Fault>) {
    match (ticket, fetched) {
        (Ticket::Rest(fill, held), Ok(answer @ Answer::Dealt(_))) => {
            // Rare, and large.
            Box::pin(parts::complete(x, conn, (fill, held), Ok(answer), deadline)).await
        }
        other => other,
    }
}

/// What one look came to.
#[expect(
    clippy::large_enum_variant,
    reason = "given once an exchange, and never kept"
)]
enum Once {
    Done(Looked),
    /// Another exchange is asking.
    Wait(Waiting, Option<Arc<Object>>),
    /// It may lie on disk.
    Read(Reading),
    /// It is held, slice by slice.
    Slices(Arc<Object>, Share),
}

/// Looks once, at the worker's key; `brought` is what the disk had for it.
fn look(
    x: &mut Exchange,
    rule: &CachePlan,
    asked: &Asked,
    brought: Option<Brought>,
) -> Result<Once, Fault> {
    let now_ms = x.worker.moment().1;
    let found = match brought {
        Some(Brought::Object(object)) => Found::Held(object),
        Some(Brought::Nothing) => Found::Nothing,
        Some(Brought::Again) | None => {
            let key = x.worker.key.borrow();
            rule.store.look_up(&key, &x.incoming.head.fields, now_ms)
        }
    };
    let held = match found {
        Found::Held(object) if object.terms.rules.has(Rules::PARTIAL) => {
            return parts::look(x, rule, asked, object, now_ms);
        }
        Found::Held(object) if !may_see(x, &object) => {
            tell::forward(x, rule, Because::Authorization);
            return Ok(Once::Done(Looked::Ask(Ticket::Skip)));
        }
        Found::Held(object) => match may_give(asked, &object.terms, now_ms) {
            Give::Fresh => return Ok(Once::Done(hit(x, rule, object, now_ms))),
            Give::StaleByConsent => return Ok(Once::Done(stale(x, rule, object, now_ms))),
            Give::StaleWhileRevalidate => {
                if x.incoming.head.method != Method::Head
                    && let Claim::Fill(fill) = claim(x, rule)
                {
                    fill::refresh(x, fill, &object);
                }
                return Ok(Once::Done(stale(x, rule, object, now_ms)));
            }
            Give::Ask(because) => Some((object, because)),
        },
        Found::OnDisk(reading) => return Ok(Once::Read(reading)),
        Found::Filling(filling) if !asks_anew(asked) => {
            tell::collapsed(x, rule);
            let kept = Kept::answer(&x.incoming.head, Held::Arriving(filling), None);
            return Ok(Once::Done(Looked::Answer(Answer::Kept(Box::new(kept)))));
        }
        Found::Filling(_) => {
            tell::forward(x, rule, Because::AskedNoCache);
            return Ok(Once::Done(Looked::Ask(Ticket::Skip)));
        }
        Found::Pass => {
            tell::forward(x, rule, Because::Passed);
            // Nobody waits for it; but it may be for keeping by now.
            return Ok(Once::Done(Looked::Ask(match claim_of(x, rule) {
                Some(Claim::Fill(fill)) => {
                    fill::ask_for_all(x);
                    Ticket::Fill(fill)
                }
                _ => Ticket::Skip,
            })));
        }
        Found::Nothing => None,
    };
    ask(x, rule, asked, held)
}

/// Nothing is held that may be given: who asks for it, and how?
fn ask(
    x: &mut Exchange,
    rule: &CachePlan,
    asked: &Asked,
    held: Option<(Arc<Object>, Because)>,
) -> Result<Once, Fault> {
    if asked.wishes(Wish::ONLY_IF_CACHED) {
        return Err(Code::ProxyCacheAbsent.into());
    }
    let because = held
        .as_ref()
        .map_or(Because::Absent, |(_, because)| *because);
    let held = held.map(|(object, _)| object);
    let Some(claim) = claim_of(x, rule) else {
        tell::forward(x, rule, because);
        return Ok(Once::Done(Looked::Ask(of_less(x, rule, held))));
    };
    match claim {
        Claim::Fill(fill) => {
            tell::forward(x, rule, because);
            Ok(Once::Done(Looked::Ask(match held {
                Some(object) => {
                    fill::ask_whether(x, &object);
                    Ticket::Refresh(Some(fill), object)
                }
                None => {
                    fill::ask_for_all(x);
                    Ticket::Fill(fill)
                }
            })))
        }
        Claim::Wait(_) if asks_anew(asked) || is_authorized(x) => {
            tell::forward(x, rule, because);
            Ok(Once::Done(Looked::Ask(Ticket::Skip)))
        }
        Claim::Wait(waiting) => Ok(Once::Wait(waiting, held)),
    }
}

/// What the answer may do to a request for a part, or for no more than the head.
fn of_less(x: &mut Exchange, rule: &CachePlan, held: Option<Arc<Object>>) -> Ticket {
    match (held, parts::is_asked(x)) {
        (None, true) => Ticket::Fill(parts::claim(x, rule)),
        (Some(held), true) => {
            parts::ask_whether(x, &held);
            Ticket::Refresh(Some(parts::claim(x, rule)), held)
        }
        (Some(held), false) => Ticket::Head(held),
        (None, false) => Ticket::Skip,
    }
}

/// Claims the right to fetch, unless the request asks for something that is not kept.
fn claim_of(x: &Exchange, rule: &CachePlan) -> Option<Claim> {
    let head = &x.incoming.head;
    let is_whole = match head.method {
        Method::Get => !head.fields.contains(Name::RANGE),
        // Its parts are not kept: the origin gives all of it.
        method => method == Method::Query,
    };
    is_whole.then(|| claim(x, rule))
}

fn claim(x: &Exchange, rule: &CachePlan) -> Claim {
    let key = x.worker.key.borrow();
    rule.store.claim(&key, &x.incoming.head.fields)
}

fn hit(x: &mut Exchange, rule: &CachePlan, object: Arc<Object>, now_ms: u64) -> Looked {
    tell::hit(x, rule, &object, now_ms);
    give(x, object, now_ms)
}

fn stale(x: &mut Exchange, rule: &CachePlan, object: Arc<Object>, now_ms: u64) -> Looked {
    tell::stale(x, rule, &object, now_ms);
    give(x, object, now_ms)
}

fn give(x: &Exchange, object: Arc<Object>, now_ms: u64) -> Looked {
    object.hit();
    let age = Some(object.terms.age(now_ms));
    let kept = Kept::answer(&x.incoming.head, Held::Whole(object), age);
    Looked::Answer(Answer::Kept(Box::new(kept)))
}

/// A request that the cache has no part in, and what its answer may do.
struct Aside {
    because: Because,
    ticket: Ticket,
}

/// Conditions that only the origin may judge (RFC 9110 section 13.2.1).
const OF_ORIGIN: NameSet = NameSet::of(&[Name::IF_MATCH, Name::IF_UNMODIFIED_SINCE]);

/// Why the cache has no part in a request; None when it has.
fn stands_aside(incoming: &Incoming, rule: &CachePlan, asked: &Asked) -> Option<Aside> {
    let aside = |because, ticket| Some(Aside { because, ticket });
    match incoming.head.method {
        Method::Get | Method::Head => {}
        Method::Query if content::is_readable(incoming) => {}
        Method::Query => return aside(Because::AskedContent, Ticket::Skip),
        Method::Options | Method::Trace | Method::Connect => {
            return aside(Because::Method, Ticket::Skip);
        }
        _ => return aside(Because::Method, Ticket::Invalidate),
    }
    let fields = &incoming.head.fields;
    if !incoming.lawful.body.is_empty() && incoming.head.method != Method::Query {
        return aside(Because::AskedContent, Ticket::Skip);
    }
    if incoming.lawful.wants_websocket || fields.present().intersects(OF_ORIGIN) {
        return aside(Because::AskedCondition, Ticket::Skip);
    }
    if asked.wishes(Wish::NO_STORE) {
        return aside(Because::AskedNoStore, Ticket::Skip);
    }
    if rule.bypass(fields).is_some() {
        return aside(Because::BypassCookie, Ticket::Skip);
    }
    let mut others = fields.iter().filter(|field| field.name == Name::OTHER);
    if others.any(|field| hop::overrides_method(field.raw_name)) {
        return aside(Because::Method, Ticket::Skip);
    }
    None
}

/// Why the cache has no part in a request, for `explain`; None when it has.
pub(crate) fn why_aside(incoming: &Incoming, rule: &CachePlan) -> Option<Because> {
    let asked = Asked::of(&incoming.head.fields);
    stands_aside(incoming, rule, &asked).map(|aside| aside.because)
}

/// May this request be answered with that object? One that is logged in gets only what is for all.
fn may_see(x: &Exchange, object: &Object) -> bool {
    !is_authorized(x) || object.terms.rules.has(Rules::FOR_AUTHORIZED)
}

fn is_authorized(x: &Exchange) -> bool {
    x.incoming.head.fields.contains(Name::AUTHORIZATION)
}

/// Does the request itself want the origin's word?
fn asks_anew(asked: &Asked) -> bool {
    asked.wishes(Wish::NO_CACHE) || asked.max_age == Some(0)
}
