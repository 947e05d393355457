//! Certificates in files: read, and looked at again and again.
//!
//! Files change one after the other, by a link, or half; whoever writes them does not ask us.
//! So what does not fit is looked at once more before anything is said, and the certificate in
//! use stays until a whole new pair is there.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use croupier_net::tls::certs::{Certificate, Slot};
use croupier_telemetry::{Counter, WorkerCells};
use tokio::time::sleep;

use super::tell;

/// Larger files hold no certificate.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why there is no certificate, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) what: String,
    pub(crate) help: String,
}

/// Reads a pair. Both may be in one file.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Certificate, Complaint> {
    let chain = bytes(certificate, "certificate")?;
    let secret = if key == certificate {
        chain.clone()
    } else {
        bytes(key, "key")?
    };
    Certificate::from_pem(&chain, &secret).map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        Complaint {
            what: format!("`{certificate}` with `{key}`: {error}"),
            help: "give the chain as PEM, the site's own certificate first, and the key it was \
                   made for"
                .into(),
        }
    })
}

fn bytes(path: &Path, which: &str) -> Result<Vec<u8>, Complaint> {
    let read = fs::metadata(path).and_then(|found| {
        if found.len() > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        fs::read(path)
    });
    read.map_err(|error| {
        let text = error.to_string();
        let plain = text.split(" (os error").next().unwrap_or_default();
        let help = match error.kind() {
            io::ErrorKind::NotFound => "create the file, or write another path".into(),
            io::ErrorKind::PermissionDenied => {
                format!("let the user that runs croupier read the {which}")
            }
            io::ErrorKind::FileTooLarge => "a certificate with its chain is far smaller".into(),
            _ => String::new(),
        };
        Complaint {
            what: format!("cannot read the {which} `{}`: {plain}", path.display()),
            help,
        }
    })
}

/// What tells one state of a file from another; links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

type Stamps = [Option<Stamp>; 2];

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        bytes: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// A pair of files that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    certificate: PathBuf,
    key: PathBuf,
    /// As they were when they were last read.
    seen: Option<Stamps>,
    patience: Patience,
}

/// How a pair that does not fit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It fits, or it was complained about.
    Done,
    /// It did not fit when it was last read: whoever writes may not be done.
    Once,
}

/// What a look found.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing new, or nothing that is clear yet.
    Same,
    Fits(Certificate),
    Broken(Complaint),
}

impl Watched {
    /// Not looked at yet.
    pub(super) fn new(certificate: &Path, key: &Path) -> Self {
        Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            seen: None,
            patience: Patience::Done,
        }
    }

    /// Looks. The first time a pair that does not fit is told at once, afterwards when it has
    /// not changed from one look to the next; once for each change.
    pub(super) fn look(&mut self) -> Look {
        let before = self.stamps();
        if self.seen == Some(before) && self.patience == Patience::Done {
            return Look::Same;
        }
        let read = read(&self.certificate, &self.key);
        if self.stamps() != before {
            // Changed while it was read: later.
            self.patience = Patience::Once;
            return Look::Same;
        }
        let seen = self.seen.replace(before);
        let (is_same, is_first) = (seen == Some(before), seen.is_none());
        match read {
            Ok(certificate) => {
                self.patience = Patience::Done;
                Look::Fits(certificate)
            }
            Err(complaint) if is_same || is_first => {
                self.patience = Patience::Done;
                Look::Broken(complaint)
            }
            Err(_) => {
                self.patience = Patience::Once;
                Look::Same
            }
        }
    }

    fn stamps(&self) -> Stamps {
        [stamp(&self.certificate), stamp(&self.key)]
    }
}

/// Keeps one pair of files shown.
#[derive(Debug)]
pub(super) struct Keeper {
    watched: Watched,
    slot: Arc<Slot>,
    cells: Rc<WorkerCells>,
}

impl Keeper {
    pub(super) fn new(
        certificate: &Path,
        key: &Path,
        slot: Arc<Slot>,
        cells: &Rc<WorkerCells>,
    ) -> Self {
        Self {
            watched: Watched::new(certificate, key),
            slot,
            cells: Rc::clone(cells),
        }
    }

    /// Looks once, and shows what is new.
    pub(super) fn look(&mut self) {
        match self.watched.look() {
            Look::Same => {}
            Look::Fits(certificate) => {
                let before = self.slot.get();
                let is_new = before.is_none_or(|old| old.leaf_der() != certificate.leaf_der());
                if is_new {
                    self.cells.add(Counter::CertificateFilesSuccess, 1);
                    tell::shown(certificate.names(), "files", &certificate);
                }
                // The rest of the chain may be new.
                self.slot.set(Arc::new(certificate));
            }
            Look::Broken(complaint) => {
                self.cells.add(Counter::CertificateFilesFailure, 1);
                tell::broken(&complaint, self.slot.get());
            }
        }
    }

