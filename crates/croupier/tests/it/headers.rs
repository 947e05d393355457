//! Header fields on their way through: what ends here, what we add, and the edits of a config.

use croupier_testkit::Request;

use crate::prelude::{Client, Origin, Proxy, Reply, config, config_with, in_front_of, start};

fn echo() -> Origin {
    Origin::start(|_| Reply::ok("x"))
}

fn trusting(origin: &Origin, site: &str) -> Proxy {
    start(&config_with(
        "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]",
        &format!("proxy = \"{}\"\n{site}", origin.address()),
    ))
}

/// The request as the origin got it.
fn sent(origin: &Origin, proxy: &Proxy, headers: &[(&str, &str)]) -> Request {
    let response = Client::connect(proxy.address())
        .host("shop.test:8080")
        .request("GET", "/", headers, "");
    assert_eq!(response.status, 200, "{}", response.text());
    origin.requests().pop().expect("a request")
}

#[test]
fn fields_of_one_connection_end_here() {
    let origin = Origin::start(|_| {
        Reply::ok("x")
            .header("Connection", "X-Down, keep-alive")
            .header("X-Down", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Authenticate", "Basic")
            .header("Upgrade", "h2c")
            .header("X-Kept", "2")
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    let response = client.request(
        "GET",
        "/",
        &[
            ("Connection", "X-Up, close"),
            ("Connection", "x-other"),
            ("X-Up", "1"),
            ("X-Other", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic x"),
            ("TE", "gzip, trailers"),
            ("Upgrade", "h2c"),
            ("X-Kept", "2"),
        ],
        "",
    );
    assert!(response.says_close());
    for name in ["x-down", "keep-alive", "proxy-authenticate", "upgrade"] {
        assert!(!response.headers.has(name), "{name}");
    }
    assert_eq!(response.header("x-kept"), Some("2"));
    let request = &origin.requests()[0];
    for name in [
        "x-up",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
    ] {
        assert!(!request.headers.has(name), "{name}");
    }
    assert!(!request.headers.has_token("connection", "close"));
    assert_eq!(request.header("x-kept"), Some("2"));
}

#[test]
fn order_case_and_repetition_of_the_others_are_kept() {
    let origin = Origin::start(|_| {
        Reply::ok("x")
            .header("X-b", "1")
            .header("Set-Cookie", "a=1")
            .header("X-A", "2")
            .header("Set-Cookie", "b=2")
    });
    let proxy = in_front_of(&origin);
    let headers = [
        ("X-z", "1"),
        ("ACCEPT", "a"),
        ("X-y", ""),
        ("Accept", "b"),
        ("Cookie", "c=d"),
    ];
    let response = Client::connect(proxy.address()).request("GET", "/", &headers, "");
    let named: Vec<_> = response.headers.names().into_iter().take(4).collect();
    assert_eq!(named, ["X-b", "Set-Cookie", "X-A", "Set-Cookie"]);
    assert_eq!(response.headers.all("set-cookie"), ["a=1", "b=2"]);
    let request = &origin.requests()[0];
    let theirs: Vec<_> = request
        .headers
        .names()
        .into_iter()
        .skip(1)
        .take(5)
        .collect();
    assert_eq!(theirs, ["X-z", "ACCEPT", "X-y", "Accept", "Cookie"]);
}

#[test]
fn an_outsider_can_not_say_who_he_is() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let request = sent(
        &origin,
        &proxy,
        &[
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.test"),
            ("X-Forwarded-Port", "1"),
            ("X-Forwarded-Prefix", "/evil"),
            ("X-Forwarded-Anything", "x"),
            ("Forwarded", "for=1.1.1.1"),
            ("X-Real-IP", "1.1.1.1"),
            ("True-Client-IP", "1.1.1.1"),
            ("X-Original-URL", "/admin"),
            ("X-Forwarded_For", "1.1.1.1"),
            ("X-Request-Id", "mine"),
        ],
    );
    assert_eq!(request.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["http"]);
    assert_eq!(request.headers.all("x-forwarded-host"), ["shop.test:8080"]);
    assert_eq!(request.headers.all("x-forwarded-port"), ["8080"]);
    for name in [
        "x-forwarded-prefix",
        "x-forwarded-anything",
        "forwarded",
        "x-real-ip",
        "true-client-ip",
        "x-original-url",
        "x-forwarded_for",
    ] {
        assert!(!request.headers.has(name), "{name}");
    }
    assert_ne!(request.header("x-request-id"), Some("mine"));
    let line = proxy.wait_for_access(|_| true);
    assert!(line.contains("\"client_ip\":\"127.0.0.1\""), "{line}");
}

#[test]
fn a_trusted_proxy_is_believed_from_right_to_left() {
    let origin = echo();
    let proxy = trusting(&origin, "");
    let request = sent(
        &origin,
        &proxy,
        &[
            ("X-Forwarded-For", "6.6.6.6, 203.0.113.9"),
            ("X-Forwarded-For", "10.1.1.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "outside.test"),
            ("X-Forwarded-Port", "443"),
            ("X-Forwarded-Prefix", "/app"),
            ("X-Request-Id", "from-the-edge"),
        ],
    );
    assert_eq!(
        request.headers.all("x-forwarded-for"),
        ["6.6.6.6, 203.0.113.9, 10.1.1.1, 127.0.0.1"]
    );
    assert_eq!(request.headers.all("x-forwarded-proto"), ["https"]);
    assert_eq!(request.headers.all("x-forwarded-host"), ["outside.test"]);
    assert_eq!(request.headers.all("x-forwarded-port"), ["443"]);
    assert_eq!(request.headers.all("x-forwarded-prefix"), ["/app"]);
    assert_eq!(request.headers.all("x-request-id"), ["from-the-edge"]);
    let line = proxy.wait_for_access(|_| true);
    for part in [
        "\"client_ip\":\"203.0.113.9\"",
        "\"remote_ip\":\"127.0.0.1\"",
        "\"scheme\":\"https\"",
        "\"request_id\":\"from-the-edge\"",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn unlawful_words_of_a_trusted_proxy_are_not_repeated() {
    let origin = echo();
    let proxy = trusting(&origin, "");
    let long = "x".repeat(200);
    for id in ["", "two words", long.as_str()] {
        let request = sent(&origin, &proxy, &[("X-Request-Id", id)]);
        let ours = request
            .header("x-request-id")
            .unwrap_or_default()
            .to_owned();
        assert_eq!(ours.len(), 36, "{id:?} became {ours:?}");
    }
    let request = sent(&origin, &proxy, &[("X-Forwarded-Proto", "gopher")]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["http"]);
}

#[test]
fn forwarded_is_sent_on_request() {
    let origin = echo();
    let proxy = start(&config(&format!(
        "proxy = \"{}\"\nforwarded = true",
        origin.address()
    )));
    let request = sent(&origin, &proxy, &[("Forwarded", "for=1.1.1.1")]);
    assert_eq!(
        request.headers.all("forwarded"),
        ["for=127.0.0.1;host=\"shop.test:8080\";proto=http"]
    );
    let proxy = trusting(&origin, "forwarded = true");
    let request = sent(
        &origin,
        &proxy,
        &[("Forwarded", "for=203.0.113.9;proto=https")],
    );
    let all = request.headers.all("forwarded").join(", ");
    assert!(
        all.starts_with("for=203.0.113.9;proto=https, for=127.0.0.1"),
        "{all}"
    );
    let line = proxy.wait_for_access(|_| true);
    assert!(line.contains("\"client_ip\":\"203.0.113.9\""), "{line}");
}

#[test]
fn whoever_comes_through_a_unix_socket_may_be_trusted() {
    let origin = echo();
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let path = launch.directory().join("front.sock");
    let proxy = launch.start(&format!(
        "[server]\nlisten = [\"unix:{}\"]\ntrusted_proxies = [\"unix\"]\n[site.\"*\"]\nproxy = \"{}\"\n",
        path.display(),
        origin.address()
    ));
    let headers = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
    ];
    let response = Client::connect_unix(&path).request("GET", "/", &headers, "");
    assert_eq!(response.status, 200);
    let request = &origin.requests()[0];
    assert_eq!(request.headers.all("x-forwarded-for"), ["203.0.113.9"]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["https"]);
    let line = proxy.wait_for_access(|_| true);
    assert!(line.contains("\"client_ip\":\"203.0.113.9\""), "{line}");
}

#[test]
fn via_names_us_and_a_circle_is_noticed() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let request = sent(&origin, &proxy, &[("Via", "1.0 fred")]);
    assert_eq!(
        request.headers.all("via").join(", "),
        "1.0 fred, 1.1 croupier"
    );
    let many = vec!["1.1 croupier"; 30].join(", ");
    let response = Client::connect(proxy.address()).request("GET", "/", &[("Via", &many)], "");
    assert_eq!(response.status, 508);
    assert!(response.text().contains("proxy.loop"));
    let proxy = start(&config_with(
        "via = \"edge-7\"",
        &format!("proxy = \"{}\"", origin.address()),
    ));
    assert_eq!(sent(&origin, &proxy, &[]).header("via"), Some("1.1 edge-7"));
}

#[test]
fn a_proxy_in_front_of_itself_ends_the_circle() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let proxy = start(&format!(
        "[server]\nlisten = [\"{address}\"]\n[site.\"*\"]\nproxy = \"{address}\"\n"
    ));
    let response = Client::connect(proxy.address()).get("/");
    assert_eq!(response.status, 508);
}

#[test]
fn every_request_has_an_id_of_its_own() {
    let origin = Origin::start(|request| {
        Reply::ok("x").header("X-Seen", request.header("x-request-id").unwrap_or_default())
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    let ids: Vec<String> = (0..20)
        .map(|_| {
            client
                .get("/")
                .header("x-seen")
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(
            (id.len(), id.as_bytes()[14]),
            (36, b'7'),
            "{id} is no UUIDv7"
        );
        assert!(!ids[..number].contains(id));
        proxy.wait_for_access(|line| line.contains(id.as_str()));
    }
}

#[test]
fn a_trace_goes_on_and_a_false_one_does_not() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = sent(
        &origin,
        &proxy,
        &[("traceparent", good), ("tracestate", "a=b")],
    );
    assert_eq!(request.headers.all("traceparent"), [good]);
    assert_eq!(request.headers.all("tracestate"), ["a=b"]);
    let line = proxy.wait_for_access(|line| line.contains("trace_id"));
    assert!(
        line.contains("\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""),
        "{line}"
    );
    for bad in [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "not a trace",
    ] {
        let request = sent(&origin, &proxy, &[("traceparent", bad)]);
        assert!(!request.headers.has("traceparent"), "{bad}");
    }
}

#[test]
fn edits_merge_down_the_tree_and_the_route_wins() {
    let origin = Origin::start(|_| {
        Reply::ok("x")
            .header("X-Gone", "1")
            .header("X-Set", "origin")
            .header("X-Added", "origin")
            .header("X-Site-Gone", "1")
    });
    let address = origin.address();
    let proxy = start(&config(&format!(
        "headers.request = {{ set = {{ X-Site = \"site\", X-Both = \"site\", Host-Like = \"h\" }}, remove = [\"X-Drop\", \"User-Agent\"] }}\n\
         headers.response = {{ set = {{ X-Set = \"site\", X-Frame-Options = \"DENY\" }}, add = {{ X-Added = \"site\" }}, remove = [\"X-Gone\", \"X-Site-Gone\"] }}\n\
         routes = [{{ path = \"/route\", proxy = \"{address}\", \
            headers.request = {{ set = {{ X-Both = \"route\" }}, add = {{ X-Drop = \"route\" }} }}, \
            headers.response = {{ set = {{ X-Set = \"route\" }}, add = {{ X-Site-Gone = \"route\" }}, remove = [\"X-Frame-Options\"] }} }}]\n\
         proxy = \"{address}\""
    )));
    let mut client = Client::connect(proxy.address());
    let headers = [
        ("X-Both", "client"),
        ("X-Drop", "client"),
        ("User-Agent", "c/1"),
        ("X-Site", "client"),
    ];
    let plain = client.request("GET", "/", &headers, "");
    let route = client.request("GET", "/route", &headers, "");
    let requests = origin.requests();
    let request = |number: usize, name: &str| requests[number].headers.all(name);
    assert_eq!(request(0, "x-site"), ["site"]);
    assert_eq!(request(0, "x-both"), ["site"]);
    assert!(request(0, "x-drop").is_empty() && request(0, "user-agent").is_empty());
    assert_eq!(request(1, "x-site"), ["site"]);
    assert_eq!(request(1, "x-both"), ["route"]);
    assert_eq!(request(1, "x-drop"), ["client", "route"]);
    assert!(request(1, "user-agent").is_empty());
    assert_eq!(plain.headers.all("x-set"), ["site"]);
    assert_eq!(plain.headers.all("x-frame-options"), ["DENY"]);
    assert_eq!(plain.headers.all("x-added"), ["origin", "site"]);
    assert!(!plain.headers.has("x-gone") && !plain.headers.has("x-site-gone"));
    assert_eq!(route.headers.all("x-set"), ["route"]);
    assert!(!route.headers.has("x-frame-options") && !route.headers.has("x-gone"));
    assert_eq!(route.headers.all("x-site-gone"), ["1", "route"]);
}

#[test]
fn edits_reach_answers_of_our_own() {
    let proxy = start(&config(
        "headers.response = { set = { X-Frame-Options = \"DENY\", Cache-Control = \"max-age=1\" } }\n\
         routes = [{ path = \"/deny\", deny = 403 }, { path = \"/down\", pool = \"down\" }]\nrespond = \"x\"\n\
         [pool.down]\nservers = [\"127.0.0.1:1\"]\nqueue = { requests = 0 }",
    ));
    let mut client = Client::connect(proxy.address());
    for (path, status) in [("/", 200), ("/deny", 403), ("/down", 502)] {
        let response = client.get(path);
        assert_eq!(response.status, status);
        assert_eq!(response.headers.all("x-frame-options"), ["DENY"], "{path}");
        assert_eq!(
            response.headers.all("cache-control"),
            ["max-age=1"],
            "{path}"
        );
    }
}

#[test]
fn forwarding_fields_may_be_edited_like_any_other() {
    let origin = echo();
    let proxy = start(&config(&format!(
        "proxy = \"{}\"\nheaders.request = {{ set = {{ X-Forwarded-Proto = \"https\", X-Request-Id = \"fixed\" }}, remove = [\"X-Forwarded-Port\", \"Via\"] }}",
        origin.address()
    )));
    let request = sent(&origin, &proxy, &[("Via", "1.0 a")]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["https"]);
    assert_eq!(request.headers.all("x-request-id"), ["fixed"]);
    assert!(!request.headers.has("x-forwarded-port") && !request.headers.has("via"));
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let origin = Origin::start(|request| match request.path() {
        "/dated" => Reply::ok("x").header("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
        _ => Reply::ok("x"),
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    assert_eq!(
        client.get("/dated").header("date"),
        Some("Tue, 15 Nov 1994 08:12:31 GMT")
    );
    let ours = client
        .get("/")
        .header("date")
        .unwrap_or_default()
        .to_owned();
    assert!(ours.ends_with(" GMT") && ours.len() == 29, "{ours}");
}

#[test]
fn what_is_asked_by_another_method_than_it_seems_is_not_kept() {
    let origin = Origin::start(|request| {
        let body = request.header("x-http-method-override").unwrap_or("GET");
        Reply::ok(body).header("Cache-Control", "max-age=60")
    });
    let proxy = start(&config(&format!(
        "proxy = \"{}\"\ncache = true",
        origin.address()
    )));
    let ask = |headers: &[(&str, &str)]| {
        let mut client = Client::connect(proxy.address());
        client.request("GET", "/a", headers, "").text()
    };
    let other = [("X-HTTP-Method-Override", "DELETE")];
    assert_eq!(ask(&other), "DELETE");
    assert_eq!(ask(&[]), "GET");
    // Nor is what is kept an answer to it.
    assert_eq!(ask(&other), "DELETE");
    assert_eq!(ask(&[]), "GET");
}
