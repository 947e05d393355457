//! What lies where, in memory: 24 bytes an object, and what the table adds.
//!
//! Keyed by hash alone; the key is compared when the record is read. Split into shards, so that
//! workers rarely meet.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

const SHARDS: usize = 64;

/// Where the latest record of a hash lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u32,
    /// Bytes of the record.
    pub(super) length: u32,
    pub(super) flags: u32,
}

impl Place {
    /// Somebody asked for it since it was written.
    pub(super) const HIT: u32 = 1;
    /// It was marked stale since it was written.
    pub(super) const STALE: u32 = 1 << 1;
    /// Its body is in an earlier record.
    pub(super) const REFERENCE: u32 = 1 << 2;

    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn is_at(&self, other: &Self) -> bool {
        (self.segment, self.offset) == (other.segment, other.offset)
    }
}

/// Hashes are hashes already: SipHash under a secret.
#[derive(Clone, Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Default)]
struct Shard {
    places: HashMap<u64, Place, BuildHasherDefault<Same>>,
    bytes: u64,
}

pub(super) struct Index {
    shards: Vec<Mutex<Shard>>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// From the middle of the hash: the tables themselves use both ends.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, hash: u64) -> Option<Place> {
        self.shard(hash).places.get(&hash).copied()
    }

    /// Sets flags of what is there; returns it as it was.
    pub(super) fn flag(&self, hash: u64, flags: u32) -> Option<Place> {
        let mut shard = self.shard(hash);
        let place = shard.places.get_mut(&hash)?;
        let was = *place;
        place.flags |= flags;
        Some(was)
    }

    pub(super) fn put(&self, hash: u64, place: Place) {
        let mut shard = self.shard(hash);
        shard.bytes += u64::from(place.length);
        if let Some(was) = shard.places.insert(hash, place) {
            shard.bytes -= u64::from(was.length);
        }
    }

    /// Moves what is at `from`, unless it is there no more.
    pub(super) fn shift(&self, hash: u64, from: &Place, to: Place) -> bool {
        let mut shard = self.shard(hash);
        let Some(place) = shard.places.get_mut(&hash) else {
            return false;
        };
        if !place.is_at(from) {
            return false;
        }
        let was = std::mem::replace(place, to);
        shard.bytes = shard.bytes + u64::from(to.length) - u64::from(was.length);
        true
    }

    pub(super) fn remove(&self, hash: u64) -> Option<Place> {
        let mut shard = self.shard(hash);
        let was = shard.places.remove(&hash)?;
        shard.bytes -= u64::from(was.length);
        Some(was)
    }

    /// Removes what is at `from`, unless it is there no more.
    pub(super) fn remove_at(&self, hash: u64, from: &Place) -> bool {
        let mut shard = self.shard(hash);
        let is_there = shard
            .places
            .get(&hash)
            .is_some_and(|place| place.is_at(from));
        if is_there {
            shard.places.remove(&hash);
            shard.bytes -= u64::from(from.length);
        }
        is_there
    }

    /// Removes all; returns how many there were.
    pub(super) fn clear(&self) -> u64 {
        let mut count = 0;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            count += shard.places.len() as u64;
            *shard = Shard::default();
        }
        count
    }

    /// Removes all that is in a segment, by looking at everything; returns how many there were.
    pub(super) fn remove_segment(&self, segment: u32) -> u64 {
        let mut count = 0;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let mut bytes = 0;
            let removed = |place: &mut Place| place.segment == segment;
            let gone = shard.places.extract_if(|_, place| removed(place));
            for (_, place) in gone {
                bytes += u64::from(place.length);
                count += 1;
            }
            shard.bytes -= bytes;
        }
        count
    }

    /// Makes room for so many more at once.
    pub(super) fn reserve(&self, count: usize) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.places.reserve(count / SHARDS);
        }
    }

    /// Objects and bytes of their records.
    pub(super) fn sums(&self) -> (u64, u64) {
        let mut sums = (0, 0);
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            sums.0 += shard.places.len() as u64;
            sums.1 += shard.bytes;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(segment: u32, length: u32) -> Place {
        Place {
            segment,
            offset: 16,
            length,
            flags: 0,
        }
    }

    #[test]
    fn an_entry_costs_24_bytes() {
        assert_eq!(size_of::<(u64, Place)>(), 24);
    }

    #[test]
    fn bytes_and_objects_are_counted_through_every_change() {
        let index = Index::new();
        index.put(1, place(1, 100));
        index.put(2, place(1, 10));
        index.put(1, place(2, 50));
        assert_eq!(index.sums(), (2, 60));
        assert!(!index.shift(1, &place(1, 100), place(3, 9)));
        assert!(index.shift(1, &place(2, 50), place(3, 9)));
        assert!(!index.remove_at(1, &place(2, 50)));
        assert_eq!(index.sums(), (2, 19));
        assert!(index.remove_at(1, &place(3, 9)));
        assert_eq!(index.remove(2), Some(place(1, 10)));
        assert_eq!((index.sums(), index.clear()), ((0, 0), 0));
    }

    #[test]
    fn flags_are_added_and_the_place_is_told_as_it_was() {
        let index = Index::new();
        index.put(1, place(1, 100));
        assert_eq!(index.flag(1, Place::HIT), Some(place(1, 100)));
        assert!(index.flag(1, Place::STALE).unwrap().has(Place::HIT));
        assert_eq!(index.find(1).unwrap().flags, Place::HIT | Place::STALE);
        assert_eq!(index.flag(2, Place::HIT), None);
    }
}
