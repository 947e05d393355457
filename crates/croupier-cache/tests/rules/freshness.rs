//! How long an answer is fresh: RFC 9111 sections 4.2.1 to 4.2.3, 5.1 and 5.3.

use std::time::Duration;

use croupier_cache::{
    Rules,
    rules::{Asking, Heuristic, Moments, Parts, Policy, may_store},
};
use croupier_http::{Fields, Method};

use super::scene::{AT_ONCE, NOW, at, head, is_given, keep, keep_as};

#[test]
fn what_cache_control_states_decides() {
    let cc = |value: &str, after| is_given(&[("Cache-Control", value)], after);
    let fresh = [
        "max-age=3600",
        "max-age=3601, foobar",
        "foobar=\"x, max-age=1\", max-age=3600",
        "MaX-aGe=3600",
        "max-age=003600",
        "max-age=\"3600\"",
        "max-age=2147483647",
        "max-age=2147483648",
        "max-age=99999999999",
        "max-age=99999999999999999999999999999999999999999999",
        "s-maxage=3600",
        "max-age=1, s-maxage=3600",
        "s-maxage=3600, max-age=0",
        "max-age=3600, must-revalidate",
        "max-age=1800, max-age=1",
        "max-age=3600,",
        ",,max-age=3600",
    ];
    for value in fresh {
        assert!(cc(value, 3), "{value}");
    }
    let stale = [
        "",
        "max-age",
        "max-age=",
        "max-age=0",
        "max-age=-3600",
        "max-age='3600'",
        "max-age=3600.0",
        "max-age=3600.5",
        "max-age=a3600",
        "max-age=3600a",
        "max-age =3600",
        "max-age= 3600",
        "max-age=3600 5",
        "max-age=\"3600",
        "extension=\"max-age=3600\", max-age=1",
        "max-age=1, extension=\"max-age=3600\"",
        "extension=\"max-age=3600\", max-age=\"1\"",
        "extension=\"\\\"\", max-age=1, x=\", max-age=3600\"",
        "max-age=1, max-age=1800",
        "max-age=3600, s-maxage=1",
        "s-maxage=1, max-age=3600",
        "s-maxage=x, max-age=3600",
        "smaxage=3600",
        "public",
    ];
    for value in stale {
        assert!(!cc(value, 3), "{value}");
    }
}

#[test]
fn lines_are_one_list() {
    let lines = [
        ("Cache-Control", "max-age=3600"),
        ("Cache-Control", "s-maxage=1"),
    ];
    assert!(!is_given(&lines, 3));
    let lines = [("Cache-Control", "foo"), ("cache-control", "max-age=3600")];
    assert!(is_given(&lines, 3));
}

#[test]
fn the_end_of_freshness_is_the_second_of_its_length() {
    let lines = [("Cache-Control", "max-age=10")];
    assert!(is_given(&lines, 9) && !is_given(&lines, 10));
}

#[test]
fn expires_counts_from_date_and_only_where_cache_control_is_silent() {
    let (past, now, soon, later) = (at(-7200), at(0), at(10), at(3600));
    let table: [(&[(&str, &str)], bool); 12] = [
        (&[("Expires", &later), ("Date", &now)], true),
        (&[("Expires", &later)], true),
        (&[("Expires", &past), ("Date", &now)], false),
        (&[("Expires", &now), ("Date", &now)], false),
        (&[("Expires", "0"), ("Date", &now)], false),
        (&[("Expires", ""), ("Date", &now)], false),
        (&[("Expires", &soon), ("Date", "foo")], true),
        (&[("Expires", &soon), ("Date", &later)], false),
        (
            &[("Expires", &past), ("Cache-Control", "max-age=3600")],
            true,
        ),
        (&[("Expires", "0"), ("Cache-Control", "max-age=3600")], true),
        (
            &[("Expires", &later), ("Cache-Control", "max-age=0")],
            false,
        ),
        (&[("Expires", "0"), ("Expires", &later)], false),
    ];
    for (lines, expected) in table {
        assert_eq!(is_given(lines, 3), expected, "{lines:?}");
    }
    assert!(!is_given(
        &[("Expires", &later), ("Cache-Control", "s-maxage=0")],
        0
    ));
}

