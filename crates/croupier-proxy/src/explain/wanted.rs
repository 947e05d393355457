//! Where an answer to a URL may be held: for people who look for it, and for those who want it gone.

use std::sync::Arc;

use croupier_cache::store::{Store, Which};
use croupier_http::{Method, Scheme, Target};

use crate::{
    plan::{Plan, cache::CachePlan},
    router::host::SiteId,
    stage::cache::key::{asked, normal_query},
};

/// A place to look, and what for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where.
    pub store: Arc<Store>,
    /// What.
    pub which: Which,
}

/// How much of a URL is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// This one, whatever else of a request is part of its key.
    Whole,
    /// All that begin so.
    Beginning,
}

/// Where answers to this URL, or to those that begin so, may be held: the stores of its site, each
/// under what its routes make of the query; all stores when no site keeps anything. A URL without
/// scheme means both.
///
/// # Errors
/// One sentence and, on a second line, what to do: it is no URL.
pub fn wanted(plan: &Plan, url: &str, extent: Extent) -> Result<Vec<Wanted>, String> {
    let url = url.split('#').next().unwrap_or_default();
    let schemes = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => vec![(Scheme::Https, rest)],
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => vec![(Scheme::Http, rest)],
        Some((scheme, _)) => {
            return Err(format!("`{scheme}` is neither `http` nor `https`"));
        }
        None => vec![(Scheme::Https, url), (Scheme::Http, url)],
    };
    let mut all: Vec<Wanted> = Vec::new();
    for (scheme, rest) in schemes {
        let target = read(scheme, rest, extent).ok_or_else(|| {
            format!("`{url}` is no URL\nwrite it as in `https://shop.example.com/assets/app.css`")
        })?;
        if extent == Extent::Beginning && target.query().is_some() {
            return Err(format!(
                "`{url}` has a query, and a beginning of URLs has none\nleave it out, or name the whole URL"
            ));
        }
        let rules = rules(plan, target.authority.host());
        let mut queries: Vec<(Arc<Store>, Option<Box<str>>)> = Vec::new();
        for rule in rules {
            let normal = normal_query(rule, &target);
            let query = asked(normal.as_deref(), &target).map(Box::from);
            queries.push((Arc::clone(&rule.store), query));
        }
        if queries.is_empty() {
            let query: Option<Box<str>> = target.query().map(Box::from);
            let stores = plan.stores.iter();
            queries.extend(stores.map(|plan| (Arc::clone(&plan.store), query.clone())));
        }
        for authority in authorities(scheme, &target) {
            for (store, query) in &queries {
                let (scheme, path) = (word(scheme), target.path());
                let which = match extent {
                    Extent::Whole => Which::target(scheme, &authority, path, query.as_deref()),
                    Extent::Beginning => Which::below(scheme, &authority, path),
                };
                let is_new = |one: &Wanted| !Arc::ptr_eq(&one.store, store) || one.which != which;
                if all.iter().all(is_new) {
                    let store = Arc::clone(store);
                    all.push(Wanted { store, which });
                }
            }
        }
    }
    Ok(all)
}

fn word(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    }
}

/// In the form in which it is looked up.
fn read(scheme: Scheme, rest: &str, extent: Extent) -> Option<Target> {
    let rest = match extent {
        Extent::Beginning => rest.strip_suffix('*').unwrap_or(rest),
        Extent::Whole => rest,
    };
    let url = format!("{}://{rest}", word(scheme));
    let mut target = Target::default();
    target.read(scheme, Method::Get, url.as_bytes()).ok()?;
    Some(target)
}

/// As it is written, and with the scheme's own port or without.
fn authorities(scheme: Scheme, target: &Target) -> Vec<String> {
    let authority = &target.authority;
    let mut all = vec![authority.as_str().to_owned()];
    match authority.port() {
        None => all.push(format!("{}:{}", authority.as_str(), scheme.port())),
        Some(port) if port == scheme.port() => all.push(authority.host().to_owned()),
        Some(_) => {}
    }
    all
}

/// What the routes of a host keep.
fn rules<'a>(plan: &'a Plan, host: &str) -> Vec<&'a CachePlan> {
    let mut sites: Vec<SiteId> = Vec::new();
    for listener in &plan.listeners {
        if let Some(site) = listener.hosts.find(host)
            && !sites.contains(&site)
        {
            sites.push(site);
        }
    }
    let routes = sites.iter().flat_map(|site| &plan.sites[site.0].routes);
    routes.filter_map(|route| route.cache.as_ref()).collect()
}
