//! Paths of a route: which ones it takes, and what becomes of them on the way to a server.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Action, PathEdit, PathMatch, Piece, Template};
use crate::read::{Complaint, Field, Fields, Reader, template};
use crate::source::Spanned;

pub(crate) fn path_match(reader: &mut Reader, text: Spanned<&str>) -> Option<PathMatch> {
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
    let is_root = path.is_empty() && text == "/*";
    if !is_root && !path.starts_with('/') {
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

pub(crate) fn path_edit(
    reader: &mut Reader,
    table: &Fields<'_>,
    path: &PathMatch,
    action: Option<&Action>,
) -> PathEdit {
    let there = table.among(&["strip_prefix", "add_prefix", "rewrite"]);
    let Some(first) = there.first() else {
        return PathEdit::Keep;
    };
    if action.is_some_and(|action| action.pools().next().is_none()) {
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
