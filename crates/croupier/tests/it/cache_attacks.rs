//! Nobody puts into the cache what others are to see, and nobody gets out of it what is another's.

use croupier_testkit::wire::pattern;
use croupier_testkit::{Proxy, Response};

use crate::{
    prelude::{Client, Origin, Reply, in_front_of, metric, start},
    shelf::{ask, did, is_hit, keeping, keeping_with, shelf_config},
};

const FRESH: (&str, &str) = ("Cache-Control", "max-age=3600");

/// Says which target it was asked for, and with which `Host` and scheme.
fn echo() -> Origin {
    Origin::start(|request| {
        let says = |name: &str| request.header(name).unwrap_or("-").to_owned();
        let (host, scheme) = (says("host"), says("x-forwarded-proto"));
        Reply::ok(format!("{scheme} {host} {}", request.target)).header(FRESH.0, FRESH.1)
    })
}

fn say(proxy: &Proxy, lines: &str) -> Response {
    let mut client = Client::connect(proxy.address());
    client.send(lines.replace('\n', "\r\n"));
    client.read_response()
}

#[test]
fn hosts_ports_and_schemes_are_kept_apart() {
    let origin = echo();
    let server = "trusted_proxies = [\"127.0.0.1\"]";
    let proxy = keeping_with(&origin, server, "");
    for _ in 0..2 {
        for host in ["a.test", "b.test", "a.test:8080", "a.test:8081"] {
            for scheme in ["http", "https"] {
                let lines =
                    format!("GET /x HTTP/1.1\nHost: {host}\nX-Forwarded-Proto: {scheme}\n\n");
                let expected = format!("{scheme} {host} /x");
                assert_eq!(say(&proxy, &lines).text(), expected);
            }
        }
    }
    assert_eq!(origin.requests().len(), 8);
    // The same name in other words is the same.
    let same = say(
        &proxy,
        "GET /x HTTP/1.1\nHost: A.Test\nX-Forwarded-Proto: http\n\n",
    );
    assert!(is_hit(&same), "{}", did(&same));
    let absolute = say(&proxy, "GET http://b.test/x HTTP/1.1\nHost: b.test\n\n");
    assert_eq!(absolute.text(), "http b.test /x");
}

/// What pages and frameworks are known to look at, without saying so in `Vary`.
const UNKEYED: &[&str] = &[
    "Accept",
    "Accept-Charset",
    "Accept-Datetime",
    "Accept-Encoding",
    "Accept-Language",
    "Akamai-Origin-Hop",
    "Api-Version",
    "Base-Url",
    "Cf-Connecting-Ip",
    "Cf-Ipcountry",
    "Cf-Ray",
    "Cf-Visitor",
    "Client-Ip",
    "Clientip",
    "Cluster-Client-Ip",
    "Cookie",
    "Dnt",
    "Downlink",
    "Dpr",
    "Ect",
    "Fastly-Client-Ip",
    "Fastly-Ff",
    "Fastly-Ssl",
    "Forwarded",
    "Forwarded-For",
    "Forwarded-For-Ip",
    "Forwarded-Host",
    "Forwarded-Proto",
    "From",
    "Front-End-Https",
    "Front-End-Proto",
    "Http-Client-Ip",
    "Http-Host",
    "Http-Referer",
    "Http-Url",
    "Http-X-Forwarded-For",
    "Https",
    "Incap-Client-Ip",
    "Origin",
    "Pragma",
    "Prefer",
    "Profile",
    "Proxy",
    "Proxy-Client-Ip",
    "Proxy-Host",
    "Proxy-Url",
    "Real-Ip",
    "Redirect",
    "Referer",
    "Referrer",
    "Refferer",
    "Remote-Addr",
    "Request-Uri",
    "Save-Data",
    "Sec-Ch-Ua",
    "Sec-Ch-Ua-Mobile",
    "Sec-Ch-Ua-Platform",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Gpc",
    "Server-Name",
    "Soapaction",
    "Source-Ip",
    "Surrogate-Capability",
    "Translate",
    "True-Client-Ip",
    "True-Client-Port",
    "Ua-Cpu",
    "Unencoded-Url",
    "Uri",
    "Url",
    "User-Agent",
    "Viewport-Width",
    "Wap-Connection",
    "Width",
    "X-Access-Token",
    "X-Api-Key",
    "X-Api-Version",
    "X-Att-Deviceid",
    "X-Auth-Token",
    "X-Azure-Clientip",
    "X-Azure-Fdid",
    "X-Azure-Ref",
    "X-Backend",
    "X-Backend-Host",
    "X-Base-Url",
    "X-Bluecoat-Via",
    "X-Cache-Key",
    "X-Client-Ip",
    "X-Cluster-Client-Ip",
    "X-Correlation-Id",
    "X-Csrf-Token",
    "X-Custom-Ip-Authorization",
    "X-Debug",
    "X-Device",
    "X-Device-Type",
    "X-Do-Not-Track",
    "X-Envoy-External-Address",
    "X-Envoy-Original-Path",
    "X-Escaped-Fragment",
    "X-Forward",
    "X-Forward-For",
    "X-Forward-Proto",
    "X-Forwarded",
    "X-Forwarded-By",
    "X-Forwarded-For",
    "X-Forwarded-For-Original",
    "X-Forwarded-Host",
    "X-Forwarded-Path",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Forwarded-Url",
    "X-Forwarder-For",
    "X-From-Cdn",
    "X-Frontend",
    "X-Gateway-Host",
    "X-Geo-Country",
    "X-Host",
    "X-Host-Override",
    "X-Http-Destinationurl",
    "X-Http-Host-Override",
    "X-Http-Method",
    "X-Http-Method-Override",
    "X-Http-Path-Override",
    "X-Https",
    "X-Ip",
    "X-Ip-Trail",
    "X-Jsonp-Callback",
    "X-Language",
    "X-Locale",
    "X-Method-Override",
    "X-Middleware-Prefetch",
    "X-Middleware-Subrequest",
    "X-Nextjs-Data",
    "X-Oauth-Scopes",
    "X-Original-Host",
    "X-Original-Remote-Addr",
    "X-Original-Uri",
    "X-Original-Url",
    "X-Originally-Forwarded-For",
    "X-Originating-Ip",
    "X-Override-Url",
    "X-Path-Info",
    "X-Pjax",
    "X-Proto",
    "X-Proxy-Url",
    "X-Proxyuser-Ip",
    "X-Proxy-Url",
    "X-Real-Ip",
    "X-Redirect",
    "X-Referer",
    "X-Remote-Addr",
    "X-Remote-Ip",
    "X-Request-Start",
    "X-Requested-With",
    "X-Rewrite-Url",
    "X-Scheme",
    "X-Server-Name",
    "X-Theme",
    "X-Timer",
    "X-True-Ip",
    "X-Turbo-Charged-By",
    "X-Uidh",
    "X-Url-Scheme",
    "X-User",
    "X-User-Agent",
    "X-Varnish",
    "X-Wap-Profile",
    "X-Wp-Nonce",
    "Rsc",
    "Next-Router-State-Tree",
];

