//! Conditions of clients, and ours: RFC 9110 section 13, RFC 9111 section 4.3.

use croupier_cache::rules::conditional::{
    IfRange, Judged, Validators, if_range, is_conditional, judge, matches_strongly, matches_weakly,
    stands_in_304,
};
use croupier_http::Method;

use super::scene::{Lines, at, fields, kept_lines};

fn judged(request: Lines<'_>, answer: Lines<'_>) -> Judged {
    let answer = fields(answer);
    judge(Method::Get, &fields(request), 200, &Validators::of(&answer))
}

#[test]
fn a_tag_that_the_client_has_is_not_sent_again() {
    let judged = |asked: &str, held: &str| {
        judged(&[("If-None-Match", asked)], &[("ETag", held)]) == Judged::NotModified
    };
    for (asked, held) in [
        ("\"a\"", "\"a\""),
        ("W/\"a\"", "W/\"a\""),
        ("W/\"a\"", "\"a\""),
        ("\"a\"", "W/\"a\""),
        ("\"a\", \"1\", \"2\"", "\"a\""),
        ("\"1\", \"a\", \"2\"", "\"a\""),
        ("\"1\",\"2\",\"a\"", "\"a\""),
        ("\"1, 2\", \"a\"", "\"1, 2\""),
        ("*", "\"a\""),
        ("\"\u{fc}\"", "\"\u{fc}\""),
        // No entity tags, but their server's own.
        ("a", "a"),
        ("w/\"a\"", "w/\"a\""),
        ("W\"a\"", "W\"a\""),
    ] {
        assert!(judged(asked, held), "{asked} {held}");
    }
    for (asked, held) in [
        ("\"a\"", "\"b\""),
        ("\"A\"", "\"a\""),
        ("a", "\"a\""),
        ("\"a\"", "a"),
        ("w/\"a\"", "W/\"a\""),
        ("\"a", "\"a\""),
        ("", "\"a\""),
        ("\"1, a, 2\"", "\"a\""),
    ] {
        assert!(!judged(asked, held), "{asked} {held}");
    }
}

#[test]
fn a_date_is_compared_only_without_a_tag() {
    let (now, old, older) = (at(0), at(-3000), at(-5000));
    fn since(date: &str) -> (&str, &str) {
        ("If-Modified-Since", date)
    }
    let changed = [("Last-Modified", &*old), ("Date", &*now)];
    assert_eq!(judged(&[since(&old)], &changed), Judged::NotModified);
    assert_eq!(judged(&[since(&now)], &changed), Judged::NotModified);
    assert_eq!(judged(&[since(&older)], &changed), Judged::Whole);
    assert_eq!(judged(&[since("foo")], &changed), Judged::Whole);
    assert_eq!(judged(&[since(&now), since(&now)], &changed), Judged::Whole);
    let rfc850 = "Monday, 23-Nov-26 00:00:00 GMT";
    assert_eq!(judged(&[since(rfc850)], &changed), Judged::NotModified);
    // Without a date of change, that of the answer is compared.
    assert_eq!(
        judged(&[since(&now)], &[("Date", &now)]),
        Judged::NotModified
    );
    assert_eq!(judged(&[since(&old)], &[("Date", &now)]), Judged::Whole);
    // A tag is heard alone, whichever way it goes.
    let held = [("ETag", "\"a\""), changed[0], changed[1]];
    let both = [("If-None-Match", "\"a\""), since(&older)];
    assert_eq!(judged(&both, &held), Judged::NotModified);
    let both = [("If-None-Match", "\"b\""), since(&now)];
    assert_eq!(judged(&both, &held), Judged::Whole);
    assert_eq!(judged(&both, &changed), Judged::Whole);
}

#[test]
fn only_answers_that_succeeded_are_judged_and_dates_only_for_reading() {
    let held = fields(&[("ETag", "\"a\""), ("Date", &at(0))]);
    let held = Validators::of(&held);
    let tag = fields(&[("If-None-Match", "\"a\"")]);
    let now = at(0);
    let date = fields(&[("If-Modified-Since", &now)]);
    assert_eq!(judge(Method::Get, &tag, 404, &held), Judged::Whole);
    assert_eq!(judge(Method::Get, &tag, 301, &held), Judged::Whole);
    assert_eq!(judge(Method::Query, &tag, 200, &held), Judged::NotModified);
    assert_eq!(judge(Method::Query, &date, 200, &held), Judged::Whole);
    assert_eq!(judge(Method::Head, &date, 200, &held), Judged::NotModified);
}

