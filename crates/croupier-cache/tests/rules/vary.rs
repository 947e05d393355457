//! Which variant a request is for: RFC 9111 section 4.1.

use croupier_cache::rules::{VaryNames, vary::NAMES_MAX};

use super::scene::{Lines, fields, variant};

fn is_same(vary: &str, one: Lines<'_>, other: Lines<'_>) -> bool {
    let answer = [("Vary", vary)];
    let one = variant(&answer, one);
    assert!(one.is_some(), "{vary}");
    one == variant(&answer, other)
}

#[test]
fn a_star_anywhere_matches_no_request() {
    for value in ["*", "*, *", ", *", "*, Foo", "Foo, *", "Foo,*,Bar"] {
        assert_eq!(VaryNames::of(&fields(&[("Vary", value)])), None, "{value}");
    }
    for second in ["*", "Foo, *"] {
        for first in ["", "*", "Foo"] {
            assert_eq!(
                VaryNames::of(&fields(&[("Vary", first), ("Vary", second)])),
                None
            );
        }
    }
    assert_eq!(VaryNames::of(&fields(&[("Vary", "Foo Bar")])), None);
    let many: Vec<String> = (0..=NAMES_MAX).map(|at| format!("x-{at}")).collect();
    assert_eq!(VaryNames::of(&fields(&[("Vary", &many.join(","))])), None);
}

#[test]
fn names_are_a_set() {
    let names = |lines: Lines<'_>| VaryNames::of(&fields(lines)).unwrap();
    let all = names(&[("Vary", " Foo ,bar,, FOO"), ("vary", "Baz")]);
    assert_eq!(all.as_bytes(), b"bar,baz,foo");
    assert_eq!(all, VaryNames::from_bytes(all.as_bytes()));
    assert_eq!(all.iter().count(), 3);
    assert!(names(&[]).is_empty() && names(&[("Vary", "")]).is_empty() && !all.is_empty());
}

#[test]
fn every_listed_field_must_say_the_same() {
    let all = [("Foo", "1"), ("Bar", "abc"), ("Baz", "789")];
    let turned = [("Baz", "789"), ("Bar", "abc"), ("foo", "1")];
    let vary = "Foo, Bar, Baz";
    assert!(is_same(vary, &all, &turned));
    assert!(!is_same(vary, &all, &[("Foo", "2"), all[1], all[2]]));
    assert!(!is_same(vary, &all, &[all[0], ("Bar", "abcde"), all[2]]));
    assert!(!is_same(vary, &all, &all[..2]));
    assert!(!is_same(vary, &[], &all));
    assert!(is_same(vary, &[all[0], all[2]], &[all[0], all[2]]));
    assert!(is_same(
        "Foo",
        &[all[0], ("Other", "2")],
        &[all[0], ("Other", "3")]
    ));
    // Nothing moves from one field to the next, and absent is not empty.
    assert!(!is_same("A, B", &[("A", "1")], &[("B", "1")]));
    assert!(!is_same("A", &[("A", "")], &[]));
    assert!(!is_same(
        "A, B",
        &[("A", "x"), ("B", "y")],
        &[("A", "xy"), ("B", "")]
    ));
}

#[test]
fn lists_are_compared_without_their_white_space() {
    assert!(is_same(
        "Foo",
        &[("Foo", "1, 2")],
        &[("Foo", "1"), ("Foo", "2")]
    ));
    assert!(is_same("Foo", &[("Foo", "1,2")], &[("Foo", " 1, 2 ")]));
    assert!(!is_same("Foo", &[("Foo", "1,2")], &[("Foo", "2,1")]));
    assert!(!is_same("Foo", &[("Foo", "1 2")], &[("Foo", "12")]));
    assert!(!is_same(
        "Foo",
        &[("Foo", "\"1, 2\"")],
        &[("Foo", "\"1,2\"")]
    ));
}

#[test]
fn languages_are_compared_by_liking() {
    let same = |one, other| {
        is_same(
            "Accept-Language",
            &[("Accept-Language", one)],
            &[("Accept-Language", other)],
        )
    };
    assert!(same("en, de", "de, en"));
    assert!(same("en, de", "eN, De"));
    assert!(same("en, de", " en ,   de"));
    assert!(same("en;q=1.0, de;q=0.5", "de; q=0.500, en"));
    assert!(same("en;q=0.8, de", "de, en;Q=0.8"));
    assert!(!same("en, de", "en"));
    assert!(!same("en, de;q=0.5", "en;q=0.5, de"));
    assert!(!same("en;q=0.872", "en"));
    assert!(!same("en;q=0", "en"));
    let many: Vec<String> = (0..99).map(|at| format!("x-{at}")).collect();
    assert!(same(&many.join(","), &many.join(", ")));
}

#[test]
fn codings_are_compared_as_a_set() {
    let same = |one, other| {
        is_same(
            "Accept-Encoding",
            &[("Accept-Encoding", one)],
            &[("Accept-Encoding", other)],
        )
    };
    assert!(same("gzip, br", "br,GZIP"));
    assert!(same("gzip;q=0.1, br", "br;q=0.2, x-gzip"));
    assert!(same("gzip, gzip", "gzip"));
    assert!(same("gzip, br;q=0", "gzip"));
    assert!(same("gzip;q=0.000", ""));
    assert!(!same("gzip", "br"));
    assert!(!same("gzip", "gzip, identity;q=0"));
    assert!(!same("gzip", "gzip, *;q=0"));
    assert!(!same("gzip, *", "gzip, *;q=0"));
    // A coding that we do not know may still be the origin's.
    assert!(!same("gzip", "gzip, exi"));
    assert!(!is_same("Accept-Encoding", &[("Accept-Encoding", "")], &[]));
    let many: Vec<String> = (0..99).map(|at| format!("x-{at}")).collect();
    assert!(same(&many.join(","), &many.join(", ")));
}
