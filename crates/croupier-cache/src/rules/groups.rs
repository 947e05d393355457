//! Tags by which answers are purged together: `Cache-Groups` (RFC 9875), `Surrogate-Key` and
//! `Cache-Tag`.
//!
//! A tag of any of the three is what an operator purges by. A group is besides bound to its origin,
//! so that an origin's `Cache-Group-Invalidation` never reaches another's answers.

use croupier_http::Fields;

use super::structured::{Item, list};

/// Tags of one answer; what comes behind them is not heard (RFC 9875 section 2 wants at least 32).
pub const TAGS_MAX: usize = 128;
/// Bytes of one tag; longer ones are not heard (the RFC wants at least 32).
pub const TAG_BYTES_MAX: usize = 1024;

/// Parts a group from its origin in a bound tag: occurs in neither.
const BOND: u8 = 0;

/// The tags of an answer, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Vec<Box<[u8]>>);

impl Tags {
    /// The tags that an answer of `origin` bears. `origin` is its scheme and authority in normal
    /// form, as in [`bound`].
    #[must_use]
    pub fn of(fields: &Fields, origin: &[u8]) -> Self {
        let mut tags = Self::default();
        for line in fields.all_named(b"surrogate-key") {
            let keys = line.split(|byte| matches!(byte, b' ' | b'\t'));
            keys.for_each(|key| tags.add(key));
        }
        for line in fields.all_named(b"cache-tag") {
            let names = line.split(|&byte| byte == b',');
            names.for_each(|name| tags.add(name.trim_ascii()));
        }
        groups(fields, b"cache-groups", |group| {
            tags.add(group);
            tags.add(&bound(origin, group));
        });
        tags
    }

    fn add(&mut self, tag: &[u8]) {
        let is_heard = !tag.is_empty() && tag.len() <= TAG_BYTES_MAX && self.0.len() < TAGS_MAX;
        if is_heard && !self.0.iter().any(|held| **held == *tag) {
            self.0.push(tag.into());
        }
    }

    /// No tags?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|tag| &**tag)
    }
}

/// The tags whose answers `Cache-Group-Invalidation` makes stale. To be asked only of answers to
/// unsafe requests that are no errors: [`super::invalidate::invalidates`] (RFC 9875 section 3).
#[must_use]
pub fn invalidated(fields: &Fields, origin: &[u8]) -> Tags {
    let mut tags = Tags::default();
    groups(fields, b"cache-group-invalidation", |group| {
        tags.add(&bound(origin, group));
    });
    tags
}

/// The tag of a group of an origin: `https://example.com` and `a` are one tag together.
#[must_use]
pub fn bound(origin: &[u8], group: &[u8]) -> Vec<u8> {
    let mut tag = Vec::with_capacity(origin.len() + 1 + group.len());
    tag.extend_from_slice(origin);
    tag.push(BOND);
    tag.extend_from_slice(group);
    tag
}

/// The strings of a structured list of them. A field that is none is not heard at all; a member that
/// is no string breaks it. Groups are compared with case, byte by byte.
fn groups(fields: &Fields, name: &[u8], mut show: impl FnMut(&[u8])) {
    let read = |show: &mut dyn FnMut(&[u8])| {
        let mut lines = fields.all_named(name);
        lines.try_for_each(|line| {
            list(line, |item| match item {
                Item::String(text) => {
                    show(text);
                    Ok(())
                }
                _ => Err(super::structured::Broken),
            })
        })
    };
    // Once to see that all of it is lawful.
    if read(&mut |_| {}).is_ok() {
        let _ = read(&mut |text| show(&unescaped(text)));
    }
}

/// A string's bytes, `\"` and `\\` undone.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => plain.extend(bytes.next()),
            _ => plain.push(*byte),
        }
    }
    plain
}