    /// For ever.
    pub(super) async fn run(mut self) {
        loop {
            sleep(LOOK_EVERY).await;
            self.look();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::{Look, Watched, read};
    use crate::certs::scratch::Scratch;

    /// A certificate for a name, and its key.
    fn pair(name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn names(look: Look) -> String {
        match look {
            Look::Fits(certificate) => certificate.names().join(" "),
            other => panic!("{other:?}"),
        }
    }

    fn put(path: &Path, text: &str) {
        // As most tools do: never in place.
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, path).unwrap();
    }

    #[test]
    fn a_new_pair_is_taken_when_both_files_are_there() {
        let scratch = Scratch::new();
        let (certificate, key) = (scratch.path().join("c.pem"), scratch.path().join("k.pem"));
        let (one, two) = (pair("one.example"), pair("two.example"));
        put(&certificate, &one.0);
        put(&key, &one.1);
        let mut watched = Watched::new(&certificate, &key);
        assert_eq!(names(watched.look()), "one.example");
        assert!(matches!(watched.look(), Look::Same));
        put(&certificate, &two.0);
        assert!(matches!(watched.look(), Look::Same), "the key may come");
        put(&key, &two.1);
        assert_eq!(names(watched.look()), "two.example");
        assert!(matches!(watched.look(), Look::Same));
    }

    #[test]
    fn what_stays_broken_is_told_once_for_each_change() {
        let scratch = Scratch::new();
        let file = scratch.path().join("both.pem");
        let (certificate, key) = pair("one.example");
        put(&file, &format!("{certificate}{key}"));
        let mut watched = Watched::new(&file, &file);
        assert_eq!(names(watched.look()), "one.example");
        put(&file, "no certificate");
        assert!(matches!(watched.look(), Look::Same), "it may not be whole");
        let Look::Broken(complaint) = watched.look() else {
            panic!("not told");
        };
        assert!(complaint.what.contains("both.pem"), "{complaint:?}");
        assert!(matches!(watched.look(), Look::Same), "told already");
        fs::remove_file(&file).unwrap();
        assert!(matches!(watched.look(), Look::Same));
        let Look::Broken(complaint) = watched.look() else {
            panic!("not told");
        };
        assert!(complaint.what.contains("No such file"), "{complaint:?}");
        put(&file, &format!("{key}{certificate}"));
        assert_eq!(names(watched.look()), "one.example");
    }

    #[test]
    fn at_the_start_what_is_missing_is_told_at_once() {
        let scratch = Scratch::new();
        let file = scratch.path().join("none.pem");
        let mut watched = Watched::new(&file, &file);
        assert!(matches!(watched.look(), Look::Broken(_)));
        assert!(matches!(watched.look(), Look::Same));
    }

    #[test]
    fn a_link_that_points_elsewhere_is_a_change() {
        let scratch = Scratch::new();
        for (folder, name) in [("1", "one.example"), ("2", "two.example")] {
            let folder = scratch.path().join(folder);
            fs::create_dir(&folder).unwrap();
            let (certificate, key) = pair(name);
            fs::write(folder.join("tls.crt"), certificate).unwrap();
            fs::write(folder.join("tls.key"), key).unwrap();
        }
        // As a secret is mounted: files are links through `..data`, and that one is swapped.
        let data = scratch.path().join("..data");
        symlink("1", &data).unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{file}"), scratch.path().join(file)).unwrap();
        }
        let file = |name| scratch.path().join(name);
        let mut watched = Watched::new(&file("tls.crt"), &file("tls.key"));
        assert_eq!(names(watched.look()), "one.example");
        let new = scratch.path().join("..new");
        symlink("2", &new).unwrap();
        fs::rename(&new, &data).unwrap();
        assert_eq!(names(watched.look()), "two.example");
    }

    #[test]
    fn a_complaint_never_shows_a_key() {
        let scratch = Scratch::new();
        let (certificate, key) = (scratch.path().join("c.pem"), scratch.path().join("k.pem"));
        let (one, two) = (pair("one.example"), pair("two.example"));
        fs::write(&certificate, one.0).unwrap();
        fs::write(&key, &two.1).unwrap();
        let complaint = read(&certificate, &key).unwrap_err();
        let secret = two.1.lines().nth(1).unwrap();
        assert!(!format!("{complaint:?}").contains(secret));
    }
}
