//! Which fields tell the variants of one key apart (RFC 9111 section 4.1), and which there are.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use croupier_http::Fields;

use super::key;
use crate::{
    Object,
    rules::vary::{NAMES_MAX, VaryNames, variant},
};

/// Variants of one key that are kept; the oldest goes for one more.
pub(super) const VARIANTS_MAX: usize = 64;

/// The record of a key's variants. Its generation is part of their keys: what an earlier record
/// counted is never found by a later one.
#[derive(Debug)]
pub(crate) struct Variants {
    names: VaryNames,
    generation: u64,
    /// Variants on disk that were received until then are stale, milliseconds since 1970.
    stale_until: AtomicU64,
    /// Oldest first. They may have been evicted meanwhile.
    held: Mutex<VecDeque<Weak<Object>>>,
}

impl Variants {
    pub(super) fn new(names: VaryNames, generation: u64) -> Self {
        Self {
            names,
            generation,
            stale_until: AtomicU64::new(0),
            held: Mutex::default(),
        }
    }

    pub(super) fn names(&self) -> &VaryNames {
        &self.names
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn stale_until(&self) -> u64 {
        self.stale_until.load(Relaxed)
    }

    /// A purge has marked all that were received until then.
    pub(super) fn mark_stale(&self, until_ms: u64) {
        self.stale_until.fetch_max(until_ms, Relaxed);
    }

    /// Bytes beside those of an object; as if its list were full, since a weight must not change.
    pub(crate) fn weight(&self) -> u64 {
        let list = VARIANTS_MAX * size_of::<Weak<Object>>() + size_of::<Self>();
        (list + self.names.as_bytes().len()) as u64
    }

    /// Writes the key of the variant that a request is for.
    pub(super) fn key(&self, primary: &[u8], asked: &Fields, out: &mut Vec<u8>) {
        key::begin_variant(primary, self.generation, out);
        variant(&self.names, asked, out);
    }

    /// Counts a variant. Returns the oldest, if there are too many now.
    pub(super) fn add(&self, object: &Arc<Object>) -> Option<Arc<Object>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= VARIANTS_MAX {
            held.retain(|one| one.strong_count() > 0);
        }
        // What replaces its predecessor takes its place in the list.
        held.retain(|one| one.upgrade().is_some_and(|one| one.key != object.key));
        let oldest = (held.len() >= VARIANTS_MAX).then(|| held.pop_front());
        held.push_back(Arc::downgrade(object));
        oldest.flatten().and_then(|oldest| oldest.upgrade())
    }

    /// All that are held.
    pub(super) fn all(&self) -> Vec<Arc<Object>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Are all of these among those?
pub(super) fn is_within(these: &VaryNames, those: &VaryNames) -> bool {
    these.iter().all(|name| those.iter().any(|one| one == name))
}

/// Both lists; only the first if that makes too many. An origin that varies now by this and now by
/// that settles at the union instead of losing its variants each time.
pub(super) fn union(first: &VaryNames, second: &VaryNames) -> VaryNames {
    let mut names: Vec<&[u8]> = first.iter().chain(second.iter()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > NAMES_MAX {
        return first.clone();
    }
    VaryNames::from_bytes(&names.join(&b","[..]))
}
