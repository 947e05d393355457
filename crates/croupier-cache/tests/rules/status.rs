//! `Cache-Status` (RFC 9211), and the tags by which answers are purged (RFC 9875).

use croupier_cache::rules::{
    Because,
    groups::{TAG_BYTES_MAX, TAGS_MAX, Tags, bound, invalidated},
    status::{AskedBy, CacheStatus, Did, Fwd, Stored},
};

use super::scene::{Lines, fields};

fn written(status: CacheStatus<'_>) -> String {
    let mut out = Vec::new();
    status.write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn an_account_is_a_member_of_a_list() {
    let hit = CacheStatus {
        cache: "croupier",
        did: Did::Hit,
        ttl: Some(376),
        detail: None,
    };
    assert_eq!(written(hit), "croupier; hit; ttl=376");
    let stale = CacheStatus {
        ttl: Some(-412),
        detail: Some(Because::Stale),
        ..hit
    };
    assert_eq!(written(stale), "croupier; hit; ttl=-412; detail=stale");
    let forward = CacheStatus {
        did: Did::Forward {
            fwd: Because::Stale.fwd(),
            status: Some(304),
            stored: Stored::Yes,
            asked: AskedBy::Another,
        },
        ttl: Some(60),
        ..hit
    };
    assert_eq!(
        written(forward),
        "croupier; fwd=stale; fwd-status=304; stored; collapsed; ttl=60"
    );
    let refused = CacheStatus {
        did: Did::Forward {
            fwd: Fwd::UriMiss,
            status: None,
            stored: Stored::No,
            asked: AskedBy::Itself,
        },
        ttl: None,
        detail: Some(Because::SetCookie),
        ..hit
    };
    assert_eq!(
        written(refused),
        "croupier; fwd=uri-miss; detail=set-cookie"
    );
}

#[test]
fn names_that_are_no_tokens_are_strings() {
    let named = |cache| {
        written(CacheStatus {
            cache,
            did: Did::Hit,
            ttl: None,
            detail: None,
        })
    };
    assert_eq!(named("edge.example.com:443"), "edge.example.com:443; hit");
    assert_eq!(named("my edge"), "\"my edge\"; hit");
    assert_eq!(named("1\"\\\r\n\u{e4}"), "\"1\\\"\\\\\"; hit");
    assert_eq!(named(""), "\"\"; hit");
}

const ORIGIN: &[u8] = b"https://example.com";

fn tags(lines: Lines<'_>) -> Vec<String> {
    let tags = Tags::of(&fields(lines), ORIGIN);
    let text = |tag: &[u8]| String::from_utf8_lossy(tag).into_owned();
    tags.iter().map(text).collect()
}

#[test]
fn tags_come_in_three_fields_each_with_its_own_grammar() {
    assert_eq!(tags(&[("Surrogate-Key", " a  b\tc,d ")]), ["a", "b", "c,d"]);
    assert_eq!(tags(&[("Cache-Tag", "a, b c,,a")]), ["a", "b c"]);
    let groups = tags(&[("Cache-Groups", "\"a\", \"B\\\"\";x=1")]);
    assert_eq!(
        groups,
        [
            "a",
            "https://example.com\0a",
            "B\"",
            "https://example.com\0B\""
        ]
    );
    assert_eq!(tags(&[("Cache-Groups", "\"a\", b")]), [""; 0]);
    assert_eq!(
        tags(&[("Cache-Groups", "\"a\""), ("Cache-Groups", "b")]),
        [""; 0]
    );
    assert!(Tags::of(&fields(&[]), ORIGIN).is_empty());
}

#[test]
fn tags_are_bounded() {
    let many: Vec<String> = (0..TAGS_MAX * 2).map(|at| at.to_string()).collect();
    assert_eq!(tags(&[("Cache-Tag", &many.join(","))]).len(), TAGS_MAX);
    let (long, longer) = ("x".repeat(TAG_BYTES_MAX), "x".repeat(TAG_BYTES_MAX + 1));
    assert_eq!(tags(&[("Cache-Tag", &long)]).len(), 1);
    assert_eq!(tags(&[("Cache-Tag", &longer)]).len(), 0);
}

#[test]
fn an_origin_invalidates_its_own_groups_only() {
    let answer = fields(&[("Cache-Group-Invalidation", "\"a\", \"b\"")]);
    let groups = invalidated(&answer, ORIGIN);
    let expected = [bound(ORIGIN, b"a"), bound(ORIGIN, b"b")];
    assert!(groups.iter().eq(expected.iter().map(Vec::as_slice)));
    assert!(
        !groups
            .iter()
            .any(|tag| tag == bound(b"https://example.org", b"a"))
    );
    assert!(invalidated(&fields(&[("Cache-Group-Invalidation", "a")]), ORIGIN).is_empty());
}
