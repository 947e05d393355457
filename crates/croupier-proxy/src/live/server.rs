//! A server of a pool: where it is, and what the traffic has taught us about it.
//!
//! Passive marks only: a connect fault, or three other faults in a row, put it aside for a
//! pause that doubles with each renewed failure. When the pause ends one request goes there;
//! whoever comes meanwhile goes elsewhere.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use croupier_http::Authority;
use croupier_net::address::Address;
use croupier_telemetry::{Registry, ServerSlot};

/// The first pause, and the longest.
const PAUSE_FIRST_MS: u64 = 1_000;
const PAUSE_LAST_MS: u64 = 60_000;
/// Faults in a row, other than at connecting, that put a server aside.
const STREAK: u32 = 3;

/// Where a server is, and how it was found: with its pool, a server's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// `host:port` of the name that stands for the address; None when the address is written.
    pub host: Option<String>,
    /// Where it is.
    pub address: Address,
}

impl Place {
    /// An address written in the config.
    #[must_use]
    pub fn written(address: Address) -> Self {
        Self {
            host: None,
            address,
        }
    }

    /// One of the addresses that a name was found to stand for.
    #[must_use]
    pub fn found(host: &str, address: SocketAddr) -> Self {
        Self {
            host: Some(format!("{host}:{}", address.port())),
            address: Address::Ip(address),
        }
    }
}

impl fmt::Display for Place {
    /// The address, after `host:port@` when it was found by a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}@")?;
        }
        self.address.fmt(f)
    }
}

/// A server of a pool.
#[derive(Debug)]
pub struct Server {
    /// Its pool's name.
    pub pool: String,
    /// Its address as written; `host:port@address` when it was found by a name.
    pub name: String,
    /// `host[:port]` as written, in normal form: the `Host` it expects. Empty for a unix socket.
    pub authority: Authority,
    /// Its place in the metrics.
    pub slot: ServerSlot,
    place: Place,
    /// No plan in force has it: its connections are not kept.
    is_retired: AtomicBool,
    /// Gets the slot back.
    registry: Arc<Registry>,
    /// Faults since the last success.
    streak: AtomicU32,
    /// Pauses since the last success.
    pauses: AtomicU32,
    /// Milliseconds since the process began; 0 when it may be picked.
    aside_until: AtomicU64,
    /// One request is finding out whether it is back.
    is_probed: AtomicBool,
}

impl Server {
    pub(super) fn new(pool: &str, place: &Place, registry: &Arc<Registry>) -> Self {
        let name = place.to_string();
        let mut authority = Authority::default();
        if let Address::Ip(address) = &place.address {
            let written = (place.host.clone()).unwrap_or_else(|| address.to_string());
            // The config has checked it; a name that is no authority is sent by nobody.
            let _ = authority.read(written.as_bytes());
        }
        Self {
            pool: pool.to_owned(),
            slot: registry.server(pool, &name),
            name,
            authority,
            place: place.clone(),
            is_retired: AtomicBool::new(false),
            registry: Arc::clone(registry),
            streak: AtomicU32::new(0),
            pauses: AtomicU32::new(0),
            aside_until: AtomicU64::new(0),
            is_probed: AtomicBool::new(false),
        }
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.place.address
    }

