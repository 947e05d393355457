//! Golden files: every mistake in `cases/` gives exactly the text beside it, every config in `good/` loads.
//!
//! `UPDATE_EXPECT=1 cargo test -p croupier-config` writes the `.expected` files anew; read the difference before you
//! keep it, the text is what users learn from.

#![expect(
    clippy::unwrap_used,
    reason = "a broken test directory is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use croupier_config::render::Style;
use croupier_config::{Config, Diagnostics, Severity, load};

/// The mistakes that this crate promises to explain.
const CASES_MIN: usize = 100;

fn files(directory: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ext| extensions.iter().any(|e| ext == *e))
        })
        .collect();
    files.sort();
    files
}

/// What the load says: errors, or the warnings of a config that loads.
fn report(path: &Path) -> Diagnostics {
    match load(path) {
        Ok(config) => config.warnings,
        Err(diagnostics) => diagnostics,
    }
}

#[test]
fn every_mistake_is_explained_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let cases = files("tests/cases", &["toml", "json"]);
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let text = report(case).text(Style::Plain);
        assert!(!text.is_empty(), "{} has nothing to say", case.display());
        let expected = case.with_extension("expected");
        if update {
            fs::write(&expected, &text).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != text {
            wrong.push(format!("--- {}\n{text}", case.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn messages_keep_to_the_style() {
    for case in files("tests/cases", &["toml", "json"]) {
        for diagnostic in &report(&case) {
            let message = &diagnostic.message;
            let place = case.display();
            assert!(!message.ends_with('.'), "{place}: {message}");
            assert!(message.matches('`').count() % 2 == 0, "{place}: {message}");
            assert!(!message.contains('\n'), "{place}: {message}");
            assert!(
                diagnostic
                    .help
                    .iter()
                    .all(|help| !help.ends_with('.') && !help.contains('\n')),
                "{place}: {:?}",
                diagnostic.help
            );
        }
    }
}

#[test]
fn every_code_has_a_case() {
    let seen: Vec<&str> = files("tests/cases", &["toml", "json"])
        .iter()
        .flat_map(|case| report(case).list)
        .map(|diagnostic| diagnostic.code.id)
        .collect();
    // Large files, foreign encodings and missing main files are made by unit tests; a test of a
    // config fails only where a router runs it, one floor up, and certificates are read there.
    let by_unit_tests = ["C001", "C002", "C003", "C212", "C215"];
    let missing: Vec<&str> = croupier_config::codes::ALL
        .iter()
        .map(|code| code.id)
        .filter(|id| !seen.contains(id) && !by_unit_tests.contains(id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn good_configs_load_without_a_word() {
    let good = files("tests/good", &["toml", "json"]);
    assert!(good.len() >= 10, "{} good configs", good.len());
    for path in good {
        let diagnostics = report(&path);
        assert!(diagnostics.is_empty(), "{}:\n{diagnostics}", path.display());
    }
}

#[test]
fn json_and_toml_are_one_model() {
    let model = |path: &str| {
        let config = load(path).unwrap();
        let names: Vec<String> = config
            .pools
            .iter()
            .map(|pool| pool.name.value.clone())
            .collect();
        let routes: Vec<String> = config
            .sites
            .iter()
            .flat_map(|site| &site.routes)
            .map(|route| route.name.value.clone())
            .collect();
        (
            names,
            routes,
            config.timeouts.connect,
            config.server.listen.len(),
        )
    };
    assert_eq!(
        model("tests/good/machine.json"),
        model("tests/good/machine.toml")
    );
}

#[test]
fn machines_get_the_same_problems_with_places() {
    let text = "[site.\"a\"]\nproxi = \"127.0.0.1:1\"\ndeny = 403\n";
    let problems = Config::from_str("a.toml", text).unwrap_err();
    assert_eq!(problems.count(Severity::Error), 1);
    let json = problems.json();
    assert_eq!(
        json.to_string(),
        serde_json::json!([{
            "severity": "error",
            "code": "C101",
            "message": "unknown key `proxi` in `[site.\"HOST\"]`",
            "help": ["did you mean `proxy`?"],
            "file": "a.toml",
            "line": 2,
            "column": 1,
            "end_line": 2,
            "end_column": 6,
            "label": "",
            "related": [],
        }])
        .to_string()
    );
}
