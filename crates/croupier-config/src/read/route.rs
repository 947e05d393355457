//! One entry of `routes`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{PathMatch, Route, When};
use crate::read::action::{self, ACTIONS, Found};
use crate::read::{
    Complaint, Fields, PoolBook, Reader, StoreBook, cache, compress, condition, headers, host,
    limits, path, traffic,
};
use crate::source::Spanned;
use crate::tree::{Node, Value};

const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Reads one route; `index` counts from 1.
pub(crate) fn route(
    reader: &mut Reader,
    node: &Node,
    index: usize,
    book: &mut PoolBook,
    stores: &mut StoreBook,
) -> Option<Route> {
    if !matches!(node.value, Value::Table(_)) {
        let message = format!("a route is a table, not {}", node.found());
        let help = "write `{ path = \"/api/*\", pool = \"api\" }`";
        reader.note(Diagnostic::error(codes::WRONG_TYPE, node.span, message).help(help));
        return None;
    }
    let table = Fields::open(reader, node, &keys::ROUTE)?;
    let when = when(reader, &table);
    let action = match action::action(reader, &table, book) {
        Found::One(action, _) => Some(action),
        Found::Broken => None,
        Found::Nothing if table.meant(ACTIONS) => None,
        Found::Nothing => {
            let message = "the route does nothing";
            reader.note(
                Diagnostic::error(codes::MISSING_KEY, node.span, message)
                    .help(format!("add one of {}", keys::one_of(ACTIONS))),
            );
            None
        }
    };
    let path_edit = path::path_edit(reader, &table, &when.path, action.as_ref());
    let headers = headers::headers(reader, &table);
    let hide = headers::hide(reader, &table);
    let timeout = limits::overrides(reader, &table);
    let traffic = traffic::traffic(reader, &table, book);
    let cache = cache::edits(reader, &table, stores);
    let compress = compress::edits(reader, &table);
    if let Some(action) = &action {
        traffic::note_without_pool(reader, &table, action);
    }
    let name = table
        .get("name")
        .and_then(|field| field.full_text(reader))
        .and_then(|text| reader.parse(text, codes::NAME, host::title))
        .unwrap_or_else(|| default_name(&when, index, node));
    Some(Route {
        name,
        when,
        action: action?,
        path_edit,
        headers,
        hide,
        timeout,
        traffic,
        cache,
        compress,
        span: node.span,
    })
}

fn default_name(when: &When, index: usize, node: &Node) -> Spanned<String> {
    let is_bare = when.methods.is_empty() && when.headers.is_empty() && when.query.is_empty();
    match &when.path {
        PathMatch::Exact(path) | PathMatch::Regex(path) => path.clone(),
        PathMatch::Prefix(prefix) => prefix.clone().map(|prefix| format!("{prefix}/*")),
        PathMatch::Any if is_bare => Spanned::new("*".into(), node.span),
        PathMatch::Any => Spanned::new(format!("#{index}"), node.span),
    }
}

fn when(reader: &mut Reader, table: &Fields<'_>) -> When {
    let path = table.get("path");
    let regex = table.get("path_regex");
    if let (Some(path), Some(regex)) = (&path, &regex) {
        let message = "`path` and `path_regex` exclude each other";
        reader.note(
            Diagnostic::error(codes::CONFLICT, regex.name, message).and(path.name, "the other one"),
        );
    }
    let path = if let Some(field) = path {
        let text = field.full_text(reader);
        let path = text.and_then(|text| path::path_match(reader, text));
        path.unwrap_or_default()
    } else if let Some(field) = regex {
        match field
            .full_text(reader)
            .and_then(|text| condition::compiled(reader, text, text.value))
        {
            Some(regex) => PathMatch::Regex(regex),
            None => PathMatch::Any,
        }
    } else {
        PathMatch::Any
    };
    let mut methods = Vec::new();
    if let Some(field) = table.get("methods") {
        field.note_empty(reader);
        for text in field.texts(reader) {
            methods.extend(reader.parse(text, codes::METHOD, method));
        }
        field.note_twice(reader, &methods, Clone::clone);
    }
    When {
        path,
        methods,
        headers: condition::conditions(reader, table, "header"),
        query: condition::conditions(reader, table, "query"),
    }
}

fn method(text: &str) -> Result<String, Complaint> {
    let upper = text.to_ascii_uppercase();
    if text.is_empty() || !text.bytes().all(headers::is_token_byte) {
        return Err(Complaint::new(format!("`{text}` is not a method"))
            .help("a method is one word, such as `GET`"));
    }
    if upper != text && METHODS.contains(&upper.as_str()) {
        return Err(
            Complaint::new(format!("`{text}` would never match: methods know case"))
                .help(format!("write `{upper}`")),
        );
    }
    Ok(text.to_owned())
}
