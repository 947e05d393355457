//! Routes that can never match: an earlier route of the same site takes everything they would take.
//!
//! The test is sound, not complete: what it reports is certain, what it cannot prove it leaves alone.

use std::collections::HashMap;

use regex::bytes::Regex;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Condition, Config, PathMatch, Route, Site, ValueMatch};
use crate::pattern;
use crate::read::Reader;

pub(crate) fn check(reader: &mut Reader, config: &Config) {
    for site in &config.sites {
        site_routes(reader, site);
    }
}

/// Routes compared with one at most: beyond it, a site of ten thousand routes would take seconds for a warning.
const CANDIDATES_MAX: usize = 500;

/// Earlier routes, filed under the paths for which they can be found.
#[derive(Default)]
struct Earlier<'a> {
    any: Vec<&'a Route>,
    exact: HashMap<&'a str, Vec<&'a Route>>,
    below: HashMap<&'a str, Vec<&'a Route>>,
    regex: Vec<(Regex, &'a Route)>,
}

fn site_routes(reader: &mut Reader, site: &Site) {
    let mut earlier = Earlier::default();
    for route in &site.routes {
        match earlier.that_takes(route) {
            Some(first) => note(reader, first, route),
            // Only what can match can take from others, and it is enough to compare with that.
            None => earlier.add(route),
        }
    }
}

fn note(reader: &mut Reader, first: &Route, route: &Route) {
    let message = format!("the route `{}` can never match", route.name.value);
    let takes = if is_catch_all(first) {
        "takes every request before it".to_owned()
    } else {
        format!("`{}` takes them all before it", first.name.value)
    };
    let help = if is_catch_all(first) {
        "put the route without conditions last"
    } else {
        "put the narrower route first, or remove it"
    };
    reader.note(
        Diagnostic::warning(codes::UNREACHABLE, route.span, message)
            .and(first.span, takes)
            .help(help),
    );
}

fn is_catch_all(route: &Route) -> bool {
    let when = &route.when;
    let takes_any = match &when.path {
        PathMatch::Any => true,
        PathMatch::Prefix(prefix) => prefix.is_empty(),
        _ => false,
    };
    takes_any && when.methods.is_empty() && when.headers.is_empty() && when.query.is_empty()
}

impl<'a> Earlier<'a> {
    fn add(&mut self, route: &'a Route) {
        match &route.when.path {
            PathMatch::Any => self.any.push(route),
            PathMatch::Exact(path) => self.exact.entry(path.as_str()).or_default().push(route),
            PathMatch::Prefix(path) if path.is_empty() => self.any.push(route),
            PathMatch::Prefix(path) => self.below.entry(path.as_str()).or_default().push(route),
            PathMatch::Regex(regex) => {
                self.regex
                    .extend(pattern::compile(regex).map(|regex| (regex, route)));
            }
        }
    }

    /// The first route that takes all of what `late` would take.
    fn that_takes(&self, late: &Route) -> Option<&'a Route> {
        let takes = |route: &&&'a Route| implies(late, route);
        if let Some(first) = self.any.iter().take(CANDIDATES_MAX).find(takes) {
            return Some(first);
        }
        match &late.when.path {
            PathMatch::Any => None,
            PathMatch::Exact(path) => {
                let exact = self.exact.get(path.as_str()).into_iter().flatten();
                let by_path = exact
                    .chain(self.above(path))
                    .take(CANDIDATES_MAX)
                    .find(takes)
                    .copied();
                by_path.or_else(|| self.by_regex(late, |regex| regex.is_match(path.as_bytes())))
            }
            PathMatch::Prefix(path) => self.above(path).take(CANDIDATES_MAX).find(takes).copied(),
            PathMatch::Regex(text) => self.by_regex(late, |regex| regex.as_str() == text.value),
        }
    }

    fn by_regex(&self, late: &Route, takes: impl Fn(&Regex) -> bool) -> Option<&'a Route> {
        let mut routes = self.regex.iter().take(CANDIDATES_MAX);
        routes
            .find(|(regex, route)| takes(regex) && implies(late, route))
            .map(|(_, route)| *route)
    }

    /// Routes by prefix that hold this path: of itself and of each of its parents.
    fn above(&self, path: &str) -> impl Iterator<Item = &&'a Route> {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .skip(1)
            .chain([path.len()]);
        ends.filter_map(|end| self.below.get(&path[..end]))
            .flatten()
    }
}

/// Whether whatever meets the other conditions of `late` meets those of `early` too.
fn implies(late: &Route, early: &Route) -> bool {
    let (late, early) = (&late.when, &early.when);
    let methods = early.methods.is_empty()
        || !late.methods.is_empty()
            && late.methods.iter().all(|method| {
                early
                    .methods
                    .iter()
                    .any(|known| known.value == method.value)
            });
    methods
        && early.headers.iter().all(|condition| {
            let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            late.headers
                .iter()
                .any(|known| condition_implies(known, condition, same))
        })
        && early.query.iter().all(|condition| {
            let same = |a: &str, b: &str| a == b;
            late.query
                .iter()
                .any(|known| condition_implies(known, condition, same))
        })
}

fn condition_implies(
    late: &Condition,
    early: &Condition,
    same_name: impl Fn(&str, &str) -> bool,
) -> bool {
    same_name(&late.name, &early.name)
        && match (&late.value.value, &early.value.value) {
            (ValueMatch::Equals(_) | ValueMatch::Regex(_), ValueMatch::Present) => true,
            (ValueMatch::Equals(text), ValueMatch::Regex(regex)) => {
                pattern::compile(regex).is_ok_and(|regex| regex.is_match(text.as_bytes()))
            }
            (late, early) => late == early,
        }
}
