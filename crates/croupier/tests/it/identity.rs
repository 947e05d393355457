//! Who the client is and what is for one connection only: nothing an outsider says is taken for
//! a proxy's word, and nothing of a connection goes further than the connection.
//!
//! Rows A19, F04 to F07, F10 and F16 of the catalogue, and payloads `g174` to `g178`.

use std::net::IpAddr;

use croupier_testkit::{
    Client, Event, Origin, Proxy, Reply, Request, closed_address, wire::json_value,
};

use crate::{
    prelude::{in_front_of, start},
    verdict::{SOON, Table, ask},
};

/// What the origin saw of a request with these lines.
fn seen(origin: &Origin, proxy: &Proxy, lines: &str) -> Request {
    let answer = ask(
        proxy,
        format!("GET /seen HTTP/1.1\r\nHost: shop.example:8080\r\n{lines}\r\n"),
    );
    assert_eq!(answer.status, 200, "{lines}");
    origin.requests().pop().unwrap()
}

#[test]
fn f04_connection_strips_nothing_that_belongs_to_the_message() {
    let mut table = Table::set();
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Authorization",
        "Cookie",
        "Content-Type",
        "Cache-Control",
        "close, host",
        "HOST",
        "keep-alive,Content-Length",
    ] {
        let payload = format!(
            "GET /evil HTTP/1.1\r\nHost: a\r\nConnection: {name}\r\nAuthorization: x\r\n\r\n"
        );
        table.refuses(name, payload.as_bytes(), &[400]);
    }
    for value in ["a b", "a;b", "\"close\"", "a/b", "cl\u{f6}se"] {
        let payload = format!("GET /evil HTTP/1.1\r\nHost: a\r\nConnection: {value}\r\n\r\n");
        table.refuses(value, payload.as_bytes(), &[400]);
    }
    table.clear_without_a_trace();
}

#[test]
fn f04_what_connection_lists_ends_here_and_our_own_lines_stay() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = in_front_of(&origin);
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Real-IP",
        "Via",
        "X-Request-Id",
        "Forwarded",
        "X-Custom",
        "x-custom",
        "Traceparent",
        "Keep-Alive",
    ] {
        let request = seen(
            &origin,
            &proxy,
            &format!("X-Custom: 1\r\nX-Other: 2\r\nConnection: {name}\r\n{name}: 6.6.6.6\r\n"),
        );
        assert_eq!(
            request.headers.all("x-forwarded-for"),
            ["127.0.0.1"],
            "{name}"
        );
        assert_eq!(request.headers.all("x-forwarded-proto"), ["http"]);
        assert_eq!(
            request.headers.all("x-forwarded-host"),
            ["shop.example:8080"]
        );
        assert_eq!(request.headers.all("x-forwarded-port"), ["8080"]);
        assert_eq!(request.headers.all("via"), ["1.1 croupier"]);
        assert_eq!(request.headers.all("x-request-id").len(), 1);
        assert_eq!(request.header("x-other"), Some("2"));
        assert_eq!(
            request.headers.has("x-custom"),
            !name.eq_ignore_ascii_case("x-custom")
        );
        assert!(!request.headers.has("connection"));
        let head = String::from_utf8_lossy(&request.head).into_owned();
        assert!(!head.contains("6.6.6.6"), "{head}");
    }
}

#[test]
fn f04_lines_of_one_connection_end_here() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = in_front_of(&origin);
    let lines = "Connection: keep-alive, x-a\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                 Proxy-Authorization: Basic x\r\nTE: gzip, trailers;q=0\r\nUpgrade: h2c\r\nX-A: 1\r\nX-B: 2\r\n";
    let request = seen(&origin, &proxy, lines);
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "x-a",
    ] {
        assert!(!request.headers.has(name), "{name}");
    }
    assert_eq!(request.header("x-b"), Some("2"));
    let request = seen(
        &origin,
        &proxy,
        "TE: deflate, trailers\r\nConnection: TE\r\n",
    );
    assert_eq!(request.headers.all("te"), ["trailers"]);
}

