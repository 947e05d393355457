//! The floors: which crate may use which, where heavy dependencies may live, and which module of
//! the proxy may use which. To change an edge, change its line here and say why in
//! `docs/decisions/`.

use std::collections::BTreeMap;

use crate::code;
use crate::repository::File;
use crate::tidy::Finding;

type Names = &'static [&'static str];

/// Our crates, lowest floor first, and which of ours each may use.
const CRATES: [(&str, Names); 11] = [
    ("croupier-http", &[]),
    ("croupier-telemetry", &[]),
    ("croupier-config", &["croupier-http"]),
    ("croupier-cache", &["croupier-http", "croupier-telemetry"]),
    ("croupier-coding", &["croupier-http"]),
    ("croupier-net", &["croupier-http", "croupier-telemetry"]),
    (
        "croupier-proxy",
        &[
            "croupier-config",
            "croupier-net",
            "croupier-cache",
            "croupier-coding",
            "croupier-http",
            "croupier-telemetry",
        ],
    ),
    (
        "croupier-control",
        &[
            "croupier-proxy",
            "croupier-config",
            "croupier-net",
            "croupier-cache",
            "croupier-coding",
            "croupier-http",
            "croupier-telemetry",
        ],
    ),
    (
        "croupier",
        &[
            "croupier-control",
            "croupier-proxy",
            "croupier-config",
            // Its stories read what was compressed.
            "croupier-coding",
            "croupier-http",
            "croupier-telemetry",
        ],
    ),
    // Shares no code with the proxy, so that a bug cannot cancel itself out.
    ("croupier-testkit", &[]),
    ("xtask", &["croupier-testkit"]),
];

/// Their crates, and which of ours may use them. What is not listed is not allowed.
const DEPENDENCIES: [(&str, Names); 39] = [
    ("annotate-snippets", &["croupier-config"]),
    // One TLS and one HTTP/2, below the waist: docs/decisions/0022.
    ("aws-lc-rs", &["croupier-net"]),
    ("base64", &["croupier-coding"]),
    // Who makes and undoes codings, and nobody else: docs/decisions/0031.
    ("brotli", &["croupier-coding"]),
    (
        "bytes",
        &[
            "croupier-cache",
            "croupier-net",
            "croupier-proxy",
            "croupier-control",
        ],
    ),
    ("clap", &["croupier"]),
    // Checksums of what lies on disk: docs/decisions/0030.
    ("crc32fast", &["croupier-cache"]),
    (
        "fastrand",
        &[
            "croupier-telemetry",
            "croupier-net",
            "croupier-proxy",
            "croupier-control",
        ],
    ),
    ("flate2", &["croupier-coding"]),
    (
        "foldhash",
        &["croupier-telemetry", "croupier-cache", "croupier-proxy"],
    ),
    ("h2", &["croupier-net"]),
    ("hickory-resolver", &["croupier-control"]),
    ("http", &["croupier-net", "croupier-control"]),
    // What the ACME library hands to its client, which is ours.
    ("http-body", &["croupier-control"]),
    ("httparse", &["croupier-http"]),
    ("httpdate", &["croupier-http"]),
    // Nothing uses it: this version keeps the tables of Unicode names out of the build.
    ("idna_adapter", &["croupier-control"]),
    ("instant-acme", &["croupier-control"]),
    ("ipnet", &["croupier-config", "croupier-proxy"]),
    ("memchr", &["croupier-http", "croupier-net"]),
    ("mimalloc", &["croupier"]),
    ("ppp", &["croupier-net"]),
    ("quick_cache", &["croupier-cache"]),
    ("rcgen", &["croupier-control", "croupier-testkit"]),
    ("regex", &["croupier-config", "croupier-proxy"]),
    (
        "rustix",
        &[
            "croupier-cache",
            "croupier-net",
            "croupier-proxy",
            "croupier-control",
            "xtask",
        ],
    ),
    // Control names its types of bytes; the bench shakes hands.
    (
        "rustls",
        &[
            "croupier-net",
            "croupier-control",
            "croupier-testkit",
            "xtask",
        ],
    ),
    ("rustls-platform-verifier", &["croupier-net"]),
    (
        "serde_json",
        &[
            "croupier-config",
            "croupier-proxy",
            "croupier-control",
            "croupier",
        ],
    ),
    ("siphasher", &["croupier-cache", "croupier-proxy"]),
    ("socket2", &["croupier-net", "croupier-testkit"]),
    (
        "tokio",
        &[
            "croupier-net",
            "croupier-proxy",
            "croupier-control",
            "xtask", // the bench's relay
        ],
    ),
    ("tokio-rustls", &["croupier-net"]),
    ("toml", &["croupier-config"]),
    // Nothing uses it: so set, what the HTTP/2 library tells of every frame is not in the build.
    ("tracing", &["croupier-net"]),
    ("webpki", &["croupier-net"]),
    ("webpki-roots", &["croupier-net"]),
    ("x509-parser", &["croupier-net"]),
    ("zstd-safe", &["croupier-coding"]),
];

