//! A peer that cuts its own messages into pieces, with the keys of the session in its hands.

use std::{future::poll_fn, sync::Arc};

use aws_lc_rs::aead;
use rustls::{ConnectionTrafficSecrets, version::TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::kit::{Ca, believer, offer, pair, read, shake_over, worker, write};
use crate::transport::Transport;

/// Seals records one by one.
struct Sealer {
    key: aead::LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Sealer {
    fn seal(&mut self, content: &[u8], kind: u8) -> Vec<u8> {
        let mut nonce = self.iv;
        for (byte, of_sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= of_sequence;
        }
        self.sequence += 1;
        let mut inner = [content, &[kind]].concat();
        let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let header = [0x17, 3, 3, length[0], length[1]];
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, aead::Aad::from(header), &mut inner)
            .unwrap();
        [&header[..], &inner].concat()
    }
}

const DATA: u8 = 23;
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

async fn joined(local: &std::rc::Rc<crate::Local>) -> (Transport, TcpStream, Sealer) {
    let ca = Ca::new("house");
    let config = offer(&ca.server(&["a.example"]));
    let mut client = believer(&ca, &[&TLS13]);
    client.enable_secret_extraction = true;
    let (near, far) = pair().await;
    let client = Arc::new(client);
    let (accepted, connected) = shake_over(local, &config, &client, "a.example", near, far).await;
    let (below, session) = connected.unwrap().into_inner();
    let secrets = session.dangerous_extract_secrets().unwrap();
    let (sequence, secrets) = secrets.tx;
    let (algorithm, key, iv) = match &secrets {
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
        _ => panic!("another suite"),
    };
    let key = aead::UnboundKey::new(algorithm, key.as_ref()).unwrap();
    let sealer = Sealer {
        key: aead::LessSafeKey::new(key),
        iv: iv.as_ref().try_into().unwrap(),
        sequence,
    };
    (accepted.unwrap().0, below, sealer)
}

#[test]
fn half_a_message_from_the_peer_does_not_keep_us_from_sending() {
    worker(async |local| {
        let (mut near, mut far, mut sealer) = joined(&local).await;
        let mut room = [0; 50];
        // Data, then the first bytes of a key update, in one segment.
        let bytes = [
            sealer.seal(&[7; 100], DATA),
            sealer.seal(&[24, 0], HANDSHAKE),
        ]
        .concat();
        far.write_all(&bytes).await.unwrap();
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 50);
        write(&mut near, b"between").await.unwrap();
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 50);
        write(&mut near, b"between").await.unwrap();
        // The half is looked at now, and stays.
        assert!(near.try_read(&mut room).is_err());
        for _ in 0..3 {
            write(&mut near, b"between").await.unwrap();
            assert!(near.try_read(&mut room).is_err());
        }
        // Its other bytes, in records of their own; then data under the old keys is none.
        far.write_all(&sealer.seal(&[0, 1], HANDSHAKE))
            .await
            .unwrap();
        poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
        assert!(near.try_read(&mut room).is_err());
        write(&mut near, b"between").await.unwrap();
        far.write_all(&sealer.seal(&[1], HANDSHAKE)).await.unwrap();
        poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
        let waits = near.try_read(&mut room).unwrap_err();
        assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
        write(&mut near, b"after").await.unwrap();
        far.write_all(&sealer.seal(b"old keys", DATA))
            .await
            .unwrap();
        let error = read(&mut near, &mut room).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    });
}

#[test]
fn data_within_a_message_breaks_the_connection() {
    worker(async |local| {
        let (mut near, mut far, mut sealer) = joined(&local).await;
        let bytes = [sealer.seal(&[24, 0], HANDSHAKE), sealer.seal(b"data", DATA)].concat();
        far.write_all(&bytes).await.unwrap();
        let error = read(&mut near, &mut [0; 50]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    });
}

#[test]
fn what_comes_behind_a_farewell_is_not_heard() {
    worker(async |local| {
        let (mut near, mut far, mut sealer) = joined(&local).await;
        let bytes = [
            sealer.seal(b"last", DATA),
            sealer.seal(&[1, 0], ALERT),
            sealer.seal(b"late", DATA),
            b"and noise".to_vec(),
        ];
        far.write_all(&bytes.concat()).await.unwrap();
        let mut room = [0; 50];
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 4);
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 0);
        assert!(!near.is_cut());
        write(&mut near, b"heard").await.unwrap();
        near.shutdown_write().unwrap();
        assert!(far.read(&mut room).await.unwrap() > 0);
    });
}

#[test]
fn empty_records_and_long_messages_have_bounds() {
    worker(async |local| {
        let (mut near, mut far, mut sealer) = joined(&local).await;
        let empty: Vec<u8> = (0..200).flat_map(|_| sealer.seal(&[], DATA)).collect();
        far.write_all(&empty).await.unwrap();
        let error = read(&mut near, &mut [0; 50]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);

        // A message that says it has 16 MB.
        let (mut near, mut far, mut sealer) = joined(&local).await;
        far.write_all(&sealer.seal(&[24, 0xff, 0xff, 0xff], HANDSHAKE))
            .await
            .unwrap();
        let error = read(&mut near, &mut [0; 50]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    });
}
