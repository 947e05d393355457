//! What unsafe requests make stale: RFC 9111 section 4.4.

use croupier_cache::rules::invalidate::{invalidates, is_kept_for_get, locations, resolve};
use croupier_http::{Authority, Method, Scheme, Target};

use super::scene::{fields, head};

fn target(text: &str) -> (Target, Authority) {
    let (mut target, mut authority) = (Target::default(), Authority::default());
    target
        .read(Scheme::Https, Method::Get, text.as_bytes())
        .unwrap();
    authority.read(b"example.com").unwrap();
    (target, authority)
}

fn resolved(base: &str, reference: &str) -> Option<String> {
    let (base, authority) = target(base);
    let mut out = Target::default();
    resolve(
        Scheme::Https,
        &base,
        &authority,
        reference.as_bytes(),
        &mut out,
    )?;
    assert_eq!(out.authority.host(), "example.com");
    Some(match out.query() {
        Some(query) => format!("{}?{query}", out.path()),
        None => out.path().to_owned(),
    })
}

#[test]
fn unsafe_and_unknown_methods_invalidate_when_they_succeed() {
    for method in [
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Patch,
        Method::Other,
    ] {
        for status in [200, 201, 204, 301, 303, 399] {
            assert!(invalidates(method, status), "{method:?} {status}");
        }
        for status in [199, 400, 404, 500, 503] {
            assert!(!invalidates(method, status), "{method:?} {status}");
        }
    }
    for method in [
        Method::Get,
        Method::Head,
        Method::Options,
        Method::Trace,
        Method::Query,
    ] {
        assert!(!invalidates(method, 200), "{method:?}");
    }
}

#[test]
fn references_are_resolved_to_what_the_key_is_made_of() {
    let base = "/a/b?c";
    for (reference, expected) in [
        ("/x", "/x"),
        ("/x?y#z", "/x?y"),
        ("x", "/a/x"),
        ("./x", "/a/x"),
        ("../x", "/x"),
        ("x/%7Ey", "/a/x/~y"),
        ("?d", "/a/b?d"),
        ("", "/a/b?c"),
        ("#z", "/a/b?c"),
        ("//example.com/x", "/x"),
        ("//EXAMPLE.com:443/x", "/x"),
        ("https://example.com/x?y", "/x?y"),
        ("HTTPS://example.com:443", "/"),
        ("x?a:b", "/a/x?a:b"),
        ("/x:y", "/x:y"),
    ] {
        assert_eq!(
            resolved(base, reference).as_deref(),
            Some(expected),
            "{reference}"
        );
    }
}

#[test]
fn what_leads_to_another_origin_is_left_alone() {
    for reference in [
        "https://example.org/x",
        "//example.org/x",
        "https://example.com:8443/x",
        "http://example.com/x",
        "ftp://example.com/x",
        "mailto:a@example.com",
        "../../../x",
        "/%zz",
        "//",
        "https://",
    ] {
        assert_eq!(resolved("/a/b", reference), None, "{reference}");
    }
}

#[test]
fn both_fields_name_uris_unless_they_come_twice() {
    let one = fields(&[("Location", "/a"), ("Content-Location", "/b")]);
    assert_eq!(locations(&one).collect::<Vec<_>>(), [b"/a", b"/b"]);
    let two = fields(&[("Location", "/a"), ("Location", "/c")]);
    assert_eq!(locations(&two).count(), 0);
}

#[test]
fn a_post_is_kept_only_as_its_targets_own_representation() {
    let (base, authority) = target("/a?b");
    let kept = |status, lines: &[(&str, &str)]| {
        is_kept_for_get(Scheme::Https, &base, &authority, &head(status, lines))
    };
    let fresh = ("Cache-Control", "max-age=9");
    assert!(kept(200, &[fresh, ("Content-Location", "/a?b")]));
    assert!(kept(200, &[("Expires", "x"), ("Content-Location", "")]));
    assert!(!kept(200, &[fresh]));
    assert!(!kept(200, &[("Content-Location", "/a?b")]));
    assert!(!kept(200, &[fresh, ("Content-Location", "/a")]));
    assert!(!kept(
        200,
        &[fresh, ("Content-Location", "https://example.org/a?b")]
    ));
    assert!(!kept(302, &[fresh, ("Content-Location", "/a?b")]));
    assert!(!kept(206, &[fresh, ("Content-Location", "/a?b")]));
}
