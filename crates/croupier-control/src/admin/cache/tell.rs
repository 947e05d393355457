//! Stores and objects as JSON.

use croupier_cache::store::{Counts, Item, Refusal, Store, list::Tier};
use croupier_proxy::plan::cache::StorePlan;
use serde_json::{Value, json};

/// Numbers of a store.
pub(super) fn store(plan: &StorePlan) -> Value {
    let store = &plan.store;
    let counts = store.counts();
    let (used, _) = store.used();
    let refused = store.refusals_by_reason().into_iter();
    let refused: Vec<Value> = refused
        .map(|(reason, count)| json!({ "reason": reason, "count": count }))
        .collect();
    let sites = store.counts_by_site().into_iter();
    let sites: Vec<Value> = sites
        .filter(|(_, counts)| *counts != Counts::default())
        .map(|(host, counts)| site(&host, &counts))
        .collect();
    json!({
        "name": store.name(),
        "memory": {
            "size": store.settings().memory,
            "bytes": used,
            "objects": counts.objects,
        },
        "disk": disk(plan),
        "hits": counts.hits,
        "misses": counts.misses,
        "stored": counts.stored,
        "evicted": counts.evicted,
        "refused": refused,
        "sites": sites,
    })
}

fn disk(plan: &StorePlan) -> Value {
    let Some((path, size)) = &plan.place else {
        return Value::Null;
    };
    let counts = plan.disk.as_ref().map(|disk| disk.counts());
    let numbers = counts.unwrap_or_default();
    json!({
        "path": path.display().to_string(),
        "size": size,
        "usable": counts.is_some(),
        "objects": numbers.objects,
        "bytes": numbers.file_bytes,
        "queued": numbers.queued,
        "resting": numbers.resting > 0,
        "dropped": numbers.dropped,
        "errors": numbers.write_errors + numbers.read_errors + numbers.checksum_failures,
    })
}

fn site(host: &str, counts: &Counts) -> Value {
    json!({
        "host": if host == "*" { "(others)" } else { host },
        "objects": counts.objects,
        "bytes": counts.bytes,
        "hits": counts.hits,
        "misses": counts.misses,
        "stored": counts.stored,
        "evicted": counts.evicted,
    })
}

/// One object.
pub(super) fn item(store: &Store, item: &Item) -> Value {
    json!({
        "url": item.target,
        "store": store.name(),
        "tier": match item.tier {
            Tier::Memory => "memory",
            Tier::Disk => "disk",
        },
        "status": item.status,
        "length": item.length,
        "weight": item.weight,
        "age": item.age,
        "ttl": item.left,
        "purged": item.is_marked,
        "hits": item.hits,
        "variant": item.variant,
        "tags": item.tags,
    })
}

/// Why something is not kept, and since when that is known.
pub(super) fn refusal(refusal: &Refusal, now_ms: u64) -> Value {
    json!({
        "reason": refusal.why,
        "seconds_ago": now_ms.saturating_sub(refusal.at_ms) / 1000,
    })
}

/// Is it this URL, which may lack its scheme?
pub(super) fn is_same(target: &str, url: &str) -> bool {
    let url = url.split('#').next().unwrap_or_default();
    let bare = |text: &str| text.split_once("://").map(|(_, rest)| rest.to_owned());
    let (host, _) = url.split_once('/').unwrap_or((url, ""));
    let is_root = |target: &str| target.strip_suffix('/') == Some(host) && host == url;
    match bare(url) {
        Some(_) => target == url || target.strip_suffix('/') == Some(url),
        None => bare(target).is_some_and(|target| target == url || is_root(&target)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_url_may_lack_its_scheme_and_its_root() {
        for (target, url) in [
            ("https://a/x?y", "https://a/x?y#z"),
            ("https://a/x", "a/x"),
            ("http://a/", "a"),
            ("http://a/", "http://a"),
        ] {
            assert!(is_same(target, url), "{target} {url}");
        }
        assert!(!is_same("https://a/x", "http://a/x"));
        assert!(!is_same("https://a/x/", "a/x"));
    }
}
