//! What the disk tier has to say to people: few sentences, kept until somebody takes them.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Sentences that nobody has taken; a further one is not kept.
const KEPT_MAX: usize = 64;

/// Why a disk tier was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process, or another cache of this one, has it.
    InUse {
        /// The directory.
        path: PathBuf,
        /// Whose it is, if that could be read.
        pid: Option<u32>,
    },
    /// There are files in it that no cache has written, so it was left alone.
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of them.
        file: String,
    },
    /// `size` is below [`super::SIZE_MIN`].
    TooSmall {
        /// What was asked for, bytes.
        size: u64,
    },
    /// It cannot be made, entered or written.
    Io {
        /// What was tried: "make", "open", ...
        doing: &'static str,
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path, pid } => {
                write!(f, "the cache directory `{}` is in use by ", path.display())?;
                match pid {
                    Some(pid) => write!(f, "process {pid}"),
                    None => f.write_str("another process"),
                }?;
                f.write_str("; every process and every cache needs a directory of its own")
            }
            Self::Foreign { path, file } => write!(
                f,
                "`{}` is no cache directory: it holds `{file}`; give the cache an empty directory",
                path.display()
            ),
            Self::TooSmall { size } => write!(
                f,
                "{size} bytes are too few for a cache on disk; it needs at least {} MiB",
                super::SIZE_MIN >> 20
            ),
            Self::Io { doing, path, error } => {
                write!(f, "cannot {doing} `{}`: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// Something that people should know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The directory held another layout, or one whose first page is damaged. All of it lies in a
    /// folder inside the directory now; it is not counted as ours, and deleting it is up to people.
    SetAside {
        /// Where it lies.
        path: PathBuf,
        /// The version that was found, if it could be read.
        version: Option<u32>,
    },
    /// Part of the log could not be read at start. What is older was forgotten, since the lost part
    /// may have said that it is no longer so.
    Forgotten {
        /// Entries.
        objects: u64,
        /// The segment file with the damage.
        file: String,
    },
    /// A write failed: nothing is written for a time. What is there is read on.
    Resting {
        /// For so long.
        time: Duration,
        /// What the system said.
        error: io::Error,
    },
    /// Writing works again after a rest.
    Writing,
    /// The directory was gone and has been made anew, empty.
    MadeAnew {
        /// The directory.
        path: PathBuf,
    },
    /// Bytes came back other than they were written. The object is dropped; it will be asked for
    /// again.
    Damaged {
        /// The segment file.
        file: String,
        /// Where the record begins in it.
        offset: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { path, version } => {
                match version {
                    Some(version) => write!(f, "the cache on disk has layout {version}, not ")?,
                    None => f.write_str("the cache on disk has a damaged first page, so not ")?,
                }
                write!(
                    f,
                    "ours ({}); it was set aside as `{}` and a new one begun",
                    super::superblock::VERSION,
                    path.display()
                )
            }
            Self::Forgotten { objects, file } => write!(
                f,
                "`{file}` of the cache on disk is damaged; {objects} objects that are older were \
                 forgotten"
            ),
            Self::Resting { time, error } => write!(
                f,
                "the cache on disk cannot be written: {error}; trying again in {} s",
                time.as_secs_f32()
            ),
            Self::Writing => f.write_str("the cache on disk is written again"),
            Self::MadeAnew { path } => write!(
                f,
                "the cache directory `{}` was gone; it was made anew, empty",
                path.display()
            ),
            Self::Damaged { file, offset } => write!(
                f,
                "`{file}` of the cache on disk is damaged at byte {offset}; the object was dropped"
            ),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Events {
    kept: Mutex<Vec<Event>>,
}

impl Events {
    pub(super) fn push(&self, event: Event) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(event);
        }
    }

    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
