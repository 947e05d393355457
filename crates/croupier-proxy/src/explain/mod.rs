//! Which site, route, edits and pool would take a request, and why the other routes lost.
//!
//! Runs `inspect` and `route` of the data plane itself: what it says is what happens. The tests
//! in a config (`[[test]]`) go the same way.

mod cache;
mod deal;
mod wanted;

use std::{net::IpAddr, time::Instant};

use croupier_http::{
    RequestHead, Target,
    h1::{head, scan::HeadScan},
};
use croupier_telemetry::RequestIds;

use crate::{
    fault::{Code, Fault},
    incoming::{Incoming, UNKNOWN},
    plan::{Action, HostRule, Plan, RouteId, RoutePlan, Way, WrittenServer},
    router::host::SiteId,
    stage::{
        cache::key::asked,
        inspect,
        route::{self, WhyNot},
        secure, shape,
    },
};

pub use cache::Cached;
pub use deal::{Shares, Told};
pub use wanted::{Extent, Wanted, wanted};

/// A request to be explained.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `host[:port]`.
    pub authority: &'a str,
    /// Path and query, beginning with a slash, or `*`.
    pub target: &'a str,
    /// Header lines beside `Host`.
    pub headers: &'a [(String, String)],
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The listener it comes by: its place in the plan.
    pub listener: usize,
}

/// What would happen.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The site that answers, when the request gets that far.
    pub site: Option<String>,
    /// Its TLS, in words: whose certificate the client sees. None: it is plain.
    pub tls: Option<String>,
    /// `Strict-Transport-Security` of its answers over TLS.
    pub hsts: Option<String>,
    /// Routes looked at, in order, with the reason why they lost; the last may have won.
    pub routes: Vec<(String, Option<String>)>,
    /// What happens.
    pub outcome: Outcome,
}

/// What happens to the request.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is made, for a person to read"
)]
pub enum Outcome {
    /// It is dealt to a server of a pool.
    Pool {
        /// The route's name.
        route: String,
        /// The pool's name.
        pool: String,
        /// All pools that requests of the route may go to: several when it splits.
        pools: Vec<String>,
        /// Their shares, when it splits.
        split: Option<Shares>,
        /// Its servers as written.
        servers: Vec<WrittenServer>,
        /// How one of them is chosen, and what happens when that goes wrong.
        told: Vec<Told>,
        /// What is kept of its answers; None: nothing, ever.
        cache: Option<Cached>,
        /// In which coding the client gets its answer; None: as it comes.
        coding: Option<String>,
        /// Path and query as the origin gets them.
        path: String,
        /// `Host` as the origin gets it; None when it is the chosen server's own address.
        host: Option<String>,
        /// Lines written on the way to the origin and to the client.
        edits: (Vec<String>, Vec<String>),
        /// Is the invisible-server guard on?
        hidden: bool,
    },
    /// The route answers by itself.
    Answer {
        /// The route's name.
        route: String,
        /// The status.
        status: u16,
        /// Where a redirect leads.
        location: Option<String>,
    },
    /// It came without TLS to a site that has it, and is sent there.
    Https {
        /// The status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// It is refused.
    Fault {
        /// The route's name, when one was found.
        route: Option<String>,
        /// Why.
        fault: Fault,
    },
}

/// Asks the plan.
#[must_use]
pub fn explain(plan: &Plan, question: &Question<'_>) -> Explanation {
    let refused = |fault: Fault| Explanation {
        site: None,
        tls: None,
        hsts: None,
        routes: Vec::new(),
        outcome: Outcome::Fault { route: None, fault },
    };
    let mut incoming = match incoming(plan, question) {
        Ok(incoming) => incoming,
        Err(fault) => return refused(fault),
    };
    if let Err(fault) = inspect::check(plan, &mut incoming) {
        return refused(fault);
    }
    let Some(site_id) = route::site(plan, &incoming) else {
        return refused(Code::ProxySiteNone.into());
    };
    let site = &plan.sites[site_id.0];
    let at_the_door = |outcome| Explanation {
        site: Some(site.name.clone()),
        tls: site.tls.as_ref().map(ToString::to_string),
        hsts: (incoming.scheme == "https")
            .then_some(site.hsts.as_deref())
            .flatten()
            .map(|value| String::from_utf8_lossy(value).into_owned()),
        routes: Vec::new(),
        outcome,
    };
    match door(plan, site_id, &incoming) {
        Ok(None) => {}
        Ok(Some(location)) => {
            let status = secure::TO_HTTPS;
            return at_the_door(Outcome::Https { status, location });
        }
        Err(fault) => return at_the_door(Outcome::Fault { route: None, fault }),
    }
    let found = route::find(plan, Some(site_id), &incoming);
    let mut routes = Vec::new();
    for route in &site.routes {
        let why_not = route::why_not(route, &incoming, incoming.target.path());
        let won = why_not.is_none();
        routes.push((
            route.name.clone(),
            why_not.map(|reason| words(&reason, route, &incoming)),
        ));
        if won {
            break;
        }
    }
    let is_edited = found.as_ref().is_ok_and(|id| {
        let edits = &plan.route(*id).response_edits;
        edits.drops_named(shape::STS)
    });
    let outcome = match found {
        Ok(id) => outcome(plan, id, &incoming),
        Err(code) => Outcome::Fault {
            route: None,
            fault: code.into(),
        },
    };
    let whole = at_the_door(outcome);
    Explanation {
        routes,
        hsts: whole.hsts.filter(|_| !is_edited),
        ..whole
    }
}

/// What `secure` says, of a connection as a client that knows the host would make it.
fn door(plan: &Plan, site: SiteId, incoming: &Incoming) -> Result<Option<String>, Fault> {
    let listener = plan.listeners.get(incoming.listener);
    let has_tls = listener.is_some_and(|listener| listener.tls.is_some());
    let is_plain = plan.sites[site.0].tls.is_none();
    // A trusted proxy may take the TLS off before us.
    if incoming.scheme == "https" && has_tls && is_plain && plan.trusted.is_empty() {
        return Err(Code::ProxyMisdirected.into());
    }
    secure::judge(plan, site, incoming)
}

/// The request as the data plane would have received it.
fn incoming(plan: &Plan, question: &Question<'_>) -> Result<Incoming, Fault> {
    use std::fmt::Write as _;
    let mut text = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\n",
        question.method, question.target, question.authority
    );
    for (name, value) in question.headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    let limits = &plan.limits.client.head;
    let mut request = RequestHead::default();
    let length = HeadScan::default()
        .find(text.as_bytes(), limits)
        .and_then(|found| found.ok_or(croupier_http::h1::scan::HeadError::StartLine))
        .map_err(|error| inspect::head_fault(&croupier_net::NetError::Head(error)))?;
    head::request(&text.as_bytes()[..length], limits, &mut request)
        .map_err(|error| inspect::head_fault(&croupier_net::NetError::Head(error)))?;
    Ok(Incoming {
        head: request,
        target: Target::default(),
        lawful: UNKNOWN,
        listener: question.listener,
        scheme: question.scheme,
        secure: None,
        peer_ip: question.client,
        peer_port: 0,
        client_ip: question.client,
        is_trusted: plan.trusted.holds_peer(question.client),
        request_id: RequestIds::new(0).next(0),
        given_id: None,
        trace: None,
        began: Instant::now(),
        unix_ms: 0,
    })
}

