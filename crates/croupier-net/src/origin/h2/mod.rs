//! An origin connection that speaks HTTP/2 and carries several exchanges at once.
//!
//! ```text
//!  connect --SETTINGS of the peer--> Shared (a handle) + Driver (a task)
//!  Shared --open--> Stream, one exchange --drop--> its place is free again
//!  the last handle and the last stream are dropped --> GOAWAY, and the Driver ends
//! ```
//!
//! The frames, their order and flow control are the `h2` crate's; its defaults are nobody's: every
//! limit comes from the one table. What an exchange does with its stream is in `stream`, how a
//! request is put in `request`.

mod request;
mod stream;

pub use stream::Stream;

use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{Builder, Connection, SendRequest},
};

use super::h1::{Guard, OriginLimits};
use crate::{
    error::NetError,
    h2::{
        H2Limits, SEND_BUFFER,
        io::{Below, H2Io, With},
        list_bytes,
    },
    local::Local,
    timers::{NEVER, Tick, Timer},
    transport::Transport,
};

/// The window of a connection has room for all of its streams: with less, a few clients that do
/// not read would stop the answers of all others.
fn window(limits: &H2Limits) -> u32 {
    let all = limits.stream_window.saturating_mul(limits.streams);
    all.clamp(limits.stream_window, WINDOW_MAX)
}

/// RFC 9113 section 6.9.1.
const WINDOW_MAX: u32 = (1 << 31) - 1;

/// What `h2` is told to assume until the peer says how many streams it takes: nobody says this.
const UNTOLD: usize = usize::MAX - 1;

/// So long may a peer take to answer a PING: ticks, 5 s.
const PONG_TICKS: Tick = 50;

/// The scheme of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// Over TLS.
    Https,
}

/// What a connection's streams and its driver tell each other.
#[derive(Debug, Default)]
struct Signs {
    /// It takes no more streams: it has ended, or is about to.
    is_ending: Cell<bool>,
    /// The peer floods: the connection ends, whoever uses it.
    is_condemned: Cell<bool>,
    /// An exchange waited in vain: does anybody live there?
    is_suspect: Cell<bool>,
}

/// A connection to a server that several exchanges share: a handle. When the last one and all
/// streams are dropped the connection closes.
#[derive(Debug)]
pub struct Shared {
    sender: RefCell<SendRequest<Bytes>>,
    local: Rc<Local>,
    signs: Rc<Signs>,
    scheme: Scheme,
    streams_max: usize,
    /// Streams under way, and how many there have been.
    streams: Cell<usize>,
    opened: Cell<u64>,
    idle_since: Cell<Tick>,
}

/// Moves the frames of one connection: a task's work, until the connection has ended.
#[must_use = "nothing moves unless it is driven"]
pub struct Driver {
    connection: Connection<H2Io, Bytes>,
    pings: Option<PingPong>,
    below: Rc<Below>,
    signs: Rc<Signs>,
    timer: Timer,
    is_pinged: bool,
    /// The last field: dropped when the socket is closed.
    _guard: Option<Box<dyn Guard>>,
}

