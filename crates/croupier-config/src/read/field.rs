//! One key of a table and its value, as the type that the table of keys says.
//!
//! Each function returns the value, or notes what belongs here and what was found instead.

use std::collections::HashMap;
use std::hash::Hash;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Kind, one_of};
use crate::nearest::nearest;
use crate::read::{Reader, scalar};
use crate::source::{Span, Spanned};
use crate::tree::{Node, Value};

/// One key that is there.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) key: &'static Key,
    /// Where the key itself stands.
    pub(crate) name: Span,
    pub(crate) node: &'a Node,
}

impl<'a> Field<'a> {
    /// Notes that the value has the wrong type.
    pub(crate) fn note_type(&self, reader: &mut Reader) {
        self.note_item(reader, self.node);
    }

    fn note_item(&self, reader: &mut Reader, node: &Node) {
        let (name, takes) = (self.key.name, self.key.kind.describe());
        let message = format!("`{name}` takes {takes}, not {}", node.found());
        let mut diagnostic = Diagnostic::error(codes::WRONG_TYPE, node.span, message);
        if let Some(help) = self.type_help(node) {
            diagnostic = diagnostic.help(help);
        }
        reader.note(diagnostic);
    }

    /// What the wrong type was most likely meant to be.
    fn type_help(&self, node: &Node) -> Option<String> {
        let kinds = self.kinds();
        let is_flag = kinds.iter().any(|kind| matches!(kind, Kind::Flag));
        match (&node.value, kinds.first()?) {
            (Value::Boolean(false), _) if self.takes_word("off") => Some("write `\"off\"`".into()),
            (Value::String(text), _)
                if is_flag && ["off", "none", "no"].contains(&text.as_str()) =>
            {
                Some("write `false`".into())
            }
            (Value::String(text), _) if is_flag && ["on", "yes"].contains(&text.as_str()) => {
                Some("write `true`".into())
            }
            (Value::Float, Kind::Percent) => {
                Some("write it in percent and as a string, such as `\"50%\"`".into())
            }
            (Value::Integer(n), Kind::Flag | Kind::Table(_)) => {
                let (name, key) = (self.key.name, self.number_key()?);
                Some(format!("write `{name} = {{ {key} = {n} }}`"))
            }
            (Value::Boolean(true), Kind::Text(example)) if self.has_table() => {
                Some(format!("write `{} = \"{example}\"`", self.key.name))
            }
            (Value::Integer(n), Kind::Percent) => Some(format!("write `\"{n}%\"`")),
            (Value::Integer(n), Kind::Duration) => Some(format!(
                "write `\"{n}s\"` for seconds or `\"{n}ms\"` for milliseconds"
            )),
            (Value::Integer(0), Kind::Size) if self.takes_word("0") => Some("write `\"0\"`".into()),
            (Value::Integer(n), Kind::Size) => Some(scalar::bytes_help(&n.to_string())),
            (Value::Integer(n), Kind::TextOrTexts(example)) if example.contains(':') => Some(
                format!("write `\":{n}\"` for the port or `\"{}:{n}\"`", "127.0.0.1"),
            ),
            (Value::String(text), Kind::Integer(..) | Kind::Numbers(_))
                if text.parse::<u64>().is_ok() =>
            {
                Some(format!("write `{text}` without quotes"))
            }
            (Value::Boolean(true), Kind::Integer(400, _)) => Some("write `403`".into()),
            (Value::Array(_), Kind::Table(table)) if table.title.starts_with('[') => {
                Some(format!("it is there once: its header is `{}`", table.title))
            }
            (Value::String(text), Kind::Flag) if text == "true" || text == "false" => {
                Some(format!("write `{text}` without quotes"))
            }
            (Value::String(text), Kind::Texts(_) | Kind::Items(_)) => {
                Some(format!("write `[\"{text}\"]`"))
            }
            _ => None,
        }
    }

