//! A certificate with its key, read from PEM once; and the slot from which handshakes take the
//! present one. Names are those of the subject alternative name extension (RFC 6125): the
//! common name counts for nothing.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject as _},
    },
    sign::{CertifiedKey, SigningKey},
};
use tokio::sync::Notify;
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

use super::{dn, provider};

/// A chain, leaf first, with the leaf's private key. It never changes.
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    names: Vec<String>,
    not_before: u64,
    not_after: u64,
    issuer: String,
}

/// Why a certificate can not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// No certificate in the file.
    NoCertificate,
    /// No private key in the file.
    NoKey,
    /// The private key is locked with a pass phrase.
    EncryptedKey,
    /// The file is no PEM.
    Pem(&'static str),
    /// A certificate of the chain can not be read; counted from 1.
    Broken(usize),
    /// The private key is of a kind that is not supported, or broken.
    UnusableKey,
    /// The private key belongs to another certificate.
    KeyMismatch,
    /// The private key belongs to a later certificate of the chain; counted from 1.
    LeafNotFirst(usize),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str(
                "there is no certificate in the file; expected PEM with \
                 `-----BEGIN CERTIFICATE-----`",
            ),
            Self::NoKey => f.write_str(
                "there is no private key in the file; expected PEM with \
                 `-----BEGIN PRIVATE KEY-----`",
            ),
            Self::EncryptedKey => f.write_str(
                "the private key is locked with a pass phrase; unlock it with `openssl pkey -in \
                 locked.key -out unlocked.key` and protect the file by its permissions",
            ),
            Self::Pem(why) => write!(f, "the file is not PEM: {why}"),
            Self::Broken(number) => {
                write!(f, "certificate {number} of the file can not be read")
            }
            Self::UnusableKey => f.write_str(
                "the private key can not be used; expected RSA of 2048 bits or more, ECDSA on \
                 P-256, P-384 or P-521, or Ed25519",
            ),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::LeafNotFirst(number) => write!(
                f,
                "the private key belongs to certificate {number} of the file; the server's own \
                 certificate must come first"
            ),
        }
    }
}

impl std::error::Error for CertificateError {}

impl Certificate {
    /// Reads a chain and the key of its first certificate. Keys may be PKCS#8, PKCS#1 or SEC 1;
    /// what else is in the files is passed over, so one file may hold both.
    ///
    /// A certificate whose time is over, or has not begun, is read like any other: see
    /// [`Self::not_after`].
    ///
    /// # Errors
    /// When there is no certificate or key, one can not be read, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = read_chain(chain)?;
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        for (at, certificate) in chain.iter().enumerate() {
            parse(certificate).ok_or(CertificateError::Broken(at + 1))?;
        }
        let about = About::read(leaf).ok_or(CertificateError::Broken(1))?;
        let key = provider()
            .key_provider
            .load_private_key(read_key(key)?)
            .map_err(|_| CertificateError::UnusableKey)?;
        if !fits(leaf, &key) {
            let later = chain.iter().position(|certificate| fits(certificate, &key));
            return Err(later.map_or(CertificateError::KeyMismatch, |at| {
                CertificateError::LeafNotFirst(at + 1)
            }));
        }
        Ok(Self {
            key: Arc::new(CertifiedKey::new(chain, key)),
            names: about.names,
            not_before: about.not_before,
            not_after: about.not_after,
            issuer: about.issuer,
        })
    }

    /// DNS names in lower case, `*.` kept, and IP addresses as text.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Is it for `host`? That is a name in lower case or an address, without a port; an IPv6
    /// address may stand in brackets. A `*` stands for exactly one label (RFC 6125 section 6.4.3).
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
            return self.names.iter().any(|name| name.parse() == Ok(address));
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let above = host
            .split_once('.')
            .map(|(label, above)| (label.is_empty(), above));
        self.names.iter().any(|name| {
            name == host
                || matches!((name.strip_prefix("*."), above),
                    (Some(below), Some((false, above))) if below == above)
        })
    }

    /// From when on it is valid, in seconds since 1970.
    #[must_use]
    pub fn not_before(&self) -> u64 {
        self.not_before
    }

    /// Until when it is valid, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Who signed it, as text (RFC 4514).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The first certificate of the chain in DER.
    #[must_use]
    pub fn leaf_der(&self) -> &[u8] {
        self.key.cert.first().map_or(&[], |leaf| leaf.as_ref())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// All certificates of a PEM file.
pub(super) fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Pem(pem_words(&error)))
}

