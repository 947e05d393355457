//! From a path or a text to a `Config`: files, includes, and the order of the work.
//!
//! Every file is parsed before any is read, and all are read before the whole is checked; an error in one refuses
//! all, and the caller keeps what it had.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::files::{canonical, matching, read_file};
use crate::model::Config;
use crate::read::{self, File, Reader};
use crate::source::{Sources, Span, Spanned};
use crate::syntax::{self, Parsed};
use crate::tree::{Node, Value};

const FILES_MAX: usize = 256;
const INCLUDE_DEPTH_MAX: usize = 8;

/// Reads a config file and what it includes. A name that ends in `.json` is JSON, everything else TOML.
pub fn load(path: impl AsRef<Path>) -> Result<Config, Diagnostics> {
    let path = path.as_ref();
    let mut loader = Loader::default();
    match read_file(path) {
        Ok(text) => {
            loader.known.insert(canonical(path), Span::NOWHERE);
            loader.file(path, text, 0);
        }
        Err(problem) => {
            // Nothing to point into: the message names the file.
            let message = format!(
                "cannot read the config `{}`: {}",
                path.display(),
                problem.what
            );
            let mut diagnostic = Diagnostic::error(problem.code, Span::NOWHERE, message);
            diagnostic.help.extend(problem.help);
            loader.reader.note(diagnostic);
        }
    }
    loader.finish()
}

impl Config {
    /// Reads a config from a text; `name` is what diagnostics call it. It cannot include files.
    pub fn from_str(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut loader = Loader {
            includes: Includes::Refused,
            ..Loader::default()
        };
        loader.file(Path::new(name), text.to_owned(), 0);
        loader.finish()
    }
}

#[derive(Default, PartialEq, Eq)]
enum Includes {
    #[default]
    Allowed,
    Refused,
}

#[derive(Default)]
struct Loader {
    sources: Sources,
    reader: Reader,
    files: Vec<File>,
    /// Files by their real path, and where each was included.
    known: HashMap<PathBuf, Span>,
    includes: Includes,
}

impl Loader {
    fn file(&mut self, path: &Path, text: String, depth: usize) {
        let is_main = self.files.is_empty() && depth == 0;
        // A byte order mark is no part of the text, and would shift the first line's columns.
        let text = text
            .strip_prefix('\u{feff}')
            .map_or_else(|| text.clone(), str::to_owned);
        let is_json = path.extension() == Some(OsStr::new("json"));
        let id = self.sources.add(path.display().to_string(), text);
        let text = self
            .sources
            .file(id)
            .map(|file| file.text.as_str())
            .unwrap_or_default();
        let Parsed {
            tree,
            errors,
            broken_lines,
        } = if is_json {
            syntax::parse_json(id, text)
        } else {
            syntax::parse_toml(id, text)
        };
        for error in errors {
            self.reader.note(error);
        }
        self.reader.echoes.insert(id, broken_lines);
        let Some(tree) = tree else {
            self.reader.is_partial = true;
            return;
        };
        let includes = include_list(&mut self.reader, &tree);
        self.files.push(File { tree, is_main });
        if self.includes == Includes::Refused {
            if let Some(first) = includes.first() {
                let message = "a config that is not a file cannot include files";
                self.reader
                    .note(Diagnostic::error(codes::INCLUDE, first.span, message));
            }
            return;
        }
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        for pattern in includes {
            self.include(directory, &pattern, depth + 1);
        }
    }

