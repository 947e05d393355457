//! Certificates from a real ACME authority: Let's Encrypt's `pebble`, whose DNS says that every
//! name is this machine.

use std::net::SocketAddr;
use std::path::Path;

use croupier_testkit::{
    pebble::{Pebble, PebbleOptions, directory, free_port},
    tls::TlsClient,
    wait_until,
};

use crate::prelude::*;

/// How long an order may take on a busy machine: a few requests and a handshake back.
const ORDER_TIME: std::time::Duration = std::time::Duration::from_secs(60);

/// One story's authority and proxy: where they are is known before they start.
struct Scene {
    /// Of the proxy; the authority looks here for both kinds of proof.
    port: u16,
    authority_port: u16,
    launch: croupier_testkit::Launch,
}

impl Scene {
    fn new() -> Self {
        Self {
            port: free_port(),
            authority_port: free_port(),
            launch: Proxy::with_binary(env!("CARGO_BIN_EXE_croupier")),
        }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.launch.directory().join("authority")
    }

    /// The authority; `None` skips the story.
    fn authority(&self, options: PebbleOptions) -> Option<Pebble> {
        let options = PebbleOptions {
            http_port: if options.http_port == 0 {
                self.port
            } else {
                options.http_port
            },
            tls_port: if options.tls_port == 0 {
                self.port
            } else {
                options.tls_port
            },
            ..options
        };
        Pebble::start(&self.folder(), self.authority_port, &options)
    }

    fn config(&self, acme: &str, sites: &str) -> String {
        config(self.port, self.authority_port, acme, sites)
    }
}

fn config(port: u16, authority_port: u16, acme: &str, sites: &str) -> String {
    let directory = directory(authority_port);
    format!(
        "[server]\nlisten = [\"127.0.0.1:{port}\"]\nmetrics = \"127.0.0.1:0\"\nstate = \"state\"\n\n\
         [acme]\ndirectory = \"{directory}\"\nca = \"authority/pebble-ca.pem\"\n{acme}\n\n{sites}\n"
    )
}

const SITE: &str = "[site.\"shop.example\"]\naliases = [\"www.shop.example\"]\ntls = \"auto\"\n\
                    respond = { status = 200, body = \"hello\" }\n";

/// The certificate that the proxy shows for a name; empty when there is none.
fn shown(address: SocketAddr, name: &str) -> Vec<u8> {
    let client = TlsClient::credulous().try_connect(address, name);
    client.map_or_else(|_| Vec::new(), |client| client.shaken().certificate.clone())
}

#[track_caller]
fn wait_for_certificate(proxy: &Proxy, name: &str) -> Vec<u8> {
    let address = proxy.address();
    let is_there = wait_until(ORDER_TIME, || !shown(address, name).is_empty());
    assert!(
        is_there,
        "no certificate for {name}: {}",
        proxy.log_lines().join("\n")
    );
    shown(address, name)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn issues_by(challenge: &str) {
    let scene = Scene::new();
    let Some(authority) = scene.authority(PebbleOptions {
        // Some requests are refused at first, as a busy authority does.
        bad_nonces: 15,
        ..PebbleOptions::default()
    }) else {
        return;
    };
    let config = scene.config(&format!("challenges = [\"{challenge}\"]"), SITE);
    let proxy = scene.launch.start(&config);
    let certificate = wait_for_certificate(&proxy, "shop.example");
    assert!(holds(&certificate, "Pebble Intermediate CA"));
    for name in ["shop.example", "www.shop.example"] {
        assert!(holds(&certificate, name), "{name} is not in it");
    }
    let mut client = TlsClient::credulous().connect(proxy.address(), "www.shop.example");
    assert_eq!(client.get("/").text(), "hello");
    let line = proxy.wait_for_log(|line| line.contains("certificate.issued"));
    assert!(line.contains("shop.example www.shop.example"), "{line}");
    let expiry =
        "croupier_certificate_expiry_timestamp_seconds{site=\"shop.example\",source=\"acme\"}";
    assert!(metric(&proxy, expiry) > 1.7e9);
    let renewals = "croupier_certificate_renewals_total{source=\"acme\",result=\"success\"}";
    assert!((metric(&proxy, renewals) - 1.0).abs() < 0.1);
    let asked = authority.lines().join("\n");
    assert!(
        asked.contains(challenge) || asked.to_lowercase().contains("challenge"),
        "{asked}"
    );
    // What is kept is for us alone.
    let key = find(&proxy.directory().join("state"), ".pem");
    let mode = std::os::unix::fs::PermissionsExt::mode(&key.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "{}", key.display());
}

/// The only file below a folder whose name ends so.
#[track_caller]
fn find(folder: &Path, end: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end) {
                return path;
            }
        }
    }
    panic!("no {end} below {}", folder.display());
}

