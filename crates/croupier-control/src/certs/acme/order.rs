//! One order: names in, a certificate with its key out (RFC 8555 section 7.4).
//!
//! ```text
//!  order -> prove each name, one way -> ready -> key and request -> certificate
//!             | in vain
//!             +-> another order, the next way
//! ```
//!
//! Proofs are in `live.certs` for as long as their guards live here, so an order that is
//! dropped in the middle leaves nothing behind.

use std::{net::IpAddr, sync::Arc, time::Duration};

use croupier_config::model::{Challenge, KeyType};
use croupier_net::tls::{certs::Certificate, server::challenge_config};
use croupier_proxy::{Live, live::Pending};
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    KeyAuthorization, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::CertificateDer;

use super::{
    Acme, Client, account,
    words::{CHALLENGES, Failure},
};

/// How long the authority may take to look at a proof, and to issue.
const PATIENCE: Duration = Duration::from_secs(90);

/// What an order brought: key and chain as PEM, and the same read.
pub(super) struct Issued {
    pub(super) pem: Vec<u8>,
    pub(super) certificate: Certificate,
}

/// So often an order is begun whose nonces the authority refuses.
const NONCE_ORDERS_MAX: u32 = 3;

/// Orders a certificate for these names, in place of an earlier one.
pub(super) async fn run(
    acme: &Acme,
    names: &[String],
    replaces: Option<&Certificate>,
) -> Result<Issued, Failure> {
    let client = Client::new(&acme.outside);
    let mut issued = Box::pin(try_each_way(acme, &client, names, replaces)).await;
    // A refused nonce says nothing about the order, and the library tries a request three times only.
    for _ in 1..NONCE_ORDERS_MAX {
        match &issued {
            Err(failure) if failure.what.starts_with("badNonce") => {}
            _ => break,
        }
        issued = Box::pin(try_each_way(acme, &client, names, replaces)).await;
    }
    issued.map_err(|failure| Failure {
        retry_after: client.retry_after(),
        ..failure
    })
}

/// How a try failed: may another way help?
enum Vain {
    /// The proof was not found good.
    Proof(Failure),
    /// Something else: another way has the same fate.
    Other(Failure),
}

impl From<Error> for Vain {
    fn from(error: Error) -> Self {
        Self::Other(Failure::of(&error))
    }
}

async fn try_each_way(
    acme: &Acme,
    client: &Client,
    names: &[String],
    replaces: Option<&Certificate>,
) -> Result<Issued, Failure> {
    let mut account = account::open(acme, client).await?;
    let mut replaces = replaces.and_then(identifier);
    let mut first: Option<Failure> = None;
    for way in &acme.terms.challenges {
        let mut order = match begin(acme, &account, names, replaces.as_ref()).await {
            Err(error) if is_unknown_account(&error) => {
                account::forget(acme);
                account = account::open(acme, client).await?;
                begin(acme, &account, names, replaces.as_ref()).await
            }
            // It knows no replacing, it was replaced already, or it is confused: it need not know.
            Err(error) if replaces.is_some() && !is_limit(&error) => {
                replaces = None;
                begin(acme, &account, names, None).await
            }
            begun => begun,
        }
        .map_err(|error| Failure::of(&error))?;
        match complete(acme, &mut order, *way).await {
            Ok(issued) => return Ok(issued),
            // The first way is the one that was preferred: it is told, unless it was not offered.
            Err(Vain::Proof(failure)) => {
                first = match first {
                    Some(first) if first.help != super::words::help(CHALLENGES) => Some(first),
                    _ => Some(failure),
                };
            }
            Err(Vain::Other(failure)) => return Err(failure),
        }
    }
    Err(first.unwrap_or_else(|| Failure::new(CHALLENGES, "no way to prove a name is allowed")))
}

async fn begin(
    acme: &Acme,
    account: &Account,
    names: &[String],
    replaces: Option<&CertificateIdentifier<'static>>,
) -> Result<Order, Error> {
    let identifiers: Vec<_> = names
        .iter()
        .map(|name| match name.parse::<IpAddr>() {
            Ok(address) => Identifier::Ip(address),
            Err(_) => Identifier::Dns(name.clone()),
        })
        .collect();
    let mut order = NewOrder::new(&identifiers);
    if let Some(profile) = &acme.terms.profile {
        order = order.profile(profile);
    }
    if let Some(replaces) = replaces {
        order = order.replaces(replaces.clone());
    }
    account.new_order(&order).await
}

async fn complete(acme: &Acme, order: &mut Order, way: Challenge) -> Result<Issued, Vain> {
    let policy = RetryPolicy::new().timeout(PATIENCE);
    // Answered until the authority has looked.
    let proofs = prove(&acme.live, order, way).await?;
    if !matches!(
        order.state().status,
        OrderStatus::Ready | OrderStatus::Valid
    ) {
        let ready = order.poll_ready(&policy).await;
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            let why = match why(order, way).await {
                Some(failure) => failure,
                None => match ready {
                    Err(error) => Failure::of(&error),
                    Ok(_) => Failure::new("", "the authority found the proof not good"),
                },
            };
            return Err(Vain::Proof(why));
        }
    }
    drop(proofs);
    let names = {
        let mut names = Vec::new();
        let mut identifiers = order.identifiers();
        while let Some(name) = identifiers.next().await {
            names.push(name?.to_string());
        }
        names
    };
    let key = make_key(acme.terms.key).map_err(ours)?;
    let mut params = CertificateParams::new(names).map_err(ours)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(ours)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&policy).await?;
    let key = key.serialize_pem();
    let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).map_err(ours)?;
    Ok(Issued {
        pem: (key + &chain).into_bytes(),
        certificate,
    })
}