#[test]
fn f04_an_origins_connection_lines_end_here_too() {
    let origin = Origin::start(|_| {
        Reply::ok("body")
            .header("Connection", "keep-alive, X-Inner, Content-Length")
            .header("X-Inner", "secret")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Authenticate", "Basic")
            .header("Upgrade", "h2c")
            .header("X-Outer", "kept")
    });
    let proxy = in_front_of(&origin);
    let answer = ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (answer.text().as_str(), answer.header("x-outer")),
        ("body", Some("kept"))
    );
    for name in [
        "connection",
        "x-inner",
        "keep-alive",
        "proxy-authenticate",
        "upgrade",
    ] {
        assert!(!answer.headers.has(name), "{name}");
    }
}

#[test]
fn f05_an_outsider_says_nothing_about_itself() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = in_front_of(&origin);
    for line in [
        "X-Forwarded-For: 6.6.6.6\r\n",
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n",
        "x-forwarded-for: 6.6.6.6, 6.6.6.6\r\n",
        "Forwarded: for=6.6.6.6\r\n",
        "X-Real-IP: 6.6.6.6\r\n",
        "X-Forwarded-Prefix: /6.6.6.6\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: 6.6.6.6\r\nX-Forwarded-Port: 666\r\n",
        "X-Forwarded-Server: 6.6.6.6\r\nX-Forwarded-By: 6.6.6.6\r\nX-Forwarded-Anything: 6.6.6.6\r\n",
        "True-Client-IP: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nFastly-Client-IP: 6.6.6.6\r\n",
        "X-Client-IP: 6.6.6.6\r\nX-Cluster-Client-IP: 6.6.6.6\r\nX-Originating-IP: 6.6.6.6\r\n",
        "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_For: 6.6.6.6\r\nX_Real_Ip: 6.6.6.6\r\n",
        "X-Original-URL: /6.6.6.6\r\nX-Rewrite-URL: /6.6.6.6\r\nX-Original-Host: 6.6.6.6\r\nX-Host: 6.6.6.6\r\n",
        "X-Request-Id: 6.6.6.6\r\n",
    ] {
        let request = seen(&origin, &proxy, line);
        let head = String::from_utf8_lossy(&request.head).into_owned();
        assert!(!head.contains("6.6.6.6"), "{head}");
        assert_eq!(
            request.headers.all("x-forwarded-for"),
            ["127.0.0.1"],
            "{line}"
        );
        assert_eq!(request.headers.all("x-forwarded-proto"), ["http"], "{line}");
        assert_eq!(
            request.headers.all("x-forwarded-host"),
            ["shop.example:8080"],
            "{line}"
        );
        assert_eq!(request.headers.all("x-forwarded-port"), ["8080"], "{line}");
    }
    let log = proxy.wait_for_access(|line| line.contains("/seen"));
    assert_eq!(json_value(&log, "client_ip").as_deref(), Some("127.0.0.1"));
}

#[test]
fn f05_a_proxy_of_ours_is_believed_up_to_the_first_stranger() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ));
    for (index, (lines, client)) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 2.2.2.2\r\n", "2.2.2.2"),
        ("X-Forwarded-For: 9.9.9.9, 2.2.2.2\r\n", "2.2.2.2"),
        ("X-Forwarded-For: 9.9.9.9, 2.2.2.2, 10.0.0.7\r\n", "2.2.2.2"),
        (
            "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 2.2.2.2\r\n",
            "2.2.2.2",
        ),
        ("X-Forwarded-For: 2.2.2.2:8080\r\n", "2.2.2.2"),
        ("X-Forwarded-For: [2001:db8::1]:99\r\n", "2001:db8::1"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
        ("X-Forwarded-For: ::ffff:2.2.2.2\r\n", "2.2.2.2"),
        ("X-Forwarded-For: 9.9.9.9, unknown\r\n", "127.0.0.1"),
        ("X-Forwarded-For: 9.9.9.9, 10.0.0.7:x\r\n", "127.0.0.1"),
        ("Forwarded: for=2.2.2.2;proto=https\r\n", "2.2.2.2"),
        (
            "Forwarded: for=9.9.9.9, for=\"[2001:db8::1]:9\"\r\n",
            "2001:db8::1",
        ),
        ("X_Forwarded_For: 9.9.9.9\r\n", "127.0.0.1"),
        ("X-Real-IP: 9.9.9.9\r\n", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ask(
            &proxy,
            format!("GET /{index}/ HTTP/1.1\r\nHost: a\r\n{lines}\r\n"),
        );
        assert_eq!(answer.status, 200);
        let log =
            proxy.wait_for_access(|line| json_value(line, "path") == Some(format!("/{index}/")));
        assert_eq!(
            json_value(&log, "client_ip").as_deref(),
            Some(client),
            "{lines}"
        );
        let chain = origin
            .requests()
            .pop()
            .unwrap()
            .headers
            .all("x-forwarded-for")
            .join(" | ");
        assert!(
            chain.ends_with("127.0.0.1") && !chain.contains('|'),
            "{chain}"
        );
    }
    // Another address of this machine is nobody's proxy.
    let stranger: IpAddr = "127.0.0.2".parse().unwrap();
    let mut client = Client::connect_from(stranger, proxy.address());
    client.send("GET /stranger/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    assert_eq!(
        origin
            .requests()
            .pop()
            .unwrap()
            .headers
            .all("x-forwarded-for"),
        ["127.0.0.2"]
    );
}

