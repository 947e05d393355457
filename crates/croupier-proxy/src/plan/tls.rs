//! TLS of sites and listeners: which certificate is shown for which name, who is let in, and what
//! a request gets that came without.

use std::{fmt, net::IpAddr, sync::Arc};

use croupier_config::model::{Hsts, Listen, Plain};
use croupier_net::tls::server::Offer;

use crate::{
    live::offers::Terms,
    router::host::{Hosts, SiteId},
};

/// TLS of a site.
#[derive(Clone, Debug)]
pub struct SiteTls {
    /// What handshakes for it are made with.
    pub shown: Shown,
    /// The same without the certificate.
    pub terms: Terms,
    /// What a plain request gets.
    pub plain: Plain,
    /// Where it is sent to.
    pub port: HttpsPort,
    /// Where the certificate comes from, in words.
    pub source: Box<str>,
}

/// Whose certificate a site shows.
#[derive(Clone, Debug)]
pub enum Shown {
    /// The same to everybody.
    Same(Arc<Offer>),
    /// That of the name asked for, which may have to be got first.
    OnDemand,
}

impl SiteTls {
    /// Is the connection that was made with `offer` one of this site's own?
    #[must_use]
    pub fn is_of(&self, offer: &Arc<Offer>) -> bool {
        matches!(&self.shown, Shown::Same(own) if Arc::ptr_eq(own, offer))
    }
}

/// The port of a site's TLS, for those who come by a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpsPort {
    /// Always this.
    Fixed(u16),
    /// The one by which they came, since any listener takes both; but never 80: then this.
    Same { instead_of_80: u16 },
}

impl HttpsPort {
    /// Of a site with these listeners: 443, or one that is called after it.
    #[must_use]
    pub fn of<'a>(listeners: impl Iterator<Item = &'a Listen>) -> Self {
        let ports: Vec<u16> = listeners.filter_map(port).collect();
        let is_443 = |port: &&u16| **port == 443;
        let is_like_443 = |port: &&u16| **port % 1000 == 443;
        let fixed = ports.iter().find(is_443);
        if let Some(port) = fixed.or_else(|| ports.iter().find(is_like_443)) {
            return Self::Fixed(*port);
        }
        let other = ports.iter().find(|port| !matches!(port, 0 | 80));
        Self::Same {
            instead_of_80: other.copied().unwrap_or(443),
        }
    }

    /// For a request that came by this listener, and spoke of this port. A listener on port 0 has
    /// the one that the client knows.
    #[must_use]
    pub fn from(self, listener: &Listen, asked: Option<u16>) -> u16 {
        match (self, port(listener)) {
            (Self::Fixed(port), _) => port,
            (Self::Same { instead_of_80 }, Some(0)) => asked.unwrap_or(instead_of_80),
            (Self::Same { instead_of_80 }, Some(80) | None) => instead_of_80,
            (Self::Same { .. }, Some(port)) => port,
        }
    }
}

/// The port of a listener; 0 is any that is free. None for a unix socket.
fn port(listener: &Listen) -> Option<u16> {
    match listener {
        Listen::Port(port) => Some(*port),
        Listen::Socket(address) => Some(address.port()),
        Listen::Unix(_) => None,
    }
}

/// Names to sites with TLS, on one listener.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// Only sites with TLS.
    pub(super) sites: Hosts,
    /// For no name, or one that nobody knows: the site for every host, else the first.
    pub(super) default: SiteId,
}

impl ListenerTls {
    /// The site that a handshake for this name (lower case) is for. Without a name (RFC 6066 allows
    /// no IP address in its place) the address that the client came to may say it.
    #[must_use]
    pub fn find(&self, name: Option<&str>, local: Option<IpAddr>) -> SiteId {
        let site = match (name, local) {
            (Some(name), _) => self.sites.find(name.strip_suffix('.').unwrap_or(name)),
            (None, Some(IpAddr::V4(v4))) => self.sites.find(&v4.to_string()),
            (None, Some(IpAddr::V6(v6))) => self.sites.find(&format!("[{v6}]")),
            (None, None) => None,
        };
        site.unwrap_or(self.default)
    }
}

/// `Strict-Transport-Security` as it is sent (RFC 6797 section 6.1).
pub(super) fn hsts(written: &Hsts) -> Box<[u8]> {
    let subdomains = if written.include_subdomains {
        "; includeSubDomains"
    } else {
        ""
    };
    let preload = if written.preload { "; preload" } else { "" };
    format!("max-age={}{subdomains}{preload}", written.max_age.as_secs())
        .into_bytes()
        .into()
}

impl fmt::Display for SiteTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        match (self.terms.policy.asks(), self.terms.policy.is_required()) {
            (true, true) => f.write_str("; clients must show a certificate"),
            (true, false) => f.write_str("; clients may show a certificate"),
            (false, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use croupier_config::model::{HostPattern, Hsts, Listen};

    use super::{HttpsPort, ListenerTls, hsts};
    use crate::router::host::{Hosts, SiteId};

    #[test]
    fn plain_requests_are_sent_to_the_port_that_people_mean() {
        let of = |ports: &[u16]| {
            let listeners: Vec<_> = ports.iter().map(|port| Listen::Port(*port)).collect();
            HttpsPort::of(listeners.iter())
        };
        let by = |ports: &[u16], own: u16| of(ports).from(&Listen::Port(own), Some(4321));
        for (ports, own, expected) in [
            (&[80, 443][..], 80, 443),
            (&[8080, 8443], 8080, 8443),
            (&[8443, 443], 8443, 443),
            (&[8080], 8080, 8080),
            (&[80, 8000], 80, 8000),
            (&[80], 80, 443),
            (&[0], 0, 4321),
        ] {
            assert_eq!(by(ports, own), expected, "{ports:?} by {own}");
        }
        let socket = Listen::Unix("/run/x".into());
        assert_eq!(
            HttpsPort::of([&socket].into_iter()).from(&socket, None),
            443
        );
    }

    #[test]
    fn a_name_nobody_knows_and_no_name_get_the_default() {
        let mut sites = Hosts::default();
        sites.insert(&HostPattern::Exact("a.example".into()), SiteId(1));
        sites.insert(&HostPattern::Exact("[::1]".into()), SiteId(2));
        let tls = ListenerTls {
            sites,
            default: SiteId(1),
        };
        assert_eq!(tls.find(Some("a.example"), None), SiteId(1));
        assert_eq!(tls.find(Some("b.example"), None), SiteId(1));
        assert_eq!(tls.find(None, "::1".parse().ok()), SiteId(2));
        assert_eq!(tls.find(None, None), SiteId(1));
    }

    #[test]
    fn strict_transport_security_is_spelled_as_browsers_read_it() {
        let mut written = Hsts {
            max_age: Duration::from_secs(3600),
            include_subdomains: false,
            preload: false,
        };
        assert_eq!(&*hsts(&written), b"max-age=3600");
        (written.include_subdomains, written.preload) = (true, true);
        assert_eq!(
            &*hsts(&written),
            b"max-age=3600; includeSubDomains; preload"
        );
    }
}
