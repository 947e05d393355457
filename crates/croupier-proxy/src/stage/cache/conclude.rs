//! After `fetch`: is what came to be kept, does it say that what is held holds still, or is a stale
//! copy better than a fault? One place decides.

use std::{rc::Rc, sync::Arc};

use croupier_cache::{
    Object,
    rules::{
        self, Asked, Because, VaryNames,
        conditional::{self, Validators},
        giving, groups, invalidate,
        storing::{Asking, Moments, Parts},
        update::{self, HeadSays},
    },
    store::{Claim, Fill, Full, Head, How, Which},
};
use croupier_http::{BodyLen, Method, Name, Scheme, Target};
use croupier_net::timers::Tick;

use super::{Ticket, fill, key, parts, slices, tell};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::Fault,
    kept::{Held, Kept},
    plan::cache::CachePlan,
    stage::shape,
};

/// So long it is remembered that an answer was not for keeping, milliseconds: longer than a busy
/// page is loaded, shorter than anybody waits for its cache to begin.
const PASS_MS: u64 = 10_000;

/// Makes the answer of what was fetched.
pub(crate) fn conclude(
    x: &mut Exchange,
    ticket: Ticket,
    fetched: Result<Answer, Fault>,
    deadline: Tick,
) -> Result<Answer, Fault> {
    let installed = Rc::clone(&x.installed);
    let rule = x
        .route
        .and_then(|id| installed.plan.route(id).cache.as_ref());
    let Some(rule) = rule else { return fetched };
    match (ticket, fetched) {
        (Ticket::Invalidate, Ok(Answer::Dealt(dealt))) => {
            invalidate(x, rule, &dealt);
            Ok(kept_for_get(x, rule, dealt, deadline))
        }
        (Ticket::Head(held), Ok(Answer::Dealt(dealt))) => {
            hear_head(x, rule, &held, &dealt);
            Ok(Answer::Dealt(dealt))
        }
        (Ticket::Fill(fill), Ok(Answer::Dealt(dealt))) => {
            Ok(filled(x, rule, fill, dealt, deadline))
        }
        (Ticket::Refresh(_, held) | Ticket::Head(held), Err(fault)) => {
            instead(x, rule, held, fault)
        }
        (Ticket::Refresh(fill, held), Ok(Answer::Dealt(dealt))) => {
            Ok(refreshed(x, rule, (fill, held), dealt, deadline))
        }
        // A fill that is dropped lets the next one ask.
        (_, fetched) => fetched,
    }
}

/// What is held instead of a fault, as long as it may be given.
fn instead(
    x: &mut Exchange,
    rule: &CachePlan,
    held: Arc<Object>,
    fault: Fault,
) -> Result<Answer, Fault> {
    let now_ms = x.worker.moment().1;
    // Also when no server was there to be asked: whose fault it is, is no matter to the client.
    let is_failure = fault.is_of_origin() || giving::is_error(fault.code.status());
    if !is_failure || !stands_in(x, &held, now_ms) {
        return Err(fault);
    }
    x.failed(fault);
    x.tally.fault = None;
    tell::stale(x, rule, &held, now_ms);
    Ok(give(x, rule, held, now_ms))
}

/// May it be given in the place of an error?
fn stands_in(x: &Exchange, held: &Object, now_ms: u64) -> bool {
    let asked = Asked::of(&x.incoming.head.fields);
    giving::may_give_on_error(&asked, &held.terms, now_ms).is_ok()
}

fn give(x: &Exchange, rule: &CachePlan, held: Arc<Object>, now_ms: u64) -> Answer {
    if let Some(answer) = slices::give_at_once(x, rule, &held, now_ms) {
        return answer;
    }
    held.hit();
    let age = Some(held.terms.age(now_ms));
    let kept = Kept::answer(&x.incoming.head, Held::Whole(held), age);
    Answer::Kept(Box::new(kept))
}

