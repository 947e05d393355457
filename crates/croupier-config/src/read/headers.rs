//! Header lines, edits of headers, and `hide`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{HeaderEdits, HeaderLine, Headers, Hide};
use crate::read::{Complaint, Field, Fields, Reader};
use crate::source::Spanned;
use crate::tree::Value;

/// Fields that frame a message or belong to one hop (RFC 9110, 7.6.1; RFC 9112, 6): the proxy writes them, nobody else.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const VALUE_BYTES_MAX: usize = 8 << 10;

/// A byte of a token (RFC 9110, 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(crate) fn name(text: &str) -> Result<String, Complaint> {
    let bad = Complaint::new(format!("`{text}` is not a header name"));
    if text.is_empty() || text.len() > 256 {
        return Err(bad.help("a name has 1 to 256 characters"));
    }
    match text
        .chars()
        .find(|c| !c.is_ascii() || !is_token_byte(*c as u8))
    {
        None => Ok(text.to_owned()),
        Some(':') => Err(bad.help(format!(
            "without the colon: `{}`",
            text.trim_end_matches(':')
        ))),
        Some(' ') => Err(bad.help(format!(
            "without spaces: `{}`",
            text.trim().replace(' ', "-")
        ))),
        Some(odd) => Err(bad.help(format!(
            "a name has letters, digits and `-`, no `{}`",
            odd.escape_default()
        ))),
    }
}

pub(crate) fn value(text: &str) -> Result<String, Complaint> {
    if let Some(odd) = text.chars().find(|c| c.is_control() && *c != '\t') {
        let shown = odd.escape_default();
        return Err(Complaint::new(format!(
            "a header value has no control characters, this one has `{shown}`"
        ))
        .help("a value is one line; a second line would be a second header"));
    }
    if text.len() > VALUE_BYTES_MAX {
        return Err(Complaint::new(format!(
            "a header value has at most {VALUE_BYTES_MAX} bytes"
        )));
    }
    if text.trim() != text {
        return Err(
            Complaint::new("a header value does not begin or end with a space")
                .help(format!("write `\"{}\"`", text.trim())),
        );
    }
    Ok(text.to_owned())
}

/// A table of strings by header name.
pub(crate) fn lines(reader: &mut Reader, field: &Field<'_>) -> Vec<HeaderLine> {
    let Some(entries) = field.node.as_table() else {
        field.note_type(reader);
        return Vec::new();
    };
    let mut lines = Vec::new();
    for entry in entries {
        let key = Spanned::new(entry.key.value.as_str(), entry.key.span);
        let name = reader.parse(key, codes::HEADER, name);
        let Some(text) = entry.node.as_str() else {
            let found = entry.node.found();
            let message = format!("the value of `{}` is a string, not {found}", key.value);
            let diagnostic = Diagnostic::error(codes::WRONG_TYPE, entry.node.span, message);
            reader.note(match entry.node.value {
                Value::Integer(n) => diagnostic.help(format!("write `\"{n}\"`")),
                Value::Array(_) => {
                    diagnostic.help("write one string, with commas where they belong")
                }
                _ => diagnostic.help("write it as a string, in quotes"),
            });
            continue;
        };
        let value = reader.parse(text, codes::HEADER, value);
        if let (Some(name), Some(value)) = (name, value) {
            lines.push(HeaderLine { name, value });
        }
    }
    lines
}

/// `headers` of a site or route.
pub(crate) fn headers(reader: &mut Reader, table: &Fields<'_>) -> Headers {
    let Some(table) = table.table(reader, "headers", &keys::HEADERS) else {
        return Headers::default();
    };
    Headers {
        request: edits(reader, &table, "request"),
        response: edits(reader, &table, "response"),
    }
}

