//! What requests ask of caches: RFC 9111 sections 5.2.1 and 5.4.

use croupier_cache::rules::{Asked, control::Wish};

use super::scene::{Lines, fields};

fn asked(lines: Lines<'_>) -> Asked {
    Asked::of(&fields(lines))
}

fn cc(value: &str) -> Asked {
    asked(&[("Cache-Control", value)])
}

#[test]
fn a_request_without_such_fields_asks_nothing() {
    assert_eq!(
        asked(&[("Host", "a"), ("Accept", "no-cache")]),
        Asked::default()
    );
    assert_eq!(cc("nothing-to-see-here"), Asked::default());
}

#[test]
fn numbers_are_heard_once_and_only_if_they_are_some() {
    let all = cc("MAX-age=1, min-fresh=\"2\", max-stale=3, stale-if-error=4");
    assert_eq!((all.max_age, all.min_fresh), (Some(1), Some(2)));
    assert_eq!((all.max_stale, all.stale_if_error), (Some(3), Some(4)));
    assert_eq!(cc("max-age=1, max-age=2").max_age, Some(1));
    assert_eq!(cc("max-age=99999999999").max_age, Some(1 << 31));
    assert_eq!(cc("max-stale").max_stale, Some(u32::MAX));
    for broken in [
        "max-age",
        "max-age=",
        "max-age=-1",
        "max-age= 1",
        "x=\"max-age=1\"",
    ] {
        assert_eq!(cc(broken).max_age, None, "{broken}");
    }
    assert_eq!(cc("max-stale=x").max_stale, None);
}

#[test]
fn words_are_heard_in_any_case_and_on_any_line() {
    let asked = asked(&[
        ("Cache-Control", "x, No-Cache"),
        ("cache-control", "ONLY-if-cached"),
    ]);
    assert!(asked.wishes(Wish::NO_CACHE) && asked.wishes(Wish::ONLY_IF_CACHED));
    assert!(!asked.wishes(Wish::NO_STORE) && !asked.wishes(Wish::NO_TRANSFORM));
    assert!(cc("no-store, no-transform").wishes(Wish::NO_TRANSFORM));
}

#[test]
fn pragma_is_heard_where_cache_control_is_silent() {
    assert!(asked(&[("Pragma", "foo, NO-cache")]).wishes(Wish::NO_CACHE));
    assert!(!asked(&[("Pragma", "foo")]).wishes(Wish::NO_CACHE));
    let both = [("Pragma", "no-cache"), ("Cache-Control", "max-age=60")];
    assert!(!asked(&both).wishes(Wish::NO_CACHE));
}
