//! One entry of `routes`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{
    Action, Condition, PathEdit, PathMatch, Piece, Route, Template, ValueMatch, When,
};
use crate::pattern;
use crate::read::action::{self, ACTIONS, Found};
use crate::read::{Complaint, Field, Fields, PoolBook, Reader, headers, host, limits, template};
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
    let path_edit = path_edit(reader, &table, &when.path, action.as_ref());
    let headers = headers::headers(reader, &table);
    let hide = headers::hide(reader, &table);
    let timeout = limits::overrides(reader, &table);
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
        let path = text.and_then(|text| path_match(reader, text));
        path.unwrap_or_default()
    } else if let Some(field) = regex {
        match field
            .full_text(reader)
            .and_then(|text| compiled(reader, text, text.value))
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
        headers: conditions(reader, table, "header"),
        query: conditions(reader, table, "query"),
    }
}

fn path_match(reader: &mut Reader, text: Spanned<&str>) -> Option<PathMatch> {
    let path = reader.parse(text, codes::PATH, |text| match text.strip_suffix("/*") {
        Some(prefix) => path_text(prefix, text).map(|()| (prefix.to_owned(), true)),
        None => path_text(text, text).map(|()| (text.to_owned(), false)),
    })?;
    let Spanned {
        value: (path, is_prefix),
        span,
    } = path;
    let path = Spanned::new(path, span);
    Some(if is_prefix {
        PathMatch::Prefix(path)
    } else {
        PathMatch::Exact(path)
    })
}

/// Whether `path`, taken from `text`, can be compared with the path of a request.
fn path_text(path: &str, text: &str) -> Result<(), Complaint> {
    let bad = |message: &str| Complaint::new(format!("`{text}` {message}"));
    if !path.starts_with('/') && !(path.is_empty() && text == "/*") {
        let bare = text.trim_start_matches(['~', ' ']);
        return Err(if text == "*" {
            bad("is not a path").help("leave `path` out to take every path")
        } else if text.starts_with('^') || text.starts_with('~') {
            bad("is not a path").help(format!(
                "for a regular expression write `path_regex = \"{bare}\"`"
            ))
        } else if let Some((_, rest)) = text.split_once("://") {
            let path = rest.find('/').map_or("/", |at| &rest[at..]);
            bad("is not a path").help(format!("without scheme and host: `{path}`"))
        } else {
            bad("does not begin with `/`").help(format!("write `/{text}`"))
        });
    }
    if let Some(at) = path.find('*') {
        let complaint = bad("has a `*` that is not its last part");
        let before = path[..at].trim_end_matches('/');
        return Err(if at + 1 == path.len() {
            complaint.help(format!(
                "`*` stands for whole segments: write `{before}/*`, or use `path_regex`"
            ))
        } else {
            complaint.help("a path ends in `/*` or has none; use `path_regex` for other patterns")
        });
    }
    if path.contains('?') {
        return Err(bad("has a query").help("match parameters with `query = { name = \"value\" }`"));
    }
    if path.contains('#') {
        return Err(bad("has a fragment, which clients never send"));
    }
    if let Some(odd) = path
        .chars()
        .find(|c| c.is_control() || *c == ' ' || !c.is_ascii())
    {
        let encoded: String = odd
            .to_string()
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let shown = match odd {
            ' ' => "space".to_owned(),
            odd => format!("`{}`", odd.escape_debug()),
        };
        return Err(bad(&format!("has a {shown}, which no path has"))
            .help(format!("write it as it is sent: `{encoded}`")));
    }
    if path
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err(bad(
            "has a `.` or `..` segment, which is resolved before routes are asked",
        ));
    }
    Ok(())
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

/// A regex of the config, kept as text once it is known to compile. `text` is its place.
fn compiled(reader: &mut Reader, text: Spanned<&str>, expression: &str) -> Option<Spanned<String>> {
    match pattern::compile(expression) {
        Ok(_) => Some(Spanned::new(expression.to_owned(), text.span)),
        Err(error) => {
            let message = format!("the regular expression {}", regex_problem(&error));
            let diagnostic = Diagnostic::error(codes::REGEX, text.span, message);
            reader.note(diagnostic.help(regex_help(&error, expression)));
            None
        }
    }
}

fn regex_help(error: &regex::Error, expression: &str) -> &'static str {
    let said = error.to_string();
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        "smaller repeat counts make it smaller"
    } else if said.contains("look-around") || said.contains("backreferences") {
        "matching takes linear time here, so these do not exist; two routes say the same"
    } else if expression.starts_with('*') {
        "to ignore case begin with `(?i)`"
    } else {
        "a literal `(` is `\\\\(` in `\"..\"` and `\\(` in `'..'`; so are the other special characters"
    }
}

/// The last line of the regex crate's report, which says what; the lines above draw where.
fn regex_problem(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "is too large when compiled".into(),
        error => {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim();
            format!("does not compile: {}", last.trim_start_matches("error: "))
        }
    }
}

