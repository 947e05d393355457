//! How a pool judges its servers: numbers with their defaults. The config is mapped to these;
//! nothing here knows how they were written.

use std::{ops::RangeInclusive, time::Duration};

/// When traffic puts a server aside, for how long, and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Attempts in a row that end without an answer. At least 1.
    pub failures: u32,
    /// Answers 502, 503 or 504 in a row. At least 1.
    pub gateway_errors: u32,
    /// The failure ratio is looked at over this long.
    pub window: Duration,
    /// And means nothing below this many attempts.
    pub window_attempts: u32,
    /// A failure ratio puts a server aside from this percentage on.
    pub ratio: u32,
    /// By so many percentage points it must exceed that of the pool's other servers.
    pub ratio_above: u32,
    /// The first ejection of a server that refused the connection: it may be restarting.
    pub refused_first: Duration,
    /// The first ejection of any other server.
    pub first: Duration,
    /// The longest ejection.
    pub last: Duration,
    /// After each such time without an ejection the next one is shorter by a step.
    pub decay: Duration,
    /// A probe that has not reported after this long is replaced by another.
    pub probe: Duration,
    /// Percent of the pool's servers that failing answers may put aside; one of two always. 0:
    /// traffic puts no server aside.
    pub share: u32,
    /// Below this percentage of usable servers the pool fails open.
    pub panic: u32,
    /// How long the share of a server that has recovered grows; None: it gets all at once.
    pub slow_start: Option<Duration>,
}

impl Default for HealthPolicy {
    /// The defaults of Envoy's outlier detection, with ejections that double.
    fn default() -> Self {
        Self {
            failures: 3,
            gateway_errors: 5,
            window: Duration::from_secs(10),
            window_attempts: 20,
            ratio: 50,
            ratio_above: 30,
            refused_first: Duration::from_secs(1),
            first: Duration::from_secs(5),
            last: Duration::from_secs(300),
            decay: Duration::from_secs(30),
            probe: Duration::from_secs(10),
            share: 50,
            panic: 50,
            slow_start: None,
        }
    }
}

/// How a server is asked whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPolicy {
    /// What is asked.
    pub kind: CheckKind,
    /// Another port than the server's own; not for unix sockets.
    pub port: Option<u16>,
    /// Between two checks while nothing changes.
    pub interval: Duration,
    /// Between two checks while a change is coming: the last results differ from the verdict.
    pub interval_changing: Duration,
    /// For one whole check, from connecting to the verdict.
    pub timeout: Duration,
    /// Checks in a row that must pass until a server that is down is up. At least 1.
    pub rise: u32,
    /// Checks in a row that must fail until a server that is up is down. At least 1.
    pub fall: u32,
}

impl Default for CheckPolicy {
    fn default() -> Self {
        Self {
            kind: CheckKind::Connect,
            port: None,
            interval: Duration::from_secs(2),
            interval_changing: Duration::from_millis(500),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// It accepts a connection.
    Connect,
    /// It answers a request as expected, over what its pool speaks.
    Http(HttpCheck),
    /// It says `SERVING` of a service (`grpc.health.v1`); empty: of itself. Over HTTP/2.
    Grpc(Box<str>),
}

/// A request, and what its answer must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// The method, a token.
    pub method: Box<str>,
    /// Path and query, beginning with `/`.
    pub path: Box<str>,
    /// The `Host`; None: the server's own authority.
    pub host: Option<Box<str>>,
    /// More fields of the request, lawful in name and value.
    pub fields: Box<[(Box<str>, Box<str>)]>,
    /// Statuses that pass.
    pub statuses: Box<[RangeInclusive<u16>]>,
    /// Text that must occur in the first 16 KiB of the body.
    pub body: Option<Box<str>>,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            host: None,
            fields: Box::default(),
            statuses: Box::new([200..=399]),
            body: None,
        }
    }
}

/// How requests wait while no server of a pool can take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// So many may wait.
    pub waiting: usize,
    /// So long.
    pub timeout: Duration,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            waiting: 1024,
            timeout: Duration::from_secs(2),
        }
    }
}
