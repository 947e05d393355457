//! What a request is looked up by: exactly what of it is forwarded, and what the route adds.

use std::ops::Range;

use croupier_cache::store::KeyBuf;
use croupier_http::fields::members;

use crate::{
    exchange::Exchange,
    plan::cache::{CachePlan, KeyPart},
};

/// Writes the key of the request. Its query in normal form is what the server gets as well, so that
/// equal keys mean equal requests.
pub(super) fn write(key: &mut KeyBuf, x: &mut Exchange, rule: &CachePlan) {
    if rule.key.changes_query()
        && let Some(query) = x.incoming.target.query()
    {
        x.asks.query = Some(rule.key.normal_query(query));
    }
    let incoming = &x.incoming;
    let query = x.asks.query.as_deref().or(incoming.target.query());
    key.begin(
        incoming.scheme,
        incoming.target.authority.as_str(),
        incoming.target.path(),
        query,
    );
    key.part(&rule.stamp.to_le_bytes());
    for part in &rule.key.parts {
        match part {
            KeyPart::Header(name) => {
                for value in incoming.head.fields.all_named(name.as_bytes()) {
                    key.part(value);
                }
            }
            KeyPart::Cookie(name) => {
                if let Some(value) = cookie(x, name) {
                    key.part(value);
                }
            }
        }
        key.part(b"");
    }
}
