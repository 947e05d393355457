//! Which sites speak TLS, with whose certificate and on which listeners: what is written, and what is not.

use std::path::PathBuf;
use std::time::Duration;

use croupier_config::Config;
use croupier_config::model::{
    Action, CertificateFrom, Challenge, ClientAuthMode, HealthCheck, Hsts, KeyType, Plain, Pool,
    Protocol, ProxyTlv, ProxyVersion, Secret, Site, TlsProfile, Trusted,
};

const EVERY_KEY: &str = include_str!("good/every-key.toml");

#[expect(clippy::unwrap_used, reason = "a broken sample is a failed test")]
fn load(text: &str) -> Config {
    let config = Config::from_str("a.toml", text);
    assert!(config.is_ok(), "{text}\n{}", config.unwrap_err());
    config.unwrap()
}

/// The word for a site's certificate.
fn word(site: &Site) -> &'static str {
    match site.tls.as_ref().map(|tls| &tls.certificate.value) {
        None => "off",
        Some(CertificateFrom::Auto) => "auto",
        Some(CertificateFrom::OnDemand) => "on-demand",
        Some(CertificateFrom::Internal) => "internal",
        Some(CertificateFrom::Files { .. }) => "files",
    }
}

fn words(config: &Config) -> Vec<&'static str> {
    config.sites.iter().map(word).collect()
}

fn listeners(config: &Config) -> Vec<String> {
    let listen = config.server.listen.iter();
    listen.map(|listen| listen.value.to_string()).collect()
}

#[expect(clippy::expect_used, reason = "a broken sample is a failed test")]
fn site(config: &Config, host: &str) -> Site {
    let found = config
        .sites
        .iter()
        .find(|site| site.host.value.to_string() == host);
    found.cloned().expect(host)
}

#[test]
fn two_lines_are_enough_for_a_public_name() {
    for (host, expected, listen) in [
        ("shop.de", "auto", &[":80", ":443"][..]),
        ("localhost", "internal", &[":80", ":443"]),
        ("app.localhost", "internal", &[":80", ":443"]),
        ("*.dev.internal", "internal", &[":80", ":443"]),
        ("192.0.2.1", "internal", &[":80", ":443"]),
        ("::1", "internal", &[":80", ":443"]),
        ("nas.local", "internal", &[":80", ":443"]),
        ("nas.home.arpa", "internal", &[":80", ":443"]),
        ("*", "off", &[":80"]),
        ("*.shop.de", "off", &[":80"]),
        ("app", "off", &[":80"]),
        ("app.example.com", "off", &[":80"]),
        ("app.test", "off", &[":80"]),
        ("app.invalid", "off", &[":80"]),
    ] {
        let config = load(&format!("[site.\"{host}\"]\nproxy = \"127.0.0.1:1\"\n"));
        assert_eq!(words(&config), [expected], "{host}");
        assert_eq!(listeners(&config), listen, "{host}");
        assert!(config.warnings.is_empty(), "{host}: {}", config.warnings);
    }
}

#[test]
fn what_listens_elsewhere_stays_plain() {
    for listen in [
        ":0",
        ":8080",
        "127.0.0.1:0",
        "127.0.0.1:8443",
        "unix:/run/c.sock",
    ] {
        for text in [
            format!("[server]\nlisten = \"{listen}\"\n[site.\"shop.de\"]\ndeny = 403\n"),
            format!("[site.\"shop.de\"]\nlisten = \"{listen}\"\ndeny = 403\n"),
            format!("[site.\"localhost\"]\nlisten = \"{listen}\"\ndeny = 403\n"),
        ] {
            let config = load(&text);
            assert_eq!(words(&config), ["off"], "{text}");
            assert_eq!(listeners(&config), [listen], "{text}");
            assert!(config.warnings.is_empty(), "{text}");
        }
    }
}

#[test]
fn the_listeners_of_a_site_decide_and_not_those_of_the_process() {
    let config = load(
        "[server]\nlisten = [\":80\", \"192.0.2.1:443\", \":8080\"]\n\
         [site.\"shop.de\"]\ndeny = 403\n\
         [site.\"plain.shop.de\"]\nlisten = [\":80\", \":8080\"]\ndeny = 403\n\
         [site.\"off.shop.de\"]\ntls = \"off\"\ndeny = 403\n\
         [site.\"files.shop.de\"]\nlisten = \":8080\"\ntls = { certificate = \"a.pem\" }\ndeny = 403\n\
         [site.\"*\"]\ndeny = 404\n",
    );
    assert_eq!(words(&config), ["auto", "off", "off", "files", "off"]);
}

