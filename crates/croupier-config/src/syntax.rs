//! Text to tree: TOML, and JSON as the inline table that it nearly is.
//!
//! The parser recovers and reports several errors at once, but one slip can cause a chain of them; we keep the
//! first of each line and say it in words that name the usual slip.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue, Error};

use crate::codes;
use crate::diagnostic::{Diagnostic, Label};
use crate::source::{FileId, Span};
use crate::tree::{self, Node, Value};

/// A larger file with an error gets only its first one: recovery on a large binary would drown us in errors.
const RECOVER_BYTES_MAX: usize = 256 << 10;

/// What came out of one text.
pub(crate) struct Parsed {
    /// `None`: too broken to look for other problems in it.
    pub(crate) tree: Option<Node>,
    pub(crate) errors: Vec<Diagnostic>,
    /// Lines (by their first byte) with an error; other problems on them are only its echo.
    pub(crate) broken_lines: BTreeSet<usize>,
}

/// Whether the rest of the file can still be trusted after an error.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Damage {
    Value,
    Structure,
}

pub(crate) fn parse_toml(file: FileId, text: &str) -> Parsed {
    let (table, errors) = if text.len() <= RECOVER_BYTES_MAX {
        DeTable::parse_recoverable(text)
    } else {
        match DeTable::parse(text) {
            Ok(table) => (table, Vec::new()),
            Err(error) => (toml::Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    };
    let (errors, broken_lines, damage) = explain(file, text, &errors);
    let whole = damage == Damage::Value && (errors.is_empty() || text.len() <= RECOVER_BYTES_MAX);
    Parsed {
        tree: whole.then(|| tree::from_toml(file, table)),
        errors,
        broken_lines,
    }
}

/// The parser says where the second one stands; the tree holds the first. Only if the name is nowhere else, it is sure
/// to be that one.
fn point_at_first(error: &mut Diagnostic, tree: &Node, text: &str) {
    let second = error.span();
    let name = text
        .get(second.start as usize..second.end as usize)
        .unwrap_or_default();
    let name = name.trim_matches(['"', '\'']);
    let mut found = Vec::new();
    let mut waiting = vec![tree];
    while let Some(node) = waiting.pop() {
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    if entry.key.value == name && entry.key.span < second {
                        found.push(entry.key.span);
                    }
                    waiting.push(&entry.node);
                }
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
    if let [first] = found[..] {
        error.labels.push(Label {
            span: first,
            text: "first here".into(),
        });
    }
}

/// JSON without its colons is a TOML 1.1 inline table of the same length, so every span holds. `serde_json` judges
/// the syntax first.
pub(crate) fn parse_json(file: FileId, text: &str) -> Parsed {
    let broken = |span: Span, message: String| Parsed {
        tree: None,
        errors: vec![Diagnostic::error(codes::SYNTAX, span, message)],
        broken_lines: BTreeSet::new(),
    };
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let line_start: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let at = (line_start + error.column().saturating_sub(1)).min(text.len());
        let message = error.to_string();
        let message = message
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        return broken(
            Span::new(file, at..at),
            format!("not valid JSON: {message}"),
        );
    }
    let as_toml = colons_to_equals(text);
    let padding = as_toml.len() - as_toml.trim_start().len();
    let (value, errors) = DeValue::parse_recoverable(as_toml.trim_end());
    if let Some(error) = errors.first() {
        let range = error.span().unwrap_or(padding..padding);
        let message = if text
            .get(range.clone())
            .is_some_and(|found| found.starts_with("null"))
        {
            "`null` is not a value of the config; leave the key out".to_owned()
        } else {
            format!("JSON that the config cannot hold: {}", error.message())
        };
        return broken(Span::new(file, range), message);
    }
    let node = tree::from_toml_value(file, value);
    if !matches!(node.value, Value::Table(_)) {
        let found = node.found();
        return broken(
            node.span,
            format!("a config is a JSON object, this is {found}"),
        );
    }
    Parsed {
        tree: Some(node),
        errors: Vec::new(),
        broken_lines: BTreeSet::new(),
    }
}

fn colons_to_equals(json: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    json.chars()
        .map(|c| {
            if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
            } else if c == '"' {
                in_string = true;
            } else if c == ':' {
                return '=';
            }
            c
        })
        .collect()
}

fn explain(
    file: FileId,
    text: &str,
    errors: &[Error],
) -> (Vec<Diagnostic>, BTreeSet<usize>, Damage) {
    let mut damage = Damage::Value;
    let mut lines = BTreeSet::new();
    let mut diagnostics = Vec::new();
    // A table whose header is there twice may have every key twice, which says nothing new.
    let mut twice_header: Option<usize> = None;
    for error in errors {
        let range = error.span().unwrap_or(0..0);
        let line = line_start(text, range.start);
        if damage == Damage::Structure || !lines.insert(line) {
            continue;
        }
        let is_twice = error.message().starts_with("duplicate key");
        let is_header = text[line..].trim_start().starts_with('[');
        if is_twice && !is_header && twice_header.is_some_and(|at| same_section(text, at, line)) {
            continue;
        }
        if is_twice && is_header {
            twice_header = Some(line);
        }
        let (diagnostic, caused) = reword(file, text, error, range);
        damage = caused;
        diagnostics.push(diagnostic);
    }
    (diagnostics, lines, damage)
}

