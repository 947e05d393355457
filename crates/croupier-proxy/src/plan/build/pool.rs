//! A pool of the config as the plan has it.

use std::{path::Path, sync::Arc, time::Duration};

use croupier_config::{
    Config,
    model::{self, Balance, Health, HealthCheck, HostHeader},
};

use croupier_net::origin::Manner;

use crate::{
    live::{
        Greeting, Live, Speech, Spoken, Tls,
        policy::{CheckKind, CheckPolicy, HealthPolicy, HttpCheck, QueuePolicy},
    },
    plan::{
        pool::{HostRule, PoolPlan, ServerPlan, StickyPlan, WrittenServer},
        servers::{self, Member},
    },
    pool::{
        hash_key::{self, HashKey},
        pick::{Bound, Maglev, Picker, Ring, RoundRobin, UNIT},
        sticky::{self, SameSite, Secret, Secure, StickyRule},
    },
};

/// Never: the number of failures that nobody reaches.
const NEVER: u32 = u32::MAX;

pub(super) fn pool(config: &Config, pool: &model::Pool, live: &Live) -> Result<PoolPlan, String> {
    let members = servers::members(pool, live);
    let authorities = servers::authorities(pool, &members);
    let written = pool
        .servers
        .iter()
        .map(|server| WrittenServer {
            address: server.address.value.to_string(),
            weight: server.weight,
            tier: server.tier,
        })
        .collect();
    let sticky = (pool.sticky.as_ref())
        .map(|written| sticky_plan(pool, written, &members, live))
        .transpose()?;
    let servers: Vec<ServerPlan> = (members.into_iter())
        .map(|member| {
            let carried = carried(pool, member.connections_max, config.limits.h2_streams);
            server(member, carried)
        })
        .collect();
    let manner = manner(pool, live)?;
    let (picker, balance) = picker(&pool.balance, &servers);
    Ok(PoolPlan {
        name: pool.name.value.clone(),
        live: live.pool(&pool.name.value),
        written,
        weight_max: (servers.iter().map(|server| server.weight).max()).unwrap_or(0),
        picker,
        balance,
        key: match &pool.balance {
            Balance::Hash(hash) => Some(key(&hash.key)),
            _ => None,
        },
        servers,
        sticky,
        health: health(pool),
        check: pool
            .health
            .as_ref()
            .map(|check| Arc::new(self::check(check))),
        queue: (pool.queue.requests > 0).then_some(QueuePolicy {
            waiting: pool.queue.requests as usize,
            timeout: pool.queue.time,
        }),
        resumes: pool.resume,
        authorities,
        host: match &pool.host {
            HostHeader::Client => HostRule::Client,
            HostHeader::Server => HostRule::Server,
            HostHeader::Literal(host) => HostRule::Fixed(host.as_str().into()),
        },
        idle_kept: if manner.is_for_all() {
            config.idle_per_server_of(pool)
        } else {
            0
        },
        greeting: pool.proxy_protocol.clone(),
        manner,
    })
}

/// How its servers are spoken to; reads files.
fn manner(pool: &model::Pool, live: &Live) -> Result<Arc<Manner>, String> {
    let wrong = |error: String| format!("pool `{}`: {error}", pool.name.value);
    let speech = match pool.protocol {
        model::Protocol::Http => Speech::Http,
        model::Protocol::H2c => Speech::H2c,
        model::Protocol::Https => Speech::Https(tls(&pool.tls).map_err(wrong)?),
    };
    let greeting = match pool.proxy_protocol {
        Some(_) => Greeting::Proxy,
        None => Greeting::None,
    };
    let spoken = Spoken { speech, greeting };
    live.manners.manner(spoken).map_err(wrong)
}

fn tls(written: &model::OriginTls) -> Result<Tls, String> {
    let read = |key: &str, path: &Path| {
        std::fs::read(path).map_err(|error| format!("tls.{key}: {}: {error}", path.display()))
    };
    let client = match &written.client {
        Some((certificate, key)) => Some((
            read("certificate", &certificate.value)?,
            read("key", &key.value)?,
        )),
        None => None,
    };
    let ca = (written.ca.iter()).map(|path| read("ca", &path.value));
    Ok(Tls {
        ca: ca.collect::<Result<_, _>>()?,
        client,
        verify: written.verify,
        http2: written.http2,
        name: written.name.as_ref().map(|name| name.value.clone()),
    })
}

/// Requests at once that a server's connections have room for; 0: no limit. One for each, but
/// where it is certain that they carry several.
fn carried(pool: &model::Pool, connections: u32, streams: usize) -> u32 {
    match pool.protocol {
        model::Protocol::H2c if pool.proxy_protocol.is_none() => {
            connections.saturating_mul(u32::try_from(streams).unwrap_or(u32::MAX))
        }
        _ => connections,
    }
}

fn server(member: Member, carried: u32) -> ServerPlan {
    ServerPlan {
        server: member.server,
        weight: u32::from(member.weight) * UNIT,
        tier: member.tier.min(ServerPlan::TIER_MAX),
        requests_max: least(member.requests_max, carried),
        connections_max: member.connections_max,
    }
}

/// The lower of two bounds, 0 being none: a request in flight has a connection for itself.
fn least(requests: u32, connections: u32) -> u32 {
    match (requests, connections) {
        (0, only) | (only, 0) => only,
        (requests, connections) => requests.min(connections),
    }
}

