//! A shadow pool gets copies of requests, and nobody who waits for an answer feels it.

use std::time::{Duration, Instant};

use croupier_testkit::{BlackHole, Event, Request, Signal, closed_address, wait_until};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric, start};

/// A site before `app`, whose requests are copied to `shadow`.
fn mirrored(app: &Origin, shadow: &str, mirror: &str, more: &str) -> Proxy {
    start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\nworkers = 1\n\
         [pool.app]\nservers = [\"{}\"]\n[pool.shadow]\nservers = [\"{shadow}\"]\n\
         [site.\"*\"]\npool = \"app\"\n{more}\nmirror = {{ pool = \"shadow\"{mirror} }}\n",
        app.address()
    ))
}

fn app() -> Origin {
    Origin::start(|request| Reply::ok(format!("{} {}", request.method, request.body.len())))
}

fn shadow() -> Origin {
    Origin::start(|_| Reply::ok("shadow"))
}

#[track_caller]
fn counted(proxy: &Proxy, what: &str, count: f64) {
    let series = format!("croupier_mirror_{what}_total");
    let reached = wait_until(SOON, || metric(proxy, &series) >= count);
    assert!(reached, "{series} is {}", metric(proxy, &series));
    assert_eq!(metric(proxy, &series), count, "{series}");
}

/// What of a request its copy must have too.
fn said(request: &Request) -> (String, String, Vec<(String, String)>, Vec<u8>) {
    let mut fields = request.headers.0.clone();
    // A copy's body is whole when it is sent.
    fields.retain(|(name, _)| {
        let name = name.to_ascii_lowercase();
        name != "transfer-encoding" && name != "content-length"
    });
    (
        request.method.clone(),
        request.target.clone(),
        fields,
        request.body.clone(),
    )
}

#[test]
fn every_request_is_copied_as_it_was_sent() {
    let (app, shadow) = (app(), shadow());
    let proxy = mirrored(
        &app,
        &shadow.address().to_string(),
        "",
        "headers.request = { set = { X-Site = \"1\" }, remove = [\"X-Secret\"] }",
    );
    let mut client = Client::connect(proxy.address());
    let fields = [
        ("X-Mixed-Case", "a, b"),
        ("Cookie", "a=b"),
        ("X-Secret", "s"),
        ("Accept", "text/html"),
    ];
    for (method, target, body) in [
        ("GET", "/a/b?c=d&e", ""),
        ("HEAD", "/head", ""),
        ("POST", "/form", "a=1"),
        ("POST", "/empty", ""),
        ("PUT", "/put?x", "text"),
        ("DELETE", "/gone", ""),
    ] {
        let response = client.request(method, target, &fields, body);
        assert_eq!(response.status, 200, "{method}");
    }
    client.request(
        "POST",
        "/chunked",
        &[("Transfer-Encoding", "chunked")],
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    let copies = shadow.wait_for_requests(7, SOON);
    let by_target = |all: &[Request]| {
        let mut all: Vec<_> = all.iter().map(said).collect();
        all.sort();
        all
    };
    assert_eq!(by_target(&copies), by_target(&app.requests()));
    for copy in &copies {
        let length = copy.header("content-length");
        let has_body = ["POST", "PUT"].contains(&copy.method.as_str());
        assert_eq!(length.is_some(), has_body, "{copy:?}");
    }
    counted(&proxy, "sent", 7.0);
    counted(&proxy, "dropped", 0.0);
    counted(&proxy, "failures", 0.0);
}

#[test]
fn a_rewritten_path_is_the_copys_too() {
    let (app, shadow) = (app(), shadow());
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [pool.app]\nservers = [\"{}\"]\n\
         [pool.shadow]\nservers = [\"{}\"]\nhost = \"shadow.internal\"\n\
         [site.\"*\"]\nmirror = {{ pool = \"shadow\" }}\nroutes = [\n\
         {{ path = \"/quiet/*\", pool = \"app\", mirror = false }},\n\
         {{ path = \"/api/*\", pool = \"app\", strip_prefix = \"/api\", add_prefix = \"/v2\" }},\n]\n",
        app.address(),
        shadow.address()
    ));
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/quiet/x").status, 200);
    assert_eq!(client.get("/api/x?y").status, 200);
    let copies = shadow.wait_for_requests(1, SOON);
    assert_eq!(copies[0].target, "/v2/x?y");
    assert_eq!(copies[0].header("host"), Some("shadow.internal"));
    assert_eq!(copies.len(), 1);
}