#[test]
fn a_site_gets_its_certificate_by_http_01() {
    issues_by("http-01");
}

#[test]
fn a_site_gets_its_certificate_by_tls_alpn_01() {
    issues_by("tls-alpn-01");
}

#[test]
fn a_certificate_renews_itself_and_no_handshake_fails_meanwhile() {
    let scene = Scene::new();
    let options = PebbleOptions {
        life: Some(12),
        ..PebbleOptions::default()
    };
    let Some(_authority) = scene.authority(options) else {
        return;
    };
    let config = scene.config("", SITE);
    let proxy = scene.launch.start(&config);
    let first = wait_for_certificate(&proxy, "shop.example");
    let mut failed = 0;
    let renewed = wait_until(ORDER_TIME, || {
        let now = shown(proxy.address(), "shop.example");
        failed += usize::from(now.is_empty());
        !now.is_empty() && now != first
    });
    assert!(
        renewed,
        "it was not renewed: {}",
        proxy.log_lines().join("\n")
    );
    assert_eq!(failed, 0, "handshakes failed");
}

#[test]
fn after_a_restart_the_certificate_is_there_at_once_even_without_the_authority() {
    let scene = Scene::new();
    let Some(authority) = scene.authority(PebbleOptions::default()) else {
        return;
    };
    let (port, authority_port) = (scene.port, scene.authority_port);
    let text = scene.config("", SITE);
    let mut proxy = scene.launch.start(&text);
    let first = wait_for_certificate(&proxy, "shop.example");
    drop(authority);
    // Another process with the same state directory.
    let state = proxy.directory().join("state");
    let ca = std::fs::read(proxy.directory().join("authority/pebble-ca.pem")).unwrap();
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let text = config(free_port(), authority_port, "", SITE).replace(
        "state = \"state\"",
        &format!("state = \"{}\"", state.display()),
    );
    let second = launch.file("authority/pebble-ca.pem", ca).start(&text);
    assert_eq!(shown(second.address(), "shop.example"), first);
    assert!(proxy.is_running() && port == proxy.address().port());
}

#[test]
fn an_authority_that_is_down_costs_only_what_it_would_have_brought() {
    let scene = Scene::new();
    let Some(authority) = scene.authority(PebbleOptions::default()) else {
        return;
    };
    let nowhere = free_port();
    let sites =
        format!("{SITE}\n[site.\"plain.example\"]\ntls = \"off\"\nrespond = {{ status = 204 }}\n");
    let (port, authority_port) = (scene.port, scene.authority_port);
    let proxy = scene.launch.start(&config(port, nowhere, "", &sites));
    let line = proxy.wait_for_log(|line| line.contains("certificate.order.failed"));
    assert!(
        line.contains("refused") && line.contains("acme.directory"),
        "{line}"
    );
    assert!(shown(proxy.address(), "shop.example").is_empty());
    let mut plain = Client::connect(proxy.address()).host("plain.example");
    assert_eq!(plain.get("/").status, 204);
    let expiry =
        "croupier_certificate_expiry_timestamp_seconds{site=\"shop.example\",source=\"acme\"}";
    assert!(metric(&proxy, expiry).abs() < 0.1);

    // Whoever mends the config need not wait.
    proxy.reload(&config(port, authority_port, "", &sites));
    let certificate = wait_for_certificate(&proxy, "shop.example");
    // And once there is one, it stays whatever becomes of the authority.
    drop(authority);
    proxy.reload(&config(port, nowhere, "", &sites));
    proxy.wait_for_log_after(proxy.log_lines().len() - 1, |_| true);
    assert_eq!(shown(proxy.address(), "shop.example"), certificate);
}