#[test]
fn f06_a_rule_sees_every_value() {
    let origin = Origin::start(|_| Reply::ok("open"));
    let proxy = start(&format!(
        r#"
[server]
listen = ["127.0.0.1:0"]

[[site."*".routes]]
header = {{ X-Role = "guest" }}
deny = 403

[[site."*".routes]]
header = {{ X-Agent = "~(?i)scraper" }}
deny = 403

[[site."*".routes]]
header = {{ X-Debug = true }}
deny = 403

[[site."*".routes]]
query = {{ role = "guest" }}
deny = 403

[site."*"]
proxy = "{}"
"#,
        origin.address()
    ));
    for lines in [
        "X-Role: guest\r\n",
        "x-role: guest\r\n",
        "X-Role: other\r\nX-Role: guest\r\n",
        "X-Role: guest\r\nX-Role: other\r\n",
        "X-Agent: a\r\nX-Agent: a SCRAPER b\r\n",
        "X-Debug:\r\n",
    ] {
        let answer = ask(&proxy, format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        assert_eq!(answer.status, 403, "{lines}");
    }
    for query in [
        "?role=guest",
        "?role=other&role=guest",
        "?role=guest&role=other",
        "?&role=guest",
    ] {
        let answer = ask(&proxy, format!("GET /{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(answer.status, 403, "{query}");
    }
    assert_eq!(
        ask(
            &proxy,
            "GET /?role=x HTTP/1.1\r\nHost: a\r\nX-Role: x\r\n\r\n"
        )
        .status,
        200
    );
}

#[test]
fn f07_ids_and_traces_from_outside() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = in_front_of(&origin);
    let request = seen(
        &origin,
        &proxy,
        "X-Request-Id: chosen-by-the-client\r\nTraceparent: junk\r\n",
    );
    let id = request.header("x-request-id").unwrap();
    assert_ne!(id, "chosen-by-the-client");
    assert!(
        !request.headers.has("traceparent"),
        "a trace that is none is not passed on"
    );
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = seen(&origin, &proxy, &format!("Traceparent: {trace}\r\n"));
    assert_eq!(request.headers.all("traceparent"), [trace]);
}

#[test]
fn f10_a_request_is_one_line_of_the_log_whatever_is_in_it() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = in_front_of(&origin);
    let values: [&[u8]; 8] = [
        b"\"}{\"status\":999,\"",
        b"\\\"\\n\\u0000",
        b"\x1b[31mred",
        b"\xff\xfe\x80",
        "\u{202e}gnp.exe".as_bytes(),
        b"tab\there",
        "\u{2028}line".as_bytes(),
        b"${jndi:ldap://x}",
    ];
    let mut lawful = 0;
    for (index, value) in values.iter().enumerate() {
        let payload = [
            format!("GET /log/{index}?q=%0a%22 HTTP/1.1\r\nHost: a\r\nUser-Agent: ").as_bytes(),
            value,
            b"\r\nReferer: ",
            value,
            b"\r\n\r\n",
        ]
        .concat();
        lawful += usize::from(ask(&proxy, payload).status == 200);
    }
    // A target that is refused is written down as well, as far as it was understood.
    assert_eq!(
        ask(&proxy, b"GET /\"}{\\\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n").status,
        400
    );
    assert_eq!(
        ask(&proxy, "GET /end HTTP/1.1\r\nHost: a\r\n\r\n").status,
        200
    );
    proxy.wait_for_access(|line| line.contains("/end"));
    assert!(croupier_testkit::wait_until(SOON, || proxy
        .access_log()
        .len()
        == values.len() + 2));
    let mut logged = 0;
    for line in proxy.access_log() {
        let value: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            !line.bytes().any(|byte| byte < 0x20 || byte == 0x7f),
            "{line:?}"
        );
        assert_ne!(value["status"], 999);
        logged += usize::from(
            value["path"]
                .as_str()
                .is_some_and(|path| path.starts_with("/log/")),
        );
    }
    assert!(
        lawful >= 7 && logged >= lawful,
        "{lawful} lawful, {logged} logged"
    );
}

