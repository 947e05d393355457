//! The one table of all keys: name, kind, default, sentence.
//!
//! The reader asks it what a key may be, the suggestion what could have been meant, the schema and the reference
//! page what to print. A key that is not here does not exist.

mod cache;
mod pool;
mod tables;
mod tls;
mod traffic;

pub(crate) use cache::{CACHE, COMPRESS, DISK, STORE};
pub(crate) use pool::{EJECT, HASH, HEALTH, POOL, QUEUE, SECRET, SERVER, STICKY};
pub(crate) use tables::*;
pub(crate) use tls::{ACME, BINDING, CLIENT_AUTH, HSTS, POOL_TLS, PROXY_HEADER, SITE_TLS};
pub(crate) use traffic::{HEDGE, MIRROR, RETRY, SPLIT};

use crate::model::limits::{Amount, Entry, Unit};

/// A table of the config language.
pub(crate) struct Table {
    /// As the reference calls it: `[pool.NAME]`.
    pub(crate) title: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    /// Words that later versions know; the error says so.
    pub(crate) later: &'static [&'static str],
}

impl Table {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

/// One key of a table.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// As written in a file; empty: none.
    pub(crate) default: &'static str,
    /// One or two sentences.
    pub(crate) doc: &'static str,
    /// Entries of the limits table carry their bounds and default.
    pub(crate) entry: Option<&'static Entry>,
}

/// What a key takes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A string; the example shows its form.
    Text(&'static str),
    Flag,
    Integer(u64, u64),
    /// One of these integers.
    Numbers(&'static [u64]),
    Duration,
    Size,
    /// A share such as `"20%"`.
    Percent,
    /// One of these strings.
    Words(&'static [&'static str]),
    /// A list of strings; the example shows one.
    Texts(&'static str),
    /// One string or a list of strings.
    TextOrTexts(&'static str),
    Table(&'static Table),
    /// A list of tables.
    Tables(&'static Table),
    /// Tables by a name that the user gives.
    Named(&'static Table),
    /// Strings by header name.
    Lines,
    /// Conditions by header or parameter name.
    Conditions,
    Either(&'static [Self]),
    /// A list whose items are one of these.
    Items(&'static [Self]),
}

impl Kind {
    /// What belongs here, in words: "a string such as `\":80\"`".
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text(example) => format!("a string such as `\"{example}\"`"),
            Self::Flag => "`true` or `false`".into(),
            Self::Integer(min, max) if max > u64::from(u32::MAX) => {
                format!("an integer of at least {min}")
            }
            Self::Integer(min, max) => format!("an integer from {min} to {max}"),
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                one_of(&numbers.iter().map(String::as_str).collect::<Vec<_>>())
            }
            Self::Duration => "a duration such as `\"10s\"`, `\"500ms\"` or `\"1h30m\"`".into(),
            Self::Size => "a size such as `\"32KiB\"` or `\"1MB\"`".into(),
            Self::Percent => "a share such as `\"20%\"`".into(),
            Self::Words(words) => one_of(words),
            Self::Texts(example) => format!("a list of strings such as `[\"{example}\"]`"),
            Self::TextOrTexts(example) => {
                format!("a string such as `\"{example}\"` or a list of them")
            }
            Self::Table(table) => match table.keys.first() {
                Some(first) => format!("a table such as `{{ {} = .. }}`", first.name),
                None => "a table".into(),
            },
            Self::Tables(_) => "a list of tables".into(),
            Self::Named(table) => format!("tables such as `{}`", table.title),
            Self::Lines => "a table such as `{ X-Name = \"value\" }`".into(),
            Self::Conditions => {
                "a table such as `{ X-Name = \"value\", X-Other = \"~regex\", X-Third = true }`"
                    .into()
            }
            Self::Either(kinds) => kinds
                .iter()
                .map(|kind| kind.describe())
                .collect::<Vec<_>>()
                .join(", or "),
            Self::Items(kinds) => {
                format!("a list of items, each {}", Self::Either(kinds).describe())
            }
        }
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of(words: &[&str]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push_str(if index + 1 == words.len() {
                " or "
            } else {
                ", "
            });
        }
        text.push_str(&format!("`{word}`"));
    }
    text
}

/// "`a`, `b` and `c`".
pub(crate) fn all_of(words: &[&str]) -> String {
    one_of(words).replace("` or `", "` and `")
}

/// A key with its kind, default and sentence.
const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        doc,
        entry: None,
    }
}

/// A key made from a line of the limits table.
const fn entry_key(entry: &'static Entry) -> Key {
    let kind = match (entry.unit, entry.word) {
        (Unit::Duration, None) => Kind::Duration,
        (Unit::Duration, Some(_)) => Kind::Either(&[Kind::Duration, Kind::Words(&["off"])]),
        (Unit::Size, None) => Kind::Size,
        (Unit::Size, Some(_)) => Kind::Either(&[Kind::Size, Kind::Words(&["off"])]),
        (Unit::Count, None) => Kind::Integer(entry.bounds.0, entry.bounds.1),
        (Unit::Count, Some(_)) => {
            Kind::Either(&[Kind::Integer(1, u32::MAX as u64), Kind::Words(&["auto"])])
        }
    };
    Key {
        name: entry.name,
        kind,
        default: "",
        doc: entry.reason,
        entry: Some(entry),
    }
}

impl Key {
    /// The default as it would be written, or nothing.
    pub(crate) fn default_text(&self) -> String {
        match self.entry.map(|entry| entry.default) {
            None => self.default.to_owned(),
            Some(amount @ Amount::Count(_)) => amount.to_string(),
            Some(amount) => format!("\"{amount}\""),
        }
    }
}
