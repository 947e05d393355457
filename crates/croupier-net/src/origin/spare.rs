//! An idle origin connection between two threads: a plain socket that no runtime watches, and
//! what must be known of it to go on. It holds no buffer, and nobody notices when its peer
//! closes it: ask before it is used.

use std::{io, os::fd::AsFd as _, rc::Rc};

use croupier_http::h1::chunked::ChunkLimits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{OriginConn, h1::Guard};
use crate::{local::Local, timers::Tick, transport::Unwatched, wire::Moved};

/// An idle connection that belongs to no thread.
#[derive(Debug)]
pub struct Spare {
    stream: Unwatched,
    chunks: ChunkLimits,
    last_body: Moved,
    used: u32,
    idle_since: Tick,
    guard: Option<Box<dyn Guard>>,
}

impl OriginConn {
    /// Takes a connection at rest from its runtime; None, and it is closed, when it does not rest,
    /// the system refuses, or it is not a plain one. One system call.
    #[must_use]
    pub fn into_spare(mut self) -> Option<Spare> {
        if !self.is_reusable() || self.manner() != super::Manner::PLAIN {
            return None;
        }
        let (used, idle_since) = (self.used, self.idle_since);
        // Outlives the socket on every way out.
        let guard = self.guard.take();
        let chunks = self.wire.chunk_limits();
        let (stream, last_body) = self.wire.into_stream()?;
        Some(Spare {
            stream: stream.unwatch().ok()?,
            chunks,
            last_body,
            used,
            idle_since,
            guard,
        })
    }

    /// Gives a spare to the runtime of this thread. One system call.
    ///
    /// # Errors
    /// What the operating system says; the connection is closed then.
    pub fn from_spare(spare: Spare, local: &Rc<Local>) -> io::Result<Self> {
        let guard = spare.guard;
        let mut this = Self::on(spare.stream.watch()?, local, spare.chunks);
        this.guard = guard;
        this.wire.continue_from(spare.last_body);
        this.used = spare.used;
        this.idle_since = spare.idle_since;
        Ok(this)
    }
}

impl Spare {
    /// When it was laid to rest.
    #[must_use]
    pub fn idle_since(&self) -> Tick {
        self.idle_since
    }

    /// Asks the kernel whether it is still as it was left. One system call.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.stream.peek_is_empty()
    }
}

