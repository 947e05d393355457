//! Certificates in files that change under way, and those of our own authority.

use std::path::Path;

use croupier_testkit::{
    tls::{Authority, Issued, TlsClient},
    wait_until,
};

use crate::prelude::*;

fn authority() -> Authority {
    Authority::new("an authority of this test")
}

fn put(folder: &Path, name: &str, text: &str) {
    // As most tools do it: never in place.
    let new = folder.join(format!("{name}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, folder.join(name)).unwrap();
}

/// The certificate that the proxy shows for a name; empty when there is none.
fn shown(proxy: &Proxy, name: &str) -> Vec<u8> {
    let client = TlsClient::credulous().try_connect(proxy.address(), name);
    client.map_or_else(|_| Vec::new(), |client| client.shaken().certificate.clone())
}

fn front(issued: &Issued, name: &str) -> Proxy {
    Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"))
        .file("site.pem", &issued.certificate)
        .file("site.key", &issued.key)
        .start(&site_config(name))
}

fn site_config(name: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\nstate = \"state\"\n\n\
         [site.\"{name}\"]\ntls = {{ certificate = \"site.pem\", key = \"site.key\" }}\n\
         respond = {{ status = 200, body = \"hello\" }}\n"
    )
}

const FILES_FAILURE: &str =
    "croupier_certificate_renewals_total{source=\"files\",result=\"failure\"}";

#[test]
fn a_new_pair_of_files_is_shown_without_a_reload() {
    let authority = authority();
    let (first, second) = (
        authority.issue(&["a.example"]),
        authority.issue(&["a.example"]),
    );
    let proxy = front(&first, "a.example");
    let before = shown(&proxy, "a.example");
    assert!(!before.is_empty());
    // The key a moment after the certificate, as two writes are.
    put(proxy.directory(), "site.pem", &second.certificate);
    put(proxy.directory(), "site.key", &second.key);
    let mut failed = 0;
    let is_new = wait_until(SOON, || {
        let now = shown(&proxy, "a.example");
        failed += usize::from(now.is_empty());
        !now.is_empty() && now != before
    });
    assert!(is_new, "the old one is still shown");
    assert_eq!(failed, 0, "handshakes failed");
    let mut client = TlsClient::credulous().connect(proxy.address(), "a.example");
    assert_eq!(client.get("/").text(), "hello");
}

#[test]
fn a_broken_new_file_keeps_the_old_certificate_and_is_told_once() {
    let authority = authority();
    let issued = authority.issue(&["a.example"]);
    let proxy = front(&issued, "a.example");
    let before = shown(&proxy, "a.example");
    put(proxy.directory(), "site.pem", "this is no certificate\n");
    let line = proxy.wait_for_log(|line| line.contains("certificate.files.broken"));
    assert!(
        line.contains("site.pem") && line.contains("the certificate in use stays"),
        "{line}"
    );
    assert_eq!(shown(&proxy, "a.example"), before);
    // A key of another certificate.
    put(proxy.directory(), "site.pem", &issued.certificate);
    put(
        proxy.directory(),
        "site.key",
        &authority.issue(&["a.example"]).key,
    );
    let count = proxy.log_lines().len();
    let line = proxy.wait_for_log_after(count - 1, |line| line.contains("does not belong"));
    assert!(line.contains("site.key"), "{line}");
    assert_eq!(shown(&proxy, "a.example"), before);
    let told = |proxy: &Proxy| {
        let lines = proxy.log_lines();
        lines
            .iter()
            .filter(|line| line.contains("certificate.files.broken"))
            .count()
    };
    assert_eq!(told(&proxy), 2, "once for each");
    assert!(metric(&proxy, FILES_FAILURE) >= 2.0);
}

#[test]
fn a_site_without_its_file_fails_alone() {
    let issued = authority().issue(&["a.example"]);
    let config = format!(
        "{}\n[site.\"b.example\"]\ntls = {{ certificate = \"missing.pem\" }}\nrespond = {{ status = 204 }}\n",
        site_config("a.example")
    );
    let proxy = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"))
        .file("site.pem", &issued.certificate)
        .file("site.key", &issued.key)
        .start(&config);
    let line = proxy.wait_for_log(|line| line.contains("certificate.files.broken"));
    assert!(
        line.contains("missing.pem") && line.contains("create the file"),
        "{line}"
    );
    assert!(!shown(&proxy, "a.example").is_empty());
    assert!(shown(&proxy, "b.example").is_empty());
    let of = |site: &str| {
        format!("croupier_certificate_expiry_timestamp_seconds{{site=\"{site}\",source=\"files\"}}")
    };
    assert!(metric(&proxy, &of("a.example")) > 1.7e9);
    assert!(metric(&proxy, &of("b.example")).abs() < 0.1);
    // It comes late.
    let late = authority().issue(&["b.example"]);
    put(
        proxy.directory(),
        "missing.pem",
        &format!("{}{}", late.key, late.certificate),
    );
    assert!(wait_until(SOON, || !shown(&proxy, "b.example").is_empty()));
}

#[test]
fn a_certificate_whose_time_is_over_is_shown_and_complained_of() {
    let issued = Authority::new("old").issue_expired(&["a.example"]);
    let proxy = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"))
        .file("site.pem", &issued.certificate)
        .file("site.key", &issued.key)
        .start(&site_config("a.example"));
    let line = proxy.wait_for_log(|line| line.contains("certificate.expired"));
    assert!(
        line.contains("site=a.example") && line.contains("2021-01-01"),
        "{line}"
    );
    assert_eq!(shown(&proxy, "a.example"), issued.der);
}

#[test]
fn our_own_authority_is_kept_and_says_how_to_trust_it() {
    let config = "[server]\nlisten = [\"127.0.0.1:0\"]\nstate = \"state\"\n\n\
                  [site.localhost]\naliases = [\"127.0.0.1\", \"app.internal\"]\n\
                  tls = \"internal\"\nrespond = { status = 200, body = \"hello\" }\n";
    let proxy = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier")).start(config);
    let line = proxy.wait_for_log(|line| line.contains("authority.internal"));
    assert!(
        line.contains("update-ca-certificates") && line.contains("--cacert"),
        "{line}"
    );
    let folder = proxy.directory().join("state/authority");
    let root = std::fs::read_to_string(folder.join("root.crt")).unwrap();
    let client = TlsClient::trusting_pem(&root);
    for name in ["localhost", "127.0.0.1", "app.internal"] {
        assert_eq!(
            client.connect(proxy.address(), name).get("/").text(),
            "hello",
            "{name}"
        );
    }
    let mode = |name: &str| {
        let found = folder.join(name).metadata().unwrap();
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777
    };
    assert_eq!((mode("root.key"), mode(".")), (0o600, 0o700));
    // Another process with the same state: whoever trusts the root need not do so again.
    let state = proxy.directory().join("state");
    let config = config.replace("\"state\"", &format!("{:?}", state.display().to_string()));
    let second = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier")).start(&config);
    assert_eq!(
        client
            .connect(second.address(), "localhost")
            .get("/")
            .text(),
        "hello"
    );
}

#[test]
fn without_a_place_for_state_our_own_authority_lives_as_long_as_the_process() {
    let config = "[server]\nlisten = [\"127.0.0.1:0\"]\nstate = \"file\"\n\n\
                  [acme]\ndirectory = \"https://127.0.0.1:1/dir\"\n\n\
                  [site.localhost]\ntls = \"internal\"\nrespond = { status = 204 }\n\n\
                  [site.\"shop.example\"]\ntls = \"auto\"\nrespond = { status = 204 }\n";
    let proxy = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"))
        .file("file", "not a directory")
        .start(config);
    let line = proxy.wait_for_log(|line| line.contains("authority.not_kept"));
    assert!(line.contains("server.state"), "{line}");
    let line = proxy.wait_for_log(|line| line.contains("state.unusable"));
    assert!(line.contains("no certificates are ordered"), "{line}");
    assert!(!shown(&proxy, "localhost").is_empty());
    assert!(shown(&proxy, "shop.example").is_empty());
}
