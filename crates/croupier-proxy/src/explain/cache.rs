//! What the cache would do for a request, and in which coding it would be answered: by the rules
//! of the route and the code of the stages. What is held right now, only the running process knows.

use croupier_cache::{
    rules::{Asked, Because, control::Wish},
    store::key::{self, KeyBuf},
};
use croupier_coding::{Chosen, negotiate};
use croupier_config::model::limits::Amount;
use croupier_http::{Method, Name};

use super::Told;
use crate::{
    incoming::Incoming,
    plan::{
        RoutePlan,
        cache::{CachePlan, CompressCookies, CompressPlan},
    },
    stage::cache,
};

/// What is told of a route that keeps answers.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The store; None when this request neither reads nor fills it.
    pub store: Option<String>,
    /// All of it, in words.
    pub told: Vec<Told>,
    /// The query as a server gets it, when that is another than the client's.
    pub(super) query: Option<Box<str>>,
}

pub(super) fn cached(route: &RoutePlan, incoming: &Incoming) -> Option<Cached> {
    let rule = route.cache.as_ref()?;
    let mut told = Vec::new();
    let mut query = None;
    let because = cache::why_aside(incoming, rule);
    match because {
        Some(because) => told.push(("cache", aside(rule, incoming, because))),
        None => {
            told.push(("cache", asks(rule, incoming)));
            query = cache::key::normal_query(rule, &incoming.target);
            told.push(("key", looked_up(rule, incoming, query.as_deref())));
            told.push(("kept", kept(rule)));
            told.push(("grace", grace(rule)));
        }
    }
    let name = rule.store.name().to_owned();
    Some(Cached {
        store: Some(name).filter(|_| because.is_none()),
        told,
        query,
    })
}

/// Why it has no part in the request.
fn aside(rule: &CachePlan, incoming: &Incoming, because: Because) -> String {
    let name = rule.store.name();
    let method = String::from_utf8_lossy(incoming.head.method_bytes());
    let why = match because {
        Because::Method if is_read(incoming.head.method) => {
            format!("answers to {method} are not kept")
        }
        Because::Method => {
            format!("{method} is not kept; what is kept of its URL is stale after it")
        }
        Because::AskedContent => "the request has content".into(),
        Because::AskedCondition => "only a server can judge its condition".into(),
        Because::AskedNoStore => "the request says `no-store`".into(),
        Because::BypassCookie => {
            let cookie = rule.bypass(&incoming.head.fields).unwrap_or_default();
            let cookie = String::from_utf8_lossy(cookie);
            format!("it has the cookie `{cookie}` (`bypass_cookies`)")
        }
        other => other.as_str().into(),
    };
    format!("`{name}` is passed by: {why}")
}

/// Methods that change nothing, so that nothing is forgotten after them.
fn is_read(method: Method) -> bool {
    matches!(method, Method::Options | Method::Trace | Method::Connect)
}

/// The store, and what the request asks of it.
fn asks(rule: &CachePlan, incoming: &Incoming) -> String {
    let fields = &incoming.head.fields;
    let asked = Asked::of(fields);
    let mut words = format!("`{}`", rule.store.name());
    if asked.wishes(Wish::NO_CACHE) || asked.max_age == Some(0) {
        words.push_str(", but the request wants a server's word (`no-cache`)");
    } else if asked.wishes(Wish::ONLY_IF_CACHED) {
        words.push_str(", and nobody else (`only-if-cached`)");
    }
    if fields.contains(Name::AUTHORIZATION) {
        words.push_str(
            "; with `Authorization` only what says `public`, `s-maxage` or `must-revalidate`",
        );
    }
    words
}

/// The key without what tells routes apart.
fn looked_up(rule: &CachePlan, incoming: &Incoming, query: Option<&str>) -> String {
    let mut buffer = KeyBuf::new();
    cache::key::of(&mut buffer, rule, incoming, query);
    let parts = key::parts(buffer.as_bytes());
    let text = String::from_utf8_lossy;
    let mut words = format!(
        "{}://{}{}{}",
        text(parts.scheme),
        text(parts.authority),
        text(parts.path),
        text(parts.query)
    );
    if !rule.key.extra.is_empty() {
        let extra: Vec<String> = rule.key.extra.iter().map(ToString::to_string).collect();
        words.push_str(&format!(" with its {}", extra.join(", ")));
    }
    words
}

/// How long answers are kept that do not say it.
fn kept(rule: &CachePlan) -> String {
    let policy = &rule.policy;
    let otherwise = match (policy.ttl, policy.heuristic) {
        (Some(ttl), _) => format!("else {}", Amount::Time(ttl)),
        (None, Some(guess)) => format!("else {}% of their age when they came", guess.percent),
        (None, None) => "else not at all".into(),
    };
    format!(
        "for as long as answers say, {otherwise}; bodies up to {}",
        Amount::Size(policy.max_object)
    )
}

fn grace(rule: &CachePlan) -> String {
    let policy = &rule.policy;
    let time = |grace: Option<_>| match grace {
        Some(grace) => Amount::Time(grace).to_string(),
        None => "only if the answer says so".into(),
    };
    format!(
        "while asked for anew: {}; while servers fail: {}",
        time(policy.stale_while_revalidate),
        time(policy.stale_if_error)
    )
}

/// In which coding the client would get an answer.
pub(super) fn coded(rule: &CompressPlan, incoming: &Incoming) -> String {
    let fields = &incoming.head.fields;
    if Asked::of(fields).wishes(Wish::NO_TRANSFORM) {
        return "none: the request says `no-transform`".into();
    }
    match negotiate(fields.all(Name::ACCEPT_ENCODING), &rule.codings) {
        Chosen::Coded(coding) => {
            let cookies = match rule.cookies {
                CompressCookies::Refuse => ", unless the answer sets a cookie",
                CompressCookies::Compress => "",
            };
            format!(
                "{}, if it is of a type that is compressed and has {} or more{cookies}",
                coding.as_str(),
                Amount::Size(rule.min)
            )
        }
        Chosen::Identity | Chosen::Nothing => {
            let codings: Vec<&str> = rule.codings.iter().map(|coding| coding.as_str()).collect();
            format!("none: the request accepts none of {}", codings.join(", "))
        }
    }
}
