//! Which site and which route take a request, and what becomes of its path.

use croupier_testkit::Response;

use crate::prelude::{Client, Origin, Proxy, Reply, config, start};

fn ask(
    proxy: &Proxy,
    method: &str,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Response {
    Client::connect(proxy.address())
        .host(host)
        .request(method, target, headers, "")
}

/// The body of a `respond`, or the status where there is another answer.
fn said(proxy: &Proxy, method: &str, host: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let response = ask(proxy, method, host, target, headers);
    if response.status == 200 {
        response.text()
    } else {
        response.status.to_string()
    }
}

#[test]
fn the_host_chooses_the_site() {
    let proxy = start(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [site.\"exact.test\"]\naliases = [\"alias.test\", \"*.many.test\"]\nrespond = \"exact\"\n\
         [site.\"*.test\"]\nrespond = \"wide\"\n\
         [site.\"*.deep.test\"]\nrespond = \"deep\"\n\
         [site.\"10.1.2.3\"]\nrespond = \"address\"\n\
         [site.\"*\"]\nrespond = \"default\"\n",
    );
    for (host, site) in [
        ("exact.test", "exact"),
        ("EXACT.Test", "exact"),
        ("exact.test:8080", "exact"),
        ("exact.test.", "exact"),
        ("alias.test", "exact"),
        ("a.many.test", "exact"),
        ("a.b.many.test", "exact"),
        ("many.test", "wide"),
        ("other.test", "wide"),
        ("a.exact.test", "wide"),
        ("a.deep.test", "deep"),
        ("a.b.deep.test", "deep"),
        ("deep.test", "wide"),
        ("test", "default"),
        ("xtest", "default"),
        ("example.com", "default"),
        ("10.1.2.3", "address"),
        ("10.1.2.3:81", "address"),
        ("10.1.2.4", "default"),
        ("[::1]", "default"),
    ] {
        assert_eq!(said(&proxy, "GET", host, "/", &[]), site, "{host}");
    }
    // The absolute form wins over `Host`, and HTTP/1.0 without a host is the default site's.
    assert_eq!(
        said(&proxy, "GET", "alias.test", "http://alias.test/", &[]),
        "exact"
    );
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.read_response_to("GET").text(), "default");
}

#[test]
fn without_a_default_site_an_unknown_host_is_told_so() {
    let proxy = start(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[site.\"a.test\"]\nroutes = [{ path = \"/only\", respond = \"a\" }]\n",
    );
    let response = ask(&proxy, "GET", "b.test", "/", &[]);
    assert_eq!(response.status, 404);
    assert!(response.text().contains("proxy.site.none"));
    let response = ask(&proxy, "GET", "a.test", "/other", &[]);
    assert_eq!(response.status, 404);
    assert!(response.text().contains("proxy.route.none"));
    assert_eq!(said(&proxy, "GET", "a.test", "/only", &[]), "a");
}

#[test]
fn the_first_route_that_matches_wins() {
    let proxy = start(&config(
        "routes = [\n\
           { path = \"/exact\", respond = \"exact\" },\n\
           { path = \"/api/admin/*\", methods = [\"POST\", \"PURGE\"], respond = \"admin\" },\n\
           { path = \"/api/*\", respond = \"api\" },\n\
           { path_regex = \"^/user/([0-9]+)$\", respond = \"user\" },\n\
           { path_regex = \"\\\\.png$\", respond = \"image\" },\n\
           { path = \"/with/*\", header = { X-Kind = \"blue\", X-Any = true }, respond = \"blue\" },\n\
           { path = \"/with/*\", header = { X-Kind = \"~^gr(ee|a)\" }, respond = \"gr\" },\n\
           { path = \"/with/*\", header = { Authorization = false }, respond = \"anonymous\" },\n\
           { path = \"/with/*\", respond = \"known\" },\n\
           { path = \"/q\", query = { page = \"1\" }, respond = \"one\" },\n\
           { path = \"/q\", query = { page = \"~^[0-9]+$\", draft = false }, respond = \"number\" },\n\
           { path = \"/q\", query = { draft = true }, respond = \"draft\" },\n\
           { methods = [\"DELETE\"], deny = 405 },\n\
         ]\nrespond = \"rest\"",
    ));
    for (method, target, headers, expected) in [
        ("GET", "/exact", &[][..], "exact"),
        ("GET", "/exact/", &[], "rest"),
        ("GET", "/exact?x=1", &[], "exact"),
        ("GET", "/Exact", &[], "rest"),
        ("GET", "/api", &[], "api"),
        ("GET", "/api/", &[], "api"),
        ("GET", "/api/x/y", &[], "api"),
        ("GET", "/apix", &[], "rest"),
        ("GET", "/api/admin/x", &[], "api"),
        ("POST", "/api/admin/x", &[], "admin"),
        ("PURGE", "/api/admin", &[], "admin"),
        ("GET", "/user/17", &[], "user"),
        ("GET", "/user/17/x", &[], "rest"),
        ("GET", "/a/b.png", &[], "image"),
        ("GET", "/a/b.png?v=2", &[], "image"),
        (
            "GET",
            "/with/1",
            &[("X-Kind", "blue"), ("X-Any", "")],
            "blue",
        ),
        (
            "GET",
            "/with/1",
            &[("x-kind", "blue"), ("Authorization", "x")],
            "known",
        ),
        (
            "GET",
            "/with/1",
            &[("X-Kind", "red"), ("X-Kind", "green")],
            "gr",
        ),
        ("GET", "/with/1", &[("X-Kind", "bluegreen")], "anonymous"),
        ("GET", "/q?page=1", &[], "one"),
        ("GET", "/q?x=2&page=1&page=7", &[], "one"),
        ("GET", "/q?page=12", &[], "number"),
        ("GET", "/q?page=12&draft", &[], "draft"),
        ("GET", "/q?Page=1", &[], "rest"),
        ("GET", "/q?page=", &[], "rest"),
        ("DELETE", "/x", &[], "405"),
        ("GET", "/", &[], "rest"),
    ] {
        assert_eq!(
            said(&proxy, method, "a", target, headers),
            expected,
            "{method} {target}"
        );
    }
}

#[test]
fn one_normal_form_is_routed_and_forwarded() {
    let origin = Origin::start(|request| Reply::ok(&request.target));
    let proxy = start(&config(&format!(
        "routes = [{{ path = \"/secret/*\", deny = 403 }}]\nproxy = \"{}\"",
        origin.address()
    )));
    for (sent, expected) in [
        ("/a/b?c=d", "/a/b?c=d"),
        ("/a//b/./c/../d", "/a/b/d"),
        ("/%61%7e%2D", "/a~-"),
        ("/%c3%a4/%20", "/%C3%A4/%20"),
        ("/a/", "/a/"),
        ("/?", "/?"),
        ("/a?b/../c", "/a?b/../c"),
        ("/a?q=%41%2f", "/a?q=%41%2f"),
        ("http://a/b/../c?d", "/c?d"),
        ("http://a", "/"),
        ("http://a?q", "/?q"),
        ("/secret", "403"),
        ("/secret/x", "403"),
        ("//secret/x", "403"),
        ("/./secret/x", "403"),
        ("/x/../secret/x", "403"),
        ("/%73ecret/x", "403"),
        ("/x/%2e%2e/secret/x", "403"),
        ("http://a/secret", "403"),
        ("/x%2f..%2fsecret/x", "400"),
        ("/x/..%2fsecret/x", "400"),
        ("/..;/secret/x", "400"),
        ("/x/../../secret", "400"),
        ("/x\\..\\secret", "400"),
        ("/secret%00", "400"),
    ] {
        assert_eq!(said(&proxy, "GET", "a", sent, &[]), expected, "{sent}");
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| !request.target.contains("secret"))
    );
}

#[test]
fn a_path_with_two_readings_is_refused_only_where_they_differ() {
    let origin = Origin::start(|request| Reply::ok(&request.target));
    let address = origin.address();
    let proxy = start(&config(&format!(
        "routes = [{{ path = \"/a/b/*\", deny = 403 }}, {{ path = \"/open/*\", proxy = \"{address}\" }}]\nproxy = \"{address}\""
    )));
    let response = ask(&proxy, "GET", "a", "/a%2Fb/c", &[]);
    assert_eq!(response.status, 400);
    assert!(response.text().contains("client.target.ambiguous"));
    for target in ["/open/x%2fy", "/open/a;v=1", "/other%2Fplace"] {
        let expected = target.replace("%2f", "%2F");
        assert_eq!(said(&proxy, "GET", "a", target, &[]), expected);
    }
    // Stripped of its disguise it would be another route.
    assert_eq!(said(&proxy, "GET", "a", "/open%2f..%2fa/b", &[]), "400");
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn verbs_change_the_path_and_the_query_stays() {
    let origin = Origin::start(|request| Reply::ok(&request.target));
    let address = origin.address();
    let route = |rest: &str| format!("{{ proxy = \"{address}\", {rest} }}");
    let routes = [
        route("path = \"/app/*\", strip_prefix = \"/app\""),
        route("path = \"/api/*\", add_prefix = \"/v2\""),
        route("path = \"/both/*\", strip_prefix = \"/both\", add_prefix = \"/in\""),
        route("path = \"/rest/*\", rewrite = \"/x/$rest\""),
        route("path_regex = \"^/u/([a-z]+)/([0-9]+)$\", rewrite = \"/users/$2-${1}s\""),
        route("path = \"/host\", rewrite = \"/$host/$path\""),
    ];
    let proxy = start(&config(&format!(
        "routes = [{}]\nproxy = \"{address}\"",
        routes.join(", ")
    )));
    for (sent, expected) in [
        ("/app", "/"),
        ("/app/", "/"),
        ("/app/x/y?z=1", "/x/y?z=1"),
        ("/apple", "/apple"),
        ("/api/x", "/v2/api/x"),
        ("/both/x", "/in/x"),
        ("/both", "/in"),
        ("/rest/a/b?q", "/x/a/b?q"),
        ("/rest", "/x/"),
        ("/u/ann/17?x", "/users/17-anns?x"),
        ("/u/ann/x", "/u/ann/x"),
        ("/host", "/a/host"),
        ("/app/%2e%2e/x", "/x"),
        ("/none", "/none"),
    ] {
        assert_eq!(said(&proxy, "GET", "a", sent, &[]), expected, "{sent}");
    }
}

#[test]
fn a_rewrite_can_not_lead_out_of_its_place() {
    let origin = Origin::start(|request| Reply::ok(&request.target));
    let proxy = start(&config(&format!(
        "routes = [{{ path_regex = \"^/f/(.*)$\", rewrite = \"/files/$1\", proxy = \"{}\" }}]\nrespond = \"rest\"",
        origin.address()
    )));
    for sent in ["/f/../../etc/passwd", "/f/%2e%2e/%2e%2e/etc"] {
        assert_eq!(said(&proxy, "GET", "a", sent, &[]), "400", "{sent}");
    }
    assert_eq!(said(&proxy, "GET", "a", "/f/../etc", &[]), "rest");
    assert_eq!(said(&proxy, "GET", "a", "/f/a/../b", &[]), "/files/b");
    assert!(
        origin
            .requests()
            .iter()
            .all(|r| r.target.starts_with("/files/"))
    );
}

#[test]
fn redirects_lead_where_the_config_says() {
    let proxy = start(&config(
        "routes = [\n\
           { path = \"/old/*\", redirect = { to = \"/new/$rest$query\", status = 301 } },\n\
           { path = \"/kept\", redirect = { to = \"https://$host$path$query\", status = 308 } },\n\
           { path_regex = \"^/p/([0-9]+)$\", redirect = \"https://shop.test/item?id=$1\" },\n\
         ]\nredirect = \"https://$host$path$query\"",
    ));
    for (sent, status, location) in [
        ("/old/a/b?x=1", 301, "/new/a/b?x=1"),
        ("/old", 301, "/new/"),
        ("/kept?x", 308, "https://a.test/kept?x"),
        ("/p/12", 302, "https://shop.test/item?id=12"),
        ("/x/../y?z=%20", 302, "https://a.test/y?z=%20"),
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let response = ask(&proxy, method, "a.test:8080", sent, &[]);
            assert_eq!(response.status, status, "{method} {sent}");
            assert_eq!(
                response.header("location"),
                Some(location),
                "{method} {sent}"
            );
            assert!(response.body.is_empty());
        }
    }
    // Nothing a client sends breaks out of the header.
    let response = ask(&proxy, "GET", "a.test", "/%0d%0aSet-Cookie:%20a=b", &[]);
    assert!(!response.headers.has("set-cookie"), "{response:?}");
}

#[test]
fn a_route_may_answer_by_itself() {
    let proxy = start(&config(
        "routes = [\n\
           { path = \"/page\", respond = { status = 203, body = \"<p>hi\", content_type = \"text/html\", headers = { X-Own = \"1\" } } },\n\
           { path = \"/none\", respond = { status = 204 } },\n\
           { path = \"/deny\", deny = 451 },\n\
         ]\nrespond = \"hello\"",
    ));
    let mut client = Client::connect(proxy.address());
    let page = client.get("/page");
    assert_eq!((page.status, page.text().as_str()), (203, "<p>hi"));
    assert_eq!(page.header("content-type"), Some("text/html"));
    assert_eq!(page.header("x-own"), Some("1"));
    assert!(page.headers.has("date"));
    let head = client.request("HEAD", "/page", &[], "");
    assert_eq!(head.header("content-length"), Some("5"));
    let none = client.get("/none");
    assert_eq!((none.status, none.body.len()), (204, 0));
    let denied = client.request("GET", "/deny", &[("Accept", "text/html")], "");
    assert_eq!(denied.status, 451);
    assert!(denied.text().contains("proxy.denied"));
    let hello = client.request("POST", "/", &[], "a body that nobody reads");
    assert_eq!(hello.text(), "hello");
    assert_eq!(
        hello.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn asterisk_and_options_reach_a_server() {
    let origin =
        Origin::start(|request| Reply::ok(format!("{} {}", request.method, request.target)));
    let proxy = start(&config(&format!("proxy = \"{}\"", origin.address())));
    assert_eq!(said(&proxy, "OPTIONS", "a", "*", &[]), "OPTIONS *");
    assert_eq!(said(&proxy, "OPTIONS", "a", "/x", &[]), "OPTIONS /x");
    assert_eq!(said(&proxy, "PROPFIND", "a", "/x", &[]), "PROPFIND /x");
}

#[test]
fn a_pool_chooses_the_host_its_servers_see() {
    let origin = Origin::start(|request| Reply::ok(request.header("host").unwrap_or_default()));
    let address = origin.address();
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [pool.client]\nservers = [\"{address}\"]\n\
         [pool.server]\nservers = [\"{address}\"]\nhost = \"server\"\n\
         [pool.fixed]\nservers = [\"{address}\"]\nhost = \"app.internal\"\n\
         [site.\"*\"]\nroutes = [{{ path = \"/client\", pool = \"client\" }}, {{ path = \"/server\", pool = \"server\" }}, {{ path = \"/fixed\", pool = \"fixed\" }}]\n"
    ));
    let ask = |path: &str| said(&proxy, "GET", "Shop.test:8080", path, &[]);
    assert_eq!(ask("/client").to_ascii_lowercase(), "shop.test:8080");
    assert_eq!(ask("/server"), address.to_string());
    assert_eq!(ask("/fixed"), "app.internal");
}
