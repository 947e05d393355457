//! Where requests go, all routes together: copies that come back to their own pool, pools that nobody uses.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Config, PoolKind, Switch};
use crate::read::Reader;
use crate::source::Span;

pub(crate) fn check(reader: &mut Reader, config: &Config) {
    // A mirror of a site is said of once, however many routes it hits.
    let mut noted: Vec<Span> = Vec::new();
    for site in &config.sites {
        for route in &site.routes {
            let Some(mirror) = config.mirror_of(site, route) else {
                continue;
            };
            let same = route
                .action
                .pools()
                .find(|pool| pool.value == mirror.pool.value);
            let Some(same) = same.filter(|_| !noted.contains(&mirror.pool.span)) else {
                continue;
            };
            noted.push(mirror.pool.span);
            let name = &config.pool(mirror.pool.value).name.value;
            let message = format!("the mirror would ask the pool `{name}` twice for each request");
            let help = match &route.traffic.mirror {
                Some(_) => "copies go to another pool than the requests themselves",
                None => "copies go to another pool; for this route alone write `mirror = false`",
            };
            reader.note(
                Diagnostic::error(codes::CONFLICT, mirror.pool.span, message)
                    .and(same.span, "the requests themselves")
                    .help(help),
            );
        }
    }
}

pub(crate) fn unused_pools(reader: &mut Reader, config: &Config) {
    let mut used = vec![false; config.pools.len()];
    let mut mark = |pool: usize| {
        if let Some(used) = used.get_mut(pool) {
            *used = true;
        }
    };
    for site in &config.sites {
        for route in &site.routes {
            route.action.pools().for_each(|pool| mark(pool.value.0));
            if let Some(mirror) = config.mirror_of(site, route) {
                mark(mirror.pool.value.0);
            }
        }
        // A mirror that every route overrides is written on purpose.
        if let Some(Switch::On(mirror)) = &site.traffic.mirror {
            mark(mirror.pool.value.0);
        }
    }
    for (pool, _) in config.pools.iter().zip(used).filter(|(_, used)| !used) {
        if pool.kind == PoolKind::Named {
            let message = format!("no site uses the pool `{}`", pool.name.value);
            reader.note(
                Diagnostic::warning(codes::UNUSED_POOL, pool.name.span, message)
                    .help("refer to it with `pool`, or remove it"),
            );
        }
    }
}
