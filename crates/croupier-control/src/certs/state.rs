//! The state directory: what must outlive the process. Directories are 0700, files 0600, and a
//! file is replaced as a whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Larger files are not ours.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where state is kept when the config does not say it: the service manager's place, that of
/// the system for root, else the user's own (XDG Base Directory Specification). None when there
/// is no home either.
pub(super) fn usual(
    environment: impl Fn(&str) -> Option<OsString>,
    is_root: bool,
) -> Option<PathBuf> {
    let set = |name| environment(name).filter(|value: &OsString| !value.is_empty());
    if let Some(given) = set("STATE_DIRECTORY") {
        // systemd lists several with colons; the first is ours.
        let text = given.to_string_lossy().into_owned();
        return text.split(':').next().map(PathBuf::from);
    }
    if is_root {
        return Some("/var/lib/croupier".into());
    }
    let base = set("XDG_STATE_HOME").map(PathBuf::from);
    let base = base.filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state")));
    Some(base?.join("croupier"))
}

/// The directory, known to be writable.
#[derive(Clone, Debug)]
pub(super) struct State {
    root: PathBuf,
}

impl State {
    /// Makes the directory if it is missing, and writes to it once.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        let is_new = !root.exists();
        let this = Self { root };
        this.make(&this.root)?;
        if is_new {
            fs::set_permissions(&this.root, fs::Permissions::from_mode(0o700))?;
        }
        this.write("writable", b"")?;
        let _ = fs::remove_file(this.path("writable"));
        Ok(this)
    }

    /// Where a file lies, for people.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A file's bytes; None when there is none.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES_MAX => Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => fs::read(&path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file whole: a new one takes its place when it is on the disk.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let parent = path.parent().unwrap_or(&self.root);
        self.make(parent)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{}.new", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            return written;
        }
        // Best effort: the name itself is on the disk, too.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
        Ok(())
    }

    /// Removes a file if it is there.
    pub(super) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }

    /// The names of files directly in a folder; empty when it is not there.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    fn make(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }
}

/// A file name for any text: its readable part, and what tells it from others. Stable across
/// versions and machines.
pub(super) fn file_name(readable: &str, whole: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    let readable: String = readable
        .trim_start_matches('.')
        .chars()
        .take(100)
        .map(|letter| if is_plain(letter) { letter } else { '_' })
        .collect();
    // FNV-1a, 64 bits: names are not chosen by strangers against each other.
    let hash = whole
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{readable}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsString,
        os::unix::fs::PermissionsExt as _,
        path::{Path, PathBuf},
    };

    use super::{State, file_name, usual};
    use crate::certs::scratch::Scratch;

    #[test]
    fn the_place_is_the_managers_then_the_systems_then_the_users() {
        let place = |set: &[(&str, &str)], is_root| {
            let find = |name: &str| {
                let found = set.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| OsString::from(value))
            };
            usual(find, is_root)
        };
        let path = |text: &str| Some(PathBuf::from(text));
        let home = ("HOME", "/home/u");
        assert_eq!(place(&[home], false), path("/home/u/.local/state/croupier"));
        assert_eq!(place(&[home], true), path("/var/lib/croupier"));
        let xdg = ("XDG_STATE_HOME", "/s");
        assert_eq!(place(&[home, xdg], false), path("/s/croupier"));
        let given = ("STATE_DIRECTORY", "/var/lib/x:/var/lib/y");
        assert_eq!(place(&[home, xdg, given], true), path("/var/lib/x"));
        assert_eq!(place(&[("HOME", "")], false), None);
    }

    #[test]
    fn what_is_written_is_read_again_and_nobody_else_may() {
        let scratch = Scratch::new();
        let root = scratch.path().join("state");
        let state = State::open(&root).unwrap();
        assert_eq!(state.read("a/b.pem").unwrap(), None);
        state.write("a/b.pem", b"one").unwrap();
        state.write("a/b.pem", b"two").unwrap();
        assert_eq!(state.read("a/b.pem").unwrap().unwrap(), b"two");
        assert_eq!(state.list("a"), ["b.pem"], "no temporary file is left");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&root.join("a/b.pem")), 0o600);
        assert_eq!((mode(&root), mode(&root.join("a"))), (0o700, 0o700));
        state.remove("a/b.pem");
        assert_eq!(state.read("a/b.pem").unwrap(), None);
    }

    #[test]
    fn a_place_that_is_no_directory_is_an_error() {
        let scratch = Scratch::new();
        let file = scratch.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(State::open(&file).is_err());
        assert!(State::open(&file.join("below")).is_err());
    }

    #[test]
    fn names_of_files_are_plain_and_differ() {
        let name = file_name("*.a.example", "*.a.example b.example");
        assert!(name.starts_with("_.a.example-"), "{name}");
        assert_ne!(name, file_name("*.a.example", "*.a.example"));
        assert!(!file_name("../../etc/passwd", "").contains('/'));
        assert_eq!(file_name("a", ""), "a-cbf29ce484222325", "for ever");
    }
}
