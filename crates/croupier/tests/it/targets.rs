//! Which resource a request names: target forms, authorities, paths in two readings.
//!
//! Rows A23 to A25, F01 to F03, F09 and F12 of the catalogue.

use croupier_testkit::{Client, Origin, Proxy, Reply};

use crate::{
    prelude::{in_front_of, start},
    verdict::{Table, ask},
};

/// What the origin is asked for: its `Host` and target.
fn echo() -> Origin {
    Origin::start(|request| {
        Reply::ok(format!(
            "{} {}",
            request.header("host").unwrap_or("none"),
            request.target
        ))
    })
}

fn get(target: &str, host: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

#[test]
fn a23_absolute_targets_agree_with_host_or_are_refused() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    for (target, host, seen) in [
        ("http://a/", "a", "a /"),
        ("http://a", "a", "a /"),
        ("http://a?q", "a", "a /?q"),
        ("http://a/x?q=1", "a", "a /x?q=1"),
        ("HTTP://A/x", "a", "a /x"),
        ("http://a:80/x", "a", "a:80 /x"),
        ("http://a/x", "A.", "a /x"),
        ("http://a//x/../y", "a", "a /y"),
    ] {
        let answer = ask(&proxy, get(target, host));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, seen),
            "{target} at {host}"
        );
    }
    let mut table = Table::set();
    for (target, host) in [
        ("http://a/evil", "b"),
        ("http://a/evil", "a:81"),
        ("http://a:81/evil", "a"),
        ("http://a/evil", ""),
        ("http:///evil", "a"),
        ("http://", "a"),
        ("http:/evil", "a"),
        ("http:evil", "a"),
        ("http://?q", "a"),
        ("http://#", "a"),
        ("https://a/evil", "a"),
        ("ftp://a/evil", "a"),
        ("//a/evil#x", "a"),
        ("http://u@a/evil", "a"),
        ("http://u:p@a/evil", "a"),
        ("http://a:99999/evil", "a:99999"),
        ("http://a:/evil", "a"),
        ("http://a\\@b/evil", "a"),
        ("http://a,b/evil", "a,b"),
        ("http://169.254.169.254/latest", "a"),
        ("http://http://a/evil", "a"),
    ] {
        table.refuses(&format!("{target} at {host}"), &get(target, host), &[400]);
    }
    table.refuses(
        "two hosts",
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        &[400],
    );
    table.refuses("no host", b"GET http://a/ HTTP/1.1\r\n\r\n", &[400]);
    table.refuses_in_pieces("a mismatch", &get("http://a/evil", "b"), &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a24_target_forms() {
    let mut table = Table::set();
    for target in [
        "foo",
        "*",
        "a:80",
        "evil/x",
        "?q",
        "#",
        "/a b",
        "/a\tb",
        "/evil#b",
        "/evil?a#b",
        "\\evil",
        "/a\\b",
        "/a\0b",
        "/\x01",
        "/\x7f",
        "/caf\u{e9}",
        "/?\u{e9}",
        "/%",
        "/%4",
        "/%zz",
        "/a%00b",
        "/a%0ab",
        "/a%0d%0aX:%20y",
        "/a%5cb",
        "!",
        ".",
        "..",
        "%2f",
        "-",
    ] {
        table.refuses(target, &get(target, "a"), &[400]);
    }
    for payload in [
        &b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"GET /\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET\r\nHost: a\r\n\r\n",
        b"GET /\r\nHost: a\r\n\r\n",
        b"POST * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS a HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        table.refuses(&payload.escape_ascii().to_string(), payload, &[400]);
    }
    table.refuses_in_pieces("a fragment", &get("/evil#b", "a"), &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a24_the_server_as_a_whole_is_asked_as_such() {
    let origin = echo();
    let proxy = in_front_of(&origin);
    let mut client = Client::connect(proxy.address());
    let answer = client.request("OPTIONS", "*", &[("Host", "a")][..0], "");
    assert_eq!(answer.text(), "example.test *");
    let answer = client.request("OPTIONS", "/", &[], "");
    assert_eq!(answer.text(), "example.test /");
}

#[test]
fn a25_hosts() {
    let mut table = Table::set();
    for host in [
        "",
        "a,b",
        "a, b",
        "u@a",
        "u:p@a",
        "a:99999",
        "a:65536",
        "a:0",
        "a:+1",
        "a:-1",
        "a:80x",
        "a:",
        "a:80:80",
        ":80",
        "[::1",
        "::1]",
        "[::1]x",
        "[::1]:",
        "[]",
        "[::g]",
        "[fe80::1%25eth0]",
        "a%00b",
        "a%2eb",
        "a b",
        "a\tb",
        "a/b",
        "a/../b",
        "a\\b",
        "a?b",
        "a#b",
        "a;b",
        "a\"b",
        "a<b",
        ".",
        "..",
        ".a",
        "a..b",
        "a..",
        "999.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "caf\u{e9}",
        "*",
        "*.a",
        "a:80@b",
        "http://a",
        "a\0b",
        "a\x0bb",
    ] {
        table.refuses(&format!("{host:?}"), &get("/evil", host), &[400]);
    }
    table.refuses("none", b"GET /evil HTTP/1.1\r\n\r\n", &[400]);
    table.refuses(
        "two",
        b"GET /evil HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        &[400],
    );
    table.refuses(
        "twice the same",
        b"GET /evil HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        &[400],
    );
    table.refuses(
        "none in HTTP/1.1 with one in the query",
        b"GET /evil?Host:a HTTP/1.1\r\nX-Host: a\r\n\r\n",
        &[400],
    );
    let long = "a".repeat(254);
    table.refuses("too long", &get("/evil", &long), &[400]);
    table.refuses_in_pieces("a comma", &get("/evil", "a,b"), &[400]);
    table.clear_without_a_trace();
}

#[test]
fn a25_one_host_has_one_spelling() {
    let origin = echo();
    let site = |name: &str| format!("[site.\"{name}\"]\nproxy = \"{}\"\n\n", origin.address());
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\n{}{}[site.\"*\"]\ndeny = 403\n",
        site("shop.example"),
        site("[::1]")
    ));
    for host in [
        "shop.example",
        "SHOP.example",
        "shop.example.",
        "Shop.Example.:8080",
    ] {
        let answer = ask(&proxy, get("/", host));
        assert_eq!(answer.status, 200, "{host}");
        assert!(
            answer.text().starts_with("shop.example"),
            "{}",
            answer.text()
        );
    }
    for host in ["[::1]", "[0:0:0::1]", "[::1]:8080"] {
        let answer = ask(&proxy, get("/", host));
        assert_eq!(answer.status, 200, "{host}");
        assert!(answer.text().starts_with("[::1]"), "{}", answer.text());
    }
    for host in [
        "other.example",
        "shop.example.evil",
        "evilshop.example",
        "xshop.example",
        "shop_example",
    ] {
        assert_eq!(ask(&proxy, get("/", host)).status, 403, "{host}");
    }
    // HTTP/1.0 without a host is for whom no other site answers.
    assert_eq!(ask(&proxy, "GET / HTTP/1.0\r\n\r\n").status, 403);
}

/// `/admin` is denied, `/public` and the rest are open; every request that comes through is shown
/// to the origin as it is.
fn guarded(origin: &Origin) -> Proxy {
    start(&format!(
        r#"
[server]
listen = ["127.0.0.1:0"]

[[site."*".routes]]
path = "/admin/*"
deny = 403

[[site."*".routes]]
path = "/public/*"
proxy = "{0}"
strip_prefix = "/public"

[[site."*".routes]]
path_regex = "^/open(/.*)?$"
proxy = "{0}"

[site."*"]
proxy = "{0}"
"#,
        origin.address()
    ))
}

/// How servers of different habits read a path; the most forgiving of each kind.
fn readings(path: &str) -> Vec<String> {
    fn decode(path: &str) -> String {
        let bytes = path.as_bytes();
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let digits = bytes
                .get(at + 1..at + 3)
                .and_then(|d| std::str::from_utf8(d).ok());
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) if bytes[at] == b'%' => {
                    out.push(byte);
                    at += 3;
                }
                _ => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        out.into_iter().map(char::from).collect()
    }
    fn resolve(path: &str) -> String {
        let mut kept: Vec<&str> = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            match segment {
                "." => {}
                ".." => {
                    kept.pop();
                }
                other => kept.push(other),
            }
        }
        format!("/{}", kept.join("/"))
    }
    // Parameters dropped before dots are resolved, as Tomcat does.
    fn without_parameters(path: &str) -> String {
        let segments = path
            .split('/')
            .map(|segment| segment.split(';').next().unwrap_or_default());
        segments.collect::<Vec<_>>().join("/")
    }
    let once = decode(path);
    let twice = decode(&once);
    let mut all = Vec::new();
    for text in [path.to_owned(), once, twice] {
        let slashes = text.replace('\\', "/");
        for form in [text, slashes] {
            all.push(resolve(&form));
            all.push(resolve(&without_parameters(&form)));
            let trimmed: Vec<String> = form
                .split('/')
                .map(|s| s.trim_end_matches([' ', '.']).to_owned())
                .collect();
            if !form
                .split('/')
                .any(|segment| segment.chars().all(|c| c == '.'))
            {
                all.push(resolve(&trimmed.join("/")));
            }
            all.push(resolve(form.split('\0').next().unwrap_or_default()));
        }
    }
    all
}

