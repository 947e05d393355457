//! Reading: a record becomes an object again, or nothing. Every byte is verified before it leaves.

use std::sync::Arc;

use super::{
    Cursor, Entry, Page,
    events::Event,
    extent::Extent,
    index::Place,
    record::{self, ALIGNMENT, BLOCK, Fixed, HEAD_MAX, Head, Kind},
    segment::{self, Segment, Walk, read_at},
    shared::Shared,
};
use crate::{Body, Object, Rules, Terms};

/// What is read at first: head and body of most objects.
const FIRST: u64 = 64 << 10;
/// A record may be replaced while it is read; then the new one is read, so many times.
const ROUNDS: usize = 3;
/// Objects in a page of a listing.
const PAGE_MAX: usize = 1024;
/// Bytes of keys and lines in a page, about.
const PAGE_BYTES: usize = 4 << 20;
/// Heads that are looked at for a page.
const HEADS_MAX: usize = 64 << 10;

/// Why a record gave no object.
enum Miss {
    /// The system failed.
    Error,
    /// Its bytes are not what was written.
    Damaged,
    /// It is another key's.
    Collision,
    /// Its body is in a segment that is gone.
    Bodiless,
}

/// The object with this key.
pub(super) fn object(shared: &Arc<Shared>, hash: u64, key: &[u8]) -> Option<Object> {
    for _ in 0..ROUNDS {
        let place = shared.index.find(hash)?;
        let Some(segment) = shared.segment(place.segment) else {
            continue; // reclaimed a moment ago
        };
        let read = record(shared, &segment, &place, key);
        let is_there =
            |now: Place| now.is_at(&place) && now.has(Place::STALE) == place.has(Place::STALE);
        if !shared.index.find(hash).is_some_and(is_there) {
            continue; // removed, replaced, carried over or marked while it was read
        }
        let miss = match read {
            Ok(object) => {
                shared.counters.read.bump();
                return Some(object);
            }
            Err(miss) => miss,
        };
        match miss {
            Miss::Collision => {
                shared.counters.collisions.bump();
                return None;
            }
            Miss::Error => shared.counters.read_errors.bump(),
            Miss::Damaged => {
                shared.counters.checksum_failures.bump();
                shared.events.push(Event::Damaged {
                    file: segment::name(segment.id),
                    offset: u64::from(place.offset),
                });
            }
            Miss::Bodiless => {}
        }
        shared.writes.remove_at(hash, &place, &shared.index);
        return None;
    }
    None
}

fn record(
    shared: &Arc<Shared>,
    segment: &Arc<Segment>,
    place: &Place,
    key: &[u8],
) -> Result<Object, Miss> {
    let at = u64::from(place.offset);
    let mut bytes = read(segment, at, u64::from(place.length).min(FIRST))?;
    let length = record::head_length(&bytes).ok_or(Miss::Damaged)?;
    if length > bytes.len() {
        bytes = read(segment, at, length as u64)?;
    }
    let head = record::decode(&bytes, segment.id, place.offset, &shared.keyer);
    let head = head.ok_or(Miss::Damaged)?;
    if !head.fixed.kind.is_object() {
        return Err(Miss::Damaged);
    }
    if head.key != key {
        return Err(Miss::Collision);
    }
    let body = body(shared, segment, place, &head, &bytes)?;
    let fixed = head.fixed;
    let terms = terms(&fixed, place);
    Ok(Object::new(
        key.into(),
        fixed.status,
        head.lines.into(),
        body,
        terms,
    ))
}