/// What any crate's tests may use beside that. The test kit's own tests use nothing of ours.
const FOR_TESTS: [&str; 7] = [
    "croupier-testkit",
    "http",
    "http-cache-semantics",
    "proptest",
    "rcgen",
    "serde_json",
    "tokio",
];

/// The modules of `croupier-proxy`, highest first: each may use those behind it.
const MODULES: [&str; 22] = [
    "run",     // a worker thread's body
    "life",    // the story
    "explain", // the story told without living it
    "stage",   // the eight steps of the story, and rescue
    "settle", "exchange", // hold the plan while they live
    "worker", "plan",   // immutable; holds policies, pools, tables
    "policy", // judges an Incoming
    "edits",  // what is changed in a head in passing
    "page",   // an answer for people
    "grpc",   // an answer for calls, and how long they may take
    "answer", // a head, and where its bytes come from
    "kept",   // what the cache holds, as an answer
    "body", "relay", // move, borrow, match
    "pool", "router", "live",     // numbers that outlive plans
    "incoming", // the request as received and who sent it
    "fault",    // what can fail
    "limits",
];

/// Checks everything above.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let parts: Vec<&str> = file.path.split('/').collect();
        match parts.as_slice() {
            ["crates", name, "Cargo.toml"] => crate_edges(name, file, &mut findings),
            ["xtask", "Cargo.toml"] => crate_edges("xtask", file, &mut findings),
            ["crates", "croupier-proxy", "src", rest @ ..] if file.path.ends_with(".rs") => {
                module_edges(rest, file, &mut findings);
            }
            _ => {}
        }
    }
    findings
}

fn crate_edges(name: &str, file: &File, findings: &mut Vec<Finding>) {
    let Some((_, allowed)) = CRATES.iter().find(|(listed, _)| *listed == name) else {
        findings.push(Finding::fails(
            file,
            1,
            format!("`{name}` has no floor in {}", file!()),
        ));
        return;
    };
    let ours: BTreeMap<&str, ()> = CRATES.iter().map(|(listed, _)| (*listed, ())).collect();
    for dependency in dependencies(&file.text) {
        let Dependency {
            line,
            name: used,
            is_for_tests,
        } = dependency;
        let is_allowed = if is_for_tests && name != "croupier-testkit" && FOR_TESTS.contains(&used)
        {
            true
        } else if ours.contains_key(used) {
            allowed.contains(&used)
        } else {
            let listed = DEPENDENCIES.iter().find(|(listed, _)| *listed == used);
            listed.is_some_and(|(_, users)| users.contains(&name))
        };
        if !is_allowed {
            let what = format!("`{name}` may not use `{used}` ({} says so)", file!());
            findings.push(Finding::fails(file, line, what));
        }
    }
}

struct Dependency<'a> {
    line: usize,
    name: &'a str,
    is_for_tests: bool,
}

/// The dependencies of a manifest, whichever way they are written.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut section = "";
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            let single = ["dependencies.", "dev-dependencies.", "build-dependencies."];
            for kind in single {
                let start = section.strip_prefix(kind);
                let start = start.or_else(|| section.split_once(&format!(".{kind}")).map(|s| s.1));
                if let Some(name) = start {
                    let is_for_tests = section.contains("dev-dependencies");
                    found.push(Dependency {
                        line: number + 1,
                        name,
                        is_for_tests,
                    });
                    break;
                }
            }
            continue;
        }
        if !section.ends_with("dependencies") || line.starts_with('#') {
            continue;
        }
        if let Some((key, _)) = line.split_once('=') {
            let name = key
                .split('.')
                .next()
                .unwrap_or(key)
                .trim()
                .trim_matches('"');
            let is_for_tests = section.ends_with("dev-dependencies");
            found.push(Dependency {
                line: number + 1,
                name,
                is_for_tests,
            });
        }
    }
    found
}

