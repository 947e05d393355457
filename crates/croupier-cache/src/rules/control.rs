//! What a request asks of caches, and what a response tells them: `Cache-Control` (RFC 9111 section
//! 5.2), `CDN-Cache-Control` (RFC 9213), `Surrogate-Control`, and `Pragma` of old clients.

use croupier_http::{Fields, Name, NameSet};

use super::{
    list::{Argument, Directive, members},
    targeted::targeted,
};

/// What a request asks of caches. `Asked::default()` asks nothing: for routes that do not let
/// clients decide (RFC 9111 section 5.2.1 makes it all advisory).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// No older than this, seconds.
    pub max_age: Option<u32>,
    /// Fresh for as long as this yet, seconds.
    pub min_fresh: Option<u32>,
    /// Stale for no longer than this, seconds; `u32::MAX` is: however long.
    pub max_stale: Option<u32>,
    /// Stale for no longer than this when asking fails, seconds (RFC 5861 section 4).
    pub stale_if_error: Option<u32>,
    wishes: Wish,
}

/// A set of wishes that carry no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish(u8);

impl Wish {
    /// `no-cache`: ask the origin first. Also `Pragma: no-cache` without `Cache-Control`.
    pub const NO_CACHE: Self = Self(1);
    /// `no-store`: keep nothing of it, and give nothing kept.
    pub const NO_STORE: Self = Self(1 << 1);
    /// `only-if-cached`: from here or not at all (504).
    pub const ONLY_IF_CACHED: Self = Self(1 << 2);
    /// `no-transform`.
    pub const NO_TRANSFORM: Self = Self(1 << 3);
}

/// The fields by which a request asks anything of caches.
const ASKING: NameSet = NameSet::of(&[Name::CACHE_CONTROL, Name::PRAGMA]);

impl Asked {
    /// What the fields of a request ask. One bit test when they hold nothing of the kind. Of a
    /// directive that comes twice the first counts; a number that is none is not there.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let mut asked = Self::default();
        if !fields.present().intersects(ASKING) {
            return asked;
        }
        if !fields.contains(Name::CACHE_CONTROL) {
            let mut pragmas = fields.all(Name::PRAGMA).flat_map(members);
            if pragmas.any(|member| member.eq_ignore_ascii_case(b"no-cache")) {
                asked.wish(Wish::NO_CACHE);
            }
            return asked;
        }
        for member in fields.all(Name::CACHE_CONTROL).flat_map(members) {
            asked.hear(&Directive::read(member));
        }
        asked
    }

    fn hear(&mut self, directive: &Directive<'_>) {
        if directive.is(b"no-cache") {
            self.wish(Wish::NO_CACHE);
        } else if directive.is(b"no-store") {
            self.wish(Wish::NO_STORE);
        } else if directive.is(b"only-if-cached") {
            self.wish(Wish::ONLY_IF_CACHED);
        } else if directive.is(b"no-transform") {
            self.wish(Wish::NO_TRANSFORM);
        } else if directive.is(b"max-age") {
            self.max_age = self.max_age.or_else(|| directive.seconds());
        } else if directive.is(b"min-fresh") {
            self.min_fresh = self.min_fresh.or_else(|| directive.seconds());
        } else if directive.is(b"max-stale") {
            let any = (directive.argument == Argument::None).then_some(u32::MAX);
            self.max_stale = self.max_stale.or(any).or_else(|| directive.seconds());
        } else if directive.is(b"stale-if-error") {
            self.stale_if_error = self.stale_if_error.or_else(|| directive.seconds());
        }
    }

    fn wish(&mut self, wish: Wish) {
        self.wishes.0 |= wish.0;
    }

    /// Does it wish this?
    #[must_use]
    pub const fn wishes(&self, wish: Wish) -> bool {
        self.wishes.0 & wish.0 != 0
    }
}

/// What a response tells shared caches. `Expires` is not in it: see [`super::storing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Seconds; 0 for a value that is no number: such an answer is stale (RFC 9111 section 4.2.1).
    pub max_age: Option<u32>,
    /// The same, for shared caches: beats `max_age`.
    pub s_maxage: Option<u32>,
    /// Seconds (RFC 5861 section 3). A value that is no number is not there.
    pub stale_while_revalidate: Option<u32>,
    /// Seconds (RFC 5861 section 4).
    pub stale_if_error: Option<u32>,
    words: Word,
}

/// A set of what responses say without a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(u16);

