//! What answers are looked up by.
//!
//! ```text
//! primary key    scheme 00 authority 00 path 00 [?query] 00 part 00 part 00 ... [02 slice]
//! variant key    primary key 01 generation variant
//! ```
//!
//! Keys are compared in full. Bytes 00 to 03 within a part are escaped, so that no two sets of
//! parts make one key, and a key's first 01 is where its variant begins.

use std::cell::{Cell, RefCell};

/// Begins the variant.
const VARIANT: u8 = 1;
/// Begins a slice's number.
const SLICE: u8 = 2;
/// Stands before a byte that would be one of these.
const ESCAPE: u8 = 3;

/// A key that is being written: recycled, so that looking up allocates nothing.
#[derive(Debug, Default)]
pub struct KeyBuf {
    bytes: Vec<u8>,
    /// The variant's key, while one is looked up.
    pub(super) variant: RefCell<Vec<u8>>,
    /// What the last look-up found, so that a claim notices what has come since. Never read from.
    pub(super) seen: Cell<usize>,
}

impl KeyBuf {
    /// An empty one; allocates on first use.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a key: exactly what is going to be asked for. `None` and an empty query differ.
    pub fn begin(
        &mut self,
        scheme: impl AsRef<[u8]>,
        authority: impl AsRef<[u8]>,
        path: impl AsRef<[u8]>,
        query: Option<impl AsRef<[u8]>>,
    ) {
        self.bytes.clear();
        self.seen.set(0);
        self.part(scheme);
        self.part(authority);
        self.part(path);
        if let Some(query) = &query {
            self.bytes.push(b'?');
            escape(query.as_ref(), &mut self.bytes);
        }
        self.bytes.push(0);
    }

    /// Appends whatever else tells keys apart.
    pub fn part(&mut self, part: impl AsRef<[u8]>) {
        escape(part.as_ref(), &mut self.bytes);
        self.bytes.push(0);
    }

    /// Makes it the key of one slice of a large answer. Comes last.
    pub fn slice(&mut self, index: u32) {
        self.bytes.push(SLICE);
        self.bytes.extend_from_slice(&index.to_be_bytes());
    }

    /// The primary key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes a primary key as it was given by [`Self::as_bytes`].
    pub fn set(&mut self, primary: &[u8]) {
        self.bytes.clear();
        self.seen.set(0);
        self.bytes.extend_from_slice(primary);
    }
}

fn escape(part: &[u8], out: &mut Vec<u8>) {
    if part.iter().all(|&byte| byte > ESCAPE) {
        out.extend_from_slice(part);
        return;
    }
    for &byte in part {
        if byte <= ESCAPE {
            out.extend_from_slice(&[ESCAPE, byte + b'0']);
        } else {
            out.push(byte);
        }
    }
}

/// A key in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// `https`, ...
    pub scheme: &'a [u8],
    /// Host and port.
    pub authority: &'a [u8],
    /// Escaped, which for lawful paths changes nothing.
    pub path: &'a [u8],
    /// With its `?`, or empty.
    pub query: &'a [u8],
}

/// The parts of a key that [`KeyBuf`] began. Missing ones are empty.
#[must_use]
pub fn parts(key: &[u8]) -> Parts<'_> {
    let mut parts = primary(key).split(|&byte| byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    Parts {
        scheme: next(),
        authority: next(),
        path: next(),
        query: next(),
    }
}

/// Without its variant. A slice's number may hold any byte, so it is stepped over.
pub(super) fn primary(key: &[u8]) -> &[u8] {
    match key
        .iter()
        .position(|&byte| byte == VARIANT || byte == SLICE)
    {
        Some(at) if key[at] == SLICE => &key[..key.len().min(at + 5)],
        Some(at) => &key[..at],
        None => key,
    }
}

/// Without variant and slice: what a purge of the whole names.
pub(super) fn whole(key: &[u8]) -> &[u8] {
    let end = key
        .iter()
        .position(|&byte| byte == VARIANT || byte == SLICE);
    &key[..end.unwrap_or(key.len())]
}

pub(super) fn is_slice(key: &[u8]) -> bool {
    key.get(whole(key).len()) == Some(&SLICE)
}

/// Writes the key of a variant up to where its values begin.
pub(super) fn begin_variant(primary: &[u8], generation: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(primary);
    out.push(VARIANT);
    out.extend_from_slice(&generation.to_be_bytes());
}

/// The host of an authority, its port left out.
pub(super) fn host(authority: &[u8]) -> &[u8] {
    let colon = authority.iter().rposition(|&byte| byte == b':');
    match colon {
        Some(at) if authority[at + 1..].iter().all(u8::is_ascii_digit) => &authority[..at],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[&[u8]]) -> Vec<u8> {
        let mut key = KeyBuf::new();
        key.begin("https", "a:8443", "/x", Some("q=1"));
        for part in parts {
            key.part(part);
        }
        key.as_bytes().to_vec()
    }

    #[test]
    fn no_two_sets_of_parts_make_one_key() {
        let all: [&[&[u8]]; 8] = [
            &[],
            &[b""],
            &[b"", b""],
            &[b"a\0b"],
            &[b"a", b"b"],
            &[b"a\x030b"],
            &[b"a\x01\0\0\0\0\0\0\0\0b"],
            &[b"a\x02b"],
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(key(one), key(other), "{one:?} {other:?}");
            }
        }
        let mut with = KeyBuf::new();
        with.begin("http", "a", "/", Some(""));
        let mut without = KeyBuf::new();
        without.begin("http", "a", "/", None::<&str>);
        assert_ne!(with.as_bytes(), without.as_bytes());
    }

    #[test]
    fn a_key_comes_apart_where_it_was_put_together() {
        let mut slice = KeyBuf::new();
        slice.set(&key(&[b"\x01\x02"]));
        let alone = slice.as_bytes().to_vec();
        slice.slice(0x0102_0001);
        let mut variant = Vec::new();
        begin_variant(slice.as_bytes(), 0x0101_0202, &mut variant);
        assert_eq!(primary(&variant), slice.as_bytes());
        assert_eq!(whole(&variant), alone);
        assert!(is_slice(&variant) && !is_slice(&alone));
        let parts = parts(&variant);
        assert_eq!(
            (parts.scheme, parts.authority, parts.path, parts.query),
            (&b"https"[..], &b"a:8443"[..], &b"/x"[..], &b"?q=1"[..])
        );
        assert_eq!(host(parts.authority), b"a");
        assert_eq!(host(b"[::1]"), b"[::1]");
    }
}
