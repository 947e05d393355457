//! The invisible-server guard: nobody outside learns what or where the servers are.

use crate::prelude::{Client, Origin, Proxy, Reply, config, in_front_of, start};

/// Everything that tells of a server.
fn telltale() -> Reply {
    Reply::ok("x")
        .header("Server", "Apache/2.4.1 (inside)")
        .header("X-Powered-By", "PHP/5.3")
        .header("X-AspNet-Version", "4.0")
        .header("X-AspNetMvc-Version", "5.2")
        .header("Via", "1.1 inner-cache")
        .header("X-Served-By", "node-17")
        .header("x-backend-server", "node-17")
        .header("X-Generator", "Drupal 7")
        .header("X-Runtime", "0.1")
        .header("X-Varnish", "1 2")
        .header("X-Node", "17")
        .header("X-Harmless", "kept")
}

#[test]
fn fields_that_name_software_or_machines_are_gone() {
    let origin = Origin::start(|_| telltale());
    let proxy = in_front_of(&origin);
    let response = Client::connect(proxy.address()).get("/");
    let mut names = response.headers.names();
    names.sort_unstable_by_key(|name| name.to_ascii_lowercase());
    assert_eq!(names, ["content-length", "date", "X-Harmless", "X-Node"]);
}

#[test]
fn the_guard_takes_wishes() {
    let origin = Origin::start(|_| telltale());
    let address = origin.address();
    let proxy = start(&config(&format!(
        "hide = {{ headers = [\"X-Node\"], keep = [\"Server\", \"X-Runtime\"] }}\n\
         routes = [{{ path = \"/off\", hide = false, proxy = \"{address}\" }}, {{ path = \"/on\", hide = true, proxy = \"{address}\" }}]\n\
         proxy = \"{address}\""
    )));
    let mut client = Client::connect(proxy.address());
    let site = client.get("/");
    assert_eq!(site.header("server"), Some("Apache/2.4.1 (inside)"));
    assert_eq!(site.header("x-runtime"), Some("0.1"));
    assert!(!site.headers.has("x-node") && !site.headers.has("x-powered-by"));
    let off = client.get("/off");
    for name in ["server", "x-powered-by", "via", "x-served-by", "x-node"] {
        assert!(off.headers.has(name), "{name}");
    }
    let on = client.get("/on");
    assert!(!on.headers.has("server") && on.headers.has("x-node"));
}

fn linking(hide: &str) -> (Origin, Proxy) {
    let origin = Origin::start(|request| {
        let at = request.header("x-at").unwrap_or_default();
        match request.path() {
            "/cookie" => Reply::ok("x")
                .header("Set-Cookie", &format!("a=b; Domain={at}; Path=/; HttpOnly"))
                .header("Set-Cookie", "c=d; Path=/")
                .header("Set-Cookie", "e=f; Domain=example.com"),
            _ => Reply::ok("x")
                .status(201)
                .header("Location", &format!("http://{at}/next?a=b#c"))
                .header("Content-Location", &format!("http://{at}"))
                .header("Refresh", &format!("5; url=http://{at}/later")),
        }
    });
    let address = origin.address();
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [pool.app]\nservers = [\"{address}\", \"app.internal:8080\"]\n\
         [site.\"*\"]\n{hide}\n\
         routes = [{{ path = \"/app/*\", strip_prefix = \"/app\", proxy = \"{address}\" }}, {{ pool = \"app\" }}]\n"
    ));
    (origin, proxy)
}

#[test]
fn links_to_a_server_become_links_to_the_site() {
    let (origin, proxy) = linking("");
    let ask = |path: &str, at: &str| {
        Client::connect(proxy.address())
            .host("shop.test:8443")
            .request("GET", path, &[("X-At", at)], "")
    };
    for at in [
        origin.address().to_string(),
        "app.internal:8080".into(),
        "APP.internal".into(),
    ] {
        let response = ask("/", &at);
        assert_eq!(
            response.header("location"),
            Some("http://shop.test:8443/next?a=b#c")
        );
        assert_eq!(
            response.header("content-location"),
            Some("http://shop.test:8443")
        );
        assert_eq!(
            response.header("refresh"),
            Some("5; url=http://shop.test:8443/later")
        );
    }
    // The prefix that was taken off is put back on.
    let response = ask("/app/x", &origin.address().to_string());
    assert_eq!(
        response.header("location"),
        Some("http://shop.test:8443/app/next?a=b#c")
    );
    // Elsewhere is elsewhere.
    for at in ["example.com", "app.internal:9999", "127.0.0.1:1"] {
        let response = ask("/", at);
        assert_eq!(
            response.header("location"),
            Some(format!("http://{at}/next?a=b#c").as_str())
        );
    }
    let response = ask("/cookie", ".app.internal");
    assert_eq!(
        response.headers.all("set-cookie"),
        [
            "a=b; Domain=shop.test; Path=/; HttpOnly",
            "c=d; Path=/",
            "e=f; Domain=example.com"
        ]
    );
}

