//! Handshakes with clients: what is agreed on, and what is no hello.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::kit::{Ca, Pem, accept, believer, offer, pair, server, shake, worker};
use crate::{
    error::NetError,
    timers::NEVER,
    tls::{
        Alpn, TlsFailure,
        accept::hello,
        certs::Slot,
        server::{Profile, challenge_config},
        tickets::Tickets,
    },
    transport::Transport,
};

const BOTH: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn site() -> (Ca, Pem) {
    let ca = Ca::new("house");
    let pem = ca.server(&["a.example"]);
    (ca, pem)
}

#[test]
fn a_client_of_today_gets_tls_13_a_post_quantum_group_and_h2() {
    worker(async |local| {
        let (ca, pem) = site();
        let client = Arc::new(believer(&ca, &BOTH));
        let (accepted, connected) = shake(&local, &offer(&pem), &client, "A.example").await;
        connected.unwrap();
        let (_, secured) = accepted.unwrap();
        assert_eq!(secured.name.as_deref(), Some("a.example"));
        assert_eq!(
            (secured.version, secured.group),
            ("TLSv1.3", "X25519MLKEM768")
        );
        assert!(secured.cipher.starts_with("TLS_"), "{}", secured.cipher);
        assert_eq!((secured.alpn, secured.is_resumed), (Alpn::Http2, false));
        assert!(secured.client.is_none());
    });
}

#[test]
fn a_client_of_yesterday_gets_tls_12_with_forward_secrecy() {
    worker(async |local| {
        let (ca, pem) = site();
        let mut client = believer(&ca, &[&TLS12]);
        client.alpn_protocols.clear();
        let (accepted, _) = shake(&local, &offer(&pem), &Arc::new(client), "a.example").await;
        let (_, secured) = accepted.unwrap();
        assert_eq!(secured.version, "TLSv1.2");
        assert!(
            secured.cipher.starts_with("TLS_ECDHE_ECDSA_"),
            "{}",
            secured.cipher
        );
        assert_eq!(secured.alpn, Alpn::None);
    });
}

#[test]
fn the_modern_profile_refuses_tls_12() {
    worker(async |local| {
        let (ca, pem) = site();
        let modern = server(&pem, Profile::Modern, None, &Tickets::new());
        let client = Arc::new(believer(&ca, &[&TLS12]));
        let (accepted, connected) = shake(&local, &modern, &client, "a.example").await;
        let error = accepted.err().unwrap();
        assert!(
            matches!(error, NetError::Tls(TlsFailure::Incompatible)),
            "{error:?}"
        );
        assert!(
            connected
                .err()
                .unwrap()
                .to_string()
                .contains("ProtocolVersion")
        );
    });
}

#[test]
fn protocols_that_nobody_speaks_here_are_refused() {
    worker(async |local| {
        let (ca, pem) = site();
        let mut client = believer(&ca, &BOTH);
        client.alpn_protocols = vec![b"imap".to_vec()];
        let (accepted, connected) =
            shake(&local, &offer(&pem), &Arc::new(client), "a.example").await;
        let error = accepted.err().unwrap();
        assert!(
            matches!(error, NetError::Tls(TlsFailure::NoProtocol)),
            "{error:?}"
        );
        assert!(
            connected
                .err()
                .unwrap()
                .to_string()
                .contains("NoApplicationProtocol")
        );
    });
}

#[test]
fn who_validates_a_name_is_told_apart_and_speaks_nothing_else() {
    worker(async |local| {
        let (ca, pem) = site();
        let mut client = believer(&ca, &BOTH);
        client.alpn_protocols = vec![b"acme-tls/1".to_vec()];
        let (near, far) = pair().await;
        let name = ServerName::try_from("a.example").unwrap();
        let connecting = TlsConnector::from(Arc::new(client)).connect(name, far);
        let connecting = tokio::task::spawn_local(connecting);
        let timer = local.timers.timer();
        let hello = hello(Transport::Tcp(near), &[], &local, &timer, NEVER)
            .await
            .unwrap();
        assert!(hello.is_acme);
        let config = challenge_config(pem.certificate()).unwrap();
        let (_, secured) = hello.accept(config, &timer, NEVER).await.unwrap();
        assert_eq!(secured.name.as_deref(), Some("a.example"));
        let connected = connecting.await.unwrap().unwrap();
        assert_eq!(
            connected.get_ref().1.alpn_protocol(),
            Some(b"acme-tls/1".as_slice())
        );
    });
}

