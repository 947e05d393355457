//! A pool's servers: those written as addresses, and one for each address that a written name was
//! found to stand for.

use std::sync::Arc;

use croupier_config::model::{self, ServerAddress};
use croupier_http::Authority;
use croupier_net::address::Address;

use crate::live::{Live, Name, Place, Server};

/// A server as a pool has it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) server: Arc<Server>,
    /// Its share within the tier; 0: it gets those clients only that stick to it.
    pub(super) weight: u16,
    /// 0 is asked first.
    pub(super) tier: u8,
    /// Attempts in flight at once; 0: no limit.
    pub(super) requests_max: u32,
    /// Open connections; 0: no limit.
    pub(super) connections_max: u32,
}

/// The servers of a pool in a stable order: as written, and below that as found.
///
/// The weight written beside a name is that of each of its addresses; the weights of an SRV
/// record are multiplied by it.
pub(super) fn members(pool: &model::Pool, live: &Live) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for written in &pool.servers {
        for (place, weight, tier) in places(&written.address.value, live) {
            let server = live.server(&pool.name.value, &place);
            // Two records may say the same.
            if !(members.iter()).any(|other| Arc::ptr_eq(&other.server, &server)) {
                members.push(Member {
                    server,
                    weight: written.weight.saturating_mul(weight),
                    tier: written.tier.saturating_add(tier),
                    requests_max: written.max_requests.unwrap_or(0),
                    connections_max: written.max_connections.unwrap_or(0),
                });
            }
        }
    }
    members
}

fn places(address: &ServerAddress, live: &Live) -> Vec<(Place, u16, u8)> {
    let fixed = |address| vec![(Place::written(address), 1, 0)];
    let written_port = match address {
        ServerAddress::Socket(socket) => return fixed(Address::Ip(*socket)),
        ServerAddress::Unix(path) => return fixed(Address::Unix(path.clone())),
        ServerAddress::Name { port, .. } => Some(*port),
        ServerAddress::Srv { .. } => None,
    };
    let Some(name) = Name::of(address) else {
        return Vec::new();
    };
    let found = live.names.get(&name);
    let all = found.addresses.iter().filter_map(|one| {
        let port = one.port.or(written_port)?;
        let place = Place::found(&one.host, (one.address, port).into());
        Some((place, one.weight, one.tier))
    });
    all.collect()
}

