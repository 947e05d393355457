//! Origins, and whom of them we believe.

use std::{rc::Rc, sync::Arc};

use rcgen::{CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, server::WebPkiClientVerifier};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::kit::{Ca, Pem, offer, pair, params, read, worker, write};
use crate::{
    error::NetError,
    local::Local,
    timers::NEVER,
    tls::{
        Alpn, TlsError, TlsFailure,
        connect::{OriginTerms, OriginTls, connect, origin_tls},
        provider,
    },
    transport::Transport,
};

fn believing(ca: &Ca) -> OriginTerms {
    OriginTerms {
        ca: vec![ca.pem()],
        client: None,
        verify: true,
        http2: true,
    }
}

struct Visit {
    alpn: Alpn,
    was_resumed: bool,
    saw_client: bool,
}

/// Connects, has a word with the origin, and takes tickets along.
async fn visit(
    local: &Rc<Local>,
    tls: &OriginTls,
    name: &str,
    origin: &Arc<ServerConfig>,
) -> Result<Visit, NetError> {
    let (near, far) = pair().await;
    let acceptor = TlsAcceptor::from(Arc::clone(origin));
    let far = tokio::task::spawn_local(async move {
        let mut stream = acceptor.accept(far).await.ok()?;
        let mut word = [0; 5];
        stream.read_exact(&mut word).await.ok()?;
        stream.write_all(&word).await.ok()?;
        stream.flush().await.ok()?;
        let session = stream.get_ref().1;
        let facts = (
            session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            session.peer_certificates().is_some(),
        );
        Some(facts)
    });
    let timer = local.timers.timer();
    let connected = connect(Transport::Tcp(near), tls, name, local, &timer, NEVER).await;
    let (mut io, alpn) = connected?;
    write(&mut io, b"hello").await?;
    let mut word = [0; 5];
    let count = read(&mut io, &mut word).await?;
    if count < 5 {
        return Err(NetError::Truncated);
    }
    let (was_resumed, saw_client) = far.await.unwrap().ok_or(NetError::Closed)?;
    Ok(Visit {
        alpn,
        was_resumed,
        saw_client,
    })
}

