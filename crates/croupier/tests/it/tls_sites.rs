//! Many names on one port: each gets its own certificate and its own site, whoever asks, by
//! whatever version; and what was agreed on is told to the origin, the log and the numbers.

use std::process::{Command, Stdio};

use croupier_testkit::{Authority, Issued, Launch, TlsClient, wait_until, wire::json_value};

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, metric};

/// A proxy to be, in whose directory lie these certificates with their keys, as `NAME.pem`, and
/// that of their authority as `ca.pem`.
pub(crate) fn house(authority: &Authority, issued: &[(&str, &Issued)]) -> Launch {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier")).file("ca.pem", authority.pem());
    issued.iter().fold(launch, |launch, (name, issued)| {
        launch.file(&format!("{name}.pem"), issued.both())
    })
}

/// A site that shows `FILE.pem` and answers with its own name.
pub(crate) fn site(host: &str, file: &str) -> String {
    format!("[site.\"{host}\"]\ntls = {{ certificate = \"{file}.pem\" }}\nrespond = \"{host}\"\n\n")
}

pub(crate) const SERVER: &str =
    "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\n\n";

/// What `openssl s_client` says of this proxy.
pub(crate) fn openssl(proxy: &Proxy, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &proxy.address().to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn each_name_gets_its_own_certificate_and_its_own_site() {
    let authority = Authority::new("Tables");
    let (a, b) = (
        authority.issue(&["a.example"]),
        authority.issue(&["b.example", "www.b.example"]),
    );
    let wild = authority.issue(&["*.wild.example"]);
    let proxy = house(&authority, &[("a", &a), ("b", &b), ("wild", &wild)]).start(&format!(
        "{SERVER}{}{}{}",
        site("a.example", "a"),
        site("b.example", "b").replace("respond", "aliases = [\"www.b.example\"]\nrespond"),
        site("*.wild.example", "wild"),
    ));
    let tls = TlsClient::trusting(&authority).alpn(&["http/1.1"]);
    for (name, issued, answer) in [
        ("a.example", &a, "a.example"),
        ("b.example", &b, "b.example"),
        ("www.b.example", &b, "b.example"),
        ("x.wild.example", &wild, "*.wild.example"),
    ] {
        let mut client = tls.connect(proxy.address(), name);
        assert_eq!(client.shaken().certificate, issued.der, "{name}");
        assert_eq!(client.get("/").text(), answer, "{name}");
        assert_eq!(client.get("/again").text(), answer, "{name}");
    }
}

#[test]
fn a_name_nobody_knows_and_no_name_get_the_default() {
    let authority = Authority::new("Tables");
    let (a, all) = (
        authority.issue(&["a.example"]),
        authority.issue(&["x.example"]),
    );
    let tls = TlsClient::credulous();
    let config = format!(
        "{SERVER}{}{}",
        site("a.example", "a"),
        site("b.example", "all")
    );
    // Without a site for every host, the first one with TLS.
    let proxy = house(&authority, &[("a", &a), ("all", &all)]).start(&config);
    for tls in [tls.clone(), tls.clone().without_name()] {
        let mut client = tls.connect(proxy.address(), "nobody.example");
        assert_eq!(client.shaken().certificate, a.der);
        assert_eq!(client.get("/").status, 404);
    }
    let config = config.replace("b.example", "*");
    let proxy = house(&authority, &[("a", &a), ("all", &all)]).start(&config);
    for tls in [tls.clone(), tls.without_name()] {
        let mut client = tls.connect(proxy.address(), "nobody.example");
        assert_eq!(client.shaken().certificate, all.der);
        assert_eq!(client.get("/").text(), "*");
    }
}

#[test]
fn an_address_is_a_name_too_though_no_hello_can_say_it() {
    let authority = Authority::new("Tables");
    let (a, ip) = (
        authority.issue(&["a.example"]),
        authority.issue(&["127.0.0.1"]),
    );
    let proxy = house(&authority, &[("a", &a), ("ip", &ip)]).start(&format!(
        "{SERVER}{}{}",
        site("a.example", "a"),
        site("127.0.0.1", "ip")
    ));
    let mut client = TlsClient::trusting(&authority).connect(proxy.address(), "127.0.0.1");
    assert_eq!(client.get("/").text(), "127.0.0.1");
}

#[test]
fn what_nobody_here_speaks_is_refused_with_an_alert() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy =
        house(&authority, &[("a", &a)]).start(&format!("{SERVER}{}", site("a.example", "a")));
    let said = openssl(&proxy, &["-servername", "a.example", "-alpn", "foo"]);
    assert!(said.contains("no application protocol"), "{said}");
    for old in ["-tls1_1", "-tls1"] {
        let said = openssl(&proxy, &[old, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(
            said.contains("Cipher is (NONE)") || said.contains("no protocols"),
            "{said}"
        );
    }
    let said = openssl(&proxy, &["-tls1_2", "-cipher", "AES128-SHA"]);
    assert!(said.contains("Cipher is (NONE)"), "{said}");
    let refused = TlsClient::credulous()
        .alpn(&["foo"])
        .try_connect(proxy.address(), "a.example");
    assert!(refused.is_err());
    let failed = |reason: &str| {
        let series = format!("croupier_tls_handshake_failures_total{{reason=\"{reason}\"}}");
        metric(&proxy, &series)
    };
    assert!(wait_until(SOON, || failed("no_protocol") >= 2.0));
    assert!(wait_until(SOON, || failed("incompatible") >= 2.0));
    // And the port serves on.
    let mut client = TlsClient::credulous().connect(proxy.address(), "a.example");
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn profiles_say_which_versions_and_the_key_exchange_is_safe_from_tomorrow() {
    let authority = Authority::new("Tables");
    let (a, b) = (
        authority.issue(&["a.example"]),
        authority.issue(&["b.example"]),
    );
    let modern = site("b.example", "b").replace(" }\nrespond", ", profile = \"modern\" }\nrespond");
    let proxy = house(&authority, &[("a", &a), ("b", &b)])
        .start(&format!("{SERVER}{}{modern}", site("a.example", "a")));
    let client = TlsClient::credulous().connect(proxy.address(), "a.example");
    assert_eq!(client.shaken().version, "TLSv1_3");
    assert_eq!(client.shaken().group, "X25519MLKEM768");
    let old = TlsClient::of_version_1_2();
    let mut client = old.connect(proxy.address(), "a.example");
    assert_eq!(client.shaken().version, "TLSv1_2");
    assert_eq!(client.get("/").status, 200);
    assert!(old.try_connect(proxy.address(), "b.example").is_err());
    let client = TlsClient::credulous().connect(proxy.address(), "b.example");
    assert_eq!(client.shaken().version, "TLSv1_3");
}

#[test]
fn the_cipher_is_our_choice_but_for_clients_that_put_chacha20_first() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy =
        house(&authority, &[("a", &a)]).start(&format!("{SERVER}{}", site("a.example", "a")));
    let [large, small, chacha] = [
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ];
    for (offered, chosen) in [
        ([large, small, chacha], large),
        ([small, large, chacha], large),
        ([small, chacha, large], large),
        ([chacha, small, large], chacha),
    ] {
        let offered = offered.join(":");
        let said = openssl(&proxy, &["-tls1_2", "-cipher", &offered]);
        assert!(
            said.contains(&format!("Cipher is {chosen}")),
            "{offered}: {said}"
        );
    }
    let [large, small, chacha] = [
        "TLS_AES_256_GCM_SHA384",
        "TLS_AES_128_GCM_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
    ];
    for (offered, chosen) in [
        ([small, large, chacha], large),
        ([chacha, small, large], chacha),
    ] {
        let offered = offered.join(":");
        let said = openssl(&proxy, &["-tls1_3", "-ciphersuites", &offered]);
        assert!(
            said.contains(&format!("Cipher is {chosen}")),
            "{offered}: {said}"
        );
    }
}

#[test]
fn sessions_are_resumed_by_any_worker_and_after_a_reload() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let server = SERVER.replace("[server]\n", "[server]\nworkers = 2\n");
    let config = format!("{server}{}", site("a.example", "a"));
    let proxy = house(&authority, &[("a", &a)]).start(&config);
    for tls in [TlsClient::trusting(&authority), TlsClient::of_version_1_2()] {
        let again = |tls: &TlsClient| {
            let mut client = tls.connect(proxy.address(), "a.example");
            assert_eq!(client.get("/").status, 200);
            client.shaken().is_resumed
        };
        assert!(!again(&tls), "nobody knows it yet");
        // The kernel deals connections out to both workers.
        for _ in 0..12 {
            assert!(again(&tls));
        }
        proxy.reload(&format!(
            "{config}[site.\"b.example\"]\ntls = \"off\"\nrespond = \"b\"\n"
        ));
        for _ in 0..4 {
            assert!(again(&tls), "after a reload");
        }
        proxy.reload(&config);
    }
    let resumed = "croupier_tls_handshakes_total{version=\"1.3\",resumed=\"true\"}";
    assert!(wait_until(SOON, || metric(&proxy, resumed) >= 16.0));
    let full = "croupier_tls_handshakes_total{version=\"1.2\",resumed=\"false\"}";
    assert!(metric(&proxy, full) >= 1.0);
}

#[test]
fn the_origin_and_the_log_hear_of_the_tls() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy = house(&authority, &[("a", &a)]).start(&format!(
        "{SERVER}[site.\"a.example\"]\ntls = {{ certificate = \"a.pem\" }}\nforwarded = true\nproxy = \"{}\"\n",
        origin.address()
    ));
    let mut client = TlsClient::credulous().connect(proxy.address(), "a.example");
    client.send("GET /one HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: http\r\nUpgrade: TLS/1.0, h2c\r\nConnection: Upgrade\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    let request = origin.requests().pop().unwrap();
    assert_eq!(request.headers.all("x-forwarded-proto"), ["https"]);
    assert_eq!(request.headers.all("x-forwarded-port"), ["443"]);
    assert!(
        request
            .header("forwarded")
            .unwrap()
            .contains(";proto=https")
    );
    assert!(
        !request.headers.has("upgrade"),
        "nobody upgrades to TLS inside of TLS"
    );
    let line = proxy.wait_for_access(|line| line.contains("/one"));
    for (key, value) in [
        ("scheme", "https"),
        ("tls", "TLSv1.3"),
        ("tls_group", "X25519MLKEM768"),
        ("sni", "a.example"),
    ] {
        assert_eq!(json_value(&line, key).as_deref(), Some(value), "{line}");
    }
    assert!(
        !line.contains("tls_resumed") && !line.contains("client_cert"),
        "{line}"
    );
    let protocols = "croupier_connection_protocols_total{protocol=\"http1\",tls=\"true\"}";
    assert!(wait_until(SOON, || metric(&proxy, protocols) == 1.0));
}

#[test]
fn a_target_has_the_scheme_of_its_connection() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy =
        house(&authority, &[("a", &a)]).start(&format!("{SERVER}{}", site("a.example", "a")));
    let ask = |client: &mut Client, target: &str| {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        client.read_response().status
    };
    let tls = TlsClient::credulous();
    let mut client = tls.connect(proxy.address(), "a.example");
    assert_eq!(ask(&mut client, "https://a.example/x"), 200);
    assert_eq!(ask(&mut client, "https://a.example:443/x"), 200);
    assert_eq!(ask(&mut client, "http://a.example/x"), 400);
    let mut plain = Client::connect(proxy.address());
    assert_eq!(ask(&mut plain, "https://a.example/x"), 400);
}