/// `path` is below `src/`, in parts.
fn module_edges(path: &[&str], file: &File, findings: &mut Vec<Finding>) {
    let room = path
        .first()
        .map_or("", |first| first.trim_end_matches(".rs"));
    let is_test = path.last().is_some_and(|last| *last == "tests.rs") || room == "tests";
    if room == "lib" || is_test {
        return;
    }
    let Some(own) = MODULES.iter().position(|module| *module == room) else {
        let what = format!("the module `{room}` has no floor in {}", file!());
        findings.push(Finding::fails(file, 1, what));
        return;
    };
    // `super` in `a.rs` and `a/mod.rs` is the crate; one more is needed for each folder below.
    let depth = path.len() - usize::from(path.last() == Some(&"mod.rs"));
    let to_crate = "super::".repeat(depth);
    let code = code::without_words(&file.text);
    // By custom the tests stand last; they may use what they like.
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    for (line, used) in uses(code, "crate::")
        .into_iter()
        .chain(uses(code, &to_crate))
    {
        let theirs = MODULES.iter().position(|module| *module == used);
        if theirs.is_some_and(|theirs| theirs < own) {
            let what = format!("`{room}` may not use `{used}` ({} says so)", file!());
            findings.push(Finding::fails(file, line, what));
        }
    }
}

/// The first names behind `prefix`, each with its line; braces are looked into.
fn uses<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':') {
            continue; // `my_crate::`, `super::super::` for a deeper prefix
        }
        let line = code[..at].lines().count().max(1);
        let line = if code[..at].ends_with('\n') {
            line + 1
        } else {
            line
        };
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => found.extend(first_name(rest).map(|name| (line, name))),
            Some(group) => {
                let names = group_heads(group);
                found.extend(names.into_iter().map(|name| (line, name)));
            }
        }
    }
    found
}

fn first_name(text: &str) -> Option<&str> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    Some(&text[..end.unwrap_or(text.len())]).filter(|name| !name.is_empty())
}

/// The first name of each item of `{a::b, c::{d, e}}`, its first brace taken off.
fn group_heads(group: &str) -> Vec<&str> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.extend(first_name(group[start..at].trim_start()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.into(),
        }
    }

    fn said(path: &str, text: &str) -> Vec<String> {
        check(&[file(path, text)])
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn a_crate_uses_only_what_its_line_allows() {
        let net = "crates/croupier-net/Cargo.toml";
        let good = "[dependencies]\ncroupier-http.workspace = true\ntokio.workspace = true\n\
                    [dev-dependencies]\nproptest.workspace = true\n";
        assert!(said(net, good).is_empty());
        assert_eq!(
            said(net, "[dependencies]\ncroupier-config.workspace = true\n").len(),
            1
        );
        assert_eq!(said(net, "[dependencies.clap]\nversion = \"4\"\n").len(), 1);
        assert_eq!(
            said(
                net,
                "[target.'cfg(unix)'.dependencies]\nnever-seen = \"1\"\n"
            )
            .len(),
            1
        );
        let testkit = "crates/croupier-testkit/Cargo.toml";
        assert_eq!(
            said(
                testkit,
                "[dev-dependencies]\ncroupier-http.workspace = true"
            )
            .len(),
            1
        );
        assert_eq!(said("crates/croupier-new/Cargo.toml", "").len(), 1);
    }

    #[test]
    fn a_module_uses_only_what_stands_behind_it() {
        let policy = "crates/croupier-proxy/src/policy/rate.rs";
        assert!(
            said(
                policy,
                "use crate::incoming::Incoming;\nuse super::Verdict;"
            )
            .is_empty()
        );
        assert_eq!(said(policy, "use crate::plan::Plan;").len(), 1);
        assert_eq!(
            said(policy, "use crate::{fault::Fault, plan::{Plan, Route}};").len(),
            1
        );
        assert_eq!(said(policy, "use super::super::stage::fetch;").len(), 1);
        assert_eq!(said(policy, "fn f() { crate::life::go() }").len(), 1);
        assert!(
            said(
                policy,
                "// crate::life\n#[cfg(test)]\nmod t { use crate::life; }"
            )
            .is_empty()
        );
        assert_eq!(
            said("crates/croupier-proxy/src/answer.rs", "use super::run::x;").len(),
            1
        );
        assert!(said("crates/croupier-proxy/src/run.rs", "use super::life::x;").is_empty());
        assert_eq!(said("crates/croupier-proxy/src/novel.rs", "").len(), 1);
    }
}