fn edits(reader: &mut Reader, table: &Fields<'_>, direction: &'static str) -> HeaderEdits {
    let Some(table) = table.table(reader, direction, &keys::EDITS) else {
        return HeaderEdits::default();
    };
    let edits = HeaderEdits {
        set: table
            .get("set")
            .map(|field| lines(reader, &field))
            .unwrap_or_default(),
        add: table
            .get("add")
            .map(|field| lines(reader, &field))
            .unwrap_or_default(),
        remove: table
            .get("remove")
            .map(|field| names(reader, &field))
            .unwrap_or_default(),
    };
    for name in edits
        .set
        .iter()
        .chain(&edits.add)
        .map(|line| &line.name)
        .chain(&edits.remove)
    {
        note_protected(reader, name);
    }
    let set = edits.set.iter().map(|line| &line.name);
    for (name, what) in set.zip(std::iter::repeat("set")).chain(
        edits
            .add
            .iter()
            .map(|line| &line.name)
            .zip(std::iter::repeat("add")),
    ) {
        let both = edits
            .remove
            .iter()
            .find(|removed| removed.eq_ignore_ascii_case(name));
        if let Some(removed) = both.filter(|_| what == "set") {
            let message = format!("`{}` is both removed and set", name.value);
            reader.note(
                Diagnostic::error(codes::CONFLICT, removed.span, message)
                    .and(name.span, "set here")
                    .help("`set` replaces what was there; leave out `remove`"),
            );
        }
    }
    note_same_name(reader, &edits.set);
    note_same_name(reader, &edits.add);
    edits
}

/// TOML tells keys apart by case, headers do not.
pub(crate) fn note_same_name(reader: &mut Reader, lines: &[HeaderLine]) {
    let mut first_at = std::collections::HashMap::new();
    for line in lines {
        let first = first_at.insert(line.name.to_ascii_lowercase(), line.name.span);
        if let Some(first) = first {
            let message = format!(
                "`{}` is here twice; header names know no case",
                line.name.value
            );
            reader.note(
                Diagnostic::error(codes::DUPLICATE_ENTRY, line.name.span, message)
                    .and(first, "first here"),
            );
        }
    }
}

pub(crate) fn note_protected(reader: &mut Reader, name: &Spanned<String>) {
    let lower = name.to_ascii_lowercase();
    if lower == "host" {
        let diagnostic = Diagnostic::error(
            codes::PROTECTED_HEADER,
            name.span,
            "`Host` is not edited like others",
        );
        reader.note(diagnostic.help("what the servers see as `Host` is the pool's `host`"));
    } else if FRAMING.contains(&lower.as_str()) {
        let message = format!(
            "`{}` frames the message, and only the proxy may write it",
            name.value
        );
        reader.note(
            Diagnostic::error(codes::PROTECTED_HEADER, name.span, message)
                .help("leave it out; the proxy removes and writes it where it must"),
        );
    }
}

fn names(reader: &mut Reader, field: &Field<'_>) -> Vec<Spanned<String>> {
    field
        .texts(reader)
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::HEADER, name))
        .collect()
}

/// `hide` of a site or route.
pub(crate) fn hide(reader: &mut Reader, table: &Fields<'_>) -> Option<Hide> {
    let field = table.get("hide")?;
    match &field.node.value {
        Value::Boolean(true) => Some(Hide::default()),
        Value::Boolean(false) => Some(Hide::Off),
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::HIDE)?;
            let headers = table
                .get("headers")
                .map(|field| names(reader, &field))
                .unwrap_or_default();
            let keep = table
                .get("keep")
                .map(|field| names(reader, &field))
                .unwrap_or_default();
            for name in &headers {
                note_protected(reader, name);
                if let Some(kept) = keep.iter().find(|kept| kept.eq_ignore_ascii_case(name)) {
                    let message = format!("`{}` is both hidden and kept", name.value);
                    reader.note(
                        Diagnostic::error(codes::CONFLICT, kept.span, message)
                            .and(name.span, "hidden here"),
                    );
                }
            }
            Some(Hide::On { headers, keep })
        }
        _ => {
            field.note_type(reader);
            None
        }
    }
}
