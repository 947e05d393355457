//! Certificates that are shown now, challenges of pending orders, and names that wait for a
//! certificate.
//!
//! Control fills it, handshakes and requests read it; nobody here knows where a certificate
//! comes from. What is pending answers for as long as its [`Pending`] lives and not longer.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use croupier_config::model::{CertificateFrom, HostPattern, Site};
use croupier_net::tls::{ServerConfig, certs::Slot, tickets::Tickets};

use super::wants::Wants;

/// Where the certificate of a slot comes from: what a slot is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// PEM files.
    Files { certificate: PathBuf, key: PathBuf },
    /// The authority of `[acme]`, one certificate for all these names, in order.
    Auto { names: Vec<String> },
    /// Our own authority, one certificate for all these names, in order.
    Internal { names: Vec<String> },
    /// The authority of `[acme]`, when a client asked for this name.
    OnDemand { name: String },
}

impl Source {
    /// The source of a site's certificate. None without TLS, and with `"on-demand"`: then each
    /// name has its own, see [`Certs::want`].
    #[must_use]
    pub fn of(site: &Site) -> Option<Self> {
        match &site.tls.as_ref()?.certificate.value {
            CertificateFrom::Files { certificate, key } => Some(Self::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            }),
            CertificateFrom::Auto => {
                let names = site.hosts().filter_map(|host| match &host.value {
                    HostPattern::Exact(name) => Some(without_brackets(name)),
                    HostPattern::Below(_) | HostPattern::Any => None,
                });
                Some(Self::Auto {
                    names: in_order(names),
                })
            }
            CertificateFrom::Internal => {
                let names = site.hosts().flat_map(|host| match &host.value {
                    HostPattern::Exact(name) => vec![without_brackets(name)],
                    HostPattern::Below(name) => vec![format!("*.{name}")],
                    // Whoever comes to a site for every host comes by one of these, or knows
                    // what it does.
                    HostPattern::Any => ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
                });
                Some(Self::Internal {
                    names: in_order(names),
                })
            }
            CertificateFrom::OnDemand => None,
        }
    }

    /// The kind of source, for metrics and the log.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Files { .. } => "files",
            Self::Auto { .. } | Self::OnDemand { .. } => "acme",
            Self::Internal { .. } => "internal",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files { certificate, .. } => certificate.display().fmt(f),
            Self::Auto { names } | Self::Internal { names } => f.write_str(&names.join(" ")),
            Self::OnDemand { name } => f.write_str(name),
        }
    }
}

/// `[::1]` of a `Host` is `::1` in a certificate.
fn without_brackets(name: &str) -> String {
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    inner.unwrap_or(name).to_owned()
}

/// One site may be written twice in another order: the certificate is the same.
fn in_order(names: impl Iterator<Item = String>) -> Vec<String> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A certificate that a site shows, for whoever shows numbers.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The site's host as written.
    pub site: String,
    /// [`Source::as_str`].
    pub source: &'static str,
    pub slot: Arc<Slot>,
}

/// Everything about certificates that outlives a plan.
#[derive(Debug, Default)]
pub struct Certs {
    slots: Mutex<HashMap<Source, Arc<Slot>>>,
    tickets: Mutex<HashMap<u64, Arc<Tickets>>>,
    challenges: Mutex<Challenges>,
    /// How many there are: nearly always none, and then nobody locks.
    pending: AtomicUsize,
    shown: Mutex<Vec<Shown>>,
    pub(super) wants: Wants,
}

