//! The log: what the writing thread does to the files. Appends to the open segment, seals it when
//! it is full, begins the next, and keeps the sum of all files below the size.
//!
//! ```text
//! sealed segments | the open one, counted as if full | room for one more  <=  size
//! ```
//!
//! So there is always room to begin a segment; what is reclaimed to make that room again can be
//! carried over before it goes.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, sync::Arc};

use super::{
    directory::Directory,
    footer::{self, Entry},
    index::Place,
    record::{self, ALIGNMENT, BLOCK, Fixed, Head, Kind},
    recover::{Recovered, place, push_entries},
    segment::{self, Segment, read_at},
    settings,
    shared::Shared,
};
use crate::{Body, Object};

/// Hashes in one record.
const MARKS_MAX: usize = 4096;
/// Up to here a body is copied behind its head, to be written in one call.
const TOGETHER_MAX: usize = 64 << 10;
/// Bytes of the files that are no segments.
const OVERHEAD: u64 = 4 * settings::BLOCK;

/// Why something was not written.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The system failed a write.
    Disk(io::Error),
    /// The body is on disk and could not be read, or was damaged.
    Source,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Where the bytes of a body come from.
pub(super) enum Bytes<'a> {
    /// There are none, or they are not to be written.
    Nothing,
    Memory(&'a [u8]),
    File {
        file: &'a File,
        offset: u64,
    },
}

pub(super) struct Open {
    pub(super) segment: Arc<Segment>,
    at: u64,
    entries: Vec<Entry>,
    /// Bytes that were carried over into it.
    pub(super) carried: u64,
}

pub(super) struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) directory: Directory,
    pub(super) open: Option<Open>,
    /// What each sealed segment counts, by number.
    pub(super) sealed: BTreeMap<u32, u64>,
    next_id: u32,
    /// Removals were written that are not durable yet.
    has_unsynced_marks: bool,
    buffer: Vec<u8>,
}

/// What a file of so many bytes counts: the file system gives out whole blocks, and needs now and
/// then one more to remember which.
fn cost(length: u64) -> u64 {
    length.next_multiple_of(settings::BLOCK) + settings::BLOCK
}

impl Log {
    /// Goes on where recovery ended. Reclaims what is more than the size allows.
    pub(super) fn new(
        shared: Arc<Shared>,
        directory: Directory,
        recovered: Recovered,
    ) -> io::Result<Self> {
        let mut log = Self {
            shared,
            directory,
            open: None,
            sealed: BTreeMap::new(),
            next_id: 1,
            has_unsynced_marks: true, // whoever wrote them may not have come to it
            buffer: Vec::new(),
        };
        let last = recovered.segments.keys().next_back();
        log.next_id = last.map_or(1, |last| last.saturating_add(1));
        for (&id, segment) in &recovered.segments {
            log.sealed.insert(id, cost(segment.file.metadata()?.len()));
        }
        let segment_bytes = log.shared.segment_bytes;
        if let Some((id, entries)) = recovered.open
            && let Some(segment) = recovered.segments.get(&id)
            && u64::from(segment.length()) + footer::length(entries.len()) <= segment_bytes
        {
            // One that is too large for a size that was made smaller stays without footer.
            log.sealed.remove(&id);
            log.open = Some(Open {
                segment: Arc::clone(segment),
                at: u64::from(segment.length()),
                entries,
                carried: segment_bytes, // nobody knows
            });
        }
        *log.shared.segments_mut() = recovered.segments;
        while log.used() + cost(segment_bytes) > log.shared.settings.size && !log.sealed.is_empty()
        {
            log.reclaim()?;
        }
        log.count();
        Ok(log)
    }

    /// Bytes of all files, the open segment counted as if full.
    fn used(&self) -> u64 {
        let sealed: u64 = self.sealed.values().sum();
        OVERHEAD + sealed + cost(self.shared.segment_bytes)
    }