fn conditions(reader: &mut Reader, table: &Fields<'_>, of: &'static str) -> Vec<Condition> {
    let Some(field) = table.get(of) else {
        return Vec::new();
    };
    let Some(entries) = field.node.as_table() else {
        field.note_type(reader);
        return Vec::new();
    };
    let mut conditions = Vec::new();
    for entry in entries {
        let key = Spanned::new(entry.key.value.as_str(), entry.key.span);
        let name = match of {
            "header" => reader.parse(key, codes::HEADER, headers::name),
            _ => Some(key.map(str::to_owned)),
        };
        let value = match &entry.node.value {
            Value::Boolean(true) => Some(ValueMatch::Present),
            Value::Boolean(false) => Some(ValueMatch::Absent),
            Value::String(text) => match text.strip_prefix('~') {
                Some(regex) => {
                    let place = Spanned::new(text.as_str(), entry.node.span);
                    compiled(reader, place, regex).map(|regex| ValueMatch::Regex(regex.value))
                }
                None => Some(ValueMatch::Equals(text.clone())),
            },
            _ => {
                let found = entry.node.found();
                let message = format!("a condition is a string, `true` or `false`, not {found}");
                let help = "a string is compared; `~` before it makes it a regular expression; `true` means present, `false` absent";
                let note = Diagnostic::error(codes::WRONG_TYPE, entry.node.span, message);
                reader.note(note.help(help));
                None
            }
        };
        if let (Some(name), Some(value)) = (name, value) {
            conditions.push(Condition {
                name,
                value: Spanned::new(value, entry.node.span),
            });
        }
    }
    conditions
}

fn path_edit(
    reader: &mut Reader,
    table: &Fields<'_>,
    path: &PathMatch,
    action: Option<&Action>,
) -> PathEdit {
    let there = table.among(&["strip_prefix", "add_prefix", "rewrite"]);
    let Some(first) = there.first() else {
        return PathEdit::Keep;
    };
    if action.is_some_and(|action| !matches!(action, Action::Pool(_))) {
        let message = format!(
            "`{}` changes the path for a server, and this route has none",
            first.key.name
        );
        let help = "a redirect's own path is written in `redirect`";
        reader.note(Diagnostic::error(codes::CONFLICT, first.name, message).help(help));
        return PathEdit::Keep;
    }
    let rewrite = table.get("rewrite");
    if let Some(field) = rewrite {
        if let Some(other) = there.iter().find(|other| other.key.name != "rewrite") {
            let message = format!("`rewrite` and `{}` exclude each other", other.key.name);
            reader.note(
                Diagnostic::error(codes::CONFLICT, field.name, message)
                    .and(other.name, "the other one")
                    .help("`rewrite` says the whole new path"),
            );
        }
        let text = field.full_text(reader);
        return match text.and_then(|text| reader.parse(text, codes::TEMPLATE, new_path)) {
            Some(template) => PathEdit::Rewrite(template),
            None => PathEdit::Keep,
        };
    }
    let strip = table
        .get("strip_prefix")
        .and_then(|field| prefix(reader, &field));
    let add = table
        .get("add_prefix")
        .and_then(|field| prefix(reader, &field));
    if let (Some(strip), PathMatch::Exact(path) | PathMatch::Prefix(path)) = (&strip, path)
        && !is_below(path, strip)
        && !(matches!(table.get("path"), Some(field) if ends_open(&field)) && is_below(strip, path))
    {
        let message = format!("no path of this route begins with `{}`", strip.value);
        reader
            .note(Diagnostic::error(codes::PATH, strip.span, message).and(path.span, "its paths"));
    }
    if strip.is_none() && add.is_none() {
        PathEdit::Keep
    } else {
        PathEdit::Prefix { strip, add }
    }
}

/// Whether `path` is `prefix` or lies below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn ends_open(field: &Field<'_>) -> bool {
    field.node.as_str().is_some_and(|text| text.ends_with("/*"))
}

/// `strip_prefix` and `add_prefix`: a trailing slash means nothing.
fn prefix(reader: &mut Reader, field: &Field<'_>) -> Option<Spanned<String>> {
    let text = field.full_text(reader)?;
    reader.parse(text, codes::PATH, |text| {
        let bare = text
            .strip_suffix("/*")
            .unwrap_or(text)
            .trim_end_matches('/');
        if text.ends_with('*') {
            return Err(
                Complaint::new(format!("`{text}` is a pattern, not a prefix"))
                    .help(format!("write `{bare}`")),
            );
        }
        path_text(text, text)?;
        if bare.is_empty() {
            return Err(Complaint::new("the prefix `/` changes nothing").help("leave it out"));
        }
        Ok(bare.to_owned())
    })
}

fn new_path(text: &str) -> Result<Template, Complaint> {
    let template = template::template(text)?;
    let starts_well = match template.pieces.first() {
        Some(Piece::Text(start)) => start.starts_with('/'),
        Some(Piece::Path) => true,
        _ => false,
    };
    if !starts_well {
        return Err(Complaint::new(format!("`{text}` does not begin with `/`"))
            .help(format!("write `/{text}`")));
    }
    let has_query = template.pieces.iter().any(|piece| match piece {
        Piece::Query => true,
        Piece::Text(text) => text.contains(['?', '#']),
        _ => false,
    });
    if has_query {
        return Err(
            Complaint::new("`rewrite` changes the path only; the query stays as it is")
                .help("end it before the query"),
        );
    }
    Ok(template)
}