#[test]
fn when_one_way_to_prove_a_name_fails_the_next_is_tried() {
    let scene = Scene::new();
    let options = PebbleOptions {
        // Nobody answers there.
        tls_port: free_port(),
        ..PebbleOptions::default()
    };
    let Some(_authority) = scene.authority(options) else {
        return;
    };
    let config = scene.config("challenges = [\"tls-alpn-01\", \"http-01\"]", SITE);
    let proxy = scene.launch.start(&config);
    let certificate = wait_for_certificate(&proxy, "shop.example");
    assert!(holds(&certificate, "Pebble Intermediate CA"));
}

#[test]
fn an_authority_that_refuses_is_quoted_with_what_to_do() {
    let scene = Scene::new();
    let options = PebbleOptions {
        blocked: vec!["blocked.example".into()],
        ..PebbleOptions::default()
    };
    let Some(_authority) = scene.authority(options) else {
        return;
    };
    let sites = format!(
        "{SITE}\n[site.\"blocked.example\"]\ntls = \"auto\"\nrespond = {{ status = 204 }}\n"
    );
    let config = scene.config("", &sites);
    let proxy = scene.launch.start(&config);
    let line = proxy.wait_for_log(|line| line.contains("certificate.order.failed"));
    assert!(
        line.contains("blocked.example") && line.contains("rejectedIdentifier"),
        "{line}"
    );
    assert!(
        line.contains("does not give certificates for such a name"),
        "{line}"
    );
    wait_for_certificate(&proxy, "shop.example");
}

#[test]
fn an_authority_that_wants_an_account_binding_gets_it() {
    let scene = Scene::new();
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let options = PebbleOptions {
        binding: Some(("kid-1".into(), key.into())),
        ..PebbleOptions::default()
    };
    let Some(_authority) = scene.authority(options) else {
        return;
    };
    let without = scene.config("", SITE);
    let with = scene.config(
        &format!("binding = {{ id = \"kid-1\", key = \"{key}\" }}"),
        SITE,
    );
    let proxy = scene.launch.start(&without);
    let line = proxy.wait_for_log(|line| line.contains("certificate.order.failed"));
    assert!(line.contains("acme.binding"), "{line}");
    proxy.reload(&with);
    wait_for_certificate(&proxy, "shop.example");
    let log = proxy.log_lines().join("\n");
    assert!(!log.contains(key), "a secret in the log");
}

#[test]
fn a_name_on_demand_gets_a_certificate_when_whoever_is_asked_says_yes() {
    let scene = Scene::new();
    let Some(_authority) = scene.authority(PebbleOptions::default()) else {
        return;
    };
    let asked = Origin::start(|request| {
        let is_known = request.target.ends_with("domain=customer.example");
        Reply::empty(if is_known { 200 } else { 403 })
    });
    let acme = format!("ask = \"http://{}/may-have\"", asked.address());
    let site = "[site.\"*\"]\ntls = \"on-demand\"\nrespond = { status = 200, body = \"hello\" }\n";
    let config = scene.config(&acme, site);
    let proxy = scene.launch.start(&config);
    let certificate = wait_for_certificate(&proxy, "customer.example");
    assert!(holds(&certificate, "customer.example"));
    assert!(shown(proxy.address(), "stranger.example").is_empty());
    assert!(shown(proxy.address(), "stranger.example").is_empty());
    proxy.wait_for_log(|line| line.contains("on_demand.refused"));
    let questions: Vec<_> = asked
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    let of = |name: &str| {
        questions
            .iter()
            .filter(|target| target.ends_with(name))
            .count()
    };
    assert_eq!(
        of("stranger.example"),
        1,
        "a no is remembered: {questions:?}"
    );
    assert_eq!(of("customer.example"), 1, "{questions:?}");
}

