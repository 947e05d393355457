//! Old versions of answers, as dictionaries for new ones (RFC 9842): they stay when what is kept is
//! replaced or purged, since browsers still have them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest body that serves as a dictionary: the encoder needs several times as much memory.
pub const BYTES_MAX: usize = 4 << 20;
/// Versions of one thing.
const VERSIONS_MAX: usize = 8;
/// Dictionaries in all; a look-up reads their hashes.
const COUNT_MAX: usize = 256;
/// Bytes of all, most of which the cache holds as well.
const ALL_BYTES_MAX: usize = 64 << 20;

/// A body that a browser may have.
#[derive(Debug)]
pub struct Dictionary {
    /// Scheme and authority: nobody else's answers are coded against it.
    pub origin: Box<[u8]>,
    /// What it helps with, as it was told to browsers.
    pub matches: Box<str>,
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// All dictionaries, the last used one last.
#[derive(Debug, Default)]
pub struct Shelf {
    held: Mutex<Vec<Arc<Dictionary>>>,
}

impl Shelf {
    /// The dictionary of that origin with that hash.
    #[must_use]
    pub fn find(&self, origin: &[u8], hash: &[u8; 32]) -> Option<Arc<Dictionary>> {
        let mut held = self.held();
        let at = held
            .iter()
            .position(|one| one.hash == *hash && *one.origin == *origin)?;
        let found = held.remove(at);
        held.push(Arc::clone(&found));
        Some(found)
    }

    /// Keeps a body. Too many of its kind, or in all: those that were used longest ago go.
    pub fn keep(&self, new: Dictionary) {
        let is_it = |one: &Dictionary| one.hash == new.hash && one.origin == new.origin;
        if new.bytes.len() > BYTES_MAX || self.held().iter().any(|one| is_it(one)) {
            return;
        }
        let mut held = self.held();
        let is_akin =
            |one: &Arc<Dictionary>| one.matches == new.matches && one.origin == new.origin;
        if held.iter().filter(|one| is_akin(one)).count() >= VERSIONS_MAX
            && let Some(oldest) = held.iter().position(is_akin)
        {
            held.remove(oldest);
        }
        held.push(Arc::new(new));
        let mut bytes: usize = held.iter().map(|one| one.bytes.len()).sum();
        while bytes > ALL_BYTES_MAX || held.len() > COUNT_MAX {
            bytes -= held.remove(0).bytes.len();
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<Arc<Dictionary>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u8, bytes: usize) -> Dictionary {
        Dictionary {
            origin: Box::from(&b"https://a.test"[..]),
            matches: "/app.*.js".into(),
            hash: [number; 32],
            bytes: vec![number; bytes].into(),
        }
    }

    #[test]
    fn the_version_used_longest_ago_makes_room() {
        let shelf = Shelf::default();
        for number in 0..8 {
            shelf.keep(version(number, 10));
        }
        let find = |number: u8| shelf.find(b"https://a.test", &[number; 32]);
        assert!(find(0).is_some());
        shelf.keep(version(8, 10));
        assert!(find(0).is_some() && find(1).is_none() && find(8).is_some());
        assert!(shelf.find(b"https://b.test", &[0; 32]).is_none());
        shelf.keep(version(9, BYTES_MAX + 1));
        assert!(find(9).is_none(), "it is too large");
    }

    #[test]
    fn all_of_them_together_are_bounded() {
        let shelf = Shelf::default();
        for number in 0..40 {
            let matches = format!("/{number}.*.js").into();
            shelf.keep(Dictionary {
                matches,
                ..version(number, BYTES_MAX)
            });
        }
        let bytes: usize = shelf.held().iter().map(|one| one.bytes.len()).sum();
        assert_eq!(bytes, ALL_BYTES_MAX);
    }
}
