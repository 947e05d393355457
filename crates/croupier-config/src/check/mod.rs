//! What only the whole shows: hosts in two sites, listeners, routes that can never match, pools that nobody uses.
//!
//! Errors are looked for always. Warnings only when there is no error, since half a config warns of the other half.

mod cache;
mod listen;
mod reach;
mod tls;
mod traffic;

use std::collections::HashMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Action, Config, Expect, HostPattern, PathEdit, PathMatch, Piece};
use crate::nearest::nearest;
use crate::read::Reader;
use crate::source::{Span, Spanned};

pub(crate) fn check(reader: &mut Reader, config: &mut Config) {
    hosts(reader, config);
    groups(reader, config);
    tests(reader, config);
    traffic::check(reader, config);
    cache::check(reader, config);
    listen::check(reader, config);
    tls::check(reader, config);
    if reader
        .list
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
    {
        return;
    }
    reach::check(reader, config);
    traffic::unused_pools(reader, config);
    cache::odd(reader, config);
    tls::unused(reader, config);
    if config.sites.is_empty() {
        let start = Span {
            start: 0,
            end: 0,
            file: crate::source::FileId(0),
        };
        reader.note(
            Diagnostic::error(codes::NO_SITE, start, "no site is defined")
                .help("add one: `[site.\"*\"]` with `proxy = \"127.0.0.1:3000\"`"),
        );
    }
}

fn hosts(reader: &mut Reader, config: &Config) {
    let mut first_at: HashMap<&HostPattern, Span> = HashMap::new();
    for host in config.sites.iter().flat_map(|site| site.hosts()) {
        if let Some(first) = first_at.insert(&host.value, host.span) {
            let message = format!("`{}` is answered for twice", host.value);
            reader.note(
                Diagnostic::error(codes::DUPLICATE_SITE, host.span, message)
                    .and(first, "first here")
                    .help("merge the two sites, or give one of them another host"),
            );
        }
    }
}

/// `$1` needs a group in `path_regex`.
fn groups(reader: &mut Reader, config: &Config) {
    for route in config.sites.iter().flat_map(|site| &site.routes) {
        let template = match (&route.action, &route.path_edit) {
            (Action::Redirect(redirect), _) => &redirect.to,
            (_, PathEdit::Rewrite(template)) => template,
            _ => continue,
        };
        let there = match &route.when.path {
            PathMatch::Regex(regex) => {
                crate::pattern::compile(regex).map_or(usize::MAX, |regex| regex.captures_len() - 1)
            }
            _ => 0,
        };
        for piece in &template.pieces {
            let Piece::Group(group) = piece else { continue };
            if *group > there {
                let message = format!("`${group}` refers to a group that is not there");
                let diagnostic = Diagnostic::error(codes::NO_GROUP, template.span, message);
                reader.note(match &route.when.path {
                    PathMatch::Regex(regex) => diagnostic
                        .and(
                            regex.span,
                            match there {
                                1 => "has one group".to_owned(),
                                _ => format!("has {there} groups"),
                            },
                        )
                        .help("a group is what stands in `(` and `)`"),
                    _ => diagnostic
                        .help("groups come from `path_regex`; what `*` matched is `$rest`"),
                });
            }
        }
    }
}

fn tests(reader: &mut Reader, config: &Config) {
    let hosts: Vec<String> = config
        .sites
        .iter()
        .flat_map(|site| site.hosts())
        .map(|host| host.to_string())
        .collect();
    let routes: Vec<&str> = config
        .sites
        .iter()
        .flat_map(|site| &site.routes)
        .map(|route| route.name.as_str())
        .collect();
    let pools: Vec<&str> = config.pools.iter().map(|pool| pool.name.as_str()).collect();
    for Expect {
        site, route, pool, ..
    } in config.tests.iter().map(|test| &test.expect)
    {
        let hosts = hosts.iter().map(String::as_str);
        expected(reader, "site", site.as_ref(), hosts);
        expected(reader, "route", route.as_ref(), routes.iter().copied());
        expected(reader, "pool", pool.as_ref(), pools.iter().copied());
    }
}

fn expected<'a>(
    reader: &mut Reader,
    what: &str,
    name: Option<&Spanned<String>>,
    mut known: impl Iterator<Item = &'a str> + Clone,
) {
    let Some(name) = name else { return };
    let mut all = known.clone();
    if known.any(|known| known == name.value) {
        return;
    }
    let message = format!(
        "the test expects a {what} `{}`, which does not exist",
        name.value
    );
    let mut diagnostic = Diagnostic::error(codes::NO_SUCH_NAME, name.span, message);
    if let Some(near) = nearest(&name.value, all.by_ref()) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    reader.note(diagnostic);
}
