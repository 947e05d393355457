//! Config and live state to plan, all or nothing. Top to bottom: pools, sites, listeners.

mod cache;
mod pool;
mod tls;

use std::sync::Arc;

use croupier_config::{
    Config,
    model::{
        self, Action as ConfigAction, PathEdit as ConfigPathEdit, PathMatch, PoolId, Priority,
        Route, Site, Timeouts,
    },
    pattern,
};
use croupier_http::h1::{chunked::ChunkLimits, scan::HeadLimits};
use croupier_net::{client::h1::ClientLimits, h2::H2Limits, origin::h1::OriginLimits};

use super::{
    Action, FixedAnswer, LimitsPlan, ListenerPlan, MethodRule, MirrorPlan, PathEdit, Plan,
    RetryPlan, RoutePlan, SitePlan, SplitPlan, StorePlan, Template, Times, TrustedPeers, Via, Way,
    tls::{SiteTls, hsts},
};
use crate::{
    edits::{Edits, Guard, Line},
    live::Live,
    pool::{hash_key, split::Split},
    router::{
        conditions::{Condition, ValueRule},
        host::{Hosts, SiteId},
        path::PathRule,
    },
};

/// Builds the plan of a config. Live objects of unchanged identity are found again.
///
/// `connections` is the number of client connections the process has descriptors for.
///
/// # Errors
/// One sentence: client authorities that can not be used, or a regex that the config's check let
/// through. Nothing has changed then.
pub fn build(config: &Config, live: &Live, connections: usize) -> Result<Plan, String> {
    let tls = (config.sites.iter())
        .map(|site| tls::site(config, site, live))
        .collect::<Result<Vec<_>, _>>()?;
    with_tls(config, live, connections, tls)
}

/// Builds the plan of a config again, with what names stand for by now: files that changed since it
/// was loaded change nothing.
///
/// # Errors
/// None that [`build`] did not have.
pub fn rebuild(
    config: &Config,
    live: &Live,
    connections: usize,
    before: &Plan,
) -> Result<Plan, String> {
    let tls = before.sites.iter().map(|site| site.tls.clone()).collect();
    with_tls(config, live, connections, tls)
}

/// `site_tls` has an entry for each site.
fn with_tls(
    config: &Config,
    live: &Live,
    connections: usize,
    site_tls: Vec<Option<Box<SiteTls>>>,
) -> Result<Plan, String> {
    let pools = config
        .pools
        .iter()
        .map(|written| pool::pool(config, written, live))
        .collect::<Result<Vec<_>, _>>()?;
    let stores = cache::stores(config, live);
    let sites = config
        .sites
        .iter()
        .zip(site_tls)
        .map(|(site, tls)| build_site(config, site, tls, &stores, live))
        .collect::<Result<Vec<_>, _>>()?;
    let listeners = config
        .server
        .listen
        .iter()
        .map(|listen| ListenerPlan {
            address: listen.value.clone(),
            hosts: hosts(config, &listen.value),
            tls: tls::listener(sites_on(config, &listen.value)),
        })
        .collect();
    Ok(Plan {
        listeners,
        sites,
        pools,
        stores,
        trusted: TrustedPeers::new(config.server.trusted_proxies.iter().map(|t| &t.value)),
        proxied: TrustedPeers::new(config.server.proxy_protocol.iter().map(|t| &t.value)),
        limits: limits(config, connections),
        via: config.server.via.as_deref().map(Via::of),
    })
}

/// The hosts of one listener: sites that listen everywhere, and those that name it.
fn hosts(config: &Config, listen: &model::Listen) -> Hosts {
    let mut hosts = Hosts::default();
    for (id, site) in sites_on(config, listen) {
        for host in site.hosts() {
            hosts.insert(&host.value, id);
        }
    }
    hosts
}

fn sites_on<'a>(
    config: &'a Config,
    listen: &'a model::Listen,
) -> impl Iterator<Item = (SiteId, &'a Site)> {
    let all = config.sites.iter().enumerate();
    all.map(|(index, site)| (SiteId(index), site))
        .filter(move |(_, site)| {
            site.listen.is_empty() || site.listen.iter().any(|other| other.value == *listen)
        })
}

