//! The footer of a sealed segment: what its records are, so that a start reads no records.
//!
//! ```text
//! a record head of kind `Footer` | 24 bytes for each record | trailer, 32 bytes, ends the file
//! ```

use std::{fs::File, io};

use super::{
    record::{self, FIXED, Fixed, Head, Kind},
    segment::read_at,
    superblock::{Keyer, u32_at, u64_at},
};

/// Bytes of an entry.
pub(super) const ENTRY: u64 = 24;
const TRAILER: u64 = 32;
const MAGIC: [u8; 4] = *b"cEnd";
const SUM_AT: usize = 16;

/// A record, or one hash of a record that names several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: u64,
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) kind: Kind,
}

/// Bytes of a footer with so many entries.
pub(super) fn length(entries: usize) -> u64 {
    FIXED as u64 + entries as u64 * ENTRY + TRAILER
}

/// A footer that begins at `offset`.
pub(super) fn encode(entries: &[Entry], segment: u32, offset: u32, keyer: &Keyer) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length(entries.len()) as usize);
    let head = Head {
        fixed: Fixed::plain(Kind::Footer),
        key: b"",
        lines: b"",
        sums: b"",
    };
    record::encode(&mut bytes, &head, segment, offset, keyer);
    for entry in entries {
        bytes.extend_from_slice(&entry.hash.to_le_bytes());
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.length.to_le_bytes());
        bytes.extend_from_slice(&[entry.kind.number(), 0, 0, 0, 0, 0, 0, 0]);
    }
    let mut trailer = Vec::with_capacity(TRAILER as usize);
    trailer.extend_from_slice(&MAGIC);
    // Each entry stands for at least a hash of eight bytes in a file of 32-bit offsets.
    trailer.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    trailer.extend_from_slice(&offset.to_le_bytes());
    trailer.extend_from_slice(&segment.to_le_bytes());
    let sum = keyer.sum(segment, offset, &[&bytes[FIXED..], &trailer]);
    trailer.extend_from_slice(&sum.to_le_bytes());
    trailer.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&trailer);
    bytes
}

/// The entries of a file of `end` bytes, and where its records end. `None` if there is no footer or
/// it is damaged.
pub(super) fn read(
    file: &File,
    segment: u32,
    end: u64,
    keyer: &Keyer,
) -> io::Result<Option<(Vec<Entry>, u32)>> {
    let mut trailer = [0; TRAILER as usize];
    let Some(trailer_at) = end.checked_sub(TRAILER) else {
        return Ok(None);
    };
    if read_at(file, &mut trailer, trailer_at)? < trailer.len() || trailer[..4] != MAGIC {
        return Ok(None);
    }
    let count = u32_at(&trailer, 4) as usize;
    let offset = u32_at(&trailer, 8);
    if u64::from(offset) + length(count) != end || u32_at(&trailer, 12) != segment {
        return Ok(None);
    }
    // Not more than the file has: the sum above fits exactly.
    let mut bytes = vec![0; count * ENTRY as usize];
    let read = read_at(file, &mut bytes, u64::from(offset) + FIXED as u64)?;
    let sum = keyer.sum(segment, offset, &[&bytes, &trailer[..SUM_AT]]);
    if read < bytes.len() || sum != u64_at(&trailer, SUM_AT) {
        return Ok(None);
    }
    let entries = bytes.chunks_exact(ENTRY as usize).map(|entry| {
        Some(Entry {
            hash: u64_at(entry, 0),
            offset: u32_at(entry, 8),
            length: u32_at(entry, 12),
            kind: Kind::from_number(entry[16])?,
        })
    });
    let entries: Option<Vec<Entry>> = entries.collect();
    Ok(entries.map(|entries| (entries, offset)))
}
