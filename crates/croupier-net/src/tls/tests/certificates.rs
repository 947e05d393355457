//! Certificates, names, and the slot between control and handshakes.

use std::sync::Arc;

use rcgen::{KeyPair, SanType};

use super::kit::{Ca, Pem, params, worker};
use crate::tls::{Certificate, CertificateError, certs::Slot, server::Names};

fn read(chain: &str, key: &str) -> Result<Certificate, CertificateError> {
    Certificate::from_pem(chain.as_bytes(), key.as_bytes())
}

#[test]
fn names_are_those_of_the_extension_and_nothing_else() {
    let ca = Ca::new("house");
    let mut asked = params(&[
        "Shop.Example.com",
        "*.example.org",
        "192.0.2.1",
        "2001:db8::1",
    ]);
    asked
        .subject_alt_names
        .push(SanType::URI("https://x.example".try_into().unwrap()));
    let certificate = ca.sign(&asked).certificate();
    assert_eq!(
        certificate.names(),
        [
            "shop.example.com",
            "*.example.org",
            "192.0.2.1",
            "2001:db8::1"
        ]
    );
    assert_eq!(certificate.issuer(), "CN=house");
    let covered = [
        "shop.example.com",
        "shop.example.com.",
        "a.example.org",
        "192.0.2.1",
        "[2001:db8::1]",
        "2001:db8:0::1",
    ];
    for host in covered {
        assert!(certificate.covers(host), "{host}");
    }
    let not_covered = [
        "a table",
        "example.com",
        "a.shop.example.com",
        "example.org",
        "a.b.example.org",
        ".example.org",
        "*.example.com",
        "192.0.2.2",
        "[2001:db8::2]",
        "",
    ];
    for host in not_covered {
        assert!(!certificate.covers(host), "{host}");
    }
}

#[test]
fn a_certificate_without_the_extension_covers_nothing() {
    let certificate = Ca::new("house").server(&[]).certificate();
    assert!(certificate.names().is_empty());
    assert!(!certificate.covers("a table"));
}

#[test]
fn an_expired_certificate_is_read_and_says_so() {
    let mut asked = params(&["a.example"]);
    asked.not_before = rcgen::date_time_ymd(2001, 9, 9);
    asked.not_after = rcgen::date_time_ymd(2009, 2, 13);
    let certificate = Ca::new("house").sign(&asked).certificate();
    assert_eq!(
        (certificate.not_before(), certificate.not_after()),
        (999_993_600, 1_234_483_200)
    );
}

#[test]
fn keys_come_in_three_forms_and_in_the_same_file() {
    let ca = Ca::new("house");
    let Pem { chain, key } = ca.server(&["a.example"]);
    let one_file = format!("{key}{chain}{}", ca.issuer.pem());
    assert!(read(&one_file, &one_file).is_ok());
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let chain = params(&["a.example"])
        .signed_by(&rsa, &ca.issuer)
        .unwrap()
        .pem();
    assert!(read(&chain, &rsa.serialize_pem()).is_ok());
    let curve = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let chain = params(&["a.example"])
        .signed_by(&curve, &ca.issuer)
        .unwrap()
        .pem();
    assert!(read(&chain, &curve.serialize_pem()).is_ok());
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let ca = Ca::new("house");
    let Pem { chain, key } = ca.server(&["a.example"]);
    let other = ca.server(&["b.example"]);
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unknown = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let late = format!("{}{chain}", ca.issuer.pem());
    let half = &chain[..chain.len() - 20];
    let cases = [
        (
            "",
            key.as_str(),
            "there is no certificate in the file; expected PEM with `-----BEGIN CERTIFICATE-----`",
        ),
        (
            &key,
            &key,
            "there is no certificate in the file; expected PEM with `-----BEGIN CERTIFICATE-----`",
        ),
        (
            &chain,
            "",
            "there is no private key in the file; expected PEM with `-----BEGIN PRIVATE KEY-----`",
        ),
        (
            &chain,
            &chain,
            "there is no private key in the file; expected PEM with `-----BEGIN PRIVATE KEY-----`",
        ),
        (
            &chain,
            locked,
            "the private key is locked with a pass phrase; unlock it with `openssl pkey -in locked.key -out unlocked.key` and protect the file by its permissions",
        ),
        (
            &chain,
            old,
            "the private key is locked with a pass phrase; unlock it with `openssl pkey -in locked.key -out unlocked.key` and protect the file by its permissions",
        ),
        (
            half,
            &key,
            "the file is not PEM: an `-----END` line is missing",
        ),
        (broken, &key, "certificate 1 of the file can not be read"),
        (
            &chain,
            unknown,
            "the private key can not be used; expected RSA of 2048 bits or more, ECDSA on P-256, P-384 or P-521, or Ed25519",
        ),
        (
            &chain,
            &other.key,
            "the private key does not belong to the certificate",
        ),
        (
            &late,
            &key,
            "the private key belongs to certificate 2 of the file; the server's own certificate must come first",
        ),
    ];
    for (chain, key, expected) in cases {
        let error = read(chain, key).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_key_is_never_shown() {
    let pem = Ca::new("house").server(&["a.example"]);
    let shown = format!("{:?}", pem.certificate());
    assert_eq!(shown, "Certificate { names: [\"a.example\"], .. }");
    let slot = Slot::empty();
    slot.set(pem.certificate());
    let line = pem.key.lines().nth(1).unwrap();
    assert!(!format!("{slot:?}").contains(line));
}

#[test]
fn who_waits_for_a_certificate_gets_it_when_it_comes() {
    worker(async |_| {
        let slot = Slot::empty();
        assert!(slot.get().is_none());
        let waiting = tokio::spawn({
            let slot = Arc::clone(&slot);
            async move { slot.filled().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let certificate = Ca::new("house").server(&["a.example"]).certificate();
        slot.set(Arc::clone(&certificate));
        waiting.await.unwrap();
        slot.filled().await;
        assert!(Arc::ptr_eq(&slot.get().unwrap(), &certificate));
    });
}

#[test]
fn a_name_finds_the_closest_entry() {
    let mut names = Names::default();
    assert!(names.is_empty() && names.find(Some("a")).is_none());
    for (name, value) in [
        ("*.example.com", 1),
        ("a.example.com", 2),
        ("*.b.example.com", 3),
        ("*", 4),
        ("*", 5),
    ] {
        names.add(name, value);
    }
    let cases = [
        (Some("a.example.com"), 2),
        (Some("x.example.com"), 1),
        (Some("x.b.example.com"), 3),
        (Some("x.y.b.example.com"), 3),
        (Some("x.y.example.com"), 1),
        (Some("example.com"), 4),
        (Some(""), 4),
        (None, 4),
    ];
    for (name, expected) in cases {
        assert_eq!(names.find(name), Some(&expected), "{name:?}");
    }
    assert_eq!(names.known("example.com"), None);
    assert_eq!(names.values().count(), 4);
}