fn build_site(
    config: &Config,
    site: &Site,
    tls: Option<Box<SiteTls>>,
    stores: &[StorePlan],
    live: &Live,
) -> Result<SitePlan, String> {
    let name = site.host.value.to_string();
    let routes = site
        .routes
        .iter()
        .map(|route| build_route(config, site, route, stores, live))
        .collect::<Result<_, _>>()?;
    let slot = live.registry.route(&name, "");
    Ok(SitePlan {
        name,
        routes,
        tls,
        hsts: site.hsts.as_ref().map(hsts),
        slot,
    })
}

fn build_route(
    config: &Config,
    site: &Site,
    route: &Route,
    stores: &[StorePlan],
    live: &Live,
) -> Result<RoutePlan, String> {
    let headers = route.headers.under(&site.headers);
    let mut plan = RoutePlan {
        name: route.name.value.clone(),
        slot: live
            .registry
            .route(&site.host.value.to_string(), &route.name.value),
        path: path_rule(&route.when.path)?,
        methods: route
            .when
            .methods
            .iter()
            .map(|method| MethodRule::new(&method.value))
            .collect(),
        headers: conditions(&route.when.headers, Case::Lower)?,
        query: conditions(&route.when.query, Case::Kept)?,
        action: action(config, site, route)?,
        path_edit: path_edit(&route.path_edit),
        request_edits: Edits::new(&headers.request),
        response_edits: Edits::new(&headers.response),
        guard: Guard::new(route.hide.as_ref().unwrap_or(&site.hide)),
        forwarded: site.forwarded,
        times: times(&config.timeouts_of(site, route)),
        priority: match config.priority_of(site, route) {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        },
        mirror: config.mirror_of(site, route).map(|mirror| {
            Box::new(MirrorPlan {
                way: Way {
                    pool: mirror.pool.value,
                    times: times(&config.timeouts_with(
                        site,
                        route,
                        Some(config.pool(mirror.pool.value)),
                    )),
                    retry: None,
                    hedge: None,
                },
                share: mirror.share.hundredths(),
                body_max: mirror.body,
            })
        }),
        cache: cache::cache(config, site, route, stores),
        compress: cache::compress(config, site, route),
    };
    let stamp = cache::stamp(config, &plan);
    if let Some(cache) = &mut plan.cache {
        cache.stamp = stamp;
    }
    Ok(plan)
}

