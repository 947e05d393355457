//! What is written, as types: `Config` and all it holds.
//!
//! A `Config` that was handed out is consistent: names resolve, every site has a route, every regex compiles. It
//! still says what the user said and nothing about how it is done; that is the plan's work. Leaves that can fail
//! later keep their span.

mod acme;
mod balance;
mod cache;
mod compress;
mod headers;
mod health;
pub mod limits;
mod listener;
mod log;
mod percent;
mod pool;
mod process;
mod retry;
mod route;
mod site;
mod sticky;
mod template;
mod test;
mod tls;

use std::sync::Arc;

pub use acme::{AccountBinding, Acme, Challenge, KeyType};
pub use balance::{Balance, HashBalance, HashKey, HashTable, Priority, Queue};
pub use cache::{Cache, CacheDisk, CacheEdits, CacheStore, KeepCookies, NamePattern, StoreId};
pub use compress::{Coding, Compress, CompressCookies, CompressEdits, TypePattern};
pub use headers::{HeaderEdits, HeaderLine, Headers, Hide};
pub use health::{CheckMethod, Eject, Health, HealthCheck, HttpCheck};
pub use limits::{Limits, Timeout, TimeoutOverrides, Timeouts};
pub use listener::Listen;
pub use log::{AccessLog, LogFormat, LogLevel, LogTarget};
pub use percent::Percent;
pub use pool::{
    HostHeader, Pool, PoolId, PoolKind, Protocol, ProxyHeader, ProxyTlv, ProxyVersion, Server,
    ServerAddress,
};
pub use process::{Process, Trusted};
pub use retry::{Hedge, HedgeAfter, Retry, RetryEdits, RetryOn, Switch};
pub use route::{
    Action, Condition, Deny, Mirror, PathEdit, PathMatch, Redirect, Respond, Route, Split,
    SplitPart, Traffic, ValueMatch, When,
};
pub use site::{HostPattern, Site};
pub use sticky::{SameSite, Secret, Sticky};
pub use template::{Piece, Template};
pub use test::{Expect, ExpectCache, Test, TestRequest};
pub use tls::{
    CertificateFrom, ClientAuth, ClientAuthMode, Hsts, OriginTls, Plain, SiteTls, TlsProfile,
};

use crate::diagnostic::Diagnostics;
use crate::source::Sources;

/// A whole configuration, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The texts it came from; every span of the model points into them.
    pub sources: Arc<Sources>,
    /// `[server]`: the process.
    pub server: Process,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub acme: Acme,
    /// `[cache.NAME]` in the order written; then the store of `cache = true` if none is named so. [`StoreId`] is an index.
    pub stores: Vec<CacheStore>,
    /// The named pools in the order written, then the anonymous ones that `proxy` made. [`PoolId`] is an index.
    pub pools: Vec<Pool>,
    pub sites: Vec<Site>,
    pub tests: Vec<Test>,
    /// What is odd but not wrong; never holds an error.
    pub warnings: Diagnostics,
}

impl Config {
    /// The pool behind an id of this config.
    pub fn pool(&self, id: PoolId) -> &Pool {
        &self.pools[id.0]
    }

    /// The store behind an id of this config.
    pub fn store(&self, id: StoreId) -> &CacheStore {
        &self.stores[id.0]
    }

    /// What is kept of one route's answers: what the site says, then the route, key by key; `None`: nothing. Routes
    /// without a pool keep nothing.
    pub fn cache_of(&self, site: &Site, route: &Route) -> Option<Cache> {
        route.action.pools().next()?;
        let edits = cache::laid_over(site.cache.as_ref(), route.cache.as_ref())?;
        let is_implicit = |store: &CacheStore| store.name.value == CacheStore::IMPLICIT;
        let implicit = self.stores.iter().position(is_implicit);
        let named = edits.iter().filter_map(|edits| edits.store).next_back();
        let store = named
            .map(|store| store.value)
            .or_else(|| implicit.map(StoreId))?;
        let mut cache = Cache::of(store);
        for edits in edits {
            edits.apply(&mut cache);
        }
        Some(cache)
    }

    /// What is compressed of one route's answers: what the site says, then the route, key by key; `None`: nothing.
    pub fn compress_of(&self, site: &Site, route: &Route) -> Option<Compress> {
        route.action.pools().next()?;
        compress::resolved(site.compress.as_ref(), route.compress.as_ref())
    }

    /// The timeouts of one route: `[timeouts]`, then its pool's, then its site's, then its own. A split has several
    /// pools, and none of them is asked here: see [`Config::timeouts_with`].
    pub fn timeouts_of(&self, site: &Site, route: &Route) -> Timeouts {
        let pool = match &route.action {
            Action::Pool(pool) => Some(self.pool(pool.value)),
            _ => None,
        };
        self.timeouts_with(site, route, pool)
    }

    /// The timeouts of one route when its request goes to this pool.
    ///
    /// The site wins over the pool because a pool is shared and a site says what this use of it needs.
    pub fn timeouts_with(&self, site: &Site, route: &Route, pool: Option<&Pool>) -> Timeouts {
        let mut timeouts = self.timeouts.clone();
        if let Some(pool) = pool {
            pool.timeout.apply(&mut timeouts);
        }
        site.timeout.apply(&mut timeouts);
        route.timeout.apply(&mut timeouts);
        timeouts
    }

    /// What is tried again of one route's requests to this pool: the pool's `retry`, then the site's, then the
    /// route's, key by key; `None`: nothing.
    pub fn retry_of(&self, site: &Site, route: &Route, pool: &Pool) -> Option<Retry> {
        [&site.traffic.retry, &route.traffic.retry]
            .into_iter()
            .flatten()
            .fold(pool.retry.clone(), |wider, edits| edits.over(wider))
    }

    /// The `hedge` of one route's requests to this pool: the route's, else the site's, else the pool's.
    pub fn hedge_of(&self, site: &Site, route: &Route, pool: &Pool) -> Option<Hedge> {
        match route.traffic.hedge.as_ref().or(site.traffic.hedge.as_ref()) {
            Some(Switch::On(hedge)) => Some(*hedge),
            Some(Switch::Off) => None,
            None => pool.hedge,
        }
    }

    /// The place of one route's requests in the queue: the route's, else the site's, else in the middle.
    pub fn priority_of(&self, site: &Site, route: &Route) -> Priority {
        let priority = route.traffic.priority.or(site.traffic.priority);
        priority.unwrap_or_default()
    }

    /// Where one route's requests are copied to: the route's, else the site's. Routes without a pool have none.
    pub fn mirror_of<'a>(&self, site: &'a Site, route: &'a Route) -> Option<&'a Mirror> {
        route.action.pools().next()?;
        match route
            .traffic
            .mirror
            .as_ref()
            .or(site.traffic.mirror.as_ref())?
        {
            Switch::On(mirror) => Some(mirror),
            Switch::Off => None,
        }
    }

    /// Idle origin connections kept for each worker and server of a pool.
    pub fn idle_per_server_of(&self, pool: &Pool) -> usize {
        pool.idle_per_server.unwrap_or(self.limits.idle_per_server)
    }
}
