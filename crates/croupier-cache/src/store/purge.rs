//! What is taken out before its time, and what is not let in afterwards.
//!
//! A purge counts for what was fetched before it. What is in memory is removed or marked; what is
//! being fetched is cut off from who asks later, and at its end it finds the purge in a list of the
//! last ones and is not kept. If more purges have come meanwhile than the list holds, it is not
//! kept either.

use std::{
    collections::VecDeque,
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::key;
use crate::Object;

/// Purges that are remembered for what is being fetched.
const REMEMBERED_MAX: usize = 1024;

/// Which objects are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// What has this key: of a primary key all variants and slices, of a variant's key it alone.
    /// Found without a search; slices as long as they are in memory.
    Key(Box<[u8]>),
    /// Keys that begin so, as [`super::KeyBuf`] wrote it: a target whatever its further parts, or a
    /// scheme, an authority and the beginning of a path.
    Prefix(Box<[u8]>),
    /// All of a host, in lower case: with its port, or without for all ports.
    Host(Box<[u8]>),
    /// What has this tag.
    Tag(Box<[u8]>),
}

impl Which {
    /// All keys of one scheme, authority and beginning of a path.
    #[must_use]
    pub fn below(scheme: &str, authority: &str, path: &str) -> Self {
        let mut key = super::KeyBuf::new();
        key.begin(scheme, authority, path, None::<&str>);
        // Without the ends of path and query: longer paths begin so too.
        let bytes = key.as_bytes();
        Self::Prefix(bytes[..bytes.len() - 2].into())
    }

    /// One target, whatever else of the request is part of its keys.
    #[must_use]
    pub fn target(scheme: &str, authority: &str, path: &str, query: Option<&str>) -> Self {
        let mut key = super::KeyBuf::new();
        key.begin(scheme, authority, path, query);
        Self::Prefix(key.as_bytes().into())
    }

    /// Is it about what is never on disk? Then nobody walks there for it.
    pub(super) fn is_of_memory(&self) -> bool {
        matches!(self, Self::Tag(tag) if is_of_memory(tag))
    }

    /// Is this object meant?
    #[must_use]
    pub fn is_of(&self, object: &Object) -> bool {
        self.means(&object.key, object.tags())
    }

    pub(super) fn means(&self, key: &[u8], tags: &[Box<[u8]>]) -> bool {
        match self {
            Self::All => true,
            Self::Key(one) => key == &**one || key::whole(key) == &**one,
            Self::Prefix(prefix) => key.starts_with(prefix),
            Self::Host(host) => {
                let authority = key::parts(key).authority;
                authority == &**host || key::host(authority) == &**host
            }
            Self::Tag(tag) => tags.iter().any(|one| one == tag),
        }
    }
}

/// A tag that begins so is of an answer that stays in memory alone: a purge by it costs no walk along
/// the disk, so that whoever may cause one causes no work. No origin can write it: tags end at a space.
pub const MEMORY_TAG: &[u8] = b"QUERY ";

pub(super) fn is_of_memory(tag: &[u8]) -> bool {
    tag.starts_with(MEMORY_TAG)
}

/// What becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// They are stale from now on: asked for again, and still there when that fails.
    Soft,
    /// They are gone.
    Hard,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Objects.
    pub objects: u64,
    /// Bytes of their keys, heads and bodies.
    pub bytes: u64,
}

impl Purged {
    pub(super) fn add(&mut self, object: &Object) {
        if object.is_answer() {
            self.objects += 1;
            self.bytes += object.size();
        }
    }
}

/// The last purges.
#[derive(Debug, Default)]
pub(super) struct Purges {
    /// Read before anything is asked, so that whatever comes after counts.
    epoch: AtomicU64,
    remembered: RwLock<Remembered>,
}

/// What the lock protects. Who brings something in holds it for reading, so that no purge begins
/// between the question and the act.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// With their numbers, oldest first.
    last: VecDeque<(u64, Which)>,
    /// Those that are still searching.
    searching: Vec<(u64, Which)>,
}

impl Purges {
    /// The number of the last purge.
    pub(super) fn epoch(&self) -> u64 {
        // What is read after this number must not be from before its purge.
        self.epoch.load(Ordering::SeqCst)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Remembered> {
        let remembered = self.remembered.read();
        remembered.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Remembered> {
        let remembered = self.remembered.write();
        remembered.unwrap_or_else(PoisonError::into_inner)
    }

    /// A purge begins. Returns its number.
    pub(super) fn begin(&self, remembered: &mut Remembered, which: &Which) -> u64 {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        if remembered.last.len() >= REMEMBERED_MAX {
            remembered.last.pop_front();
        }
        remembered.last.push_back((epoch, which.clone()));
        remembered.searching.push((epoch, which.clone()));
        epoch
    }

    /// It has searched everything.
    pub(super) fn end(&self, epoch: u64) {
        self.write().searching.retain(|(one, _)| *one != epoch);
    }
}

impl Remembered {
    /// Was there a purge of such an object after `epoch`, or may there have been?
    pub(super) fn has(&self, epoch: u64, key: &[u8], tags: &[Box<[u8]>]) -> bool {
        let newer = || self.last.iter().rev().take_while(|(one, _)| *one > epoch);
        let is_forgotten = self.last.len() >= REMEMBERED_MAX
            && self.last.front().is_some_and(|(one, _)| *one > epoch + 1);
        is_forgotten || newer().any(|(_, which)| which.means(key, tags))
    }

    /// Is there one on its way?
    pub(super) fn searches(&self, key: &[u8], tags: &[Box<[u8]>]) -> bool {
        self.searching
            .iter()
            .any(|(_, which)| which.means(key, tags))
    }
}
