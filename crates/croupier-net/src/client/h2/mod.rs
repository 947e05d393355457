//! A client connection that speaks HTTP/2: many exchanges at a time.
//!
//! The library keeps the protocol; we keep the limits it leaves to us (docs/decisions/0023): how
//! many exchanges there may be, how many frames that carry nothing, how long a client may take
//! no bytes or ask nothing.

mod stream;

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use h2::{Reason, server};

use super::h1::{ClientLimits, Times};
use crate::{
    address::Peer,
    error::NetError,
    h2::{
        H2Limits, SEND_BUFFER,
        io::{Below, H2Io, With},
        list_bytes,
        piece::Piece,
    },
    local::Local,
    timers::{NEVER, Tick, Timer, ticks},
    transport::Transport,
};

pub use stream::Stream;

/// A connection that has been told to end has this long to say that it saw it.
const FAREWELL: Duration = Duration::from_secs(5);

/// A client connection.
pub struct H2Conn {
    inner: server::Connection<H2Io, Piece>,
    below: Rc<Below>,
    timer: Timer,
    local: Rc<Local>,
    peer: Peer,
    /// How long the client may take no bytes.
    send_time: Option<Duration>,
    requests_left: u32,
    /// Since when no exchange is under way.
    idle_since: Tick,
    /// It has been told to end, and is cut then.
    ends: Option<Tick>,
}

impl fmt::Debug for H2Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Conn")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl H2Conn {
    /// Exchanges settings with a client. `ahead` was read from the transport before.
    ///
    /// # Errors
    /// `Timeout` after the time of a head; else what the library or the system says.
    pub async fn open(
        io: Transport,
        ahead: Vec<u8>,
        peer: Peer,
        local: &Rc<Local>,
        limits: &ClientLimits,
        own: &H2Limits,
    ) -> Result<Self, NetError> {
        let (io, below) = H2Io::new(io, ahead, local, With::Client, own.control_frames);
        let mut builder = server::Builder::new();
        builder
            .max_concurrent_streams(own.streams)
            .initial_connection_window_size(own.window)
            .initial_window_size(own.stream_window)
            .max_header_list_size(list_bytes(limits.head.head_bytes, limits.head.fields))
            .max_send_buffer_size(SEND_BUFFER)
            .max_local_error_reset_streams(Some(own.resets))
            .enable_connect_protocol();
        let timer = local.timers.timer();
        timer.arm(local.timers.after(limits.head_time));
        let mut handshake = pin!(builder.handshake::<_, Piece>(io));
        let inner = poll_fn(|cx| {
            let polled = handshake.as_mut().poll(cx);
            below.send(cx);
            match polled {
                Poll::Ready(result) => Poll::Ready(result.map_err(|error| net_error(&error))),
                Poll::Pending if timer.is_expired(cx) => Poll::Ready(Err(NetError::Timeout)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await?;
        Ok(Self {
            inner,
            below,
            timer,
            local: Rc::clone(local),
            peer,
            send_time: None,
            requests_left: own.requests,
            idle_since: local.timers.now(),
            ends: None,
        })
    }

    /// Drives the connection until the client asks for the next exchange. None when there will be
    /// none and all that was asked is answered, or the connection has failed.
    ///
    /// `send_time`: how long the client may take no bytes at all.
    pub async fn next(
        &mut self,
        limits: &ClientLimits,
        send_time: Option<Duration>,
    ) -> Option<Stream> {
        let times = limits.times();
        self.send_time = send_time;
        poll_fn(|cx| {
            loop {
                match self.inner.poll_accept(cx) {
                    Poll::Ready(Some(Ok((_, mut respond)))) if self.below.began_wrong() => {
                        respond.send_reset(Reason::PROTOCOL_ERROR);
                    }
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        self.requests_left = self.requests_left.saturating_sub(1);
                        if self.requests_left == 0 {
                            self.end();
                        }
                        let stream = Stream::new(
                            request,
                            respond,
                            self.peer.clone(),
                            &self.local,
                            (limits, send_time),
                        );
                        return Poll::Ready(Some(stream));
                    }
                    Poll::Ready(_) => return Poll::Ready(None),
                    Poll::Pending => self.below.send(cx),
                }
                match self.poll_clock(cx, times) {
                    Clock::Fine => return Poll::Pending,
                    Clock::Cut => return Poll::Ready(None),
                    // Something is to be sent.
                    Clock::Again => {}
                }
            }
        })
        .await
    }

    /// Says that no further exchange is taken; those under way end.
    pub fn end(&mut self) {
        if self.ends.is_none() {
            self.ends = Some(NEVER);
            self.inner.graceful_shutdown();
        }
    }

    fn poll_clock(&mut self, cx: &mut Context<'_>, times: Times) -> Clock {
        let now = self.local.timers.now();
        let reason = if self.below.began_wrong() {
            Some(Reason::PROTOCOL_ERROR)
        } else {
            (self.below.is_flooded()).then_some(Reason::ENHANCE_YOUR_CALM)
        };
        if let Some(reason) = reason {
            // Once: the second time nobody took the farewell.
            if self.ends == Some(0) {
                return Clock::Cut;
            }
            self.ends = Some(0);
            self.inner.abrupt_shutdown(reason);
            return Clock::Again;
        }
        if self.local.is_draining() && self.ends.is_none() {
            self.end();
            return Clock::Again;
        }
        if self.inner.has_streams() {
            self.idle_since = now;
            if self.ends.is_some_and(|ends| ends > now) {
                self.ends = Some(NEVER);
            }
        } else if self.ends == Some(NEVER) {
            self.ends = Some(now.saturating_add(ticks(FAREWELL)));
        }
        let stuck = match (self.below.stuck(), self.send_time) {
            (Some(since), Some(time)) => since.saturating_add(ticks(time)),
            _ => NEVER,
        };
        let idle = if self.inner.has_streams() || self.ends.is_some() {
            NEVER
        } else {
            (times.idle).map_or(NEVER, |time| self.idle_since.saturating_add(ticks(time)))
        };
        let cut = self.ends.unwrap_or(NEVER).min(stuck);
        self.timer.arm(cut.min(idle));
        if !self.timer.is_expired(cx) {
            return Clock::Fine;
        }
        if cut <= now {
            return Clock::Cut;
        }
        self.end();
        Clock::Again
    }
}

enum Clock {
    Fine,
    Again,
    Cut,
}

/// What an error of the library means for one exchange.
pub(crate) fn net_error(error: &h2::Error) -> NetError {
    if error.is_io() {
        let kind = error
            .get_io()
            .map_or(std::io::ErrorKind::Other, std::io::Error::kind);
        return NetError::Io(kind.into());
    }
    NetError::Truncated
}
