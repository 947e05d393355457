//! The stores of the cache and the disks below them: they outlive plans, so that a reload forgets
//! nothing.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use croupier_cache::{
    disk::{self, Disk, OpenError},
    store::{Settings, Store},
};

/// All stores, by all that the config says of them, and all disks, by their directories.
#[derive(Debug, Default)]
pub struct Stores {
    held: Mutex<Vec<(Option<PathBuf>, Arc<Store>)>>,
    disks: Mutex<Vec<(PathBuf, Arc<Disk>)>>,
}

impl Stores {
    /// The store with these settings above the disk in this directory, if that is open: the same
    /// object as long as somebody holds it. Other settings make another store, so that a plan that is
    /// never installed takes nothing from the one in force.
    #[must_use]
    pub fn store(&self, settings: &Settings, path: Option<&Path>) -> Arc<Store> {
        let disk = path.and_then(|path| self.disk(path));
        let path = path.filter(|_| disk.is_some());
        let mut held = locked(&self.held);
        let known = held
            .iter()
            .find(|(at, store)| at.as_deref() == path && store.settings() == settings);
        if let Some((_, store)) = known {
            return Arc::clone(store);
        }
        let store = Arc::new(Store::with_disk(settings.clone(), disk));
        held.push((path.map(Path::to_path_buf), Arc::clone(&store)));
        store
    }

    /// Opens a disk, unless its directory is open already: then it stays as it is, whatever its
    /// size is to be. Blocks. Who asks for it next gets it; until then nobody holds it.
    ///
    /// # Errors
    /// Why it can not be used.
    pub fn open(&self, settings: &disk::Settings) -> Result<(), OpenError> {
        if self.disk(&settings.path).is_none() {
            let disk = Arc::new(Disk::open(settings)?);
            locked(&self.disks).push((settings.path.clone(), disk));
        }
        Ok(())
    }

    /// The disk in this directory, if it is open.
    #[must_use]
    pub fn disk(&self, path: &Path) -> Option<Arc<Disk>> {
        let disks = locked(&self.disks);
        let found = disks.iter().find(|(known, _)| known == path);
        found.map(|(_, disk)| Arc::clone(disk))
    }

    /// All disks that are open, with their directories.
    #[must_use]
    pub fn disks(&self) -> Vec<(PathBuf, Arc<Disk>)> {
        locked(&self.disks).clone()
    }

    /// Forgets stores and disks that nobody holds any more.
    pub(super) fn release(&self) {
        locked(&self.held).retain(|(_, store)| Arc::strong_count(store) > 1);
        let mut disks = locked(&self.disks);
        let is_free = |(_, disk): &mut (PathBuf, Arc<Disk>)| Arc::strong_count(disk) == 1;
        let gone: Vec<_> = disks.extract_if(.., is_free).collect();
        drop(disks);
        if !gone.is_empty() {
            // What waits to be written is written first: nobody waits here for that.
            std::thread::spawn(move || drop(gone));
        }
    }
}

fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
