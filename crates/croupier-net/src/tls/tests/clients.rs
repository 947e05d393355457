//! Clients that show who they are.

use std::{rc::Rc, sync::Arc};

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::version::{TLS12, TLS13};

use super::kit::{Accepted, Ca, Pem, believer, server, shake, showing, worker};
use crate::{
    error::NetError,
    local::Local,
    tls::{
        TlsError, TlsFailure,
        certs::Slot,
        client_auth::ClientAuthTerms,
        server::{Profile, ServerTerms, server_config},
        tickets::Tickets,
    },
};

fn terms(ca: &Ca) -> ClientAuthTerms {
    ClientAuthTerms {
        required: true,
        ca: vec![ca.pem()],
        crl: Vec::new(),
    }
}

fn list(ca: &Ca, revoked: u8, until: i32) -> Vec<u8> {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from_slice(&[revoked]),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params
        .signed_by(&ca.issuer)
        .unwrap()
        .pem()
        .unwrap()
        .into_bytes()
}

/// A site that asks by `terms`, and a client that shows `certificate`.
async fn visit(
    local: &Rc<Local>,
    house: &Ca,
    terms: ClientAuthTerms,
    certificate: Option<&Pem>,
) -> (Accepted, bool) {
    let pem = house.server(&["a.example"]);
    let config = server(&pem, Profile::Intermediate, Some(terms), &Tickets::new());
    let client = match certificate {
        Some(certificate) => showing(house, certificate),
        None => believer(house, &[&TLS13, &TLS12]),
    };
    let (accepted, connected) = shake(local, &config, &Arc::new(client), "a.example").await;
    (accepted, connected.is_ok())
}

fn failure(accepted: Accepted) -> TlsFailure {
    match accepted.err().unwrap() {
        NetError::Tls(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_a_client_is_is_read_from_its_certificate() {
    worker(async |local| {
        let (house, guild) = (Ca::new("house"), Ca::new("guild"));
        let mut asked = super::kit::params(&["ada.example"]);
        for san in [
            rcgen::SanType::URI("spiffe://example/ada".try_into().unwrap()),
            rcgen::SanType::Rfc822Name("ada@example.com".try_into().unwrap()),
        ] {
            asked.subject_alt_names.push(san);
        }
        asked.distinguished_name = rcgen::DistinguishedName::new();
        let mut push = |kind, value: &str| asked.distinguished_name.push(kind, value);
        push(rcgen::DnType::OrganizationName, "Tables, Ltd");
        push(rcgen::DnType::CommonName, " Ada=Lovelace,O=\"x\"\r\n");
        asked.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xff]));
        asked.not_after = date_time_ymd(2050, 1, 1);
        let ada = guild.sign(&asked);
        let (accepted, _) = visit(&local, &house, terms(&guild), Some(&ada)).await;
        let client = accepted.unwrap().1.client.unwrap();
        assert_eq!(
            client.subject,
            "CN=\\ Ada\\=Lovelace\\,O\\=\\\"x\\\"\\0D\\0A,O=Tables\\, Ltd"
        );
        assert_eq!(
            client.common_name.as_deref(),
            Some(" Ada=Lovelace,O=\"x\"\r\n")
        );
        assert_eq!(client.serial, "0aff");
        assert_eq!(client.fingerprint.len(), 64);
        assert_eq!(client.dns_names, ["ada.example"]);
        assert_eq!(client.uris, ["spiffe://example/ada"]);
        assert_eq!(client.emails, ["ada@example.com"]);
        assert_eq!(client.not_after, 2_524_608_000);
        assert_eq!(client.der, ada.certificate().leaf_der());
    });
}

#[test]
fn where_a_certificate_is_required_nobody_comes_in_without() {
    worker(async |local| {
        let (house, guild) = (Ca::new("house"), Ca::new("guild"));
        let (accepted, _) = visit(&local, &house, terms(&guild), None).await;
        assert_eq!(failure(accepted), TlsFailure::NoCertificate);
        let stranger = Ca::new("guild").client("eve", 1);
        let (accepted, _) = visit(&local, &house, terms(&guild), Some(&stranger)).await;
        assert!(matches!(
            failure(accepted),
            TlsFailure::UnknownAuthority | TlsFailure::BadCertificate
        ));
        let mut old = super::kit::params(&[]);
        old.not_before = date_time_ymd(2001, 1, 1);
        old.not_after = date_time_ymd(2002, 1, 1);
        let (accepted, _) = visit(&local, &house, terms(&guild), Some(&guild.sign(&old))).await;
        assert_eq!(failure(accepted), TlsFailure::Expired);
    });
}

