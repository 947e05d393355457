//! A client connection that speaks HTTP/1.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use croupier_http::{
    BodyLen, RequestHead, ResponseHead, Version,
    h1::{
        chunked::ChunkLimits,
        encode, head, reuse,
        scan::{HeadLimits, HeadScan, leading_empty_line},
    },
};

use crate::{
    address::Peer,
    error::NetError,
    local::Local,
    side::Outgoing,
    timers::{Tick, Timer},
    transport::Transport,
    wire::{End, Wire},
};

/// Limits of a client connection, from the limits table.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// The request head.
    pub head: HeadLimits,
    /// Chunk lines and trailers of the request body.
    pub chunks: ChunkLimits,
    /// From the first byte of a head to its last.
    pub head_time: Option<Duration>,
    /// Between two requests.
    pub idle_time: Option<Duration>,
}

/// How long a connection waits for a request.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For the first byte of the first.
    pub head: Option<Duration>,
    /// For the first byte of another.
    pub idle: Option<Duration>,
}

impl ClientLimits {
    /// How long to wait for a request.
    #[must_use]
    pub fn times(&self) -> Times {
        Times {
            head: self.head_time,
            idle: self.idle_time,
        }
    }
}

/// While a worker drains, whoever has just come in has this long for the first byte of a request.
const FIRST_TIME_DRAINING: Duration = Duration::from_secs(1);

/// A client connection. One exchange at a time runs on it; answers leave in order.
#[derive(Debug)]
pub struct ClientConn {
    /// The bytes and bodies.
    pub(crate) wire: Wire,
    /// The one deadline of this connection.
    pub timer: Timer,
    /// Who is there.
    pub peer: Peer,
    version: Version,
    persistent: bool,
    farewell: Farewell,
    served: u32,
}

/// How a connection will close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// At once, if all that was sent has been read.
    Plain,
    /// After what may still arrive: the last request was not understood to its end.
    Lingering,
    /// By a reset: the answer under way will not be whole.
    Cut,
}

impl ClientConn {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(io: Transport, peer: Peer, local: &Rc<Local>, limits: &ClientLimits) -> Self {
        let timer = local.timers.timer();
        let wire = Wire::new(io, Rc::clone(local), limits.chunks, End::Client);
        Self {
            wire,
            timer,
            peer,
            version: Version::Http11,
            persistent: true,
            farewell: Farewell::Plain,
            served: 0,
        }
    }

    /// Waits, without a buffer, for the first byte of the next request. False when there will
    /// be none: the client left, fell idle, or this worker drains.
    ///
    /// No `async fn`: its future is what an idle connection costs, and holds three words.
    pub fn is_next(&mut self, times: Times) -> impl Future<Output = bool> + Unpin {
        let known = match (self.persistent, self.wire.input.is_empty()) {
            (false, _) => Some(false),
            (true, false) => Some(true),
            (true, true) => None,
        };
        // The first request has the time of a head, not that of an idle connection.
        let time = if self.served == 0 {
            times.head
        } else {
            times.idle
        };
        let deadline = self.wire.local.timers.after(time);
        if known.is_none() {
            self.wire.rest();
            self.timer.arm(deadline);
        }
        let mut hurries = false;
        poll_fn(move |cx| {
            if let Some(known) = known {
                return Poll::Ready(known);
            }
            let filled = self.wire.poll_fill(cx);
            if filled.is_ready() {
                return filled.map(|filled| matches!(filled, Ok(count) if count > 0));
            }
            if self.wire.local.is_draining() {
                // A request that has arrived already is still served.
                if self.served > 0 && self.wire.is_surely_quiet() {
                    return Poll::Ready(false);
                }
                if !hurries {
                    hurries = true;
                    let soon = (self.wire.local.timers).after(Some(FIRST_TIME_DRAINING));
                    self.timer.arm(deadline.min(soon));
                }
            }
            if self.timer.is_expired(cx) {
                return Poll::Ready(false);
            }
            Poll::Pending
        })
    }

    /// What has arrived and nobody has taken.
    #[must_use]
    pub fn arrived(&self) -> &[u8] {
        self.wire.input.bytes()
    }

    /// Drops bytes from the front of what has arrived: they were for somebody else.
    pub fn skip(&mut self, count: usize) {
        self.wire.input.consume(count);
    }

