//! What was made of a body in the background comes to the object that has it.

use std::sync::Arc;

use super::Store;
use crate::{Body, Object, forms::Form};

/// So often it is tried when somebody else changes the object at the same moment.
const TRIES_MAX: usize = 4;

impl Store {
    /// What is held in memory under this key, of an object or a variant. It does not count as asked
    /// for.
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<Arc<Object>> {
        self.inner.memory.peek(key).filter(|held| held.is_answer())
    }

    /// The object under this key has its body in one more form from now on. False: it has another
    /// body by now, or none, or there is no room for it.
    ///
    /// A form that would make the object heavier than half as much again as the largest body may be
    /// is kept as one that is of no use: else the object could drive itself out.
    pub fn keep_form(&self, key: &[u8], body: &Arc<[u8]>, form: &Form) -> bool {
        let inner = &self.inner;
        for _ in 0..TRIES_MAX {
            let Some(held) = inner.memory.peek(key).filter(|held| has_body(held, body)) else {
                return false;
            };
            let bytes = form.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
            let most = inner.largest.saturating_add(inner.largest / 2);
            let mut form = form.clone();
            if held.weight().saturating_add(bytes) > most {
                form.bytes = None;
            }
            let Some(object) = held.with_form(form) else {
                return false;
            };
            // As with a refreshed object: what a purge is about to take does not come back.
            let remembered = inner.purges.read();
            if remembered.searches(&held.key, held.tags()) {
                return false;
            }
            if inner.replace(&held, &Arc::new(object)) {
                return true;
            }
        }
        false
    }
}

fn has_body(object: &Object, body: &Arc<[u8]>) -> bool {
    matches!(&object.body, Body::Memory(own) if Arc::ptr_eq(own, body))
}