    fn include(&mut self, directory: &Path, pattern: &Spanned<String>, depth: usize) {
        if depth > INCLUDE_DEPTH_MAX {
            let message = format!("includes are nested deeper than {INCLUDE_DEPTH_MAX}");
            self.reader
                .note(Diagnostic::error(codes::TOO_LARGE, pattern.span, message));
            return;
        }
        let paths = match matching(directory, &pattern.value) {
            Ok(paths) => paths,
            Err(complaint) => {
                self.reader
                    .complain(codes::INCLUDE, pattern.span, complaint);
                return;
            }
        };
        for path in paths {
            let shown = path.display();
            if let Some(first) = self.known.get(&canonical(&path)) {
                let message = format!("`{shown}` is part of the config already");
                let note = Diagnostic::error(codes::INCLUDE, pattern.span, message);
                self.reader.note(match first.is_written() {
                    true => note.and(*first, "included here first"),
                    false => note.help(
                        "it is the main file; keep included files in a directory of their own",
                    ),
                });
                continue;
            }
            if self.known.len() >= FILES_MAX {
                let message = format!("a config has at most {FILES_MAX} files");
                self.reader
                    .note(Diagnostic::error(codes::TOO_LARGE, pattern.span, message));
                return;
            }
            self.known.insert(canonical(&path), pattern.span);
            match read_file(&path) {
                Ok(text) => self.file(&path, text, depth),
                Err(problem) => {
                    let message = format!("cannot read `{shown}`: {}", problem.what);
                    let mut note = Diagnostic::error(problem.code, pattern.span, message);
                    note.help.extend(problem.help);
                    self.reader.note(note);
                    self.reader.is_partial = true;
                }
            }
        }
    }

    fn finish(mut self) -> Result<Config, Diagnostics> {
        let mut config = read::config(&mut self.reader, &self.files);
        // With a file missing, whatever it defines would be reported as missing too.
        if !self.reader.is_partial {
            check::check(&mut self.reader, &mut config);
        }
        let sources = Arc::new(self.sources);
        let list = self.reader.without_echoes(&sources);
        let diagnostics = Diagnostics::new(Arc::clone(&sources), list);
        if diagnostics.count(Severity::Error) > 0 {
            return Err(diagnostics);
        }
        config.sources = sources;
        config.warnings = diagnostics;
        Ok(config)
    }
}

/// `include` of one file. Wrong types are noted here, since the reader proper does not look at it again.
fn include_list(reader: &mut Reader, tree: &Node) -> Vec<Spanned<String>> {
    let entries = tree.as_table().unwrap_or_default();
    let Some(entry) = entries.iter().find(|entry| entry.key.value == "include") else {
        return Vec::new();
    };
    let mut note = |span, found: &str| {
        let message = format!("`include` takes a list of strings, not {found}");
        reader.note(
            Diagnostic::error(codes::WRONG_TYPE, span, message)
                .help("write `include = [\"conf.d/*.toml\"]`"),
        );
    };
    let Value::Array(items) = &entry.node.value else {
        note(entry.node.span, entry.node.found());
        return Vec::new();
    };
    let mut list = Vec::new();
    for item in items {
        match item.as_str() {
            Some(text) => list.push(text.map(str::to_owned)),
            None => note(item.span, &format!("a list with {}", item.found())),
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::load;

    #[test]
    fn what_cannot_be_read_is_said() {
        let text = load("no/such/file.toml").unwrap_err().to_string();
        assert_eq!(
            text,
            "error[C001]: cannot read the config `no/such/file.toml`: no such file or directory\n"
        );
        let text = load("src").unwrap_err().to_string();
        assert!(text.contains("it is a directory"), "{text}");
    }

    #[test]
    fn large_and_foreign_files_are_refused() {
        let directory =
            std::env::temp_dir().join(format!("croupier-config-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("a.toml");
        std::fs::write(&path, vec![b'#'; (4 << 20) + 1]).unwrap();
        assert_eq!(load(&path).unwrap_err().list[0].code.id, "C003");
        std::fs::write(&path, b"# caf\xe9\n").unwrap();
        assert_eq!(load(&path).unwrap_err().list[0].code.id, "C002");
        // Each includes the next; the ninth is too deep.
        for depth in 0..10 {
            let text = format!("include = [\"{}.toml\"]\n", depth + 1);
            std::fs::write(directory.join(format!("{depth}.toml")), text).unwrap();
        }
        let problems = load(directory.join("0.toml")).unwrap_err();
        assert_eq!(problems.list[0].code.id, "C003");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
