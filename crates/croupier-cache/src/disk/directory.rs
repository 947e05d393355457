//! The directory: private, locked, and what is in it. Names are numbers of ours, files are opened
//! relative to the directory and never through a symbolic link.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, fchmod, mkdirat, openat, renameat, unlinkat};

use super::{
    events::{Event, OpenError},
    segment,
    superblock::{self, Keyer},
};

const LOCK: &str = "lock";
const FIRST_PAGE: &str = "superblock";
const FIRST_PAGE_NEW: &str = "superblock.new";
const ASIDE: &str = "aside-";
/// Folders of things set aside, at most.
const ASIDES_MAX: u32 = 1000;
/// What file systems put into the root of theirs.
const NOBODYS: &str = "lost+found";

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
    /// Held as long as this lives; the kernel lets go of it when the process dies.
    lock: File,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked and has not come to its `exec` yet holds
        // a copy, and with it the lock.
        let _ = self.lock.unlock();
    }
}

/// What was found in a directory.
#[derive(Debug)]
pub(super) enum Found {
    /// Segments of ours, sealed by this secret, ascending.
    Ours(Keyer, Vec<u32>),
    /// Nothing.
    Nothing,
    /// Segments that cannot be read: another version's if one is named.
    Unreadable(Option<u32>),
}

impl Directory {
    /// Makes it if need be, takes the lock, looks around. Touches nothing that is not ours.
    pub(super) fn open(path: &Path) -> Result<(Self, Found), OpenError> {
        let fails = |doing, error| OpenError::Io {
            doing,
            path: path.to_owned(),
            error,
        };
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(fails("make", error));
            }
            _ => {}
        }
        let handle = File::open(path).map_err(|error| fails("open", error))?;
        let metadata = handle.metadata().map_err(|error| fails("open", error))?;
        if !metadata.is_dir() {
            return Err(fails("open", io::ErrorKind::NotADirectory.into()));
        }
        let names = names(&handle).map_err(|error| fails("list", error))?;
        let has_first_page = names.iter().any(|name| name == FIRST_PAGE);
        if let Some(file) = names.iter().find(|name| !is_ours(name))
            && !has_first_page
        {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
                file: file.clone(),
            });
        }
        if metadata.mode() & 0o077 != 0 {
            let private = fchmod(&handle, Mode::RWXU);
            private.map_err(|error| fails("make private", error.into()))?;
        }
        let lock = take_lock(path, &handle)?;
        let directory = Self {
            path: path.to_owned(),
            handle,
            lock,
        };
        let found = directory.look().map_err(|error| fails("read", error))?;
        Ok((directory, found))
    }

    fn look(&self) -> io::Result<Found> {
        let names = names(&self.handle)?; // again, now that nobody else changes them
        let mut ids: Vec<u32> = names.iter().filter_map(|name| segment::id(name)).collect();
        ids.sort_unstable();
        if names.iter().any(|name| name == FIRST_PAGE_NEW) {
            self.remove(FIRST_PAGE_NEW)?;
        }
        if !names.iter().any(|name| name == FIRST_PAGE) {
            return Ok(match ids.is_empty() {
                true => Found::Nothing,
                false => Found::Unreadable(None),
            });
        }
        let mut page = Vec::with_capacity(superblock::PAGE);
        let file = self.open_file(FIRST_PAGE)?;
        file.take(superblock::PAGE as u64).read_to_end(&mut page)?;
        Ok(match superblock::decode(&page) {
            Ok(keyer) => Found::Ours(keyer, ids),
            Err(version) => Found::Unreadable(version),
        })
    }

    /// Writes the first page.
    pub(super) fn begin(&self, keyer: &Keyer) -> io::Result<()> {
        match self.remove(FIRST_PAGE_NEW) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.create(FIRST_PAGE_NEW)?;
        file.write_all(&superblock::encode(keyer))?;
        file.sync_all()?;
        renameat(&self.handle, FIRST_PAGE_NEW, &self.handle, FIRST_PAGE)?;
        self.sync()
    }

    /// Moves all that is a cache's into a folder of its own.
    pub(super) fn set_aside(&self, version: Option<u32>) -> io::Result<Event> {
        let mut number = 1;
        let folder = loop {
            let folder = format!("{ASIDE}{number}");
            match mkdirat(&self.handle, folder.as_str(), Mode::RWXU) {
                Ok(()) => break folder,
                Err(rustix::io::Errno::EXIST) if number < ASIDES_MAX => number += 1,
                Err(error) => return Err(error.into()),
            }
        };
        for name in names(&self.handle)? {
            if name == FIRST_PAGE || segment::id(&name).is_some() {
                let to = format!("{folder}/{name}");
                renameat(&self.handle, name.as_str(), &self.handle, to.as_str())?;
            }
        }
        self.sync()?;
        Ok(Event::SetAside {
            path: self.path.join(folder),
            version,
        })
    }

    /// Is the path still this directory?
    pub(super) fn is_there(&self) -> bool {
        let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (fs::metadata(&self.path), self.handle.metadata()) {
            (Ok(there), Ok(ours)) => same(there, ours),
            _ => false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::CREATE | OFlags::EXCL)
    }

    pub(super) fn open_file(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::empty())
    }

    fn open_with(&self, name: &str, more: OFlags) -> io::Result<File> {
        Ok(open_at(&self.handle, name, more)?.into())
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// Makes names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

fn open_at(handle: &File, name: &str, more: OFlags) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    openat(handle, name, flags, Mode::RUSR | Mode::WUSR)
}

fn is_ours(name: &str) -> bool {
    let fixed = [LOCK, FIRST_PAGE, FIRST_PAGE_NEW, NOBODYS];
    fixed.contains(&name) || name.starts_with(ASIDE) || segment::id(name).is_some()
}

fn names(handle: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(handle)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn take_lock(path: &Path, handle: &File) -> Result<File, OpenError> {
    let fails = |error| OpenError::Io {
        doing: "lock",
        path: path.to_owned(),
        error,
    };
    let lock = open_at(handle, LOCK, OFlags::CREATE).map_err(|error| fails(error.into()))?;
    let mut lock = File::from(lock);
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Best effort: who holds it may not have written it yet.
            let _ = Read::by_ref(&mut lock).take(16).read_to_string(&mut pid);
            return Err(OpenError::InUse {
                path: path.to_owned(),
                pid: pid.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(fails(error)),
    }
    // Only for the sentence above; a full disk must not keep the cache from being read.
    let _ = lock.set_len(0);
    let _ = writeln!(lock, "{}", std::process::id());
    Ok(lock)
}
