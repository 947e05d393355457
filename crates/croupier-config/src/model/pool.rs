//! A pool and its servers.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::TimeoutOverrides;
use crate::source::{Span, Spanned};

/// Index into `Config::pools`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub usize);

/// Servers that can answer the same requests.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The name in the file; for an anonymous pool its servers, joined with `,`.
    pub name: Spanned<String>,
    pub kind: PoolKind,
    /// At least one.
    pub servers: Vec<Server>,
    pub balance: Balance,
    pub timeout: TimeoutOverrides,
    /// The `Host` that its servers see.
    pub host: HostHeader,
    pub protocol: Protocol,
    /// `None`: `[limits] idle_per_server`.
    pub idle_per_server: Option<usize>,
    pub span: Span,
}

/// How a pool came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// `[pool.NAME]`.
    Named,
    /// `proxy = ".."` in a site or route. Two with the same servers in one config are one pool.
    Anonymous,
}

/// One server of a pool.
#[derive(Clone, Debug)]
pub struct Server {
    pub address: Spanned<ServerAddress>,
    /// 1 to 1000.
    pub weight: u16,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// `"10.0.1.11:8080"`, `"[::1]:8080"`.
    Socket(SocketAddr),
    /// `"app.internal:8080"`: looked up later; a name that does not resolve never stops the start.
    Name { host: String, port: u16 },
    /// `"dns+srv://_http._tcp.web.internal"`: hosts, ports, priorities and weights are looked up.
    Srv { name: String },
    /// `"unix:/run/app.sock"`.
    Unix(PathBuf),
}

impl fmt::Display for ServerAddress {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Srv { name } => write!(f, "dns+srv://{name}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a server of the pool is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Balance {
    /// In turn, by weight.
    #[default]
    RoundRobin,
}

/// What a pool's servers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    #[default]
    Http,
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