const EVASIONS: [&str; 44] = [
    "/admin",
    "/admin/",
    "/admin/x",
    "//admin",
    "///admin",
    "/./admin",
    "/%61dmin",
    "/%2561dmin",
    "/admin%20",
    "/admin%2e",
    "/admin.",
    "/admin;x",
    "/admin;/x",
    "/;x/admin",
    "/admin%00",
    "/admin%2f",
    "/%2fadmin",
    "/%2f%2fadmin",
    "/x/../admin",
    "/x/%2e%2e/admin",
    "/x/..;/admin",
    "/x/..%2fadmin",
    "/x%2f..%2fadmin",
    "/admin%5c",
    "/%5cadmin",
    "\\admin",
    "/x\\..\\admin",
    "/x/%252e%252e/admin",
    "/x/..%252fadmin",
    "/admin%09",
    "/admin%3b",
    "/admin%3bx",
    "/admin%23",
    "/admin%3f",
    "/admin/..;/x",
    "/%2e/admin",
    "/.%2fadmin",
    "/admin/%2e%2e/admin",
    "/adm%69n",
    "/%ef%bc%8fadmin",
    "/admin%c2%a0",
    "/.;/admin",
    "/;/admin",
    "/x/.%2e;/admin",
];

/// Ways to write `/admin` that somebody may read as such.
fn evasions() -> Vec<String> {
    let dots = [
        "..",
        "%2e%2e",
        ".%2e",
        "%2E.",
        "%252e%252e",
        "..;",
        "..;x=y",
        "%2e%2e;",
        ".;/..",
        "..%00",
        "..%20",
        "%c0%ae%c0%ae",
        "...",
    ];
    let slashes = [
        "/",
        "//",
        "/./",
        "%2f",
        "%2F",
        "%252f",
        "%5c",
        "\\",
        "/;/",
        ";/",
        "%c0%af",
        "%e0%80%af",
        "/%2e/",
    ];
    let mut paths: Vec<String> = EVASIONS.map(String::from).to_vec();
    for prefix in ["", "/open", "/x"] {
        for dot in dots {
            for slash in slashes {
                paths.push(format!("{prefix}/x{slash}{dot}{slash}{dot}{slash}admin"));
                paths.push(format!("{prefix}{slash}{dot}{slash}admin"));
                paths.push(format!("{prefix}/{slash}admin"));
            }
        }
    }
    paths
}

