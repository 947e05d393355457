//! Stage 2: whose is it? Listener and host give the site (to [`super::secure`], before), its first
//! matching route takes it.
//!
//! A path that servers could read in two ways is matched in both readings; if they lead to
//! different routes, the request is refused: no rule can be evaded by an encoding.

use crate::{
    fault::Code,
    incoming::Incoming,
    plan::{Plan, RouteId, RoutePlan},
    router::host::SiteId,
};

/// Finds the route of a site.
pub(crate) fn find(
    plan: &Plan,
    site: Option<SiteId>,
    incoming: &Incoming,
) -> Result<RouteId, Code> {
    let site = site.ok_or(Code::ProxySiteNone)?;
    let route = first(plan, site, incoming, incoming.target.path());
    if let Some(lenient) = incoming.target.lenient_path()
        && first(plan, site, incoming, lenient) != route
    {
        return Err(Code::ClientTargetAmbiguous);
    }
    route
        .map(|route| RouteId { site, route })
        .ok_or(Code::ProxyRouteNone)
}

/// The site that answers for the request's host on its listener.
pub(crate) fn site(plan: &Plan, incoming: &Incoming) -> Option<SiteId> {
    let listener = plan.listeners.get(incoming.listener)?;
    listener.hosts.find(incoming.target.authority.host())
}

fn first(plan: &Plan, site: SiteId, incoming: &Incoming, path: &str) -> Option<usize> {
    let routes = &plan.sites[site.0].routes;
    routes
        .iter()
        .position(|route| why_not(route, incoming, path).is_none())
}

/// Why a route does not take a request; None when it does.
pub(crate) fn why_not(route: &RoutePlan, incoming: &Incoming, path: &str) -> Option<WhyNot> {
    if !route.path.takes(path) {
        return Some(WhyNot::Path);
    }
    let head = &incoming.head;
    if !route.methods.is_empty()
        && !route
            .methods
            .iter()
            .any(|rule| rule.takes(head.method, head.method_bytes()))
    {
        return Some(WhyNot::Method);
    }
    let header = route
        .headers
        .iter()
        .find(|condition| !condition.holds_in(&head.fields));
    if let Some(condition) = header {
        return Some(WhyNot::Header(condition.name.to_string()));
    }
    let query = incoming.target.query();
    let parameter = route
        .query
        .iter()
        .find(|condition| !condition.holds_in_query(query));
    parameter.map(|condition| WhyNot::Query(condition.name.to_string()))
}

/// Why a route lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WhyNot {
    Path,
    Method,
    Header(String),
    Query(String),
}