    /// Is it in no plan in force any more? Then its idle connections close.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn enlist(&self) {
        self.is_retired.store(false, Ordering::Relaxed);
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Could it be picked at `now`, as far as it is known?
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        now >= self.aside_until.load(Ordering::Relaxed)
    }

    /// May it be picked at `now`, milliseconds since the process began? When a pause has just
    /// ended, the caller becomes the one probe and others are told no for a while.
    #[must_use]
    pub fn admits(&self, now: u64) -> bool {
        let until = self.aside_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        if now < until {
            return false;
        }
        // Should the probe never report, the next one may go after a pause.
        let next = now + self.pause();
        let claimed =
            self.aside_until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_ok() {
            self.is_probed.store(true, Ordering::Relaxed);
        }
        claimed.is_ok()
    }

    /// When it may be picked again; 0 when it may be now.
    #[must_use]
    pub fn aside_until(&self) -> u64 {
        self.aside_until.load(Ordering::Relaxed)
    }

    /// It answered. True when it had been put aside and is back with this.
    pub fn succeeded(&self) -> bool {
        let mut is_back = false;
        if self.streak.load(Ordering::Relaxed) != 0 {
            self.streak.store(0, Ordering::Relaxed);
            self.pauses.store(0, Ordering::Relaxed);
            self.is_probed.store(false, Ordering::Relaxed);
            is_back = self.aside_until.swap(0, Ordering::Relaxed) != 0;
        }
        is_back
    }

    /// It could not be connected to. Gives the pause when this puts it aside anew.
    pub fn failed_to_connect(&self, now: u64) -> Option<Duration> {
        self.streak.fetch_add(1, Ordering::Relaxed);
        self.put_aside(now)
    }

    /// It failed in another way. Gives the pause when this puts it aside anew.
    pub fn failed(&self, now: u64) -> Option<Duration> {
        let streak = self.streak.fetch_add(1, Ordering::Relaxed) + 1;
        if streak < STREAK {
            None
        } else {
            self.put_aside(now)
        }
    }

    fn pause(&self) -> u64 {
        let doublings = self.pauses.load(Ordering::Relaxed).saturating_sub(1).min(6);
        (PAUSE_FIRST_MS << doublings).min(PAUSE_LAST_MS)
    }

    fn put_aside(&self, now: u64) -> Option<Duration> {
        // Many requests fail at once when a server dies: they are one failure. Only a probe's
        // failure lengthens the pause.
        let probed = self.is_probed.swap(false, Ordering::Relaxed);
        if self.aside_until.load(Ordering::Relaxed) > now && !probed {
            return None;
        }
        self.pauses.fetch_add(1, Ordering::Relaxed);
        let pause = self.pause();
        self.aside_until.store(now + pause, Ordering::Relaxed);
        Some(Duration::from_millis(pause))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.registry.retire_server(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use croupier_net::address::Address;
    use croupier_telemetry::Registry;

    use super::{Place, Server};

    fn server() -> Server {
        let place = Place::written(Address::Ip("127.0.0.1:80".parse().unwrap()));
        Server::new("web", &place, &Registry::new(&[]))
    }

    #[test]
    fn a_dead_server_is_tried_by_one_request_a_pause_and_pauses_grow() {
        let server = server();
        assert!(server.is_due(10) && server.admits(10));
        assert!(server.failed_to_connect(10).is_some());
        assert!(
            server.failed_to_connect(10).is_none(),
            "the same failure, seen twice"
        );
        let mut probes = Vec::new();
        for now in 11..200_000 {
            if server.admits(now) {
                probes.push(now);
                server.failed_to_connect(now);
            }
        }
        let gaps: Vec<u64> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(probes[0], 1010);
        assert_eq!(&gaps[..6], &[2000, 4000, 8000, 16000, 32000, 60000]);
    }

    #[test]
    fn one_success_brings_it_back() {
        let server = server();
        server.failed_to_connect(0);
        assert!(!server.admits(500));
        assert!(
            server.is_due(1500) && server.is_due(1500),
            "asking claims nothing"
        );
        assert!(server.admits(1500));
        assert!(
            !server.is_due(1501) && !server.admits(1501),
            "only one probe"
        );
        server.succeeded();
        assert!(server.admits(1502));
        assert_eq!(server.aside_until(), 0);
    }

    #[test]
    fn other_faults_count_only_in_a_row() {
        let server = server();
        server.failed(1);
        server.failed(1);
        server.succeeded();
        server.failed(1);
        server.failed(1);
        assert!(server.admits(2));
        assert!(server.failed(2).is_some());
        assert!(!server.admits(3));
    }
}
