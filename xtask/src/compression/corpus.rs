//! What is compressed: real JavaScript, CSS, HTML and JSON of npm packages, versions pinned.
//!
//! `npm pack` fetches each package once; what it fetched stays in `target/corpus/`, so that a second
//! run needs no network. A file that is not where a package of that version has it is an error:
//! figures of other files would not be figures of this corpus.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::process;

/// A package of npm, and which of its files are taken.
struct Package {
    name: &'static str,
    version: &'static str,
    files: &'static [&'static str],
}

const fn package(
    name: &'static str,
    version: &'static str,
    files: &'static [&'static str],
) -> Package {
    Package {
        name,
        version,
        files,
    }
}

/// As pages have them: for people and minified, large and small.
const PACKAGES: [Package; 12] = [
    package("react", "18.3.1", &["umd/react.development.js"]),
    package(
        "react-dom",
        "18.3.1",
        &[
            "umd/react-dom.development.js",
            "umd/react-dom.production.min.js",
        ],
    ),
    package("lodash", "4.17.21", &["lodash.js", "lodash.min.js"]),
    package("d3", "7.9.0", &["dist/d3.js", "dist/d3.min.js"]),
    package("jquery", "3.7.1", &["dist/jquery.js", "dist/jquery.min.js"]),
    package(
        "vue",
        "3.4.38",
        &["dist/vue.global.js", "dist/vue.global.prod.js"],
    ),
    package(
        "bootstrap",
        "5.3.3",
        &[
            "dist/js/bootstrap.bundle.js",
            "dist/js/bootstrap.bundle.min.js",
            "dist/css/bootstrap.css",
            "dist/css/bootstrap.min.css",
        ],
    ),
    package("font-awesome", "4.7.0", &["css/font-awesome.min.css"]),
    package(
        "reveal.js",
        "5.1.0",
        &[
            "demo.html",
            "plugin/notes/speaker-view.html",
            "dist/reveal.css",
        ],
    ),
    package("impress.js", "1.1.0", &["index.html"]),
    package("mime-db", "1.53.0", &["db.json"]),
    package(
        "world-atlas",
        "2.0.2",
        &["countries-50m.json", "countries-110m.json"],
    ),
];

/// A file of the corpus.
pub(super) struct File {
    /// Its path at the origin.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// The files, and where they lie for the origin.
pub(super) struct Corpus {
    pub(super) folder: PathBuf,
    pub(super) files: Vec<File>,
}

impl Corpus {
    /// Fetches what is missing.
    pub(super) fn fetch() -> Outcome<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = match target {
            Some(target) => target,
            None => crate::repository::root()?.join("target"),
        };
        let folder = target.join("corpus");
        fs::create_dir_all(&folder)
            .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        let mut files = Vec::new();
        for package in &PACKAGES {
            let own = format!("{}-{}", package.name, package.version);
            if !folder.join(&own).is_dir() {
                package.fetch(&folder, &own)?;
            }
            for file in package.files {
                let path = format!("/{own}/{file}");
                let place = folder.join(&path[1..]);
                let bytes = fs::read(&place)
                    .map_err(|error| format!("{} cannot be read: {error}", place.display()))?;
                files.push(File { path, bytes });
            }
        }
        Ok(Self { folder, files })
    }

    pub(super) fn len(&self) -> usize {
        self.files.iter().map(|file| file.bytes.len()).sum()
    }

    /// What it consists of, for the report: kinds with their number and size, then the packages.
    pub(super) fn lines(&self) -> Vec<String> {
        let kinds = [".js", ".css", ".html", ".json"].map(|kind| {
            let files = self.files.iter().filter(|file| file.path.ends_with(kind));
            let (count, len) = files.fold((0, 0), |(count, len), file| {
                (count + 1, len + file.bytes.len())
            });
            format!("{count} {kind} of {len} bytes")
        });
        let packages: Vec<String> = (PACKAGES.iter())
            .map(|package| format!("{}@{}", package.name, package.version))
            .collect();
        vec![
            format!(
                "{} files, {} bytes: {}",
                self.files.len(),
                self.len(),
                kinds.join(", ")
            ),
            packages.join(" "),
        ]
    }
}

impl Package {
    fn fetch(&self, folder: &Path, own: &str) -> Outcome<()> {
        let npm = process::find("npm").ok_or(
            "the corpus is fetched by `npm pack`, and npm is missing: install the package `npm`",
        )?;
        let name = format!("{}@{}", self.name, self.version);
        println!("fetching {name}");
        // Unpacked beside its place, so that half a package is never taken for a whole one.
        let part = folder.join(format!("{own}.part"));
        let _ = fs::remove_dir_all(&part);
        fs::create_dir_all(&part).map_err(|error| error.to_string())?;
        let mut pack = Command::new(npm);
        pack.args(["pack", "--silent", &name]).current_dir(&part);
        process::run(pack.stdin(Stdio::null()).stdout(Stdio::null()))?;
        let mut unpack = Command::new("tar");
        unpack.args(["-xzf", &format!("{own}.tgz"), "--strip-components=1"]);
        process::run(unpack.current_dir(&part))?;
        fs::rename(&part, folder.join(own)).map_err(|error| format!("{own}: {error}"))
    }
}
