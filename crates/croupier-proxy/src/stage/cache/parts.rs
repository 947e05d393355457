//! Requests for parts (RFC 9110 section 14), and answers of which only parts are held: what is asked
//! for beside them, and how what comes is joined (RFC 9111 sections 3.3 and 3.4).

use std::{rc::Rc, sync::Arc};

use croupier_cache::{
    Body, Object,
    parts::{Partial, is_same, merge_lines},
    rules::{
        self, Asked, Because, Give, VaryNames,
        conditional::{Validators, matches_strongly},
        control::Wish,
        groups, may_give,
        range::{ContentRange, Span},
        storing::{Asking, Parts},
        update,
    },
    store::{Claim, Fill, Head, KeyBuf},
};
use croupier_http::{BodyLen, Fields, Method, Name, NameSet, ResponseHead};
use croupier_net::{client::ClientStream, timers::Tick};

use super::{
    Looked, Once, Ticket,
    conclude::{moments, passed},
    fill, key, tell,
};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::{Code, Fault},
    kept::{Held, Kept, KeptBody, Share},
    plan::cache::CachePlan,
    stage::{fetch, shape},
};

/// Is the origin going to be asked for a part, as the client wrote it?
pub(super) fn is_asked(x: &Exchange) -> bool {
    let head = &x.incoming.head;
    head.method == Method::Get
        && head.fields.contains(Name::RANGE)
        && !x.asks.drop.contains(Name::RANGE)
}

/// A claim to the part that the client asks for.
pub(super) fn claim(x: &Exchange, rule: &CachePlan) -> Fill {
    let key = x.worker.key.borrow();
    rule.store.part(&key, &x.incoming.head.fields)
}

/// Looks at an answer of which only parts are held.
pub(super) fn look(
    x: &mut Exchange,
    rule: &CachePlan,
    asked: &Asked,
    object: Arc<Object>,
    now_ms: u64,
) -> Result<Once, Fault> {
    let done = |ticket| Ok(Once::Done(Looked::Ask(ticket)));
    if !super::may_see(x, &object.terms) {
        tell::forward(x, rule, Because::Authorization);
        return done(Ticket::Skip);
    }
    let share = object
        .partial()
        .and_then(|partial| Share::of(&x.incoming.head, &object, partial));
    let give = may_give(asked, &object.terms, now_ms);
    let because = match (share, give) {
        (Some(share), Give::Fresh | Give::StaleByConsent) => {
            match give {
                Give::Fresh => tell::hit(x, rule, &object, now_ms),
                _ => tell::stale(x, rule, &object, now_ms),
            }
            return Ok(self::give(object, share, now_ms));
        }
        (None, _) => Because::Partial,
        (Some(_), Give::StaleWhileRevalidate) => Because::Stale,
        (Some(_), Give::Ask(because)) => because,
    };
    if asked.wishes(Wish::ONLY_IF_CACHED) {
        return Err(Code::ProxyCacheAbsent.into());
    }
    let head = &x.incoming.head;
    let (is_get, is_part) = (head.method == Method::Get, is_asked(x));
    if share.is_some() && is_get {
        tell::forward(x, rule, because);
        if is_part {
            ask_whether(x, &object);
        } else {
            fill::ask_whether(x, &object);
        }
        return done(Ticket::Refresh(Some(claim(x, rule)), object));
    }
    if !is_get {
        tell::forward(x, rule, because);
        return done(Ticket::Skip);
    }
    if is_part {
        tell::forward(x, rule, because);
        return done(Ticket::Fill(claim(x, rule)));
    }
    match super::claim(x, rule) {
        Claim::Wait(waiting) => Ok(Once::Wait(waiting, None)),
        Claim::Fill(fill) => {
            tell::forward(x, rule, because);
            fill::ask_for_all(x);
            if !ask_for_rest(x, &object) {
                return done(Ticket::Fill(fill));
            }
            done(Ticket::Rest(fill, object))
        }
    }
}

/// The origin is asked whether what is held holds still, and for the client's part of whatever is
/// there now.
pub(super) fn ask_whether(x: &mut Exchange, held: &Object) {
    fill::ask_whether(x, held);
    x.asks.drop = CONDITIONS;
}

/// What of the client's request is about another copy than ours.
const CONDITIONS: NameSet = NameSet::of(&[Name::IF_NONE_MATCH, Name::IF_MODIFIED_SINCE]);

fn give(object: Arc<Object>, share: Share, now_ms: u64) -> Once {
    if matches!(share, Share::Slices(_) | Share::AllSlices) {
        return Once::Slices(object, share);
    }
    object.hit();
    let age = Some(object.terms.age(now_ms));
    let kept = Kept::share(object, share, age, KeptBody::Nothing);
    Once::Done(Looked::Answer(Answer::Kept(Box::new(kept))))
}