/// What answers of the pool's servers must not show: each written name and every address.
pub(super) fn authorities(pool: &model::Pool, members: &[Member]) -> Vec<Authority> {
    let mut authorities: Vec<Authority> = Vec::new();
    let mut add = |text: &str| {
        let mut authority = Authority::default();
        // The config has checked what is written; what is no authority hides nothing.
        let is_new = authority.read(text.as_bytes()).is_ok()
            && !authority.is_empty()
            && !authorities
                .iter()
                .any(|other| other.as_str() == authority.as_str());
        if is_new {
            authorities.push(authority);
        }
    };
    for written in &pool.servers {
        match &written.address.value {
            ServerAddress::Name { host, port } => add(&format!("{host}:{port}")),
            ServerAddress::Srv { name } => add(name),
            ServerAddress::Socket(_) | ServerAddress::Unix(_) => {}
        }
    }
    for member in members {
        let place = member.server.place();
        if let Some(host) = &place.host {
            add(host);
        }
        if let Address::Ip(address) = &place.address {
            add(&address.to_string());
        }
    }
    authorities
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use croupier_config::model::ServerAddress;

    use super::{authorities, members, places};
    use crate::live::{Found, Live, Name, NamedAddress};

    fn named(host: &str, address: &str, port: Option<u16>, weight: u16, tier: u8) -> NamedAddress {
        NamedAddress {
            host: host.into(),
            address: address.parse().unwrap(),
            port,
            weight,
            tier,
        }
    }

    fn found(live: &Live, name: Name, addresses: &[NamedAddress]) {
        let found = Found {
            addresses: addresses.into(),
            ..Found::default()
        };
        live.names.found(&name, found);
    }

    fn pool(servers: &str) -> croupier_config::model::Pool {
        let text = format!(
            "[server]\nlisten = [\":80\"]\n[pool.web]\nservers = {servers}\n[site.\"*\"]\npool = \"web\"\n"
        );
        let config = croupier_config::Config::from_str("test.toml", &text).unwrap();
        config.pools[0].clone()
    }

    #[test]
    fn each_address_of_a_name_is_a_server_with_the_written_weight() {
        let live = Live::new();
        let pool = pool(
            "[{ address = \"app.internal:8080\", weight = 3 }, \"10.0.0.9:80\", \"unix:/run/a\"]",
        );
        let names = |live: &Live| -> Vec<(String, u16)> {
            let members = members(&pool, live);
            let one = |member: &super::Member| (member.server.name.clone(), member.weight);
            members.iter().map(one).collect()
        };
        assert_eq!(
            names(&live),
            [("10.0.0.9:80".into(), 1), ("unix:/run/a".into(), 1)],
            "a name that was not found stands for nobody"
        );
        let five = named("app.internal", "10.0.0.5", None, 1, 0);
        let v6 = named("app.internal", "fd00::5", None, 1, 0);
        found(&live, Name::Host("app.internal".into()), &[five, v6]);
        assert_eq!(
            names(&live),
            [
                ("app.internal:8080@10.0.0.5:8080".into(), 3),
                ("app.internal:8080@[fd00::5]:8080".into(), 3),
                ("10.0.0.9:80".into(), 1),
                ("unix:/run/a".into(), 1)
            ]
        );
        let all = members(&pool, &live);
        assert_eq!(all[0].server.authority.as_str(), "app.internal:8080");
        let hidden: Vec<_> = authorities(&pool, &all)
            .iter()
            .map(|authority| authority.as_str().to_owned())
            .collect();
        assert_eq!(
            hidden,
            [
                "app.internal:8080",
                "10.0.0.5:8080",
                "[fd00::5]:8080",
                "10.0.0.9:80"
            ]
        );
    }

    #[test]
    fn an_address_that_stays_is_the_same_server() {
        let live = Live::new();
        let pool = pool("[\"app.internal:8080\"]");
        let name = Name::Host("app.internal".into());
        let (one, two) = (
            named("app.internal", "10.0.0.1", None, 1, 0),
            named("app.internal", "10.0.0.2", None, 1, 0),
        );
        found(&live, name.clone(), &[one, two.clone()]);
        let before = members(&pool, &live);
        found(
            &live,
            name,
            &[two, named("app.internal", "10.0.0.3", None, 1, 0)],
        );
        let after = members(&pool, &live);
        assert!(Arc::ptr_eq(&before[1].server, &after[0].server));
        assert_eq!(after.len(), 2);
    }

    #[test]
    fn an_srv_record_says_port_weight_and_tier() {
        let live = Live::new();
        let pool = pool("[\"dns+srv://_http._tcp.web.internal\"]");
        let name = Name::Srv("_http._tcp.web.internal".into());
        let all = [
            named("a.internal", "10.0.0.1", Some(81), 40_000, 0),
            named("b.internal", "10.0.0.2", Some(82), 5, 1),
            named("b.internal", "10.0.0.2", Some(82), 7, 1),
        ];
        found(&live, name, &all);
        let all = members(&pool, &live);
        let said: Vec<_> = all
            .iter()
            .map(|member| (member.server.name.as_str(), member.weight, member.tier))
            .collect();
        assert_eq!(
            said,
            [
                ("a.internal:81@10.0.0.1:81", 40_000, 0),
                ("b.internal:82@10.0.0.2:82", 5, 1)
            ]
        );
        let hidden = authorities(&pool, &all);
        assert!(
            hidden
                .iter()
                .any(|one| one.as_str() == "_http._tcp.web.internal")
        );
    }

    #[test]
    fn a_name_alone_needs_nothing_found() {
        let live = Live::new();
        let address = ServerAddress::Srv {
            name: "_http._tcp.x".into(),
        };
        assert!(places(&address, &live).is_empty());
    }
}
