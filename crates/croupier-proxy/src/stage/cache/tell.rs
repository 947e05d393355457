//! What the cache did, for the log, the counters and `Cache-Status`.

use croupier_cache::{
    Object,
    rules::{
        Because,
        status::{AskedBy, Did, Fwd, Stored},
    },
};

use crate::{exchange::Exchange, plan::cache::CachePlan};

/// The request goes on to an origin.
pub(super) fn forward(x: &mut Exchange, rule: &CachePlan, because: Because) {
    let word = match because.fwd() {
        Fwd::Bypass | Fwd::Method => "bypass",
        Fwd::Stale => "expired",
        Fwd::Request => "refresh",
        _ if because == Because::Passed => "pass",
        _ => "miss",
    };
    let did = Did::Forward {
        fwd: because.fwd(),
        status: None,
        stored: Stored::No,
        asked: AskedBy::Itself,
    };
    note(x, rule, word, did);
    x.tally.cache.because = Some(because).filter(|&because| because != Because::Absent);
}

/// It is answered by what is held and fresh.
pub(super) fn hit(x: &mut Exchange, rule: &CachePlan, object: &Object, now_ms: u64) {
    note(x, rule, "hit", Did::Hit);
    x.tally.cache.ttl = Some(object.terms.left(now_ms));
}

/// It is answered by what is held, though that is stale.
pub(super) fn stale(x: &mut Exchange, rule: &CachePlan, object: &Object, now_ms: u64) {
    note(x, rule, "stale", Did::Hit);
    x.tally.cache.ttl = Some(object.terms.left(now_ms));
}

/// It is answered by what another exchange is fetching.
pub(super) fn collapsed(x: &mut Exchange, rule: &CachePlan) {
    let did = Did::Forward {
        fwd: Fwd::UriMiss,
        status: None,
        stored: Stored::Yes,
        asked: AskedBy::Another,
    };
    note(x, rule, "collapsed", did);
}

/// The origin's answer is kept.
pub(super) fn stored(x: &mut Exchange, ttl: i64) {
    if let Some(Did::Forward { stored, .. }) = &mut x.tally.cache.did {
        *stored = Stored::Yes;
    }
    x.tally.cache.ttl = Some(ttl);
    x.tally.cache.because = None;
}

/// The origin's answer is not kept.
pub(super) fn not_stored(x: &mut Exchange, because: Because) {
    x.tally.cache.because = Some(because);
}

/// The origin says that what is held holds still.
pub(super) fn revalidated(x: &mut Exchange, ttl: i64) {
    if let Some(Did::Forward { status, .. }) = &mut x.tally.cache.did {
        *status = Some(304);
    }
    x.tally.cache.word = "revalidated";
    stored(x, ttl);
}

fn note(x: &mut Exchange, rule: &CachePlan, word: &'static str, did: Did) {
    let note = &mut x.tally.cache;
    note.word = word;
    note.did = rule.status.then_some(did);
}
