//! What a start makes of the files that it finds.
//!
//! Segments are taken oldest first; later records stand for earlier ones. A sealed segment is
//! known by its footer. One without a good footer is walked from head to head:
//!
//! ```text
//! heads to the end, or to the head of a footer      nothing is lost
//! a bad head, nothing good behind it, last segment  a torn tail: cut off
//! a bad head otherwise, or a segment that is gone   a break
//! ```
//!
//! At a break some records are lost, and they may have been removals. So everything older is
//! forgotten: better to ask the origin again than to give what was purged.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, sync::Arc};

use super::{
    directory::Directory,
    events::{Event, Events},
    footer::{self, Entry},
    index::{Index, Place},
    record::{ALIGNMENT, Head, Kind},
    segment::{self, Segment, Walk},
    superblock::{Keyer, u64_at},
};

/// The files that are in use from now on.
#[derive(Default)]
pub(super) struct Recovered {
    pub(super) segments: BTreeMap<u32, Arc<Segment>>,
    /// The last one, if it has no footer: its entries, and where it goes on.
    pub(super) open: Option<(u32, Vec<Entry>)>,
}

/// What one file came to.
struct Taken {
    entries: Vec<Entry>,
    /// Where its records end.
    end: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its footer is good.
    Sealed,
    /// All records to the head of a footer are good, the rest of the footer is not.
    BadFooter,
    /// There is no footer.
    Open,
}

pub(super) struct Recovery<'a> {
    pub(super) directory: &'a Directory,
    pub(super) keyer: &'a Keyer,
    pub(super) index: &'a Index,
    pub(super) events: &'a Events,
}

impl Recovery<'_> {
    /// Takes the segments with these ascending numbers.
    pub(super) fn run(&self, ids: &[u32]) -> io::Result<Recovered> {
        let mut recovered = Recovered::default();
        for (position, &id) in ids.iter().enumerate() {
            let is_last = position + 1 == ids.len();
            let before = id.checked_sub(1);
            let has_gap = position > 0 && ids.get(position - 1).copied() != before;
            if has_gap {
                self.forget(&mut recovered, id)?;
            }
            let (file, taken) = match self.take(id, is_last, &mut recovered) {
                Ok(taken) => taken,
                Err(error) if is_damage(&error) => {
                    self.forget(&mut recovered, id)?;
                    self.directory.remove(&segment::name(id))?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.index.reserve(taken.entries.len());
            for entry in &taken.entries {
                self.apply(id, entry);
            }
            if taken.state != State::Sealed {
                file.set_len(u64::from(taken.end))?;
            }
            let segment = Arc::new(Segment::new(id, file, taken.end));
            if taken.state != State::Sealed && !is_last {
                self.seal(&segment, &taken)?;
            }
            recovered.segments.insert(id, segment);
            if is_last && taken.state != State::Sealed {
                recovered.open = Some((id, taken.entries));
            }
        }
        Ok(recovered)
    }

    fn take(&self, id: u32, is_last: bool, recovered: &mut Recovered) -> io::Result<(File, Taken)> {
        let file = self.directory.open_file(&segment::name(id))?;
        let end = file.metadata()?.len();
        let taken = match footer::read(&file, id, end, self.keyer)? {
            Some((entries, end)) => Taken {
                entries,
                end,
                state: State::Sealed,
            },
            None => self.walk(&file, id, end, is_last, recovered)?,
        };
        Ok((file, taken))
    }

    fn walk(
        &self,
        file: &File,
        id: u32,
        end: u64,
        is_last: bool,
        recovered: &mut Recovered,
    ) -> io::Result<Taken> {
        let mut walk = Walk::new(file, id, end, self.keyer);
        let mut taken = Taken {
            entries: Vec::new(),
            end: 0,
            state: State::Open,
        };
        let mut at = 0;
        loop {
            if let Some(head) = walk.head(at)? {
                taken.end = at as u32; // `head` finds nothing beyond 32 bits
                if head.fixed.kind == Kind::Footer {
                    taken.state = State::BadFooter;
                    return Ok(taken);
                }
                push_entries(&head, at as u32, &mut taken.entries);
                at = (at + head.fixed.length()).next_multiple_of(ALIGNMENT);
                taken.end = u32::try_from(at).unwrap_or(u32::MAX);
                continue;
            }
            if at >= end && is_last {
                return Ok(taken);
            }
            let next = walk.search(at + ALIGNMENT)?;
            if next.is_none() && is_last {
                return Ok(taken);
            }
            // A break.
            self.forget(recovered, id)?;
            taken.entries.clear();
            match next {
                Some(next) => at = next,
                None => return Ok(taken),
            }
        }
    }

    fn apply(&self, segment: u32, entry: &Entry) {
        match entry.kind {
            Kind::Object | Kind::Reference => self.index.put(entry.hash, place(segment, entry)),
            Kind::Removal => {
                self.index.remove(entry.hash);
            }
            Kind::Stale => {
                self.index.flag(entry.hash, Place::STALE);
            }
            Kind::Footer => {}
        }
    }

    /// A footer in place of the damaged one.
    fn seal(&self, segment: &Segment, taken: &Taken) -> io::Result<()> {
        let footer = footer::encode(&taken.entries, segment.id, taken.end, self.keyer);
        let written = segment.file.write_all_at(&footer, u64::from(taken.end));
        match written.and_then(|()| segment.file.sync_data()) {
            // Without it the next start walks again; a full disk is no reason not to start.
            Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(error),
            _ => Ok(()),
        }
    }

    /// Forgets what is older than a break in segment `id`.
    fn forget(&self, recovered: &mut Recovered, id: u32) -> io::Result<()> {
        for (older, _) in std::mem::take(&mut recovered.segments) {
            self.directory.remove(&segment::name(older))?;
        }
        self.events.push(Event::Forgotten {
            objects: self.index.clear(),
            file: segment::name(id),
        });
        Ok(())
    }
}

/// Is this file bad, rather than the moment?
fn is_damage(error: &io::Error) -> bool {
    let number = error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error);
    // The second: a symbolic link in its place.
    matches!(
        number,
        Some(rustix::io::Errno::IO | rustix::io::Errno::LOOP)
    )
}

/// Where a record is that an entry tells of.
pub(super) fn place(segment: u32, entry: &Entry) -> Place {
    Place {
        segment,
        offset: entry.offset,
        length: entry.length,
        flags: match entry.kind {
            Kind::Reference => Place::REFERENCE,
            Kind::Object | Kind::Removal | Kind::Stale | Kind::Footer => 0,
        },
    }
}

/// The entries of a record that lies at `offset`.
pub(super) fn push_entries(head: &Head<'_>, offset: u32, into: &mut Vec<Entry>) {
    let entry = Entry {
        hash: head.fixed.hash,
        offset,
        length: u32::try_from(head.fixed.length()).unwrap_or(u32::MAX),
        kind: head.fixed.kind,
    };
    match head.fixed.kind {
        Kind::Object | Kind::Reference => into.push(entry),
        Kind::Removal | Kind::Stale => {
            let hashes = head.lines.chunks_exact(8);
            into.extend(hashes.map(|hash| Entry {
                hash: u64_at(hash, 0),
                ..entry
            }));
        }
        Kind::Footer => {}
    }
}