    /// The key of the table that a bare number was most likely meant for.
    fn number_key(&self) -> Option<&'static str> {
        match self.key.name {
            "queue" => Some("requests"),
            "retry" => Some("max"),
            _ => None,
        }
    }

    /// Whether the value may be a table, so that a text is its short form.
    fn has_table(&self) -> bool {
        self.kinds()
            .iter()
            .any(|kind| matches!(kind, Kind::Table(_)))
    }

    pub(crate) fn text(&self, reader: &mut Reader) -> Option<Spanned<&'a str>> {
        let text = self.node.as_str();
        if text.is_none() {
            self.note_type(reader);
        }
        text
    }

    /// A text that says something.
    pub(crate) fn full_text(&self, reader: &mut Reader) -> Option<Spanned<&'a str>> {
        let text = self.text(reader)?;
        if text.value.trim().is_empty() {
            let message = format!("`{}` is empty", self.key.name);
            reader.note(
                Diagnostic::error(codes::EMPTY, text.span, message)
                    .help(format!("it takes {}", self.key.kind.describe())),
            );
            return None;
        }
        Some(text)
    }

    pub(crate) fn flag(&self, reader: &mut Reader) -> Option<bool> {
        match self.node.value {
            Value::Boolean(flag) => Some(flag),
            _ => {
                self.note_type(reader);
                None
            }
        }
    }

    /// An integer within the bounds that the table of keys gives.
    pub(crate) fn integer(&self, reader: &mut Reader) -> Option<Spanned<u64>> {
        let bounds = self.kinds().iter().find_map(|kind| match kind {
            Kind::Integer(min, max) => Some((*min, *max)),
            _ => None,
        });
        let (min, max) = bounds.unwrap_or((0, u64::MAX));
        self.integer_in(reader, min, max)
    }

    pub(crate) fn integer_in(
        &self,
        reader: &mut Reader,
        min: u64,
        max: u64,
    ) -> Option<Spanned<u64>> {
        let Value::Integer(integer) = self.node.value else {
            self.note_type(reader);
            return None;
        };
        if let Some(value) = u64::try_from(integer)
            .ok()
            .filter(|n| (min..=max).contains(n))
        {
            return Some(Spanned::new(value, self.node.span));
        }
        let takes = Kind::Integer(min, max).describe();
        let message = format!("`{}` takes {takes}", self.key.name);
        let diagnostic = Diagnostic::error(codes::OUT_OF_RANGE, self.node.span, message);
        reader.note(match integer {
            0 if self.takes_word("off") => diagnostic.help("write `\"off\"`"),
            _ => diagnostic,
        });
        None
    }

    /// One of the words of the table of keys.
    pub(crate) fn word(&self, reader: &mut Reader) -> Option<&'static str> {
        let text = self.text(reader)?;
        let words = self.kinds().iter().find_map(|kind| match kind {
            Kind::Words(words) => Some(*words),
            _ => None,
        })?;
        if let Some(word) = words.iter().find(|word| **word == text.value) {
            return Some(word);
        }
        let message = format!(
            "`{}` takes {}, not `{}`",
            self.key.name,
            one_of(words),
            text.value
        );
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_WORD, text.span, message);
        if let Some(near) = nearest(text.value, words.iter().copied()) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        reader.note(diagnostic);
        None
    }

    pub(crate) fn timeout(&self, reader: &mut Reader) -> Option<crate::model::Timeout> {
        let text = self.text(reader)?;
        reader
            .parse(text, codes::DURATION, scalar::timeout)
            .map(|timeout| timeout.value)
    }

    /// A list of strings; a single string too where the table of keys says so.
    pub(crate) fn texts(&self, reader: &mut Reader) -> Vec<Spanned<&'a str>> {
        if let (Some(text), Kind::TextOrTexts(_)) = (self.node.as_str(), self.key.kind) {
            return vec![text];
        }
        let Value::Array(items) = &self.node.value else {
            self.note_type(reader);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match item.as_str() {
                Some(text) => texts.push(text),
                None => {
                    let message = format!(
                        "an item of `{}` is a string, not {}",
                        self.key.name,
                        item.found()
                    );
                    let diagnostic = Diagnostic::error(codes::WRONG_TYPE, item.span, message);
                    reader.note(match item.value {
                        Value::Integer(n) => diagnostic.help(format!("write `\"{n}\"`")),
                        _ => diagnostic,
                    });
                }
            }
        }
        texts
    }

    /// The items of a list, whatever they are.
    pub(crate) fn items(&self, reader: &mut Reader) -> &'a [Node] {
        match &self.node.value {
            Value::Array(items) => items,
            _ => {
                self.note_type(reader);
                &[]
            }
        }
    }

    /// Notes an empty list that needs an item.
    pub(crate) fn note_empty(&self, reader: &mut Reader) {
        if matches!(&self.node.value, Value::Array(items) if items.is_empty()) {
            let message = format!("`{}` is empty", self.key.name);
            reader.note(
                Diagnostic::error(codes::EMPTY, self.node.span, message)
                    .help(format!("it takes {}", self.key.kind.describe())),
            );
        }
    }

    /// Notes items that are listed twice.
    pub(crate) fn note_twice<T: Eq + Hash>(
        &self,
        reader: &mut Reader,
        items: &[Spanned<T>],
        show: impl Fn(&T) -> String,
    ) {
        let mut first_at: HashMap<&T, Span> = HashMap::new();
        for item in items {
            if let Some(first) = first_at.insert(&item.value, item.span) {
                let message = format!(
                    "`{}` is listed twice in `{}`",
                    show(&item.value),
                    self.key.name
                );
                reader.note(
                    Diagnostic::error(codes::DUPLICATE_ENTRY, item.span, message)
                        .and(first, "first here")
                        .help("leave one of them out"),
                );
            }
        }
    }
}
