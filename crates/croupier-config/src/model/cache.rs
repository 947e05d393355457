//! What is kept of answers, where, and for whom: `[cache.NAME]`, and `cache` of a site or route.

use std::path::PathBuf;
use std::time::Duration;

use super::{HashKey, Percent, Switch, Trusted};
use crate::source::{Span, Spanned};

/// Index of a store in [`super::Config::stores`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub usize);

/// `[cache.NAME]`: memory, and a disk perhaps, in which answers are kept.
#[derive(Clone, Debug)]
pub struct CacheStore {
    pub name: Spanned<String>,
    /// Bytes; 1 MiB to 16 TiB.
    pub memory: u64,
    pub disk: Option<CacheDisk>,
    /// A larger body is not kept, bytes; never more than fits.
    pub max_object: u64,
    /// A larger body is kept in slices of this size, bytes; a power of two, 64 KiB to 16 MiB.
    pub slice: u64,
    pub span: Span,
}

impl CacheStore {
    /// The store of `cache = true`, when the config defines none of this name.
    pub const IMPLICIT: &'static str = "default";
    /// Memory of a store when nothing else is written, bytes.
    pub const MEMORY: u64 = 256 << 20;
    /// Memory of the store that nobody wrote, bytes.
    pub const IMPLICIT_MEMORY: u64 = 64 << 20;
    /// The size of a slice when nothing else is written, bytes.
    pub const SLICE: u64 = 1 << 20;
    /// No answer in memory is larger than one part of so many: a few large ones must not drive out the others.
    pub const MEMORY_PARTS: u64 = 16;
    /// The largest body of a store with a disk when nothing else is written, bytes.
    const MAX_OBJECT_ON_DISK: u64 = 1 << 30;

    /// The largest body when nothing else is written: on a disk 1 GiB or all of it, else a sixteenth of the memory.
    pub(crate) fn max_object(memory: u64, disk: Option<&CacheDisk>) -> u64 {
        match disk {
            Some(disk) => Self::MAX_OBJECT_ON_DISK.min(disk.size),
            None => memory / Self::MEMORY_PARTS,
        }
    }

    pub(crate) fn implicit(at: Span) -> Self {
        Self {
            name: Spanned::new(Self::IMPLICIT.into(), at),
            memory: Self::IMPLICIT_MEMORY,
            disk: None,
            max_object: Self::max_object(Self::IMPLICIT_MEMORY, None),
            slice: Self::SLICE,
            span: at,
        }
    }
}

/// `disk = { path = .., size = .. }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheDisk {
    /// A directory; no two stores have the same.
    pub path: Spanned<PathBuf>,
    /// Bytes; at least 16 MiB.
    pub size: u64,
}

/// What one route keeps of its answers, nothing left to inherit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    pub store: StoreId,
    /// The freshness of answers that state none; `None`: guessed, or not kept.
    pub ttl: Option<Duration>,
    /// Freshness is guessed as this share of the time since `Last-Modified`; `None`: never.
    pub heuristic: Option<Percent>,
    /// Grace while an answer is asked for again, for answers that state none.
    pub stale_while_revalidate: Duration,
    /// Grace while asking fails, for answers that state none.
    pub stale_if_error: Duration,
    /// Parameters that are no part of the key.
    pub ignore_query: Vec<NamePattern>,
    /// Parameters are sorted by name in the key.
    pub sort_query: bool,
    /// More of a request that is part of the key: headers and cookies only.
    pub key: Vec<HashKey>,
    pub cookies: KeepCookies,
    /// Requests with such a cookie neither read nor fill.
    pub bypass_cookies: Vec<NamePattern>,
    /// Whose `PURGE` requests are obeyed; empty: nobody's.
    pub purge_from: Vec<Spanned<Trusted>>,
    /// How long a request waits for another one's answer before it asks itself.
    pub collapse_wait: Duration,
    /// Say in `Cache-Status` (RFC 9211) what came of it.
    pub status: bool,
}

impl Cache {
    /// What is kept when nothing else is written.
    pub fn of(store: StoreId) -> Self {
        Self {
            store,
            ttl: None,
            heuristic: Some(Percent::whole(10)),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_secs(3600),
            ignore_query: Vec::new(),
            sort_query: false,
            key: Vec::new(),
            cookies: KeepCookies::Refuse,
            bypass_cookies: Vec::new(),
            purge_from: Vec::new(),
            collapse_wait: Duration::from_secs(5),
            status: true,
        }
    }
}

