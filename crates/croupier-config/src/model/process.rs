//! `[server]`: the process itself.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use ipnet::IpNet;

use super::{AccessLog, Listen, LogLevel, Timeout};
use crate::source::Spanned;

/// The process: its listeners, workers, logs and side doors.
#[derive(Clone, Debug)]
pub struct Process {
    /// Every listener of the process: `listen` of `[server]` when written. When it is not, the listeners that
    /// the sites name; for sites that name none `:80`, and `:443` when one of them has TLS.
    pub listen: Vec<Spanned<Listen>>,
    /// `None`: one per core.
    pub workers: Option<NonZeroUsize>,
    /// The Unix socket of the admin interface; `None`: no admin interface.
    pub admin: Option<Spanned<PathBuf>>,
    /// Where `/metrics`, `/healthz` and `/readyz` answer; `None`: nowhere.
    pub metrics: Option<Spanned<Listen>>,
    /// Whose connections begin with a PROXY header; others must not send one.
    pub proxy_protocol: Vec<Spanned<Trusted>>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<Spanned<Trusted>>,
    /// DNS servers that names of servers are asked of, in this order; empty: those of the system.
    pub resolver: Vec<SocketAddr>,
    /// Where certificates, accounts and our own authority are kept; `None`: not written, see the reference.
    pub state: Option<Spanned<PathBuf>>,
    pub access_log: AccessLog,
    pub log_level: LogLevel,
    /// How long exchanges may go on after the stop signal.
    pub shutdown_grace: Timeout,
    /// The pseudonym in `Via` (RFC 9110, 7.6.3); `None`: `off`.
    pub via: Option<String>,
}

/// One entry of `trusted_proxies` and `proxy_protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// `"10.0.0.0/8"`, or a single address as a network of one.
    Network(IpNet),
    /// `"unix"`: whoever connects through a Unix socket.
    Unix,
}