#[test]
fn age_is_reckoned_from_age_and_from_date() {
    let (now, before) = (at(0), at(-7200));
    let aged = |age: &str| {
        is_given(
            &[
                ("Date", &now),
                ("Cache-Control", "max-age=3600"),
                ("Age", age),
            ],
            3,
        )
    };
    for stale in [
        "7200",
        "3597",
        "7200, 0",
        "2147483647",
        "2147483648",
        "99999999999999999999",
    ] {
        assert!(!aged(stale), "{stale}");
    }
    // A value that is none is not there, and of several the first counts (section 5.1).
    for fresh in [
        "0",
        "3596",
        "0, 7200",
        "0,7200",
        "abc",
        "-7200",
        "7200.0",
        "",
        "7200;foo=bar",
    ] {
        assert!(aged(fresh), "{fresh}");
    }
    let lines = |first, second| {
        is_given(
            &[
                ("Cache-Control", "max-age=3600"),
                ("Age", first),
                ("Age", second),
            ],
            3,
        )
    };
    assert!(lines("0", "7200") && !lines("7200", "0"));
    assert!(!is_given(
        &[("Date", &before), ("Cache-Control", "max-age=3600")],
        0
    ));
    let expires = at(20);
    assert!(!is_given(
        &[("Date", &now), ("Expires", &expires), ("Age", "20")],
        0
    ));
    assert!(is_given(
        &[("Date", &now), ("Expires", &expires), ("Age", "19")],
        0
    ));
}

#[test]
fn the_time_an_answer_took_makes_it_older() {
    let asked = Fields::new();
    let asking = Asking {
        method: Method::Get,
        fields: &asked,
        parts: Parts::Refuse,
    };
    let age = |took_ms: u64, lines: &[(&str, &str)]| {
        let moments = Moments {
            asked_ms: NOW - took_ms,
            received_ms: NOW,
        };
        let terms = may_store(&asking, &head(200, lines), &Policy::default(), moments).unwrap();
        (terms.initial_age, terms.age(NOW + 2500))
    };
    let (now, ahead) = (at(0), at(500));
    let fresh = ("Cache-Control", "max-age=3600");
    assert_eq!(age(5000, &[fresh]), (5, 7));
    assert_eq!(age(5000, &[fresh, ("Age", "30"), ("Date", &now)]), (35, 37));
    assert_eq!(age(0, &[fresh, ("Date", &ahead)]), (0, 2));
}

#[test]
fn a_guess_is_a_tenth_of_the_time_without_change_and_at_most_a_day() {
    let day = 86_400;
    let lifetime = |ago: i64| {
        let (now, changed) = (at(0), at(-ago));
        let terms = keep(&[("Date", &now), ("Last-Modified", &changed)]).unwrap();
        assert!(terms.rules.has(Rules::HEURISTIC));
        i64::from(terms.lifetime)
    };
    assert_eq!(lifetime(day), day / 10);
    assert_eq!(lifetime(1000 * day), day);
    assert_eq!(lifetime(9), 0);
    assert_eq!(lifetime(-day), 0);

    let policy = Policy {
        heuristic: Some(Heuristic {
            percent: 50,
            max: Duration::from_secs(60),
        }),
        ..Policy::default()
    };
    let of = |ago: i64| {
        let changed = at(-ago);
        let terms = keep_as(&policy, &[], 200, &[("Last-Modified", &changed)]);
        terms.unwrap().lifetime
    };
    assert_eq!((of(100), of(1000)), (50, 60));
}

#[test]
fn only_some_statuses_may_be_guessed_at() {
    let (now, changed) = (at(0), at(-86_400));
    let lines = [("Date", &*now), ("Last-Modified", &*changed)];
    let public = [lines[0], lines[1], ("Cache-Control", "public")];
    let lifetime = |status, lines: &[(&str, &str)]| {
        keep_as(&Policy::default(), &[], status, lines).map_or(0, |terms| terms.lifetime)
    };
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414] {
        assert_eq!(lifetime(status, &lines), 8640, "{status}");
    }
    for status in [
        201, 202, 302, 303, 307, 400, 401, 403, 429, 500, 502, 503, 504, 599,
    ] {
        assert_eq!(lifetime(status, &lines), 0, "{status}");
    }
    assert_eq!(lifetime(501, &lines), 60);
    assert_eq!(lifetime(599, &public), 60);
    assert_eq!(lifetime(403, &public), 8640);
}