#[test]
fn port_443_is_added_for_sites_that_name_no_listener() {
    for (text, listen, expected) in [
        (
            "[site.\"*\"]\ntls = { certificate = \"/a.pem\" }\ndeny = 404\n",
            &[":80", ":443"][..],
            &["files"][..],
        ),
        (
            "[site.\"shop.de\"]\ntls = \"off\"\ndeny = 404\n",
            &[":80"],
            &["off"],
        ),
        (
            "[site.\"shop.de\"]\ndeny = 404\n[site.\"a.test\"]\nlisten = \":8080\"\ndeny = 404\n",
            &[":80", ":443", ":8080"],
            &["auto", "off"],
        ),
        (
            "[site.\"a.test\"]\ndeny = 404\n[site.\"shop.de\"]\nlisten = \":8080\"\ndeny = 404\n",
            &[":80", ":8080"],
            &["off", "off"],
        ),
    ] {
        let config = load(text);
        assert_eq!(listeners(&config), listen, "{text}");
        assert_eq!(words(&config), expected, "{text}");
    }
}

#[test]
fn a_table_without_a_certificate_means_the_word_that_the_names_call_for() {
    for (host, expected) in [("shop.de", "auto"), ("app.internal", "internal")] {
        let config = load(&format!(
            "[server]\nlisten = [\":8443\", \":80\"]\n[site.\"{host}\"]\n\
             tls = {{ profile = \"modern\" }}\ndeny = 403\n"
        ));
        assert_eq!(words(&config), [expected], "{host}");
        let tls = config.sites[0].tls.as_ref().unwrap();
        assert_eq!(tls.profile, TlsProfile::Modern);
        assert!(!tls.certificate.span.is_written());
    }
}

#[test]
fn an_authority_of_ones_own_knows_names_that_others_do_not() {
    let config = load(
        "[acme]\ndirectory = \"https://localhost:14000/dir\"\n\
         [site.\"app.test\"]\naliases = [\"app\", \"app.internal\"]\ntls = \"auto\"\ndeny = 403\n",
    );
    assert_eq!(words(&config), ["auto"]);
}

#[test]
fn a_file_may_hold_certificate_and_key() {
    let config = load(
        "[site.\"a.test\"]\ntls = { certificate = \"both.pem\" }\ndeny = 403\n\
         [pool.b]\nservers = [\"b:1\"]\nprotocol = \"https\"\ntls = { certificate = \"us.pem\" }\n\
         [site.\"b.test\"]\npool = \"b\"\n",
    );
    let both = PathBuf::from("both.pem");
    let expected = CertificateFrom::Files {
        certificate: both.clone(),
        key: both,
    };
    let tls = config.sites[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificate.value, expected);
    let (certificate, key) = config.pools[0].tls.client.clone().unwrap();
    assert_eq!(certificate.value, key.value);
    assert!(config.pools[0].tls.verify && config.pools[0].tls.http2);
}

#[test]
fn what_a_site_says_of_tls_is_in_the_model() {
    let config = load(EVERY_KEY);
    let shop = site(&config, "example.com");
    let tls = shop.tls.as_ref().unwrap();
    assert_eq!(
        tls.certificate.value,
        CertificateFrom::Files {
            certificate: "/etc/croupier/shop.pem".into(),
            key: "/etc/croupier/shop.key".into(),
        }
    );
    let client_auth = tls.client_auth.as_ref().unwrap();
    assert_eq!(client_auth.mode, ClientAuthMode::Optional);
    assert_eq!((client_auth.ca.len(), client_auth.crl.len()), (1, 1));
    assert_eq!(
        (tls.profile, shop.plain),
        (TlsProfile::Modern, Plain::Serve)
    );
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let hsts = |max_age| Hsts {
        max_age,
        include_subdomains: false,
        preload: false,
    };
    assert_eq!(
        shop.hsts,
        Some(Hsts {
            max_age: days(730),
            include_subdomains: true,
            preload: true
        })
    );
    assert_eq!(site(&config, "b.example.org").hsts, Some(hsts(days(365))));
    assert_eq!(site(&config, "c.example.org").hsts, Some(hsts(days(30))));
    let words = ["a", "b", "c"].map(|host| word(&site(&config, &format!("{host}.example.org"))));
    assert_eq!(words, ["auto", "internal", "on-demand"]);
    let nothing = site(&config, "*");
    assert!(nothing.tls.is_none() && nothing.hsts.is_none());
}