/// What came in answer to the question whether what is held holds still.
fn refreshed(
    x: &mut Exchange,
    rule: &CachePlan,
    (fill, held): (Option<Fill>, Arc<Object>),
    dealt: Dealt,
    deadline: Tick,
) -> Answer {
    let now_ms = x.worker.moment().1;
    let status = dealt.head.status;
    if giving::is_error(status) && stands_in(x, &held, now_ms) {
        fill::discard(x, dealt, deadline);
        tell::stale(x, rule, &held, now_ms);
        return give(x, rule, held, now_ms);
    }
    let Some(fill) = fill else {
        return Answer::Dealt(dealt);
    };
    if status != 304 {
        return filled(x, rule, fill, dealt, deadline);
    }
    let asking = asking(x);
    let moments = moments(x, now_ms);
    let fields = &dealt.head.fields;
    let fresh = match update::refresh(&asking, &held, fields, &rule.policy, moments) {
        Ok((lines, terms)) => fill.refresh(&held, lines, terms),
        Err(because) => {
            // It may be kept no longer, but this request has the origin's word for it.
            let purged = Which::Key(held.key.clone());
            rule.store.purge(&purged, How::Hard);
            tell::not_stored(x, because);
            held
        }
    };
    fill::discard(x, dealt, deadline);
    tell::revalidated(x, fresh.terms.left(now_ms));
    give(x, rule, fresh, now_ms)
}

/// The answer to HEAD says something of the answer to GET that is held (RFC 9111 section 4.3.5).
fn hear_head(x: &mut Exchange, rule: &CachePlan, held: &Arc<Object>, dealt: &Dealt) {
    let validators = Validators::of_lines(&held.lines);
    match update::head_says(&validators, held.body.length(), &dealt.head) {
        HeadSays::Nothing => {}
        HeadSays::Other => {
            let which = Which::Key(held.key.clone());
            rule.store.purge(&which, How::Soft);
        }
        HeadSays::Same => {
            let moments = moments(x, x.worker.moment().1);
            let fields = &dealt.head.fields;
            if let Ok((lines, terms)) =
                update::refresh(&asking(x), held, fields, &rule.policy, moments)
            {
                // Whoever asks next finds it: nobody is given it here.
                drop(rule.store.refresh(held, lines, terms));
            }
        }
    }
}

/// The answer to a POST that is its target's own representation is kept as if GET had been asked
/// (RFC 9110 section 9.3.3).
fn kept_for_get(x: &mut Exchange, rule: &CachePlan, dealt: Dealt, deadline: Tick) -> Answer {
    let incoming = &x.incoming;
    let scheme = scheme(incoming.scheme);
    let target = &incoming.target;
    let fields = &incoming.head.fields;
    let is_it = incoming.head.method == Method::Post
        && invalidate::is_kept_for_get(scheme, target, &target.authority, &dealt.head)
        // Whoever reads the rest of the request is not there when nobody waits for the answer.
        && dealt.upload.is_over()
        && !fields.contains(Name::RANGE)
        && !conditional::is_conditional(fields)
        && rule.bypass(fields).is_none();
    if !is_it {
        return Answer::Dealt(dealt);
    }
    key::write(x, rule);
    let claim = {
        let key = x.worker.key.borrow();
        let fields = &x.incoming.head.fields;
        let _ = rule.store.look_up(&key, fields, x.worker.moment().1);
        rule.store.claim(&key, fields)
    };
    match claim {
        Claim::Fill(fill) => filled(x, rule, fill, dealt, deadline),
        Claim::Wait(_) => Answer::Dealt(dealt),
    }
}

