//! What the config means: immutable, indexed by small ids, with nothing left to parse, default
//! or fail. Built aside by [`build`]; workers get it as one `Arc` and swap it whole.

mod build;
mod pool;
mod servers;
mod way;

pub mod cache;
pub mod digest;
pub mod path_edit;
pub mod template;
pub mod tls;

use std::{net::IpAddr, sync::Arc, time::Duration};

use cache::{CachePlan, CompressPlan, StorePlan};
use croupier_config::model::{Listen, PoolId, Trusted};
use croupier_http::{Method, Version};
use croupier_net::{client::h1::ClientLimits, h2::H2Limits, origin::h1::OriginLimits};
use croupier_telemetry::RouteSlot;

use crate::{
    edits::{Edits, Guard, Line},
    live::Server,
    pool::{hash_key::HashKey, split::Split},
    router::{
        conditions::Condition,
        host::{Hosts, SiteId},
        path::PathRule,
    },
};
pub use build::{build, rebuild};
use path_edit::PathEdit;
pub use pool::{HostRule, PoolPlan, ServerPlan, StickyPlan, WrittenServer};
use template::Template;
use tls::{ListenerTls, SiteTls};
pub use way::{RetryPlan, Way};

/// The whole meaning of a config.
#[derive(Debug)]
pub struct Plan {
    /// Where to listen; a listener's id is its place here.
    pub listeners: Vec<ListenerPlan>,
    /// The sites.
    pub sites: Vec<SitePlan>,
    /// The pools; indexed by `PoolId`.
    pub pools: Vec<PoolPlan>,
    /// What answers are kept in, in the order of the config.
    pub stores: Vec<StorePlan>,
    /// Whose forwarding fields are believed.
    pub trusted: TrustedPeers,
    /// Whose connections begin with a PROXY header.
    pub proxied: TrustedPeers,
    /// Limits and times that no route changes.
    pub limits: LimitsPlan,
    /// Our line in `Via`. None: no `Via`.
    pub via: Option<Via>,
}

/// One address to listen on, and who answers there.
#[derive(Debug)]
pub struct ListenerPlan {
    /// As written in the config.
    pub address: Listen,
    /// Which site answers for which host here.
    pub hosts: Hosts,
    /// The same for handshakes; None when no site here has TLS.
    pub tls: Option<ListenerTls>,
}

/// A set of hosts and its routes.
#[derive(Debug)]
pub struct SitePlan {
    /// The host as written in the config.
    pub name: String,
    /// Routes in order; the first match wins.
    pub routes: Vec<RoutePlan>,
    /// None: it is plain.
    pub tls: Option<Box<SiteTls>>,
    /// `Strict-Transport-Security`.
    pub hsts: Option<Box<[u8]>>,
    /// Where a request of this site is counted when no route takes it.
    pub slot: RouteSlot,
}

/// A rule inside a site.
#[derive(Debug)]
pub struct RoutePlan {
    /// Its name in logs and metrics.
    pub name: String,
    /// Its place in the metrics.
    pub slot: RouteSlot,
    /// When it matches.
    pub path: PathRule,
    /// Empty: every method.
    pub methods: Vec<MethodRule>,
    /// Conditions on headers.
    pub headers: Vec<Condition>,
    /// Conditions on query parameters.
    pub query: Vec<Condition>,
    /// What it does.
    pub action: Action,
    /// What happens to the path on the way to the origin.
    pub path_edit: PathEdit,
    /// Edits on the way to the origin.
    pub request_edits: Edits,
    /// Edits on the way to the client.
    pub response_edits: Edits,
    /// What of the servers is hidden.
    pub guard: Guard,
    /// Also send `Forwarded`?
    pub forwarded: bool,
    /// How long each part may take; a [`Way`] knows more exactly.
    pub times: Times,
    /// Its place in a pool's queue; 0 is served first.
    pub priority: u8,
    /// Who gets a copy.
    pub mirror: Option<Box<MirrorPlan>>,
    /// What is kept of its answers; None: nothing.
    pub cache: Option<CachePlan>,
    /// What is compressed of its answers; None: nothing.
    pub compress: Option<CompressPlan>,
}

/// Several pools, and who goes where.
#[derive(Debug)]
pub struct SplitPlan {
    /// The ways to them.
    pub ways: Vec<Way>,
    /// Their weights.
    pub weights: Vec<u32>,
    /// Their shares; says which way.
    pub split: Split<usize>,
    /// Requests alike in this go the same way.
    pub by: HashKey,
}

/// A copy of requests for another pool, whose answers nobody sees.
#[derive(Clone, Debug)]
pub struct MirrorPlan {
    /// The way to who gets it; nothing is tried again.
    pub way: Way,
    /// Of ten thousand requests so many are copied.
    pub share: u32,
    /// Requests with a larger body are not copied, bytes.
    pub body_max: u64,
}

impl Action {
    /// The ways that requests may go: one, those of a split, or none.
    #[must_use]
    pub fn ways(&self) -> &[Way] {
        match self {
            Self::Pool(way) => std::slice::from_ref(&**way),
            Self::Split(split) => &split.ways,
            Self::Redirect { .. } | Self::Respond(_) | Self::Deny { .. } => &[],
        }
    }
}