pub(super) fn read_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(_) if is_locked(pem, b"Proc-Type: 4,ENCRYPTED") => Err(CertificateError::EncryptedKey),
        Ok(key) => Ok(key),
        Err(_) if is_locked(pem, b"ENCRYPTED") => Err(CertificateError::EncryptedKey),
        Err(PemError::NoItemsFound) => Err(CertificateError::NoKey),
        Err(error) => Err(CertificateError::Pem(pem_words(&error))),
    }
}

fn is_locked(pem: &[u8], mark: &[u8]) -> bool {
    memchr::memmem::find(pem, mark).is_some()
}

/// Never the library's own words: they may quote the line they stumbled over.
pub(super) fn pem_words(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "an `-----END` line is missing",
        PemError::IllegalSectionStart { .. } => "a `-----BEGIN` line is malformed",
        PemError::Base64Decode(_) => "what stands between the lines is not base64",
        PemError::SectionTooLarge => "a section is too large",
        _ => "nothing in it can be used",
    }
}

/// By the public key alone. The library's own comparison refuses certificates with a critical
/// extension that it does not know, and the proof of a name has one (RFC 8737 section 3).
fn fits(certificate: &CertificateDer<'static>, key: &Arc<dyn SigningKey>) -> bool {
    let (Some(parsed), Some(public)) = (parse(certificate), key.public_key()) else {
        return false;
    };
    parsed.public_key().raw == public.as_ref()
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed)
}

/// What a certificate says about itself.
pub(super) struct About {
    pub(super) names: Vec<String>,
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    issuer: String,
}

impl About {
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = parse(certificate)?;
        let mut names = Vec::new();
        // An extension that can not be read or stands there twice gives no names.
        if let Ok(Some(extension)) = parsed.subject_alternative_name() {
            for name in &extension.value.general_names {
                match name {
                    GeneralName::DNSName(name) if is_name(name) => {
                        names.push(name.to_ascii_lowercase());
                    }
                    GeneralName::IPAddress(bytes) => {
                        names.extend(address(bytes).map(|address| address.to_string()));
                    }
                    _ => {}
                }
            }
        }
        let validity = parsed.validity();
        Some(Self {
            names,
            not_before: seconds(validity.not_before.timestamp()),
            not_after: seconds(validity.not_after.timestamp()),
            issuer: dn::text(parsed.issuer()),
        })
    }
}

pub(super) fn seconds(timestamp: i64) -> u64 {
    u64::try_from(timestamp).unwrap_or(0)
}

/// A name with anything else in it, a NUL above all, is nobody's.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'*'))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

/// Where a site's present certificate lies. Control puts it there; the handshakes of all
/// workers look.
#[derive(Debug)]
pub struct Slot {
    present: RwLock<Option<Arc<Certificate>>>,
    changed: Notify,
}

impl Slot {
    /// A slot without a certificate.
    #[must_use]
    pub fn empty() -> Arc<Self> {
        Arc::new(Self {
            present: RwLock::new(None),
            changed: Notify::new(),
        })
    }

    /// The present certificate.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Certificate>> {
        self.present
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces it: the next handshake shows this one.
    pub fn set(&self, certificate: Arc<Certificate>) {
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
        self.changed.notify_waiters();
    }

    /// Waits until there is one. Has no deadline of its own.
    pub async fn filled(&self) {
        loop {
            let changed = self.changed.notified();
            if self.get().is_some() {
                return;
            }
            changed.await;
        }
    }
}