/// Whether no other header stands between a header and a later line.
fn same_section(text: &str, header: usize, line: usize) -> bool {
    let between = text.get(header..line).unwrap_or_default();
    between
        .lines()
        .skip(1)
        .all(|line| !line.trim_start().starts_with('['))
}

pub(crate) fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    before.rfind('\n').map_or(0, |newline| newline + 1)
}

fn reword(
    file: FileId,
    text: &str,
    error: &Error,
    range: std::ops::Range<usize>,
) -> (Diagnostic, Damage) {
    let span = Span::new(file, range.clone());
    let found = text.get(range.clone()).unwrap_or_default();
    let line = &text[line_start(text, range.start)..];
    let line = line.lines().next().unwrap_or_default();
    let said = error.message();
    let at = |message: &str| Diagnostic::error(codes::SYNTAX, span, message);
    let starts = |beginnings: &[&str]| beginnings.iter().any(|with| said.starts_with(with));
    if starts(&["duplicate key"]) {
        let message = match line.trim_start().starts_with('[') {
            true => format!("`{}` is written twice", line.trim()),
            false => format!("`{}` is written twice", found.trim_matches(['"', '\''])),
        };
        let diagnostic = Diagnostic::error(codes::DUPLICATE_KEY, span, message);
        return (
            diagnostic.help("keep one of the two, or merge them into one"),
            Damage::Value,
        );
    }
    if starts(&["string values must be quoted"]) {
        let found = found.trim();
        let diagnostic = if found.is_empty() {
            at("a value is missing after `=`").help("write one, or leave the line out")
        } else if found.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
            at("typographic quotes do not quote").help("use plain `\"`")
        } else {
            at("a string needs quotes").help(format!("write `\"{}\"`", found.replace('"', "")))
        };
        return (diagnostic, Damage::Value);
    }
    if starts(&["invalid basic string", "invalid literal string"]) {
        let quote = if said.starts_with("invalid basic") {
            '"'
        } else {
            '\''
        };
        let diagnostic = at("the string is not closed on its line");
        return (
            diagnostic.help(format!("end it with `{quote}`")),
            Damage::Value,
        );
    }
    if starts(&["invalid multi-line"]) {
        let diagnostic = at("the string of several lines is never closed");
        return (
            diagnostic.help("end it with the three quotes it began with"),
            Damage::Structure,
        );
    }
    if starts(&["missing escaped value"]) {
        let diagnostic = at("this `\\` begins no known escape");
        let help =
            "in `\"..\"` write `\\\\` for a backslash, or use `'..'`, where it needs no escape";
        return (diagnostic.help(help), Damage::Value);
    }
    if starts(&[
        "invalid boolean",
        "unexpected leading zero",
        "invalid integer",
        "invalid float",
    ]) {
        let help = match found.to_ascii_lowercase().as_str() {
            word @ ("true" | "false") => format!("write `{word}`"),
            _ => format!("a string needs quotes: `\"{found}\"`"),
        };
        return (
            at(&format!("`{found}` is not a value")).help(help),
            Damage::Value,
        );
    }
    // A slip inside an inline table that is closed on its line ends with the line.
    let is_closed = line.contains('{') && line.trim_end_matches([' ', ',', ']']).ends_with('}');
    let in_table = starts(&[
        "missing assignment",
        "extra assignment",
        "missing comma between key",
    ]);
    let damage = if is_closed && in_table {
        Damage::Value
    } else {
        Damage::Structure
    };
    (structural(at, said, line), damage)
}

fn structural(at: impl Fn(&str) -> Diagnostic, said: &str, line: &str) -> Diagnostic {
    let trimmed = line.trim();
    if said.starts_with("key with no value") || said.starts_with("invalid unquoted key") {
        if trimmed.ends_with('{') {
            let name = trimmed.trim_end_matches('{').trim();
            let header = match name.contains('.') {
                true => format!("[site.\"{name}\"]"),
                false => format!("[{name}]"),
            };
            return at("blocks in braces are not TOML").help(format!(
                "a section begins with a header such as `{header}` and ends where the next begins"
            ));
        }
        if let Some((key, value)) = trimmed.split_once([':', ' ']) {
            let (key, value) = (key.trim(), value.trim().trim_end_matches(';'));
            return at("a key and its value are joined by `=`")
                .help(format!("write `{key} = {value}`, with quotes around text"));
        }
        return at("a key without a value").help("write `key = value`");
    }
    if said.starts_with("unclosed table") {
        return at("the header is not closed").help("end it with `]`");
    }
    if said.starts_with("unclosed array") || said.starts_with("missing comma between array") {
        return at("the list is not closed, or a comma is missing")
            .help("separate items with `,` and end the list with `]`");
    }
    if said.starts_with("unclosed inline table")
        || said.starts_with("extra assignment")
        || said.starts_with("missing comma between key-value")
    {
        return at("the inline table is not closed, or a comma is missing")
            .help("separate pairs with `,` and end the table with `}`");
    }
    if said.starts_with("missing assignment") {
        return at("a `=` is missing after the key")
            .help("a key with a space in it needs quotes; header names have `-` instead");
    }
    if said.starts_with("unexpected key or value") {
        return at("a second value on the same line").help("begin a new line here");
    }
    at(&format!("not valid TOML: {said}"))
}
