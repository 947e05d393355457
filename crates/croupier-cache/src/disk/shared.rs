//! What the threads of a disk tier and its callers share.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{
    counts::Counters,
    events::Events,
    footer,
    index::Index,
    reads::Reads,
    record::{Fixed, HEAD_MAX, Kind},
    segment::Segment,
    settings::Settings,
    superblock::Keyer,
    writes::Writes,
};
use crate::{Body, Object};

type Segments = BTreeMap<u32, Arc<Segment>>;

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) segment_bytes: u64,
    pub(super) keyer: Keyer,
    pub(super) index: Index,
    pub(super) counters: Counters,
    pub(super) events: Events,
    pub(super) reads: Reads,
    pub(super) writes: Writes,
    segments: RwLock<Segments>,
    #[cfg(test)]
    pub(super) gate: super::tests::Gate,
}

impl Shared {
    pub(super) fn new(settings: &Settings, keyer: Keyer) -> Self {
        Self {
            segment_bytes: settings.segment_bytes(),
            keyer,
            index: Index::new(),
            counters: Counters::default(),
            events: Events::default(),
            reads: Reads::new(settings.reads),
            writes: Writes::default(),
            segments: RwLock::default(),
            settings: settings.clone(),
            #[cfg(test)]
            gate: super::tests::Gate::default(),
        }
    }

    pub(super) fn segment(&self, id: u32) -> Option<Arc<Segment>> {
        self.segments().get(&id).cloned()
    }

    pub(super) fn segments(&self) -> RwLockReadGuard<'_, Segments> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segments_mut(&self) -> RwLockWriteGuard<'_, Segments> {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// May a record of this object be made, with its body in it?
    pub(super) fn has_room_for(&self, object: &Object) -> bool {
        let body = match &object.body {
            Body::Memory(body) => body.len() as u64,
            Body::Disk(extent) => extent.length(),
        };
        let parts = object.key.len().max(object.lines.len()).max(1);
        if body > self.settings.object_max || body > self.segment_bytes || parts > HEAD_MAX {
            return false;
        }
        let fixed = Fixed {
            key_length: object.key.len() as u32,
            lines_length: object.lines.len() as u32,
            body_length: body as u32,
            ..Fixed::plain(Kind::Object)
        };
        fixed.head_length() <= HEAD_MAX as u64
            && fixed.length() + footer::length(1) <= self.segment_bytes
    }

    /// Before each write. Only tests have something to say here.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the other one uses it")]
    pub(super) fn gate(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn gate(&self) -> io::Result<()> {
        self.gate.pass()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        f.debug_struct("Disk")
            .field("path", &settings.path)
            .finish_non_exhaustive()
    }
}
