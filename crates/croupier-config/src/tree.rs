//! The spanned tree: what TOML and JSON have in common, every node with its place.
//!
//! Tables keep the order of the text, so that problems are found in the order in which people read.

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use crate::source::{FileId, Span, Spanned};

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    String(String),
    /// Beyond `i128` it is clipped, which no key's range includes.
    Integer(i128),
    Float,
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    pub(crate) node: Node,
}

impl Node {
    /// "a string", for "expected .., found ..".
    pub(crate) fn found(&self) -> &'static str {
        match self.value {
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float => "a fraction",
            Value::Boolean(_) => "a boolean",
            Value::Datetime => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// Moves every span: the text was parsed from further on.
    pub(crate) fn shift(&mut self, bytes: usize) {
        self.span = self.span.shifted(bytes);
        match &mut self.value {
            Value::Array(items) => items.iter_mut().for_each(|item| item.shift(bytes)),
            Value::Table(entries) => {
                for entry in entries {
                    entry.key.span = entry.key.span.shifted(bytes);
                    entry.node.shift(bytes);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn as_str(&self) -> Option<Spanned<&str>> {
        match &self.value {
            Value::String(text) => Some(Spanned::new(text.as_str(), self.span)),
            _ => None,
        }
    }

    pub(crate) fn as_table(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }
}

/// Takes over a parsed document. The parser bounds the depth, so recursion here is bounded too.
pub(crate) fn from_toml(file: FileId, table: TomlSpanned<DeTable<'_>>) -> Node {
    let span = Span::new(file, table.span());
    Node {
        span,
        value: Value::Table(entries(file, table.into_inner())),
    }
}

/// Takes over one value.
pub(crate) fn from_toml_value(file: FileId, value: TomlSpanned<DeValue<'_>>) -> Node {
    let span = Span::new(file, value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(integer) => Value::Integer(
            i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX),
        ),
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| from_toml_value(file, item))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(file, table)),
    };
    Node { span, value }
}

fn entries(file: FileId, table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key: Spanned::new(key.get_ref().to_string(), Span::new(file, key.span())),
            node: from_toml_value(file, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key.span);
    entries
}