fn read(segment: &Segment, at: u64, length: u64) -> Result<Vec<u8>, Miss> {
    // Bounded by `FIRST` or `HEAD_MAX`.
    let mut bytes = vec![0; length as usize];
    let read = read_at(&segment.file, &mut bytes, at).map_err(|_| Miss::Error)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn terms(fixed: &Fixed, place: &Place) -> Terms {
    let mut terms = fixed.terms;
    if place.has(Place::STALE) {
        terms.rules = terms.rules.and(Rules::MARKED_STALE);
    }
    terms
}

fn body(
    shared: &Arc<Shared>,
    segment: &Arc<Segment>,
    place: &Place,
    head: &Head<'_>,
    bytes: &[u8],
) -> Result<Body, Miss> {
    let Fixed {
        body_segment,
        body_offset,
        body_length,
        ..
    } = head.fixed;
    let (offset, length) = (u64::from(body_offset), u64::from(body_length));
    let other;
    let segment = if body_segment == segment.id {
        segment
    } else {
        other = shared.segment(body_segment).ok_or(Miss::Bodiless)?;
        &other
    };
    if length >= shared.settings.extent_min {
        return extent(shared, segment, (offset, length), head.sums);
    }
    if head.fixed.kind == Kind::Object
        && let Some(start) = offset.checked_sub(u64::from(place.offset))
        && let Some(body) = bytes.get(start as usize..(start + length) as usize)
    {
        return match record::is_body(body, head.sums) {
            true => Ok(Body::Memory(body.into())),
            false => Err(Miss::Damaged),
        };
    }
    // Below `extent_min`, so it may be in memory.
    let mut body: Arc<[u8]> = std::iter::repeat_n(0, length as usize).collect();
    let into = Arc::get_mut(&mut body).ok_or(Miss::Error)?;
    let read = read_at(&segment.file, into, offset).map_err(|_| Miss::Error)?;
    match read == into.len() && record::is_body(into, head.sums) {
        true => Ok(Body::Memory(body)),
        false => Err(Miss::Damaged),
    }
}

/// A large body: verified, unless it has been since the file last changed.
fn extent(
    shared: &Arc<Shared>,
    segment: &Arc<Segment>,
    span: (u64, u64),
    sums: &[u8],
) -> Result<Body, Miss> {
    let (offset, length) = span;
    // Before the reading: what changes meanwhile shows in the next stamp.
    let stamp = segment.stamp().map_err(|_| Miss::Error)?;
    if !segment.is_verified(offset, &stamp) {
        let mut block = vec![0; BLOCK];
        let mut done: u64 = 0;
        while done < length {
            let count = (length - done).min(BLOCK as u64) as usize;
            let block = &mut block[..count];
            let read = read_at(&segment.file, block, offset + done).map_err(|_| Miss::Error)?;
            let number = (done / BLOCK as u64) as usize;
            if read < count || !record::is_block(block, number, sums) {
                return Err(Miss::Damaged);
            }
            done += count as u64;
        }
        segment.remember(offset, stamp);
    }
    let extent = Extent::new(shared, segment, span, sums, stamp);
    Ok(Body::Disk(extent))
}

/// A block of a large body, from `at` on.
pub(super) fn block(shared: &Shared, extent: &Extent, at: u64) -> Option<Box<[u8]>> {
    let (number, start, length) = extent.block(at);
    let mut block = vec![0; length];
    let Ok(read) = read_at(extent.file(), &mut block, extent.offset() + start) else {
        shared.counters.read_errors.bump();
        return None;
    };
    if read < length || !record::is_block(&block, number, extent.sums()) {
        shared.counters.checksum_failures.bump();
        return None;
    }
    block.drain(..(at - start) as usize);
    Some(block.into())
}

/// A part of the listing.
pub(super) fn page(shared: &Shared, after: Cursor, count_max: usize) -> Page {
    let count_max = count_max.clamp(1, PAGE_MAX);
    let mut entries = Vec::new();
    let (mut bytes, mut heads) = (0, 0);
    let ids: Vec<u32> = shared
        .segments()
        .range(after.segment..)
        .map(|s| *s.0)
        .collect();
    for id in ids {
        let Some(segment) = shared.segment(id) else {
            continue;
        };
        let end = u64::from(segment.length());
        let mut walk = Walk::new(&segment.file, id, end, &shared.keyer);
        let mut at = match id == after.segment {
            true => u64::from(after.offset),
            false => 0,
        };
        while at < end {
            if entries.len() >= count_max || bytes >= PAGE_BYTES || heads >= HEADS_MAX {
                let next = Some(Cursor {
                    segment: id,
                    offset: at as u32, // below `end`, which is one
                });
                return Page { entries, next };
            }
            heads += 1;
            let Ok(head) = walk.head(at) else {
                shared.counters.read_errors.bump();
                break;
            };
            let Some(head) = head else {
                match walk.search(at + ALIGNMENT) {
                    Ok(Some(next)) => at = next,
                    Ok(None) | Err(_) => break,
                }
                continue;
            };
            if let Some(entry) = entry(shared, &head, (id, at as u32)) {
                bytes += entry.key.len() + entry.lines.len();
                entries.push(entry);
            }
            at = (at + head.fixed.length()).next_multiple_of(ALIGNMENT);
        }
    }
    debug_assert!(bytes <= PAGE_BYTES + HEAD_MAX);
    Page {
        entries,
        next: None,
    }
}

/// The entry of a record, if it is what its key stands for.
fn entry(shared: &Shared, head: &Head<'_>, at: (u32, u32)) -> Option<Entry> {
    if !head.fixed.kind.is_object() {
        return None;
    }
    let place = shared.index.find(head.fixed.hash)?;
    ((place.segment, place.offset) == at).then(|| Entry {
        key: head.key.into(),
        status: head.fixed.status,
        lines: head.lines.into(),
        terms: terms(&head.fixed, &place),
        length: u64::from(head.fixed.body_length),
    })
}