#[test]
fn conditions_of_change_are_the_origins() {
    for name in ["If-Match", "If-Unmodified-Since"] {
        let request = [(name, "x"), ("If-None-Match", "\"a\"")];
        assert_eq!(
            judged(&request, &[("ETag", "\"a\"")]),
            Judged::Origin,
            "{name}"
        );
        assert!(is_conditional(&fields(&request)));
    }
    assert!(!is_conditional(&fields(&[
        ("Range", "bytes=0-1"),
        ("If-Range", "x")
    ])));
    assert_eq!(judged(&[], &[("ETag", "\"a\"")]), Judged::Whole);
}

#[test]
fn tags_are_compared_weakly_or_strongly() {
    let table = [
        ("W/\"1\"", "W/\"1\"", true, false),
        ("W/\"1\"", "W/\"2\"", false, false),
        ("W/\"1\"", "\"1\"", true, false),
        ("\"1\"", "\"1\"", true, true),
        ("\"1", "\"1", true, false),
        ("1", "1", true, false),
        ("\"1\"2\"", "\"1\"2\"", true, false),
    ];
    for (one, other, weakly, strongly) in table {
        let (one, other) = (one.as_bytes(), other.as_bytes());
        assert_eq!(matches_weakly(one, other), weakly);
        assert_eq!(matches_strongly(one, other), strongly);
    }
}

#[test]
fn the_origin_is_asked_by_both_validators_as_they_came() {
    let lines = |answer: Lines<'_>| {
        let kept = kept_lines(answer);
        let held = Validators::of_lines(kept.as_bytes());
        let lines = held.lines();
        lines
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
            .collect::<Vec<_>>()
    };
    let date = "Wed, 01 Jan 2020 00:00:00 GMT";
    let both = lines(&[("last-modified", date), ("X", "1"), ("etag", "W/\"a\"")]);
    assert_eq!(
        both,
        [
            "If-None-Match: W/\"a\"".to_owned(),
            format!("If-Modified-Since: {date}")
        ]
    );
    assert_eq!(lines(&[("ETag", "a"), ("ETag", "b")]), ["If-None-Match: a"]);
    assert!(lines(&[("X", "1")]).is_empty());
}

#[test]
fn a_range_is_heard_only_of_what_the_client_has() {
    let (now, changed) = (at(0), at(-60));
    let recent = at(-59);
    let judged = |asked: &str, answer: Lines<'_>| {
        let answer = fields(answer);
        if_range(&fields(&[("If-Range", asked)]), &Validators::of(&answer)) == IfRange::Holds
    };
    assert!(judged("\"a\"", &[("ETag", "\"a\"")]));
    assert!(!judged("\"b\"", &[("ETag", "\"a\"")]));
    assert!(!judged("W/\"a\"", &[("ETag", "W/\"a\"")]));
    assert!(!judged("\"a\"", &[("ETag", "W/\"a\"")]));
    assert!(judged(
        &changed,
        &[("Last-Modified", &changed), ("Date", &now)]
    ));
    assert!(!judged(
        &now,
        &[("Last-Modified", &changed), ("Date", &now)]
    ));
    assert!(!judged(
        &recent,
        &[("Last-Modified", &recent), ("Date", &now)]
    ));
    assert!(!judged(&changed, &[("Last-Modified", &changed)]));
    assert!(!judged("foo", &[("ETag", "foo")]));
    let none = fields(&[]);
    assert_eq!(if_range(&none, &Validators::default()), IfRange::Holds);
}

#[test]
fn a_304_does_not_describe_what_it_does_not_carry() {
    for name in [
        "ETag",
        "Date",
        "Vary",
        "Cache-Control",
        "Expires",
        "Content-Location",
        "Set-Cookie",
    ] {
        assert!(stands_in_304(name.as_bytes()), "{name}");
    }
    for name in [
        "Content-Length",
        "content-type",
        "Content-Encoding",
        "Content-Range",
    ] {
        assert!(!stands_in_304(name.as_bytes()), "{name}");
    }
}
