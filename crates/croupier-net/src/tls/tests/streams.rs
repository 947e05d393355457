//! What a transport promises, over TLS.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use croupier_http::{
    BodyLen, Method, ResponseHead,
    h1::{chunked::ChunkLimits, scan::HeadLimits},
};
use rustls::version::{TLS12, TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::client;

use super::kit::{Ca, believer, noise, offer, pair, pair_with, read, shake_over, worker, write};
use crate::{
    error::NetError,
    local::Local,
    origin::{OriginConn, h1::OriginLimits},
    side::{Sink as _, Source as _},
    transport::Transport,
};

type Far = client::TlsStream<TcpStream>;

async fn joined(local: &Rc<Local>) -> (Transport, Far) {
    let (near, far) = pair().await;
    joined_over(local, near, far, &TLS13).await
}

async fn joined_over(
    local: &Rc<Local>,
    near: TcpStream,
    far: TcpStream,
    version: &'static rustls::SupportedProtocolVersion,
) -> (Transport, Far) {
    let ca = Ca::new("house");
    let config = offer(&ca.server(&["a.example"]));
    let client = Arc::new(believer(&ca, &[version]));
    let (accepted, connected) = shake_over(local, &config, &client, "a.example", near, far).await;
    (accepted.unwrap().0, connected.unwrap())
}

/// Sends back whatever comes, and ends when the peer does.
async fn echo(mut io: Transport) -> io::Result<Transport> {
    let mut room = vec![0; 40_000];
    loop {
        let count = read(&mut io, &mut room).await?;
        if count == 0 {
            return Ok(io);
        }
        write(&mut io, &room[..count]).await?;
    }
}

#[test]
fn a_large_body_goes_both_ways_through_small_buffers() {
    for version in [&TLS13, &TLS12] {
        worker(async |local| {
            let (near, far) = pair_with(Some(4096)).await;
            let (near, far) = joined_over(&local, near, far, version).await;
            let body = noise(3 << 20);
            let echoing = tokio::task::spawn_local(echo(near));
            let (mut from, mut to) = tokio::io::split(far);
            let sent = body.clone();
            let sending = tokio::task::spawn_local(async move {
                to.write_all(&sent).await.unwrap();
                to.flush().await.unwrap();
                to
            });
            let mut back = vec![0; body.len()];
            from.read_exact(&mut back).await.unwrap();
            assert!(back == body);
            let mut to = sending.await.unwrap();
            to.shutdown().await.unwrap();
            let mut near = echoing.await.unwrap().unwrap();
            assert!(!near.is_cut());
            poll_fn(|cx| near.poll_shutdown(cx)).await.unwrap();
            assert_eq!(from.read(&mut back).await.unwrap(), 0);
        });
    }
}

#[test]
fn nothing_more_is_taken_than_the_socket_and_one_block_hold() {
    worker(async |local| {
        let (near, far) = pair_with(Some(4096)).await;
        let (mut near, mut far) = joined_over(&local, near, far, &TLS13).await;
        let body = noise(1 << 20);
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = 0;
        while let Poll::Ready(count) = near.poll_write(&mut cx, &body[taken..]) {
            taken += count.unwrap();
        }
        assert!((1..300_000).contains(&taken), "{taken}");
        assert!(near.poll_flush(&mut cx).is_pending() && !near.is_flushed());
        // Whoever waits for the socket is woken and nothing is lost.
        let reading = tokio::task::spawn_local(async move {
            let mut got = vec![0; taken];
            far.read_exact(&mut got).await.unwrap();
            (got, far)
        });
        poll_fn(|cx| near.poll_flush(cx)).await.unwrap();
        assert!(near.is_flushed());
        assert!(reading.await.unwrap().0 == body[..taken]);
    });
}

#[test]
fn plaintext_that_waits_inside_is_readable() {
    worker(async |local| {
        let (mut near, mut far) = joined(&local).await;
        let mut cx = Context::from_waker(Waker::noop());
        let words = noise(20_000);
        far.write_all(&words).await.unwrap();
        far.flush().await.unwrap();
        let mut got = Vec::new();
        let mut room = [0; 700];
        let first = read(&mut near, &mut room).await.unwrap();
        got.extend_from_slice(&room[..first]);
        while got.len() < words.len() {
            // The first record has been read from the socket: no event will come for it.
            if got.len() < 16_000 {
                assert!(near.poll_readable(&mut cx).is_ready(), "{}", got.len());
                assert!(!near.peek_is_empty());
            }
            if got.len().is_multiple_of(3) {
                let _ = near.try_read(&mut []);
            }
            let count = near.try_read(&mut room);
            match count {
                Ok(count) => got.extend_from_slice(&room[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
                }
            }
        }
        assert!(got == words);
        assert_eq!(
            near.try_read(&mut room).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(near.poll_readable(&mut cx).is_pending() && near.peek_is_empty());
    });
}

#[test]
fn a_connection_at_rest_holds_no_block() {
    worker(async |local| {
        let (near, far) = joined(&local).await;
        let Transport::Tls(mut near) = near else {
            panic!("plain")
        };
        let mut far = far;
        let mut room = [0; 100];
        for _ in 0..3 {
            far.write_all(b"question").await.unwrap();
            far.flush().await.unwrap();
            assert_eq!(
                poll_fn(|cx| near.poll_read(cx, &mut room)).await.unwrap(),
                8
            );
            let pieces = [io::IoSlice::new(b"answer")];
            assert_eq!(poll_fn(|cx| near.poll_write(cx, &pieces)).await.unwrap(), 6);
            far.read_exact(&mut room[..6]).await.unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(near.poll_readable(&mut cx).is_pending());
            assert!(near.poll_read(&mut cx, &mut room).is_pending());
            assert!(!near.holds_blocks());
        }
        assert!(Transport::Tls(near).unwatch().is_err());
    });
}

#[test]
fn who_says_farewell_is_whole_and_who_does_not_is_cut() {
    worker(async |local| {
        let mut room = [0; 16];
        let (mut near, mut far) = joined(&local).await;
        far.write_all(b"bye").await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 3);
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 0);
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 0);
        assert!(!near.is_cut());
        // It may still be answered.
        write(&mut near, b"farewell").await.unwrap();
        far.read_exact(&mut room[..8]).await.unwrap();
        near.shutdown_write().unwrap();
        assert_eq!(far.read(&mut room).await.unwrap(), 0);

        let (mut near, mut far) = joined(&local).await;
        far.write_all(b"by").await.unwrap();
        far.flush().await.unwrap();
        drop(far);
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 2);
        assert_eq!(read(&mut near, &mut room).await.unwrap(), 0);
        assert!(near.is_cut());
    });
}