/// The origin is asked for what is missing behind the bytes that are held from the first one on.
/// False: nothing says that both are going to be of one representation.
fn ask_for_rest(x: &mut Exchange, held: &Object) -> bool {
    let prefix = match held.body {
        Body::Memory(_) => held.partial().map_or(0, Partial::prefix),
        Body::Disk(_) => 0,
    };
    let etag = Validators::of_lines(&held.lines).etag;
    let Some(etag) = etag.filter(|etag| prefix > 0 && matches_strongly(etag, etag)) else {
        return false;
    };
    let range = format!("bytes={prefix}-").into_bytes();
    (x.asks.lines).extend([
        ("Range", range.into_boxed_slice()),
        ("If-Range", etag.into()),
    ]);
    true
}

/// What came in answer to the question for the rest: together with what is held it is the whole,
/// from now on for everybody. An origin that does not give it as it was asked for is asked once
/// more, for all.
pub(super) async fn complete(
    x: &mut Exchange,
    conn: &mut ClientStream,
    (fill, held): (Fill, Arc<Object>),
    fetched: Result<Answer, Fault>,
    deadline: Tick,
) -> (Ticket, Result<Answer, Fault>) {
    let installed = Rc::clone(&x.installed);
    let rule = x
        .route
        .and_then(|id| installed.plan.route(id).cache.as_ref());
    let (Some(rule), Ok(Answer::Dealt(dealt))) = (rule, fetched) else {
        return (Ticket::Skip, Err(Code::ProxyInternal.into()));
    };
    let ticket = match dealt.head.status {
        206 => match join(x, rule, (fill, &held), dealt, deadline) {
            Ok(answer) => return (Ticket::Skip, Ok(answer)),
            Err(fill) => fill.map_or(Ticket::Skip, Ticket::Fill),
        },
        412 | 416 => Ticket::Fill(fill),
        _ => return (Ticket::Fill(fill), Ok(Answer::Dealt(dealt))),
    };
    fill::ask_for_all(x);
    let fetched = fetch::run(x, conn, deadline).await;
    (ticket, fetched)
}

/// Puts what is held before the rest that came. The fill comes back when the rest is none.
fn join(
    x: &mut Exchange,
    rule: &CachePlan,
    (fill, held): (Fill, &Arc<Object>),
    dealt: Dealt,
    deadline: Tick,
) -> Result<Answer, Option<Fill>> {
    let now_ms = x.worker.moment().1;
    let Some(prefix) = rest_of(held, &dealt) else {
        return Err(Some(fill));
    };
    let mut head = ResponseHead::of_status(200);
    let news = &dealt.head.fields;
    update::merge(&held.lines, news, &rule.policy, &mut head.fields);
    let judged = rules::may_store(&asking(x), &head, &rule.policy, moments(x, now_ms));
    let (Ok(terms), Some(vary)) = (judged, VaryNames::of(&head.fields)) else {
        return Err(Some(fill));
    };
    let kept = Head {
        status: 200,
        lines: lines(x, &dealt.head, Some(held)),
        terms,
        length: held.partial().map(Partial::length),
        tags: tags(x, &head),
    };
    let begun = fill.begin(kept, &vary, &x.incoming.head.fields);
    let (mut writer, filling) = begun.map_err(|_| None)?;
    tell::stored(x, terms.left(now_ms));
    writer.push(prefix);
    fill::begin(x, dealt, writer, deadline);
    let kept = Kept::answer(&x.incoming.head, Held::Arriving(filling), None);
    Ok(Answer::Kept(Box::new(kept)))
}

/// What came is what was missing: the bytes that are held from the first one on go before it.
fn rest_of<'a>(held: &'a Object, dealt: &Dealt) -> Option<&'a [u8]> {
    let partial = held.partial()?;
    let first = partial.prefix();
    let last = partial.length().checked_sub(1)?;
    let range = ContentRange::of(&dealt.head.fields)?;
    let wanted = Span { first, last };
    let is_it = range.span == wanted && range.length == Some(partial.length());
    let theirs = dealt.head.fields.get(Name::ETAG)?;
    let ours = Validators::of_lines(&held.lines).etag?;
    let fits = dealt.body == BodyLen::Length(wanted.length());
    if !(is_it && fits && matches_strongly(ours, theirs)) {
        return None;
    }
    let end = usize::try_from(first).ok()?;
    match &held.body {
        Body::Memory(bytes) => bytes.get(..end),
        Body::Disk(_) => None,
    }
}

