//! How a pool finds out which of its servers are well: by asking them, and by watching their traffic.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Percent;

/// `health`: servers are asked in between, whether there is traffic or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub check: HealthCheck,
    /// Asked here instead of at the server's own port; not for servers on Unix sockets.
    pub port: Option<u16>,
    /// From one check to the next of a server whose state is settled; at least 10 ms.
    pub interval: Duration,
    /// The same while its state is changing: between the first check that came out otherwise and the last that is
    /// needed; at least 10 ms.
    pub interval_changing: Duration,
    /// How long one check may take, the connection included; at least 1 ms.
    pub timeout: Duration,
    /// Checks in a row that must succeed before a failed server gets requests again; 1 to 100.
    pub rise: u32,
    /// Checks in a row that must fail before a server gets none; 1 to 100.
    pub fall: u32,
}

impl Health {
    /// A check with every other key at its default.
    pub fn new(check: HealthCheck) -> Self {
        Self {
            check,
            port: None,
            interval: Duration::from_secs(2),
            interval_changing: Duration::from_millis(500),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheck {
    /// Whether a connection is accepted.
    Tcp,
    /// A request and its answer.
    Http(HttpCheck),
    /// `grpc.health.v1.Health/Check`; its pool speaks HTTP/2.
    Grpc {
        /// The service that is asked for; empty: the server as a whole.
        service: String,
    },
}

/// A request of a health check, and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    pub method: CheckMethod,
    /// Path and query; begins with `/`.
    pub path: String,
    /// The `Host` of the request; `None`: the server's address as written.
    pub host: Option<String>,
    /// One of these holds the status; at least one.
    pub status: Vec<RangeInclusive<u16>>,
    /// Text that must occur in the first [`HttpCheck::BODY_BYTES`] of the body.
    pub body: Option<String>,
}

impl HttpCheck {
    /// How much of a body is looked at, in bytes.
    pub const BODY_BYTES: usize = 16 << 10;

    /// Whether the check takes this status for good.
    pub fn takes(&self, status: u16) -> bool {
        self.status.iter().any(|range| range.contains(&status))
    }
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            method: CheckMethod::default(),
            path: "/".into(),
            host: None,
            status: vec![200..=399],
            body: None,
        }
    }
}

/// The method of a health check; all of them are safe (RFC 9110, 9.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CheckMethod {
    #[default]
    Get,
    Head,
    Options,
}

impl CheckMethod {
    /// As it goes over the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}

/// `eject`: a server whose own traffic fails is put aside for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eject {
    /// Transport failures in a row (closed or silent before an answer); `None`: `"off"`. A server that cannot be
    /// connected to is put aside at once.
    pub failures: Option<u32>,
    /// Answers with 502, 503 or 504 in a row; `None`: `"off"`.
    pub gateway_errors: Option<u32>,
    /// Share of failed requests in a window of [`Eject::WINDOW`], with at least [`Eject::WINDOW_REQUESTS`], and well
    /// above the share of the whole pool; `None`: `"off"`.
    pub ratio: Option<Percent>,
    /// How long a server is aside the first time; it doubles with each further time.
    pub first: Duration,
    /// The longest; at least `first`.
    pub longest: Duration,
    /// At most this share of the pool is put aside by traffic alone; above 0% and at most 100%.
    pub share: Percent,
    /// When fewer of the servers are usable than this share, all that answer at all are asked again (fail open);
    /// `None`: `"off"`.
    pub panic: Option<Percent>,
}

impl Eject {
    /// How long the window of `ratio` is.
    pub const WINDOW: Duration = Duration::from_secs(10);
    /// Requests in the window below which `ratio` says nothing.
    pub const WINDOW_REQUESTS: u32 = 20;
}

impl Default for Eject {
    fn default() -> Self {
        Self {
            failures: Some(3),
            gateway_errors: Some(5),
            ratio: Some(Percent::whole(50)),
            first: Duration::from_secs(5),
            longest: Duration::from_secs(300),
            share: Percent::whole(50),
            panic: Some(Percent::whole(50)),
        }
    }
}
