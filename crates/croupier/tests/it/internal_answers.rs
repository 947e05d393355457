//! Answers that the proxy makes by itself: the body of such a request is read and dropped, or the
//! connection ends; it is never the next request.
//!
//! Rows A07 and A08 of the catalogue, and payload `g173`.

use croupier_testkit::{Client, Ended, Event, Failure, Origin, Proxy, Reply, closed_address};

use crate::{
    prelude::{in_front_of, start},
    verdict::{CLOSE, SOON, Table},
};

const CANARY: &str = "GET /canary HTTP/1.1\r\nHost: a.example\r\n\r\n";
const AFTER: &str = "GET /after HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// Every way to answer without an origin.
fn house(origin: &Origin) -> Proxy {
    let nobody = closed_address();
    start(&format!(
        r#"
[server]
listen = ["127.0.0.1:0"]

[timeouts]
drain = "300ms"

[limits]
body_bytes = "100KiB"

[pool.nobody]
servers = ["{nobody}"]
eject = false
queue = {{ requests = 0 }}

[[site."a.example".routes]]
path = "/redirect"
redirect = "https://elsewhere.example/"

[[site."a.example".routes]]
path = "/respond"
respond = {{ status = 200, body = "made" }}

[[site."a.example".routes]]
path = "/empty"
respond = {{ status = 204 }}

[[site."a.example".routes]]
path = "/unmodified"
respond = {{ status = 304 }}

[[site."a.example".routes]]
path = "/401"
deny = 401

[[site."a.example".routes]]
path = "/403"
deny = 403

[[site."a.example".routes]]
path = "/429"
deny = 429

[[site."a.example".routes]]
path = "/503"
deny = 503

[[site."a.example".routes]]
path = "/nobody"
pool = "nobody"

[[site."a.example".routes]]
path = "/after"
respond = "after"

[[site."a.example".routes]]
path = "/canary"
proxy = "{0}"

[[site."b.example".routes]]
path = "/only"
proxy = "{0}"
"#,
        origin.address()
    ))
}

/// What is asked for, at which host, and the status.
const ANSWERS: [(&str, &str, u16); 12] = [
    ("/redirect", "a.example", 302),
    ("/respond", "a.example", 200),
    ("/empty", "a.example", 204),
    ("/unmodified", "a.example", 304),
    ("/401", "a.example", 401),
    ("/403", "a.example", 403),
    ("/429", "a.example", 429),
    ("/503", "a.example", 503),
    ("/nobody", "a.example", 502),
    ("/none", "a.example", 404),
    ("/none", "b.example", 404),
    ("/", "c.example", 404),
];

fn head(method: &str, path: &str, host: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")
}

/// Either the connection still works, or it has ended; nothing in between.
fn works_or_ends(client: &mut Client, what: &str) -> bool {
    let sent = client.try_send(AFTER);
    match client.try_read_response() {
        Ok(response) => {
            assert_eq!(response.text(), "after", "{what}");
            true
        }
        Err(failure) => {
            assert!(
                matches!(failure, Failure::Closed | Failure::Reset) || sent.is_err(),
                "{what}: {failure:?}"
            );
            false
        }
    }
}

#[test]
fn a07_a_body_that_comes_at_once_is_dropped() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = house(&origin);
    let length = format!("Content-Length: {}\r\n", CANARY.len());
    let chunked = format!("{:x}\r\n{CANARY}\r\n0\r\n\r\n", CANARY.len());
    for (path, host, status) in ANSWERS {
        for method in ["POST", "GET", "DELETE", "OPTIONS", "HEAD"] {
            let what = format!("{method} {host}{path}");
            let mut client = Client::connect(proxy.address());
            client.send(head(method, path, host, &length) + CANARY);
            assert_eq!(client.read_response_to(method).status, status, "{what}");
            assert!(
                works_or_ends(&mut client, &what),
                "{what}: a short body costs no connection"
            );
            let mut client = Client::connect(proxy.address());
            client.send(head(method, path, host, "Transfer-Encoding: chunked\r\n") + &chunked);
            assert_eq!(client.read_response_to(method).status, status, "{what}");
            works_or_ends(&mut client, &what);
        }
    }
    assert_eq!(origin.requests(), []);
}

