//! JSON. Without its colons it is a TOML 1.1 inline table of the same length, so every span holds; `serde_json` judges
//! the syntax first.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::Parsed;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use crate::tree::{self, Value};

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
    let (value, errors) = DeValue::parse_recoverable(as_toml.trim());
    if let Some(error) = errors.first() {
        let range = error.span().unwrap_or(0..0);
        let range = range.start + padding..range.end + padding;
        let found = text.get(range.clone()).unwrap_or_default();
        let message = if found.starts_with("null") {
            "`null` is not a value of the config; leave the key out".to_owned()
        } else {
            format!("JSON that the config cannot hold: {}", error.message())
        };
        return broken(Span::new(file, range), message);
    }
    let mut node = tree::from_toml_value(file, value);
    node.shift(padding);
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