#[test]
fn f16_a_loop_ends() {
    let address = closed_address();
    let proxy = start(&format!(
        "[server]\nlisten = [\"{address}\"]\n\n[site.\"*\"]\nproxy = \"{address}\"\n"
    ));
    let answer = ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 508, "{}", answer.text());
    assert!(croupier_testkit::wait_until(SOON, || proxy
        .access_log()
        .len()
        >= 20));
    let lines = proxy.access_log().len();
    assert!(lines < 30, "{lines} exchanges for one request");
    // A proxy may be the thirtieth in a chain and still no loop for those in front of it.
    let origin = Origin::start(|_| Reply::ok("ok"));
    let proxy = in_front_of(&origin);
    let via = |count: usize| vec!["1.1 x"; count].join(", ");
    for (count, status) in [(1, 200), (20, 200), (21, 508), (500, 508)] {
        let answer = ask(
            &proxy,
            format!("GET / HTTP/1.1\r\nHost: a\r\nVia: {}\r\n\r\n", via(count)),
        );
        assert_eq!(answer.status, status, "{count}");
    }
}

#[test]
fn garden_178_a_question_that_may_go_no_further_is_answered_here() {
    let origin =
        Origin::start(|request| Reply::ok(request.headers.all("max-forwards").join(" | ")));
    let proxy = in_front_of(&origin);
    let ask_with = |method: &str, lines: &str| {
        let mut client = Client::connect(proxy.address());
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        client.read_response()
    };
    let answer = ask_with("OPTIONS", "Max-Forwards: 0\r\n");
    assert_eq!(answer.status, 204);
    assert!(answer.headers.has_token("allow", "OPTIONS"));
    assert_eq!(origin.requests(), []);
    for (method, lines, seen) in [
        ("OPTIONS", "Max-Forwards: 10\r\n", "9"),
        ("OPTIONS", "Max-Forwards: x\r\n", "x"),
        ("OPTIONS", "", ""),
        ("GET", "Max-Forwards: 0\r\n", "0"),
    ] {
        assert_eq!(ask_with(method, lines).text(), seen, "{method} {lines}");
    }
    assert_eq!(ask_with("TRACE", "Max-Forwards: 0\r\n").status, 405);
}

#[test]
fn a19_no_other_protocol_is_smuggled_in() {
    let origin = Origin::start(|_| Reply::ok("plain"));
    let proxy = in_front_of(&origin);
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c, h2\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket2\r\n",
        "Upgrade: websocket\r\n",
        "Upgrade: h2c\r\n",
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    ] {
        let request = seen(&origin, &proxy, lines);
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(!request.headers.has(name), "{lines}");
        }
    }
    // Of several only the one we speak of goes on; the origin's judgement says the rest.
    let request = seen(
        &origin,
        &proxy,
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
    );
    assert_eq!(request.headers.all("upgrade"), ["websocket"]);
    let request = seen(
        &origin,
        &proxy,
        "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
    );
    assert_eq!(request.headers.all("upgrade"), ["websocket"]);
}

#[test]
fn a19_an_origin_that_switches_to_h2c_is_not_followed() {
    let switched = Event::new();
    let told = switched.clone();
    let origin = Origin::start(move |_| {
        Reply::empty(101)
            .header("Connection", "Upgrade")
            .header("Upgrade", "h2c")
            .then(Reply::fire(&told))
            .then(Reply::stall())
    });
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n");
    assert_eq!(client.read_response().status, 502);
    assert!(switched.wait(SOON));
    origin.wait_for_connections(SOON, |all| all.iter().all(|c| c.ended.is_some()));
}
