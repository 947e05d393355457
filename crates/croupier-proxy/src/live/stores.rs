//! The stores of the cache: they outlive plans, so that a reload forgets nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use croupier_cache::store::{Settings, Store};

/// All stores, by all that the config says of them.
#[derive(Debug, Default)]
pub struct Stores {
    held: Mutex<Vec<Arc<Store>>>,
}

impl Stores {
    /// The store with these settings: the same object as long as somebody holds it. Other settings
    /// make another store, so that a plan that is never installed takes nothing from the one in
    /// force.
    #[must_use]
    pub fn store(&self, settings: &Settings) -> Arc<Store> {
        let mut held = self.held();
        if let Some(store) = held.iter().find(|store| store.settings() == settings) {
            return Arc::clone(store);
        }
        let store = Arc::new(Store::new(settings.clone()));
        held.push(Arc::clone(&store));
        store
    }

    /// All stores that somebody holds, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Store>> {
        let mut all = self.held().clone();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    /// Forgets stores that nobody holds any more.
    pub(super) fn release(&self) {
        self.held().retain(|store| Arc::strong_count(store) > 1);
    }

    fn held(&self) -> MutexGuard<'_, Vec<Arc<Store>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
