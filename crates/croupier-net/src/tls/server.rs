//! TLS to clients: what is offered, to whom by which name.
//!
//! A configuration is made once for a site and reads its certificate from the site's [`Slot`] at
//! each handshake, so a new certificate needs no new configuration. Which configuration a
//! client gets is decided by the name it asks for ([`Names`]) before the handshake goes on.

use std::{collections::HashMap, fmt, sync::Arc};

use rustls::{
    ServerConfig, SupportedProtocolVersion,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::{
    TlsError,
    certs::{Certificate, Slot},
    client_auth::{self, ClientAuthTerms},
    provider,
    tickets::Tickets,
};

/// Tickets a client gets after a full handshake: it may use each once, and browsers open two
/// connections.
const TICKETS: usize = 2;

/// Which versions and suites are offered, after Mozilla's recommendations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// TLS 1.3, and TLS 1.2 with forward secrecy and AEAD only.
    Intermediate,
    /// TLS 1.3 only.
    Modern,
}

impl Profile {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static INTERMEDIATE: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static MODERN: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Intermediate => &INTERMEDIATE,
            Self::Modern => &MODERN,
        }
    }
}

/// What a site asks for.
#[derive(Debug)]
pub struct ServerTerms {
    pub profile: Profile,
    /// None: no client is asked for a certificate.
    pub client_auth: Option<ClientAuthTerms>,
    /// To be shared by all configurations with the same `client_auth`, and by no others.
    pub tickets: Arc<Tickets>,
    /// Where the present certificate lies.
    pub slot: Arc<Slot>,
}

/// A configuration by which clients are served.
///
/// # Errors
/// When an authority or a revocation list can not be read: never is a client let in unchecked
/// because of it.
pub fn server_config(terms: ServerTerms) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(terms.profile.versions())
        .map_err(|error| TlsError::Other(error.to_string()))?;
    let builder = match &terms.client_auth {
        None => builder.with_no_client_auth(),
        Some(terms) => builder.with_client_cert_verifier(client_auth::verifier(terms)?),
    };
    let mut config = builder.with_cert_resolver(Arc::new(FromSlot(terms.slot)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A client that puts ChaCha20 first gets its will: see `accept`.
    config.ignore_client_order = true;
    config.send_tls13_tickets = TICKETS;
    config.ticketer = terms.tickets;
    // Only tickets: what is kept here would be one worker's, and would outlive what it believed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// The configuration that answers a challenge by TLS-ALPN (RFC 8737): it shows `certificate`
/// and speaks nothing but `acme-tls/1`.
///
/// # Errors
/// What the library says; none is known.
pub fn challenge_config(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, TlsError> {
    let slot = Slot::empty();
    slot.set(certificate);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(Profile::Intermediate.versions())
        .map_err(|error| TlsError::Other(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(FromSlot(slot)));
    config.alpn_protocols = vec![ACME.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The protocol of RFC 8737.
pub(super) const ACME: &[u8] = b"acme-tls/1";

#[derive(Debug)]
struct FromSlot(Arc<Slot>);

impl ResolvesServerCert for FromSlot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.get().map(|certificate| Arc::clone(&certificate.key))
    }
}

/// What a name is answered with.
#[derive(Clone)]
pub struct Offer {
    pub config: Arc<ServerConfig>,
    /// Where the certificate lies; a handshake waits for it, or is refused, while it is empty.
    pub slot: Arc<Slot>,
    /// Which rules for client certificates were applied: 0 is none. A request for a site with
    /// another policy does not belong to the connection (RFC 9110 section 15.5.20).
    pub policy: u64,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// What belongs to the name that a client asks for: an exact name before a wildcard, a longer
/// wildcard before a shorter one, and the default for everybody else.
#[derive(Clone, Debug)]
pub struct Names<T> {
    exact: HashMap<Box<str>, T>,
    /// By what follows the `*.`.
    below: HashMap<Box<str>, T>,
    default: Option<T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            below: HashMap::new(),
            default: None,
        }
    }
}

impl<T> Names<T> {
    /// Adds a name in lower case, `*.x` for whatever lies below `x`, or `*` for the default. The
    /// first one stays.
    pub fn add(&mut self, name: &str, value: T) {
        if name == "*" {
            self.default.get_or_insert(value);
        } else if let Some(above) = name.strip_prefix("*.") {
            self.below.entry(above.into()).or_insert(value);
        } else {
            self.exact.entry(name.into()).or_insert(value);
        }
    }

    /// For clients that name nothing, or nothing known.
    pub fn set_default(&mut self, value: T) {
        self.default = Some(value);
    }

    /// What belongs to `name`; the default when there is no name or none that fits.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> Option<&T> {
        name.and_then(|name| self.known(name))
            .or(self.default.as_ref())
    }

    /// What belongs to `name` and not to everybody.
    #[must_use]
    pub fn known(&self, name: &str) -> Option<&T> {
        if let Some(found) = self.exact.get(name) {
            return Some(found);
        }
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.') {
            if let Some(found) = self.below.get(above) {
                return Some(found);
            }
            rest = above;
        }
        None
    }

    /// Is there nothing at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty() && self.default.is_none()
    }

    /// Everything in it, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.exact
            .values()
            .chain(self.below.values())
            .chain(self.default.as_ref())
    }
}
