//! Whom of the origins we believe.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::{
    TlsError, TlsFailure,
    certs::{self, About},
    client_auth::authorities,
    provider,
};

/// How an origin's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// Chain, time, name and purpose.
    Full,
    /// Not at all.
    None,
}

/// Believes the authorities in `ca`, or those of the platform when there are none.
pub(super) fn verifier(
    ca: &[Vec<u8>],
    verification: Verification,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if verification == Verification::None {
        return Ok(Arc::new(Anybody));
    }
    if !ca.is_empty() {
        let inner = by_roots(authorities(ca)?)?;
        let mut given = Vec::new();
        for pem in ca {
            given.extend(certs::read_chain(pem)?);
        }
        return Ok(Arc::new(Given { inner, given }));
    }
    // Images made from scratch have no authorities of their own.
    match rustls_platform_verifier::Verifier::new(Arc::clone(provider())) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(_) => {
            let mut roots = RootCertStore::empty();
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            Ok(by_roots(roots)?)
        }
    }
}

fn by_roots(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider()))
        .build()
        .map_err(|error| TlsError::Other(error.to_string()))
}

/// Believes the given authorities, and an origin that shows one of the given certificates as its
/// own: `openssl req -x509` makes such, and the library takes no authority for a server.
struct Given {
    inner: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = self
            .inner
            .verify_server_cert(certificate, chain, name, ocsp, now);
        match result {
            Err(error)
                if TlsFailure::from(&error) == TlsFailure::AuthorityAsPeer
                    && self.given.iter().any(|given| given == certificate) =>
            {
                verify_given(certificate, name, now)
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The certificate itself is believed; its time and its names still count.
fn verify_given(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    let about = About::read(certificate).ok_or(CertificateError::BadEncoding)?;
    if now.as_secs() < about.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if now.as_secs() > about.not_after {
        return Err(CertificateError::Expired.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    Ok(ServerCertVerified::assertion())
}

/// Believes everybody who holds the key of the certificate shown; for `verify = false`.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