#[test]
fn a_ttl_stands_in_only_for_what_is_not_stated() {
    let policy = Policy {
        ttl: Some(Duration::from_secs(300)),
        ..Policy::default()
    };
    let changed = at(-86_400);
    let lifetime = |status, lines: &[(&str, &str)]| {
        keep_as(&policy, &[], status, lines).map(|terms| terms.lifetime)
    };
    assert_eq!(lifetime(200, &[]), Ok(300));
    assert_eq!(lifetime(404, &[]), Ok(300));
    assert_eq!(lifetime(200, &[("Last-Modified", &changed)]), Ok(300));
    assert_eq!(lifetime(200, &[("Cache-Control", "public")]), Ok(300));
    assert_eq!(lifetime(200, &[("Cache-Control", "max-age=5")]), Ok(5));
    assert_eq!(
        lifetime(200, &[("Cache-Control", "max-age=0"), ("ETag", "\"a\"")]),
        Ok(0)
    );
    assert_eq!(
        lifetime(200, &[("Cache-Control", "no-cache"), ("ETag", "\"a\"")]),
        Ok(0)
    );
    assert_eq!(lifetime(200, &[("Expires", "0"), ("ETag", "\"a\"")]), Ok(0));
    for status in [302, 403, 500, 502, 503, 504] {
        assert!(lifetime(status, &[]).is_err(), "{status}");
    }
}

#[test]
fn an_error_is_fresh_for_a_minute_at_most() {
    for status in [500, 502, 503, 504, 599] {
        let terms = keep_as(
            &Policy::default(),
            &[],
            status,
            &[("Cache-Control", "max-age=3600")],
        );
        assert_eq!(terms.unwrap().lifetime, 60, "{status}");
        let terms = keep_as(
            &Policy::default(),
            &[],
            status,
            &[("Cache-Control", "max-age=6")],
        );
        assert_eq!(terms.unwrap().lifetime, 6, "{status}");
    }
}

#[test]
fn a_targeted_field_is_heard_alone() {
    let cdn = |value: &str, other: &str, after| {
        is_given(
            &[("CDN-Cache-Control", value), ("Cache-Control", other)],
            after,
        )
    };
    let later = at(10_000);
    assert!(is_given(&[("CDN-Cache-Control", "max-age=3600")], 3));
    assert!(is_given(&[("CDN-Cache-Control", "max-age=99999999999")], 3));
    assert!(is_given(
        &[("CDN-Cache-Control", "foo, max-age=3600"), ("Expires", "0")],
        3
    ));
    assert!(!is_given(
        &[("CDN-Cache-Control", "max-age=0"), ("Expires", &later)],
        0
    ));
    assert!(!is_given(
        &[("CDN-Cache-Control", "foo"), ("Expires", &later)],
        0
    ));
    assert!(cdn("max-age=3600", "max-age=1", 3) && !cdn("max-age=1", "max-age=3600", 3));
    assert!(cdn("max-age=3600", "no-store, private", 3));
    for refusing in ["no-store", "private", "no-cache", "max-age=3600, no-store"] {
        assert!(!cdn(refusing, "max-age=3600", 0), "{refusing}");
    }
    assert!(cdn("max-age=1, max-age=3600", "", 3));
    assert!(cdn("no-store, max-age=3600, no-store=?0", "", 3));
    // What is no dictionary, or empty, is not there.
    for broken in [
        "",
        "  ",
        "max-age=3600, &&&&&",
        "max-age=\"3600\"",
        "max-age=3600.0",
        "max-age=-1",
        "max-age =3600",
        "max-age= 3600",
        "MaX-aGe=3600",
        "no-store=1, max-age=3600",
    ] {
        assert!(!cdn(broken, "max-age=1", 3), "{broken}");
        assert!(cdn(broken, "max-age=5", 3), "{broken}");
    }
}

#[test]
fn the_older_targeted_field_is_heard_behind_the_newer_one() {
    let both = |value: &str, after| {
        let lines = [("Surrogate-Control", value), ("Cache-Control", "max-age=2")];
        is_given(&lines, after)
    };
    assert!(both("max-age=3600", 3) && both("foo, MaX-aGe=3600", 3));
    assert!(both("max-age=3600;croupier", 3) && !both("max-age=3600;another", 3));
    assert!(!both("max-age=1", 1) && !both("no-store", 0) && !both("max-age=x", 0));
    assert!(both("content=\"ESI/1.0\"", 1) && !both("content=\"ESI/1.0\"", 3));
    let lines = [
        ("Surrogate-Control", "max-age=60"),
        ("CDN-Cache-Control", "max-age=1"),
    ];
    assert!(!is_given(&lines, 3));
    let terms = keep(&[("Surrogate-Control", "max-age=300+60")]).unwrap();
    assert_eq!((terms.lifetime, terms.stale_while_revalidate), (300, 60));
}

#[test]
fn when_a_head_arrived_is_kept_to_the_millisecond() {
    let terms = keep(&[("Cache-Control", "max-age=1")]).unwrap();
    assert_eq!(terms.received_ms, AT_ONCE.received_ms);
    assert!(terms.is_fresh(NOW + 999) && !terms.is_fresh(NOW + 1000));
}
