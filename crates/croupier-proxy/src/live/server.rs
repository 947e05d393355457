//! A server of a pool: where it is, and what the traffic has taught us about it.
//!
//! Passive marks only: a connect fault, or three other faults in a row, put it aside for a
//! pause that doubles with each renewed failure. When the pause ends one request goes there;
//! whoever comes meanwhile goes elsewhere.

use std::{
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use croupier_config::model::ServerAddress;
use croupier_http::Authority;
use croupier_net::address::Address;
use croupier_telemetry::{Registry, ServerSlot};

/// The first pause, and the longest.
const PAUSE_FIRST_MS: u64 = 1_000;
const PAUSE_LAST_MS: u64 = 60_000;
/// Faults in a row, other than at connecting, that put a server aside.
const STREAK: u32 = 3;

/// Where a server is.
#[derive(Debug)]
pub enum Place {
    /// Written as an address.
    Fixed(Address),
    /// Written as a name; the addresses last found for it.
    Named {
        host: String,
        port: u16,
        found: RwLock<Arc<[SocketAddr]>>,
        turn: AtomicUsize,
    },
}

/// A server of a pool.
#[derive(Debug)]
pub struct Server {
    /// Its pool's name.
    pub pool: String,
    /// Its address as written.
    pub name: String,
    /// `host[:port]` in normal form: what its answers must not show. Empty for a unix socket.
    pub authority: Authority,
    /// Its place in the metrics.
    pub slot: ServerSlot,
    /// Connections to it that any worker may take.
    pub spares: super::Spares,
    place: Place,
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
    pub(super) fn new(pool: &str, address: &ServerAddress, registry: &Registry) -> Self {
        let name = address.to_string();
        let mut authority = Authority::default();
        let place = match address {
            ServerAddress::Socket(socket) => Place::Fixed(Address::Ip(*socket)),
            ServerAddress::Unix(path) => Place::Fixed(Address::Unix(path.clone())),
            ServerAddress::Name { host, port } => Place::Named {
                host: host.clone(),
                port: *port,
                found: RwLock::new(Arc::from([])),
                turn: AtomicUsize::new(0),
            },
        };
        if !matches!(address, ServerAddress::Unix(_)) {
            // The config has checked it; a name that is no authority hides nothing.
            let _ = authority.read(name.as_bytes());
        }
        Self {
            pool: pool.to_owned(),
            slot: registry.server(pool, &name),
            spares: super::Spares::default(),
            name,
            authority,
            place,
            streak: AtomicU32::new(0),
            pauses: AtomicU32::new(0),
            aside_until: AtomicU64::new(0),
            is_probed: AtomicBool::new(false),
        }
    }

    /// An address to connect to; None while its name has not been resolved. Several addresses
    /// of one name take turns.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        match &self.place {
            Place::Fixed(address) => Some(address.clone()),
            Place::Named { found, turn, .. } => {
                let found = Arc::clone(&found.read().unwrap_or_else(PoisonError::into_inner));
                let at = turn.fetch_add(1, Ordering::Relaxed);
                found
                    .get(at % found.len().max(1))
                    .map(|address| Address::Ip(*address))
            }
        }
    }

    /// Is an address known?
    #[must_use]
    pub fn has_address(&self) -> bool {
        match &self.place {
            Place::Fixed(_) => true,
            Place::Named { found, .. } => !found
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty(),
        }
    }

    /// Its name was found to stand for these addresses.
    pub fn found(&self, addresses: &[SocketAddr]) {
        if let Place::Named { found, .. } = &self.place {
            *found.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(addresses);
        }
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

#[cfg(test)]
mod tests {
    use croupier_config::model::ServerAddress;
    use croupier_telemetry::Registry;

    use super::Server;

    fn server() -> Server {
        let address = ServerAddress::Socket("127.0.0.1:80".parse().unwrap());
        Server::new("web", &address, &Registry::new(&[]))
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
