//! What only all stores and routes together show: two stores in one place, stores that nobody uses, keys that have
//! no effect beside others.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Action, CacheEdits, CacheStore, Config, ExpectCache, HashKey, Switch};
use crate::nearest::nearest;
use crate::read::Reader;
use crate::source::Span;

pub(crate) fn check(reader: &mut Reader, config: &Config) {
    places(reader, config);
    expected(reader, config);
}

/// Two stores that think the same directory theirs would destroy each other's files.
fn places(reader: &mut Reader, config: &Config) {
    let disks: Vec<_> = config
        .stores
        .iter()
        .filter_map(|store| store.disk.as_ref())
        .collect();
    for (index, disk) in disks.iter().enumerate() {
        let other = disks[..index].iter().find(|other| {
            let (a, b) = (&disk.path.value, &other.path.value);
            a.starts_with(b) || b.starts_with(a)
        });
        let Some(other) = other else { continue };
        let message = if disk.path.value == other.path.value {
            format!(
                "`{}` is the directory of another store",
                disk.path.value.display()
            )
        } else {
            format!(
                "`{}` and the directory of another store lie within each other",
                disk.path.value.display()
            )
        };
        reader.note(
            Diagnostic::error(codes::STORE, disk.path.span, message)
                .and(other.path.span, "the other one")
                .help("give each a directory of its own, beside the other's"),
        );
    }
}

fn expected(reader: &mut Reader, config: &Config) {
    let known = || config.stores.iter().map(|store| store.name.as_str());
    for expect in config.tests.iter().map(|test| &test.expect) {
        let Some(expected) = &expect.cache else {
            continue;
        };
        let ExpectCache::Store(name) = &expected.value else {
            continue;
        };
        if known().any(|known| known == name) {
            continue;
        }
        let message = format!("the test expects a store `{name}`, which does not exist");
        let mut diagnostic = Diagnostic::error(codes::NO_SUCH_NAME, expected.span, message);
        if let Some(near) = nearest(name, known()) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        reader.note(diagnostic);
    }
}

/// All that is `cache = ..` and not `false`.
fn written(config: &Config) -> impl Iterator<Item = &CacheEdits> {
    let of_sites = config.sites.iter().map(|site| &site.cache);
    let of_routes = config
        .sites
        .iter()
        .flat_map(|site| &site.routes)
        .map(|route| &route.cache);
    of_sites.chain(of_routes).filter_map(|switch| match switch {
        Some(Switch::On(edits)) => Some(edits),
        _ => None,
    })
}

/// Warnings, of a config without errors.
pub(crate) fn odd(reader: &mut Reader, config: &Config) {
    let defined = config.stores.iter().find(|store| !is_implicit(store));
    let implicit = config.stores.iter().find(|store| is_implicit(store));
    if let (Some(defined), Some(implicit)) = (defined, implicit) {
        let message = "this keeps answers in a store of its own, `default`, of 64 MiB of memory";
        let name = &defined.name.value;
        reader.note(
            Diagnostic::warning(codes::HARDLY_MEANT, implicit.span, message)
                .and(defined.name.span, "the config defines this one")
                .help(format!(
                    "write `store = \"{name}\"`, or define `[cache.default]` to mean it"
                )),
        );
    } else {
        unused(reader, config);
    }
    for edits in written(config) {
        let ignores_all = edits
            .ignore_query
            .iter()
            .flatten()
            .any(|name| name.is_prefix && name.text.is_empty());
        if ignores_all && edits.sort_query == Some(true) {
            let message = "`sort_query` sorts nothing: `ignore_query` leaves out all parameters";
            let note = Diagnostic::warning(codes::HARDLY_MEANT, edits.span, message);
            reader.note(note.help("leave out one of them"));
        }
    }
    splits(reader, config);
    for site in &config.sites {
        for route in &site.routes {
            let methods = &route.when.methods;
            let is_read = |method: &str| ["GET", "HEAD"].contains(&method);
            let Some(Switch::On(edits)) = &route.cache else {
                continue;
            };
            if !methods.is_empty() && !methods.iter().any(|method| is_read(&method.value)) {
                let message = "nothing of this route is kept: answers to `GET` and `HEAD` are";
                let at = methods.first().map_or(Span::NOWHERE, |method| method.span);
                reader.note(
                    Diagnostic::warning(codes::HARDLY_MEANT, edits.span, message)
                        .and(at, "the methods of the route")
                        .help("leave out `cache`; what these requests change is forgotten anyway"),
                );
            }
        }
    }
}

/// What is kept of a split is kept of all its pools together, unless the key tells them apart as the split does.
fn splits(reader: &mut Reader, config: &Config) {
    for site in &config.sites {
        for route in &site.routes {
            let Action::Split(split) = &route.action else {
                continue;
            };
            let Some(cache) = config.cache_of(site, route) else {
                continue;
            };
            if cache.key.contains(&split.by) || split.parts.len() < 2 {
                continue;
            }
            let message =
                "the pools of this `split` share what is kept: clients get answers of either";
            let help = match &split.by {
                HashKey::Header(_) | HashKey::Cookie(_) => format!(
                    "write `key = [\"{}\"]` in its `cache`, or `cache = false`",
                    split.by
                ),
                _ => "write `cache = false` in this route".to_owned(),
            };
            reader.note(Diagnostic::warning(codes::HARDLY_MEANT, split.span, message).help(help));
        }
    }
}

fn is_implicit(store: &CacheStore) -> bool {
    store.name.span == store.span
}

fn unused(reader: &mut Reader, config: &Config) {
    let mut used = vec![false; config.stores.len()];
    for site in &config.sites {
        for route in &site.routes {
            if let Some(cache) = config.cache_of(site, route)
                && let Some(used) = used.get_mut(cache.store.0)
            {
                *used = true;
            }
        }
    }
    // A store that every route overrides is written on purpose.
    for edits in written(config) {
        if let Some(used) = edits.store.and_then(|store| used.get_mut(store.value.0)) {
            *used = true;
        }
    }
    for (store, _) in config.stores.iter().zip(used).filter(|(_, used)| !used) {
        if is_implicit(store) {
            continue;
        }
        let name = &store.name.value;
        let message = format!("no route keeps its answers in the store `{name}`");
        reader.note(
            Diagnostic::warning(codes::HARDLY_MEANT, store.name.span, message).help(format!(
                "write `cache = \"{name}\"` in a site or route, or remove the store"
            )),
        );
    }
}
