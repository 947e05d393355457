//! The memory tier: an index by full keys that holds objects up to a weight.
//!
//! `quick_cache` decides what stays: a relative of S3-FIFO, so that a scan passes through without
//! driving out what is asked for again. Locks are one per shard, and nothing runs within them but
//! the index itself: what had to go is handed back.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
};

use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync::Cache};

use crate::Object;

/// Bytes of a usual object: an estimate, from which it follows how many recently evicted keys are
/// remembered: one for two objects of this size.
const USUAL: u64 = 4096;
/// More shards than this take memory and no waiting off.
const SHARDS_MAX: u64 = 64;

/// The index.
pub(super) struct Memory<B = foldhash::quality::RandomState> {
    cache: Cache<Key, Arc<Object>, Weight, B, Leaving>,
}

/// An object by its key. It is a second pointer to the object, so that the index has no copy.
struct Key(Arc<Object>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        <[u8] as Hash>::hash(&self.0.key, state);
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0.key
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Object>> for Weight {
    fn weight(&self, _: &Key, object: &Arc<Object>) -> u64 {
        object.weight()
    }
}

/// Collects what had to go.
#[derive(Clone)]
struct Leaving;

impl Lifecycle<Key, Arc<Object>> for Leaving {
    type RequestState = Vec<Arc<Object>>;

    fn on_evict(&self, gone: &mut Self::RequestState, _: Key, object: Arc<Object>) {
        gone.push(object);
    }
}

impl<B: BuildHasher + Clone> Memory<B> {
    /// An empty index for objects of `capacity` bytes together, each of at most `largest`.
    #[expect(
        clippy::expect_used,
        reason = "`build` asks for two numbers and has them"
    )]
    pub(super) fn new(capacity: u64, largest: u64, hasher: B) -> Self {
        // A shard takes what weighs less than nearly all of it; twice as much leaves it choices.
        let shards = (capacity / largest.saturating_mul(2).max(1)).clamp(1, SHARDS_MAX);
        let shards = 1_usize << shards.ilog2();
        let items = usize::try_from(capacity / USUAL).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(shards)
            // The library makes fewer shards if there are less than 32 items for each.
            .estimated_items_capacity(items.max(shards * 32))
            .weight_capacity(capacity)
            .build()
            .expect("items and weight are given");
        Self {
            cache: Cache::with_options(options, Weight, hasher, Leaving),
        }
    }

    /// What has this key; it counts as asked for. Allocates nothing.
    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<Object>> {
        self.cache.get(key)
    }

    /// What has this key; nothing is counted.
    pub(super) fn peek(&self, key: &[u8]) -> Option<Arc<Object>> {
        self.cache.peek(key)
    }

    /// Holds an object in place of what has its key. Returns what had to go: the one before it,
    /// others, or itself.
    #[must_use]
    pub(super) fn insert(&self, object: Arc<Object>) -> Vec<Arc<Object>> {
        let mut gone = Vec::new();
        let key = Key(Arc::clone(&object));
        self.cache.insert_with_lifecycle(key, object, &mut gone);
        gone
    }

    /// Lets this object go, if it is still the one that has its key.
    pub(super) fn remove(&self, object: &Arc<Object>) -> bool {
        let is_it = |held: &Arc<Object>| Arc::ptr_eq(held, object);
        self.cache.remove_if(&*object.key, is_it).is_some()
    }

    /// All objects; a lock is held for one step at a time. What comes or goes meanwhile may be seen
    /// or not.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<Object>> + '_ {
        self.cache.iter().map(|(_, object)| object)
    }

    /// Bytes held.
    pub(super) fn weight(&self) -> u64 {
        self.cache.weight()
    }
}

impl<B> std::fmt::Debug for Memory<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Terms};

    /// Whatever is hashed, it comes to the same.
    #[derive(Clone, Default)]
    struct Same;

    impl Hasher for Same {
        fn finish(&self) -> u64 {
            7
        }
        fn write(&mut self, _: &[u8]) {}
    }

    impl BuildHasher for Same {
        type Hasher = Self;
        fn build_hasher(&self) -> Self {
            Self
        }
    }

    fn object(key: &str) -> Arc<Object> {
        let body = Body::Memory(Arc::from(key.as_bytes()));
        Arc::new(Object::new(
            key.as_bytes().into(),
            200,
            Box::default(),
            body,
            Terms::default(),
        ))
    }

    #[test]
    fn keys_whose_hashes_are_equal_are_told_apart() {
        let memory = Memory::new(1 << 20, 1 << 16, Same);
        for number in 0..100 {
            assert!(memory.insert(object(&format!("key {number}"))).is_empty());
        }
        for number in 0..100 {
            let key = format!("key {number}");
            let held = memory.get(key.as_bytes()).unwrap();
            assert_eq!(&*held.key, key.as_bytes());
        }
        assert!(memory.get(b"key 100").is_none());
        let ninth = memory.peek(b"key 9").unwrap();
        assert!(memory.remove(&ninth) && !memory.remove(&ninth));
        assert!(memory.get(b"key 9").is_none() && memory.get(b"key 90").is_some());
    }

    #[test]
    fn what_takes_a_place_hands_back_what_had_it() {
        let memory = Memory::new(1 << 20, 1 << 16, Same);
        let first = object("a");
        assert!(memory.insert(Arc::clone(&first)).is_empty());
        let gone = memory.insert(object("a"));
        assert!(gone.len() == 1 && Arc::ptr_eq(&gone[0], &first));
        assert!(!memory.remove(&first), "it is another one now");
        assert_eq!(memory.iter().count(), 1);
    }
}
