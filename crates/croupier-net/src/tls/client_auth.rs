//! Certificates of clients: whom to believe, and who it was.

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject as _},
    server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::extensions::GeneralName;

use super::{
    TlsError,
    certs::{self, pem_words},
    dn, provider,
};

/// Whom a site lets in.
#[derive(Clone, Debug)]
pub struct ClientAuthTerms {
    /// Must a client have a certificate? If not, one without is let in; a bad one never is.
    pub required: bool,
    /// PEM with certificates of authorities; each has at least one.
    pub ca: Vec<Vec<u8>>,
    /// PEM with revocation lists; each has at least one. When there are any, they decide about
    /// every client's own certificate: one that no list covers, or a list that is out of date,
    /// lets nobody in.
    pub crl: Vec<Vec<u8>>,
}

/// The authorities in `pems`.
pub(super) fn authorities(pems: &[Vec<u8>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for pem in pems {
        let certificates = certs::read_chain(pem)?;
        if certificates.is_empty() {
            return Err(TlsError::NoAuthority);
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Authority(error.to_string()))?;
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoAuthority);
    }
    Ok(roots)
}

/// Checks clients by `terms`. Nothing that can not be read is passed over.
pub(super) fn verifier(terms: &ClientAuthTerms) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = authorities(&terms.ca)?;
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider()));
    if !terms.crl.is_empty() {
        let lists = revocation_lists(&terms.crl)?;
        builder = builder
            .with_crls(lists)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    if !terms.required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| match error {
        VerifierBuilderError::NoRootAnchors => TlsError::NoAuthority,
        VerifierBuilderError::InvalidCrl(why) => TlsError::RevocationList(format!("{why:?}")),
        other => TlsError::Other(other.to_string()),
    })
}

fn revocation_lists(
    pems: &[Vec<u8>],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut lists = Vec::new();
    for pem in pems {
        let before = lists.len();
        for list in CertificateRevocationListDer::pem_slice_iter(pem) {
            lists.push(list.map_err(|error| TlsError::RevocationList(pem_words(&error).into()))?);
        }
        if lists.len() == before {
            return Err(TlsError::NoRevocationList);
        }
    }
    Ok(lists)
}

/// Who a client is, by a certificate that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The distinguished name (RFC 4514), printable ASCII.
    pub subject: String,
    /// The first common name, as it stands in the certificate.
    pub common_name: Option<String>,
    /// The serial number, lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: String,
    /// DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
    /// URIs of it, a SPIFFE identity among them.
    pub uris: Vec<String>,
    /// E-mail addresses of it.
    pub emails: Vec<String>,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: u64,
    /// The certificate itself.
    pub der: Vec<u8>,
}

impl ClientIdentity {
    /// Reads a certificate; None when it can not be read.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from(der);
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        let (mut dns_names, mut uris, mut emails) = (Vec::new(), Vec::new(), Vec::new());
        if let Ok(Some(extension)) = parsed.subject_alternative_name() {
            for name in &extension.value.general_names {
                match name {
                    GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                    GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                    GeneralName::RFC822Name(email) => emails.push((*email).to_owned()),
                    _ => {}
                }
            }
        }
        Some(Self {
            subject: dn::text(parsed.subject()),
            common_name: dn::common_name(parsed.subject()),
            serial: hex(parsed.raw_serial()),
            fingerprint: hex(digest::digest(&digest::SHA256, der).as_ref()),
            dns_names,
            uris,
            emails,
            not_after: certs::seconds(parsed.validity().not_after.timestamp()),
            der: der.to_vec(),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}
