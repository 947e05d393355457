//! Heads from HTTP/2 to HTTP/1 and back: one host, one framing, the same fields in the same order.

use std::time::Duration;

use croupier_testkit::h2::Head;
use croupier_testkit::{Origin, Reply};

use crate::h2_smuggling::{connect, echo, nothing_evil};
use crate::prelude::{in_front_of, start};

#[test]
fn a_head_becomes_one_of_http_1() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    let head = Head::post("/a/b?c=d&e")
        .with(":authority", "Shop.Test:8080")
        .field("x-z", "1")
        .field("accept", "a")
        .field("cookie", "a=1")
        .field("x-y", "")
        .field("cookie", "b=2")
        .field("x-obs", [b'a', 0xe4, b'b'])
        .field("cookie", "c=3")
        .field("content-type", "text/plain")
        .field("te", "trailers");
    let answer = client.request(&head, "body");
    assert_eq!(answer.status, 200);
    let request = &origin.requests()[0];
    assert_eq!(request.version, "HTTP/1.1");
    assert_eq!((&*request.method, &*request.target), ("POST", "/a/b?c=d&e"));
    assert_eq!(request.headers.names()[0].to_ascii_lowercase(), "host");
    assert_eq!(request.headers.all("host").len(), 1);
    assert!(
        request
            .header("host")
            .unwrap()
            .eq_ignore_ascii_case("shop.test:8080")
    );
    assert_eq!(request.headers.all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(request.header("x-y"), Some(""));
    assert_eq!(request.header("x-obs"), Some("a\u{e4}b"));
    assert_eq!(request.headers.all("x-forwarded-host").len(), 1);
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    let theirs: Vec<_> = (request.headers.names().into_iter())
        .map(str::to_ascii_lowercase)
        .filter(|n| ["x-z", "accept", "x-y", "x-obs", "content-type"].contains(&n.as_str()))
        .collect();
    assert_eq!(theirs, ["x-z", "accept", "x-y", "x-obs", "content-type"]);
    assert!(
        request
            .headers
            .names()
            .iter()
            .all(|name| !name.starts_with(':'))
    );
}

#[test]
fn an_answer_becomes_one_of_http_2() {
    let origin = Origin::start(|_| {
        Reply::ok("x")
            .header("X-B", "1")
            .header("Set-Cookie", "a=1")
            .header("X-A", "2")
            .header("Set-Cookie", "b=2")
            .header("Connection", "X-Gone, keep-alive")
            .header("X-Gone", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("Upgrade", "h2c")
            .header("X-Empty", "")
    });
    let proxy = in_front_of(&origin);
    // The client judges that no field of one connection and no capital comes.
    let answer = connect(&proxy).get("/");
    assert_eq!(answer.headers.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.header("x-b"), Some("1"));
    assert_eq!(answer.header("x-empty"), Some(""));
    assert!(!answer.headers.has("x-gone"));
    assert_eq!(answer.headers.all("date").len(), 1);
    let order: Vec<_> = (answer.headers.names().into_iter())
        .filter(|name| name.starts_with("x-"))
        .take(2)
        .collect();
    assert_eq!(order, ["x-b", "x-a"]);
}

#[test]
fn large_heads_pass_both_ways_and_too_large_ones_do_not() {
    let origin = Origin::start(|request| {
        Reply::ok("x").header("X-Echo", request.header("x-large").unwrap_or_default())
    });
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy);
    for size in [1000, 10_000, 16_000] {
        let value = "v".repeat(size);
        let answer = client.request(&Head::get("/").field("x-large", &value), "");
        assert_eq!(answer.header("x-echo"), Some(&*value), "{size}");
    }
    for (what, head) in [
        (
            "a line of 17000",
            Head::get("/evil").field("x", "v".repeat(17_000)),
        ),
        (
            "a head of 40000",
            (0..10).fold(Head::get("/evil"), |head, _| {
                head.field("x", "v".repeat(4000))
            }),
        ),
        (
            "101 lines",
            (0..101).fold(Head::get("/evil"), |head, _| head.field("x", "v")),
        ),
        (
            "3000 lines",
            (0..3000).fold(Head::get("/evil"), |head, _| head.field("x", "v")),
        ),
        (
            "a target of 9000",
            Head::get(format!("/evil{}", "t".repeat(9000))),
        ),
        (
            "101 crumbs",
            (0..101).fold(Head::get("/evil"), |head, _| head.field("cookie", "a=b")),
        ),
    ] {
        let answer = client.request(&head, "");
        let wanted = if what.contains("target") { 414 } else { 431 };
        assert!(answer.status == wanted, "{what}: {}", answer.status);
    }
    client.expect_alive();
    nothing_evil(&origin);
}

#[test]
fn b17_each_stream_goes_to_the_site_it_names() {
    let proxy = start(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [site.\"a.test\"]\nrespond = \"a\"\n\
         [site.\"b.test\"]\nrespond = \"b\"\n",
    );
    let mut client = connect(&proxy);
    for round in 0..10 {
        for (authority, status, text) in [
            ("a.test", 200, "a"),
            ("b.test", 200, "b"),
            ("c.test", 404, ""),
        ] {
            let answer = client.request(&Head::get("/").with(":authority", authority), "");
            assert_eq!(answer.status, status, "{authority} {round}");
            if status == 200 {
                assert_eq!(answer.text(), text);
            }
        }
    }
}

#[test]
fn an_outsider_can_not_say_who_he_is() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let head = Head::get("/")
        .with(":scheme", "https")
        .field("x-forwarded-for", "1.1.1.1")
        .field("x-forwarded-proto", "https")
        .field("x-forwarded-host", "evil.test")
        .field("forwarded", "for=1.1.1.1")
        .field("x-real-ip", "1.1.1.1")
        .field("x-request-id", "mine")
        .field("proxy-authorization", "x");
    let answer = connect(&proxy).request(&head, "");
    if answer.is_refusal() {
        return; // `https` on a plain port may be refused as well.
    }
    let request = &origin.requests()[0];
    assert_eq!(request.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["http"]);
    assert_eq!(request.headers.all("x-forwarded-host"), ["example.test"]);
    for name in ["forwarded", "x-real-ip", "proxy-authorization"] {
        assert!(!request.headers.has(name), "{name}");
    }
    assert_ne!(request.header("x-request-id"), Some("mine"));
}

#[test]
fn an_expectation_that_nobody_knows_is_refused() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut client = connect(&proxy).patience(Duration::from_secs(5));
    let answer = client.request(&Head::post("/evil").field("expect", "a-pony"), "x");
    assert_eq!(answer.status, 417);
    client.expect_alive();
    nothing_evil(&origin);
}

#[test]
fn via_names_the_protocol_that_was_received() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    assert_eq!(connect(&proxy).get("/").status, 200);
    let request = &origin.requests()[0];
    let via = request.header("via").unwrap_or_default();
    assert!(via.starts_with("2.0 ") || via.starts_with("2 "), "{via:?}");
}

#[test]
fn a_length_of_zero_stays_said() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let head = Head::post("/").field("content-length", "0");
    assert_eq!(connect(&proxy).request(&head, "").status, 200);
    // Servers answer 411 to a POST that says nothing of its length.
    assert_eq!(origin.requests()[0].header("content-length"), Some("0"));
}

#[test]
fn a_method_counts_towards_the_limits_of_a_head() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let answer = connect(&proxy).request(&Head::new("M".repeat(20_000), "/evil"), "");
    assert!(answer.is_refusal(), "{}", answer.status);
    nothing_evil(&origin);
}