/// What a request may make of the answer, though `Vary` does not say so, and nothing keeps apart:
/// the names that came through to the origin. Two readers disagree about one address.
#[test]
fn a_header_that_says_where_a_request_came_from_or_goes_does_not_come_through() {
    let origin = Origin::start(|request| {
        let lines: Vec<_> = request
            .headers
            .0
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        Reply::ok(lines.join("\n")).header(FRESH.0, FRESH.1)
    });
    let proxy = keeping(&origin);
    let mut through = Vec::new();
    for (number, name) in UNKEYED.iter().enumerate() {
        let nonce = format!("nonce{number}.example");
        let path = format!("/{number}");
        let first = ask(&proxy, &path, &[(name, &nonce)]);
        let second = ask(&proxy, &path, &[]);
        if first.status == 200 && is_hit(&second) && second.text().contains(&nonce) {
            through.push(*name);
        }
    }
    // A server that makes its answer of these would poison itself for others: these are the ones
    // that are known to be looked at for the address, the scheme, the host or the method.
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Original-Url",
        "X-Rewrite-Url",
        "X-Http-Method-Override",
        "X-Http-Method",
        "X-Method-Override",
        "X-Forwarded-Prefix",
        "X-Forwarded-Scheme",
        "X-Forwarded-Ssl",
        "X-Forwarded-Server",
        "X-Host",
        "X-Original-Host",
        "Forwarded",
    ] {
        assert!(!through.contains(&name), "{name} of {through:?}");
    }
}

#[test]
fn a_header_that_a_server_looks_at_is_part_of_the_key_when_the_config_says_so() {
    let origin = Origin::start(|request| {
        Reply::ok(request.header("x-tenant").unwrap_or("none")).header(FRESH.0, FRESH.1)
    });
    let proxy = keeping_with(&origin, "", "key = [\"header.X-Tenant\"]");
    for _ in 0..2 {
        for tenant in ["a", "b", "c"] {
            assert_eq!(ask(&proxy, "/", &[("X-Tenant", tenant)]).text(), tenant);
        }
        assert_eq!(ask(&proxy, "/", &[]).text(), "none");
    }
    assert_eq!(origin.requests().len(), 4);
}