/// What becomes of answers with `Set-Cookie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeepCookies {
    /// They are not kept: a cookie is meant for one client.
    #[default]
    Refuse,
    /// They are kept, cookie and all.
    Store,
}

/// `cache` of a site or route: what it says lies over what is wider, key by key.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CacheEdits {
    pub store: Option<Spanned<StoreId>>,
    pub ttl: Option<Duration>,
    pub heuristic: Option<Option<Percent>>,
    pub stale_while_revalidate: Option<Duration>,
    pub stale_if_error: Option<Duration>,
    pub ignore_query: Option<Vec<NamePattern>>,
    pub sort_query: Option<bool>,
    pub key: Option<Vec<HashKey>>,
    pub cookies: Option<KeepCookies>,
    pub bypass_cookies: Option<Vec<NamePattern>>,
    pub purge_from: Option<Vec<Spanned<Trusted>>>,
    pub collapse_wait: Option<Duration>,
    pub status: Option<bool>,
    /// Where it is written.
    pub span: Span,
}

impl CacheEdits {
    /// Lays these over what is wider.
    pub fn apply(&self, cache: &mut Cache) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(from) = from {
                to.clone_from(from);
            }
        }
        set(
            &mut cache.store,
            self.store.as_ref().map(|store| &store.value),
        );
        cache.ttl = self.ttl.or(cache.ttl);
        set(&mut cache.heuristic, self.heuristic.as_ref());
        set(
            &mut cache.stale_while_revalidate,
            self.stale_while_revalidate.as_ref(),
        );
        set(&mut cache.stale_if_error, self.stale_if_error.as_ref());
        set(&mut cache.ignore_query, self.ignore_query.as_ref());
        set(&mut cache.sort_query, self.sort_query.as_ref());
        set(&mut cache.key, self.key.as_ref());
        set(&mut cache.cookies, self.cookies.as_ref());
        set(&mut cache.bypass_cookies, self.bypass_cookies.as_ref());
        set(&mut cache.purge_from, self.purge_from.as_ref());
        set(&mut cache.collapse_wait, self.collapse_wait.as_ref());
        set(&mut cache.status, self.status.as_ref());
    }
}

/// What a site and its route say of the cache, widest first; `None`: nothing is kept.
pub(super) fn laid_over<'a>(
    site: Option<&'a Switch<CacheEdits>>,
    route: Option<&'a Switch<CacheEdits>>,
) -> Option<Vec<&'a CacheEdits>> {
    let on = |switch: Option<&'a Switch<CacheEdits>>| match switch {
        Some(Switch::On(edits)) => Some(edits),
        _ => None,
    };
    match (site, route) {
        (None, None) | (_, Some(Switch::Off)) | (Some(Switch::Off), None) => None,
        _ => Some([on(site), on(route)].into_iter().flatten().collect()),
    }
}

/// A name, or the beginning of names: `"utm_*"`. Compared with case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern {
    /// Without `*`.
    pub text: String,
    /// Whether names may go on after the text.
    pub is_prefix: bool,
}

impl NamePattern {
    /// Whether it takes this name.
    pub fn takes(&self, name: &[u8]) -> bool {
        match self.is_prefix {
            true => name.starts_with(self.text.as_bytes()),
            false => name == self.text.as_bytes(),
        }
    }
}

impl std::fmt::Display for NamePattern {
    /// As it is written in the config.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        f.write_str(if self.is_prefix { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::NamePattern;

    #[test]
    fn a_pattern_takes_a_name_or_what_begins_like_it() {
        let pattern = |text: &str, is_prefix| NamePattern {
            text: text.into(),
            is_prefix,
        };
        assert!(pattern("utm_", true).takes(b"utm_source"));
        assert!(!pattern("utm_", true).takes(b"UTM_source"));
        assert!(pattern("sid", false).takes(b"sid"));
        assert!(!pattern("sid", false).takes(b"sid2"));
        assert!(pattern("", true).takes(b"anything"));
        assert_eq!(pattern("utm_", true).to_string(), "utm_*");
    }
}