fn path_rule(path: &PathMatch) -> Result<PathRule, String> {
    Ok(match path {
        PathMatch::Any => PathRule::Any,
        PathMatch::Exact(path) => PathRule::Exact(path.value.clone()),
        PathMatch::Prefix(path) => PathRule::Prefix(path.value.clone()),
        PathMatch::Regex(text) => {
            PathRule::Regex(pattern::compile(&text.value).map_err(|error| error.to_string())?)
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Kept,
}

fn conditions(written: &[model::Condition], case: Case) -> Result<Vec<Condition>, String> {
    written
        .iter()
        .map(|condition| {
            let name = &condition.name.value;
            let name = if case == Case::Lower {
                name.to_ascii_lowercase()
            } else {
                name.clone()
            };
            Ok(Condition {
                name: name.into(),
                rule: ValueRule::new(&condition.value.value)?,
            })
        })
        .collect()
}

fn action(config: &Config, site: &Site, route: &Route) -> Result<Action, String> {
    let way = |id: PoolId| {
        let pool = config.pool(id);
        Way {
            pool: id,
            times: times(&config.timeouts_with(site, route, Some(pool))),
            retry: (config.retry_of(site, route, pool).as_ref()).map(RetryPlan::new),
            hedge: (config.hedge_of(site, route, pool)).map(|hedge| hedge.after),
        }
    };
    Ok(match &route.action {
        ConfigAction::Pool(pool) => Action::Pool(Box::new(way(pool.value))),
        ConfigAction::Split(written) => {
            let weights = written.parts.iter().map(|part| u32::from(part.weight));
            let weights: Vec<u32> = weights.collect();
            let salt =
                hash_key::hash(format!("{} {}", site.host.value, route.name.value).as_bytes());
            Action::Split(Box::new(SplitPlan {
                ways: (written.parts.iter())
                    .map(|part| way(part.pool.value))
                    .collect(),
                split: Split::new(weights.iter().copied().enumerate(), salt)
                    .ok_or_else(|| format!("route `{}`: no weight in `split`", route.name.value))?,
                weights,
                by: pool::key(&written.by),
            }))
        }
        ConfigAction::Redirect(redirect) => Action::Redirect {
            to: Template::new(&redirect.to.value),
            status: redirect.status,
        },
        ConfigAction::Respond(respond) => Action::Respond(FixedAnswer {
            status: respond.status,
            body: Arc::from(respond.body.as_bytes()),
            content_type: respond.content_type.as_str().into(),
            lines: respond.headers.iter().map(Line::new).collect(),
        }),
        ConfigAction::Deny(deny) => Action::Deny {
            status: deny.status,
        },
    })
}

fn path_edit(edit: &ConfigPathEdit) -> PathEdit {
    match edit {
        ConfigPathEdit::Keep => PathEdit::Keep,
        ConfigPathEdit::Prefix { strip, add } => PathEdit::Prefix {
            strip: strip
                .as_ref()
                .map(|strip| strip.value.clone())
                .unwrap_or_default(),
            add: add
                .as_ref()
                .map(|add| add.value.clone())
                .unwrap_or_default(),
        },
        ConfigPathEdit::Rewrite(template) => PathEdit::Rewrite(Template::new(&template.value)),
    }
}

fn times(timeouts: &Timeouts) -> Times {
    Times {
        client_body: timeouts.client_body.duration(),
        client_send: timeouts.client_send.duration(),
        connect: timeouts.connect.duration(),
        response_head: timeouts.response_head.duration(),
        response_body: timeouts.response_body.duration(),
        tunnel_idle: timeouts.tunnel_idle.duration(),
        exchange: timeouts.exchange.duration(),
    }
}

/// The bounds of the table are far below.
fn small(amount: usize) -> u32 {
    u32::try_from(amount).unwrap_or(u32::MAX)
}

fn limits(config: &Config, connections: usize) -> LimitsPlan {
    let limits = &config.limits;
    let chunks = ChunkLimits {
        line_bytes: limits.chunk_line_bytes,
        trailer_bytes: limits.trailer_bytes,
        trailers: limits.trailers,
    };
    let connections = limits.connections.unwrap_or(connections);
    let h2 = H2Limits {
        streams: small(limits.h2_streams),
        requests: small(limits.h2_requests),
        window: small(limits.h2_window),
        stream_window: small(limits.h2_stream_window),
        resets: limits.h2_resets,
        control_frames: small(limits.h2_control_frames),
    };
    LimitsPlan {
        client: ClientLimits {
            head: HeadLimits {
                head_bytes: limits.head_bytes,
                target_bytes: limits.target_bytes,
                fields: limits.fields,
                field_bytes: limits.field_bytes,
            },
            chunks,
            head_time: config.timeouts.client_head.duration(),
            idle_time: config.timeouts.client_idle.duration(),
        },
        h2,
        origin: OriginLimits {
            head: HeadLimits {
                head_bytes: limits.response_head_bytes,
                target_bytes: limits.target_bytes,
                fields: limits.response_fields,
                field_bytes: limits.response_head_bytes,
            },
            chunks,
            h2,
        },
        interim_responses: u32::try_from(limits.interim_responses).unwrap_or(u32::MAX),
        body_bytes: limits.body_bytes,
        drain_bytes: limits.drain_bytes,
        drain_time: config.timeouts.drain.duration(),
        origin_idle: config.timeouts.origin_idle.duration(),
        connections,
        // One address may be a whole office behind a NAT, but the last tenth is for others.
        connections_per_client: limits
            .connections_per_client
            .unwrap_or(connections - connections / 10),
        handshakes: limits.handshakes.unwrap_or(connections / 4).max(1),
        handshake_time: config.timeouts.handshake.duration(),
        times: times(&config.timeouts),
    }
}