fn picker(balance: &Balance, servers: &[ServerPlan]) -> (Picker, &'static str) {
    // Servers that are away stay in the tables: who is away comes in by weight.
    let identities = || -> Vec<(u64, u32)> {
        servers
            .iter()
            .map(|plan| (hash_key::hash(plan.server.name.as_bytes()), plan.weight))
            .collect()
    };
    match balance {
        Balance::TwoChoices => (Picker::TwoChoices, "two-choices"),
        Balance::RoundRobin => (Picker::RoundRobin(RoundRobin::default()), "round-robin"),
        Balance::Random => (Picker::Random, "random"),
        Balance::LeastRequests => (Picker::LeastRequests, "least-requests"),
        Balance::Ewma => (Picker::Ewma, "ewma"),
        Balance::Hash(hash) => {
            let bound = hash.load.map_or(Bound::NONE, |load| {
                Bound::percent(u16::try_from(load.hundredths() / 100).unwrap_or(u16::MAX))
            });
            match hash.table {
                model::HashTable::Maglev => {
                    let table = Arc::new(Maglev::new(&identities()));
                    (Picker::Maglev(table, bound), "hash")
                }
                model::HashTable::Ring => {
                    let table = Arc::new(Ring::new(&identities()));
                    (Picker::Ring(table, bound), "hash")
                }
            }
        }
    }
}

pub(super) fn key(key: &model::HashKey) -> HashKey {
    match key {
        model::HashKey::ClientIp => HashKey::ClientIp,
        model::HashKey::Header(name) => HashKey::Header(name.as_str().into()),
        model::HashKey::Cookie(name) => HashKey::Cookie(name.as_str().into()),
        model::HashKey::Path => HashKey::Path,
        model::HashKey::Uri => HashKey::Uri,
        model::HashKey::Query(name) => HashKey::Query(name.as_str().into()),
    }
}

fn sticky_plan(
    pool: &model::Pool,
    written: &model::Sticky,
    members: &[Member],
    live: &Live,
) -> Result<StickyPlan, String> {
    let name = &pool.name.value;
    let secret = match &written.secret {
        Some(secret) => {
            let bytes = secret.load();
            let bytes = bytes.map_err(|error| format!("pool `{name}`: sticky.secret: {error}"))?;
            Secret::new(&bytes).ok_or_else(|| format!("pool `{name}`: sticky.secret: too short"))?
        }
        None => live.secret.clone(),
    };
    Ok(StickyPlan {
        rule: StickyRule {
            name: written.cookie.as_str().into(),
            path: written.path.as_str().into(),
            ttl: written.ttl,
            secure: if written.secure {
                Secure::Always
            } else {
                Secure::AsReceived
            },
            same_site: match written.same_site {
                model::SameSite::Lax => SameSite::Lax,
                model::SameSite::Strict => SameSite::Strict,
                model::SameSite::None => SameSite::None,
            },
        },
        tokens: members
            .iter()
            .map(|member| sticky::token(&secret, name, &member.server.name))
            .collect(),
        has_secret: written.secret.is_some(),
    })
}

fn health(pool: &model::Pool) -> HealthPolicy {
    let panic = pool.panic().map_or(0, |panic| panic.hundredths() / 100);
    let base = HealthPolicy {
        panic,
        slow_start: pool.slow_start,
        ..HealthPolicy::default()
    };
    let Some(eject) = &pool.eject else {
        return HealthPolicy {
            failures: NEVER,
            gateway_errors: NEVER,
            window_attempts: NEVER,
            share: 0,
            ..base
        };
    };
    HealthPolicy {
        failures: eject.failures.unwrap_or(NEVER),
        gateway_errors: eject.gateway_errors.unwrap_or(NEVER),
        window: model::Eject::WINDOW,
        window_attempts: eject.ratio.map_or(NEVER, |_| model::Eject::WINDOW_REQUESTS),
        ratio: eject.ratio.map_or(100, |ratio| ratio.hundredths() / 100),
        first: eject.first,
        refused_first: eject.first.min(Duration::from_secs(1)),
        last: eject.longest,
        share: (eject.share.hundredths() / 100).max(1),
        ..base
    }
}

fn check(health: &Health) -> CheckPolicy {
    CheckPolicy {
        kind: match &health.check {
            HealthCheck::Tcp => CheckKind::Connect,
            HealthCheck::Http(http) => CheckKind::Http(HttpCheck {
                method: http.method.as_str().into(),
                path: http.path.as_str().into(),
                host: http.host.as_deref().map(Into::into),
                fields: Box::default(),
                statuses: http.status.iter().cloned().collect(),
                body: http.body.as_deref().map(Into::into),
            }),
            HealthCheck::Grpc { service } => CheckKind::Grpc(service.as_str().into()),
        },
        port: health.port,
        interval: health.interval,
        interval_changing: health.interval_changing,
        timeout: health.timeout,
        rise: health.rise,
        fall: health.fall,
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        live::{Found, Live, Name, NamedAddress},
        plan::ServerPlan,
    };

    #[test]
    fn no_priority_of_an_srv_record_is_beyond_the_last_tier() {
        let text = "[server]\nlisten = [\":80\"]\n[site.\"*\"]\nproxy = \"dns+srv://_http._tcp.web.internal\"\n";
        let config = croupier_config::Config::from_str("test.toml", text).unwrap();
        let live = Live::new();
        let record = |tier: u8| NamedAddress {
            host: "a.internal".into(),
            address: "10.0.0.1".parse().unwrap(),
            port: Some(8_000 + u16::from(tier)),
            weight: 1,
            tier,
        };
        let found = Found {
            addresses: (0..12).map(record).collect(),
            ..Found::default()
        };
        live.names
            .found(&Name::Srv("_http._tcp.web.internal".into()), found);
        let pool = super::pool(&config, &config.pools[0], &live).unwrap();
        let tiers: Vec<u8> = pool.servers.iter().map(|server| server.tier).collect();
        assert_eq!(tiers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]);
        assert_eq!(ServerPlan::TIER_MAX, 8);
    }
}