impl Word {
    /// `no-store`.
    pub const NO_STORE: Self = Self(1);
    /// `no-cache` without a list of fields, or with one that is none.
    pub const NO_CACHE: Self = Self(1 << 1);
    /// `private`, likewise.
    pub const PRIVATE: Self = Self(1 << 2);
    /// `public`.
    pub const PUBLIC: Self = Self(1 << 3);
    /// `must-revalidate`.
    pub const MUST_REVALIDATE: Self = Self(1 << 4);
    /// `proxy-revalidate`.
    pub const PROXY_REVALIDATE: Self = Self(1 << 5);
    /// `must-understand` (section 5.2.2.3).
    pub const MUST_UNDERSTAND: Self = Self(1 << 6);
    /// `no-transform`.
    pub const NO_TRANSFORM: Self = Self(1 << 7);
    /// `immutable` (RFC 8246).
    pub const IMMUTABLE: Self = Self(1 << 8);
    /// `no-cache` or `private` names fields that are not to be kept: see [`withheld`].
    pub const WITHHOLDS: Self = Self(1 << 9);
    /// A targeted field spoke: `Cache-Control` and `Expires` were not heard.
    pub const TARGETED: Self = Self(1 << 10);
}

/// The directives without a number, and whether their argument may be a list of fields.
pub(super) const WORDS: [(&[u8], Word); 9] = [
    (b"no-store", Word::NO_STORE),
    (b"no-cache", Word::NO_CACHE),
    (b"private", Word::PRIVATE),
    (b"public", Word::PUBLIC),
    (b"must-revalidate", Word::MUST_REVALIDATE),
    (b"proxy-revalidate", Word::PROXY_REVALIDATE),
    (b"must-understand", Word::MUST_UNDERSTAND),
    (b"no-transform", Word::NO_TRANSFORM),
    (b"immutable", Word::IMMUTABLE),
];

impl Told {
    /// What the fields of a response tell: `CDN-Cache-Control` alone if there is a lawful one that
    /// is not empty (RFC 9213 section 2.2), else `Surrogate-Control` if it says anything about
    /// keeping, else `Cache-Control`. `Pragma` tells nothing (RFC 9111 section 5.4). Of a directive
    /// that comes twice the first counts, in `CDN-Cache-Control` the last.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        if let Some(told) = targeted(fields) {
            return told;
        }
        let mut told = Self::default();
        for member in fields.all(Name::CACHE_CONTROL).flat_map(members) {
            told.hear(&Directive::read(member));
        }
        told
    }

    fn hear(&mut self, directive: &Directive<'_>) {
        // No number is stale at once, and not a reason to look further.
        let number = || directive.seconds().or(Some(0));
        if directive.is(b"max-age") {
            self.max_age = self.max_age.or_else(number);
        } else if directive.is(b"s-maxage") {
            self.s_maxage = self.s_maxage.or_else(number);
        } else if directive.is(b"stale-while-revalidate") {
            let seconds = || directive.seconds();
            self.stale_while_revalidate = self.stale_while_revalidate.or_else(seconds);
        } else if directive.is(b"stale-if-error") {
            let seconds = || directive.seconds();
            self.stale_if_error = self.stale_if_error.or_else(seconds);
        } else if let Some((_, word)) = WORDS.iter().find(|(name, _)| directive.is(name)) {
            let lists =
                matches!(*word, Word::NO_CACHE | Word::PRIVATE) && directive.names().is_some();
            self.say(if lists { Word::WITHHOLDS } else { *word });
        }
    }

    pub(super) fn say(&mut self, word: Word) {
        self.words.0 |= word.0;
    }

    pub(super) fn unsay(&mut self, word: Word) {
        self.words.0 &= !word.0;
    }

    /// Does it say one of these?
    #[must_use]
    pub const fn says(&self, word: Word) -> bool {
        self.words.0 & word.0 != 0
    }

    /// Is stale use forbidden altogether?
    #[must_use]
    pub const fn forbids_stale(&self) -> bool {
        self.says(Word(
            Word::NO_CACHE.0 | Word::MUST_REVALIDATE.0 | Word::PROXY_REVALIDATE.0,
        ))
    }

    /// May it answer others than who asked with `Authorization` (RFC 9111 section 3.5)?
    #[must_use]
    pub const fn is_for_all(&self) -> bool {
        self.s_maxage.is_some() || self.says(Word(Word::PUBLIC.0 | Word::MUST_REVALIDATE.0))
    }
}

/// Is this field named by `no-cache="..."` or `private="..."`, and so not to be kept (RFC 9111
/// sections 5.2.2.4 and 5.2.2.7)? `told` must be what `fields` tell.
#[must_use]
pub fn withheld(told: &Told, fields: &Fields, name: &[u8]) -> bool {
    if !told.says(Word::WITHHOLDS) {
        return false;
    }
    let source = if told.says(Word::TARGETED) {
        Name::CDN_CACHE_CONTROL
    } else {
        Name::CACHE_CONTROL
    };
    fields
        .all(source)
        .flat_map(members)
        .map(Directive::read)
        .filter(|directive| directive.is(b"no-cache") || directive.is(b"private"))
        .filter_map(|directive| directive.names())
        .flatten()
        .any(|listed| listed.eq_ignore_ascii_case(name))
}
