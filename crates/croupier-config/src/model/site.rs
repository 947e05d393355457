//! A site: the hosts it answers for and its routes.

use std::fmt;

use super::{
    CacheEdits, CompressEdits, Headers, Hide, Hsts, Listen, Plain, Route, SiteTls, Switch,
    TimeoutOverrides, Traffic,
};
use crate::source::{Span, Spanned};

/// `[site."HOST"]`.
#[derive(Clone, Debug)]
pub struct Site {
    pub host: Spanned<HostPattern>,
    /// Other hosts of the same site; no host is in two sites.
    pub aliases: Vec<Spanned<HostPattern>>,
    /// Empty: every listener of the process.
    pub listen: Vec<Spanned<Listen>>,
    /// At least one; first match wins. A `proxy`, `pool`, `redirect`, `respond` or `deny` of the site itself is
    /// the last one, and it matches everything.
    pub routes: Vec<Route>,
    pub headers: Headers,
    pub hide: Hide,
    /// Whether `Forwarded` (RFC 7239) is sent to the origin beside `X-Forwarded-*`.
    pub forwarded: bool,
    /// `None`: `"off"`. What it is when nothing is written depends on the host: see the reference.
    pub tls: Option<SiteTls>,
    /// Means something with `tls` only.
    pub plain: Plain,
    pub hsts: Option<Hsts>,
    pub timeout: TimeoutOverrides,
    pub traffic: Traffic,
    pub cache: Option<Switch<CacheEdits>>,
    pub compress: Option<Switch<CompressEdits>>,
    pub span: Span,
}

impl Site {
    /// The host and the aliases.
    pub fn hosts(&self) -> impl Iterator<Item = &Spanned<HostPattern>> {
        std::iter::once(&self.host).chain(&self.aliases)
    }
}

/// Which `Host` a site answers for. Lower case, without port, without a final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// A name, an IPv4 address, or an IPv6 address in brackets (as in `Host`).
    Exact(String),
    /// `*.example.com`, kept as `example.com`: any name below it, however deep, but not itself.
    Below(String),
    /// `*`: what no other site answers for.
    Any,
}

impl fmt::Display for HostPattern {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Any => f.write_str("*"),
        }
    }
}