#[test]
fn a_share_is_a_share() {
    let (app, shadow) = (app(), shadow());
    let proxy = mirrored(&app, &shadow.address().to_string(), ", share = \"30%\"", "");
    let mut client = Client::connect(proxy.address());
    for _ in 0..600 {
        assert_eq!(client.get("/").status, 200);
    }
    let copied = metric(&proxy, "croupier_mirror_sent_total")
        + metric(&proxy, "croupier_mirror_dropped_total");
    assert!((110.0..=250.0).contains(&copied), "{copied} of 600");
}

#[test]
fn bodies_that_are_too_large_are_not_copied() {
    let (app, shadow) = (app(), shadow());
    let proxy = mirrored(
        &app,
        &shadow.address().to_string(),
        ", body = \"1KiB\"",
        "retry = { body = \"64KiB\" }",
    );
    let mut client = Client::connect(proxy.address());
    let chunked = |count: usize| format!("{count:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(count));
    let coded = [("Transfer-Encoding", "chunked")];
    for length in [1_024, 1_025, 70_000, 200_000] {
        let body = "x".repeat(length);
        let response = client.request("POST", "/length", &[], &body);
        assert_eq!(response.text(), format!("POST {length}"));
        let response = client.request("POST", "/chunked", &coded, chunked(length));
        assert_eq!(response.text(), format!("POST {length}"));
    }
    client.get("/last");
    let copies = shadow.wait_for_requests(3, SOON);
    let mut seen: Vec<_> = copies.iter().map(|c| (c.path(), c.body.len())).collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [("/chunked", 1_024), ("/last", 0), ("/length", 1_024)]
    );
}

#[test]
fn with_a_body_of_0_only_requests_without_one_are_copied() {
    let (app, shadow) = (app(), shadow());
    let proxy = mirrored(&app, &shadow.address().to_string(), ", body = \"0\"", "");
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.request("POST", "/a", &[], "x").text(), "POST 1");
    assert_eq!(client.request("POST", "/b", &[], "").text(), "POST 0");
    assert_eq!(client.get("/c").status, 200);
    let copies = shadow.wait_for_requests(2, SOON);
    let mut paths: Vec<_> = copies.iter().map(Request::path).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/b", "/c"]);
}