impl AsRef<Self> for Spare {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Keeps those that are still quiet and that `may_stay`, in their order, and gives the others.
/// One system call for all: keep them few.
#[must_use]
pub fn retain_quiet<S: AsRef<Spare>>(
    spares: &mut Vec<S>,
    may_stay: impl Fn(&Spare) -> bool,
) -> Vec<S> {
    let mut asked: Vec<PollFd<'_>> = spares
        .iter()
        .map(|spare| {
            let stream = spare.as_ref().stream.as_fd();
            PollFd::from_borrowed_fd(stream, PollFlags::IN | PollFlags::RDHUP)
        })
        .collect();
    // When the system does not say, the look before use will.
    let _ = poll(&mut asked, Some(&Timespec::default()));
    let mut is_quiet = asked
        .iter()
        .map(|answer| answer.revents().is_empty())
        .collect::<Vec<_>>()
        .into_iter();
    let mut closed = Vec::new();
    let all = std::mem::take(spares);
    for spare in all {
        if is_quiet.next().unwrap_or(true) && may_stay(spare.as_ref()) {
            spares.push(spare);
        } else {
            closed.push(spare);
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        io::{Read as _, Write as _},
        net::{Shutdown, SocketAddr, TcpListener, TcpStream},
        rc::Rc,
        thread,
    };

    use croupier_http::{
        BodyLen, Method,
        h1::{chunked::ChunkLimits, scan::HeadLimits},
    };

    use super::{OriginConn, Spare, retain_quiet};
    use crate::{
        address::Address, dial::dial, local::Local, origin::h1::OriginLimits, side::Sink as _,
        timers::NEVER,
    };

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

    /// Runs a story as a worker of its own, in a thread of its own.
    fn worker<R: Send + 'static>(
        story: impl AsyncFnOnce(Rc<Local>) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build_local(tokio::runtime::LocalOptions::default());
            runtime.unwrap().block_on(story(Rc::default()))
        })
    }

    async fn ask(connection: &mut OriginConn) -> u16 {
        connection.send_encoded(b"GET / HTTP/1.1\r\nhost: a\r\n", BodyLen::None);
        poll_fn(|cx| connection.wire.poll_finish(cx, None))
            .await
            .unwrap();
        let mut response = croupier_http::ResponseHead::default();
        let head = poll_fn(|cx| connection.poll_head(cx, Method::Get, &LIMITS, &mut response));
        assert_eq!(head.await.unwrap(), BodyLen::Length(0));
        response.status
    }

    /// Dials, asks, and lays the connection to rest at tick 7.
    fn spare(address: SocketAddr) -> thread::JoinHandle<Spare> {
        worker(async move |local: Rc<Local>| {
            let timer = local.timers.timer();
            let stream = dial(&Address::Ip(address), NEVER, &timer).await.unwrap();
            let mut connection = OriginConn::new(stream, &local, &LIMITS);
            assert!(connection.is_new());
            assert_eq!(ask(&mut connection).await, 200);
            connection.rest(7);
            connection.into_spare().unwrap()
        })
    }

    fn answer(server: &mut TcpStream) {
        let mut request = [0; 256];
        let length = server.read(&mut request).unwrap();
        assert_eq!(&request[..length], b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        server
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }

    #[test]
    fn a_spare_goes_on_in_another_thread_after_its_own_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialling = spare(listener.local_addr().unwrap());
        let (mut server, _) = listener.accept().unwrap();
        answer(&mut server);
        let spare = dialling.join().unwrap();
        assert!(spare.is_quiet() && spare.idle_since() == 7);
        let asking = worker(async move |local: Rc<Local>| {
            let mut connection = OriginConn::from_spare(spare, &local).unwrap();
            assert_eq!(connection.idle_since(), 7);
            assert!(connection.is_quiet() && !connection.is_new());
            let status = ask(&mut connection).await;
            assert!(connection.is_reused() && connection.is_reusable());
            status
        });
        answer(&mut server);
        assert_eq!(asking.join().unwrap(), 200);
    }

    #[test]
    fn a_spare_whose_peer_spoke_or_left_is_found_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut servers = Vec::new();
        let mut spares = Vec::new();
        for _ in 0..4 {
            let dialling = spare(listener.local_addr().unwrap());
            let (mut server, _) = listener.accept().unwrap();
            answer(&mut server);
            servers.push(server);
            spares.push(dialling.join().unwrap());
        }
        assert!(retain_quiet(&mut spares, |_| true).is_empty());
        servers[0].write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        servers[2].shutdown(Shutdown::Write).unwrap();
        let closed = retain_quiet(&mut spares, |_| true);
        assert_eq!((closed.len(), spares.len()), (2, 2));
        assert!(closed.iter().all(|spare| !spare.is_quiet()));
        assert!(spares.iter().all(Spare::is_quiet));
        assert_eq!(
            retain_quiet(&mut spares, |spare| spare.idle_since() > 7).len(),
            2
        );
    }

    #[test]
    fn what_is_not_at_rest_is_no_spare() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asking = worker(async move |local: Rc<Local>| {
            let timer = local.timers.timer();
            let stream = dial(&Address::Ip(address), NEVER, &timer).await.unwrap();
            let mut connection = OriginConn::new(stream, &local, &LIMITS);
            connection.send_encoded(b"GET / HTTP/1.1\r\nhost: a\r\n", BodyLen::None);
            connection.into_spare().is_none()
        });
        assert!(asking.join().unwrap());
    }
}