    /// Writes an object; says where. Not yet in the index.
    pub(super) fn write(&mut self, hash: u64, object: &Object) -> Result<Place, Trouble> {
        let mut fixed = Fixed {
            status: object.status,
            key_length: object.key.len() as u32, // all bounded by `Shared::record_length`
            lines_length: object.lines.len() as u32,
            hash,
            terms: object.terms,
            ..Fixed::plain(Kind::Object)
        };
        let sums;
        let (bytes, sums) = match &object.body {
            Body::Memory(body) => {
                fixed.body_length = body.len() as u32;
                sums = record::sums(body);
                (Bytes::Memory(body), sums.as_slice())
            }
            Body::Disk(extent) => {
                fixed.body_length = extent.length() as u32;
                // First the room: making it may take the body's segment away.
                self.make_room(fixed.head_length(), 1)?;
                let offset = extent.offset();
                let bytes = if extent.is_held_by(&self.shared) {
                    fixed.kind = Kind::Reference;
                    fixed.body_segment = extent.segment().id;
                    fixed.body_offset = offset as u32;
                    Bytes::Nothing
                } else {
                    let file = extent.file();
                    Bytes::File { file, offset }
                };
                (bytes, extent.sums())
            }
        };
        let head = Head {
            fixed,
            key: &object.key,
            lines: &object.lines,
            sums,
        };
        let mut place = self.append(head, &bytes)?;
        if head.fixed.kind == Kind::Reference {
            // Nobody refreshes what nobody asked for.
            place.flags |= Place::HIT;
        }
        Ok(place)
    }

    /// Appends a record. What failed leaves no trace.
    pub(super) fn append(&mut self, head: Head<'_>, bytes: &Bytes<'_>) -> Result<Place, Trouble> {
        let mut head = head;
        let count = match head.fixed.kind {
            Kind::Object | Kind::Reference | Kind::Footer => 1,
            Kind::Removal | Kind::Stale => head.lines.len() / 8,
        };
        self.make_room(head.fixed.length(), count)?;
        let Some(open) = &mut self.open else {
            return Err(Trouble::Disk(io::ErrorKind::NotFound.into()));
        };
        let id = open.segment.id;
        let offset = open.at as u32; // segments are at most 2 GiB
        if head.fixed.kind == Kind::Object {
            head.fixed.body_segment = id;
            head.fixed.body_offset = offset + head.fixed.body_at() as u32;
        }
        self.buffer.clear();
        record::encode(&mut self.buffer, &head, id, offset, &self.shared.keyer);
        let written = match self.shared.gate() {
            Ok(()) => write_record(&open.segment.file, open.at, &mut self.buffer, &head, bytes),
            Err(error) => Err(error.into()),
        };
        if let Err(trouble) = written {
            // If this fails too, what is there is overwritten, or cut off at the next start.
            let _ = open.segment.file.set_len(open.at);
            return Err(trouble);
        }
        push_entries(&head, offset, &mut open.entries);
        open.at = (open.at + head.fixed.length()).next_multiple_of(ALIGNMENT);
        open.segment.grow(open.at as u32);
        let entry = Entry {
            hash: head.fixed.hash,
            offset,
            length: head.fixed.length() as u32,
            kind: head.fixed.kind,
        };
        Ok(place(id, &entry))
    }

