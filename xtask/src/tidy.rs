//! What no compiler checks: words, sizes, module docs, marks, paths, documents; and the floors.

use crate::repository::{self, File};
use crate::{Outcome, code, floors};

/// Words that are in no name here: the two ends of an exchange are `client` and `origin`.
const WORDS: [&str; 6] = [
    "upstream",
    "downstream",
    "backend",
    "frontend",
    "helpers",
    "manager",
];

/// Words that are no name of a module, which is named after what it is.
const MODULE_WORDS: [&str; 4] = ["util", "utils", "common", "misc"];

const LINES_WARN: usize = 600;
const LINES_FAIL: usize = 800;

/// Files that are tables and may be longer, each with its reason.
const LONG: [(&str, &str); 0] = [];

/// The few files that may hold unsafe code, each with its reason.
const UNSAFE: [(&str, &str); 3] = [
    (
        "crates/croupier-control/tests/allocations.rs",
        "a global allocator that counts can not be written without",
    ),
    (
        "crates/croupier-cache/tests/store/weight.rs",
        "a global allocator that counts can not be written without",
    ),
    (
        "crates/croupier-coding/tests/allocations.rs",
        "a global allocator that counts can not be written without",
    ),
];

/// What every repository of this house has.
const DOCUMENTS: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "LEXICON.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "docs/decisions/",
];

/// One thing that tidy has to say.
pub(crate) struct Finding {
    path: String,
    line: usize,
    pub(crate) what: String,
    is_failure: bool,
}

impl Finding {
    pub(crate) fn fails(file: &File, line: usize, what: String) -> Self {
        Self {
            path: file.path.clone(),
            line,
            what,
            is_failure: true,
        }
    }

    fn warns(file: &File, line: usize, what: String) -> Self {
        Self {
            is_failure: false,
            ..Self::fails(file, line, what)
        }
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run() -> Outcome<()> {
    let files = repository::files(&repository::root()?)?;
    let mut findings: Vec<Finding> = files.iter().flat_map(check).collect();
    findings.extend(documents(&files));
    findings.extend(floors::check(&files));
    for finding in &findings {
        let kind = if finding.is_failure {
            "error"
        } else {
            "warning"
        };
        println!(
            "{kind}: {}:{}: {}",
            finding.path, finding.line, finding.what
        );
    }
    match findings.iter().filter(|finding| finding.is_failure).count() {
        0 => {
            println!("tidy: {} files", files.len());
            Ok(())
        }
        count => Err(format!("tidy found {count} things to put right")),
    }
}

fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    machine_paths(file, &mut findings);
    marks(file, &mut findings);
    if file.path.ends_with(".rs") {
        let code = code::without_words(&file.text);
        size(file, &mut findings);
        module_docs(file, &mut findings);
        names(file, &code, &mut findings);
        ignored_tests(file, &mut findings);
        unsafe_code(file, &code, &mut findings);
    }
    findings
}

fn size(file: &File, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    let is_source = file.path.contains("/src/");
    if !is_source || LONG.iter().any(|(path, _)| *path == file.path) {
        return;
    }
    if lines > LINES_FAIL {
        findings.push(Finding::fails(
            file,
            1,
            format!("{lines} lines: above {LINES_FAIL}"),
        ));
    } else if lines > LINES_WARN {
        findings.push(Finding::warns(
            file,
            1,
            format!("{lines} lines: above {LINES_WARN}"),
        ));
    }
}

fn module_docs(file: &File, findings: &mut Vec<Finding>) {
    let mut lines = file.text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with("#!["));
    if !first.is_some_and(|line| line.starts_with("//!")) {
        findings.push(Finding::fails(file, 1, "a module begins with `//!`".into()));
    }
}

fn names(file: &File, code: &str, findings: &mut Vec<Finding>) {
    let mut refuse = |line: usize, name: &str, refused: &[&str]| {
        let words = code::words(name);
        if let Some(word) = refused
            .iter()
            .find(|word| words.iter().any(|own| own == *word))
        {
            let what = format!("`{name}`: `{word}` is not a word of this house");
            findings.push(Finding::fails(file, line, what));
        }
    };
    for part in file.path.trim_end_matches(".rs").split('/') {
        refuse(1, part, &WORDS);
        refuse(1, part, &MODULE_WORDS);
    }
    let mut before = "";
    for (line, name) in code::identifiers(code) {
        refuse(line, name, &WORDS);
        if before == "mod" {
            refuse(line, name, &MODULE_WORDS);
        }
        before = name;
    }
}