#[test]
fn a07_a_body_that_comes_late_is_dropped() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = house(&origin);
    let length = format!("Content-Length: {}\r\n", CANARY.len());
    for (path, host, status) in ANSWERS {
        for (method, expect) in [
            ("POST", ""),
            ("GET", ""),
            ("POST", "Expect: 100-continue\r\n"),
        ] {
            let what = format!("{method} {host}{path} {expect}");
            let mut client = Client::connect(proxy.address());
            client.send(head(method, path, host, &format!("{length}{expect}")));
            let answer = client.read_response_to(method);
            assert_eq!((answer.status, answer.interim.len()), (status, 0), "{what}");
            // Nobody asked for this body, so nobody knows whether it comes.
            assert!(expect.is_empty() || answer.says_close(), "{what}");
            let _ = client.try_send(CANARY);
            let works = works_or_ends(&mut client, &what);
            assert_eq!(works, !answer.says_close(), "{what}");
        }
    }
    assert_eq!(origin.requests(), []);
}

#[test]
fn a07_a_body_that_never_comes_ends_the_connection() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = house(&origin);
    let mut waiting = Vec::new();
    for (path, host, status) in ANSWERS {
        let mut client = Client::connect(proxy.address());
        client.send(head("POST", path, host, "Content-Length: 40\r\n") + "GET /canary");
        assert_eq!(client.read_response_to("POST").status, status);
        waiting.push(client);
    }
    for mut client in waiting {
        client.expect_close(SOON);
    }
    assert_eq!(origin.requests(), []);
}

#[test]
fn a07_a_body_too_long_to_drop_ends_the_connection() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = house(&origin);
    for (path, host, status) in ANSWERS {
        let mut client = Client::connect(proxy.address());
        client.send(head("POST", path, host, "Content-Length: 70000\r\n") + CANARY);
        let answer = client.read_response_to("POST");
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.says_close(), "{path}");
        let _ = client.try_send(CANARY);
        client.expect_close(CLOSE);
    }
    assert_eq!(origin.requests(), []);
}

