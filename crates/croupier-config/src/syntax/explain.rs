//! The TOML parser's errors in words that name the usual slip.
//!
//! The parser's own words are matched by their beginning; an unknown one is passed on as it is, so a new version of
//! the parser can only make a message plainer.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::Error;

use super::{Damage, line_start};
use crate::codes;
use crate::diagnostic::{Diagnostic, Label};
use crate::source::{FileId, Span};
use crate::tree::{Node, Value};

/// What is to be said of a text.
pub(super) struct Explained {
    pub(super) diagnostics: Vec<Diagnostic>,
    /// By their first byte.
    pub(super) lines: BTreeSet<usize>,
    pub(super) damage: Damage,
}

pub(super) fn explain(file: FileId, text: &str, errors: &[Error]) -> Explained {
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
        let slip = Slip::new(file, text, error.message(), range);
        let diagnostic = match slip.in_value() {
            Some(diagnostic) => diagnostic,
            None => {
                damage = slip.damage();
                slip.in_structure()
            }
        };
        diagnostics.push(diagnostic);
    }
    Explained {
        diagnostics,
        lines,
        damage,
    }
}

/// Whether no other header stands between a header and a later line.
fn same_section(text: &str, header: usize, line: usize) -> bool {
    let between = text.get(header..line).unwrap_or_default();
    between
        .lines()
        .skip(1)
        .all(|line| !line.trim_start().starts_with('['))
}

/// The parser says where the second one stands; the tree holds the first. Only if the name is nowhere else, it is sure
/// to be that one.
pub(super) fn point_at_first(error: &mut Diagnostic, tree: &Node, text: &str) {
    let second = error.span();
    if let Some(first) = same_header_before(second, text) {
        error.labels.push(Label {
            span: first,
            text: "first here".into(),
        });
        return;
    }
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

/// The tree holds only the last of two tables of the same name, so their headers are compared as text.
fn same_header_before(second: Span, text: &str) -> Option<Span> {
    let start = line_start(text, second.start as usize);
    let line = text.get(start..)?.lines().next()?;
    let header = line.trim();
    let within =
        (second.start as usize).checked_sub(start + line.len() - line.trim_start().len())?;
    if !header.starts_with('[') {
        return None;
    }
    let mut at = 0;
    for line in text.get(..start)?.split_inclusive('\n') {
        if line.trim() == header {
            let indent = line.len() - line.trim_start().len();
            let from = at + indent + within.min(header.len());
            let to = (from + (second.end - second.start) as usize).min(at + line.len());
            return Some(Span::new(second.file, from..to));
        }
        at += line.len();
    }
    None
}

/// One error of the parser, and the line on which it stands.
struct Slip<'a> {
    text: &'a str,
    line: &'a str,
    range: Range<usize>,
    /// What the parser objects to; often empty.
    found: &'a str,
    /// The parser's words.
    said: &'a str,
    file: FileId,
}

impl<'a> Slip<'a> {
    fn new(file: FileId, text: &'a str, said: &'a str, range: Range<usize>) -> Self {
        let line = text
            .get(line_start(text, range.start)..)
            .unwrap_or_default();
        let line = line.lines().next().unwrap_or_default();
        let found = text.get(range.clone()).unwrap_or_default();
        Self {
            text,
            line,
            range,
            found,
            said,
            file,
        }
    }

    fn at(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(
            codes::SYNTAX,
            Span::new(self.file, self.range.clone()),
            message,
        )
    }

    fn is(&self, beginnings: &[&str]) -> bool {
        beginnings
            .iter()
            .any(|beginning| self.said.starts_with(beginning))
    }

