//! What may be kept: RFC 9111 sections 3, 3.1, 3.5 and 5.2.2.

use std::time::Duration;

use croupier_cache::{
    Rules,
    rules::{Asking, Because, Cookies, Parts, Policy, may_store},
};
use croupier_http::{Fields, Method};

use super::scene::{AT_ONCE, Lines, at, head, keep, keep_as, kept_lines};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=3600");

#[test]
fn only_get_and_query_are_kept() {
    let none = Fields::new();
    let kept = |method| {
        let asking = Asking {
            method,
            fields: &none,
            parts: Parts::Refuse,
        };
        may_store(&asking, &head(200, &[FRESH]), &Policy::default(), AT_ONCE).map(|_| ())
    };
    assert_eq!((kept(Method::Get), kept(Method::Query)), (Ok(()), Ok(())));
    for method in [
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Options,
        Method::Other,
        Method::Connect,
    ] {
        assert_eq!(kept(method), Err(Because::Method), "{method:?}");
    }
}

#[test]
fn every_final_status_is_kept_if_it_says_for_how_long() {
    let kept = |status| keep_as(&Policy::default(), &[], status, &[FRESH]).map(|_| ());
    for status in [
        200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599,
    ] {
        assert_eq!(kept(status), Ok(()), "{status}");
    }
    for status in [100, 103, 199, 304, 412, 416] {
        assert_eq!(kept(status), Err(Because::Status), "{status}");
    }
}

#[test]
fn a_part_is_kept_only_by_who_can_combine_it() {
    let none = Fields::new();
    let kept = |parts, lines: &[(&str, &str)]| {
        let asking = Asking {
            method: Method::Get,
            fields: &none,
            parts,
        };
        may_store(&asking, &head(206, lines), &Policy::default(), AT_ONCE)
            .map(|terms| terms.rules.has(Rules::PARTIAL))
    };
    let range = ("Content-Range", "bytes 0-4/10");
    assert_eq!(kept(Parts::Refuse, &[FRESH, range]), Err(Because::Partial));
    assert_eq!(kept(Parts::Keep, &[FRESH, range]), Ok(true));
    assert_eq!(kept(Parts::Keep, &[FRESH]), Err(Because::Partial));
    assert_eq!(
        kept(Parts::Keep, &[FRESH, range, range]),
        Err(Because::Partial)
    );
    let odd = ("Content-Range", "bytes 5-4/10");
    assert_eq!(kept(Parts::Keep, &[FRESH, odd]), Err(Because::Partial));
}

#[test]
fn what_forbids_to_keep_an_answer() {
    let day = at(86_400);
    let expires = ("Expires", &*day);
    let table: [(Lines<'_>, Lines<'_>, Because); 18] = [
        (&[], &[("Cache-Control", "no-store")], Because::NoStore),
        (
            &[],
            &[("Cache-Control", "max-age=9, No-StOrE"), expires],
            Because::NoStore,
        ),
        (
            &[],
            &[FRESH, ("Cache-Control", "no-store")],
            Because::NoStore,
        ),
        (
            &[],
            &[("Cache-Control", "no-store=\"x\", max-age=9")],
            Because::NoStore,
        ),
        (
            &[],
            &[("Cache-Control", "private, max-age=9")],
            Because::Private,
        ),
        (
            &[],
            &[("Cache-Control", "PRIVATE"), expires],
            Because::Private,
        ),
        (
            &[],
            &[("Cache-Control", "private=foo, max-age=9")],
            Because::Private,
        ),
        (
            &[],
            &[("Cache-Control", "private=\"a b\", max-age=9")],
            Because::Private,
        ),
        (
            &[],
            &[("Cache-Control", "private=\"a\", private, max-age=9")],
            Because::Private,
        ),
        (
            &[("Cache-Control", "no-store")],
            &[FRESH],
            Because::AskedNoStore,
        ),
        (&[("Authorization", "x")], &[FRESH], Because::Authorization),
        (
            &[("Authorization", "x")],
            &[expires],
            Because::Authorization,
        ),
        (&[], &[FRESH, ("Vary", "*")], Because::VaryStar),
        (&[], &[FRESH, ("Vary", "Foo, *")], Because::VaryStar),
        (&[], &[FRESH, ("Set-Cookie", "a=b")], Because::SetCookie),
        (&[], &[], Because::NoFreshness),
        (&[], &[("ETag", "\"a\"")], Because::NoFreshness),
        (&[], &[("Cache-Control", "no-cache")], Because::NoValidator),
    ];
    for (request, answer, expected) in table {
        let kept = keep_as(&Policy::default(), request, 200, answer);
        assert_eq!(kept, Err(expected), "{request:?} {answer:?}");
    }
}

