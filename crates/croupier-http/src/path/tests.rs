//! Normal forms, refusals, and the lenient reading.

use proptest::prelude::*;

use super::{PathError, Shape, lenient, normalize};

fn normal(path: &str) -> Result<(String, Shape), PathError> {
    let mut out = String::new();
    normalize(path.as_bytes(), &mut out).map(|shape| (out, shape))
}

#[test]
fn normal_forms() {
    for (path, expected) in [
        ("/", "/"),
        ("/a/b.js", "/a/b.js"),
        ("/%41%7e", "/A~"),
        ("/a//b", "/a/b"),
        ("//a", "/a"),
        ("/a/./b/../c", "/a/c"),
        ("/a/%2e%2e/c", "/c"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/a/", "/a/"),
        ("/a//", "/a/"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a|b{c}", "/a%7Cb%7Bc%7D"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a/...", "/a/..."),
        ("/a@b:c!$&'()*+,=", "/a@b:c!$&'()*+,="),
    ] {
        assert_eq!(
            normal(path).map(|(out, _)| out).as_deref(),
            Ok(expected),
            "{path}"
        );
    }
}

#[test]
fn refused() {
    for path in [
        "",
        "a",
        "*",
        "/a b",
        "/a#b",
        "/a\\b",
        "/\u{e9}",
        "/a\0",
        "/a\x7f",
        "/%",
        "/%4",
        "/%zz",
        "/..",
        "/a/../..",
        "/%00",
        "/a%0d%0ab",
        "/%7F",
        "/%5c",
        "/%c0%ae/",
        "/%c0%af",
        "/%e0%80%ae",
        "/a/..;/b",
        "/.;x/b",
        "/a?b",
    ] {
        assert!(normal(path).is_err(), "{path:?} became {:?}", normal(path));
    }
}

#[test]
fn odd_paths_are_marked_and_hidden_dots_found() {
    for path in [
        "/a%2fb", "/a;x=1", "/%252e", "/a.", "/a./b", "/a%20", "/a%3bx", "/a%40b", "/%21",
    ] {
        assert_eq!(
            normal(path).map(|(_, shape)| shape),
            Ok(Shape::Odd),
            "{path}"
        );
    }
    let mut out = String::new();
    for (path, expected) in [
        ("/public%2Fadmin", "/public/admin"),
        ("/admin;x=1/y", "/admin/y"),
        ("/a%2Fb%2F/c", "/a/b/c"),
        ("/%252Fx", "/x"),
        ("/admin%20", "/admin"),
        ("/admin.", "/admin"),
        ("/a%40b%2C", "/a@b,"),
        ("/a%2F", "/a"),
    ] {
        assert_eq!(lenient(path, &mut out), Ok(()), "{path}");
        assert_eq!(out, expected, "{path}");
    }
    for path in [
        "/static/..%2Fme",
        "/a%2F..%2Fb",
        "/%252E%252E/x",
        "/a/%2E%2E%5Cb",
        "/a%2500",
        "/static/..%20/b",
        "/a/.%20",
        "/a/..%2520",
    ] {
        assert_eq!(lenient(path, &mut out), Err(PathError::Hidden), "{path}");
    }
}

proptest! {
    #[test]
    fn normalizing_is_total_idempotent_and_clean(path in "/[ -~]{0,40}") {
        if let Ok((once, shape)) = normal(&path) {
            prop_assert_eq!(normal(&once), Ok((once.clone(), shape)));
            prop_assert!(!once.contains("//"));
            prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."));
            prop_assert!(once.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
        }
    }

    #[test]
    fn dots_and_escapes_never_climb(path in "(/|\\.|%2e|%2f|%5c|;|a|%25|%2E){1,24}") {
        let path = format!("/{path}");
        if let Ok((once, shape)) = normal(&path) {
            let mut view = String::new();
            if shape == Shape::Odd && lenient(&once, &mut view).is_ok() {
                prop_assert!(!view.split('/').any(|segment| segment == "." || segment == ".."));
            }
        }
    }
}
