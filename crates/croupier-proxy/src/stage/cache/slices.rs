//! Answers that are too large for one object: their bytes are held in slices of one size, each with
//! a key of its own, each asked for on its own. A part, or the whole, goes out slice after slice;
//! those that are missing are fetched, one ahead of the client.
//!
//! What holds the slices together is the strong validator of the head that is held. An origin that
//! has something else by now answers 412, or with another validator: the answer ends there, cut, and
//! all of it is forgotten.

use std::{future::poll_fn, rc::Rc, sync::Arc, task::Poll};

use croupier_cache::{
    Object,
    parts::{Partial, is_same},
    rules::{
        self, VaryNames,
        conditional::Validators,
        range::{ContentRange, Span},
    },
    store::{Brought, Claim, Fill, Found, Head, How, KeyBuf, Which},
};
use croupier_http::BodyLen;
use croupier_net::client::ClientStream;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{conclude::moments, fill, key, parts};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::{Code, Fault},
    kept::{Kept, KeptBody, Lost, Share, Slice, Slices},
    plan::cache::CachePlan,
    stage::fetch,
    worker::spawn,
};

/// So often a slice is looked for that others fetch, and that turns out to be no use.
const ROUNDS_MAX: u32 = 4;

/// An answer that is held slice by slice, and which of them are wanted.
struct Sliced {
    /// Its head.
    object: Arc<Object>,
    /// Of the whole request.
    key: Box<[u8]>,
    size: u64,
    length: u64,
    first: u64,
    last: u64,
}

/// Answers with a share of what is held in slices. The first one is there, or on its way, before
/// anything is promised to the client; None when it can not be had.
pub(super) async fn give(
    x: &mut Exchange,
    conn: &mut ClientStream,
    rule: &CachePlan,
    (object, share): (Arc<Object>, Share),
) -> Result<Option<Answer>, Fault> {
    let now_ms = x.worker.moment().1;
    let mut coming = begin(x, rule, &object, share);
    let first = poll_fn(|cx| -> Poll<Result<_, Fault>> {
        if let Poll::Ready(slice) = coming.poll_recv(cx) {
            return Poll::Ready(Ok(slice));
        }
        if conn.has_received_all() && conn.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        Poll::Pending
    });
    let Some(Ok(first)) = first.await? else {
        return Ok(None);
    };
    object.hit();
    let age = Some(object.terms.age(now_ms));
    let span = span(&object, share);
    // Less than a slice, which is at most 16 MiB.
    let skip = usize::try_from(span.first % rule.slice).unwrap_or(0);
    let slices = Slices::new(Some(first), coming, skip, span.length());
    let body = KeptBody::Slices(Box::new(slices));
    let kept = Kept::share(object, share, age, body);
    Ok(Some(Answer::Kept(Box::new(kept))))
}

/// The same after a look at its head, when nobody waits any more: should a slice be lost, the
/// answer is cut. None: it is not in slices, or none of them is wanted.
pub(super) fn give_at_once(
    x: &Exchange,
    rule: &CachePlan,
    object: &Arc<Object>,
    now_ms: u64,
) -> Option<Answer> {
    let partial = object.partial().filter(|partial| partial.is_sliced())?;
    let share = Share::of(&x.incoming.head, object, partial)?;
    if !matches!(share, Share::Slices(_) | Share::AllSlices) {
        return None;
    }
    object.hit();
    let span = span(object, share);
    let skip = usize::try_from(span.first % rule.slice).unwrap_or(0);
    let slices = Slices::new(None, begin(x, rule, object, share), skip, span.length());
    let body = KeptBody::Slices(Box::new(slices));
    let age = Some(object.terms.age(now_ms));
    let kept = Kept::share(Arc::clone(object), share, age, body);
    Some(Answer::Kept(Box::new(kept)))
}

/// The bytes of a share that is in slices.
fn span(object: &Object, share: Share) -> Span {
    match share {
        Share::Slices(span) => span,
        _ => Span {
            first: 0,
            last: object
                .partial()
                .map_or(0, Partial::length)
                .saturating_sub(1),
        },
    }
}

/// Sees to the slices of a share, beside the exchange: it ends when nobody wants them any more.
fn begin(
    x: &Exchange,
    rule: &CachePlan,
    object: &Arc<Object>,
    share: Share,
) -> Receiver<Result<Slice, Lost>> {
    let span = span(object, share);
    let mut key = KeyBuf::new();
    key::of(&mut key, rule, &x.incoming, x.asks.query.as_deref());
    let sliced = Sliced {
        object: Arc::clone(object),
        key: key.as_bytes().into(),
        size: rule.slice,
        length: object.partial().map_or(0, Partial::length),
        first: span.first / rule.slice,
        last: span.last / rule.slice,
    };
    let (sender, coming) = mpsc::channel(1);
    let x = Exchange::beside(x);
    spawn::unattended(&Rc::clone(&x.worker), see_to(x, sliced, sender));
    coming
}

