//! The stores of the cache: they outlive plans, so that a reload forgets nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use croupier_cache::store::{Settings, Store};

/// All stores, by all that the config says of them.
#[derive(Debug, Default)]
pub struct Stores {
    held: Mutex<HashMap<Settings, Arc<Store>>>,
}

impl Stores {
    /// The store with these settings: the same object as long as somebody holds it. Other settings
    /// make another store, so that a plan that is never installed takes nothing from the one in
    /// force.
    #[must_use]
    pub fn store(&self, settings: &Settings) -> Arc<Store> {
        let mut held = self.held();
        let store = held
            .entry(settings.clone())
            .or_insert_with(|| Arc::new(Store::new(settings.clone())));
        Arc::clone(store)
    }

    /// All stores that somebody holds, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Store>> {
        let mut all: Vec<_> = self.held().values().cloned().collect();
        all.sort_by(|a, b| a.settings().name.cmp(&b.settings().name));
        all
    }

    /// Forgets stores that nobody holds any more.
    pub(super) fn release(&self) {
        self.held().retain(|_, store| Arc::strong_count(store) > 1);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Settings, Arc<Store>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
