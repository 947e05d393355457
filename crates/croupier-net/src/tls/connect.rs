//! Handshakes with origins: whom we believe, what we show, what we offer.

use std::{fmt, future::poll_fn, net::IpAddr, rc::Rc, sync::Arc, task::Poll};

use rustls::{ClientConfig, client::UnbufferedClientConnection, pki_types::ServerName};

use super::{
    Alpn, TlsError, TlsFailure,
    certs::Certificate,
    provider,
    session::Side,
    stream::TlsStream,
    verify::{self, Verification},
};
use crate::{
    buffers::Buffer,
    error::NetError,
    local::Local,
    timers::{Tick, Timer},
    transport::Transport,
};

/// What a pool asks for.
#[derive(Clone)]
pub struct OriginTerms {
    /// PEM with certificates of authorities; none means those of the platform.
    pub ca: Vec<Vec<u8>>,
    /// PEM of a chain and its key, shown to origins that ask for a certificate.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
    /// False: the origin may be anybody.
    pub verify: bool,
    /// Offer HTTP/2 before HTTP/1.
    pub http2: bool,
}

impl fmt::Debug for OriginTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginTerms")
            .field("verify", &self.verify)
            .field("http2", &self.http2)
            .finish_non_exhaustive()
    }
}

/// How origins of a pool are spoken to. Sessions are resumed within one of these only, and by
/// name: what was verified by one pool's rules is nothing to another's.
pub struct OriginTls {
    config: Arc<ClientConfig>,
}

impl fmt::Debug for OriginTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginTls").finish_non_exhaustive()
    }
}

/// Makes ready what `terms` ask for. May read the platform's authorities from disk: not for a
/// worker.
///
/// # Errors
/// When an authority, our certificate or its key can not be used.
pub fn origin_tls(terms: &OriginTerms) -> Result<Arc<OriginTls>, TlsError> {
    let verification = if terms.verify {
        Verification::Full
    } else {
        Verification::None
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Other(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verify::verifier(&terms.ca, verification)?);
    let mut config = match &terms.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let certificate = Certificate::from_pem(chain, key)?;
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                (*certificate.key).clone(),
            )))
        }
    };
    config.alpn_protocols = if terms.http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(Arc::new(OriginTls {
        config: Arc::new(config),
    }))
}

/// Shakes hands with an origin before `until`. `name` is a host name or an IP address, an IPv6
/// one with or without brackets; it is asked for and has to be in the certificate.
///
/// # Errors
/// `Tls` tells why: above all what is wrong with the origin's certificate. `Closed` when the
/// origin left without a word, `Truncated` when it left in the middle.
pub async fn connect(
    io: Transport,
    tls: &OriginTls,
    name: &str,
    local: &Rc<Local>,
    timer: &Timer,
    until: Tick,
) -> Result<(Transport, Alpn), NetError> {
    let name = server_name(name).ok_or(NetError::Tls(TlsFailure::BadName))?;
    let side = UnbufferedClientConnection::new(Arc::clone(&tls.config), name)
        .map_err(|error| NetError::Tls(TlsFailure::from(&error)))?;
    let mut stream = Box::new(TlsStream::new(
        io,
        Side::Client(side),
        Buffer::default(),
        Rc::clone(local),
    ));
    timer.arm(until);
    poll_fn(|cx| {
        let polled = stream.poll_handshake(cx);
        if polled.is_pending() && timer.is_expired(cx) {
            return Poll::Ready(Err(NetError::Timeout));
        }
        polled
    })
    .await?;
    let alpn = stream.facts(|facts| Alpn::of(facts.alpn_protocol()));
    Ok((Transport::Tls(stream), alpn))
}

fn server_name(name: &str) -> Option<ServerName<'static>> {
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(name).parse::<IpAddr>() {
        return Some(ServerName::from(address));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(name.to_owned()).ok()
}
