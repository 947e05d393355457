//! The cache and the compression of a route.

use std::{sync::Arc, time::Duration};

use croupier_cache::{
    rules::policy::{Cookies, Heuristic, Policy},
    store::Settings,
};
use croupier_config::{
    Config,
    model::{self, CacheStore, HashKey, KeepCookies, Route, Site},
};

use crate::{
    live::Live,
    plan::{
        RoutePlan, TrustedPeers,
        cache::{CachePlan, CompressPlan, KeyPart, KeyRules, StorePlan},
    },
    pool::hash_key,
};

/// The stores of the config, in its order.
pub(super) fn stores(config: &Config, live: &Live) -> Vec<StorePlan> {
    (config.stores.iter())
        .map(|written| {
            let place = written.disk.as_ref();
            let place = place.map(|disk| (disk.path.value.clone(), disk.size));
            StorePlan {
                store: live.stores.store(
                    &settings(written),
                    place.as_ref().map(|(path, _)| path.as_path()),
                ),
                disk: (place.as_ref()).and_then(|(path, _)| live.stores.disk(path)),
                place,
            }
        })
        .collect()
}

/// What the config says of a store.
fn settings(written: &CacheStore) -> Settings {
    Settings {
        name: written.name.value.clone(),
        memory: written.memory,
        max_object: written.max_object,
    }
}

pub(super) fn cache(
    config: &Config,
    site: &Site,
    route: &Route,
    stores: &[StorePlan],
) -> Option<CachePlan> {
    let cache = config.cache_of(site, route)?;
    let store = &stores.get(cache.store.0)?.store;
    let written = config.store(cache.store);
    Some(CachePlan {
        store: Arc::clone(store),
        policy: policy(&cache, written),
        key: KeyRules {
            ignore: cache.ignore_query.into(),
            is_sorted: cache.sort_query,
            extra: cache.key.iter().filter_map(part).collect(),
        },
        stamp: 0,
        bypass_cookies: cache.bypass_cookies.into(),
        purge_from: TrustedPeers::new(cache.purge_from.iter().map(|peer| &peer.value)),
        slice: slice(written.slice, store.largest()),
        collapse_wait: cache.collapse_wait,
        status: cache.status,
    })
}

/// A slice must find room in the store: half as large until it does.
fn slice(written: u64, largest: u64) -> u64 {
    let fits = |slice: &u64| *slice <= largest;
    let mut halves =
        std::iter::successors(Some(written), |slice| Some(slice / 2).filter(|&s| s > 0));
    halves.find(fits).unwrap_or(1)
}

fn policy(cache: &model::Cache, store: &CacheStore) -> Policy {
    let grace = |time: Duration| Some(time).filter(|time| !time.is_zero());
    Policy {
        ttl: cache.ttl,
        heuristic: cache.heuristic.map(|share| Heuristic {
            // The reader takes whole percents up to a hundred.
            percent: u8::try_from(share.hundredths() / 100).unwrap_or(100),
            ..Heuristic::default()
        }),
        stale_while_revalidate: grace(cache.stale_while_revalidate),
        stale_if_error: grace(cache.stale_if_error),
        max_object: store.max_object,
        cookies: match cache.cookies {
            KeepCookies::Refuse => Cookies::Refuse,
            KeepCookies::Store => Cookies::Store,
        },
        ..Policy::default()
    }
}

/// The reader takes no others.
fn part(key: &HashKey) -> Option<KeyPart> {
    match key {
        HashKey::Header(name) => Some(KeyPart::Header(name.as_str().into())),
        HashKey::Cookie(name) => Some(KeyPart::Cookie(name.as_str().into())),
        _ => None,
    }
}

/// What of a route changes what is asked and what is given.
pub(super) fn stamp(config: &Config, route: &RoutePlan) -> u64 {
    // By their names: what is on disk outlives their order.
    let pools = (route.action.ways().iter()).map(|way| config.pool(way.pool).name.as_str());
    let pools: Vec<&str> = pools.collect();
    let edits = (&route.request_edits, &route.response_edits, &route.guard);
    hash_key::hash(format!("{pools:?} {:?} {edits:?}", route.path_edit).as_bytes())
}

pub(super) fn compress(config: &Config, site: &Site, route: &Route) -> Option<CompressPlan> {
    let compress = config.compress_of(site, route)?;
    Some(CompressPlan {
        codings: compress.codings.iter().map(|one| coding(*one)).collect(),
        types: compress.types.into(),
        min: compress.min,
        cookies: compress.cookies,
        dictionary: compress.dictionary,
        strong: compress.strong,
        cpu: compress.cpu,
    })
}

fn coding(written: model::Coding) -> croupier_coding::Coding {
    match written {
        model::Coding::Zstd => croupier_coding::Coding::Zstd,
        model::Coding::Brotli => croupier_coding::Coding::Brotli,
        model::Coding::Gzip => croupier_coding::Coding::Gzip,
    }
}
