//! What a 304 and an answer to HEAD change: RFC 9111 sections 3.2, 4.3.4 and 4.3.5.

use std::sync::Arc;

use croupier_cache::{
    Body, Object, Terms,
    rules::{
        Asking, Because, Cookies, Moments, Parts, Policy,
        conditional::Validators,
        update::{HeadSays, head_says, refresh},
    },
};
use croupier_http::Method;

use super::scene::{Lines, NOW, at, fields, head, keep_as, kept_lines};

const LATER: Moments = Moments {
    asked_ms: NOW + 10_000,
    received_ms: NOW + 10_000,
};

fn refresh_as(
    policy: &Policy,
    held: Lines<'_>,
    update: Lines<'_>,
) -> Result<(String, Terms), Because> {
    let terms = keep_as(policy, &[], 200, held)?;
    let lines = kept_lines(held).into_bytes().into_boxed_slice();
    let body = Body::Memory(Arc::from(&b"12345"[..]));
    let object = Object::new(Box::new([]), 200, lines, body, terms);
    let asked = fields(&[]);
    let asking = Asking {
        method: Method::Get,
        fields: &asked,
        parts: Parts::Refuse,
    };
    let (lines, terms) = refresh(&asking, &object, &fields(update), policy, LATER)?;
    Ok((String::from_utf8(lines.into_vec()).unwrap(), terms))
}

fn refreshed(held: Lines<'_>, update: Lines<'_>) -> Result<(String, Terms), Because> {
    refresh_as(&Policy::default(), held, update)
}

const HELD: [(&str, &str); 3] = [
    ("Cache-Control", "max-age=2"),
    ("ETag", "\"a\""),
    ("Test-Header", "1"),
];

#[test]
fn what_a_304_does_not_name_stays_and_it_is_fresh_again() {
    let now = at(10);
    let (lines, terms) = refreshed(&HELD, &[("ETag", "\"a\""), ("Date", &now)]).unwrap();
    assert!(lines.contains("Test-Header: 1\r\n") && lines.contains("Cache-Control: max-age=2\r\n"));
    assert_eq!(lines.matches("Date:").count(), 1);
    assert!(lines.contains(&format!("Date: {now}\r\n")), "{lines}");
    assert_eq!(
        (terms.lifetime, terms.initial_age, terms.received_ms),
        (2, 0, LATER.received_ms)
    );
}

#[test]
fn a_304_without_a_date_was_made_now() {
    let before = at(-5);
    let held = [HELD[0], HELD[1], ("Date", &*before)];
    let (lines, terms) = refreshed(&held, &[]).unwrap();
    assert_eq!(terms.initial_age, 0);
    assert!(lines.contains(&format!("Date: {}\r\n", at(10))), "{lines}");
}

#[test]
fn fields_of_a_304_take_the_place_of_kept_ones() {
    for (name, old, new) in [
        ("Test-Header", "1", "2"),
        ("X-Test-Header", "1", "2"),
        ("Content-Foo", "1", "2"),
        ("Cache-Control", "max-age=1", "max-age=3600"),
        ("Content-Location", "/foo", "/bar"),
        (
            "Content-Security-Policy",
            "default-src 'self'",
            "default-src 'none'",
        ),
        ("Content-Type", "text/plain", "text/plain;charset=utf-8"),
        (
            "Expires",
            "Fri, 01 Jan 2038 01:01:01 GMT",
            "Mon, 11 Jan 2038 11:11:11 GMT",
        ),
        ("X-Frame-Options", "deny", "sameorigin"),
        (
            "Last-Modified",
            "Fri, 01 Jan 2021 01:01:01 GMT",
            "Mon, 11 Jan 2021 11:11:11 GMT",
        ),
    ] {
        let held = [
            HELD[1],
            ("cache-control", "max-age=60"),
            (name, old),
            (name, "old-too"),
        ];
        let (lines, _) = refreshed(&held, &[(name, new)]).unwrap();
        assert!(
            lines.contains(&format!("{name}: {new}\r\n")),
            "{name}: {lines}"
        );
        assert!(
            !lines.contains("old-too") && !lines.contains(&format!(": {old}\r\n")),
            "{lines}"
        );
    }
}

