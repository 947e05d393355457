//! How a request gets to a server of its pool, in words: who is chosen while all are well, and
//! what happens when one is not. Says only what the plan knows; who is up now, it does not.

use std::time::Duration;

use croupier_config::model::{HedgeAfter, Percent, RetryOn, limits::Amount};
use croupier_http::Name;

use crate::{
    incoming::Incoming,
    live::policy::CheckKind,
    plan::{PoolPlan, RetryPlan, RoutePlan, SplitPlan, StickyPlan, Way},
    pool::{
        hash_key::cookie,
        pick::{Bound, Picker},
    },
    stage::fetch,
};

/// A line: the key of the config that it is about, and what comes of it.
pub type Told = (&'static str, String);

/// Several pools, of which a request gets one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// The pools, with their shares in hundredths of a percent.
    pub pools: Vec<(String, u32)>,
    /// What of a request decides, as in the config.
    pub by: String,
    /// Does this request have it? Else it is sent by lot.
    pub is_certain: bool,
}

pub(super) fn shares(names: Vec<String>, split: &SplitPlan, incoming: &Incoming) -> Shares {
    let sum: u64 = split.weights.iter().map(|weight| u64::from(*weight)).sum();
    let share =
        |weight: &u32| u32::try_from(u64::from(*weight) * 10_000 / sum.max(1)).unwrap_or(u32::MAX);
    Shares {
        pools: names
            .into_iter()
            .zip(split.weights.iter().map(share))
            .collect(),
        by: split.by.to_string(),
        is_certain: fetch::has_key(&split.by, incoming),
    }
}

/// All that is to be told of the pool and the way to it.
pub(super) fn told(
    route: &RoutePlan,
    way: &Way,
    pool: &PoolPlan,
    mirror: Option<&str>,
    incoming: &Incoming,
) -> Vec<Told> {
    let mut told = Vec::new();
    let mut tell = |key, words| told.push((key, words));
    if let Some(words) = balance(pool, incoming) {
        tell("balance", words);
    }
    if let Some(sticky) = &pool.sticky {
        tell("sticky", stuck(pool, sticky, incoming));
    }
    tell("retry", retry(way.retry.as_ref(), incoming));
    if let Some(after) = way.hedge {
        let after = match after {
            HedgeAfter::Time(after) => time(after),
            HedgeAfter::Quantile(share) => format!("the time that {share} of requests take"),
        };
        tell("hedge", format!("a second server is asked after {after}"));
    }
    tell("health", health(pool));
    let queue = pool.queue.map_or_else(
        || "nobody waits while no server is free".to_owned(),
        |queue| {
            let (waiting, time) = (queue.waiting, time(queue.timeout));
            format!("up to {waiting} requests wait for a free server, {time} at most")
        },
    );
    tell("queue", queue);
    if let (Some(pool), Some(mirror)) = (mirror, &route.mirror) {
        let share = Percent::of_hundredths(mirror.share);
        tell("mirror", format!("{share} of requests also go to `{pool}`"));
    }
    told
}

/// None when there is nothing to choose.
fn balance(pool: &PoolPlan, incoming: &Incoming) -> Option<String> {
    // A name is looked up by the running process only, and may stand for several.
    let is_known = pool.servers.len() == pool.written.len();
    if is_known && pool.servers.len() < 2 {
        return None;
    }
    let words = match &pool.picker {
        Picker::TwoChoices => "two-choices: of two drawn, the one with fewer requests in flight",
        Picker::RoundRobin(_) => "round-robin: each in turn",
        Picker::Random => "random: by lot",
        Picker::LeastRequests => "least-requests: the one with the fewest in flight",
        Picker::Ewma => "ewma: of two drawn, the one that answers sooner",
        Picker::Maglev(_, bound) | Picker::Ring(_, bound) => {
            return Some(hashed(pool, *bound, is_known, incoming));
        }
    };
    Some(words.to_owned())
}

fn hashed(pool: &PoolPlan, bound: Bound, is_known: bool, incoming: &Incoming) -> String {
    let Some(key) = &pool.key else {
        return pool.balance.to_owned();
    };
    if !fetch::has_key(key, incoming) {
        return format!("two-choices, since the request has no `{key}` to hash");
    }
    let room = bound.of_mean().map_or_else(String::new, |percent| {
        format!(", while it has at most {percent}% of the mean load")
    });
    let (_, own) = fetch::first_choice(pool, incoming);
    match own.filter(|_| is_known) {
        Some(own) => format!(
            "{}, by hash of `{key}`{room}",
            pool.servers[own].server.name
        ),
        None => format!("by hash of `{key}` over what its names stand for{room}"),
    }
}

fn stuck(pool: &PoolPlan, sticky: &StickyPlan, incoming: &Incoming) -> String {
    let name = &sticky.rule.name;
    let lines = incoming.head.fields.all(Name::COOKIE);
    if cookie(lines, name).is_none() {
        return format!("its answer sets the cookie `{name}`, which leads back");
    }
    match fetch::first_choice(pool, incoming) {
        (Some(own), _) => {
            let own = &pool.servers[own].server.name;
            format!("{own}, by its cookie `{name}`, instead")
        }
        _ if sticky.has_secret => format!("its cookie `{name}` names no server: it gets another"),
        _ => format!("without `secret` only the running process can read its cookie `{name}`"),
    }
}

fn retry(retry: Option<&RetryPlan>, incoming: &Incoming) -> String {
    let Some(retry) = retry.filter(|retry| !retry.on().is_empty()) else {
        return "never".into();
    };
    let on: Vec<String> = retry.on().iter().map(|on| word(*on)).collect();
    let attempts = if retry.max == 1 {
        "attempt"
    } else {
        "attempts"
    };
    let mut words = format!(
        "at most {} more {attempts}, on {}",
        retry.max,
        on.join(", ")
    );
    if retry.max == 0 {
        // What did not reach a server costs nothing.
        words = "only what did not reach a server".into();
    } else if !fetch::is_repeatable(incoming, Some(retry)) {
        let method = String::from_utf8_lossy(incoming.head.method_bytes());
        words.push_str(&format!("; {method} only if it did not reach a server"));
    }
    words
}

fn word(on: RetryOn) -> String {
    match on {
        RetryOn::Connect => "connect".into(),
        RetryOn::Closed => "closed".into(),
        RetryOn::Timeout => "timeout".into(),
        RetryOn::Malformed => "malformed".into(),
        RetryOn::Status(status) => status.to_string(),
    }
}

fn health(pool: &PoolPlan) -> String {
    let slow = pool.health.slow_start.map_or_else(String::new, |slow| {
        format!("; back to its full share over {}", time(slow))
    });
    let Some(check) = &pool.check else {
        return format!("by its traffic alone{slow}");
    };
    let what = match &check.kind {
        CheckKind::Connect => "a connection".to_owned(),
        CheckKind::Grpc(service) if service.is_empty() => "gRPC health".to_owned(),
        CheckKind::Grpc(service) => format!("gRPC health of {service}"),
        CheckKind::Http(http) => format!("{} {}", http.method, http.path),
    };
    let port = (check.port).map_or_else(String::new, |port| format!(" at port {port}"));
    format!(
        "{what}{port} every {}; down after {} that fail, up after {} that pass{slow}",
        time(check.interval),
        check.fall,
        check.rise
    )
}

fn time(time: Duration) -> String {
    Amount::Time(time).to_string()
}
