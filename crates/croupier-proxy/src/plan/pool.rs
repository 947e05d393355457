//! A pool as the plan has it: its servers, and how one of them is chosen.

use std::sync::Arc;

use croupier_config::model::ProxyHeader;
use croupier_http::Authority;
use croupier_net::origin::Manner;

use crate::{
    live::{
        LivePool, Server,
        policy::{CheckPolicy, HealthPolicy, QueuePolicy},
    },
    pool::{
        hash_key::HashKey,
        pick::Picker,
        sticky::{StickyRule, Token},
    },
};

/// Servers that answer the same requests.
#[derive(Debug)]
pub struct PoolPlan {
    /// Its name.
    pub name: String,
    /// What is true of it now.
    pub live: Arc<LivePool>,
    /// What the config says: addresses and names.
    pub written: Vec<WrittenServer>,
    /// Its servers; of a name, one for each address found.
    pub servers: Vec<ServerPlan>,
    /// How they are spoken to.
    pub manner: Arc<Manner>,
    /// What their connections begin with.
    pub greeting: Option<ProxyHeader>,
    /// The highest weight, see [`ServerPlan::weight`].
    pub weight_max: u32,
    /// How one is chosen: each worker begins with a copy.
    pub picker: Picker,
    /// The word for it in the config.
    pub balance: &'static str,
    /// What of a request decides, for those that choose by a key.
    pub key: Option<HashKey>,
    /// The cookie that leads back to a server.
    pub sticky: Option<StickyPlan>,
    /// When traffic puts a server aside, and how it comes back.
    pub health: HealthPolicy,
    /// How servers are asked whether they work; None: by traffic alone.
    pub check: Option<Arc<CheckPolicy>>,
    /// How requests wait while no server can take them; None: they do not.
    pub queue: Option<QueuePolicy>,
    /// Are broken downloads continued at another server?
    pub resumes: bool,
    /// What answers must not show.
    pub authorities: Vec<Authority>,
    /// The `Host` the servers see.
    pub host: HostRule,
    /// Idle connections kept for each worker and server.
    pub idle_kept: usize,
}

/// A server as the config has it: a name may stand for several, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenServer {
    /// The address or name.
    pub address: String,
    /// Its share within the tier; 0: it gets those clients only that stick to it.
    pub weight: u16,
    /// 0 is asked first, the others are backups.
    pub tier: u8,
}

/// A server as a pool has it.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// What is true of it now.
    pub server: Arc<Server>,
    /// Its share within the tier, in 1/[`crate::pool::pick::UNIT`] of a configured weight of 1.
    /// 0: it gets those clients only that stick to it.
    pub weight: u32,
    /// 0 is asked first; at most [`ServerPlan::TIER_MAX`].
    pub tier: u8,
    /// Attempts in flight, over all workers; 0: no limit. Never more than its connections have
    /// room for, where those are limited.
    pub requests_max: u32,
    /// Open connections, over all workers; 0: no limit.
    pub connections_max: u32,
}

impl ServerPlan {
    /// The last tier: more come from DNS (priorities of SRV records) only, and count as this one.
    pub const TIER_MAX: u8 = 8;
}

/// Sessions that stick to a server.
#[derive(Debug)]
pub struct StickyPlan {
    /// How the cookie is given out.
    pub rule: StickyRule,
    /// The servers' tokens, in their order.
    pub tokens: Vec<Token>,
    /// Does the config say the secret? Else the tokens are this process's alone.
    pub has_secret: bool,
}

/// The `Host` a server sees.
#[derive(Clone, Debug)]
pub enum HostRule {
    /// What the client sent.
    Client,
    /// The server's own address.
    Server,
    /// Always this.
    Fixed(Box<str>),
}