#[test]
fn an_error_page_that_one_request_has_caused_is_for_that_one_only() {
    let origin = Origin::start(|request| {
        let says = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let status: u16 = says("x-cause").parse().unwrap_or(200);
        if says("x-large").len() > 4000 {
            return Reply::ok("too large").status(431);
        }
        Reply::ok("page").status(status)
    });
    // The route itself says that what states nothing is fresh.
    for cache in ["", "ttl = \"1h\""] {
        let proxy = keeping_with(&origin, "", cache);
        for (number, status) in [
            400, 403, 407, 408, 411, 413, 415, 416, 417, 421, 422, 429, 431, 500, 502, 503, 504,
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("/{number}");
            let cause = status.to_string();
            let error = ask(&proxy, &path, &[("X-Cause", &cause)]);
            assert_eq!(error.status, status);
            let page = ask(&proxy, &path, &[]);
            assert_eq!(
                (page.status, &*page.text()),
                (200, "page"),
                "{status}: {}",
                did(&page)
            );
        }
        let large = "x".repeat(5000);
        assert_eq!(ask(&proxy, "/large", &[("X-Large", &large)]).status, 431);
        assert_eq!(ask(&proxy, "/large", &[]).status, 200);
        // What this proxy itself refuses has no place in the cache either.
        for lines in [
            "GET /odd HTTP/1.1\nHost: example.test\nX-Meta: a\0b\n\n",
            "GET /odd HTTP/1.1\nHost: example.test\nTransfer-Encoding: x\n\n",
            "GET /odd HTTP/1.1\nHost: example.test\nContent-Length: x\n\n",
            "GET /odd HTTP/1.1\nHost: example.test\nExpect: x\n\n",
        ] {
            assert!(say(&proxy, lines).status >= 400);
        }
        assert_eq!(ask(&proxy, "/odd", &[]).status, 200);
    }
}

#[test]
fn a_method_in_a_header_neither_fills_nor_empties() {
    let origin = Origin::start(|request| {
        let other = request.header("x-http-method-override");
        Reply::ok(other.unwrap_or("GET")).header(FRESH.0, FRESH.1)
    });
    let proxy = keeping(&origin);
    for name in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ] {
        ask(&proxy, "/a", &[(name, "DELETE")]);
        assert_eq!(ask(&proxy, "/a", &[]).text(), "GET");
    }
}

#[test]
fn a_get_with_content_neither_fills_nor_is_answered_by_what_is_held() {
    let origin = Origin::start(|request| {
        Reply::ok(format!("got {}", request.text())).header(FRESH.0, FRESH.1)
    });
    let proxy = keeping(&origin);
    let mut client = Client::connect(proxy.address());
    assert_eq!(
        client.request("GET", "/a", &[], "evil=1").text(),
        "got evil=1"
    );
    assert_eq!(client.get("/a").text(), "got ");
    assert_eq!(
        client.request("GET", "/a", &[], "evil=2").text(),
        "got evil=2"
    );
    let held = client.get("/a");
    assert!(is_hit(&held) && held.text() == "got ");
    client.send("GET /b HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n");
    assert_eq!(client.read_response().text(), "got evil");
    assert_eq!(client.get("/b").text(), "got ");
}

#[test]
fn a_parameter_that_is_no_part_of_the_key_does_not_reach_the_server() {
    let origin = echo();
    let proxy = keeping_with(&origin, "", "ignore_query = [\"utm_*\", \"_\"]");
    for (target, forwarded) in [
        ("/a?utm_source=x", "/a"),
        ("/a?utm_source=x&b=1", "/a?b=1"),
        ("/a?b=1&utm_source=x", "/a?b=1"),
        ("/a?b=1&_=77&utm_x", "/a?b=1"),
        ("/a?b=1;utm_source=x", "/a?b=1;utm_source=x"),
        ("/a?utm_source=x;b=evil", "/a"),
        ("/a?utm_source=x&utm_source=y&b=2", "/a?b=2"),
        ("/a?b=2&b=evil", "/a?b=2&b=evil"),
        ("/a?b=2%26utm_x=1", "/a?b=2%26utm_x=1"),
    ] {
        for round in 0..2 {
            let response = ask(&proxy, target, &[]);
            let expected = format!("http example.test {forwarded}");
            assert_eq!(response.text(), expected, "{target} in round {round}");
        }
    }
    // Whatever was asked, each of them came to the server once.
    let mut targets: Vec<_> = origin.requests().into_iter().map(|r| r.target).collect();
    let count = targets.len();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), count, "{targets:?}");
}

