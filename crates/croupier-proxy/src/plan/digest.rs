//! What changed between two plans, in words: for the report of a reload.

use super::{Plan, PoolPlan, ServerPlan};
use crate::pool::pick::UNIT;

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
                    .map(|plan| plan.server.name.clone())
                    .collect()
            };
            let mut changes = Vec::new();
            named("server", servers(before), servers(pool), &mut changes);
            for plan in &pool.servers {
                let name = &plan.server.name;
                let same = |other: &&ServerPlan| other.server.name == *name;
                if let Some(old) = before.servers.iter().find(same)
                    && old.weight != plan.weight
                {
                    let (old, new) = (old.weight / UNIT, plan.weight / UNIT);
                    changes.push(format!("server `{name}`: weight {old} -> {new}"));
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