#[test]
fn f01_no_reading_of_an_open_path_is_a_guarded_one() {
    let origin = echo();
    let proxy = guarded(&origin);
    let paths = evasions();
    let mut client = Client::connect(proxy.address());
    let mut passed = 0;
    for path in &paths {
        client.send(get(path, "a"));
        let answer = client.read_response();
        if answer.says_close() {
            client = Client::connect(proxy.address());
        }
        match answer.status {
            400 | 403 => continue,
            status => assert_eq!(status, 200, "{path}"),
        }
        passed += 1;
        let seen = answer.text();
        let seen = seen.strip_prefix("a ").unwrap();
        for reading in readings(seen) {
            let guarded = reading.eq("/admin") || reading.starts_with("/admin/");
            assert!(
                !guarded,
                "{path} reached the origin as {seen}, which reads as {reading}"
            );
        }
    }
    assert!(
        passed > 0 && passed < paths.len() / 2,
        "{passed} of {}",
        paths.len()
    );
    assert_eq!(origin.violations(), []);
}

#[test]
fn f01_the_normal_form_is_what_is_forwarded() {
    let origin = echo();
    let proxy = guarded(&origin);
    for (target, seen) in [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a//b", "/a/b"),
        ("//x/y", "/x/y"),
        ("/%41%2D%7e", "/A-~"),
        ("/a%20b", "/a%20b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a\"<>^`{|}b", "/a%22%3C%3E%5E%60%7B%7C%7Db"),
        ("/a?b=/../c&%2e", "/a?b=/../c&%2e"),
        ("/x/y%2fz", "/x/y%2Fz"),
        ("/a;b=c", "/a;b=c"),
        ("/a?", "/a?"),
    ] {
        assert_eq!(
            ask(&proxy, get(target, "a")).text(),
            format!("a {seen}"),
            "{target}"
        );
    }
}

