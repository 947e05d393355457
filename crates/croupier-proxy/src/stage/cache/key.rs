//! What a request is looked up by: exactly what of it is forwarded, and what the route adds.

use croupier_cache::store::{How, KeyBuf, Which};
use croupier_http::{Fields, Target};

use super::content::OF_CONTENT;
use crate::{exchange::Exchange, incoming::Incoming, plan::cache::CachePlan};

/// Writes the request's key into the worker's. A query in normal form is what the server gets as
/// well: equal keys are equal requests (`Asks::query`).
pub(super) fn write(x: &mut Exchange, rule: &CachePlan) {
    x.asks.query = normal_query(rule, &x.incoming.target);
    let mut key = x.worker.key.borrow_mut();
    of(&mut key, rule, &x.incoming, x.asks.query.as_deref());
    if let Some(content) = &x.asks.content {
        key.part(x.incoming.head.method_bytes());
        for name in OF_CONTENT {
            let mut lines = x.incoming.head.fields.all_named(name);
            key.part(lines.next().unwrap_or_default());
            // More than one has no meaning: they are told apart all the same.
            lines.for_each(|line| key.part(line));
        }
        key.part(content);
    }
}

/// Whoever changes a target finds by this tag the answers to questions that were put to it, whatever
/// the questions. They stay in memory (`MEMORY_TAG`).
pub(super) fn question(incoming: &Incoming, target: &Target) -> Box<[u8]> {
    let authority = incoming.target.authority.as_str();
    let tag = format!("QUERY {}://{authority}{}", incoming.scheme, target.path());
    tag.into_bytes().into_boxed_slice()
}

/// Writes the key of a request whose query in normal form is `query`; None: as it is.
pub(crate) fn of(key: &mut KeyBuf, rule: &CachePlan, incoming: &Incoming, query: Option<&str>) {
    let target = &incoming.target;
    let query = asked(query, target);
    begin(key, rule, incoming, target, query);
    finish(key, rule, &incoming.head.fields);
}

/// The query as it is forwarded, when the route changes it.
pub(crate) fn normal_query(rule: &CachePlan, target: &Target) -> Option<Box<str>> {
    let query = target.query()?;
    if !rule.key.changes_queries() {
        return None;
    }
    let mut normal = Vec::with_capacity(query.len());
    rule.key.write_query(query.as_bytes(), &mut normal);
    // Whole parameters of it, moved: what was text is text.
    let normal = String::from_utf8(normal).ok()?;
    (normal != query).then(|| normal.into_boxed_str())
}

/// The query that a server gets: in normal form if that is another, none when all of it is left out.
pub(crate) fn asked<'a>(normal: Option<&'a str>, target: &'a Target) -> Option<&'a str> {
    match normal {
        Some(normal) => Some(normal).filter(|normal| !normal.is_empty()),
        None => target.query(),
    }
}

fn begin(
    key: &mut KeyBuf,
    rule: &CachePlan,
    incoming: &Incoming,
    target: &Target,
    query: Option<&str>,
) {
    let authority = incoming.target.authority.as_str();
    key.begin(incoming.scheme, authority, target.path(), query);
    // Two routes may make two requests of one target.
    key.part(rule.stamp.to_be_bytes());
}

fn finish(key: &mut KeyBuf, rule: &CachePlan, fields: &Fields) {
    if !rule.key.extra.is_empty() {
        let mut extra = Vec::new();
        rule.key.write_extra(fields, &mut extra);
        key.part(&extra);
    }
}

/// Lets go of what is held of a target of the same origin by any route of the site, whatever its
/// variant: something has changed it. Where a route has more in its keys, the request's own. Gives the
/// number of objects in memory.
pub(super) fn forget(x: &Exchange, target: &Target) -> u64 {
    let incoming = &x.incoming;
    let Some(site) = x.site_plan() else { return 0 };
    let mut objects = 0;
    let questions = Which::Tag(question(incoming, target));
    let mut key = KeyBuf::new();
    for other in site.routes.iter().filter_map(|route| route.cache.as_ref()) {
        let query = normal_query(other, target);
        let query = asked(query.as_deref(), target);
        begin(&mut key, other, incoming, target, query);
        finish(&mut key, other, &incoming.head.fields);
        let which = Which::Key(key.as_bytes().into());
        objects += other.store.purge(&which, How::Hard).objects;
        objects += other.store.purge(&questions, How::Hard).objects;
    }
    objects
}

/// The request's origin: scheme and authority (RFC 6454).
pub(super) fn origin(x: &Exchange) -> Vec<u8> {
    let authority = x.incoming.target.authority.as_str();
    [x.incoming.scheme, "://", authority].concat().into_bytes()
}
