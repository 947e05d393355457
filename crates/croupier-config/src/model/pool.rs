//! A pool and its servers.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Balance, Eject, Health, Hedge, OriginTls, Percent, Queue, Retry, Sticky, TimeoutOverrides,
};
use crate::source::{Span, Spanned};

/// Index into `Config::pools`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub usize);

/// Servers that can answer the same requests.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The name in the file; for an anonymous pool its servers as URLs (plain HTTP without its scheme), joined with `,`.
    pub name: Spanned<String>,
    pub kind: PoolKind,
    /// At least one.
    pub servers: Vec<Server>,
    pub balance: Balance,
    /// `None`: `"off"`, servers are not asked.
    pub health: Option<Health>,
    /// `None`: `false`, traffic puts no server aside. What `panic` says is then [`Pool::panic`].
    pub eject: Option<Eject>,
    /// How long a server takes to come to its full share after it was away; `None`: at once.
    pub slow_start: Option<Duration>,
    pub queue: Queue,
    pub sticky: Option<Sticky>,
    /// `None`: `false`. What holds for a route is [`super::Config::retry_of`].
    pub retry: Option<Retry>,
    /// `None`: off. What holds for a route is [`super::Config::hedge_of`].
    pub hedge: Option<Hedge>,
    /// Whether a download that a server breaks off goes on at another, by `Range` and `If-Range` (RFC 9110, 14.2).
    pub resume: bool,
    pub timeout: TimeoutOverrides,
    /// The `Host` that its servers see.
    pub host: HostHeader,
    pub protocol: Protocol,
    /// Means something with [`Protocol::Https`] only.
    pub tls: OriginTls,
    /// What its connections begin with; `None`: nothing.
    pub proxy_protocol: Option<ProxyHeader>,
    /// `None`: `[limits] idle_per_server`.
    pub idle_per_server: Option<usize>,
    pub span: Span,
}

impl Pool {
    /// A pool with every other key at its default.
    pub fn new(name: Spanned<String>, kind: PoolKind, servers: Vec<Server>, span: Span) -> Self {
        Self {
            name,
            kind,
            servers,
            balance: Balance::default(),
            health: None,
            eject: Some(Eject::default()),
            slow_start: None,
            queue: Queue::default(),
            sticky: None,
            retry: Some(Retry::default()),
            hedge: None,
            resume: true,
            timeout: TimeoutOverrides::default(),
            host: HostHeader::default(),
            protocol: Protocol::default(),
            tls: OriginTls::default(),
            proxy_protocol: None,
            idle_per_server: None,
            span,
        }
    }

    /// The share of usable servers below which all are asked again; `None`: `"off"`. It counts with `eject = false`
    /// too, since health checks alone can leave a pool empty.
    pub fn panic(&self) -> Option<Percent> {
        match &self.eject {
            Some(eject) => eject.panic,
            None => Eject::default().panic,
        }
    }
}

/// How a pool came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// `[pool.NAME]`.
    Named,
    /// `proxy = ".."` in a site or route. Two with the same servers, spoken to alike, are one pool.
    Anonymous,
}

/// One server of a pool.
#[derive(Clone, Debug)]
pub struct Server {
    pub address: Spanned<ServerAddress>,
    /// 0 to 1000. 0: no new clients, only those that stick to it. Not all servers of a pool have 0. For
    /// [`ServerAddress::Srv`] it is 1 and means nothing: DNS says it.
    pub weight: u16,
    /// 0: always; 1 to 8: a backup, asked when all servers of the lower tiers are away.
    pub tier: u8,
    /// Requests in flight at once, 1 to 1,000,000; `None`: no limit.
    pub max_requests: Option<u32>,
    /// Connections open at once, 1 to 1,000,000; `None`: no limit.
    pub max_connections: Option<u32>,
}

impl Server {
    /// A server with every other key at its default.
    pub fn new(address: Spanned<ServerAddress>) -> Self {
        Self {
            address,
            weight: 1,
            tier: 0,
            max_requests: None,
            max_connections: None,
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// `"10.0.1.11:8080"`, `"[::1]:8080"`.
    Socket(SocketAddr),
    /// `"app.internal:8080"`: looked up later; a name that does not resolve never stops the start.
    Name { host: String, port: u16 },
    /// `"unix:/run/app.sock"`.
    Unix(PathBuf),
    /// `"dns+srv://_http._tcp.web.internal"`: servers, ports, weights and tiers come from DNS (RFC 2782).
    Srv {
        /// In lower case, without a final dot.
        name: String,
    },
}

impl fmt::Display for ServerAddress {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Srv { name } => write!(f, "dns+srv://{name}"),
        }
    }
}

/// What a pool's servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    #[default]
    Http,
    /// TLS, and over it HTTP/2 or HTTP/1.1, as the server chooses.
    Https,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
}

/// What a connection to a server begins with (PROXY protocol, haproxy.org, 2020).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    pub version: ProxyVersion,
    /// With [`ProxyVersion::V2`] only.
    pub tlvs: Vec<ProxyTlv>,
}

/// The form of a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary, with TLVs.
    V2,
}

/// What a PROXY header of version 2 may say beside the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyTlv {
    /// The protocol chosen by ALPN.
    Alpn,
    /// The name that the client asked for in its handshake.
    Authority,
    /// The TLS version and whether the client showed a certificate, with its common name.
    Ssl,
    /// The id of the request that the connection was made for.
    UniqueId,
}

/// The `Host` that a pool's servers see.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum HostHeader {
    /// What the client sent.
    #[default]
    Client,
    /// The server's own address as written.
    Server,
    /// Always this.
    Literal(String),
}