/// Notes to oneself need the number of an issue or of a decision.
fn marks(file: &File, findings: &mut Vec<Finding>) {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    for (number, line) in file.text.lines().enumerate() {
        for mark in marks {
            let is_bare = |(at, _): (usize, &str)| {
                let (before, after) = (&line[..at], &line[at + mark.len()..]);
                let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                is_word && !after.starts_with("(#") && !after.starts_with("(ADR-")
            };
            if line.match_indices(mark).any(is_bare) {
                let what = format!("a bare {mark}: write {mark}(#123) or {mark}(ADR-0007)");
                findings.push(Finding::fails(file, number + 1, what));
            }
        }
    }
}

fn ignored_tests(file: &File, findings: &mut Vec<Finding>) {
    let bare = concat!("#[ign", "ore]");
    for (number, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with(bare) {
            let what = format!("{bare} without a reason proves nothing");
            findings.push(Finding::fails(file, number + 1, what));
        }
    }
}

fn unsafe_code(file: &File, code: &str, findings: &mut Vec<Finding>) {
    let is_listed = UNSAFE.iter().any(|(path, _)| *path == file.path);
    let lines: Vec<&str> = file.text.lines().collect();
    for (line, _) in code::identifiers(code).filter(|(_, name)| *name == concat!("uns", "afe")) {
        if !is_listed {
            let what = format!("unsafe code in a file that {} does not list", file!());
            findings.push(Finding::fails(file, line, what));
        }
        let before = &lines[line.saturating_sub(6)..line];
        if !before.iter().any(|line| line.contains("SAFETY:")) {
            findings.push(Finding::fails(
                file,
                line,
                "unsafe code without `// SAFETY:`".into(),
            ));
        }
    }
}

/// The repository speaks of no machine in particular.
fn machine_paths(file: &File, findings: &mut Vec<Finding>) {
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    for (number, line) in file.text.lines().enumerate() {
        let found = paths.iter().find(|path| {
            let is_start = |(at, _): (usize, &str)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/*".contains(c))
            };
            line.match_indices(*path).any(is_start)
        });
        if let Some(path) = found {
            let what = format!("`{path}` is a path of one machine");
            findings.push(Finding::fails(file, number + 1, what));
        }
    }
}

/// The documents are there, and the map of the house names every crate.
fn documents(files: &[File]) -> Vec<Finding> {
    let nowhere = |path: &str| File {
        path: path.to_owned(),
        text: String::new(),
    };
    let exists = |wanted: &str| {
        files.iter().any(|file| {
            file.path == wanted || (wanted.ends_with('/') && file.path.starts_with(wanted))
        })
    };
    let mut findings: Vec<Finding> = DOCUMENTS
        .iter()
        .filter(|wanted| !exists(wanted))
        .map(|wanted| Finding::fails(&nowhere(wanted), 0, "is missing".into()))
        .collect();
    if let Some(map) = files.iter().find(|file| file.path == "ARCHITECTURE.md") {
        let manifests = files.iter().filter_map(|file| {
            file.path
                .strip_prefix("crates/")?
                .strip_suffix("/Cargo.toml")
        });
        for name in manifests.filter(|name| !map.text.contains(name)) {
            findings.push(Finding::fails(map, 1, format!("does not name `{name}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, text: &str) -> Vec<String> {
        let file = File {
            path: path.into(),
            text: text.into(),
        };
        check(&file)
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn a_tidy_file_is_left_alone() {
        let text = "//! A room.\n\n// TODO(#12): later. A word in text: manager.\nfn open() {}\n";
        assert!(said("crates/a/src/room.rs", text).is_empty());
    }

    #[test]
    fn each_rule_speaks() {
        let mark = concat!("TO", "DO");
        let ignored = concat!("#[ign", "ore]");
        let danger = concat!("uns", "afe");
        let path = concat!("/wo", "rk/");
        for (name, text) in [
            ("a/src/a.rs", "fn no_docs() {}".to_owned()),
            ("a/src/a.rs", "//! .\nstruct ConnManager;".to_owned()),
            ("a/src/a.rs", "//! .\nlet upstream_address = 1;".to_owned()),
            ("a/src/utils.rs", "//! .".to_owned()),
            ("a/src/a.rs", "//! .\nmod common {}".to_owned()),
            ("a/src/a.rs", format!("//! .\n// {mark}: more")),
            ("a/src/a.rs", format!("//! .\n{ignored}\nfn f() {{}}")),
            ("a/src/a.rs", format!("//! .\n// SAFETY: no\n{danger} {{}}")),
            ("a/README.md", format!("see `{path}x`")),
            ("a/src/a.rs", format!("//! .\n{}", "\n".repeat(LINES_FAIL))),
        ] {
            assert_eq!(said(name, &text).len(), 1, "{name}: {text:?}");
        }
    }
}
