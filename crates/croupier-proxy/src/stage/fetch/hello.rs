//! What a connection to a server begins with, where the pool says so: whose it is (PROXY
//! protocol). Such a connection carries nobody else's requests.

use std::net::SocketAddr;

use croupier_config::model::{ProxyTlv, ProxyVersion};
use croupier_net::{
    proxy_header::{HasCertificate, kind, ssl, write_v1, write_v2},
    tls::Alpn,
};

use crate::{exchange::Exchange, plan::PoolPlan};

/// The bytes; none for most pools.
pub(crate) fn of(x: &Exchange, pool: &PoolPlan) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Some(greeting) = &pool.greeting else {
        return bytes;
    };
    let incoming = &x.incoming;
    // The port is known of a peer only; of whom it speaks for, there is none.
    let port = if incoming.client_ip == incoming.peer_ip {
        incoming.peer_port
    } else {
        0
    };
    let client = incoming.client_ip.map(|ip| SocketAddr::new(ip, port));
    match greeting.version {
        ProxyVersion::V1 => write_v1(&mut bytes, client, None),
        ProxyVersion::V2 => {
            let tlvs: Vec<(u8, Vec<u8>)> = (greeting.tlvs.iter())
                .filter_map(|tlv| value(x, *tlv))
                .collect();
            let tlvs: Vec<(u8, &[u8])> = (tlvs.iter())
                .map(|(kind, value)| (*kind, value.as_slice()))
                .collect();
            write_v2(&mut bytes, client, None, &tlvs);
        }
    }
    bytes
}

/// What is said beside the addresses; nothing where nothing is known.
fn value(x: &Exchange, tlv: ProxyTlv) -> Option<(u8, Vec<u8>)> {
    if tlv == ProxyTlv::UniqueId {
        return Some((kind::UNIQUE_ID, x.incoming.id().as_bytes().to_vec()));
    }
    // A plain connection has shaken no hands.
    let secured = &x.incoming.secure.as_deref()?.secured;
    match tlv {
        ProxyTlv::UniqueId => None,
        ProxyTlv::Alpn => match secured.alpn {
            Alpn::Http1 => Some((kind::ALPN, b"http/1.1".to_vec())),
            Alpn::Http2 => Some((kind::ALPN, b"h2".to_vec())),
            Alpn::None => None,
        },
        ProxyTlv::Authority => {
            let name = secured.name.as_deref()?;
            Some((kind::AUTHORITY, name.as_bytes().to_vec()))
        }
        ProxyTlv::Ssl => {
            let mut subs = vec![(kind::SSL_VERSION, secured.version.as_bytes())];
            let shown = secured.client.as_ref();
            let name = shown.and_then(|client| client.common_name.as_deref());
            subs.extend(name.map(|name| (kind::SSL_CN, name.as_bytes())));
            let has_certificate = match shown {
                Some(_) => HasCertificate::Yes,
                None => HasCertificate::No,
            };
            Some((kind::SSL, ssl(has_certificate, &subs)))
        }
    }
}