/// Keeps a part that came, if it is what it says it is. It is its client's in any case.
pub(super) fn keep(
    x: &mut Exchange,
    rule: &CachePlan,
    fill: Fill,
    dealt: Dealt,
    deadline: Tick,
) -> Answer {
    let now_ms = x.worker.moment().1;
    let head = &dealt.head;
    let range = ContentRange::of(&head.fields);
    let sound = range.and_then(|range| {
        let length = range.length?;
        // A body of another length than its head says it has is nobody's part.
        (dealt.body == BodyLen::Length(range.span.length())).then_some((range, length))
    });
    let judged = rules::may_store(&asking(x), head, &large(rule), moments(x, now_ms));
    let vary = VaryNames::of(&head.fields);
    let (range, length, terms, vary) = match (sound, judged, vary) {
        (Some((range, length)), Ok(terms), Some(vary)) => (range, length, terms, vary),
        (_, Err(because), _) => {
            tell::not_stored(x, because);
            return Answer::Dealt(dealt);
        }
        _ => {
            tell::not_stored(x, Because::Partial);
            return Answer::Dealt(dealt);
        }
    };
    let older = held(x, rule, now_ms);
    let kept = Head {
        status: 206,
        lines: lines(x, head, older.as_deref()),
        terms,
        length: Some(range.span.length()),
        tags: tags(x, head),
    };
    if length > rule.store.largest() {
        note(x, fill, kept, length, &vary);
        return Answer::Dealt(dealt);
    }
    let part = Partial::one(range.span, length);
    match fill.begin_part(kept, part, &vary, &x.incoming.head.fields) {
        Ok((writer, filling)) => {
            tell::stored(x, terms.left(now_ms));
            let age = (terms.initial_age > 0).then(|| terms.age(now_ms));
            fill::begin(x, dealt, writer, deadline);
            Answer::Kept(Box::new(Kept::part(filling, range, age)))
        }
        Err(_) => {
            tell::not_stored(x, Because::NoRoom);
            Answer::Dealt(dealt)
        }
    }
}

/// Does the origin give parts of this answer, and can they be told from those of another?
pub(super) fn gives_ranges(fields: &Fields) -> bool {
    let says = |value: &[u8]| value.eq_ignore_ascii_case(b"bytes");
    fields.sole(Name::ACCEPT_RANGES).is_some_and(says)
        && (fields.sole(Name::ETAG)).is_some_and(|etag| matches_strongly(etag, etag))
}

/// A whole that is too large for one object passes on; what comes next goes slice by slice.
pub(super) fn note_whole(
    x: &mut Exchange,
    rule: &CachePlan,
    fill: Fill,
    dealt: Dealt,
    length: u64,
) -> Answer {
    let now_ms = x.worker.moment().1;
    let head = &dealt.head;
    let judged = rules::may_store(&asking(x), head, &large(rule), moments(x, now_ms));
    let terms = match (judged, VaryNames::of(&head.fields)) {
        (Ok(terms), Some(vary)) => Ok((terms, vary)),
        (Ok(_), None) => Err(Because::VaryStar),
        (Err(because), _) => Err(because),
    };
    let (terms, vary) = match terms {
        Ok(kept) => kept,
        Err(because) => return passed(x, rule, fill, dealt, because),
    };
    let kept = Head {
        status: 200,
        lines: lines(x, head, None),
        terms,
        length: Some(length),
        tags: tags(x, head),
    };
    note(x, fill, kept, length, &vary);
    Answer::Dealt(dealt)
}

/// An answer that is too large for one object: the next ones go slice by slice, if the origin has a
/// strong validator to hold them together.
pub(super) fn note(x: &mut Exchange, fill: Fill, head: Head, length: u64, vary: &VaryNames) {
    tell::not_stored(x, Because::TooLarge);
    if is_same(&head.lines, &head.lines) {
        let head = Head {
            length: Some(length),
            ..head
        };
        fill.note(head, vary, &x.incoming.head.fields);
    }
}

/// What is held of the request's target already.
fn held(x: &Exchange, rule: &CachePlan, now_ms: u64) -> Option<Arc<Object>> {
    // The worker's key is another exchange's by now.
    let mut key = KeyBuf::new();
    key::of(&mut key, rule, &x.incoming, x.asks.query.as_deref());
    match rule.store.look_up(&key, &x.incoming.head.fields, now_ms) {
        croupier_cache::store::Found::Held(object) => Some(object),
        _ => None,
    }
}

/// The lines of a part as they are kept: those of the whole.
pub(super) fn lines(x: &Exchange, head: &ResponseHead, older: Option<&Object>) -> Box<[u8]> {
    let newer = shape::lines_to_keep(x, head);
    let mut lines = Vec::with_capacity(newer.len());
    for (name, value) in croupier_cache::object::lines(&newer) {
        if Name::from_bytes(name) != Name::CONTENT_RANGE {
            croupier_cache::object::push_line(&mut lines, name, value);
        }
    }
    match older.filter(|older| is_same(&older.lines, &lines)) {
        Some(older) => merge_lines(&lines, &older.lines).into_boxed_slice(),
        None => lines.into_boxed_slice(),
    }
}

/// The route's rules, for what is kept in pieces: no piece is too large.
pub(super) fn large(rule: &CachePlan) -> rules::Policy {
    rules::Policy {
        max_object: u64::MAX,
        ..rule.policy.clone()
    }
}

pub(super) fn tags(x: &Exchange, head: &ResponseHead) -> Box<[Box<[u8]>]> {
    let tags = groups::Tags::of(&head.fields, &key::origin(x));
    let incoming = &x.incoming;
    let question =
        (incoming.head.method == Method::Query).then(|| key::question(incoming, &incoming.target));
    tags.iter().map(Box::from).chain(question).collect()
}

pub(super) fn asking(x: &Exchange) -> Asking<'_> {
    Asking {
        method: Method::Get,
        fields: &x.incoming.head.fields,
        parts: Parts::Keep,
    }
}