#[test]
fn what_belongs_to_the_body_or_to_the_connection_stays_as_it_was() {
    for name in [
        "Content-Encoding",
        "Content-MD5",
        "Content-Range",
        "Content-Digest",
        "Repr-Digest",
    ] {
        let held = [HELD[0], HELD[1], (name, "old")];
        let (lines, _) = refreshed(&held, &[(name, "new")]).unwrap();
        assert!(lines.contains(&format!("{name}: old\r\n")), "{lines}");
        assert!(!lines.contains("new"), "{lines}");
        let (lines, _) = refreshed(&HELD, &[(name, "new")]).unwrap();
        assert!(!lines.contains("new"), "{lines}");
    }
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Age",
    ] {
        let (lines, _) = refreshed(&HELD, &[(name, "7")]).unwrap();
        assert!(!lines.contains(": 7"), "{name}: {lines}");
    }
    let update = [
        ("Connection", "X"),
        ("X", "secret"),
        ("Cache-Control", "max-age=9, private=\"Y\""),
        ("Y", "secret"),
    ];
    let (lines, _) = refreshed(&HELD, &update).unwrap();
    assert!(!lines.contains("secret"), "{lines}");
}

#[test]
fn cookies_of_a_304_are_for_its_client() {
    let update = [("Set-Cookie", "a=c")];
    let (lines, _) = refreshed(&HELD, &update).unwrap();
    assert!(!lines.contains("Set-Cookie"), "{lines}");
    let policy = Policy {
        cookies: Cookies::Store,
        ..Policy::default()
    };
    let held = [HELD[0], HELD[1], ("Set-Cookie", "a=b")];
    let (lines, _) = refresh_as(&policy, &held, &update).unwrap();
    assert!(
        lines.contains("Set-Cookie: a=c") && !lines.contains("a=b"),
        "{lines}"
    );
}

#[test]
fn a_304_with_anothers_strong_tag_changes_nothing() {
    let told = |held: &str, update: &str| {
        refreshed(&[HELD[0], ("ETag", held)], &[("ETag", update)]).map(|(lines, _)| lines)
    };
    assert_eq!(told("\"a\"", "\"b\""), Err(Because::Mismatch));
    assert_eq!(told("W/\"a\"", "\"b\""), Err(Because::Mismatch));
    let held = told("W/\"a\"", "\"a\"").unwrap();
    assert!(held.contains("ETag: W/\"a\"\r\n"));
    // A weak one, or none that is lawful, proves nothing against it.
    assert!(
        told("\"a\"", "W/\"b\"")
            .unwrap()
            .contains("ETag: \"a\"\r\n")
    );
    assert!(told("a", "b").unwrap().contains("ETag: a\r\n"));
    let date = at(-9);
    let held = [HELD[0], ("Last-Modified", &*date)];
    assert_eq!(
        refreshed(&held, &[("ETag", "\"b\"")]).map(|_| ()),
        Err(Because::Mismatch)
    );
    assert!(refreshed(&held, &[]).is_ok());
}

#[test]
fn a_304_may_end_the_keeping_or_age_what_is_kept() {
    let ended = refreshed(&HELD, &[("Cache-Control", "no-store")]).map(|_| ());
    assert_eq!(ended, Err(Because::NoStore));
    let ended = refreshed(&HELD, &[("Cache-Control", "private, max-age=9")]).map(|_| ());
    assert_eq!(ended, Err(Because::Private));
    let (_, terms) = refreshed(&HELD, &[("Age", "30")]).unwrap();
    assert_eq!(terms.initial_age, 30);
}

#[test]
fn an_answer_to_head_tells_whether_it_is_still_the_same() {
    let (old, new) = (at(-50), at(-40));
    let held = fields(&[("ETag", "\"a\""), ("Last-Modified", &old)]);
    let held = Validators::of(&held);
    let says = |status, lines: Lines<'_>| head_says(&held, 5, &head(status, lines));
    assert_eq!(says(200, &[]), HeadSays::Same);
    assert_eq!(
        says(200, &[("ETag", "\"a\""), ("Last-Modified", &old)]),
        HeadSays::Same
    );
    assert_eq!(says(200, &[("Content-Length", "5")]), HeadSays::Same);
    assert_eq!(says(200, &[("Content-Length", "6")]), HeadSays::Other);
    assert_eq!(says(200, &[("ETag", "\"b\"")]), HeadSays::Other);
    assert_eq!(says(200, &[("Last-Modified", &new)]), HeadSays::Other);
    assert_eq!(says(410, &[("ETag", "\"b\"")]), HeadSays::Nothing);
    assert_eq!(says(304, &[]), HeadSays::Nothing);
}
