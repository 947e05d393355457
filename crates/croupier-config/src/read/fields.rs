//! A table of the tree under its table of keys: what is there, of which type, and what should not be there.

use std::collections::HashMap;
use std::hash::Hash;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Kind, Table, all_of, one_of};
use crate::nearest::nearest;
use crate::read::{Reader, scalar};
use crate::source::{Span, Spanned};
use crate::tree::{Entry, Node, Value};

/// One table that is being read. Unknown keys have been noted when it was opened.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    spec: &'static Table,
    pub(crate) span: Span,
    /// Keys that unknown ones were most likely meant to be: they are not missing too.
    meant: Vec<&'static str>,
}

/// One key that is there.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) key: &'static Key,
    /// Where the key itself stands.
    pub(crate) name: Span,
    pub(crate) node: &'a Node,
}

/// Words of other programs, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("proxy_pass", "proxy"),
    ("reverse_proxy", "proxy"),
    ("server_name", "aliases"),
    ("location", "routes"),
    ("locations", "routes"),
    ("return", "respond"),
    ("addr", "address"),
    ("url", "address"),
    ("method", "methods"),
    ("route", "routes"),
    ("threads", "workers"),
    ("match", "path"),
    ("prefix", "path"),
    ("backlog", "listen"),
    ("bind", "listen"),
    ("code", "status"),
    ("delete", "remove"),
    ("file", "path"),
    ("output", "path"),
    ("content", "body"),
    ("level", "log_level"),
];

impl<'a> Fields<'a> {
    /// Opens a table; notes it when the node is none.
    pub(crate) fn open(reader: &mut Reader, node: &'a Node, spec: &'static Table) -> Option<Self> {
        let Some(entries) = node.as_table() else {
            let message = format!("`{}` is a table, not {}", spec.title, node.found());
            reader.note(Diagnostic::error(codes::WRONG_TYPE, node.span, message));
            return None;
        };
        let fields = Self {
            entries,
            spec,
            span: node.span,
        };
        for entry in entries {
            if spec.key(&entry.key).is_none() {
                fields.note_unknown(reader, entry);
            }
        }
        Some(fields)
    }