#[test]
fn a_switched_off_guard_rewrites_nothing() {
    let (origin, proxy) = linking("hide = false");
    let at = origin.address().to_string();
    let mut client = Client::connect(proxy.address());
    let response = client.request("GET", "/", &[("X-At", &at)], "");
    assert_eq!(
        response.header("location"),
        Some(format!("http://{at}/next?a=b#c").as_str())
    );
    let response = client.request("GET", "/cookie", &[("X-At", "app.internal")], "");
    assert_eq!(
        response.headers.all("set-cookie")[0],
        "a=b; Domain=app.internal; Path=/; HttpOnly"
    );
}

#[test]
fn a_site_behind_tls_elsewhere_is_linked_with_its_scheme() {
    let origin = Origin::start(|request| {
        Reply::redirect(&format!(
            "http://{}/x",
            request.header("x-at").unwrap_or_default()
        ))
    });
    let proxy = start(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1\"]\n[site.\"*\"]\nproxy = \"{}\"\n",
        origin.address()
    ));
    let at = origin.address().to_string();
    let headers = [("X-At", at.as_str()), ("X-Forwarded-Proto", "https")];
    let response = Client::connect(proxy.address())
        .host("shop.test")
        .request("GET", "/", &headers, "");
    assert_eq!(response.header("location"), Some("https://shop.test/x"));
}

#[test]
fn error_pages_name_the_fault_and_the_request_but_neither_server_nor_version() {
    let dead = croupier_testkit::closed_address();
    let proxy = start(&config(&format!(
        "pool = \"dead\"\n[pool.dead]\nservers = [\"{dead}\"]\neject = false\nqueue = {{ requests = 0 }}"
    )));
    let ask = |accept: &str| {
        Client::connect(proxy.address()).request("GET", "/", &[("Accept", accept)], "")
    };
    for (accept, content_type) in [
        (
            "text/html,application/xhtml+xml",
            "text/html; charset=utf-8",
        ),
        ("application/json", "application/problem+json"),
        ("*/*", "text/plain; charset=utf-8"),
    ] {
        let response = ask(accept);
        assert_eq!(response.status, 502, "{accept}");
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let id = response
            .header("x-request-id")
            .unwrap_or_default()
            .to_owned();
        let page = response.text();
        assert!(
            page.contains("origin.connect.refused") && page.contains(&id),
            "{page}"
        );
        let all = String::from_utf8_lossy(&response.head).into_owned() + &page;
        for secret in [
            env!("CARGO_PKG_VERSION"),
            "croupier",
            &dead.port().to_string(),
            "127.0.0.1",
        ] {
            let shown = all.to_ascii_lowercase().replace(&id, "");
            assert!(!shown.contains(secret), "{secret} in {all}");
        }
        let line = proxy.wait_for_access(|line| line.contains(&id));
        assert!(
            line.contains("\"fault\":\"origin.connect.refused\""),
            "{line}"
        );
        proxy.wait_for_log(|line| line.contains(&id) && line.contains("origin.connect.refused"));
    }
    let parsed: serde_json::Value =
        serde_json::from_str(&ask("application/json").text()).expect("JSON");
    assert_eq!(parsed["status"], 502);
    assert_eq!(parsed["fault"], "origin.connect.refused");
}

#[test]
fn a_page_escapes_what_a_trusted_proxy_called_the_request() {
    let proxy = start(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1\"]\n[site.\"*\"]\ndeny = 403\n",
    );
    let headers = [
        ("Accept", "text/html"),
        ("X-Request-Id", "<script>alert(1)</script>"),
    ];
    let response = Client::connect(proxy.address()).request("GET", "/", &headers, "");
    assert!(!response.text().contains("<script>"), "{}", response.text());
}
