//! No input panics: good configs, randomly broken, give a config or diagnostics that render.

#![expect(
    clippy::unwrap_used,
    reason = "a broken test directory is a failed test"
)]

use std::sync::LazyLock;

use croupier_config::render::Style;
use croupier_config::{Config, FrontTls};
use proptest::prelude::{Strategy, any, prop, proptest};

/// Name and text.
type Sample = (String, String);

/// Every sample, good and bad, TOML and JSON.
static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let mut samples = Vec::new();
    for directory in ["tests/good", "tests/cases"] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_config = path
                .extension()
                .is_some_and(|ext| ext == "toml" || ext == "json");
            if let (true, Ok(text)) = (is_config, std::fs::read_to_string(&path)) {
                samples.push((path.display().to_string(), text));
            }
        }
    }
    samples.sort();
    samples
});

/// What is likely to hit a boundary.
const SNIPPETS: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\n",
    "\r\n",
    "\t",
    "#",
    "$",
    "${",
    "*",
    "~(",
    "\\",
    "\u{feff}",
    "\u{0}",
    "\u{1f}",
    "é",
    "\u{202e}",
    "😀",
    "0",
    "-1",
    "99999999999999999999",
    "1e999",
    "nan",
    "true",
    "1979-05-27",
    "null",
    "off",
    "unix:",
    "[::1]:80",
    ":",
    "routes = [{}]",
    "[site]",
    "[site.\"\"]",
    "[pool.\"x\"]",
    "include = [\"*\"]",
];

#[derive(Debug, Clone)]
enum Mutation {
    Delete { at: usize, len: usize },
    Insert { at: usize, snippet: usize },
    Copy { from: usize, len: usize, to: usize },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = any::<usize>();
    proptest::prop_oneof![
        (place, 1..40_usize).prop_map(|(at, len)| Mutation::Delete { at, len }),
        (place, any::<usize>()).prop_map(|(at, snippet)| Mutation::Insert { at, snippet }),
        (place, 1..80_usize, any::<usize>()).prop_map(|(from, len, to)| Mutation::Copy {
            from,
            len,
            to
        }),
    ]
}

fn apply(text: &str, mutations: &[Mutation]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for mutation in mutations {
        let len = chars.len().max(1);
        match *mutation {
            Mutation::Delete { at, len: count } => {
                let at = (at % len).min(chars.len());
                let end = (at + count).min(chars.len());
                chars.drain(at..end);
            }
            Mutation::Insert { at, snippet } => {
                let at = (at % len).min(chars.len());
                chars.splice(at..at, SNIPPETS[snippet % SNIPPETS.len()].chars());
            }
            Mutation::Copy {
                from,
                len: count,
                to,
            } => {
                let from = (from % len).min(chars.len());
                let piece = chars[from..(from + count).min(chars.len())].to_vec();
                let to = (to % len).min(chars.len());
                chars.splice(to..to, piece);
            }
        }
    }
    chars.into_iter().collect()
}

fn survives(name: &str, text: &str) {
    let diagnostics = match Config::from_str(name, text) {
        Ok(config) => {
            for site in &config.sites {
                assert!(!site.routes.is_empty());
                for route in &site.routes {
                    config.timeouts_of(site, route);
                }
            }
            assert!(!config.server.listen.is_empty());
            config.warnings
        }
        Err(diagnostics) => {
            assert!(diagnostics.has_errors());
            diagnostics
        }
    };
    diagnostics.text(Style::Plain);
    diagnostics.text(Style::Color);
    diagnostics.json();
}

proptest! {
    #[test]
    fn broken_samples_are_survived(
        sample in any::<usize>(),
        mutations in prop::collection::vec(mutation(), 0..8),
    ) {
        let (name, text) = &SAMPLES[sample % SAMPLES.len()];
        survives(name, &apply(text, &mutations));
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survives("a.toml", &text);
        survives("a.json", &text);
    }

    #[test]
    fn any_command_line_is_survived(from in any::<String>(), to in prop::collection::vec(any::<String>(), 0..3)) {
        if let Err(diagnostics) = Config::proxy(&from, &to, FrontTls::Fitting) {
            diagnostics.text(Style::Plain);
        }
    }
}

#[test]
fn depth_is_survived() {
    for text in [
        format!("[{}]", "a.".repeat(100_000) + "a"),
        format!("{}=1", "a.".repeat(100_000) + "a"),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("a = {}{}", "[".repeat(70), "]".repeat(70)),
        format!("[site.{}]\nproxy = \"a:1\"", "a.".repeat(60) + "a"),
    ] {
        survives("a.toml", &text);
    }
    survives("a.json", &"[".repeat(100_000));
    survives("a.json", &"{\"a\":".repeat(100_000));
}

#[test]
fn size_is_survived() {
    survives("a.toml", &"x\n".repeat(100_000));
    survives("a.toml", &"[site.a]\n".repeat(10_000));
    let routes = "{ path = \"/a\", deny = 403 },\n".repeat(10_000);
    survives("a.toml", &format!("[site.a]\nroutes = [\n{routes}]\n"));
    let routes = "{ path = \"/a\", deny = 403 },\n".repeat(10_001);
    let problems =
        Config::from_str("a.toml", &format!("[site.a]\nroutes = [\n{routes}]\n")).unwrap_err();
    assert_eq!(problems.list[0].code.id, "C003");
}