fn ours(error: impl std::fmt::Display) -> Vain {
    Vain::Other(Failure::new("", error.to_string()))
}

fn make_key(kind: KeyType) -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(match kind {
        KeyType::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyType::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyType::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
    })
}

const fn type_of(way: Challenge) -> ChallengeType {
    match way {
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

const fn word_of(way: Challenge) -> &'static str {
    match way {
        Challenge::Http01 => "http-01",
        Challenge::TlsAlpn01 => "tls-alpn-01",
    }
}

/// Puts up the proof of every name that is not proven yet, and says so.
async fn prove<'live>(
    live: &'live Live,
    order: &mut Order,
    way: Challenge,
) -> Result<Vec<Pending<'live>>, Vain> {
    let mut proofs = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(found) = authorizations.next().await {
        let mut authorization = found?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            status => {
                let what = format!("the authority has an authorization that is {status:?}");
                return Err(Vain::Proof(Failure::new("", what)));
            }
        }
        let name = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(type_of(way)) else {
            let what = format!("{name}: the authority does not offer {}", word_of(way));
            return Err(Vain::Proof(Failure::new(CHALLENGES, what)));
        };
        let answer = challenge.key_authorization();
        proofs.push(match way {
            Challenge::Http01 => live
                .certs
                .set_token(&name, &challenge.token, answer.as_str()),
            Challenge::TlsAlpn01 => {
                let certificate = proof(&name, &answer).map_err(ours)?;
                let config = challenge_config(Arc::new(certificate)).map_err(ours)?;
                live.certs.set_challenge(&shown_name(&name), config)
            }
        });
        if let Err(error) = challenge.set_ready().await {
            return Err(Vain::Proof(Failure::of(&error)));
        }
    }
    Ok(proofs)
}

/// The certificate that proves a name (RFC 8737 section 3): it is for nobody else.
fn proof(name: &str, answer: &KeyAuthorization) -> Result<Certificate, String> {
    certificate_of(name, answer.digest().as_ref())
}

fn certificate_of(name: &str, digest: &[u8]) -> Result<Certificate, String> {
    let words = |error: rcgen::Error| error.to_string();
    let key = KeyPair::generate().map_err(words)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(words)?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let leaf = params.self_signed(&key).map_err(words)?;
    let read = Certificate::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes());
    read.map_err(|error| error.to_string())
}

/// The name that the authority's handshake asks for: that of an address is its reverse one
/// (RFC 8738 section 6).
fn shown_name(name: &str) -> String {
    match name.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let octets = address.octets();
            let digits = octets
                .iter()
                .rev()
                .flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<_> = digits.map(|digit| format!("{digit:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
        Err(_) => name.to_owned(),
    }
}

/// What the authority says against a proof.
async fn why(order: &mut Order, way: Challenge) -> Option<Failure> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let state = authorization.refresh().await.ok()?;
        let mut problems = state
            .challenges
            .iter()
            .filter_map(|each| each.error.as_ref());
        if let Some(problem) = problems.next() {
            let failure = Failure::of_problem(problem);
            let what = format!("{name} by {}: {}", word_of(way), failure.what);
            return Some(Failure { what, ..failure });
        }
    }
    None
}

fn is_of_kind(error: &Error, kind: &str) -> bool {
    let Error::Api(problem) = error else {
        return false;
    };
    problem
        .r#type
        .as_deref()
        .unwrap_or_default()
        .ends_with(kind)
}

fn is_unknown_account(error: &Error) -> bool {
    is_of_kind(error, ":accountDoesNotExist")
}

fn is_limit(error: &Error) -> bool {
    is_of_kind(error, ":rateLimited")
}

/// By what the authority knows a certificate (RFC 9773 section 4.1). None for one that has no
/// authority key identifier.
pub(super) fn identifier(certificate: &Certificate) -> Option<CertificateIdentifier<'static>> {
    let der = CertificateDer::from(certificate.leaf_der());
    CertificateIdentifier::try_from(&der).ok()
}

#[cfg(test)]
mod tests {
    use croupier_config::model::KeyType;

    use super::{certificate_of, make_key, shown_name};

    #[test]
    fn every_kind_of_key_can_be_made() {
        for (kind, algorithm) in [
            (KeyType::P256, &rcgen::PKCS_ECDSA_P256_SHA256),
            (KeyType::P384, &rcgen::PKCS_ECDSA_P384_SHA384),
            (KeyType::Rsa2048, &rcgen::PKCS_RSA_SHA256),
        ] {
            assert!(make_key(kind).unwrap().is_compatible(algorithm), "{kind:?}");
        }
    }

    #[test]
    fn a_proof_is_a_certificate_with_the_digest_in_a_critical_extension() {
        let proof = certificate_of("a.example", &[7; 32]).unwrap();
        assert_eq!(proof.names(), ["a.example"]);
        // id-pe-acmeIdentifier 1.3.6.1.5.5.7.1.31, critical, an octet string in an octet string.
        let mut wanted = vec![
            0x06, 8, 0x2b, 6, 1, 5, 5, 7, 1, 31, 1, 1, 0xff, 4, 34, 4, 32,
        ];
        wanted.extend([7; 32]);
        let der = proof.leaf_der();
        assert!(der.windows(wanted.len()).any(|window| window == wanted));
    }

    #[test]
    fn an_address_is_asked_for_by_its_reverse_name() {
        assert_eq!(shown_name("a.example"), "a.example");
        assert_eq!(shown_name("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        let long = shown_name("2001:db8::1");
        assert!(long.starts_with("1.0.0.0.") && long.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"));
    }
}
