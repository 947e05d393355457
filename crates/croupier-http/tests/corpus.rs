//! Every file of `fuzz/corpus` that belongs to this crate, through the checks of its fuzz target.
//!
//! A name that begins with `ok`, `no` or `cut` also pins the verdict: read to the end, refused, or
//! ended in the middle; a number behind the word counts the messages that were whole before.
//! Files with other names were found by a fuzzer once, and only must not break a promise.

use std::{fs, path::Path};

#[expect(
    unreachable_pub,
    reason = "a library in the fuzz workspace, which shares these files"
)]
#[path = "../../../fuzz/src/checks/http/mod.rs"]
mod checks;

use checks::Verdict;

type Check = fn(&[u8]) -> Verdict;

fn replay(target: &str, check: Check) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let path = entry.expect("the folder can be listed").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bytes = fs::read(&path).expect("a corpus file can be read");
        // The name is lost in a panic of the check otherwise.
        let Ok(verdict) = std::panic::catch_unwind(|| check(&bytes)) else {
            failed.push(format!("{name} breaks a promise, see above"));
            continue;
        };
        if pinned(&name).is_some_and(|expected| expected != verdict) {
            failed.push(format!("{name} is {verdict:?}"));
        }
        count += 1;
    }
    assert!(failed.is_empty(), "{target}:\n{}", failed.join("\n"));
    assert!(count >= 20, "{target} has only {count} files");
}

/// The verdict that a name stands for.
fn pinned(name: &str) -> Option<Verdict> {
    let (word, _) = name.split_once('-')?;
    let digits = word
        .find(|letter: char| letter.is_ascii_digit())
        .unwrap_or(word.len());
    let number = word[digits..].parse().ok();
    match &word[..digits] {
        "ok" => Some(Verdict::Accepted(number.unwrap_or(1))),
        "no" => Some(Verdict::Refused(number.unwrap_or(0))),
        "cut" => Some(Verdict::Incomplete(number.unwrap_or(0))),
        _ => None,
    }
}

#[test]
fn h1_requests() {
    replay("h1_request", checks::h1_request::check);
}

#[test]
fn h1_responses() {
    replay("h1_response", checks::h1_response::check);
}

#[test]
fn h2_heads() {
    replay("h2_head", checks::h2_head::check);
}

#[test]
fn chunked_bodies() {
    replay("chunked", checks::chunked::check);
}

#[test]
fn targets() {
    replay("target", checks::target::check);
}

#[test]
fn authorities() {
    replay("authority", checks::authority::check);
}

#[test]
fn forwarded_fields() {
    replay("forwarded", checks::forwarded::check);
}