#[derive(Default)]
struct Challenges {
    /// HTTP-01, by host and token.
    tokens: HashMap<(String, String), String>,
    /// TLS-ALPN-01, by name.
    configs: HashMap<String, Arc<ServerConfig>>,
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, configs) = (self.tokens.len(), self.configs.len());
        write!(f, "{tokens} tokens, {configs} configs")
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Certs {
    /// What is shown of a source: the same object for the same source, across reloads, empty
    /// until control has filled it.
    #[must_use]
    pub fn slot(&self, source: &Source) -> Arc<Slot> {
        let mut slots = held(&self.slots);
        Arc::clone(slots.entry(source.clone()).or_insert_with(Slot::empty))
    }

    /// Forgets the sources whose slots nobody holds any more.
    pub fn release(&self) {
        held(&self.slots).retain(|_, slot| Arc::strong_count(slot) > 1);
    }

    /// Session tickets of those who were let in by the same policy. A ticket is no way around
    /// another one's client certificates.
    #[must_use]
    pub fn tickets(&self, policy: u64) -> Arc<Tickets> {
        let mut tickets = held(&self.tickets);
        Arc::clone(tickets.entry(policy).or_insert_with(Tickets::new))
    }

    /// What `/.well-known/acme-challenge/TOKEN` answers on this host (lower case, without port):
    /// the key authorization (RFC 8555 section 8.3). None but for pending orders.
    #[must_use]
    pub fn token(&self, host: &str, token: &str) -> Option<String> {
        if !self.has_pending() {
            return None;
        }
        let challenges = held(&self.challenges);
        let key = (host.to_owned(), token.to_owned());
        challenges.tokens.get(&key).cloned()
    }

    /// What a handshake with ALPN `acme-tls/1` for this name (lower case) gets (RFC 8737). None
    /// but for pending orders.
    #[must_use]
    pub fn challenge(&self, name: &str) -> Option<Arc<ServerConfig>> {
        if !self.has_pending() {
            return None;
        }
        held(&self.challenges).configs.get(name).cloned()
    }

    fn has_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > 0
    }

    /// Answers an HTTP-01 challenge for as long as the guard lives.
    #[must_use = "the challenge is answered only while this lives"]
    pub fn set_token(&self, host: &str, token: &str, answer: &str) -> Pending<'_> {
        let key = (host.to_owned(), token.to_owned());
        let mut challenges = held(&self.challenges);
        challenges.tokens.insert(key.clone(), answer.to_owned());
        self.count(&challenges);
        Pending {
            certs: self,
            what: What::Token(key),
        }
    }

    /// Answers a TLS-ALPN-01 challenge for as long as the guard lives.
    #[must_use = "the challenge is answered only while this lives"]
    pub fn set_challenge(&self, name: &str, config: Arc<ServerConfig>) -> Pending<'_> {
        let mut challenges = held(&self.challenges);
        challenges.configs.insert(name.to_owned(), config);
        self.count(&challenges);
        Pending {
            certs: self,
            what: What::Config(name.to_owned()),
        }
    }

    fn count(&self, challenges: &Challenges) {
        let all = challenges.tokens.len() + challenges.configs.len();
        self.pending.store(all, Ordering::Relaxed);
    }

    /// What sites show, for the metrics page.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        held(&self.shown).clone()
    }

    /// Says what sites show from now on.
    pub fn set_shown(&self, shown: Vec<Shown>) {
        *held(&self.shown) = shown;
    }
}

/// A challenge that is answered. Dropping it ends that, however the order ended.
#[derive(Debug)]
pub struct Pending<'a> {
    certs: &'a Certs,
    what: What,
}

#[derive(Debug)]
enum What {
    Token((String, String)),
    Config(String),
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut challenges = held(&self.certs.challenges);
        match &self.what {
            What::Token(key) => {
                challenges.tokens.remove(key);
            }
            What::Config(name) => {
                challenges.configs.remove(name);
            }
        }
        self.certs.count(&challenges);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Certs, Source};

    fn auto(names: &[&str]) -> Source {
        Source::Auto {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_source_has_one_slot_as_long_as_somebody_holds_it() {
        let certs = Certs::default();
        let slot = certs.slot(&auto(&["a.example"]));
        certs.release();
        assert!(Arc::ptr_eq(&slot, &certs.slot(&auto(&["a.example"]))));
        assert!(!Arc::ptr_eq(&slot, &certs.slot(&auto(&["b.example"]))));
        drop(slot);
        certs.release();
        assert!(certs.slots.lock().unwrap().is_empty());
    }

    #[test]
    fn tickets_are_shared_by_a_policy_and_by_no_other() {
        let certs = Certs::default();
        assert!(Arc::ptr_eq(&certs.tickets(0), &certs.tickets(0)));
        assert!(!Arc::ptr_eq(&certs.tickets(0), &certs.tickets(7)));
    }

    #[test]
    fn a_challenge_is_answered_while_its_order_is_pending_and_for_its_host_only() {
        let certs = Certs::default();
        assert_eq!(certs.token("a.example", "t"), None);
        let pending = certs.set_token("a.example", "t", "t.thumb");
        assert_eq!(certs.token("a.example", "t").as_deref(), Some("t.thumb"));
        assert_eq!(certs.token("b.example", "t"), None, "another host");
        assert_eq!(certs.token("a.example", "u"), None, "another token");
        let other = certs.set_token("b.example", "t", "x");
        drop(pending);
        assert_eq!(certs.token("a.example", "t"), None);
        assert_eq!(certs.token("b.example", "t").as_deref(), Some("x"));
        drop(other);
        assert!(!certs.has_pending());
    }
}
