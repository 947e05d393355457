//! Who is connected: client connections in all and per client address, over all workers.
//!
//! Touched when a connection comes and when it goes, never by a request.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

const SHARDS: usize = 16;

/// Counts of client connections.
#[derive(Debug, Default)]
pub struct Doors {
    open: AtomicUsize,
    clients: [Mutex<HashMap<u128, u32>>; SHARDS],
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `limits.connections`
    Total,
    /// `limits.connections_per_client`
    Client,
}

/// One connection that was let in; dropping it lets it out.
#[derive(Debug)]
pub struct Door {
    live: Arc<super::Live>,
    client: Option<u128>,
}

impl Doors {
    /// Client connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts one more connection of a client, unless it has `max`.
    fn admit(&self, client: u128, max: usize) -> bool {
        let shard = self.shard(client).lock();
        let mut shard = shard.unwrap_or_else(PoisonError::into_inner);
        let count = shard.entry(client).or_insert(0);
        let is_admitted = (*count as usize) < max;
        *count += u32::from(is_admitted);
        if *count == 0 {
            shard.remove(&client);
        }
        is_admitted
    }

    fn shard(&self, client: u128) -> &Mutex<HashMap<u128, u32>> {
        let folded = (client >> 64) as u64 ^ client as u64;
        &self.clients[(folded ^ folded >> 32 ^ folded >> 7) as usize % SHARDS]
    }
}

impl Door {
    /// Lets a connection in, unless a limit is reached. Unix-socket peers have no address and
    /// count in all only.
    ///
    /// # Errors
    /// Which limit it was.
    pub fn enter(
        live: &Arc<super::Live>,
        client: Option<IpAddr>,
        total_max: usize,
        client_max: usize,
    ) -> Result<Self, Refused> {
        let doors = &live.doors;
        if doors.open.fetch_add(1, Ordering::Relaxed) >= total_max {
            doors.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Total);
        }
        let client = client.map(network);
        if client.is_some_and(|client| !doors.admit(client, client_max)) {
            doors.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Client);
        }
        Ok(Self {
            live: Arc::clone(live),
            client,
        })
    }

    /// Counts a connection, which was let in without knowing whose it is, against its client.
    ///
    /// # Errors
    /// When that client has too many.
    pub fn identify(&mut self, client: IpAddr, client_max: usize) -> Result<(), Refused> {
        debug_assert!(self.client.is_none(), "a connection has one client");
        let client = network(client);
        if !self.live.doors.admit(client, client_max) {
            return Err(Refused::Client);
        }
        self.client = Some(client);
        Ok(())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let doors = &self.live.doors;
        doors.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(client) = self.client {
            let mut shard = doors
                .shard(client)
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = shard.get_mut(&client) {
                *count -= 1;
                if *count == 0 {
                    shard.remove(&client);
                }
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits.
fn network(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::{Door, Refused};
    use crate::live::Live;

    #[test]
    fn limits_in_all_and_per_client() {
        let live = Live::new();
        let enter = |ip: &str| Door::enter(&live, ip.parse().ok(), 3, 2);
        let first = enter("2001:db8::1").unwrap();
        let second = enter("2001:db8::2").unwrap();
        assert_eq!(enter("2001:db8::3").unwrap_err(), Refused::Client);
        let third = enter("10.0.0.1").unwrap();
        assert_eq!(enter("10.0.0.2").unwrap_err(), Refused::Total);
        drop((first, third));
        assert_eq!(live.doors.open(), 1);
        let again = enter("2001:db8::9").unwrap();
        drop((again, second));
        assert_eq!(live.doors.open(), 0);
    }

    #[test]
    fn who_comes_through_a_proxy_is_counted_when_it_is_named() {
        let live = Live::new();
        let ip = |ip: &str| ip.parse().unwrap();
        let mut first = Door::enter(&live, None, 9, 1).unwrap();
        let mut second = Door::enter(&live, None, 9, 1).unwrap();
        assert_eq!(first.identify(ip("10.0.0.1"), 1), Ok(()));
        assert_eq!(second.identify(ip("10.0.0.1"), 1), Err(Refused::Client));
        drop(first);
        assert_eq!(second.identify(ip("10.0.0.1"), 1), Ok(()));
        drop(second);
        assert_eq!(live.doors.open(), 0);
    }
}