/// A method a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodRule {
    method: Method,
    text: Box<str>,
}

impl MethodRule {
    fn new(text: &str) -> Self {
        Self {
            method: Method::from_bytes(text.as_bytes()),
            text: text.into(),
        }
    }

    /// Is this the method?
    #[must_use]
    pub fn takes(&self, method: Method, bytes: &[u8]) -> bool {
        self.method == method && (method != Method::Other || self.text.as_bytes() == bytes)
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What a route does with a request.
#[derive(Debug)]
pub enum Action {
    /// Deal it to a server of a pool.
    Pool(Box<Way>),
    /// Deal it to a server of one of several pools.
    Split(Box<SplitPlan>),
    /// Send the client elsewhere.
    Redirect { to: Template, status: u16 },
    /// Answer by itself.
    Respond(FixedAnswer),
    /// Refuse.
    Deny { status: u16 },
}

/// An answer written in the config.
#[derive(Clone, Debug)]
pub struct FixedAnswer {
    pub status: u16,
    pub body: Arc<[u8]>,
    pub content_type: Box<str>,
    pub lines: Box<[Line]>,
}

/// How long each part of an exchange may take; None is for ever.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Without progress in the request body.
    pub client_body: Option<Duration>,
    /// Without the client taking bytes.
    pub client_send: Option<Duration>,
    /// To connect to a server.
    pub connect: Option<Duration>,
    /// From the end of the request to the response head.
    pub response_head: Option<Duration>,
    /// Without progress in the response body.
    pub response_body: Option<Duration>,
    /// Without a byte either way in a tunnel.
    pub tunnel_idle: Option<Duration>,
    /// For the whole exchange.
    pub exchange: Option<Duration>,
}

/// Limits that no route changes.
#[derive(Clone, Copy, Debug)]
pub struct LimitsPlan {
    /// Of client connections.
    pub client: ClientLimits,
    /// Of connections that carry many exchanges.
    pub h2: H2Limits,
    /// Of origin connections.
    pub origin: OriginLimits,
    /// Interim responses to one request.
    pub interim_responses: u32,
    /// A request body, bytes.
    pub body_bytes: Option<u64>,
    /// An unwanted request body is read up to this.
    pub drain_bytes: u64,
    /// And this long.
    pub drain_time: Option<Duration>,
    /// An idle origin connection is kept this long.
    pub origin_idle: Option<Duration>,
    /// Client connections in all.
    pub connections: usize,
    /// And of one client.
    pub connections_per_client: usize,
    /// TLS handshakes under way.
    pub handshakes: usize,
    /// For a PROXY header and a handshake, from their first byte to their last.
    pub handshake_time: Option<Duration>,
    /// For a client's bytes while no route is known.
    pub times: Times,
}

/// A set of peers: whose forwarding fields, or whose PROXY headers, are believed.
#[derive(Debug, Default)]
pub struct TrustedPeers {
    networks: Vec<ipnet::IpNet>,
    unix: bool,
}

impl TrustedPeers {
    fn new<'a>(written: impl Iterator<Item = &'a Trusted>) -> Self {
        let mut this = Self::default();
        for trusted in written {
            match trusted {
                Trusted::Network(network) => this.networks.push(*network),
                Trusted::Unix => this.unix = true,
            }
        }
        this
    }

    /// Is it nobody?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Is this address a proxy of ours?
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// Is this peer a proxy of ours? None is a unix socket.
    #[must_use]
    pub fn holds_peer(&self, address: Option<IpAddr>) -> bool {
        address.map_or(self.unix, |address| self.holds(address))
    }
}

/// What we say in `Via` (RFC 9110 section 7.6.3): the version a request was received with, and our
/// name.
#[derive(Debug)]
pub struct Via([Box<[u8]>; 3]);

impl Via {
    fn of(name: &str) -> Self {
        Self(["1.0", "1.1", "2.0"].map(|version| format!("{version} {name}").into_bytes().into()))
    }

    /// The member for a request of this version.
    #[must_use]
    pub fn member(&self, version: Version) -> &[u8] {
        match version {
            Version::Http10 => &self.0[0],
            Version::Http11 => &self.0[1],
            Version::Http2 => &self.0[2],
        }
    }
}

impl Plan {
    /// Tells the live pools who belongs to them: when this plan is in force, not before.
    pub fn adopt(&self, now_ms: u64) {
        for pool in &self.pools {
            let servers = (pool.servers.iter()).map(|plan| (&plan.server, usize::from(plan.tier)));
            pool.live
                .adopt(servers, pool.health, pool.check.as_deref(), now_ms);
        }
    }

    /// A route by its ids.
    #[must_use]
    pub fn route(&self, id: RouteId) -> &RoutePlan {
        &self.sites[id.site.0].routes[id.route]
    }

    /// The servers of all pools.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        let pools = self.pools.iter();
        pools.flat_map(|pool| pool.servers.iter().map(|plan| &plan.server))
    }

    /// A pool by its id.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> &PoolPlan {
        &self.pools[id.0]
    }
}

/// A route of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteId {
    /// Its site.
    pub site: SiteId,
    /// Its place in the site.
    pub route: usize,
}