#[test]
fn where_it_is_optional_one_without_comes_in_and_a_stranger_does_not() {
    worker(async |local| {
        let (house, guild) = (Ca::new("house"), Ca::new("guild"));
        let optional = || ClientAuthTerms {
            required: false,
            ..terms(&guild)
        };
        let (accepted, connected) = visit(&local, &house, optional(), None).await;
        assert!(accepted.unwrap().1.client.is_none() && connected);
        let (accepted, _) = visit(&local, &house, optional(), Some(&guild.client("ada", 1))).await;
        assert!(accepted.unwrap().1.client.is_some());
        let stranger = Ca::new("other guild").client("eve", 1);
        let (accepted, _) = visit(&local, &house, optional(), Some(&stranger)).await;
        assert_eq!(failure(accepted), TlsFailure::UnknownAuthority);
    });
}

#[test]
fn a_revoked_client_stays_outside_and_so_does_one_that_no_list_knows() {
    worker(async |local| {
        let (house, guild, other) = (Ca::new("house"), Ca::new("guild"), Ca::new("other guild"));
        let listed = |crl: Vec<u8>| ClientAuthTerms {
            required: true,
            ca: vec![guild.pem(), other.pem()],
            crl: vec![crl],
        };
        let (accepted, _) = visit(
            &local,
            &house,
            listed(list(&guild, 7, 2050)),
            Some(&guild.client("ada", 6)),
        )
        .await;
        assert!(accepted.is_ok());
        let (accepted, _) = visit(
            &local,
            &house,
            listed(list(&guild, 7, 2050)),
            Some(&guild.client("eve", 7)),
        )
        .await;
        assert_eq!(failure(accepted), TlsFailure::Revoked);
        let (accepted, _) = visit(
            &local,
            &house,
            listed(list(&guild, 7, 2050)),
            Some(&other.client("bob", 6)),
        )
        .await;
        assert_eq!(failure(accepted), TlsFailure::RevocationUnknown);
        let (accepted, _) = visit(
            &local,
            &house,
            listed(list(&guild, 7, 2025)),
            Some(&guild.client("ada", 6)),
        )
        .await;
        assert_eq!(failure(accepted), TlsFailure::RevocationListExpired);
    });
}

#[test]
fn nothing_that_can_not_be_read_lets_anybody_in() {
    let guild = Ca::new("guild");
    let garbled = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let no_list = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_vec();
    let cut = list(&guild, 1, 2050);
    let cut = cut[..cut.len() - 30].to_vec();
    type Pems = Vec<Vec<u8>>;
    let cases: Vec<(Pems, Pems)> = vec![
        (vec![], vec![]),
        (vec![vec![]], vec![]),
        (vec![guild.pem(), b"no PEM at all".to_vec()], vec![]),
        (vec![guild.pem(), garbled], vec![]),
        (vec![guild.pem()], vec![vec![]]),
        (vec![guild.pem()], vec![guild.pem()]),
        (vec![guild.pem()], vec![no_list]),
        (vec![guild.pem()], vec![list(&guild, 1, 2050), cut]),
    ];
    for (at, (ca, crl)) in cases.into_iter().enumerate() {
        let terms = ServerTerms {
            profile: Profile::Intermediate,
            client_auth: Some(ClientAuthTerms {
                required: false,
                ca,
                crl,
            }),
            tickets: Tickets::new(),
            slot: Slot::empty(),
        };
        let error = server_config(terms)
            .err()
            .unwrap_or_else(|| panic!("case {at}"));
        let is_said = matches!(
            error,
            TlsError::NoAuthority
                | TlsError::Authority(_)
                | TlsError::NoRevocationList
                | TlsError::RevocationList(_)
        );
        assert!(is_said, "case {at}: {error:?}");
    }
}
