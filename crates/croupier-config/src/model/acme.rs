//! `[acme]`: certificates that get and renew themselves (RFC 8555, RFC 9773).

use std::path::PathBuf;

use super::Secret;
use crate::source::Spanned;

/// `[acme]`.
#[derive(Clone, Debug)]
pub struct Acme {
    /// The directory URL of the authority.
    pub directory: Spanned<String>,
    /// PEM file with the authority of the directory's own certificate; `None`: those of the system.
    pub ca: Option<Spanned<PathBuf>>,
    /// Mail addresses, without `mailto:`.
    pub contact: Vec<String>,
    /// Ways to prove that a name is ours, tried in this order; at least one.
    pub challenges: Vec<Challenge>,
    /// The key of certificates.
    pub key: KeyType,
    /// External account binding.
    pub binding: Option<AccountBinding>,
    /// A profile of the authority, `shortlived` for instance.
    pub profile: Option<String>,
    /// URL that is asked, with `?domain=NAME` added, whether a name may have a certificate on demand: 200 is yes.
    pub ask: Option<Spanned<String>>,
}

impl Acme {
    /// Let's Encrypt.
    pub const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
    /// Let's Encrypt's authority for tests, `"staging"`.
    pub const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            directory: Spanned::default_of(Self::DIRECTORY.into()),
            ca: None,
            contact: Vec::new(),
            challenges: vec![Challenge::TlsAlpn01, Challenge::Http01],
            key: KeyType::default(),
            binding: None,
            profile: None,
            ask: None,
        }
    }
}

/// A way to prove that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Challenge {
    /// A file on port 80 (RFC 8555, 8.3).
    Http01,
    /// A certificate on port 443 (RFC 8737).
    TlsAlpn01,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum KeyType {
    #[default]
    P256,
    P384,
    Rsa2048,
}

/// External account binding (RFC 8555, 7.3.4).
#[derive(Clone, Debug)]
pub struct AccountBinding {
    pub id: String,
    /// The HMAC key, base64url as the authority gave it.
    pub key: Secret,
}
