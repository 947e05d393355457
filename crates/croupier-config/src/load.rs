//! From a path or a text to a `Config`: files, includes, and the order of the work.
//!
//! Every file is parsed before any is read, and all are read before the whole is checked; an error in one refuses
//! all, and the caller keeps what it had.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::model::Config;
use crate::read::{self, File, Reader};
use crate::source::{Sources, Span, Spanned};
use crate::syntax::{self, Parsed};
use crate::tree::{Node, Value};

const FILE_BYTES_MAX: u64 = 4 << 20;
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

    /// The config of `croupier proxy --from :8080 --to 127.0.0.1:3000`: one site before one pool.
    ///
    /// `from` is an address to listen on; a host name in it makes the site answer for that name only. What the
    /// command line says is written out as a config and read like any other, so its errors look the same.
    pub fn proxy<S: AsRef<str>>(from: &str, to: &[S]) -> Result<Self, Diagnostics> {
        let (host, listen) = host_and_listen(from);
        let to: Vec<String> = to.iter().map(|server| quoted(server.as_ref())).collect();
        let text = format!(
            "[server]\nlisten = {}\n\n[site.{}]\nproxy = [{}]\n",
            quoted(&listen),
            quoted(&host),
            to.join(", ")
        );
        Self::from_str("<command line>", &text)
    }
}

/// What `--from` means: `:8080`, `127.0.0.1:8080`, `unix:/path` listen for every host; `localhost:8080` too, on this
/// machine only; `app.example.com` or `app.example.com:8080` answers for that host.
fn host_and_listen(from: &str) -> (String, String) {
    let any = |listen: &str| ("*".to_owned(), listen.to_owned());
    if from.starts_with([':', '[']) || from.starts_with("unix:") || from.contains('/') {
        return any(from);
    }
    let (name, port) = from.split_once(':').unwrap_or((from, "80"));
    if name == "localhost" {
        return any(&format!("127.0.0.1:{port}"));
    }
    let looks_like_address = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if looks_like_address || port.contains(':') {
        return any(from);
    }
    (name.to_owned(), format!(":{port}"))
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
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
        let directory = path.parent().unwrap_or(Path::new(""));
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

/// The files of one pattern, sorted by name. A pattern may match nothing; a plain name must be there.
fn matching(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, read::Complaint> {
    let bad = |message: String| read::Complaint::new(message);
    if pattern.is_empty() || pattern.ends_with('/') || pattern.contains('\0') {
        let complaint = bad(format!("`{pattern}` names no file"));
        return Err(complaint.help(format!("write `{pattern}*.toml`")));
    }
    let path = directory.join(pattern);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new(""));
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

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Why a file gave no text.
struct Unreadable {
    code: codes::Code,
    what: String,
    help: Option<String>,
}

fn read_file(path: &Path) -> Result<String, Unreadable> {
    let io = |error: std::io::Error| Unreadable {
        code: codes::FILE,
        what: io_problem(&error),
        help: None,
    };
    let file = fs::File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        let help = format!("name a file, or include `{}/*.toml`", path.display());
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
    use super::{Config, glob, host_and_listen, load, matching};
    use crate::model::{Action, Listen};
    use crate::source::FileId;
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

    #[test]
    fn from_the_command_line() {
        for (from, host, listen) in [
            (":8080", "*", ":8080"),
            ("127.0.0.1:8080", "*", "127.0.0.1:8080"),
            ("[::1]:8080", "*", "[::1]:8080"),
            ("localhost:8080", "*", "127.0.0.1:8080"),
            ("unix:/run/c.sock", "*", "unix:/run/c.sock"),
            ("app.example.com", "app.example.com", ":80"),
            ("app.example.com:8080", "app.example.com", ":8080"),
        ] {
            assert_eq!(host_and_listen(from), (host.to_owned(), listen.to_owned()));
            Config::proxy(from, &["127.0.0.1:1"]).unwrap();
        }
        let config = Config::proxy(":8080", &["127.0.0.1:1", "app:2"]).unwrap();
        assert_eq!(config.server.listen[0].value, Listen::Port(8080));
        assert_eq!(config.sites[0].host.span.file, FileId(0));
        let Action::Pool(pool) = &config.sites[0].routes[0].action else {
            panic!("no pool")
        };
        assert_eq!(config.pool(pool.value).servers.len(), 2);
        for from in [
            "", "8080", "http://a", "a\"b:1", "\n", ":x", "1.2.3.4", "::1",
        ] {
            Config::proxy(from, &["127.0.0.1:1"]).unwrap_err();
        }
        Config::proxy::<&str>(":80", &[]).unwrap_err();
        Config::proxy(":80", &["http://127.0.0.1:1"]).unwrap_err();
    }

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