#[test]
fn our_farewell_is_heard_and_so_is_its_absence() {
    worker(async |local| {
        let mut room = [0; 16];
        let (mut near, mut far) = joined(&local).await;
        write(&mut near, b"all").await.unwrap();
        near.say_farewell();
        let late = poll_fn(|cx| near.poll_write(cx, b"more")).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(near);
        far.read_exact(&mut room[..3]).await.unwrap();
        assert_eq!(far.read(&mut room).await.unwrap(), 0);

        let (mut near, mut far) = joined(&local).await;
        write(&mut near, b"not all").await.unwrap();
        drop(near);
        far.read_exact(&mut room[..7]).await.unwrap();
        let error = far.read(&mut room).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_farewell_waits_for_what_was_sent_before() {
    worker(async |local| {
        let (near, far) = pair_with(Some(4096)).await;
        let (mut near, mut far) = joined_over(&local, near, far, &TLS13).await;
        let body = noise(200_000);
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = 0;
        while let Poll::Ready(count) = near.poll_write(&mut cx, &body[taken..]) {
            taken += count.unwrap();
            if taken == body.len() {
                break;
            }
        }
        near.shutdown_write().unwrap();
        assert!(!near.is_flushed());
        let reading = tokio::task::spawn_local(async move {
            let mut got = Vec::new();
            far.read_to_end(&mut got).await.unwrap();
            got
        });
        poll_fn(|cx| near.poll_shutdown(cx)).await.unwrap();
        assert!(reading.await.unwrap() == body[..taken]);
    });
}

#[test]
fn bytes_that_are_no_records_break_the_connection_and_the_peer_hears_why() {
    worker(async |local| {
        let (mut near, far) = joined(&local).await;
        let (mut below, mut session) = far.into_inner();
        below.write_all(&[0x17, 3, 3, 0, 32]).await.unwrap();
        below.write_all(&[7; 32]).await.unwrap();
        let mut room = [0; 16];
        for _ in 0..2 {
            let error = read(&mut near, &mut room).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let mut answer = vec![0; 4096];
        let count = below.read(&mut answer).await.unwrap();
        session.read_tls(&mut &answer[..count]).unwrap();
        let error = session.process_new_packets().unwrap_err();
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    });
}

#[test]
fn keys_are_changed_while_data_goes_both_ways() {
    worker(async |local| {
        let (mut near, mut far) = joined(&local).await;
        let mut room = [0; 16];
        for _ in 0..5 {
            far.get_mut().1.refresh_traffic_keys().unwrap();
            far.write_all(b"ask").await.unwrap();
            far.flush().await.unwrap();
            assert_eq!(read(&mut near, &mut room).await.unwrap(), 3);
            write(&mut near, b"tell").await.unwrap();
            far.read_exact(&mut room[..4]).await.unwrap();
        }
        // A change that comes alone is answered with the next data.
        far.get_mut().1.refresh_traffic_keys().unwrap();
        far.flush().await.unwrap();
        poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
        assert_eq!(
            near.try_read(&mut room).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        write(&mut near, b"tell").await.unwrap();
        far.read_exact(&mut room[..4]).await.unwrap();
    });
}

#[test]
fn data_may_be_sent_while_received_records_wait() {
    worker(async |local| {
        let (mut near, mut far) = joined(&local).await;
        let words = noise(3000);
        for word in words.chunks(100) {
            far.write_all(word).await.unwrap();
            far.flush().await.unwrap();
        }
        let mut got = vec![0; 50];
        assert_eq!(read(&mut near, &mut got).await.unwrap(), 50);
        write(&mut near, b"meanwhile").await.unwrap();
        let mut room = [0; 9];
        far.read_exact(&mut room).await.unwrap();
        assert_eq!(&room, b"meanwhile");
        while got.len() < words.len() {
            let mut more = [0; 333];
            let count = read(&mut near, &mut more).await.unwrap();
            got.extend_from_slice(&more[..count]);
            write(&mut near, b"and then").await.unwrap();
        }
        assert!(got == words);
    });
}

const LIMITS: OriginLimits = OriginLimits {
    head: HeadLimits {
        head_bytes: 4096,
        target_bytes: 4096,
        fields: 16,
        field_bytes: 4096,
    },
    chunks: ChunkLimits {
        line_bytes: 64,
        trailer_bytes: 64,
        trailers: 4,
    },
    h2: crate::h2::H2Limits {
        streams: 4,
        requests: 100,
        window: 65_536,
        stream_window: 65_536,
        resets: 10,
        control_frames: 100,
    },
};

/// A body that ends with its connection.
async fn download(near: Transport, local: &Rc<Local>) -> Result<usize, NetError> {
    let mut origin = OriginConn::new(near, local, &LIMITS);
    origin.send_encoded(b"GET / HTTP/1.1\r\nhost: a\r\n", BodyLen::None);
    poll_fn(|cx| origin.poll_finish(cx, None)).await?;
    let mut response = ResponseHead::default();
    let body = poll_fn(|cx| origin.poll_head(cx, Method::Get, &LIMITS, &mut response)).await?;
    assert_eq!(body, BodyLen::UntilClose);
    let mut total = 0;
    loop {
        let count = poll_fn(|cx| origin.poll_data(cx)).await?;
        if count == 0 {
            return Ok(total);
        }
        assert!(origin.raw_is_none());
        origin.consume(count);
        total += count;
    }
}

trait RawIsNone {
    fn raw_is_none(&mut self) -> bool;
}

impl RawIsNone for OriginConn {
    fn raw_is_none(&mut self) -> bool {
        crate::side::Source::raw(self).is_none()
    }
}

#[test]
fn a_body_that_ends_with_its_connection_is_whole_only_after_a_farewell() {
    for says_farewell in [true, false] {
        worker(async |local| {
            let (near, mut far) = joined(&local).await;
            let body = noise(300_000);
            let answering = tokio::task::spawn_local(async move {
                let mut request = [0; 27];
                far.read_exact(&mut request).await.unwrap();
                assert!(request.ends_with(b"host: a\r\n\r\n"));
                far.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                far.write_all(&body).await.unwrap();
                far.flush().await.unwrap();
                if says_farewell {
                    far.shutdown().await.unwrap();
                }
            });
            let got = download(near, &local).await;
            answering.await.unwrap();
            if says_farewell {
                assert_eq!(got.unwrap(), 300_000);
            } else {
                assert!(matches!(got, Err(NetError::Truncated)), "{got:?}");
            }
        });
    }
}

#[test]
fn an_idle_connection_is_quiet_even_when_tickets_come() {
    worker(async |local| {
        let (near, far) = joined(&local).await;
        drop(near);
        drop(far);
        // We are the client, the far end sends tickets with its first data.
        let ca = Ca::new("house");
        let (near, far) = pair().await;
        let pem = ca.server(&["a.example"]);
        let config = offer(&pem);
        let accepting = tokio::task::spawn_local(async move {
            tokio_rustls::TlsAcceptor::from(config)
                .accept(far)
                .await
                .unwrap()
        });
        let terms = crate::tls::connect::OriginTerms {
            ca: vec![ca.pem()],
            client: None,
            verify: true,
            http2: false,
        };
        let tls = crate::tls::connect::origin_tls(&terms).unwrap();
        let timer = local.timers.timer();
        let near = Transport::Tcp(near);
        let connected = crate::tls::connect::connect(
            near,
            &tls,
            "a.example",
            &local,
            &timer,
            crate::timers::NEVER,
        );
        let (io, _) = connected.await.unwrap();
        let mut far = accepting.await.unwrap();
        let origin = OriginConn::new(io, &local, &LIMITS);
        // The tickets arrive while nobody asked for anything.
        poll_fn(|cx| origin.wire.io.poll_readable(cx))
            .await
            .unwrap();
        assert!(origin.is_quiet() && origin.is_surely_quiet());
        far.write_all(b"HTTP/1.1 408 Request Timeout\r\n")
            .await
            .unwrap();
        far.flush().await.unwrap();
        poll_fn(|cx| origin.wire.io.poll_readable(cx))
            .await
            .unwrap();
        assert!(!origin.is_quiet());
        let mut origin = origin;
        let _ = poll_fn(|cx| origin.poll_flush(cx)).await;
        assert!(origin.into_spare().is_none());
    });
}

#[test]
fn a_tunnel_carries_everything_through_small_buffers_and_ends_on_both_sides() {
    worker(async |local| {
        let body = noise(1 << 20);
        let mut ends = Vec::new();
        let mut fars = Vec::new();
        for _ in 0..2 {
            let (near, far) = pair_with(Some(4096)).await;
            let (near, far) = joined_over(&local, near, far, &TLS13).await;
            ends.push(OriginConn::new(near, &local, &LIMITS));
            fars.push(far);
        }
        let mut fars = fars.into_iter().map(|far| {
            let body = body.clone();
            tokio::task::spawn_local(async move {
                let (mut from, mut to) = tokio::io::split(far);
                let sending = async {
                    to.write_all(&body).await.unwrap();
                    to.shutdown().await.unwrap();
                };
                let mut got = Vec::new();
                let reading = from.read_to_end(&mut got);
                let ((), count) = tokio::join!(sending, reading);
                assert_eq!(count.unwrap(), body.len());
                assert!(got == body);
            })
        });
        let (one, other) = (fars.next().unwrap(), fars.next().unwrap());
        let [client, origin] = &mut ends[..] else {
            panic!("two")
        };
        let mut tunnel = crate::tunnel::Tunnel::new(client, origin);
        poll_fn(|cx| tunnel.poll_run(cx)).await.unwrap();
        assert_eq!(tunnel.moved, (1 << 20, 1 << 20));
        one.await.unwrap();
        other.await.unwrap();
    });
}