#[test]
fn a_challenge_is_answered_for_pending_orders_only() {
    let scene = Scene::new();
    let Some(_authority) = scene.authority(PebbleOptions::default()) else {
        return;
    };
    let config = scene.config("", SITE);
    let proxy = scene.launch.start(&config);
    wait_for_certificate(&proxy, "shop.example");
    let mut client = Client::connect(proxy.address()).host("shop.example");
    let answer = client.get("/.well-known/acme-challenge/anything");
    assert!(answer.status != 200, "{}", answer.status);
    let client = TlsClient::credulous().alpn(&["acme-tls/1"]);
    assert!(client.try_connect(proxy.address(), "shop.example").is_err());
}

#[test]
fn a_contact_that_changes_is_told_to_the_authority_once() {
    let scene = Scene::new();
    let Some(_authority) = scene.authority(PebbleOptions::default()) else {
        return;
    };
    let by = |mail: &str| scene.config(&format!("contact = [\"{mail}\"]"), SITE);
    let (first, second) = (by("a@example.com"), by("b@example.com"));
    let proxy = scene.launch.start(&first);
    let certificate = wait_for_certificate(&proxy, "shop.example");
    let told = |proxy: &Proxy| {
        let lines = proxy.log_lines().into_iter();
        lines
            .filter(|line| line.contains("acme.account.contact"))
            .count()
    };
    assert_eq!(told(&proxy), 0, "whoever makes an account has told it");
    proxy.reload(&second);
    let line = proxy.wait_for_log(|line| line.contains("acme.account.contact"));
    assert!(!line.contains("failed"), "{line}");
    let state = proxy.directory().join("state");
    let kept = std::fs::read_to_string(find(&state, "account.contact")).unwrap();
    assert_eq!(kept, "mailto:b@example.com");
    // The account is the same, and what it brought stays.
    assert_eq!(shown(proxy.address(), "shop.example"), certificate);
    let created = |line: &String| line.contains("acme.account.created");
    assert_eq!(
        proxy
            .log_lines()
            .iter()
            .filter(|line| created(line))
            .count(),
        1
    );
}

#[test]
fn a_restart_does_not_forget_that_orders_fail() {
    let scene = Scene::new();
    let Some(authority) = scene.authority(PebbleOptions::default()) else {
        return;
    };
    drop(authority);
    let nowhere = free_port();
    let first = scene.launch.start(&config(scene.port, nowhere, "", SITE));
    first.wait_for_log(|line| line.contains("certificate.order.failed"));
    let state = first.directory().join("state");
    let kept = find(&state, ".failed");
    assert!(std::fs::read_to_string(kept).unwrap().starts_with("1 "));
    let ca = std::fs::read(first.directory().join("authority/pebble-ca.pem")).unwrap();
    let text = config(free_port(), nowhere, "", SITE).replace(
        "state = \"state\"",
        &format!("state = \"{}\"", state.display()),
    );
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let second = launch.file("authority/pebble-ca.pem", ca).start(&text);
    let line = second.wait_for_log(|line| line.contains("certificate.order.waits"));
    assert!(
        line.contains("failures=1") && line.contains("reload"),
        "{line}"
    );
    assert!(shown(second.address(), "shop.example").is_empty());
    let failed = |line: &String| line.contains("certificate.order.failed");
    assert!(
        !second.log_lines().iter().any(failed),
        "it was ordered again at once"
    );
    // Other terms are somebody's work: nobody waits for them.
    second.reload(&text.replace("[acme]", "[acme]\ncontact = [\"a@example.com\"]"));
    second.wait_for_log(|line| failed(&line.to_owned()));
}