    /// Writes removals and marks in the order in which they were made.
    pub(super) fn mark(&mut self, marks: &[(u64, Kind)]) -> io::Result<()> {
        for same in marks.chunk_by(|one, next| one.1 == next.1) {
            for part in same.chunks(MARKS_MAX) {
                let hashes: Vec<u8> = part.iter().flat_map(|mark| mark.0.to_le_bytes()).collect();
                let fixed = Fixed {
                    lines_length: hashes.len() as u32,
                    ..Fixed::plain(part.first().map_or(Kind::Removal, |mark| mark.1))
                };
                let head = Head {
                    fixed,
                    key: b"",
                    lines: &hashes,
                    sums: b"",
                };
                self.has_unsynced_marks = true;
                // Twice: as the last record a damaged one would pass for a torn tail.
                for _ in 0..2 {
                    match self.append(head, &Bytes::Nothing) {
                        Err(Trouble::Disk(error)) => return Err(error),
                        Err(Trouble::Source) | Ok(_) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes all marks durable.
    pub(super) fn sync_marks(&mut self) -> io::Result<()> {
        if self.has_unsynced_marks
            && let Some(open) = &self.open
        {
            self.shared.gate()?;
            open.segment.file.sync_data()?;
        }
        self.has_unsynced_marks = false;
        Ok(())
    }

    /// Has an open segment with room for so many bytes and entries.
    fn make_room(&mut self, length: u64, entries: usize) -> io::Result<()> {
        if length + footer::length(entries) > self.shared.segment_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        loop {
            match &self.open {
                None => self.begin()?,
                Some(open) => {
                    let footer = footer::length(open.entries.len() + entries);
                    if open.at + length + footer <= self.shared.segment_bytes {
                        return Ok(());
                    }
                    self.seal()?;
                }
            }
        }
    }

    /// Is there room without sealing the open segment?
    pub(super) fn has_room(&self, length: u64) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let footer = footer::length(open.entries.len() + 1);
            open.at + length + footer <= self.shared.segment_bytes
        })
    }

    fn seal(&mut self) -> io::Result<()> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let Segment { id, file, .. } = &*open.segment;
        let footer = footer::encode(&open.entries, *id, open.at as u32, &self.shared.keyer);
        let written = self.shared.gate();
        let written = written.and_then(|()| file.write_all_at(&footer, open.at));
        // Before anything is written behind it: a sealed segment has no torn tail.
        if let Err(error) = written.and_then(|()| file.sync_data()) {
            let _ = file.set_len(open.at);
            return Err(error);
        }
        self.sealed.insert(*id, cost(open.at + footer.len() as u64));
        self.has_unsynced_marks = false;
        self.open = None;
        self.count();
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        self.shared.gate()?;
        if !self.directory.is_there() {
            self.make_anew()?;
        }
        while self.used() > self.shared.settings.size && !self.sealed.is_empty() {
            self.reclaim()?;
        }
        let id = self.next_id;
        let Some(next_id) = id.checked_add(1) else {
            return Err(io::ErrorKind::QuotaExceeded.into());
        };
        let file = self.directory.create(&segment::name(id))?;
        self.next_id = next_id;
        self.directory.sync()?;
        let segment = Arc::new(Segment::new(id, file, 0));
        self.shared.segments_mut().insert(id, Arc::clone(&segment));
        self.open = Some(Open {
            segment,
            at: 0,
            entries: Vec::new(),
            carried: 0,
        });
        self.count();
        Ok(())
    }

    /// After each piece of work: reclaims until there is room for one more segment.
    pub(super) fn spare(&mut self) -> io::Result<()> {
        let spare = cost(self.shared.segment_bytes);
        while self.used() + spare > self.shared.settings.size && !self.sealed.is_empty() {
            self.reclaim()?;
        }
        Ok(())
    }

    pub(super) fn count(&self) {
        let counters = &self.shared.counters;
        counters.file_bytes.set(self.used());
        counters.segments.set(self.shared.segments().len() as u64);
    }

    /// The directory is gone, so what was in it is.
    fn make_anew(&mut self) -> io::Result<()> {
        let path = self.directory.path().to_owned();
        let opened = Directory::open(&path).map_err(|error| io::Error::other(error.to_string()));
        let (directory, found) = opened?;
        self.shared.segments_mut().clear();
        self.shared.index.clear();
        self.sealed.clear();
        self.open = None;
        match found {
            super::directory::Found::Nothing => {}
            super::directory::Found::Ours(..) => {
                self.shared.events.push(directory.set_aside(None)?);
            }
            super::directory::Found::Unreadable(version) => {
                self.shared.events.push(directory.set_aside(version)?);
            }
        }
        directory.begin(&self.shared.keyer)?;
        self.directory = directory;
        self.shared.events.push(super::Event::MadeAnew { path });
        Ok(())
    }
}

/// Writes the head that is in `buffer`, and its body.
fn write_record(
    file: &File,
    at: u64,
    buffer: &mut Vec<u8>,
    head: &Head<'_>,
    bytes: &Bytes<'_>,
) -> Result<(), Trouble> {
    let body_at = head.fixed.body_at();
    match bytes {
        Bytes::Nothing => Ok(file.write_all_at(buffer, at)?),
        Bytes::Memory(body) if body.len() <= TOGETHER_MAX => {
            if !body.is_empty() {
                buffer.resize(body_at as usize, 0);
                buffer.extend_from_slice(body);
            }
            Ok(file.write_all_at(buffer, at)?)
        }
        Bytes::Memory(body) => {
            file.write_all_at(buffer, at)?;
            Ok(file.write_all_at(body, at + body_at)?)
        }
        Bytes::File {
            file: source,
            offset,
        } => {
            file.write_all_at(buffer, at)?;
            let mut done: u64 = 0;
            let length = u64::from(head.fixed.body_length);
            while done < length {
                let count = (length - done).min(BLOCK as u64) as usize;
                buffer.clear();
                buffer.resize(count, 0);
                let read = read_at(source, buffer, offset + done);
                let number = (done / BLOCK as u64) as usize;
                let is_good = read.is_ok_and(|read| read == count);
                if !is_good || !record::is_block(buffer, number, head.sums) {
                    return Err(Trouble::Source);
                }
                file.write_all_at(buffer, at + body_at + done)?;
                done += count as u64;
            }
            Ok(())
        }
    }
}
