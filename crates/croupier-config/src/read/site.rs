//! `[site."HOST"]`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{PathEdit, Route, Site, TimeoutOverrides, Traffic, When};
use crate::read::action::{self, ACTIONS, Found};
use crate::read::{
    Fields, PoolBook, Reader, StoreBook, cache, compress, headers, host, limits, process, route,
    tls, traffic,
};
use crate::source::Spanned;
use crate::tree::{Entry, Node, Value};

const ROUTES_MAX: usize = 10_000;

pub(crate) fn site(
    reader: &mut Reader,
    entry: &Entry,
    book: &mut PoolBook,
    stores: &mut StoreBook,
) -> Option<Site> {
    let key = Spanned::new(entry.key.value.as_str(), entry.key.span);
    if entry.node.as_table().is_none() {
        let diagnostic = if keys::SITE.key(key.value).is_some() {
            Diagnostic::error(codes::WRONG_TYPE, key.span, "a site needs its host").help(
                "write its header as `[site.\"example.com\"]`, or `[site.\"*\"]` for every host",
            )
        } else {
            let message = format!("a site is a table, not {}", entry.node.found());
            let help = format!("write `[site.\"{}\"]` and its keys below", key.value);
            Diagnostic::error(codes::WRONG_TYPE, entry.node.span, message).help(help)
        };
        reader.note(diagnostic);
        return None;
    }
    if let Some(host) = unquoted(entry) {
        let message = "a host with dots needs quotes in the header";
        let help = format!("write `[site.\"{host}\"]`");
        reader.note(Diagnostic::error(codes::HOST, key.span, message).help(help));
        return None;
    }
    let host = reader.parse(key, codes::HOST, host::pattern);
    let table = Fields::open(reader, &entry.node, &keys::SITE)?;
    let mut aliases = Vec::new();
    if let Some(field) = table.get("aliases") {
        for text in field.texts(reader) {
            aliases.extend(reader.parse(text, codes::HOST, host::pattern));
        }
        field.note_twice(reader, &aliases, ToString::to_string);
    }
    let listen = table
        .get("listen")
        .map(|field| process::listen(reader, &field));
    let routes = routes(reader, &table, book, stores);
    let headers = headers::headers(reader, &table);
    let hide = headers::hide(reader, &table).unwrap_or_default();
    let forwarded = table
        .get("forwarded")
        .and_then(|field| field.flag(reader))
        .unwrap_or(false);
    let timeout = limits::overrides(reader, &table);
    let traffic = traffic::traffic(reader, &table, book);
    let cache = cache::edits(reader, &table, stores);
    let compress = compress::edits(reader, &table);
    let (written, plain, hsts) = tls::written(reader, &table);
    let host = host?;
    reader.written.push(written);
    Some(Site {
        host,
        aliases,
        listen: listen.unwrap_or_default(),
        routes,
        headers,
        hide,
        forwarded,
        tls: None,
        plain,
        hsts,
        timeout,
        traffic,
        cache,
        compress,
        span: entry.node.span,
    })
}

/// `[site.app.example.com]`: TOML makes a table of each label. The whole host, if that is what happened.
fn unquoted(entry: &Entry) -> Option<String> {
    let mut host = entry.key.value.clone();
    let mut node: &Node = &entry.node;
    // As deep as a host has labels at most.
    for _ in 0..127 {
        match node.as_table() {
            Some([only])
                if keys::SITE.key(&only.key).is_none() && only.node.as_table().is_some() =>
            {
                host = format!("{host}.{}", only.key.value);
                node = &only.node;
            }
            _ => break,
        }
    }
    (host != entry.key.value && host::pattern(&host).is_ok()).then_some(host)
}

fn routes(
    reader: &mut Reader,
    table: &Fields<'_>,
    book: &mut PoolBook,
    stores: &mut StoreBook,
) -> Vec<Route> {
    let mut routes = Vec::new();
    let written = table.get("routes");
    if let Some(field) = written {
        let items = match &field.node.value {
            Value::Table(_) => {
                let message = "`routes` is a list of tables, not one table";
                let help = "write `routes = [{ path = \"/api/*\", pool = \"api\" }]`";
                let note = Diagnostic::error(codes::WRONG_TYPE, field.node.span, message);
                reader.note(note.help(help));
                &[]
            }
            _ => field.items(reader),
        };
        if items.len() > ROUTES_MAX {
            let message = format!(
                "a site has at most {ROUTES_MAX} routes, this one {}",
                items.len()
            );
            reader.note(Diagnostic::error(codes::TOO_LARGE, field.name, message));
        } else {
            for (index, item) in items.iter().enumerate() {
                routes.extend(route::route(reader, item, index + 1, book, stores));
            }
        }
    }
    match action::action(reader, table, book) {
        Found::One(action, field) => routes.push(Route {
            name: Spanned::new("*".into(), field.name),
            when: When::default(),
            action,
            path_edit: PathEdit::Keep,
            headers: crate::model::Headers::default(),
            hide: None,
            timeout: TimeoutOverrides::default(),
            traffic: Traffic::default(),
            cache: None,
            compress: None,
            span: field.name.to(field.node.span),
        }),
        Found::Broken => {}
        Found::Nothing => {
            let is_empty = written.is_none_or(
                |field| matches!(&field.node.value, Value::Array(items) if items.is_empty()),
            );
            let mut known = ACTIONS.to_vec();
            known.push("routes");
            if is_empty && !table.meant(&known) {
                let message = "the site does nothing";
                reader.note(
                    Diagnostic::error(codes::NO_ROUTE, table.span, message)
                        .help(format!("add `routes` or one of {}", keys::one_of(ACTIONS))),
                );
            }
        }
    }
    routes
}