#[test]
fn f02_what_is_left_of_a_stripped_path_is_lawful() {
    let origin = echo();
    let proxy = guarded(&origin);
    for (target, status) in [
        ("/public/../admin", 403),
        ("/public/%2e%2e/admin", 403),
        ("/public/..%2fadmin", 400),
        ("/public%2f..%2fadmin", 400),
        ("/public/..;/admin", 400),
        ("/public/../../admin", 400),
    ] {
        assert_eq!(ask(&proxy, get(target, "a")).status, status, "{target}");
    }
    for (target, seen) in [
        ("/public//admin", "/admin"),
        ("/public", "/"),
        ("/public/", "/"),
        ("/publicity", "/publicity"),
    ] {
        assert_eq!(
            ask(&proxy, get(target, "a")).text(),
            format!("a {seen}"),
            "{target}"
        );
    }
}

#[test]
fn f03_a_hundred_hosts_match_as_one_does() {
    let origin = echo();
    let mut config = String::from("[server]\nlisten = [\"127.0.0.1:0\"]\n\n");
    for number in 0..150 {
        config.push_str(&format!(
            "[site.\"host{number}.example\"]\nrespond = \"{number}\"\n\n"
        ));
        config.push_str(&format!(
            "[site.\"*.deep{number}.example\"]\nrespond = \"deep {number}\"\n\n"
        ));
    }
    config.push_str(&format!("[site.\"*\"]\nproxy = \"{}\"\n", origin.address()));
    let proxy = start(&config);
    for (host, wanted) in [
        ("host0.example", "0"),
        ("HOST149.example", "149"),
        ("host77.Example.", "77"),
        ("x.deep3.example", "deep 3"),
        ("X.Y.DEEP149.example", "deep 149"),
        ("deep3.example", "deep3.example /"),
        ("host150.example", "host150.example /"),
    ] {
        assert_eq!(ask(&proxy, get("/", host)).text(), wanted, "{host}");
    }
}

#[test]
fn f09_nothing_in_a_request_chooses_where_it_goes() {
    let trap = Origin::start(|_| Reply::ok("trapped"));
    let origin = echo();
    let proxy = in_front_of(&origin);
    let away = trap.address();
    for payload in [
        format!("GET / HTTP/1.1\r\nHost: {away}\r\n\r\n"),
        format!("GET http://{away}/ HTTP/1.1\r\nHost: {away}\r\n\r\n"),
        format!("CONNECT {away} HTTP/1.1\r\nHost: {away}\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: {away}\r\nForwarded: host={away}\r\nX-Original-Url: http://{away}/\r\nX-Rewrite-Url: http://{away}/\r\nX-Host: {away}\r\n\r\n"
        ),
        format!("GET //{away}/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /?url=http://{away}/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let _ = ask(&proxy, payload);
    }
    assert_eq!(trap.connections().len(), 0);
}

#[test]
fn f12_redirects_lead_where_the_config_says() {
    let proxy = start(
        r#"
[server]
listen = ["127.0.0.1:0"]

[[site."*".routes]]
path = "/path/*"
redirect = "/new$path$query"

[[site."*".routes]]
path = "/rest/*"
redirect = "/$rest"

[site."*"]
redirect = "https://$host$path$query"
"#,
    );
    for (target, location) in [
        ("//evil.example/x", "https://a/evil.example/x"),
        ("/\"x", "https://a/%22x"),
        (
            "/x?y=%0d%0aSet-Cookie:a",
            "https://a/x?y=%0d%0aSet-Cookie:a",
        ),
        ("/path/x?q", "/new/path/x?q"),
        ("/rest/evil.example", "/evil.example"),
    ] {
        let answer = ask(&proxy, get(target, "a"));
        assert_eq!(answer.header("location"), Some(location), "{target}");
    }
    // A path that begins with two slashes would be an authority to a browser.
    for target in [
        "/rest//evil.example",
        "/rest/%2fevil.example",
        "/rest/%5cevil.example",
        "/rest/",
    ] {
        let answer = ask(&proxy, get(target, "a"));
        let location = answer.header("location").unwrap_or("/").to_owned();
        assert!(
            !location.starts_with("//") && !location.starts_with("/\\"),
            "{target}: {location}"
        );
    }
    for host in ["a\r\nX: y", "a/evil", "u@evil", "a?x"] {
        assert_eq!(
            ask(&proxy, get("/", host)).status,
            if host.contains('\n') { 302 } else { 400 },
            "{host}"
        );
    }
}
