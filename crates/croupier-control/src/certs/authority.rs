//! Our own authority, for names that no public one vouches for: `localhost`, addresses,
//! `.internal`. Its root and key are kept in the state directory; what it issues lives a week
//! and is not kept.

use std::{path::PathBuf, time::Duration};

use croupier_net::tls::certs::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::state::State;

/// How long a root lives, and how long before its end a new one is made, seconds.
const ROOT_LIFE: u64 = 10 * 365 * DAY;
const ROOT_REST: u64 = 30 * DAY;
/// How long a site's certificate lives, seconds.
const LEAF_LIFE: u64 = 7 * DAY;
/// Clocks of clients differ.
const SKEW: u64 = 60 * 60;
const DAY: u64 = 24 * 60 * 60;

/// Files in the state directory.
const ROOT: &str = "authority/root.crt";
const KEY: &str = "authority/root.key";

/// The authority, able to issue.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Where the root's certificate lies; None when it is in memory only.
    pub(super) root: Option<PathBuf>,
    pub(super) origin: Origin,
}

/// Where an authority comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Kept,
    Made,
}

impl Authority {
    /// The one that is kept, or a new one; without a state directory one for this process.
    ///
    /// # Errors
    /// When the kept one cannot be read, or the new one cannot be kept: in words.
    pub(super) fn open(state: Option<&State>, now: u64) -> Result<Self, String> {
        let Some(state) = state else {
            return make(now).map(|(_, _, issuer)| Self {
                issuer,
                root: None,
                origin: Origin::Made,
            });
        };
        let read = |name| {
            let found = state.read(name);
            found.map_err(|error| format!("{}: {error}", state.path(name).display()))
        };
        let root = Some(state.path(ROOT));
        if let (Some(certificate), Some(key)) = (read(ROOT)?, read(KEY)?) {
            let (issuer, not_after) = parse(&certificate, &key)?;
            if not_after > now + ROOT_REST {
                return Ok(Self {
                    issuer,
                    root,
                    origin: Origin::Kept,
                });
            }
        }
        let (certificate, key, issuer) = make(now)?;
        // The key first: a root without its key would be trusted for nothing.
        for (name, text) in [(KEY, key), (ROOT, certificate)] {
            let written = state.write(name, text.as_bytes());
            written.map_err(|error| format!("{}: {error}", state.path(name).display()))?;
        }
        Ok(Self {
            issuer,
            root,
            origin: Origin::Made,
        })
    }

    /// A certificate for these names and addresses, from an hour ago for a week.
    ///
    /// # Errors
    /// When a name cannot be in a certificate, in words.
    pub(super) fn issue(&self, names: &[String], now: u64) -> Result<Certificate, String> {
        let key = KeyPair::generate().map_err(words)?;
        let mut params = CertificateParams::new(names).map_err(words)?;
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(now.saturating_sub(SKEW));
        params.not_after = epoch + Duration::from_secs(now + LEAF_LIFE);
        params.distinguished_name = DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer).map_err(words)?;
        Certificate::from_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes()).map_err(words)
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn parse(certificate: &[u8], key: &[u8]) -> Result<(Issuer<'static, KeyPair>, u64), String> {
    // This reader knows whether the key fits.
    let root = Certificate::from_pem(certificate, key).map_err(words)?;
    let text = |bytes| std::str::from_utf8(bytes).map_err(words);
    let key = KeyPair::from_pem(text(key)?).map_err(words)?;
    let issuer = Issuer::from_ca_cert_pem(text(certificate)?, key).map_err(words)?;
    Ok((issuer, root.not_after()))
}

/// A root's certificate and key as PEM, and what issues with them.
fn make(now: u64) -> Result<(String, String, Issuer<'static, KeyPair>), String> {
    let key = KeyPair::generate().map_err(words)?;
    let mut params = CertificateParams::default();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(SKEW));
    params.not_after = epoch + Duration::from_secs(now + ROOT_LIFE);
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Croupier");
    // Several machines' roots in one list of trusted ones are told apart.
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let common: String = format!("Croupier internal authority {}", machine.trim())
        .chars()
        .take(64)
        .collect();
    name.push(DnType::CommonName, common);
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = params.self_signed(&key).map_err(words)?;
    let (root, secret) = (root.pem(), key.serialize_pem());
    Ok((root, secret, Issuer::new(params, key)))
}

#[cfg(test)]
mod tests {
    use super::{Authority, DAY, KEY, LEAF_LIFE, Origin, ROOT, ROOT_LIFE};
    use crate::certs::{scratch::Scratch, state::State};

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn what_it_issues_has_the_names_and_lives_a_week() {
        let authority = Authority::open(None, NOW).unwrap();
        let names = ["localhost", "127.0.0.1", "::1", "*.x.internal"].map(str::to_owned);
        let leaf = authority.issue(&names, NOW).unwrap();
        for name in ["localhost", "127.0.0.1", "[::1]", "a.x.internal"] {
            assert!(leaf.covers(name), "{name}");
        }
        assert!(leaf.not_before() < NOW && leaf.not_after() == NOW + LEAF_LIFE);
        assert!(
            leaf.issuer().contains("Croupier internal authority"),
            "{}",
            leaf.issuer()
        );
    }

    #[test]
    fn a_root_is_made_once_and_kept_until_shortly_before_its_end() {
        let scratch = Scratch::new();
        let state = State::open(&scratch.path().join("s")).unwrap();
        let made = Authority::open(Some(&state), NOW).unwrap();
        assert_eq!(made.origin, Origin::Made);
        let root = state.read(ROOT).unwrap().unwrap();
        let kept = Authority::open(Some(&state), NOW + 365 * DAY).unwrap();
        assert_eq!(kept.origin, Origin::Kept);
        assert_eq!(state.read(ROOT).unwrap().unwrap(), root);
        kept.issue(&["localhost".into()], NOW).unwrap();
        let late = Authority::open(Some(&state), NOW + ROOT_LIFE - DAY).unwrap();
        assert_eq!(late.origin, Origin::Made);
        assert_ne!(state.read(ROOT).unwrap().unwrap(), root);
    }

    #[test]
    fn a_broken_root_is_not_replaced_silently() {
        let scratch = Scratch::new();
        let state = State::open(&scratch.path().join("s")).unwrap();
        Authority::open(Some(&state), NOW).unwrap();
        let key = state.read(KEY).unwrap().unwrap();
        state.write(KEY, b"broken").unwrap();
        assert!(Authority::open(Some(&state), NOW).is_err());
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        state.write(KEY, other.as_bytes()).unwrap();
        assert!(
            Authority::open(Some(&state), NOW).is_err(),
            "a key of another"
        );
        state.write(KEY, &key).unwrap();
        assert_eq!(
            Authority::open(Some(&state), NOW).unwrap().origin,
            Origin::Kept
        );
    }
}