/// Speaks first, and waits until the peer has said what it allows, before `until`.
///
/// # Errors
/// `Timeout`; `Protocol` when the peer speaks something else; what the system says.
pub async fn connect(
    stream: Transport,
    scheme: Scheme,
    local: &Rc<Local>,
    limits: &OriginLimits,
    guard: Option<Box<dyn Guard>>,
    (timer, until): (Timer, Tick),
) -> Result<(Rc<Shared>, Driver), NetError> {
    let frames_max = limits.h2.control_frames;
    let (io, below) = H2Io::new(stream, Vec::new(), local, With::Origin, frames_max);
    timer.arm(until);
    let builder = builder(limits);
    let mut beginning = pin!(builder.handshake::<_, Bytes>(io));
    let (sender, mut connection) = poll_fn(|cx| {
        let polled = beginning.as_mut().poll(cx);
        below.send(cx);
        match polled {
            Poll::Pending if timer.is_expired(cx) => Poll::Ready(Err(NetError::Timeout)),
            polled => polled.map_err(|error| failure(&error)),
        }
    })
    .await?;
    // Without it we do not know how many streams there may be, nor whether it speaks HTTP/2.
    poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        below.send(cx);
        if sender.current_max_send_streams() != UNTOLD {
            return Poll::Ready(Ok(()));
        }
        match polled {
            Poll::Ready(Err(error)) if error.is_library() => {
                Poll::Ready(Err(NetError::Protocol(NO_HTTP2)))
            }
            // One that does not know HTTP/2 often leaves when it hears it.
            Poll::Ready(_) => Poll::Ready(Err(NetError::Protocol(LEFT))),
            Poll::Pending if timer.is_expired(cx) => Poll::Ready(Err(NetError::Timeout)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await?;
    timer.arm(NEVER);
    let shared = Shared {
        sender: RefCell::new(sender),
        local: Rc::clone(local),
        signs: Rc::default(),
        scheme,
        streams_max: limits.h2.streams as usize,
        streams: Cell::new(0),
        opened: Cell::new(0),
        idle_since: Cell::new(local.timers.now()),
    };
    let driver = Driver {
        pings: connection.ping_pong(),
        connection,
        below,
        signs: Rc::clone(&shared.signs),
        timer,
        is_pinged: false,
        _guard: guard,
    };
    Ok((Rc::new(shared), driver))
}

const NOT_LAWFUL: &str = "the server broke a rule of HTTP/2 or exceeded a limit";
const LEFT: &str = "the server left when it was spoken to in HTTP/2";
const NO_HTTP2: &str = "the server does not speak HTTP/2";

fn builder(limits: &OriginLimits) -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(list_bytes(limits.head.head_bytes, limits.head.fields))
        .initial_window_size(limits.h2.stream_window)
        .initial_connection_window_size(window(&limits.h2))
        .initial_max_send_streams(UNTOLD)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(limits.h2.resets)
        .max_local_error_reset_streams(Some(limits.h2.resets))
        // A server opens none.
        .max_concurrent_streams(0);
    builder
}

impl Shared {
    /// Opens a stream when there is room for one more.
    #[must_use]
    pub fn open(self: &Rc<Self>) -> Option<Box<Stream>> {
        self.has_room().then(|| Box::new(Stream::new(self)))
    }

    /// May one more exchange begin?
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.is_ending() && self.streams.get() < self.room()
    }

    /// Exchanges at once, as both ends allow now.
    #[must_use]
    pub fn room(&self) -> usize {
        let theirs = self.sender.borrow().current_max_send_streams();
        theirs.min(self.streams_max)
    }

    /// Does it take no more exchanges: has it ended, or said that it will (GOAWAY)?
    #[must_use]
    pub fn is_ending(&self) -> bool {
        if !self.signs.is_ending.get() {
            let mut cx = Context::from_waker(Waker::noop());
            let ready = self.sender.borrow_mut().poll_ready(&mut cx);
            if matches!(ready, Poll::Ready(Err(_))) {
                self.signs.is_ending.set(true);
            }
        }
        self.signs.is_ending.get()
    }

    /// Does nobody use it?
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.streams.get() == 0
    }

    /// When its last exchange ended.
    #[must_use]
    pub fn idle_since(&self) -> Tick {
        self.idle_since.get()
    }

    /// May a stream become a WebSocket (RFC 8441)?
    #[must_use]
    pub fn takes_websockets(&self) -> bool {
        self.sender.borrow().is_extended_connect_protocol_enabled()
    }

    fn left(&self) {
        self.streams.set(self.streams.get() - 1);
        self.idle_since.set(self.local.timers.now());
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let has_ended = Pin::new(&mut this.connection).poll(cx).is_ready();
        this.below.send(cx);
        let is_over = this.signs.is_condemned.get() || this.below.is_flooded();
        if has_ended || is_over || this.is_dead(cx) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Driver {
    /// Asks a peer that is suspected to be gone. It is asked then only: servers of gRPC do not
    /// suffer clients that ping for no reason.
    fn is_dead(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pings) = &mut self.pings else {
            return false;
        };
        if self.is_pinged {
            match pings.poll_pong(cx) {
                Poll::Ready(answer) => {
                    self.is_pinged = false;
                    return answer.is_err();
                }
                // Whoever sends anything lives.
                Poll::Pending if self.timer.is_expired(cx) => {
                    if !self.below.has_heard() {
                        return true;
                    }
                    self.arm();
                    return self.timer.is_expired(cx);
                }
                Poll::Pending => return false,
            }
        }
        if self.signs.is_suspect.replace(false) && pings.send_ping(Ping::opaque()).is_ok() {
            self.is_pinged = true;
            let _ = self.below.has_heard();
            self.arm();
            let _ = self.timer.is_expired(cx);
            // The frame leaves with the next turn.
            cx.waker().wake_by_ref();
        }
        false
    }

    fn arm(&self) {
        let now = self.timer.timers().now();
        self.timer.arm(now.saturating_add(PONG_TICKS));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.signs.is_ending.set(true);
    }
}

impl Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// What an error of the `h2` crate means to an exchange.
fn failure(error: &h2::Error) -> NetError {
    if let Some(error) = error.get_io() {
        return match error.kind() {
            std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::UnexpectedEof => NetError::Closed,
            kind => NetError::Io(kind.into()),
        };
    }
    let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
    match error.is_remote() {
        // RFC 9113 section 8.7: the request was not looked at.
        true if error.is_go_away() || refused => NetError::Unprocessed,
        true => NetError::Reset,
        false => NetError::Protocol(NOT_LAWFUL),
    }
}
