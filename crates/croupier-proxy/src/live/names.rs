//! What the names in the config stand for. Written by whoever looks them up, read when a plan is
//! built; no request waits for it.
//!
//! The last good answer stays until a better one comes: a failed or empty one changes nothing
//! but [`Found::last_error`].

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use croupier_config::model::ServerAddress;

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// Addresses of a host.
    Host(String),
    /// Hosts, ports, priorities and weights of a service (RFC 2782).
    Srv(String),
}

impl Name {
    /// The name in a server's address; None when it is written without one.
    #[must_use]
    pub fn of(address: &ServerAddress) -> Option<Self> {
        match address {
            ServerAddress::Name { host, .. } => Some(Self::Host(host.clone())),
            ServerAddress::Srv { name } => Some(Self::Srv(name.clone())),
            ServerAddress::Socket(_) | ServerAddress::Unix(_) => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Srv(name) => write!(f, "dns+srv://{name}"),
        }
    }
}

/// One address that a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAddress {
    /// The host that has the address: the name itself, or the one that the SRV record names.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
    /// Its port; None where the port is written in the config.
    pub port: Option<u16>,
    /// Its share within the tier, at least 1; 1 unless an SRV record says otherwise.
    pub weight: u16,
    /// 0 is asked first; the next only when nobody of those before can be asked.
    pub tier: u8,
}

impl fmt::Display for NamedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A DNS server.
    Dns,
    /// `/etc/hosts`, or the rule that `localhost` is this machine.
    Hosts,
}

impl Source {
    /// The source's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Hosts => "hosts",
        }
    }
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In a stable order; empty before the first answer.
    pub addresses: Arc<[NamedAddress]>,
    /// When the last good answer came, since the process began; None before the first.
    pub found_at: Option<Duration>,
    /// How long that answer is good for.
    pub ttl: Duration,
    /// Who gave it.
    pub source: Source,
    /// Why the look-up after it failed; None when it did not.
    pub last_error: Option<String>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            addresses: Arc::from([]),
            found_at: None,
            ttl: Duration::ZERO,
            source: Source::Dns,
            last_error: None,
        }
    }
}

/// All names, with what is known of them.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<HashMap<Name, Found>>,
}

impl Names {
    /// What is known of a name; nothing when it was never looked up.
    #[must_use]
    pub fn get(&self, name: &Name) -> Found {
        self.held().get(name).cloned().unwrap_or_default()
    }

    /// All names in order, for whoever shows them.
    #[must_use]
    pub fn all(&self) -> Vec<(Name, Found)> {
        let known = self.held();
        let mut all: Vec<_> = known
            .iter()
            .map(|(name, found)| (name.clone(), found.clone()))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Notes a good answer, and gives what was known before.
    pub fn found(&self, name: &Name, found: Found) -> Found {
        let mut known = self.held();
        known.insert(name.clone(), found).unwrap_or_default()
    }

    /// Notes that a look-up failed; what was known stays.
    pub fn failed(&self, name: &Name, error: &str) {
        let mut known = self.held();
        known.entry(name.clone()).or_default().last_error = Some(error.to_owned());
    }

    /// Forgets the names that are not wanted any more.
    pub fn retain(&self, wanted: impl Fn(&Name) -> bool) {
        self.held().retain(|name, _| wanted(name));
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Name, Found>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Found, Name, NamedAddress, Names};

    #[test]
    fn a_failure_changes_nothing_but_the_error() {
        let names = Names::default();
        let name = Name::Host("app.internal".into());
        names.failed(&name, "SERVFAIL");
        assert_eq!(names.get(&name).last_error.as_deref(), Some("SERVFAIL"));
        let found = Found {
            addresses: [NamedAddress {
                host: "app.internal".into(),
                address: [10, 0, 0, 5].into(),
                port: None,
                weight: 1,
                tier: 0,
            }]
            .into(),
            found_at: Some(Duration::from_secs(3)),
            ..Found::default()
        };
        let before = names.found(&name, found.clone());
        assert!(before.addresses.is_empty());
        names.failed(&name, "timeout");
        let now = names.get(&name);
        assert_eq!(
            (now.addresses, now.found_at),
            (found.addresses, found.found_at)
        );
        names.retain(|_| false);
        assert_eq!(names.get(&name), Found::default());
    }
}