#[test]
fn a07_refusals_take_the_body_with_them() {
    let mut table = Table::set();
    let length = CANARY.len();
    for (name, lines, status) in [
        (
            "417",
            format!("Content-Length: {length}\r\nExpect: nothing\r\n"),
            417,
        ),
        (
            "417 with a second token",
            format!("Content-Length: {length}\r\nExpect: 100-continue, x\r\n"),
            417,
        ),
        (
            "417 twice",
            format!("Content-Length: {length}\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"),
            417,
        ),
        (
            "508",
            format!(
                "Content-Length: {length}\r\nVia: {}\r\n",
                ["1.1 x"; 21].join(",")
            ),
            508,
        ),
    ] {
        let payload = head("POST", "/evil", "a.example", &lines) + CANARY;
        let mut client = Client::connect(table.proxy.address());
        client.send(&payload);
        assert_eq!(client.read_response().status, status, "{name}");
    }
    for (name, payload, status) in [
        (
            "405",
            head(
                "TRACE",
                "/evil",
                "a.example",
                &format!("Content-Length: {length}\r\n"),
            ) + CANARY,
            405,
        ),
        (
            "411",
            format!("POST /evil HTTP/1.0\r\nHost: a.example\r\n\r\n{CANARY}"),
            411,
        ),
        (
            "an ambiguous path",
            head(
                "POST",
                "/x/..%2fevil",
                "a.example",
                &format!("Content-Length: {length}\r\n"),
            ) + CANARY,
            400,
        ),
        (
            "a bad host",
            head(
                "POST",
                "/evil",
                "a,b",
                &format!("Content-Length: {length}\r\n"),
            ) + CANARY,
            400,
        ),
    ] {
        table.refuses(name, payload.as_bytes(), &[status]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a07_a_body_over_the_limit_is_refused_before_or_on_its_way() {
    let origin = Origin::start(|request| Reply::ok(request.path()));
    let proxy = house(&origin);
    let mut client = Client::connect(proxy.address());
    client.send(head("POST", "/canary", "a.example", "Content-Length: 102401\r\n") + CANARY);
    let answer = client.read_response();
    assert_eq!(answer.status, 413);
    assert!(answer.says_close());
    client.expect_close(CLOSE);
    assert_eq!(origin.requests(), []);
    // Chunks tell their sum only at the end: the origin's copy is cut.
    let mut client = Client::connect(proxy.address());
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    client.send(head(
        "POST",
        "/canary",
        "a.example",
        "Transfer-Encoding: chunked\r\n",
    ));
    for _ in 0..4 {
        let _ = client.try_send(&chunk);
    }
    let _ = client.try_send(format!("0\r\n\r\n{CANARY}"));
    assert_eq!(client.read_response().status, 413);
    client.expect_close(CLOSE);
    let connections = origin.wait_for_connections(SOON, |all| {
        !all.is_empty() && all.iter().all(|c| c.ended.is_some())
    });
    assert_eq!(connections.len(), 1);
    assert!(!origin.requests().iter().any(|request| request.complete));
}

#[test]
fn a08_expectations_that_are_none() {
    let origin = Origin::start(|request| Reply::ok(request.text()));
    let proxy = in_front_of(&origin);
    // Without a body there is nothing to wait for, and HTTP/1.0 knows no interim answers.
    for payload in [
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",
    ] {
        let mut client = Client::connect(proxy.address());
        let answer = client.send(payload).read_response();
        assert_eq!((answer.status, answer.interim.len()), (200, 0), "{payload}");
        assert!(
            !origin.requests().pop().unwrap().headers.has("expect"),
            "{payload}"
        );
    }
    let mut table = Table::set();
    for (lines, status) in [
        ("Expect: 200-ok\r\n", 417),
        ("Expect:\r\n", 417),
        ("Expect: 100-continue x\r\n", 417),
        ("Expect: 100-continue;q=1\r\n", 417),
        ("Expect:\r\n 100-continue\r\n", 400),
        ("Expect : 100-continue\r\n", 400),
    ] {
        let payload = head(
            "POST",
            "/evil",
            "a",
            &format!("Content-Length: 5\r\n{lines}"),
        );
        table.refuses(lines, payload.as_bytes(), &[status]);
    }
    table.clear_without_a_trace();
}

#[test]
fn a08_a_final_answer_instead_of_100_spoils_the_connection_to_its_origin() {
    for status in [200, 401, 417, 503] {
        let origin = Origin::builder()
            .at_head(move |request| {
                (request.path() == "/expect").then(|| Reply::ok("no").status(status))
            })
            .start(|request| Reply::ok(request.path()));
        let proxy = in_front_of(&origin);
        let mut client = Client::connect(proxy.address());
        client.send(head(
            "POST",
            "/expect",
            "a",
            "Content-Length: 34\r\nExpect: 100-continue\r\n",
        ));
        let answer = client.read_response();
        assert_eq!((answer.status, answer.interim.len()), (status, 0));
        let _ = client.try_send("GET /canary HTTP/1.1\r\nHost: a\r\n\r\n");
        let connections = origin.wait_for_connections(SOON, |all| all[0].ended.is_some());
        assert_eq!(connections[0].ended.unwrap().1, Ended::Cut);
        assert_eq!(
            Client::connect(proxy.address()).get("/next").text(),
            "/next"
        );
        assert!(
            origin
                .requests()
                .iter()
                .all(|request| request.path() != "/canary")
        );
    }
}

#[test]
fn a08_100_in_every_tempo() {
    let go = Event::new();
    let told = go.clone();
    let origin = Origin::builder()
        .at_head(move |request| match request.path() {
            "/twice" => Some(
                Reply::interim(100)
                    .then(Reply::interim(100))
                    .then(Reply::read_body())
                    .then(Reply::ok("twice")),
            ),
            "/late" => Some(
                Reply::wait_for(&told)
                    .then(Reply::interim(100))
                    .then(Reply::read_body())
                    .then(Reply::ok("late")),
            ),
            "/behind" => Some(
                Reply::read_body()
                    .then(Reply::interim(100))
                    .then(Reply::ok("behind")),
            ),
            _ => None,
        })
        .start(|request| Reply::ok(request.path()));
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    let ask = |path: &str| {
        head(
            "POST",
            path,
            "a",
            "Content-Length: 5\r\nExpect: 100-continue\r\n",
        )
    };
    client.send(ask("/twice"));
    assert!(
        origin.wait_for_heads(1, SOON)[0]
            .headers
            .has_token("expect", "100-continue")
    );
    client.send("hello");
    let answer = client.read_response();
    assert_eq!(answer.text(), "twice");
    assert!(answer.interim.iter().all(|interim| interim.status == 100));
    // A client that loses its patience sends its body without having been told to.
    client.send(ask("/late")).send("hello");
    origin.wait_for_heads(2, SOON);
    go.fire();
    assert_eq!(client.read_response().text(), "late");
    client.send(ask("/behind")).send("hello");
    assert_eq!(client.read_response().text(), "behind");
    assert_eq!(client.get("/next").text(), "/next");
    assert!(origin.requests().iter().all(|request| request.complete));
    assert_eq!(
        origin.connections().len(),
        1,
        "whole exchanges keep their connection"
    );
}
