//! A segment file: its name, and how its heads are found. Appended to by one thread, read by many
//! at any place; `length` says how far readers may look.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    record::{self, ALIGNMENT, FIXED, HEAD_MAX, Head},
    superblock::Keyer,
};

/// Bytes that a walk reads at once.
const WINDOW: usize = 256 << 10;
/// Bodies of a segment that are remembered as verified; with one more all are forgotten.
const VERIFIED_MAX: usize = 1024;

/// The name of a segment file.
pub(super) fn name(id: u32) -> String {
    format!("{id:08x}.seg")
}

/// The number of a segment file, if that is what has this name.
pub(super) fn id(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg").filter(|hex| hex.len() == 8)?;
    let id = u32::from_str_radix(digits, 16).ok()?;
    (self::name(id) == name).then_some(id)
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u32,
    pub(super) file: File,
    /// Where its records end.
    length: AtomicU32,
    /// Bodies that were verified, by where they begin, with what the file looked like then.
    verified: Mutex<HashMap<u64, Stamp>>,
}

/// What a file looks like as long as nobody writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    changed: (i64, i64),
    size: u64,
}

impl Segment {
    pub(super) fn new(id: u32, file: File, length: u32) -> Self {
        Self {
            id,
            file,
            length: AtomicU32::new(length),
            verified: Mutex::default(),
        }
    }

    pub(super) fn length(&self) -> u32 {
        // Acquire, with the Release below: the bytes before it are in the file.
        self.length.load(Ordering::Acquire)
    }

    pub(super) fn grow(&self, length: u32) {
        self.length.store(length, Ordering::Release);
    }

    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let metadata = self.file.metadata()?;
        Ok(Stamp {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            size: metadata.size(),
        })
    }

    /// Was the body that begins here verified when the file looked like this?
    pub(super) fn is_verified(&self, offset: u64, stamp: &Stamp) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(&offset) == Some(stamp)
    }

    pub(super) fn remember(&self, offset: u64, stamp: Stamp) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            verified.clear();
        }
        verified.insert(offset, stamp);
    }
}

/// Reads as much of the buffer as the file has; says how much that is.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// A look along a segment file, from head to head.
pub(super) struct Walk<'a> {
    file: &'a File,
    segment: u32,
    keyer: &'a Keyer,
    /// Where the file ends.
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a File, segment: u32, end: u64, keyer: &'a Keyer) -> Self {
        Self {
            file,
            segment,
            keyer,
            end,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// The record at `offset`, if its head is good and it ends within the file.
    pub(super) fn head(&mut self, offset: u64) -> io::Result<Option<Head<'_>>> {
        let Ok(place) = u32::try_from(offset) else {
            return Ok(None);
        };
        self.fill(offset, FIXED)?;
        let Some(length) = record::head_length(self.from(offset)) else {
            return Ok(None);
        };
        self.fill(offset, length)?;
        let head = record::decode(self.from(offset), self.segment, place, self.keyer);
        Ok(head.filter(|head| offset + head.fixed.length() <= self.end))
    }

    /// Where the next good head is, from `offset` on.
    pub(super) fn search(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let mut at = offset.next_multiple_of(ALIGNMENT);
        while at + FIXED as u64 <= self.end {
            self.fill(at, FIXED)?;
            if self.from(at).starts_with(&record::MAGIC) && self.head(at)?.is_some() {
                return Ok(Some(at));
            }
            at += ALIGNMENT;
        }
        Ok(None)
    }

    fn from(&self, offset: u64) -> &[u8] {
        let start = (offset - self.window_at) as usize;
        self.window.get(start..).unwrap_or_default()
    }

    /// Has the window reach over `count` bytes from `offset` on, or to the end of the file.
    fn fill(&mut self, offset: u64, count: usize) -> io::Result<()> {
        debug_assert!(count <= HEAD_MAX);
        let wanted = (offset + count as u64).min(self.end);
        let reaches = self.window_at + self.window.len() as u64;
        if offset >= self.window_at && wanted <= reaches {
            return Ok(());
        }
        let most = self.end.saturating_sub(offset).min(HEAD_MAX as u64) as usize;
        self.window.resize(count.max(WINDOW).min(most), 0);
        self.window_at = offset;
        let read = read_at(self.file, &mut self.window, offset)?;
        self.window.truncate(read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_would_write_are_segments() {
        assert_eq!(id(&name(0x1f)), Some(0x1f));
        assert_eq!(id(&name(u32::MAX)), Some(u32::MAX));
        let others = [
            "",
            ".seg",
            "1.seg",
            "0000001F.seg",
            "+000001f.seg",
            "0000001f.segs",
        ];
        for other in others {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
