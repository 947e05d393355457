//! How a server of a pool is chosen, and what waits when there is none.

use std::fmt;
use std::time::Duration;

use super::Percent;

/// `balance`: how a server of the pool is chosen.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Balance {
    /// `"two-choices"`: of two drawn at random by weight, the one with fewer requests in flight (Mitzenmacher,
    /// "The power of two choices", 2001).
    #[default]
    TwoChoices,
    /// `"round-robin"`: in turn, by weight.
    RoundRobin,
    /// `"random"`: drawn by weight.
    Random,
    /// `"least-requests"`: the one with the fewest requests in flight for its weight.
    LeastRequests,
    /// `"ewma"`: of two drawn at random, the one with the smaller moving average of latency times requests in flight.
    Ewma,
    /// `"hash"`, or a table: the same key goes to the same server.
    Hash(HashBalance),
}

/// `balance = { hash = .., table = .., load = .. }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashBalance {
    pub key: HashKey,
    pub table: HashTable,
    /// No server takes more than this share of the mean of requests in flight (Mirrokni et al., "Consistent hashing
    /// with bounded loads", 2016); at least 100%. `None`: `"off"`, unbounded.
    pub load: Option<Percent>,
}

impl Default for HashBalance {
    fn default() -> Self {
        Self {
            key: HashKey::default(),
            table: HashTable::default(),
            load: Some(Percent::whole(125)),
        }
    }
}

/// What of a request is hashed; a request that lacks it counts as one with an empty value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum HashKey {
    /// `"client.ip"`: the client's address, behind trusted proxies the one that they name.
    #[default]
    ClientIp,
    /// `"header.NAME"`, in lower case.
    Header(String),
    /// `"cookie.NAME"`, with its case.
    Cookie(String),
    /// `"path"`: without the query.
    Path,
    /// `"uri"`: path and query.
    Uri,
    /// `"query.NAME"`: one parameter, with its case.
    Query(String),
}

impl fmt::Display for HashKey {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client.ip"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
            Self::Path => f.write_str("path"),
            Self::Uri => f.write_str("uri"),
            Self::Query(name) => write!(f, "query.{name}"),
        }
    }
}

/// The table behind a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HashTable {
    /// The most even (Eisenbud et al., "Maglev", 2016).
    #[default]
    Maglev,
    /// Moves the fewest keys when a server comes or goes (Karger et al., 1997).
    Ring,
}

/// `queue`: requests that wait for a server of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many may wait at once; 0: none.
    pub requests: u32,
    /// How long one may wait; zero only when none may.
    pub time: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            requests: 1024,
            time: Duration::from_secs(2),
        }
    }
}

/// `priority`: the place of a route's requests in the pool's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}
