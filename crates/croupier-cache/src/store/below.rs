//! The disk below the memory: what goes down, and in which form.
//!
//! Everything that is kept is also written; who leaves memory is found there. A record of variants
//! goes down as an object with status 0, tags as lines without name, which no answer has, and so does which parts of it are held.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use foldhash::quality::RandomState;
use std::hash::BuildHasher;

use super::{purge::is_of_memory, reading::Read, sweep::Sweeps, variants::Variants};
use crate::{
    Body, Object, Terms,
    disk::Disk,
    object::{Tags, push_line},
    parts::Partial,
    rules::VaryNames,
};

/// Keys that were read once lately: a second time brings them into memory. More make a key forget
/// its first time, no more.
const SEEN: usize = 4096;
/// Bytes of a body that is written again when only its head has changed. A larger one keeps its
/// former head on disk, which at worst is asked about once more.
const REWRITTEN_MAX: u64 = 64 << 10;

/// The disk tier as the store uses it.
#[derive(Debug)]
pub(super) struct Below {
    pub(super) disk: Arc<Disk>,
    /// Who is being read: asked for at once by several, it is read once.
    pub(super) reads: Mutex<HashMap<Box<[u8]>, Weak<Read>, RandomState>>,
    pub(super) sweeps: Sweeps,
    hasher: RandomState,
    seen: Box<[AtomicU64]>,
}

impl Below {
    pub(super) fn new(disk: Arc<Disk>) -> Self {
        Self {
            disk,
            reads: Mutex::default(),
            sweeps: Sweeps::default(),
            hasher: RandomState::default(),
            seen: (0..SEEN).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn reads(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Weak<Read>, RandomState>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has this key been read lately? From now on it has.
    pub(super) fn is_again(&self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        let place = &self.seen[hash as usize % SEEN];
        place.swap(hash, Relaxed) == hash
    }

    /// Writes an object, some time soon.
    pub(super) fn write(&self, object: &Arc<Object>) {
        if object.tags().is_empty() && object.partial().is_none() {
            self.disk.write(object);
            return;
        }
        if object.tags().iter().any(|tag| is_of_memory(tag)) {
            return;
        }
        let mut lines = object.lines.to_vec();
        for tag in object.tags() {
            push_line(&mut lines, b"", tag);
        }
        if let Some(partial) = object.partial() {
            push_line(&mut lines, b"", &partial.encode());
        }
        self.disk.write(&Arc::new(Object::new(
            object.key.clone(),
            object.status,
            lines.into(),
            object.body.clone(),
            object.terms,
        )));
    }

    /// Writes an object whose head alone has changed.
    pub(super) fn write_head(&self, object: &Arc<Object>) {
        let costs_little = matches!(object.body, Body::Disk(_));
        if costs_little || object.body.length() <= REWRITTEN_MAX {
            self.write(object);
        }
    }

    /// Writes a record of variants.
    pub(super) fn write_record(&self, key: &[u8], variants: &Variants) {
        let stale_until = variants.stale_until().to_be_bytes();
        let half = |at: usize| {
            stale_until[at..at + 4]
                .try_into()
                .map_or(0, u32::from_be_bytes)
        };
        let terms = Terms {
            received_ms: variants.generation(),
            stale_while_revalidate: half(0),
            stale_if_error: half(4),
            ..Terms::default()
        };
        let lines = variants.names().as_bytes().into();
        let body = Body::Memory(Arc::from([]));
        self.disk
            .write(&Arc::new(Object::new(key.into(), 0, lines, body, terms)));
    }
}

/// A record, if this is one that was read.
pub(super) fn record(object: &Object) -> Option<Object> {
    if object.status != 0 {
        return None;
    }
    let terms = &object.terms;
    let names = VaryNames::from_bytes(&object.lines);
    let variants = Variants::new(names, terms.received_ms);
    let stale_until =
        u64::from(terms.stale_while_revalidate) << 32 | u64::from(terms.stale_if_error);
    variants.mark_stale(stale_until);
    Some(Object::of_variants(object.key.clone(), variants))
}

/// An object as it was before it was written.
pub(super) fn restored(object: Object) -> Object {
    let (end, tags) = tags(&object.lines);
    let length = object.body.length();
    let mut nameless = crate::object::lines(&object.lines[end..]);
    let partial = nameless.find_map(|(_, value)| Partial::decode(value, length));
    drop(nameless);
    if end == object.lines.len() {
        return object;
    }
    let lines = object.lines[..end].into();
    let same = Object::new(object.key, object.status, lines, object.body, object.terms);
    match partial {
        Some(partial) => same.with_parts(partial, tags),
        None => same.with_tags(tags),
    }
}

/// The tags among the lines, and where they begin.
pub(super) fn tags(lines: &[u8]) -> (usize, Tags) {
    let mut end = lines.len();
    let mut tags = Vec::new();
    for (name, value) in crate::object::lines(lines) {
        if name.is_empty() {
            // Behind its line: `: `, the tag, CRLF.
            end = end.min(value.as_ptr().addr() - lines.as_ptr().addr() - 2);
            if !Partial::is_encoded(value) {
                tags.push(Box::from(value));
            }
        }
    }
    (end, tags.into())
}
