//! Space: the oldest segment goes. Objects of it that somebody asked for since they were written
//! are carried over into the open segment, as long as that gives no more than a quarter of it to
//! them: so a cache that is all hits still makes room.

use std::{io, sync::Arc};

use super::{
    footer::{self, Entry},
    index::Place,
    log::{Bytes, Log, Trouble},
    record::{Fixed, Head, Kind},
    segment::{self, Segment, Walk},
};
use crate::Rules;

/// The part of a segment that may be carried over into it.
const CARRIED_SHARE: u64 = 4;

impl Log {
    /// Gives the space of the oldest sealed segment back.
    pub(super) fn reclaim(&mut self) -> io::Result<()> {
        let Some(&id) = self.sealed.keys().next() else {
            return Ok(());
        };
        let segment = self.shared.segment(id);
        if let Some(segment) = &segment {
            self.empty(segment);
        }
        self.shared.segments_mut().remove(&id);
        match self.directory.remove(&segment::name(id)) {
            // Somebody was faster.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.sealed.remove(&id);
        self.shared.counters.reclaimed.bump();
        self.count();
        Ok(())
    }

    /// Takes all of a segment's objects out of the index, or carries them over.
    fn empty(&mut self, segment: &Arc<Segment>) {
        let keyer = self.shared.keyer;
        let footer = segment
            .file
            .metadata()
            .and_then(|metadata| footer::read(&segment.file, segment.id, metadata.len(), &keyer));
        let Ok(Some((entries, _))) = footer else {
            let count = self.shared.index.remove_segment(segment.id);
            self.shared.counters.reclaimed_objects.add(count);
            return;
        };
        let end = u64::from(segment.length());
        let mut walk = Walk::new(&segment.file, segment.id, end, &keyer);
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Object) {
            self.let_go(segment, entry, &mut walk);
        }
        // A reference goes when it is the one that lies here.
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Reference) {
            let here = super::recover::place(segment.id, entry);
            if self.shared.index.remove_at(entry.hash, &here) {
                self.shared.counters.reclaimed_objects.bump();
            }
        }
    }

    fn let_go(&mut self, segment: &Arc<Segment>, entry: &Entry, walk: &mut Walk<'_>) {
        let Some(place) = self.shared.index.find(entry.hash) else {
            return;
        };
        let is_here = place.segment == segment.id && place.offset == entry.offset;
        let is_carried = if is_here {
            self.carry(segment, &place, walk)
        } else if place.has(Place::REFERENCE)
            && let Some(newer) = self.shared.segment(place.segment)
        {
            // A later record that may refer to the body here.
            let keyer = self.shared.keyer;
            let end = u64::from(newer.length());
            let mut walk = Walk::new(&newer.file, newer.id, end, &keyer);
            let head = walk.head(u64::from(place.offset));
            let refers = head.ok().flatten().is_some_and(|head| {
                let body = u64::from(head.fixed.body_offset);
                let record = u64::from(entry.offset);
                let end = record + u64::from(entry.length);
                head.fixed.body_segment == segment.id && (record..end).contains(&body)
            });
            if !refers {
                return;
            }
            self.carry(segment, &place, &mut walk)
        } else {
            return; // a later record stands for it
        };
        if is_carried {
            self.shared.counters.carried.bump();
        } else if self.shared.index.remove_at(entry.hash, &place) {
            self.shared.counters.reclaimed_objects.bump();
        }
    }

    /// Carries one object over, its body from `segment`. `walk` is where its head is.
    fn carry(&mut self, segment: &Arc<Segment>, place: &Place, walk: &mut Walk<'_>) -> bool {
        if !place.has(Place::HIT) {
            return false;
        }
        let Ok(Some(head)) = walk.head(u64::from(place.offset)) else {
            return false;
        };
        let fixed = Fixed {
            kind: Kind::Object,
            ..head.fixed
        };
        let length = fixed.length();
        let share = self.shared.segment_bytes / CARRIED_SHARE;
        if !self.has_room(length) {
            return false;
        }
        match &mut self.open {
            Some(open) if open.carried + length <= share => open.carried += length,
            _ => return false,
        }
        let mut terms = fixed.terms;
        if place.has(Place::STALE) {
            terms.rules = terms.rules.and(Rules::MARKED_STALE);
        }
        let head = Head {
            fixed: Fixed { terms, ..fixed },
            ..head
        };
        let bytes = Bytes::File {
            file: &segment.file,
            offset: u64::from(fixed.body_offset),
        };
        match self.append(head, &bytes) {
            // If it was removed meanwhile, its removal is going to be written behind it.
            Ok(to) => self.shared.index.shift(fixed.hash, place, to),
            Err(Trouble::Source) => {
                self.shared.counters.checksum_failures.bump();
                false
            }
            // The next write says so.
            Err(Trouble::Disk(_)) => false,
        }
    }
}