/// A name, what the shadow does, and whether that is no whole answer.
type Misdeed = (&'static str, fn() -> Reply, bool);

#[test]
fn nothing_that_a_shadow_does_is_seen() {
    let misdeeds: [Misdeed; 8] = [
        ("500", || Reply::empty(500), false),
        ("503", || Reply::empty(503).body("go away"), false),
        ("close", Reply::close, true),
        ("reset", Reply::reset, true),
        ("garbage", || Reply::bytes("\x16\x03\x01\r\n\r\n"), true),
        ("cut", || Reply::ok("0123456789").cut_at(45), true),
        ("switch", Reply::switch_to_websocket, true),
        (
            "cookie",
            || Reply::ok("x").header("Set-Cookie", "a=b"),
            false,
        ),
    ];
    for (what, reply, fails) in misdeeds {
        let (app, shadow) = (app(), Origin::start(move |_| reply()));
        let proxy = mirrored(&app, &shadow.address().to_string(), "", "");
        let mut client = Client::connect(proxy.address());
        for number in 0..10 {
            let body = "x".repeat(number);
            let response = client.request("POST", "/", &[], &body);
            assert_eq!(response.status, 200, "{what}");
            assert_eq!(response.text(), format!("POST {number}"), "{what}");
            assert!(!response.headers.has("set-cookie"), "{what}");
        }
        counted(&proxy, "sent", 10.0);
        counted(&proxy, "failures", if fails { 10.0 } else { 0.0 });
        assert_eq!(app.requests().len(), 10, "{what}");
    }
}

#[test]
fn a_shadow_that_is_down_is_not_noticed() {
    let app = app();
    let hole = BlackHole::open();
    for shadow in [closed_address(), hole.address()] {
        let proxy = mirrored(&app, &shadow.to_string(), "", "");
        let began = Instant::now();
        let mut client = Client::connect(proxy.address());
        for _ in 0..50 {
            let response = client.get("/");
            assert_eq!((response.status, response.text().as_str()), (200, "GET 0"));
        }
        assert!(began.elapsed() < Duration::from_secs(2), "clients waited");
        counted(&proxy, "sent", 50.0);
        let log = proxy.log_lines().join("\n");
        assert!(!log.contains("pool.fail_open"), "{log}");
    }
}

#[test]
fn a_shadow_that_hangs_holds_a_bounded_number_of_copies_and_nobody_else() {
    let go = Event::new();
    let told = go.clone();
    let shadow = Origin::start(move |_| Reply::wait_for(&told).then(Reply::ok("late")));
    let app = app();
    let mut proxy = mirrored(&app, &shadow.address().to_string(), "", "");
    let mut client = Client::connect(proxy.address());
    for _ in 0..100 {
        assert_eq!(client.get("/").text(), "GET 0");
    }
    counted(&proxy, "sent", 64.0);
    counted(&proxy, "dropped", 36.0);
    // Nor does the end of the process wait for them.
    proxy.signal(Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 0);
    go.fire();
}

#[test]
fn copies_use_connections_again() {
    let (app, shadow) = (app(), shadow());
    let proxy = mirrored(&app, &shadow.address().to_string(), "", "");
    let mut client = Client::connect(proxy.address());
    for number in 1..=20 {
        assert_eq!(client.get("/").status, 200);
        shadow.wait_for_requests(number, SOON);
    }
    let opened = shadow.connections().len();
    assert!(opened <= 5, "{opened} connections for 20 copies");
}

#[test]
fn a_websocket_is_not_copied() {
    let app = Origin::start(|_| Reply::switch_to_websocket().then(Reply::echo()));
    let shadow = shadow();
    let proxy = mirrored(&app, &shadow.address().to_string(), "", "");
    let mut client = Client::connect(proxy.address());
    let fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let response = client.send_request("GET", "/", &fields, "").read_head();
    assert_eq!(response.status, 101);
    client.send("ping");
    assert_eq!(client.read_bytes(4), b"ping");
    for what in ["sent", "dropped", "failures"] {
        counted(&proxy, what, 0.0);
    }
    assert!(shadow.requests().is_empty());
}

#[test]
fn a_request_that_is_tried_again_is_copied_once() {
    let dead = closed_address();
    let (app, shadow) = (app(), shadow());
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\nworkers = 1\n\
         [pool.app]\nbalance = \"round-robin\"\nservers = [\"{dead}\", \"{}\"]\n\
         [pool.shadow]\nservers = [\"{}\"]\n\
         [site.\"*\"]\npool = \"app\"\nmirror = {{ pool = \"shadow\" }}\n",
        app.address(),
        shadow.address()
    ));
    let mut client = Client::connect(proxy.address());
    for _ in 0..6 {
        assert_eq!(client.request("POST", "/", &[], "body").text(), "POST 4");
    }
    shadow.wait_for_requests(6, SOON);
    counted(&proxy, "sent", 6.0);
    assert!(shadow.requests().iter().all(|copy| copy.body == b"body"));
}
