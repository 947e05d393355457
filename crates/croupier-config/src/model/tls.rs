//! TLS to clients: whose certificate a site shows, and whom it lets in.

use std::path::PathBuf;
use std::time::Duration;

use crate::source::Spanned;

/// `tls = ..` of a site that has it.
#[derive(Clone, Debug)]
pub struct SiteTls {
    pub certificate: Spanned<CertificateFrom>,
    pub profile: TlsProfile,
    /// `None`: no client is asked for a certificate.
    pub client_auth: Option<ClientAuth>,
}

/// Where a site's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateFrom {
    /// `"auto"`: from the authority of `[acme]`, for all exact names of the site.
    Auto,
    /// `"on-demand"`: from the authority of `[acme]`, for a name when a client first asks for it and `[acme] ask`
    /// agrees.
    OnDemand,
    /// `"internal"`: from our own authority in the state directory.
    Internal,
    /// PEM files. One file may hold both.
    Files { certificate: PathBuf, key: PathBuf },
}

/// Which versions and suites are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TlsProfile {
    /// `"intermediate"`: TLS 1.3, and 1.2 with forward secrecy and AEAD.
    #[default]
    Intermediate,
    /// `"modern"`: TLS 1.3 only.
    Modern,
}

/// `client_auth = {..}`: certificates of clients.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    pub mode: ClientAuthMode,
    /// PEM files with the authorities that are believed; at least one.
    pub ca: Vec<Spanned<PathBuf>>,
    /// PEM files with revocation lists.
    pub crl: Vec<Spanned<PathBuf>>,
}

/// Must a client have a certificate?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ClientAuthMode {
    #[default]
    Require,
    /// One without is let in, and the origin hears of it.
    Optional,
}

/// What a site with TLS answers to a plain request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Plain {
    /// A redirect to https.
    #[default]
    Redirect,
    /// What it answers to https.
    Serve,
}

/// `hsts = ..`: `Strict-Transport-Security` (RFC 6797) on every answer over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    pub max_age: Duration,
    pub include_subdomains: bool,
    pub preload: bool,
}

/// `tls = {..}` of a pool with `protocol = "https"`.
#[derive(Clone, Debug)]
pub struct OriginTls {
    /// PEM files with the authorities that are believed; empty: those of the system.
    pub ca: Vec<Spanned<PathBuf>>,
    /// The name that the servers' certificates must show, and that they hear; `None`: each server's host, as written.
    pub name: Option<Spanned<String>>,
    /// Our certificate and key, PEM files.
    pub client: Option<(Spanned<PathBuf>, Spanned<PathBuf>)>,
    /// `false`: whoever answers is believed.
    pub verify: bool,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
}

impl Default for OriginTls {
    fn default() -> Self {
        Self {
            ca: Vec::new(),
            name: None,
            client: None,
            verify: true,
            http2: true,
        }
    }
}