#[test]
fn an_authorised_answer_is_kept_if_it_says_that_it_is_for_all() {
    let asked = [("Authorization", "x")];
    for words in [
        "public, max-age=9",
        "must-revalidate, max-age=9",
        "s-maxage=9",
    ] {
        let terms = keep_as(&Policy::default(), &asked, 200, &[("Cache-Control", words)]).unwrap();
        assert!(terms.rules.has(Rules::FOR_AUTHORIZED), "{words}");
    }
    let cdn = [
        ("CDN-Cache-Control", "max-age=9"),
        ("Cache-Control", "public"),
    ];
    let kept = keep_as(&Policy::default(), &asked, 200, &cdn);
    assert_eq!(kept, Err(Because::Authorization));
}

#[test]
fn must_understand_stands_for_no_store_where_the_status_is_known() {
    let kept = |status, words| {
        keep_as(&Policy::default(), &[], status, &[("Cache-Control", words)]).map(|_| ())
    };
    let both = "max-age=9, no-store, must-understand";
    assert_eq!(kept(200, both), Ok(()));
    assert_eq!(kept(599, both), Err(Because::MustUnderstand));
    let alone = "max-age=9, must-understand";
    assert_eq!(kept(200, alone), Ok(()));
    assert_eq!(kept(599, alone), Err(Because::MustUnderstand));
    assert_eq!(kept(599, "max-age=9"), Ok(()));
}

#[test]
fn cookies_are_for_the_policy_to_decide() {
    let answer = [FRESH, ("Set-Cookie", "a=b")];
    let policy = Policy {
        cookies: Cookies::Store,
        ..Policy::default()
    };
    assert!(keep_as(&policy, &[], 200, &answer).is_ok());
    // Who says that the cookie is not for all says that the rest is.
    for words in [
        "private=\"Set-Cookie\", max-age=9",
        "no-cache=\"x, set-cookie\", max-age=9",
    ] {
        let answer = [("Cache-Control", words), ("Set-Cookie", "a=b"), ("Y", "1")];
        assert!(keep(&answer).is_ok(), "{words}");
        let lines = kept_lines(&answer);
        assert!(
            !lines.contains("a=b") && lines.contains("\r\nY: 1\r\n"),
            "{words}"
        );
    }
    assert!(keep_as(&Policy::default(), &[("Cookie", "a=b")], 200, &[FRESH]).is_ok());
}

#[test]
fn what_is_too_large_is_not_kept() {
    let policy = Policy {
        max_object: 1000,
        ..Policy::default()
    };
    let kept =
        |length| keep_as(&policy, &[], 200, &[FRESH, ("Content-Length", length)]).map(|_| ());
    assert_eq!(kept("1000"), Ok(()));
    assert_eq!(kept("1001"), Err(Because::TooLarge));
    assert_eq!(kept("99999999999999999999999"), Err(Because::TooLarge));
}

#[test]
fn what_is_never_fresh_is_kept_for_its_validator_or_not_at_all() {
    let etag = ("ETag", "\"a\"");
    let changed = at(-5);
    for stale in [
        ("Cache-Control", "max-age=0"),
        ("Cache-Control", "no-cache"),
        ("Cache-Control", "max-age=10, no-cache"),
        ("Expires", "0"),
        ("Cache-Control", "max-age=x"),
    ] {
        assert!(keep(&[stale, etag]).is_ok(), "{stale:?}");
        assert!(
            keep(&[stale, ("Last-Modified", &changed)]).is_ok(),
            "{stale:?}"
        );
        assert_eq!(keep(&[stale]), Err(Because::NoValidator), "{stale:?}");
    }
    // Or for a grace that it states.
    assert!(keep(&[("Cache-Control", "max-age=0, stale-if-error=60")]).is_ok());
    assert!(keep(&[("Cache-Control", "max-age=0, stale-while-revalidate=60")]).is_ok());
    assert_eq!(keep(&[FRESH, ("Age", "99999")]), Err(Because::NoValidator));
}

