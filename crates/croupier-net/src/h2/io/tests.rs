//! What the library writes: when it leaves, what is noticed, and that nothing is kept.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Buf as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite as _},
    net::{TcpSocket, TcpStream},
};

use super::{Below, H2Io, With};
use crate::{
    buffers::{Buffer, Size},
    h2::{outbox::FULL, piece::Piece},
    local::Local,
    side::Given,
    transport::Transport,
};

/// Runs a story on a worker's kind of runtime, over a pair of sockets with small buffers.
fn over_a_pair(story: impl AsyncFnOnce(Rc<Local>, H2Io, Rc<Below>, TcpStream)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(tokio::runtime::LocalOptions::default());
    runtime.unwrap().block_on(async {
        let (socket, other) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
        for socket in [&socket, &other] {
            socket.set_send_buffer_size(4096).unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
        }
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = tokio::spawn(other.connect(address));
        let (near, _) = listener.accept().await.unwrap();
        let far = connecting.await.unwrap().unwrap();
        let local = Rc::<Local>::default();
        let (io, below) = H2Io::new(Transport::Tcp(near), Vec::new(), &local, With::Client, 10);
        tokio::time::timeout(Duration::from_secs(30), story(local, io, below, far))
            .await
            .expect("a story that ends");
    });
}

fn write(io: &mut H2Io, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    Pin::new(io).poll_write(cx, bytes)
}

async fn end_turn(below: &Below) {
    poll_fn(|cx| {
        below.send(cx);
        Poll::Ready(())
    })
    .await;
}

fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn what_a_turn_writes_leaves_at_its_end() {
    over_a_pair(async |local, mut io, below, mut far| {
        let mut cx = nobody();
        for _ in 0..3 {
            assert!(matches!(
                write(&mut io, &mut cx, b"frame"),
                Poll::Ready(Ok(5))
            ));
            assert!(Pin::new(&mut io).poll_flush(&mut cx).is_ready());
        }
        assert!(below.holds_output());
        assert_eq!(local.client_traffic.take(), (0, 0));
        end_turn(&below).await;
        assert_eq!(local.client_traffic.take(), (0, 15));
        assert!(!below.holds_output(), "an idle connection holds nothing");
        let mut room = [0; 15];
        far.read_exact(&mut room).await.unwrap();
        assert_eq!(&room, b"frameframeframe");
    });
}

#[test]
fn a_peer_that_takes_nothing_is_noticed_and_no_more_is_taken_for_it() {
    over_a_pair(async |local, mut io, below, mut far| {
        local.timers.advance(7);
        let mut taken = 0;
        poll_fn(|cx| {
            while let Poll::Ready(written) = write(&mut io, cx, &[7; 16 << 10]) {
                taken += written.unwrap();
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(below.stuck(), Some(7));
        let sent = local.client_traffic.take().1;
        assert!(taken as u64 - sent < (FULL + (16 << 10)) as u64);
        // It is still noticed when the turn ends, and the time is that of the first.
        local.timers.advance(9);
        end_turn(&below).await;
        assert_eq!(below.stuck(), Some(7));
        let mut room = vec![0; taken];
        let reading = far.read_exact(&mut room);
        let sending = poll_fn(|cx| {
            below.send(cx);
            match below.stuck() {
                Some(_) => Poll::Pending,
                None => Poll::Ready(()),
            }
        });
        let (read, ()) = tokio::join!(reading, sending);
        assert_eq!(read.unwrap(), taken);
        assert!(!below.holds_output());
    });
}

#[test]
fn the_library_hears_of_a_write_that_failed() {
    over_a_pair(async |_, mut io, below, far| {
        far.set_zero_linger().unwrap();
        drop(far);
        let error = poll_fn(|cx| {
            let _ = write(&mut io, cx, b"frame");
            below.send(cx);
            match Pin::new(&mut io).poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(error),
                _ => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await;
        let kind = error.kind();
        assert!(
            matches!(
                kind,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            "{kind}"
        );
        assert!(matches!(
            write(&mut io, &mut nobody(), b"x"),
            Poll::Ready(Err(_))
        ));
    });
}

#[test]
fn a_block_is_sent_as_it_lies_and_goes_back() {
    over_a_pair(async |local, mut io, below, mut far| {
        let mut block = Buffer::default();
        block.room(Size::Page, &local.buffers).fill(9);
        block.filled(16 << 10);
        let mut piece = Piece::given(Given::Block(block), &local);
        // As the library does: some of it behind the head of the frame, the rest as it shows it.
        piece.advance(100);
        let mut slices = [IoSlice::new(b"head"), IoSlice::new(&[])];
        assert_eq!(piece.chunks_vectored(&mut slices[1..]), 1);
        let mut cx = nobody();
        let written = Pin::new(&mut io).poll_write_vectored(&mut cx, &slices);
        assert!(matches!(written, Poll::Ready(Ok(16_288))));
        drop(piece);
        assert!(local.shown.take().is_none());
        assert_eq!(local.buffers.spare(Size::Page), 0, "it is still to be sent");
        let mut room = vec![0; 16_288];
        let reading = far.read_exact(&mut room);
        let sending = poll_fn(|cx| {
            below.send(cx);
            match below.holds_output() {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        });
        let (read, ()) = tokio::join!(reading, sending);
        read.unwrap();
        assert_eq!(&room[..6], b"head\x09\x09");
        assert!(room[4..].iter().all(|byte| *byte == 9));
        assert_eq!(local.buffers.spare(Size::Page), 1);
    });
}