async fn failure(
    local: &Rc<Local>,
    terms: &OriginTerms,
    name: &str,
    pem: &Pem,
) -> Option<TlsFailure> {
    let tls = origin_tls(terms).unwrap();
    match visit(local, &tls, name, &offer(pem)).await {
        Ok(_) => None,
        Err(NetError::Tls(failure)) => Some(failure),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn an_origin_is_believed_by_name_and_by_address() {
    worker(async |local| {
        let ca = Ca::new("house");
        let pem = ca.server(&["a.example", "*.b.example", "192.0.2.1", "2001:db8::1"]);
        let names = [
            "a.example",
            "A.EXAMPLE",
            "a.example.",
            "x.b.example",
            "192.0.2.1",
            "2001:db8::1",
            "[2001:db8::1]",
        ];
        for name in names {
            assert_eq!(
                failure(&local, &believing(&ca), name, &pem).await,
                None,
                "{name}"
            );
        }
        for name in [
            "b.example",
            "x.y.b.example",
            "a.example.com",
            "192.0.2.2",
            "[2001:db8::2]",
        ] {
            let found = failure(&local, &believing(&ca), name, &pem).await;
            assert_eq!(found, Some(TlsFailure::WrongName), "{name}");
        }
        for name in ["", "a b", "a_b..c", "[a.example]"] {
            let found = failure(&local, &believing(&ca), name, &pem).await;
            assert_eq!(found, Some(TlsFailure::BadName), "{name}");
        }
    });
}

#[test]
fn why_an_origin_is_not_believed_is_said() {
    worker(async |local| {
        let ca = Ca::new("house");
        let dated = |from, until| {
            let mut asked = params(&["a.example"]);
            asked.not_before = date_time_ymd(from, 1, 1);
            asked.not_after = date_time_ymd(until, 1, 1);
            ca.sign(&asked)
        };
        let alone = |is_ca: IsCa| {
            let mut asked: CertificateParams = params(&["a.example"]);
            asked.is_ca = is_ca;
            let key = KeyPair::generate().unwrap();
            Pem {
                chain: asked.self_signed(&key).unwrap().pem(),
                key: key.serialize_pem(),
            }
        };
        let mut purpose = params(&["a.example"]);
        purpose.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let cases = [
            (dated(2001, 2002), TlsFailure::Expired),
            (dated(2100, 2101), TlsFailure::NotYetValid),
            (alone(IsCa::NoCa), TlsFailure::UnknownAuthority),
            (
                alone(IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
                TlsFailure::AuthorityAsPeer,
            ),
            (
                Ca::new("elsewhere").server(&["a.example"]),
                TlsFailure::UnknownAuthority,
            ),
            (ca.sign(&purpose), TlsFailure::WrongPurpose),
            (ca.server(&[]), TlsFailure::WrongName),
        ];
        for (pem, expected) in cases {
            let found = failure(&local, &believing(&ca), "a.example", &pem).await;
            assert_eq!(found, Some(expected));
            // Whoever said so in the config talks to it all the same.
            let anybody = OriginTerms {
                verify: false,
                ..believing(&ca)
            };
            assert_eq!(
                failure(&local, &anybody, "a.example", &pem).await,
                None,
                "{expected:?}"
            );
        }
        // By the platform's authorities, or those we bring along, the house is nobody.
        let platform = OriginTerms {
            ca: Vec::new(),
            ..believing(&ca)
        };
        let found = failure(&local, &platform, "a.example", &ca.server(&["a.example"])).await;
        assert_eq!(found, Some(TlsFailure::UnknownAuthority));
    });
}

#[test]
fn a_certificate_that_was_given_is_believed_though_it_is_an_authoritys() {
    worker(async |local| {
        let alone = |until| {
            let mut asked = params(&["a.example"]);
            asked.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            asked.not_after = date_time_ymd(until, 1, 1);
            let key = KeyPair::generate().unwrap();
            Pem {
                chain: asked.self_signed(&key).unwrap().pem(),
                key: key.serialize_pem(),
            }
        };
        let given = |pem: &Pem| OriginTerms {
            ca: vec![pem.both().0],
            ..believing(&Ca::new("house"))
        };
        let (good, old, other) = (alone(2050), alone(2002), alone(2050));
        let cases = [
            (given(&good), "a.example", &good, None),
            (
                given(&good),
                "b.example",
                &good,
                Some(TlsFailure::WrongName),
            ),
            (given(&old), "a.example", &old, Some(TlsFailure::Expired)),
            (
                given(&good),
                "a.example",
                &other,
                Some(TlsFailure::AuthorityAsPeer),
            ),
        ];
        for (terms, name, shown, expected) in cases {
            assert_eq!(failure(&local, &terms, name, shown).await, expected);
        }
    });
}

#[test]
fn an_origin_that_does_not_speak_tls_is_told_apart() {
    worker(async |local| {
        let ca = Ca::new("house");
        let tls = origin_tls(&believing(&ca)).unwrap();
        let timer = local.timers.timer();
        for (answer, expected) in [
            (
                b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
                Some(TlsFailure::NotTls),
            ),
            (b"\x15\x03\x03\x00\x02\x02\x28", Some(TlsFailure::Alert(40))),
            (b"", None),
        ] {
            let (near, mut far) = pair().await;
            let answering = tokio::task::spawn_local(async move {
                let mut hello = [0; 100];
                far.read_exact(&mut hello).await.unwrap();
                far.write_all(answer).await.unwrap();
                far.shutdown().await.unwrap();
                far
            });
            let connected = connect(
                Transport::Tcp(near),
                &tls,
                "a.example",
                &local,
                &timer,
                NEVER,
            )
            .await;
            match (connected.err().unwrap(), expected) {
                (NetError::Tls(found), Some(expected)) => assert_eq!(found, expected),
                (NetError::Closed | NetError::Truncated, None) => {}
                other => panic!("{other:?}"),
            }
            drop(answering.await.unwrap());
        }
        local.timers.advance(5);
        let (near, _far) = pair().await;
        let connected = connect(Transport::Tcp(near), &tls, "a.example", &local, &timer, 5).await;
        assert!(matches!(connected, Err(NetError::Timeout)));
    });
}

#[test]
fn h2_is_spoken_when_both_want_it() {
    worker(async |local| {
        let ca = Ca::new("house");
        let pem = ca.server(&["a.example"]);
        let mut old = (*offer(&pem)).clone();
        old.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut silent = old.clone();
        silent.alpn_protocols = Vec::new();
        let (new, old, silent) = (offer(&pem), Arc::new(old), Arc::new(silent));
        let h2 = origin_tls(&believing(&ca)).unwrap();
        let h1 = origin_tls(&OriginTerms {
            http2: false,
            ..believing(&ca)
        })
        .unwrap();
        let cases = [
            (&h2, &new, Alpn::Http2),
            (&h2, &old, Alpn::Http1),
            (&h2, &silent, Alpn::None),
            (&h1, &new, Alpn::Http1),
        ];
        for (tls, origin, expected) in cases {
            let visit = visit(&local, tls, "a.example", origin).await.unwrap();
            assert_eq!(visit.alpn, expected);
        }
    });
}

#[test]
fn an_origin_that_asks_for_our_certificate_gets_it() {
    worker(async |local| {
        let (ca, guild) = (Ca::new("house"), Ca::new("guild"));
        let pem = ca.server(&["a.example"]);
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(guild.roots()),
            Arc::clone(provider()),
        );
        let (chain, key) = pem.both();
        let chain = super::super::certs::read_chain(&chain).unwrap();
        let key = super::super::certs::read_key(&key).unwrap();
        let origin = ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        let origin = Arc::new(origin);
        let ours = guild.client("croupier", 3);
        let terms = OriginTerms {
            client: Some(ours.both()),
            ..believing(&ca)
        };
        let tls = origin_tls(&terms).unwrap();
        assert!(
            visit(&local, &tls, "a.example", &origin)
                .await
                .unwrap()
                .saw_client
        );
        // Without one the origin's refusal comes behind the handshake (RFC 8446 section 4.4.2.4).
        let tls = origin_tls(&believing(&ca)).unwrap();
        assert!(visit(&local, &tls, "a.example", &origin).await.is_err());
        let wrong = OriginTerms {
            client: Some((ours.both().0, pem.both().1)),
            ..believing(&ca)
        };
        assert!(matches!(origin_tls(&wrong), Err(TlsError::Certificate(_))));
        let nobody = OriginTerms {
            ca: vec![Vec::new()],
            ..believing(&ca)
        };
        assert_eq!(origin_tls(&nobody).err(), Some(TlsError::NoAuthority));
    });
}

#[test]
fn sessions_are_resumed_within_one_pool_and_one_name_only() {
    worker(async |local| {
        let ca = Ca::new("house");
        let origin = offer(&ca.server(&["a.example", "b.example"]));
        let tls = origin_tls(&believing(&ca)).unwrap();
        assert!(
            !visit(&local, &tls, "a.example", &origin)
                .await
                .unwrap()
                .was_resumed
        );
        assert!(
            visit(&local, &tls, "a.example", &origin)
                .await
                .unwrap()
                .was_resumed
        );
        assert!(
            !visit(&local, &tls, "b.example", &origin)
                .await
                .unwrap()
                .was_resumed
        );
        let other = origin_tls(&believing(&ca)).unwrap();
        assert!(
            !visit(&local, &other, "a.example", &origin)
                .await
                .unwrap()
                .was_resumed
        );
    });
}
