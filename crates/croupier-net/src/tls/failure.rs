//! Why a handshake or a TLS connection failed, in one word for counters and one sentence for
//! people. Nothing of it names an address or a key.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// What went wrong. Whose certificate it was is known to whoever asked: the client's when we are
/// the server, the origin's when we are the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The time of the peer's certificate is over.
    Expired,
    /// The time of the peer's certificate has not begun.
    NotYetValid,
    /// The origin's certificate is for other names.
    WrongName,
    /// Nobody we believe has signed the peer's certificate.
    UnknownAuthority,
    /// The peer shows the certificate of an authority as its own, as `openssl req -x509` makes.
    AuthorityAsPeer,
    /// The peer's certificate was revoked.
    Revoked,
    /// No revocation list tells about the peer's certificate.
    RevocationUnknown,
    /// The revocation list itself is out of date.
    RevocationListExpired,
    /// The peer's certificate is for another purpose.
    WrongPurpose,
    /// The peer's certificate is broken, or its signature does not fit.
    BadCertificate,
    /// The peer has to show a certificate and has none.
    NoCertificate,
    /// The peer ended it with an alert (RFC 8446 section 6).
    Alert(u8),
    /// No version, suite or group that both sides speak.
    Incompatible,
    /// The peer offers only protocols that are not spoken here (RFC 7301).
    NoProtocol,
    /// The peer does not speak TLS.
    NotTls,
    /// The peer broke the rules of TLS.
    Protocol,
    /// There is no certificate to show, yet.
    NothingToShow,
    /// The name of the origin is neither a host name nor an address.
    BadName,
    /// Something failed on our side.
    Ours,
}

impl TlsFailure {
    /// One word, as counters and the log have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "certificate-expired",
            Self::NotYetValid => "certificate-not-yet-valid",
            Self::WrongName => "certificate-wrong-name",
            Self::UnknownAuthority => "certificate-unknown-authority",
            Self::AuthorityAsPeer => "certificate-of-an-authority",
            Self::Revoked => "certificate-revoked",
            Self::RevocationUnknown => "revocation-unknown",
            Self::RevocationListExpired => "revocation-list-expired",
            Self::WrongPurpose => "certificate-wrong-purpose",
            Self::BadCertificate => "certificate-bad",
            Self::NoCertificate => "certificate-missing",
            Self::Alert(_) => "alert",
            Self::Incompatible => "incompatible",
            Self::NoProtocol => "no-protocol",
            Self::NotTls => "not-tls",
            Self::Protocol => "protocol",
            Self::NothingToShow => "no-certificate-to-show",
            Self::BadName => "bad-name",
            Self::Ours => "internal",
        }
    }

    /// A sentence for the log.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Expired => "the peer's certificate has expired",
            Self::NotYetValid => "the peer's certificate is not valid yet",
            Self::WrongName => "the peer's certificate is not for the name it was asked by",
            Self::UnknownAuthority => {
                "the peer's certificate is signed by nobody who is believed here"
            }
            Self::AuthorityAsPeer => {
                "the peer's certificate is that of an authority (CA:TRUE), not of a server"
            }
            Self::Revoked => "the peer's certificate was revoked",
            Self::RevocationUnknown => "no revocation list covers the peer's certificate",
            Self::RevocationListExpired => "the revocation list is out of date",
            Self::WrongPurpose => "the peer's certificate is not for this purpose",
            Self::BadCertificate => "the peer's certificate is not in order",
            Self::NoCertificate => "the peer shows no certificate",
            Self::Alert(alert) => alert_sentence(alert),
            Self::Incompatible => "the peer and we have no TLS version or cipher suite in common",
            Self::NoProtocol => "the peer offers no protocol that is spoken here",
            Self::NotTls => "the peer does not speak TLS",
            Self::Protocol => "the peer broke the rules of TLS",
            Self::NothingToShow => "there is no certificate to show",
            Self::BadName => "the name of the server is neither a host name nor an address",
            Self::Ours => "the handshake failed on our side",
        }
    }
}

/// The alerts that people meet; the others have their number in the value.
fn alert_sentence(alert: u8) -> &'static str {
    match alert {
        40 => "the peer refused the handshake (alert `handshake_failure`)",
        42 => "the peer refused our certificate (alert `bad_certificate`)",
        43 => "the peer refused our certificate (alert `unsupported_certificate`)",
        44 => "the peer refused our certificate (alert `certificate_revoked`)",
        45 => "the peer refused our certificate (alert `certificate_expired`)",
        46 => "the peer refused our certificate (alert `certificate_unknown`)",
        48 => "the peer refused our certificate (alert `unknown_ca`)",
        49 => "the peer denied access (alert `access_denied`)",
        70 => "the peer does not speak our TLS versions (alert `protocol_version`)",
        80 => "the peer failed (alert `internal_error`)",
        112 => "the peer does not know the name (alert `unrecognized_name`)",
        116 => "the peer wants a client certificate (alert `certificate_required`)",
        120 => "the peer speaks no protocol that was offered (alert `no_application_protocol`)",
        _ => "the peer ended the handshake with an alert",
    }
}

impl From<&Error> for TlsFailure {
    fn from(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(why) => of_certificate(why),
            Error::InvalidCertRevocationList(_) => Self::RevocationUnknown,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::AlertReceived(alert) => Self::Alert(u8::from(*alert)),
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::NoApplicationProtocol => Self::NoProtocol,
            // What a plain HTTP server, or a client that speaks plain HTTP, begins with.
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::DecryptError
            | Error::PeerSentOversizedRecord
            | Error::UnsupportedNameType => Self::Protocol,
            // The library's words for an empty slot.
            Error::General(why) if why.contains("no server certificate") => Self::NothingToShow,
            _ => Self::Ours,
        }
    }
}

fn of_certificate(why: &CertificateError) -> TlsFailure {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotYetValid
        }
        CertificateError::Revoked => TlsFailure::Revoked,
        CertificateError::UnknownIssuer => TlsFailure::UnknownAuthority,
        CertificateError::UnknownRevocationStatus => TlsFailure::RevocationUnknown,
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            TlsFailure::RevocationListExpired
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::WrongName
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            TlsFailure::WrongPurpose
        }
        CertificateError::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => TlsFailure::AuthorityAsPeer,
            _ => TlsFailure::BadCertificate,
        },
        _ => TlsFailure::BadCertificate,
    }
}

/// A fatal alert of ours, for a handshake that ends before it began.
pub(super) fn alert_record(alert: AlertDescription) -> [u8; 7] {
    // Alert, in the version that every first record carries, two bytes: fatal, and why.
    [21, 3, 3, 0, 2, 2, u8::from(alert)]
}