    /// Slips that spoil one value; the rest of the file stands.
    fn in_value(&self) -> Option<Diagnostic> {
        let found = self.found.trim();
        if self.is(&["duplicate key"]) {
            return Some(self.duplicate());
        }
        if self.is(&["string values must be quoted"]) {
            return Some(if found.is_empty() {
                self.at("a value is missing after `=`")
                    .help("write one, or leave the line out")
            } else if found.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
                self.at("typographic quotes do not quote")
                    .help("use plain `\"`")
            } else {
                let bare = found.replace('"', "");
                self.at("a string needs quotes")
                    .help(format!("write `\"{bare}\"`"))
            });
        }
        if self.is(&["invalid basic string", "invalid literal string"]) {
            let quote = if self.said.contains("basic") {
                '"'
            } else {
                '\''
            };
            let diagnostic = self.at("the string is not closed on its line");
            return Some(diagnostic.help(format!("end it with `{quote}`")));
        }
        if self.is(&["missing escaped value"]) {
            return Some(self.at("this `\\` begins no known escape").help(
                "in `\"..\"` write `\\\\` for a backslash, or use `'..'`, where it needs no escape",
            ));
        }
        let numbers = [
            "unexpected leading zero",
            "invalid integer",
            "invalid float",
        ];
        if self.is(&["invalid boolean"]) || self.is(&numbers) {
            let help = match found.to_ascii_lowercase().as_str() {
                word @ ("true" | "false") => format!("write `{word}`"),
                _ => format!("a string needs quotes: `\"{found}\"`"),
            };
            return Some(self.at(format!("`{found}` is not a value")).help(help));
        }
        None
    }

    fn duplicate(&self) -> Diagnostic {
        let what = if self.line.trim_start().starts_with('[') {
            self.line.trim()
        } else {
            self.found.trim_matches(['"', '\''])
        };
        let span = Span::new(self.file, self.range.clone());
        Diagnostic::error(
            codes::DUPLICATE_KEY,
            span,
            format!("`{what}` is written twice"),
        )
        .help("keep one of the two, or merge them into one")
    }

    /// A slip inside an inline table that is closed on its line ends with the line.
    fn damage(&self) -> Damage {
        let is_closed =
            self.line.contains('{') && self.line.trim_end_matches([' ', ',', ']']).ends_with('}');
        let in_table = [
            "missing assignment",
            "extra assignment",
            "missing comma between key-value",
        ];
        if is_closed && self.is(&in_table) {
            Damage::Value
        } else {
            Damage::Structure
        }
    }

    /// Slips after which nobody knows where anything belongs.
    fn in_structure(&self) -> Diagnostic {
        if self.is(&["invalid multi-line"]) {
            return self.unclosed_long_string();
        }
        if self.is(&["key with no value", "invalid unquoted key"]) {
            return self.key_without_value();
        }
        if self.is(&["unclosed table"]) {
            return self.at("the header is not closed").help("end it with `]`");
        }
        if self.is(&["unclosed array", "missing comma between array"]) {
            return self
                .at("the list is not closed, or a comma is missing")
                .help("separate items with `,` and end the list with `]`");
        }
        if self.is(&[
            "unclosed inline table",
            "extra assignment",
            "missing comma between key-value",
        ]) {
            return self
                .at("the inline table is not closed, or a comma is missing")
                .help("separate pairs with `,` and end the table with `}`");
        }
        if self.is(&["missing assignment"]) {
            return self
                .at("a `=` is missing after the key")
                .help("a key with a space in it needs quotes; header names have `-` instead");
        }
        if self.is(&["unexpected key or value"]) {
            return self
                .at("a second value on the same line")
                .help("begin a new line here");
        }
        self.at(format!("not valid TOML: {}", self.said))
    }

    fn unclosed_long_string(&self) -> Diagnostic {
        let quotes = if self.said.contains("basic") {
            "\"\"\""
        } else {
            "'''"
        };
        let before = self.text.get(..self.range.start).unwrap_or_default();
        let opened = before.rfind(quotes).unwrap_or(before.len());
        let end = (opened + quotes.len()).min(self.text.len());
        let message = "the string of several lines is never closed";
        Diagnostic::error(codes::SYNTAX, Span::new(self.file, opened..end), message)
            .help("end it with the three quotes it began with")
    }

    fn key_without_value(&self) -> Diagnostic {
        let line = self.line.trim();
        if let Some(name) = line.strip_suffix('{') {
            let name = name.trim();
            let header = if name.contains('.') {
                format!("[site.\"{name}\"]")
            } else {
                format!("[{name}]")
            };
            return self.at("blocks in braces are not TOML").help(format!(
                "a section begins with a header such as `{header}` and ends where the next begins"
            ));
        }
        match line.split_once([':', ' ']) {
            Some((key, value)) => {
                let (key, value) = (key.trim(), value.trim().trim_end_matches(';'));
                self.at("a key and its value are joined by `=`")
                    .help(format!("write `{key} = {value}`, with quotes around text"))
            }
            None => self.at("a key without a value").help("write `key = value`"),
        }
    }
}