#[test]
fn graces_come_from_the_answer_then_from_the_policy() {
    let policy = Policy {
        stale_while_revalidate: Some(Duration::from_secs(5)),
        stale_if_error: Some(Duration::from_secs(7)),
        ..Policy::default()
    };
    let table = [
        ("max-age=9", (5, 7)),
        ("max-age=9, stale-while-revalidate=1", (1, 7)),
        (
            "max-age=9, stale-if-error=1, stale-while-revalidate=2",
            (2, 1),
        ),
        (
            "max-age=9, stale-if-error=0, stale-while-revalidate=0",
            (0, 0),
        ),
        ("max-age=9, stale-while-revalidate", (5, 7)),
        ("max-age=9, must-revalidate", (0, 0)),
        ("max-age=9, proxy-revalidate, stale-if-error=9", (0, 0)),
        ("max-age=9, no-cache, stale-if-error=9", (0, 0)),
        ("s-maxage=9", (0, 0)),
        ("s-maxage=9, stale-while-revalidate=3", (3, 0)),
        ("max-age=0", (0, 0)),
        ("max-age=0, stale-if-error=3", (0, 3)),
    ];
    for (words, expected) in table {
        let answer = [("Cache-Control", words), ("ETag", "\"a\"")];
        let terms = keep_as(&policy, &[], 200, &answer).unwrap();
        let graces = (terms.stale_while_revalidate, terms.stale_if_error);
        assert_eq!(graces, expected, "{words}");
    }
    let terms = keep(&[FRESH]).unwrap();
    assert_eq!(
        (terms.stale_while_revalidate, terms.stale_if_error),
        (0, 3600)
    );
}

#[test]
fn words_without_numbers_become_rules() {
    let rules = |words| keep(&[("Cache-Control", words)]).unwrap().rules;
    assert!(rules("max-age=9, no-transform").has(Rules::NO_TRANSFORM));
    assert!(rules("max-age=9, immutable").has(Rules::IMMUTABLE));
    assert!(rules("max-age=9, proxy-revalidate").has(Rules::MUST_REVALIDATE));
    assert!(rules("s-maxage=9").has(Rules::MUST_REVALIDATE));
    assert!(!rules("max-age=9").has(Rules::MUST_REVALIDATE));
    assert!(!rules("max-age=9").has(Rules::HEURISTIC));
}

#[test]
fn old_words_say_nothing() {
    assert!(keep(&[FRESH, ("Pragma", "no-cache")]).is_ok());
    assert!(keep(&[FRESH, ("Warning", "199 - \"odd\"")]).is_ok());
}

#[test]
fn the_lines_of_the_connection_are_not_kept_nor_are_age_and_framing() {
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Content-Length",
        "Age",
        "A",
        "b",
        "C",
        "D",
    ] {
        let answer = [
            (
                "Cache-Control",
                "max-age=9, private=\"C\", no-cache=\"x, d\"",
            ),
            ("Connection", "a, B"),
            ("Date", "x"),
            (name, "value-1"),
            ("E", "2"),
        ];
        let lines = kept_lines(&answer);
        assert!(!lines.contains("value-1"), "{name}");
        assert!(lines.ends_with("\r\nE: 2\r\n"), "{name}");
    }
    for name in [
        "X-A",
        "Content-Type",
        "ETag",
        "Set-Cookie",
        "Vary",
        "Expires",
        "Via",
        "Proxy-Status",
    ] {
        let lines = kept_lines(&[FRESH, (name, "value-1")]);
        assert!(
            lines.contains(&format!("\r\n{name}: value-1\r\n")),
            "{name}"
        );
    }
}

#[test]
fn an_answer_without_a_date_gets_the_time_it_came() {
    assert_eq!(
        kept_lines(&[FRESH]),
        format!("Cache-Control: max-age=3600\r\nDate: {}\r\n", at(0))
    );
    assert_eq!(kept_lines(&[("Date", "foo")]), "Date: foo\r\n");
}

#[test]
fn a_targeted_field_withholds_lines_too() {
    let answer = [
        ("CDN-Cache-Control", "max-age=9, private=\"secret\""),
        ("Cache-Control", "private=\"other\""),
        ("Secret", "1"),
        ("Other", "2"),
    ];
    assert!(keep(&answer).is_ok());
    let lines = kept_lines(&answer);
    assert!(!lines.contains("Secret:") && lines.contains("Other: 2"));
}
