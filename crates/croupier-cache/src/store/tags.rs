//! Which objects have a tag. Bounded by memory: what a tag costs is part of its object's weight, and
//! who leaves memory leaves this index.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use foldhash::quality::RandomState;

use super::key;
use crate::Object;

/// Bytes that one tag of one object costs beside twice its own: its place in the object, in the
/// index, and in the list of those that have it.
pub(crate) const WEIGHT: u64 = 160;

/// Objects by the place of their memory: it is not used again as long as something weak points there.
type Having = HashMap<usize, Weak<Object>, RandomState>;

/// The index.
#[derive(Debug, Default)]
pub(super) struct Tags {
    tags: Mutex<HashMap<Box<[u8]>, Having, RandomState>>,
}

fn place(object: &Arc<Object>) -> usize {
    Arc::as_ptr(object).addr()
}

impl Tags {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Having, RandomState>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn entered(&self, object: &Arc<Object>) {
        let is_slice = key::is_slice(&object.key);
        if object.tags().is_empty() && !is_slice {
            return;
        }
        let mut tags = self.lock();
        for tag in object.tags() {
            let having = tags.entry(tag.clone()).or_default();
            having.insert(place(object), Arc::downgrade(object));
        }
        if is_slice {
            let having = tags.entry(slices(&object.key).into()).or_default();
            having.insert(place(object), Arc::downgrade(object));
        }
    }

    pub(super) fn left(&self, object: &Arc<Object>) {
        let is_slice = key::is_slice(&object.key);
        if object.tags().is_empty() && !is_slice {
            return;
        }
        let own = is_slice.then(|| slices(&object.key));
        let all = object.tags().iter().map(|tag| &**tag);
        let mut tags = self.lock();
        for tag in all.chain(own.as_deref()) {
            let Some(having) = tags.get_mut(tag) else {
                continue;
            };
            having.remove(&place(object));
            if having.is_empty() {
                tags.remove(tag);
            }
        }
    }

    /// Who has the tag.
    pub(super) fn all(&self, tag: &[u8]) -> Vec<Arc<Object>> {
        let tags = self.lock();
        let having = tags.get(tag).into_iter().flat_map(HashMap::values);
        having.filter_map(Weak::upgrade).collect()
    }

    /// The slices of a key.
    pub(super) fn slices(&self, whole: &[u8]) -> Vec<Arc<Object>> {
        self.all(&slices(whole))
    }

    /// Tags in the index.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }
}

/// The slices of a key are found by a tag that no answer can have: field values hold no NUL.
fn slices(key: &[u8]) -> Vec<u8> {
    let mut tag = vec![0];
    tag.extend_from_slice(key::whole(key));
    tag
}