/// What came for a request whose answer may be kept.
fn filled(x: &mut Exchange, rule: &CachePlan, fill: Fill, dealt: Dealt, deadline: Tick) -> Answer {
    if dealt.head.status == 206 && parts::is_asked(x) {
        return parts::keep(x, rule, fill, dealt, deadline);
    }
    let now_ms = x.worker.moment().1;
    let head = &dealt.head;
    let length = match dealt.body {
        BodyLen::Length(length) => Some(length),
        BodyLen::None => Some(0),
        BodyLen::Chunked | BodyLen::UntilClose => None,
    };
    if let Some(length) = length
        && length > rule.store.largest()
        && head.status == 200
        && x.incoming.head.method == Method::Get
        && parts::gives_ranges(&head.fields)
    {
        return parts::note_whole(x, rule, fill, dealt, length);
    }
    let judged = rules::may_store(&asking(x), head, &rule.policy, moments(x, now_ms));
    let judged = match length {
        Some(length) if length > rule.policy.max_object => Err(Because::TooLarge),
        // Fields behind the body would be lost.
        _ if head.fields.contains(Name::TRAILER) => Err(Because::Trailers),
        _ => judged,
    };
    let vary = VaryNames::of(&head.fields);
    let (terms, vary) = match (judged, vary) {
        (Ok(terms), Some(vary)) => (terms, vary),
        (Ok(_), None) => return passed(x, rule, fill, dealt, Because::VaryStar),
        (Err(because), _) => return passed(x, rule, fill, dealt, because),
    };
    let kept = Head {
        status: head.status,
        lines: shape::lines_to_keep(x, head).into_boxed_slice(),
        terms,
        length,
        tags: parts::tags(x, head),
    };
    match fill.begin(kept, &vary, &x.incoming.head.fields) {
        Ok((writer, filling)) => {
            tell::stored(x, terms.left(now_ms));
            let age = (terms.initial_age > 0).then(|| terms.age(now_ms));
            fill::begin(x, dealt, writer, deadline);
            let kept = Kept::answer(&x.incoming.head, Held::Arriving(filling), age);
            Answer::Kept(Box::new(kept))
        }
        Err(full) => {
            tell::not_stored(
                x,
                match full {
                    Full::TooLarge => Because::TooLarge,
                    Full::NoRoom => Because::NoRoom,
                },
            );
            Answer::Dealt(dealt)
        }
    }
}

/// It is not for keeping: nobody waits for the next one.
pub(super) fn passed(
    x: &mut Exchange,
    rule: &CachePlan,
    fill: Fill,
    dealt: Dealt,
    because: Because,
) -> Answer {
    tell::not_stored(x, because);
    let now_ms = x.worker.moment().1;
    // The worker's key was others' meanwhile.
    key::write(x, rule);
    let key = x.worker.key.borrow();
    rule.store.refused(&key, because.as_str(), now_ms);
    drop(key);
    // Who is logged in says nothing about what others get, a part nothing about the whole.
    let speaks_for_others =
        !x.incoming.head.fields.contains(Name::AUTHORIZATION) && !parts::is_asked(x);
    if speaks_for_others {
        fill.pass(now_ms.saturating_add(PASS_MS));
    }
    Answer::Dealt(dealt)
}

fn asking(x: &Exchange) -> Asking<'_> {
    Asking {
        // What is kept of a POST is kept as if GET had been asked.
        method: match x.incoming.head.method {
            Method::Query => Method::Query,
            _ => Method::Get,
        },
        fields: &x.incoming.head.fields,
        parts: Parts::Refuse,
    }
}

pub(super) fn moments(x: &Exchange, now_ms: u64) -> Moments {
    Moments {
        asked_ms: x.incoming.unix_ms,
        received_ms: now_ms,
    }
}

/// A request has changed something: what is held of its target is to be asked for again, and so is
/// what its answer names (RFC 9111 section 4.4, RFC 9875 section 3).
fn invalidate(x: &mut Exchange, rule: &CachePlan, dealt: &Dealt) {
    let head = &dealt.head;
    if !invalidate::invalidates(x.incoming.head.method, head.status) {
        return;
    }
    key::forget(x, &x.incoming.target);
    let scheme = scheme(x.incoming.scheme);
    let target = &x.incoming.target;
    for location in invalidate::locations(&head.fields) {
        let mut other = Target::default();
        if invalidate::resolve(scheme, target, &target.authority, location, &mut other).is_some() {
            key::forget(x, &other);
        }
    }
    for tag in groups::invalidated(&head.fields, &key::origin(x)).iter() {
        rule.store.purge(&Which::Tag(tag.into()), How::Soft);
    }
}

fn scheme(word: &str) -> Scheme {
    match word {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    }
}