fn words(reason: &WhyNot, route: &RoutePlan, incoming: &Incoming) -> String {
    match reason {
        WhyNot::Path => format!("path `{}` does not match", incoming.target.path()),
        WhyNot::Method => {
            let methods: Vec<&str> = route
                .methods
                .iter()
                .map(crate::plan::MethodRule::as_str)
                .collect();
            format!("method is not one of {}", methods.join(", "))
        }
        WhyNot::Header(name) => format!("header `{name}` does not satisfy its condition"),
        WhyNot::Query(name) => format!("query parameter `{name}` does not satisfy its condition"),
    }
}

fn outcome(plan: &Plan, id: RouteId, incoming: &Incoming) -> Outcome {
    let route = plan.route(id);
    let name = route.name.clone();
    match &route.action {
        Action::Pool(_) | Action::Split(_) => {
            let ways = route.action.ways();
            let chosen = crate::stage::fetch::way(&route.action, incoming);
            let pool = plan.pool(ways[chosen].pool);
            let path = match route.path_edit.apply(&incoming.target, &route.path) {
                Ok(path) => path,
                Err(code) => {
                    return Outcome::Fault {
                        route: Some(name),
                        fault: code.into(),
                    };
                }
            };
            let cached = cache::cached(route, incoming);
            let query = cached.as_ref().and_then(|cached| cached.query.as_deref());
            let query = asked(query, &incoming.target);
            let query = query.map(|query| format!("?{query}"));
            let names = |ways: &[Way]| -> Vec<String> {
                let pools = ways.iter().map(|way| plan.pool(way.pool));
                pools.map(|pool| pool.name.clone()).collect()
            };
            let mirror = route
                .mirror
                .as_ref()
                .map(|mirror| plan.pool(mirror.way.pool));
            let mirror = mirror.map(|pool| pool.name.as_str());
            Outcome::Pool {
                route: name,
                pool: pool.name.clone(),
                pools: names(ways),
                split: match &route.action {
                    Action::Split(split) => Some(deal::shares(names(ways), split, incoming)),
                    _ => None,
                },
                servers: pool.written.clone(),
                told: deal::told(route, &ways[chosen], pool, mirror, incoming),
                cache: cached,
                coding: (route.compress.as_ref()).map(|rule| cache::coded(rule, incoming)),
                path: format!("{path}{}", query.unwrap_or_default()),
                host: match &pool.host {
                    HostRule::Client => Some(incoming.target.authority.as_str().to_owned()),
                    HostRule::Fixed(host) => Some(host.to_string()),
                    HostRule::Server => None,
                },
                edits: (lines(&route.request_edits), lines(&route.response_edits)),
                hidden: route.guard.is_on(),
            }
        }
        Action::Redirect { to, status } => Outcome::Answer {
            route: name,
            status: *status,
            location: Some(to.expand(incoming.scheme, &incoming.target, &route.path)),
        },
        Action::Respond(fixed) => Outcome::Answer {
            route: name,
            status: fixed.status,
            location: None,
        },
        Action::Deny { status } => Outcome::Answer {
            route: name,
            status: *status,
            location: None,
        },
    }
}

fn lines(edits: &crate::edits::Edits) -> Vec<String> {
    let text = String::from_utf8_lossy;
    edits
        .lines
        .iter()
        .map(|line| format!("{}: {}", text(&line.name), text(&line.value)))
        .collect()
}
