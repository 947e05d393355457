//! Where the repository is, and what lies in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// The repository's folder: the one above this crate's.
pub(crate) fn root() -> Outcome<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent()
        .filter(|root| root.join("Cargo.toml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| "run this through `cargo xtask` inside the repository".into())
}

/// A text file, by its path below the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file that belongs to the repository, sorted by path. What is built or hidden does
/// not belong.
pub(crate) fn files(root: &Path) -> Outcome<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                let skipped = ["target", ".git", "corpus", "artifacts", "node_modules"];
                if !skipped.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let below = path.strip_prefix(root).unwrap_or(&path);
                files.push(File {
                    path: below.to_string_lossy().into_owned(),
                    text,
                });
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}