    /// Says what is known; returns the key that was most likely meant.
    fn note_unknown(&self, reader: &mut Reader, entry: &Entry) -> Option<&'static str> {
        let name = entry.key.value.as_str();
        let message = if name.is_empty() {
            "a key without a name".to_owned()
        } else {
            format!("unknown key `{name}` in {}", title_of(self.spec))
        };
        let diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, entry.key.span, message);
        let is_header =
            self.spec.title == "headers" && matches!(entry.node.value, Value::String(_));
        let elsewhere = ELSEWHERE
            .iter()
            .find(|(theirs, ours)| name == *theirs && self.spec.key(ours).is_some())
            .map(|(_, ours)| *ours);
        let near = nearest(name, self.spec.names());
        let diagnostic = if is_header {
            diagnostic.help(format!(
                "edits are `headers.request = {{ set = {{ {name} = .. }} }}` or `headers.response`; a condition of a route is `header = {{ {name} = .. }}`"
            ))
        } else if self.spec.later.contains(&name) {
            diagnostic.help(format!("`{name}` comes with a later version"))
        } else if let Some(ours) = elsewhere {
            diagnostic.help(format!("here it is called `{ours}`"))
        } else if let Some(near) = near {
            diagnostic.help(format!("did you mean `{near}`?"))
        } else if let Some(home) = self.home_of(name) {
            diagnostic.help(format!("`{name}` belongs to {home}"))
        } else {
            let names: Vec<&str> = self.spec.names().collect();
            diagnostic.help(format!("the keys here are {}", all_of(&names)))
        };
        reader.note(diagnostic);
        elsewhere.or(near)
    }

    /// Whether an unknown key was most likely meant to be one of these.
    pub(crate) fn meant(&self, names: &[&str]) -> bool {
        self.meant.iter().any(|meant| names.contains(meant))
    }

    /// The top-level table that has the key, when this one has not.
    fn home_of(&self, name: &str) -> Option<String> {
        use crate::keys::{LIMITS, POOL, ROOT, ROUTE, SERVER_TABLE, SITE, TIMEOUTS};
        if ROOT.key(name).is_some() {
            return Some("the top level, before the first header".into());
        }
        [&SERVER_TABLE, &TIMEOUTS, &LIMITS, &POOL, &SITE, &ROUTE]
            .into_iter()
            .find(|table| table.key(name).is_some())
            .map(title_of)
    }

    /// A key, if it is there.
    pub(crate) fn get(&self, name: &'static str) -> Option<Field<'a>> {
        let key = self.spec.key(name);
        debug_assert!(
            key.is_some(),
            "the table of keys has no `{name}` in {}",
            self.spec.title
        );
        #[cfg(test)]
        seen::record(self.spec.title, name);
        let entry = self.entries.iter().find(|entry| entry.key.value == name)?;
        Some(Field {
            key: key?,
            name: entry.key.span,
            node: &entry.node,
        })
    }

    /// A key that has no default.
    pub(crate) fn need(&self, reader: &mut Reader, name: &'static str) -> Option<Field<'a>> {
        let field = self.get(name);
        if field.is_none() && !self.meant(&[name]) {
            let takes = self
                .spec
                .key(name)
                .map(|key| key.kind.describe())
                .unwrap_or_default();
            reader.note(
                Diagnostic::error(
                    codes::MISSING_KEY,
                    self.span,
                    format!("`{name}` is missing"),
                )
                .help(format!("it takes {takes}")),
            );
        }
        field
    }

    /// A key that is a table itself.
    pub(crate) fn table(
        &self,
        reader: &mut Reader,
        name: &'static str,
        spec: &'static Table,
    ) -> Option<Fields<'a>> {
        let field = self.get(name)?;
        if field.node.as_table().is_none() {
            field.note_type(reader);
            return None;
        }
        Fields::open(reader, field.node, spec)
    }

    /// The keys of `names` that are there.
    pub(crate) fn among(&self, names: &[&'static str]) -> Vec<Field<'a>> {
        let mut there: Vec<Field<'a>> = names.iter().filter_map(|name| self.get(name)).collect();
        there.sort_by_key(|field| field.name);
        there
    }
}

/// How a message calls a table.
fn title_of(table: &Table) -> String {
    match table.title {
        "Top level" => "the top level".into(),
        "headers.request and headers.response" => "header edits".into(),
        title if title.starts_with(char::is_uppercase) => title.to_lowercase(),
        title => format!("`{title}`"),
    }
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
        let kinds = match &self.key.kind {
            Kind::Either(kinds) => kinds,
            kind => std::slice::from_ref(kind),
        };
        match (&node.value, kinds.first()?) {
            (Value::Integer(n), Kind::Duration) => Some(format!(
                "write `\"{n}s\"` for seconds or `\"{n}ms\"` for milliseconds"
            )),
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
        match self.key.kind {
            Kind::Integer(min, max) => self.integer_in(reader, min, max),
            _ => self.integer_in(reader, 0, u64::MAX),
        }
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
        reader.note(Diagnostic::error(
            codes::OUT_OF_RANGE,
            self.node.span,
            message,
        ));
        None
    }

    /// One of the words of the table of keys.
    pub(crate) fn word(&self, reader: &mut Reader) -> Option<&'static str> {
        let text = self.text(reader)?;
        let Kind::Words(words) = self.key.kind else {
            return None;
        };
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
                    reader.note(Diagnostic::error(codes::WRONG_TYPE, item.span, message));
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
                        .and(first, "first here"),
                );
            }
        }
    }
}

/// Which keys the reader ever asked for, so that a test can hold that against the table of keys.
#[cfg(test)]
pub(crate) mod seen {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static SEEN: RefCell<BTreeSet<(&'static str, &'static str)>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(crate) fn record(table: &'static str, key: &'static str) {
        SEEN.with_borrow_mut(|seen| seen.insert((table, key)));
    }

    pub(crate) fn take() -> BTreeSet<(&'static str, &'static str)> {
        SEEN.take()
    }
}