#[test]
fn curl_believes_it() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy =
        house(&authority, &[("a", &a)]).start(&format!("{SERVER}{}", site("a.example", "a")));
    let port = proxy.address().port();
    for version in ["--http1.1", "--http2"] {
        let output = Command::new("curl")
            .args(["-sS", version, "--cacert"])
            .arg(proxy.directory().join("ca.pem"))
            .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
            .args(["-w", " %{http_version} %{ssl_verify_result}"])
            .arg(format!("https://a.example:{port}/"))
            .output()
            .expect("curl is installed");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = if version == "--http2" { "2" } else { "1.1" };
        assert_eq!(said, format!("a.example {version} 0"), "{output:?}");
    }
}

#[test]
fn d07_who_agreed_on_http_2_speaks_nothing_else() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let proxy =
        house(&authority, &[("a", &a)]).start(&format!("{SERVER}{}", site("a.example", "a")));
    let tls = TlsClient::credulous().alpn(&["h2", "http/1.1"]);
    let mut client = tls.connect(proxy.address(), "a.example");
    assert_eq!(client.shaken().alpn.as_deref(), Some("h2"));
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(client.try_read_response().is_err());
    // And who did not, does not.
    let mut client = TlsClient::credulous().connect(proxy.address(), "a.example");
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.read_response_to("GET").status, 505);
}

