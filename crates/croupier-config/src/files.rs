//! The file system as the loader sees it: one bounded read, and `*` in an include.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::codes;
use crate::read::Complaint;

const FILE_BYTES_MAX: u64 = 4 << 20;

/// The files of one pattern, sorted by name. A pattern may match nothing; a plain name must be there.
pub(crate) fn matching(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, Complaint> {
    let bad = |message: String| Complaint::new(message);
    if pattern.is_empty() || pattern.ends_with('/') || pattern.contains('\0') {
        let complaint = bad(format!("`{pattern}` names no file"));
        return Err(complaint.help(format!("write `{pattern}*.toml`")));
    }
    let path = directory.join(pattern);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let parent = path.parent().unwrap_or_else(|| Path::new(""));
    if pattern.contains(['?', '[', '{']) || parent.to_string_lossy().contains('*') {
        return Err(
            bad(format!("`{pattern}` is not a pattern that is understood"))
                .help("`*` stands for any text, in the last part of the path only"),
        );
    }
    if !name.contains('*') {
        return Ok(vec![path]);
    }
    let shown = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let entries = match fs::read_dir(shown) {
        Ok(entries) => entries,
        Err(error) => {
            let what = io_problem(&error);
            return Err(bad(format!(
                "cannot list the directory `{}`: {what}",
                shown.display()
            )));
        }
    };
    // Hidden files are left by editors and package managers, and nobody means them.
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| !entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|candidate| !candidate.starts_with('.') && glob(&name, candidate))
        .collect();
    names.sort();
    Ok(names.into_iter().map(|name| parent.join(name)).collect())
}

/// Whether a name is of a pattern in which `*` stands for any text.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

pub(crate) fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Why a file gave no text.
pub(crate) struct Unreadable {
    pub(crate) code: codes::Code,
    pub(crate) what: String,
    pub(crate) help: Option<String>,
}

pub(crate) fn read_file(path: &Path) -> Result<String, Unreadable> {
    let io = |error: std::io::Error| Unreadable {
        code: codes::FILE,
        what: io_problem(&error),
        help: None,
    };
    let file = fs::File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        let help = "name the files in it, as in `conf.d/*.toml`".to_owned();
        return Err(Unreadable {
            code: codes::FILE,
            what: "it is a directory".into(),
            help: Some(help),
        });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Unreadable {
            code: codes::TOO_LARGE,
            what: format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20),
            help: Some("split it into files and `include` them".into()),
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Unreadable {
            code: codes::ENCODING,
            what: format!("line {line} is not UTF-8"),
            help: Some("save the file as UTF-8".into()),
        }
    })
}

fn io_problem(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{glob, matching};
    use std::path::Path;

    #[test]
    fn patterns() {
        for (pattern, name, matches) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml~", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("*", "anything", true),
            ("a", "a", true),
            ("a", "ab", false),
        ] {
            assert_eq!(glob(pattern, name), matches, "{pattern} {name}");
        }
        for bad in [
            "",
            "a/",
            "a?.toml",
            "[ab].toml",
            "*/a.toml",
            "no-such-directory/*.toml",
        ] {
            matching(Path::new("."), bad).unwrap_err();
        }
    }
}
