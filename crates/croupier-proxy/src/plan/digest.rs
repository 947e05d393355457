//! What changed between two plans, in words: for the report of a reload.

use std::sync::Arc;

use super::{Plan, PoolPlan};
use crate::live::Server;

/// Names in each plan, compared.
#[must_use]
pub fn compare(old: &Plan, new: &Plan) -> Vec<String> {
    let mut words = Vec::new();
    let listeners = |plan: &Plan| {
        plan.listeners
            .iter()
            .map(|l| l.address.to_string())
            .collect()
    };
    named("listener", listeners(old), listeners(new), &mut words);
    let sites = |plan: &Plan| plan.sites.iter().map(|site| site.name.clone()).collect();
    named("site", sites(old), sites(new), &mut words);
    let pools = |plan: &Plan| plan.pools.iter().map(|pool| pool.name.clone()).collect();
    named("pool", pools(old), pools(new), &mut words);
    for site in &new.sites {
        if let Some(before) = old.sites.iter().find(|other| other.name == site.name)
            && before.routes.len() != site.routes.len()
        {
            let (from, to) = (before.routes.len(), site.routes.len());
            words.push(format!("site `{}`: {from} -> {to} routes", site.name));
        }
    }
    for pool in &new.pools {
        if let Some(before) = old.pools.iter().find(|other| other.name == pool.name) {
            let servers = |pool: &PoolPlan| -> Vec<String> {
                pool.servers
                    .iter()
                    .map(|(server, _)| server.name.clone())
                    .collect()
            };
            let mut changes = Vec::new();
            named("server", servers(before), servers(pool), &mut changes);
            for (server, weight) in &pool.servers {
                let same = |(other, _): &&(Arc<Server>, u16)| other.name == server.name;
                if let Some((_, old)) = before.servers.iter().find(same)
                    && old != weight
                {
                    changes.push(format!(
                        "server `{}`: weight {old} -> {weight}",
                        server.name
                    ));
                }
            }
            words.extend(
                changes
                    .into_iter()
                    .map(|change| format!("pool `{}`: {change}", pool.name)),
            );
        }
    }
    words
}

fn named(kind: &str, old: Vec<String>, new: Vec<String>, words: &mut Vec<String>) {
    for name in &new {
        if !old.contains(name) {
            words.push(format!("{kind} `{name}` added"));
        }
    }
    for name in &old {
        if !new.contains(name) {
            words.push(format!("{kind} `{name}` removed"));
        }
    }
}
