//! `PURGE`: what is held of a target goes, when who asks may say so.

use std::borrow::Cow;

use croupier_http::Method;

use super::key;
use crate::{
    answer::{Answer, Bytes, Made},
    exchange::Exchange,
    plan::cache::CachePlan,
};

/// Answers a `PURGE`; None for other requests, and for those who may not say so: they get what the
/// origin says to its method.
pub(super) fn run(x: &Exchange, rule: &CachePlan) -> Option<Answer> {
    let incoming = &x.incoming;
    let is_purge =
        incoming.head.method == Method::Other && incoming.head.method_bytes() == b"PURGE";
    // The peer itself: an address that is only told of is nobody's proof.
    if !is_purge || !rule.purge_from.holds_peer(incoming.peer_ip) {
        return None;
    }
    let objects = key::forget(x, &incoming.target);
    Some(Answer::Made(Made {
        status: 200,
        body: Bytes::Own(format!("{{\"objects\":{}}}\n", objects).into_bytes()),
        content_type: Cow::Borrowed("application/json"),
        lines: Vec::new(),
    }))
}