    /// Waits until more has arrived. False when nothing does until `until`.
    pub async fn has_more(&mut self, until: Tick) -> bool {
        self.timer.arm(until);
        poll_fn(|cx| match self.wire.poll_fill(cx) {
            Poll::Ready(filled) => Poll::Ready(matches!(filled, Ok(count) if count > 0)),
            Poll::Pending if self.timer.is_expired(cx) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Takes the stream out, with what was read of it: something else than HTTP/1 speaks first.
    /// Until [`ClientConn::put_stream`], the connection is good for nothing but to be dropped.
    pub fn take_stream(&mut self) -> Option<(Transport, Vec<u8>)> {
        self.wire.take_stream()
    }

    /// Goes on over this stream: the one taken out, as it is now.
    pub fn put_stream(&mut self, io: Transport) {
        self.wire.put_stream(io);
    }

    /// Reads the next request head.
    ///
    /// # Errors
    /// `Closed` when the client left before a head began; else what is wrong with the head.
    pub async fn read_head(
        &mut self,
        limits: &ClientLimits,
        head: &mut RequestHead,
    ) -> Result<(), NetError> {
        self.timer
            .arm(self.wire.local.timers.after(limits.head_time));
        let mut scan = HeadScan::default();
        let mut begun = false;
        let length = poll_fn(|cx| {
            // One empty line between requests is tolerated, as some clients send one after a
            // body (RFC 9112 section 2.2); never before the first request.
            while !begun && self.served > 0 {
                match leading_empty_line(self.wire.input.bytes()) {
                    Some(skip) => {
                        self.wire.input.consume(skip);
                        begun = true;
                    }
                    None => match self.poll_more(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => return Poll::Pending,
                    },
                }
            }
            let polled = self.wire.poll_head(cx, &mut scan, &limits.head);
            if polled.is_pending() && self.timer.is_expired(cx) {
                return Poll::Ready(Err(NetError::Timeout));
            }
            polled
        })
        .await?;
        let bytes = &self.wire.input.bytes()[..length];
        head::request(bytes, &limits.head, head).map_err(NetError::Head)?;
        self.wire.input.consume(length);
        self.served = self.served.saturating_add(1);
        self.version = head.version;
        self.persistent = reuse::is_persistent(head.version, &head.fields);
        Ok(())
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        match self.wire.poll_fill(cx) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(NetError::Closed)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if self.timer.is_expired(cx) => Poll::Ready(Err(NetError::Timeout)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The body that the head just read announces.
    pub fn expect_body(&mut self, body: BodyLen) {
        self.wire.expect_body(body);
    }

    /// Ends the connection after the present exchange.
    pub fn close_after(&mut self) {
        self.persistent = false;
    }

    /// Ends the connection after the present exchange, whose request may not be all that the
    /// client had to say: what still arrives is dropped unseen.
    pub fn close_after_refusal(&mut self) {
        self.persistent = false;
        self.farewell = Farewell::Lingering;
    }

    /// Will the connection carry another exchange, as far as heads have said?
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Requests read so far.
    #[must_use]
    pub fn served(&self) -> u32 {
        self.served
    }

    /// The version the client spoke.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How a body of `body` is framed for this client: HTTP/1.0 knows no chunks.
    #[must_use]
    pub fn framing(&self, body: BodyLen) -> BodyLen {
        match body {
            BodyLen::Chunked | BodyLen::UntilClose if self.version == Version::Http10 => {
                BodyLen::UntilClose
            }
            BodyLen::UntilClose => BodyLen::Chunked,
            other => other,
        }
    }

    /// Puts a final response head in the write buffer; it leaves with the body or a flush.
    /// `declared` is the length a response without body speaks of (HEAD).
    pub fn send_head(
        &mut self,
        head: &ResponseHead,
        body: BodyLen,
        declared: Option<u64>,
        fields: &impl Outgoing,
    ) {
        let body = self.framing(body);
        if body == BodyLen::UntilClose {
            self.persistent = false;
        }
        let (version, persistent) = (self.version, self.persistent);
        let out = self.wire.output();
        encode::status_line(out, head);
        out.extend_from_slice(fields.text());
        fields.lines(&mut |name, value| encode::field(out, name, value));
        match body {
            BodyLen::Length(length) => encode::content_length(out, length),
            BodyLen::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            BodyLen::None => {
                if let Some(length) = declared {
                    encode::content_length(out, length);
                }
            }
            BodyLen::UntilClose => {}
        }
        match (persistent, version) {
            (false, _) => out.extend_from_slice(b"connection: close\r\n"),
            (true, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
            (true, _) => {}
        }
        out.extend_from_slice(b"\r\n");
        self.wire.begin_body(body);
    }

    /// Puts an interim response in the write buffer. HTTP/1.0 clients do not know them.
    pub fn send_interim(&mut self, head: &ResponseHead, fields: &impl Outgoing) {
        if self.version == Version::Http10 {
            return;
        }
        let out = self.wire.output();
        encode::status_line(out, head);
        out.extend_from_slice(fields.text());
        fields.lines(&mut |name, value| encode::field(out, name, value));
        out.extend_from_slice(b"\r\n");
    }

    /// Puts `101 Switching Protocols` in the write buffer: HTTP ends after it.
    pub fn send_switch(&mut self, head: &ResponseHead, fields: &impl Outgoing) {
        self.persistent = false;
        let out = self.wire.output();
        encode::status_line(out, head);
        out.extend_from_slice(fields.text());
        fields.lines(&mut |name, value| encode::field(out, name, value));
        out.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    }

    /// Ends the connection so that the client sees that its answer is not whole. A missing rest
    /// shows by itself; a body that ends with the connection would look whole after a plain
    /// close, so that one is reset.
    pub fn cut(&mut self) {
        self.persistent = false;
        if self.wire.is_close_delimited() {
            self.farewell = Farewell::Cut;
        }
    }

    /// Closes so that the client gets our last bytes: says that we send no more, then drops
    /// what still arrives for a short while. A close with unread bytes would be a reset, and a
    /// reset may destroy an answer that the client has not read yet.
    pub async fn close(&mut self, bytes_max: u64, time: Option<Duration>) {
        if self.farewell == Farewell::Cut {
            self.wire.reset_on_close();
            return;
        }
        if self.wire.has_ended() {
            self.wire.io.say_farewell();
            return;
        }
        let unread = self.farewell == Farewell::Lingering
            || !self.wire.has_received_all()
            || !self.wire.input.is_empty();
        if !unread && (self.served > 0 || self.wire.local.is_draining()) {
            self.wire.io.say_farewell();
            return; // dropping the socket says as much
        }
        let wire = &mut self.wire;
        self.timer.arm(wire.local.timers.after(time));
        let mut dropped = 0;
        let mut is_shut = false;
        poll_fn(|cx| {
            if !is_shut {
                match wire.io.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => is_shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending if self.timer.is_expired(cx) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            loop {
                dropped += wire.input.len() as u64;
                wire.input.consume(wire.input.len());
                match wire.poll_fill(cx) {
                    Poll::Ready(Ok(count)) if count > 0 && dropped <= bytes_max => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending if self.timer.is_expired(cx) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }
}