#[test]
fn targets_that_reach_the_server_in_different_words_are_different() {
    let origin = echo();
    let plain = in_front_of(&origin);
    let proxy = keeping(&origin);
    let targets = [
        "/a/b",
        "/a%2Fb",
        "/a%2fb",
        "/a/./b",
        "/a//b",
        "/A/b",
        "/a/b/",
        "/a/b?",
        "/a/b?x",
        "/a/b?x=",
        "/a/b?x=1",
        "/a/b?x=1&",
        "/a/b?X=1",
        "/a/b?x=%31",
        "/a/b?x=1&x=1",
        "/a/b;x",
        "/a/b;x=1",
        "/%61/b",
        "/a/c/../b",
        "/a/b%20",
        "/a/b+",
        "/a/b%2B",
        "/a/b?x=1#y",
        "/a/b?a=1&b=2",
        "/a/b?b=2&a=1",
        "/a/b%3Fx=1",
    ];
    for round in 0..2 {
        for target in targets {
            let (kept, asked) = (ask(&proxy, target, &[]), ask(&plain, target, &[]));
            assert_eq!(kept.status, asked.status, "{target}");
            if kept.status == 200 {
                assert_eq!(kept.text(), asked.text(), "{target} in round {round}");
            }
        }
    }
}

#[test]
fn variants_are_bounded() {
    let origin = Origin::start(|request| {
        Reply::ok(request.header("x-kind").unwrap_or_default())
            .header(FRESH.0, FRESH.1)
            .header("Vary", "X-Kind")
    });
    let metrics = "metrics = \"127.0.0.1:0\"";
    let proxy = keeping_with(&origin, metrics, "");
    let mut client = Client::connect(proxy.address());
    for number in 0..1000 {
        let kind = number.to_string();
        let response = client.request("GET", "/a", &[("X-Kind", &kind)], "");
        assert_eq!(response.text(), kind);
    }
    let held = metric(
        &proxy,
        "croupier_cache_objects{store=\"edge\",tier=\"memory\"}",
    );
    assert!((1.0..65.0).contains(&held), "{held}");
    // The last ones are those that are held.
    let last = client.request("GET", "/a", &[("X-Kind", "999")], "");
    assert!(is_hit(&last));
}

#[test]
fn ranges_make_no_more_traffic_than_the_object_has_bytes() {
    let body = pattern(20_000);
    let origin = Origin::start(move |_| {
        Reply::ok(&body)
            .header(FRESH.0, FRESH.1)
            .header("ETag", "\"one\"")
    });
    let proxy = keeping(&origin);
    ask(&proxy, "/a", &[]);
    let many = |each: &str, count: usize| format!("bytes={}", vec![each; count].join(","));
    let apart: Vec<_> = (0..1000)
        .map(|n| format!("{}-{}", 10 * n, 10 * n))
        .collect();
    for range in [
        many("0-", 1000),
        many("0-0", 1000),
        many("-1", 17),
        format!("bytes={}", apart.join(",")),
        "bytes=0-0,-1,0-".into(),
        "bytes=".into(),
        "bytes=-".into(),
        "bytes=0-18446744073709551616".into(),
        "bytes=18446744073709551616-".into(),
        "bytes=18446744073709551614-18446744073709551615".into(),
        "bytes=-18446744073709551616".into(),
        "bytes=9223372036854775807-".into(),
    ] {
        let response = ask(&proxy, "/a", &[("Range", &range)]);
        let name = &range[..range.len().min(60)];
        assert!(
            [200, 206, 416].contains(&response.status),
            "{name}: {}",
            response.status
        );
        assert!(
            response.body.len() <= 20_000 + 16 * 200,
            "{name}: {}",
            response.body.len()
        );
        assert!(response.is_complete());
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn more_ranges_than_are_given_are_not_asked_for_either() {
    let origin = Origin::start(|_| Reply::ok(pattern(20_000)).header(FRESH.0, FRESH.1));
    let proxy = keeping(&origin);
    let many = format!("bytes={}", vec!["0-"; 1000].join(","));
    let whole = ask(&proxy, "/a", &[("Range", &many)]);
    assert_eq!((whole.status, whole.body.len()), (200, 20_000));
    let requests = origin.requests();
    assert_eq!((requests.len(), requests[0].header("range")), (1, None));
    // One part is asked for as it is: nobody downloads a film for its last second.
    ask(&proxy, "/b", &[("Range", "bytes=0-0")]);
    assert_eq!(origin.requests()[1].header("range"), Some("bytes=0-0"));
}

#[test]
fn routes_of_one_site_keep_apart_what_they_ask_for_in_their_own_words() {
    let origin = echo();
    let proxy = start(&shelf_config(
        &origin,
        "",
        "",
        &format!(
            "routes = [{{ path = \"/api/*\", strip_prefix = \"/api\", proxy = \"{}\" }}]",
            origin.address()
        ),
    ));
    for _ in 0..2 {
        assert!(ask(&proxy, "/api/x", &[]).text().ends_with(" /x"));
        assert!(ask(&proxy, "/x", &[]).text().ends_with(" /x"));
        assert!(ask(&proxy, "/api", &[]).status < 500);
    }
}
