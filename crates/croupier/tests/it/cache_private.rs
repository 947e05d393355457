//! What is for one is for nobody else, and what a server says in passing does not become everybody's.

use crate::{
    prelude::{Origin, Reply},
    shelf::{ask, did, is_hit, keeping, keeping_with},
};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=3600");

#[test]
fn a_private_page_by_another_name_is_not_kept() {
    let origin = Origin::start(|request| {
        let user = request.header("cookie").unwrap_or("nobody");
        let page = Reply::ok(format!("the page of {user}")).header("Content-Type", "text/html");
        match request.header("x-kind") {
            Some("cookie") => page
                .header(FRESH.0, FRESH.1)
                .header("Set-Cookie", "session=renewed"),
            Some("private") => page.header("Cache-Control", "private, max-age=3600"),
            _ => page,
        }
    });
    let proxy = keeping(&origin);
    for path in [
        "/me/x.css",
        "/me;x.css",
        "/me%0Ax.css",
        "/me%23x.css",
        "/static/..%2fme",
        "/me%00.js",
        "/me%3fx.png",
        "/me/.css",
        "/me/%2e%2e/static/me.jpg",
        "/me?x.css",
        "/static/me.js",
        "/robots.txt",
        "/me//x.ico",
        "/me%5cx.css",
        "/favicon.ico",
    ] {
        for kind in ["nothing", "cookie", "private"] {
            let headers = [("Cookie", "session=alice"), ("X-Kind", kind)];
            let own = ask(&proxy, path, &headers);
            // Some of them are refused before anybody sees them.
            let other = ask(&proxy, path, &[("X-Kind", kind)]);
            assert_eq!(own.status, other.status, "{path}");
            assert!(!is_hit(&other), "{path} {kind}");
            assert!(!other.text().contains("alice"), "{path} {kind}");
        }
    }
}

#[test]
fn a_304_renews_what_it_may_and_nothing_else() {
    let origin = Origin::start(|request| {
        if request.header("if-none-match").is_some() {
            return Reply::empty(304)
                .header("Cache-Control", "max-age=3600")
                .header("Content-Encoding", "gzip")
                .header("Content-Range", "bytes 0-0/1")
                .header("Connection", "X-Hop")
                .header("X-Hop", "of this connection")
                .header("X-New", "yes");
        }
        Reply::ok("kept")
            .header("ETag", "\"one\"")
            .header("Content-Type", "text/plain")
            .header("Cache-Control", "no-cache")
    });
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    for _ in 0..2 {
        let response = ask(&proxy, "/a", &[]);
        assert_eq!((response.status, &*response.text()), (200, "kept"));
        assert_eq!(response.headers.all("content-length"), ["4"]);
        for name in [
            "content-encoding",
            "content-range",
            "x-hop",
            "transfer-encoding",
        ] {
            assert!(!response.headers.has(name), "{name}");
        }
        assert_eq!(response.header("content-type"), Some("text/plain"));
        assert_eq!(response.headers.all("x-new"), ["yes"]);
    }
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_cookie_that_comes_with_a_304_is_not_for_everybody() {
    let origin = Origin::start(|request| {
        if request.header("if-none-match").is_some() {
            return Reply::empty(304)
                .header("Cache-Control", "max-age=3600")
                .header("Set-Cookie", "session=alice");
        }
        Reply::ok("kept")
            .header("ETag", "\"one\"")
            .header("Cache-Control", "no-cache")
    });
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    ask(&proxy, "/a", &[("Cookie", "user=alice")]);
    let other = ask(&proxy, "/a", &[]);
    assert!(
        !is_hit(&other) || !other.headers.has("set-cookie"),
        "{other:?}"
    );
}

#[test]
fn who_is_logged_in_gets_and_leaves_only_what_is_for_all() {
    let login = ("Authorization", "Basic YWxpY2U6eA==");
    for (line, is_for_all) in [
        ("max-age=3600", false),
        ("public, max-age=3600", true),
        ("s-maxage=3600", true),
        ("must-revalidate, max-age=3600", true),
        ("private, max-age=3600", false),
        ("no-store", false),
    ] {
        let origin = Origin::start(move |request| {
            let user = request
                .header("authorization")
                .map_or("nobody", |_| "alice");
            Reply::ok(format!("the page of {user}")).header("Cache-Control", line)
        });
        let proxy = keeping(&origin);
        ask(&proxy, "/a", &[login]);
        assert_eq!(is_hit(&ask(&proxy, "/a", &[])), is_for_all, "{line}");
        // And what nobody in particular got is nothing for who is somebody.
        let own = ask(&proxy, "/b", &[]);
        assert_eq!(own.text(), "the page of nobody");
        let other = ask(&proxy, "/b", &[login]);
        assert_eq!(is_hit(&other), is_for_all, "{line}");
    }
}

#[test]
fn a_cookie_for_one_is_not_kept_unless_the_config_or_the_answer_allows_it() {
    let origin = Origin::start(|request| {
        let line = match request.path() {
            "/named" => "max-age=3600, no-cache=\"Set-Cookie\"",
            _ => "max-age=3600, public",
        };
        Reply::ok("page")
            .header("Cache-Control", line)
            .header("Set-Cookie", &format!("session={}", request.number))
    });
    let proxy = keeping(&origin);
    for _ in 0..3 {
        assert!(!is_hit(&ask(&proxy, "/a", &[])));
    }
    ask(&proxy, "/named", &[]);
    let named = ask(&proxy, "/named", &[]);
    assert!(
        !is_hit(&named) || !named.headers.has("set-cookie"),
        "{named:?}"
    );
    let proxy = keeping_with(&origin, "", "cookies = \"store\"");
    ask(&proxy, "/a", &[]);
    assert!(is_hit(&ask(&proxy, "/a", &[])));
    let proxy = keeping_with(&origin, "", "bypass_cookies = [\"session*\"]");
    ask(&proxy, "/b", &[]);
    assert!(!is_hit(&ask(
        &proxy,
        "/b",
        &[("Cookie", "a=1; session_id=7")]
    )));
}

#[test]
fn numbers_that_no_clock_knows_are_bounded() {
    for (line, is_fresh) in [
        ("max-age=2147483648", true),
        ("max-age=9223372036854775808", true),
        ("max-age=99999999999999999999999999999999", true),
        ("s-maxage=18446744073709551616", true),
        ("max-age=-1", false),
        ("max-age=", false),
        ("max-age=0x10", false),
        ("max-age=1e9", false),
        (
            "max-age=3600, stale-while-revalidate=18446744073709551616",
            true,
        ),
    ] {
        let origin = Origin::start(move |_| Reply::ok("x").header("Cache-Control", line));
        let proxy = keeping(&origin);
        ask(&proxy, "/a", &[]);
        let second = ask(&proxy, "/a", &[]);
        assert_eq!(is_hit(&second), is_fresh, "{line}: {}", did(&second));
        let much = [(
            "Cache-Control",
            "max-stale=18446744073709551616, min-fresh=9223372036854775808",
        )];
        assert_eq!(ask(&proxy, "/a", &much).status, 200);
    }
    for age in ["18446744073709551616", "-1", "x", "4294967296"] {
        let origin = Origin::start(move |_| {
            Reply::ok("x")
                .header("Cache-Control", "max-age=3600")
                .header("ETag", "\"one\"")
                .header("Age", age)
        });
        let proxy = keeping(&origin);
        for _ in 0..3 {
            assert_eq!(ask(&proxy, "/a", &[]).status, 200, "{age}");
        }
    }
}