async fn see_to(x: Exchange, sliced: Sliced, sender: Sender<Result<Slice, Lost>>) {
    let installed = Rc::clone(&x.installed);
    let rule = x
        .route
        .and_then(|id| installed.plan.route(id).cache.as_ref());
    let Some(rule) = rule else { return };
    for index in sliced.first..=sliced.last {
        // Nothing is fetched before there is room for it, or after the client has left.
        let Ok(place) = sender.reserve().await else {
            return;
        };
        let slice = Box::pin(slice(&x, rule, &sliced, index)).await;
        if slice.is_err() {
            // Whoever asks next finds out what there is now.
            let which = Which::Key(sliced.key.clone());
            rule.store.purge(&which, How::Hard);
        }
        let is_lost = slice.is_err();
        place.send(slice);
        if is_lost {
            return;
        }
    }
}

/// One slice: held, fetched by somebody else, or fetched.
async fn slice(x: &Exchange, rule: &CachePlan, sliced: &Sliced, index: u64) -> Result<Slice, Lost> {
    let first = index * sliced.size;
    let span = Span {
        first,
        last: (first + sliced.size).min(sliced.length) - 1,
    };
    let mut key = KeyBuf::new();
    key.set(&sliced.key);
    // 2^32 slices of 64 KiB at least.
    key.slice(u32::try_from(index).map_err(|_| Lost)?);
    let fields = &x.incoming.head.fields;
    for _ in 0..ROUNDS_MAX {
        let found = match rule.store.look_up(&key, fields, x.worker.moment().1) {
            Found::OnDisk(reading) => match reading.await {
                Brought::Object(object) => Found::Held(object),
                Brought::Again => continue,
                Brought::Nothing => Found::Nothing,
            },
            found => found,
        };
        match found {
            Found::Held(object) if is_it(sliced, &object, span) => {
                return Ok(Slice::Held(object));
            }
            Found::Filling(filling) if is_same(&filling.lines, &sliced.object.lines) => {
                return Ok(Slice::Arriving(filling.reader()));
            }
            Found::Held(_)
            | Found::OnDisk(_)
            | Found::Filling(_)
            | Found::Pass
            | Found::Nothing => {}
        }
        match rule.store.claim(&key, fields) {
            Claim::Fill(fill) => return fetch(x, rule, sliced, (fill, span)).await,
            Claim::Wait(waiting) => waiting.await,
        }
    }
    Err(Lost)
}

/// Is it a slice of what the client gets? Its own age does not matter: what has the same strong
/// validator has the same bytes.
fn is_it(sliced: &Sliced, object: &Object, span: Span) -> bool {
    object.body.length() == span.length() && is_same(&object.lines, &sliced.object.lines)
}

/// Asks the origin for a slice.
async fn fetch(
    x: &Exchange,
    rule: &CachePlan,
    sliced: &Sliced,
    (fill, span): (Fill, Span),
) -> Result<Slice, Lost> {
    let mut x = Exchange::beside(x);
    x.tally.attempts = 0;
    fill::ask_for_all(&mut x);
    let etag = Validators::of_lines(&sliced.object.lines)
        .etag
        .ok_or(Lost)?;
    let range = format!("bytes={}-{}", span.first, span.last).into_bytes();
    (x.asks.lines).extend([
        ("Range", range.into_boxed_slice()),
        ("If-Match", etag.into()),
    ]);
    let mut nobody = fill::nobody(&x, fill::dropper());
    let deadline = fetch::set_out(&mut x).map_err(|_| Lost)?;
    let fetched = fetch::run(&mut x, &mut nobody, deadline).await;
    let dealt = match fetched {
        Ok(Answer::Dealt(dealt)) => dealt,
        Ok(_) => return Err(Lost),
        Err(fault) => {
            x.failed(fault);
            return Err(Lost);
        }
    };
    let now_ms = x.worker.moment().1;
    let policy = parts::large(rule);
    let judged = rules::may_store(
        &parts::asking(&x),
        &dealt.head,
        &policy,
        moments(&x, now_ms),
    );
    let vary = VaryNames::of(&dealt.head.fields);
    let (Ok(terms), Some(vary), true) = (judged, vary, is_slice(sliced, &dealt, span)) else {
        return Err(Lost);
    };
    let lines = parts::lines(&x, &dealt.head, None);
    if !is_same(&lines, &sliced.object.lines) {
        return Err(Lost);
    }
    let head = Head {
        status: 206,
        lines,
        terms,
        length: Some(span.length()),
        tags: parts::tags(&x, &dealt.head),
    };
    let begun = fill.begin(head, &vary, &x.incoming.head.fields);
    let (writer, filling) = begun.map_err(|_| Lost)?;
    fill::begin(&x, dealt, writer, deadline);
    Ok(Slice::Arriving(filling.reader()))
}

/// Is it the very slice that was asked for?
fn is_slice(sliced: &Sliced, dealt: &Dealt, span: Span) -> bool {
    let range = ContentRange::of(&dealt.head.fields);
    dealt.head.status == 206
        && dealt.body == BodyLen::Length(span.length())
        && range
            == Some(ContentRange {
                span,
                length: Some(sliced.length),
            })
}
