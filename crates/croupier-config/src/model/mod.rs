//! What is written, as types: `Config` and all it holds.
//!
//! A `Config` that was handed out is consistent: names resolve, every site has a route, every regex compiles. It
//! still says what the user said and nothing about how it is done; that is the plan's work. Leaves that can fail
//! later keep their span.

mod headers;
pub mod limits;
mod listener;
mod log;
mod pool;
mod process;
mod route;
mod site;
mod template;
mod test;

use std::sync::Arc;

pub use headers::{HeaderEdits, HeaderLine, Headers, Hide};
pub use limits::{Limits, Timeout, TimeoutOverrides, Timeouts};
pub use listener::Listen;
pub use log::{AccessLog, LogFormat, LogLevel, LogTarget};
pub use pool::{Balance, HostHeader, Pool, PoolId, PoolKind, Protocol, Server, ServerAddress};
pub use process::{Process, Trusted};
pub use route::{
    Action, Condition, Deny, PathEdit, PathMatch, Redirect, Respond, Route, ValueMatch, When,
};
pub use site::{HostPattern, Site};
pub use template::{Piece, Template};
pub use test::{Expect, Test, TestRequest};

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

    /// The timeouts of one route: `[timeouts]`, then its pool's, then its site's, then its own.
    ///
    /// The site wins over the pool because a pool is shared and a site says what this use of it needs.
    pub fn timeouts_of(&self, site: &Site, route: &Route) -> Timeouts {
        let mut timeouts = self.timeouts.clone();
        if let Action::Pool(pool) = &route.action {
            self.pool(pool.value).timeout.apply(&mut timeouts);
        }
        site.timeout.apply(&mut timeouts);
        route.timeout.apply(&mut timeouts);
        timeouts
    }

    /// Idle origin connections kept for each worker and server of a pool.
    pub fn idle_per_server_of(&self, pool: &Pool) -> usize {
        pool.idle_per_server.unwrap_or(self.limits.idle_per_server)
    }
}