#[test]
fn explain_and_the_tests_of_a_config_know_which_door_a_request_came_by() {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let config = "[server]\nlisten = [\":8080\", \":8443\"]\n\n\
        [site.\"a.example\"]\ntls = { certificate = \"a.pem\", client_auth = { ca = \"ca.pem\" } }\nhsts = \"365d\"\nproxy = \"127.0.0.1:9\"\n\n\
        [site.\"plain.example\"]\ntls = \"off\"\nproxy = \"127.0.0.1:9\"\n\n\
        [[test]]\nrequest = \"GET http://a.example:8080/x?y\"\n\
        expect = { status = 308, location = \"https://a.example:8443/x?y\", site = \"a.example\" }\n\n\
        [[test]]\nrequest = \"GET https://a.example:8443/x\"\nexpect = { path = \"/x\", route = \"*\" }\n\n\
        [[test]]\nrequest = \"GET https://plain.example:8443/\"\nexpect = { status = 421 }\n";
    let launch = house(&authority, &[("a", &a)]).file("croupier.toml", config);
    let exit = launch.run(&["check"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let exit = launch.run(&["explain", "http://a.example:8080/x?y"]);
    for told in ["308", "https://a.example:8443/x?y", "without TLS"] {
        assert!(exit.stdout.contains(told), "{}", exit.stdout);
    }
    assert!(!exit.stdout.contains("max-age"), "never without TLS");
    let exit = launch.run(&["explain", "https://a.example:8443/x"]);
    for told in [
        "a.pem; clients must show a certificate",
        "max-age=31536000",
        "127.0.0.1:9",
    ] {
        assert!(exit.stdout.contains(told), "{}", exit.stdout);
    }
    // What a start would stumble over, and what only warns.
    let other = authority.issue(&["b.example"]);
    let key_of_another = format!("{}{}", a.certificate, other.key);
    for (file, contents, code, told) in [
        ("a.pem", key_of_another, 1, "C215"),
        (
            "ca.pem",
            "nothing".to_owned(),
            1,
            "holds no PEM certificate",
        ),
        ("a.pem", other.both(), 0, "a.example"),
        (
            "a.pem",
            authority.issue_expired(&["a.example"]).both(),
            0,
            "C215",
        ),
    ] {
        let launch = house(&authority, &[("a", &a)])
            .file("croupier.toml", config)
            .file(file, contents);
        let exit = launch.run(&["check"]);
        assert_eq!(exit.code, Some(code), "{file}: {exit:?}");
        assert!(exit.stderr.contains(told), "{told}: {}", exit.stderr);
    }
}
