//! A name server for the servers of the drill: they can be taken off the list and put on it.

use std::net::SocketAddr;

use croupier_testkit::{Dns, DnsAnswer, RecordKind};

/// What the proxy's config says instead of addresses.
pub(super) const SERVICE: &str = "_http._tcp.drill.test";
const HOST: &str = "server.drill.test";
const TTL_SECONDS: u32 = 1;

/// The list of servers, as DNS has it.
pub(super) struct Names {
    dns: Dns,
    listed: Vec<(u16, bool)>,
}

impl Names {
    pub(super) fn start(servers: &[SocketAddr]) -> Self {
        let names = Self {
            dns: Dns::start(),
            listed: servers.iter().map(|server| (server.port(), true)).collect(),
        };
        names.dns.addresses(HOST, TTL_SECONDS, &["127.0.0.1"]);
        names.publish();
        names
    }

    /// Where it answers.
    pub(super) fn address(&self) -> SocketAddr {
        self.dns.address()
    }

    /// Puts a server on the list, or takes it off.
    pub(super) fn list(&mut self, server: usize, is_listed: bool) {
        if let Some((_, listed)) = self.listed.get_mut(server) {
            *listed = is_listed;
        }
        self.publish();
    }

    fn publish(&self) {
        let listed = self.listed.iter().filter(|(_, listed)| *listed);
        let records = listed
            .map(|(port, _)| DnsAnswer::srv(0, 1, *port, HOST))
            .collect();
        let answer = DnsAnswer::Records(TTL_SECONDS, records);
        self.dns.say(SERVICE, RecordKind::Srv, answer);
    }
}
