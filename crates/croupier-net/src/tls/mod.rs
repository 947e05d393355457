//! TLS on both sides: certificates and who they belong to, configurations, handshakes, and the
//! stream that a [`crate::transport::Transport`] is afterwards.
//!
//! One library (rustls) with one set of primitives (aws-lc-rs), given to it explicitly wherever
//! it asks; nothing is installed for the whole process. This room reads no files: it is given
//! PEM bytes. It does not know which site a name belongs to; whoever calls chooses.

pub mod certs;
pub mod client_auth;
pub mod server;
pub mod tickets;

pub mod accept;
pub mod connect;

mod dn;
mod failure;
mod session;
pub(crate) mod stream;
mod verify;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use certs::{Certificate, CertificateError};
pub use failure::TlsFailure;
pub use rustls::ServerConfig;

/// The cryptography of this process.
///
/// Key exchange in the order of preference: X25519MLKEM768 first, so that what is recorded today
/// can not be read by a quantum computer later; then X25519, P-256 and P-384.
#[must_use]
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            kx_groups: vec![
                aws_lc_rs::kx_group::X25519MLKEM768,
                aws_lc_rs::kx_group::X25519,
                aws_lc_rs::kx_group::SECP256R1,
                aws_lc_rs::kx_group::SECP384R1,
            ],
            ..aws_lc_rs::default_provider()
        })
    })
}

/// What was agreed to be spoken inside (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
    /// Nothing was offered or nothing answered: HTTP/1 by custom.
    None,
}

impl Alpn {
    pub(crate) fn of(protocol: Option<&[u8]>) -> Self {
        match protocol {
            Some(b"h2") => Self::Http2,
            Some(_) => Self::Http1,
            None => Self::None,
        }
    }
}

/// A configuration that can not be used: what is wrong with it, for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsError {
    /// A certificate or its key.
    Certificate(CertificateError),
    /// A file of authorities has none in it.
    NoAuthority,
    /// The certificate of an authority can not be read.
    Authority(String),
    /// A file of revocation lists has none in it.
    NoRevocationList,
    /// A revocation list can not be read.
    RevocationList(String),
    /// Anything else the library says.
    Other(String),
}

impl From<CertificateError> for TlsError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(error) => error.fmt(f),
            Self::NoAuthority => f.write_str(
                "there is no certificate of an authority in the file; expected PEM with \
                 `-----BEGIN CERTIFICATE-----`",
            ),
            Self::Authority(why) => {
                write!(f, "the certificate of an authority can not be used: {why}")
            }
            Self::NoRevocationList => f.write_str(
                "there is no revocation list in the file; expected PEM with \
                 `-----BEGIN X509 CRL-----`",
            ),
            Self::RevocationList(why) => write!(f, "the revocation list can not be used: {why}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for TlsError {}
