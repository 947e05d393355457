//! What a site with TLS says to those who come without: where it is; and what those hear who were
//! there once (RFC 6797).

use croupier_testkit::{Authority, TlsClient};

use crate::{
    prelude::{Client, Origin, Reply},
    tls_sites::{SERVER, house, site},
};

#[test]
fn a_plain_request_is_sent_to_https_with_path_query_and_method() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy = house(&authority, &[("a", &a)]).start(&format!(
        "{SERVER}{}[site.\"plain.example\"]\ntls = \"off\"\nrespond = \"plain\"\n",
        site("a.example", "a")
    ));
    let port = proxy.address().port();
    for (line, location) in [
        ("GET /x/../y?q=1&r HTTP/1.1", "/y?q=1&r"),
        ("POST /form HTTP/1.1", "/form"),
        ("HEAD / HTTP/1.1", "/"),
        ("OPTIONS * HTTP/1.1", "/"),
        ("GET //evil.example/ HTTP/1.1", "/evil.example/"),
        (
            "GET /.well-known/acme-challenge/abc HTTP/1.1",
            "/.well-known/acme-challenge/abc",
        ),
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(format!(
            "{line}\r\nHost: A.Example:{port}\r\nContent-Length: 0\r\n\r\n"
        ));
        let answer = client.read_response();
        assert_eq!(answer.status, 308, "{line}");
        let location = format!("https://a.example:{port}{location}");
        assert_eq!(answer.header("location"), Some(location.as_str()), "{line}");
        assert!(!answer.headers.has("strict-transport-security"));
    }
    let mut client = Client::connect(proxy.address()).host("plain.example");
    assert_eq!(client.get("/").text(), "plain");
    let log = proxy.wait_for_access(|line| line.contains("/form"));
    assert!(log.contains("\"site\":\"a.example\""), "{log}");
}

#[test]
fn a_site_may_serve_both() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let site = site("a.example", "a").replace("respond", "plain = \"serve\"\nrespond");
    let proxy = house(&authority, &[("a", &a)]).start(&format!("{SERVER}{site}"));
    let mut client = Client::connect(proxy.address()).host("a.example");
    assert_eq!(client.get("/").text(), "a.example");
    let mut client = TlsClient::credulous().connect(proxy.address(), "a.example");
    assert_eq!(client.get("/").text(), "a.example");
}

#[test]
fn behind_a_proxy_that_takes_the_tls_off_nobody_goes_in_circles() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let server = SERVER.replace(
        "[server]\n",
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n",
    );
    let site = site("a.example", "a").replace("respond", "hsts = true\nrespond");
    let proxy = house(&authority, &[("a", &a)]).start(&format!("{server}{site}"));
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: https\r\n\r\n");
    let answer = client.read_response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "a.example"));
    assert!(answer.headers.has("strict-transport-security"));
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: http\r\n\r\n");
    assert_eq!(client.read_response().status, 308);
}

#[test]
fn https_for_the_future_is_told_over_tls_with_every_answer_and_never_without() {
    let origin = Origin::start(|request| match request.path() {
        "/own" => Reply::ok("x").header("Strict-Transport-Security", "max-age=0"),
        _ => Reply::ok("x"),
    });
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let config = format!(
        "{SERVER}[site.\"a.example\"]\ntls = {{ certificate = \"a.pem\" }}\nplain = \"serve\"\n\
         hsts = {{ max_age = \"1h\", include_subdomains = true }}\n\
         routes = [{{ path = \"/deny\", deny = 403 }}, \
         {{ path = \"/edited\", respond = \"x\", headers.response = {{ set = {{ Strict-Transport-Security = \"max-age=1\" }} }} }}, \
         {{ path = \"/app/*\", proxy = \"{0}\" }}, {{ path = \"/own\", proxy = \"{0}\" }}]\n",
        origin.address()
    );
    let proxy = house(&authority, &[("a", &a)]).start(&config);
    let mut tls = TlsClient::credulous().connect(proxy.address(), "a.example");
    let mut plain = Client::connect(proxy.address()).host("a.example");
    for (path, status, value) in [
        ("/app/x", 200, "max-age=3600; includeSubDomains"),
        ("/own", 200, "max-age=3600; includeSubDomains"),
        ("/deny", 403, "max-age=3600; includeSubDomains"),
        ("/nowhere", 404, "max-age=3600; includeSubDomains"),
        ("/edited", 200, "max-age=1"),
    ] {
        let answer = tls.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(
            answer.headers.all("strict-transport-security"),
            [value],
            "{path}"
        );
        let answer = plain.get(path);
        assert_eq!(answer.status, status, "{path}");
        // What an origin or the route says by itself passes as it is.
        let ours = answer.headers.all("strict-transport-security");
        assert!(!ours.contains(&"max-age=3600; includeSubDomains"), "{path}");
    }
    // Refused before anybody knew whose it was: the handshake's site speaks.
    tls.send("GET / HTTP/1.1\r\n\r\n");
    let answer = tls.read_response();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.headers.all("strict-transport-security").len(), 1);
}

#[test]
fn a_handshake_where_nothing_has_tls_is_a_malformed_request() {
    let proxy = crate::prelude::start(&crate::prelude::config("respond = \"x\""));
    let refused = TlsClient::credulous().try_connect(proxy.address(), "a.example");
    assert!(refused.is_err());
    proxy.wait_for_access(|line| line.contains("client.head.malformed"));
}