#[test]
fn a_client_that_names_nothing_or_an_address_has_no_name() {
    worker(async |local| {
        let ca = Ca::new("house");
        let pem = ca.server(&["127.0.0.1"]);
        let client = Arc::new(believer(&ca, &BOTH));
        let (accepted, connected) = shake(&local, &offer(&pem), &client, "127.0.0.1").await;
        connected.unwrap();
        assert_eq!(accepted.unwrap().1.name, None);
    });
}

/// Cuts its first message into records of one byte.
struct Crumbs {
    io: TcpStream,
    is_first: bool,
}

impl AsyncRead for Crumbs {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, room)
    }
}

impl AsyncWrite for Crumbs {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !std::mem::take(&mut this.is_first) {
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        }
        assert_eq!(bytes[0], 0x16);
        let crumbs: Vec<u8> = bytes[5..]
            .iter()
            .flat_map(|byte| [0x16, 3, 1, 0, 1, *byte])
            .collect();
        assert_eq!(this.io.try_write(&crumbs).unwrap(), crumbs.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[test]
fn a_hello_in_records_of_one_byte_is_read() {
    worker(async |local| {
        let (ca, pem) = site();
        let (near, io) = pair().await;
        let connector = TlsConnector::from(Arc::new(believer(&ca, &BOTH)));
        let name = ServerName::try_from("a.example").unwrap();
        let far = Crumbs { io, is_first: true };
        let far = tokio::task::spawn_local(async move {
            let mut stream = connector.connect(name, far).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.flush().await.unwrap();
            stream
        });
        let (mut io, secured) = accept(&local, Transport::Tcp(near), offer(&pem))
            .await
            .unwrap();
        assert_eq!(secured.name.as_deref(), Some("a.example"));
        let mut room = [0; 16];
        assert_eq!(super::kit::read(&mut io, &mut room).await.unwrap(), 5);
        drop(far.await.unwrap());
    });
}

#[test]
fn bytes_read_ahead_are_a_part_of_the_hello() {
    worker(async |local| {
        let (ca, pem) = site();
        let (mut near, far) = pair().await;
        let name = ServerName::try_from("a.example").unwrap();
        let connecting = TlsConnector::from(Arc::new(believer(&ca, &BOTH))).connect(name, far);
        let connecting = tokio::task::spawn_local(connecting);
        let timer = local.timers.timer();
        let mut ahead = [0; 1000];
        near.read_exact(&mut ahead).await.unwrap();
        let hello = hello(Transport::Tcp(near), &ahead, &local, &timer, NEVER)
            .await
            .unwrap();
        assert_eq!(hello.name.as_deref(), Some("a.example"));
        assert!(!hello.is_acme);
        hello.accept(offer(&pem), &timer, NEVER).await.unwrap();
        connecting.await.unwrap().unwrap();
    });
}

#[test]
fn what_is_no_hello_ends_at_once_and_is_told_so() {
    worker(async |local| {
        let timer = local.timers.timer();
        let cases: [(&[u8], TlsFailure); 4] = [
            (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", TlsFailure::NotTls),
            (
                b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
                TlsFailure::Protocol,
            ),
            (b"\x16\x03\x01\xff\xff\x01", TlsFailure::NotTls),
            (b"\x17\x03\x03\x00\x01\x00", TlsFailure::Protocol),
        ];
        for (bytes, expected) in cases {
            let (near, mut far) = pair().await;
            far.write_all(bytes).await.unwrap();
            let found = hello(Transport::Tcp(near), &[], &local, &timer, NEVER).await;
            let error = found.err().unwrap();
            assert!(
                matches!(error, NetError::Tls(why) if why == expected),
                "{bytes:?} {error:?}"
            );
            let mut answer = Vec::new();
            // Unread bytes make the close a reset.
            let _ = far.read_to_end(&mut answer).await;
            assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
        }
    });
}

#[test]
fn any_bytes_are_survived() {
    worker(async |local| {
        let (_, pem) = site();
        let config = offer(&pem);
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes: Vec<u8> = (0..random.usize(0..600)).map(|_| random.u8(..)).collect();
            if random.bool() && bytes.len() > 9 {
                let length = u16::try_from(bytes.len() - 5).unwrap().to_be_bytes();
                bytes[..9].copy_from_slice(&[
                    0x16, 3, 1, length[0], length[1], 1, 0, length[0], length[1],
                ]);
            }
            let (near, mut far) = pair().await;
            far.write_all(&bytes).await.unwrap();
            far.shutdown().await.unwrap();
            let found = accept(&local, Transport::Tcp(near), Arc::clone(&config)).await;
            assert!(found.is_err(), "{bytes:?}");
        }
    });
}

#[test]
fn a_hello_that_never_ends_is_cut_short() {
    worker(async |local| {
        let (near, mut far) = pair().await;
        let sending = tokio::task::spawn_local(async move {
            // A message of 64 KiB, a record of 1 KiB at a time.
            let mut message = vec![1, 0, 0xff, 0xff];
            message.resize(1024, 0);
            for _ in 0..64 {
                let record = [&[0x16, 3, 1, 4, 0][..], &message].concat();
                if far.write_all(&record).await.is_err() {
                    return;
                }
                message.fill(0);
            }
        });
        let timer = local.timers.timer();
        let found = hello(Transport::Tcp(near), &[], &local, &timer, NEVER).await;
        assert!(
            matches!(found, Err(NetError::Tls(TlsFailure::Protocol))),
            "{found:?}"
        );
        drop(found);
        sending.await.unwrap();
    });
}

#[test]
fn a_client_that_leaves_or_falls_silent_is_told_apart() {
    worker(async |local| {
        let (ca, pem) = site();
        let timer = local.timers.timer();
        let (near, far) = pair().await;
        drop(far);
        let found = hello(Transport::Tcp(near), &[], &local, &timer, NEVER).await;
        assert!(matches!(found, Err(NetError::Closed)), "{found:?}");

        let (near, mut far) = pair().await;
        far.write_all(b"\x16\x03\x01").await.unwrap();
        far.shutdown().await.unwrap();
        let found = hello(Transport::Tcp(near), &[], &local, &timer, NEVER).await;
        assert!(matches!(found, Err(NetError::Truncated)), "{found:?}");

        let (near, _far) = pair().await;
        local.timers.advance(10);
        let found = hello(Transport::Tcp(near), &[], &local, &timer, 10).await;
        assert!(matches!(found, Err(NetError::Timeout)), "{found:?}");

        // In the middle: a hello, and nothing more.
        let (near, far) = pair().await;
        let name = ServerName::try_from("a.example").unwrap();
        let connector = TlsConnector::from(Arc::new(believer(&ca, &BOTH)));
        let mut connecting = Box::pin(connector.connect(name, far));
        let timer = local.timers.timer();
        let hello = {
            let hello = hello(Transport::Tcp(near), &[], &local, &timer, NEVER);
            tokio::select! {
                biased;
                _ = &mut connecting => panic!("nobody answered"),
                hello = hello => hello.unwrap(),
            }
        };
        local.timers.advance(20);
        let found = hello.accept(offer(&pem), &timer, 20).await;
        assert!(matches!(found, Err(NetError::Timeout)), "{:?}", found.err());
    });
}

#[test]
fn a_name_without_a_certificate_is_refused_by_an_alert() {
    worker(async |local| {
        let (ca, pem) = site();
        let connector = TlsConnector::from(Arc::new(believer(&ca, &BOTH)));
        let name = || ServerName::try_from("a.example").unwrap();
        let (near, far) = pair().await;
        let connecting = tokio::task::spawn_local(connector.connect(name(), far));
        let timer = local.timers.timer();
        let said = hello(Transport::Tcp(near), &[], &local, &timer, NEVER)
            .await
            .unwrap();
        said.refuse();
        let error = connecting.await.unwrap().err().unwrap();
        assert!(error.to_string().contains("UnrecognisedName"), "{error}");

        // Nobody asked, and the slot is empty.
        let slot = Slot::empty();
        let terms = crate::tls::server::ServerTerms {
            profile: Profile::Intermediate,
            client_auth: None,
            tickets: Tickets::new(),
            slot: Arc::clone(&slot),
        };
        let config = crate::tls::server::server_config(terms).unwrap();
        let client = Arc::new(believer(&ca, &BOTH));
        let (accepted, _) = shake(&local, &config, &client, "a.example").await;
        let error = accepted.err().unwrap();
        assert!(
            matches!(error, NetError::Tls(TlsFailure::NothingToShow)),
            "{error:?}"
        );
        slot.set(pem.certificate());
        let (accepted, _) = shake(&local, &config, &client, "a.example").await;
        accepted.unwrap();
    });
}
