//! The floor of a proxy in user space: a loop that carries bytes both ways between two sockets
//! and looks at none of them. Same runtime, same reads and writes as a proxy; no HTTP.
//!
//! `cargo xtask bench` measures it beside the proxies: what a proxy takes beyond this is what it
//! takes to be one.
//!
//! - `splice.rs`: the same with large answers carried inside the kernel

mod splice;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;

/// Bytes carried at once: what a proxy reads for a large answer.
const ROOM: usize = 64 << 10;

pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (splices, listen, origin) = match arguments {
        [listen, origin] => (false, listen, origin),
        [word, listen, origin] if word == "--splice" => (true, listen, origin),
        _ => return Err("usage: relay [--splice] LISTEN ORIGIN".into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| error.to_string())?;
    runtime
        .block_on(serve(listen, origin, splices))
        .map_err(|error| error.to_string())
}

async fn serve(listen: &str, origin: &str, splices: bool) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (mut client, _) = listener.accept().await?;
        let origin = origin.to_owned();
        tokio::spawn(async move {
            let mut origin = TcpStream::connect(origin).await?;
            client.set_nodelay(true)?;
            origin.set_nodelay(true)?;
            let (mut up, mut down) = (Way::default(), Way::default());
            let mut answers = splices.then(splice::Answers::new);
            poll_fn(|cx| {
                let asked = up.carried;
                let up_is_over = up.poll(cx, &mut client, &mut origin)?.is_ready();
                let down_is_over = match &mut answers {
                    None => down.poll(cx, &mut origin, &mut client)?.is_ready(),
                    Some(answers) => {
                        if up.carried > asked {
                            answers.begin();
                        }
                        answers.poll(cx, &mut origin, &mut client)?.is_ready()
                    }
                };
                // Whoever closes first ends both ways.
                if up_is_over || down_is_over {
                    return Poll::Ready(io::Result::Ok(()));
                }
                Poll::Pending
            })
            .await
        });
    }
}

/// One direction. Holds its buffer only while bytes are in it.
#[derive(Default)]
struct Way {
    held: Vec<u8>,
    sent: usize,
    /// Bytes so far.
    carried: u64,
}

impl Way {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        thread_local! {
            static ROOM_OF_THREAD: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; ROOM]);
        }
        loop {
            while self.sent < self.held.len() {
                match Pin::new(&mut *to).poll_write(cx, &self.held[self.sent..])? {
                    Poll::Ready(count) => self.sent += count,
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.held.clear();
            self.sent = 0;
            let read = ROOM_OF_THREAD.with_borrow_mut(|room| {
                let mut buffer = ReadBuf::new(room);
                if Pin::new(&mut *from)
                    .poll_read(cx, &mut buffer)?
                    .is_pending()
                {
                    return Poll::Pending;
                }
                let read = buffer.filled();
                if read.is_empty() {
                    return Poll::Ready(Ok(false));
                }
                let sent = match Pin::new(&mut *to).poll_write(cx, read)? {
                    Poll::Ready(count) => count,
                    Poll::Pending => 0,
                };
                self.held.extend_from_slice(&read[sent..]);
                self.carried += read.len() as u64;
                Poll::Ready(io::Result::Ok(true))
            })?;
            match read {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