#[test]
fn what_is_said_of_the_authority_is_in_the_model() {
    let acme = load(EVERY_KEY).acme;
    assert_eq!(acme.directory.value, "https://ca.internal:14000/dir");
    assert_eq!(acme.contact, ["ops@example.com", "web@example.com"]);
    assert_eq!(acme.challenges, [Challenge::Http01, Challenge::TlsAlpn01]);
    assert_eq!(acme.key, KeyType::P384);
    let binding = acme.binding.unwrap();
    assert_eq!(binding.id, "kid-1");
    assert_eq!(binding.key, Secret::File("/etc/croupier/eab".into()));
    assert_eq!(acme.profile.as_deref(), Some("shortlived"));
    assert_eq!(acme.ask.unwrap().value, "http://127.0.0.1:9000/may-have");

    let acme = load("[site.\"shop.de\"]\ndeny = 403\n").acme;
    assert_eq!(
        acme.directory.value,
        croupier_config::model::Acme::DIRECTORY
    );
    assert_eq!(acme.challenges, [Challenge::TlsAlpn01, Challenge::Http01]);
}

#[test]
fn what_servers_are_spoken_to_is_in_the_model() {
    let config = load(EVERY_KEY);
    assert_eq!(config.server.proxy_protocol.len(), 2);
    assert_eq!(config.server.proxy_protocol[1].value, Trusted::Unix);
    let state = config
        .server
        .state
        .as_ref()
        .map(|state| state.value.clone());
    assert_eq!(state, Some("/var/lib/croupier".into()));
    let secure = config.pools.iter().find(|pool| pool.name.value == "secure");
    let secure = secure.unwrap();
    assert_eq!(secure.protocol, Protocol::Https);
    assert_eq!(secure.tls.ca.len(), 2);
    assert_eq!(secure.tls.name.as_ref().unwrap().value, "app.internal");
    assert!(secure.tls.verify && !secure.tls.http2);
    let header = secure.proxy_protocol.as_ref().unwrap();
    assert_eq!(header.version, ProxyVersion::V2);
    assert_eq!(header.tlvs.len(), 4);
    assert_eq!(header.tlvs[1], ProxyTlv::Authority);
    let orders = config.pools.iter().find(|pool| pool.name.value == "orders");
    let orders = orders.unwrap();
    assert_eq!(orders.protocol, Protocol::H2c);
    let service = "shop.Orders".to_owned();
    assert_eq!(
        orders.health.as_ref().unwrap().check,
        HealthCheck::Grpc { service }
    );
    for (written, version) in [("v1", ProxyVersion::V1), ("v2", ProxyVersion::V2)] {
        let config = load(&format!(
            "[pool.a]\nservers = [\"a:1\"]\nproxy_protocol = \"{written}\"\n[site.\"*\"]\npool = \"a\"\n"
        ));
        let header = config.pools[0].proxy_protocol.clone().unwrap();
        assert_eq!((header.version, header.tlvs.len()), (version, 0));
    }
}

#[test]
fn a_check_by_grpc_asks_for_the_whole_server_unless_a_service_is_named() {
    for health in ["\"grpc\"", "{ grpc = true }"] {
        for protocol in ["h2c", "https"] {
            let config = load(&format!(
                "[pool.a]\nservers = [\"a:1\"]\nprotocol = \"{protocol}\"\nhealth = {health}\n\
                 [site.\"*\"]\npool = \"a\"\n"
            ));
            let health = config.pools[0].health.as_ref().unwrap();
            let service = String::new();
            assert_eq!(health.check, HealthCheck::Grpc { service });
        }
    }
}

#[test]
fn a_scheme_makes_another_pool_of_the_same_servers() {
    let config = load(
        "[site.\"a.test\"]\nproxy = \"https://app.internal\"\n\
         [site.\"b.test\"]\nproxy = \"https://app.internal:443/\"\n\
         [site.\"c.test\"]\nproxy = \"app.internal:443\"\n\
         [site.\"d.test\"]\nproxy = \"http://app.internal:443\"\n\
         [site.\"e.test\"]\nproxy = [\"h2c://app.internal:443\", \"h2c://10.0.0.1:50051\"]\n",
    );
    let pool = |index: usize| -> &Pool {
        let Action::Pool(pool) = &config.sites[index].routes[0].action else {
            panic!("no pool");
        };
        config.pool(pool.value)
    };
    let names: Vec<&str> = (0..5).map(|index| pool(index).name.as_str()).collect();
    assert_eq!(
        names,
        [
            "https://app.internal:443",
            "https://app.internal:443",
            "app.internal:443",
            "app.internal:443",
            "h2c://app.internal:443,h2c://10.0.0.1:50051",
        ]
    );
    let spoken: Vec<Protocol> = config.pools.iter().map(|pool| pool.protocol).collect();
    assert_eq!(spoken, [Protocol::Https, Protocol::Http, Protocol::H2c]);
}
