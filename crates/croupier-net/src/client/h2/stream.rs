//! One exchange of an HTTP/2 connection.

use std::{
    fmt, io,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use croupier_http::{BodyLen, Fields, Framed, RequestHead, ResponseHead, h1::chunked::ChunkLimits};
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{Request, Response, StatusCode, request::Parts};
use tokio::net::TcpStream;

use super::{super::h1::ClientLimits, net_error};
use crate::{
    address::Peer,
    buffers::{Buffer, Size},
    error::NetError,
    h2::{
        SEND_BUFFER, fields,
        piece::{COPIED_BYTES, Piece},
    },
    local::Local,
    side::{Given, Outgoing, Sink, Source, all_lines},
    timers::{Tick, Timer, ticks},
    tunnel::End,
};

/// A client that takes fewer bytes than this in the time it has to take any is stuck.
const PACE_BYTES: u64 = 1024;

/// What of the request is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    /// A body, or what goes through a tunnel.
    Open,
    /// What comes is for the tunnel, which is not open yet.
    Later,
    /// Nothing.
    Ended,
}

/// The client's end of one exchange.
pub struct Stream {
    pub(in crate::client) timer: Timer,
    pub(in crate::client) peer: Peer,
    pub(in crate::client) local: Rc<Local>,
    parts: Option<Box<Parts>>,
    receiving: Receiving,
    body: RecvStream,
    data: Bytes,
    left: Option<u64>,
    trailers: Option<Fields>,
    received: u64,
    chunks: ChunkLimits,
    respond: SendResponse<Piece>,
    /// There from the final head on.
    sending: Option<SendStream<Piece>>,
    /// Bytes that the framing still wants; None when only the end will tell.
    wants: Option<u64>,
    finished: bool,
    sent: u64,
    send_time: Option<Duration>,
    /// How far we were when the client began to take less than we have.
    pace: Option<(Tick, u64)>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("peer", &self.peer)
            .field("received", &self.received)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Stream {
    pub(super) fn new(
        request: Request<RecvStream>,
        respond: SendResponse<Piece>,
        peer: Peer,
        local: &Rc<Local>,
        (limits, send_time): (&ClientLimits, Option<Duration>),
    ) -> Self {
        let (parts, body) = request.into_parts();
        let is_whole = body.is_end_stream();
        Self {
            timer: local.timers.timer(),
            peer,
            local: Rc::clone(local),
            parts: Some(Box::new(parts)),
            receiving: if is_whole {
                Receiving::Ended
            } else {
                Receiving::Open
            },
            body,
            data: Bytes::new(),
            left: None,
            trailers: None,
            received: 0,
            chunks: limits.chunks,
            respond,
            sending: None,
            wants: None,
            finished: false,
            sent: 0,
            send_time,
            pace: None,
        }
    }

    /// Gives the request head.
    ///
    /// # Errors
    /// When it is beyond the limits, or holds what no head may hold.
    pub fn read_head(
        &mut self,
        limits: &ClientLimits,
        head: &mut RequestHead,
    ) -> Result<(), NetError> {
        let parts = self.parts.take().ok_or(NetError::Closed)?;
        let is_whole = self.receiving == Receiving::Ended;
        let read = fields::read_request(&parts, is_whole, &limits.head, head);
        if head.framed == Framed::WebSocket {
            self.receiving = Receiving::Later;
        }
        read.map_err(NetError::Head)
    }

    /// The body that the head announces.
    pub fn expect_body(&mut self, body: BodyLen) {
        self.left = match body {
            BodyLen::None => Some(0),
            BodyLen::Length(length) => Some(length),
            BodyLen::Chunked | BodyLen::UntilClose => None,
        };
    }

    pub(in crate::client) fn send_head(
        &mut self,
        head: &ResponseHead,
        body: BodyLen,
        declared: Option<u64>,
        fields: &impl Outgoing,
    ) {
        let length = match (body, declared) {
            (BodyLen::None, Some(length)) => Some(BodyLen::Length(length)),
            (body, _) => Some(body),
        };
        self.wants = match body {
            BodyLen::Length(length) => Some(length),
            _ => None,
        };
        let is_end = body.is_empty();
        self.respond_with(head.status, length, is_end, fields);
    }

    fn respond_with(
        &mut self,
        status: u16,
        length: Option<BodyLen>,
        is_end: bool,
        fields: &impl Outgoing,
    ) {
        let response = self.response(status, length, fields);
        match self.respond.send_response(response, is_end) {
            Ok(sending) => {
                self.sending = Some(sending);
                self.finished = is_end;
            }
            // The client has left: whatever is sent next finds it out.
            Err(_) => self.finished = false,
        }
    }

    fn response(
        &self,
        status: u16,
        length: Option<BodyLen>,
        fields: &impl Outgoing,
    ) -> Response<()> {
        let mut response = Response::new(());
        // 100 to 999: the library takes them all.
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        *response.headers_mut() =
            fields::write_lines(fields, length, &mut self.local.text.borrow_mut());
        response
    }

    pub(in crate::client) fn send_interim(&mut self, head: &ResponseHead, fields: &impl Outgoing) {
        // Of a client that has left, the end will be heard elsewhere.
        let _ = self
            .respond
            .send_informational(self.response(head.status, None, fields));
    }

    /// The tunnel is open (RFC 8441 section 5).
    pub(in crate::client) fn send_switch(&mut self, fields: &impl Outgoing) {
        self.receiving = Receiving::Open;
        self.respond_with(200, None, false, &Agreed(fields));
    }

    pub(in crate::client) fn has_received_all(&self) -> bool {
        match self.receiving {
            Receiving::Later => true,
            Receiving::Open => false,
            Receiving::Ended => self.data.is_empty(),
        }
    }

    pub(in crate::client) fn body_left(&self) -> Option<u64> {
        self.left
    }

    pub(in crate::client) fn body_received(&self) -> u64 {
        self.received
    }

    pub(in crate::client) fn body_sent(&self) -> u64 {
        self.sent
    }

    pub(in crate::client) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<NetError> {
        let gone = match &mut self.sending {
            Some(sending) => sending.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        gone.map(|_| NetError::Closed)
    }

    pub(in crate::client) fn cut(&mut self) {
        match &mut self.sending {
            Some(sending) => sending.send_reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
        self.finished = true;
    }

    /// Waits until the client's windows let at least one byte out, and gives how many of `wanted`.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, NetError>> {
        let (now, sent) = (self.local.timers.now(), self.sent);
        let Some(sending) = &mut self.sending else {
            return Poll::Ready(Err(NetError::Closed));
        };
        let wanted = wanted.min(SEND_BUFFER);
        sending.reserve_capacity(wanted);
        let room = sending.capacity();
        if room >= wanted {
            self.pace = None;
            return Poll::Ready(Ok(wanted));
        }
        // A window that opens byte by byte is one that stays closed (CVE-2019-9517).
        match self.pace {
            Some((since, at)) if sent - at < PACE_BYTES => {
                if self
                    .send_time
                    .is_some_and(|time| now > since.saturating_add(ticks(time)))
                {
                    return Poll::Ready(Err(NetError::Timeout));
                }
            }
            _ => self.pace = Some((now, sent)),
        }
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match ready!(sending.poll_capacity(cx)) {
            Some(Ok(room)) if room > 0 => Poll::Ready(Ok(room.min(wanted))),
            Some(Ok(_)) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Err(error)) => Poll::Ready(Err(net_error(&error))),
            None => Poll::Ready(Err(NetError::Closed)),
        }
    }

    fn give(&mut self, data: Piece, is_end: bool) -> Result<(), NetError> {
        let Some(sending) = &mut self.sending else {
            return Err(NetError::Closed);
        };
        sending
            .send_data(data, is_end)
            .map_err(|error| net_error(&error))?;
        self.finished = is_end;
        Ok(())
    }

    /// Gives body bytes, no more than there is room for.
    fn give_part(&mut self, data: Piece) -> Result<(), NetError> {
        let count = data.remaining() as u64;
        let wants = self.wants.map(|wants| wants.saturating_sub(count));
        self.give(data, wants == Some(0))?;
        self.wants = wants;
        self.sent += count;
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // What nobody finished must not look whole, nor keep its place.
        if !self.finished {
            self.cut();
        }
    }
}

/// The lines of a switch, for a client that did not ask for the handshake of HTTP/1.
struct Agreed<'a, O>(&'a O);

impl<O: Outgoing> Outgoing for Agreed<'_, O> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        all_lines(self.0, &mut |name, value| {
            if !name.eq_ignore_ascii_case(b"sec-websocket-accept") {
                emit(name, value);
            }
        });
    }
}

impl Source for Stream {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        loop {
            if self.receiving == Receiving::Later {
                return Poll::Ready(Ok(0));
            }
            if !self.data.is_empty() || self.receiving == Receiving::Ended {
                return Poll::Ready(Ok(self.data.len()));
            }
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(data)) => self.data = data,
                Some(Err(error)) => return Poll::Ready(Err(net_error(&error))),
                None => {
                    let trailers =
                        ready!(self.body.poll_trailers(cx)).map_err(|error| net_error(&error))?;
                    if let Some(lines) = trailers {
                        let mut fields = Fields::new();
                        fields::read_trailers(&lines, &self.chunks, &mut fields)
                            .map_err(NetError::Head)?;
                        self.trailers = Some(fields);
                    }
                    self.receiving = Receiving::Ended;
                }
            }
        }
    }

    fn data(&self) -> &[u8] {
        &self.data
    }

    fn consume(&mut self, count: usize) {
        self.data.advance(count);
        self.received += count as u64;
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        // Only now may the client send as much again.
        let _ = self.body.flow_control().release_capacity(count);
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        None
    }

    fn moved(&mut self, _: usize) -> Result<(), NetError> {
        Ok(())
    }
}

impl Sink for Stream {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        let count = ready!(self.poll_room(cx, data.len()))?;
        self.give_part(Piece::copy(&data[..count]))?;
        Poll::Ready(Ok(count))
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
    ) -> Poll<Result<usize, NetError>> {
        let here = source.data().len();
        let count = ready!(self.poll_room(cx, here))?;
        if count >= COPIED_BYTES
            && let Some(bytes) = source.share(count)
        {
            self.give_part(Piece::given(Given::Bytes(bytes), &self.local))?;
        } else if count == here
            && count >= COPIED_BYTES
            && let Some(given) = source.give_up()
        {
            self.give_part(Piece::given(given, &self.local))?;
        } else {
            self.give_part(Piece::copy(&source.data()[..count]))?;
            source.consume(count);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_finish(
        &mut self,
        _: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        let Some(trailers) = trailers else {
            return Poll::Ready(self.give(Piece::empty(), true));
        };
        let lines = fields::write_trailers(trailers);
        let Some(sending) = &mut self.sending else {
            return Poll::Ready(Err(NetError::Closed));
        };
        sending
            .send_trailers(lines)
            .map_err(|error| net_error(&error))?;
        self.finished = true;
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        // The connection's own task sends.
        Poll::Ready(Ok(()))
    }

    fn can_be_raw(&self) -> bool {
        false
    }

    fn raw(&mut self) -> Option<&TcpStream> {
        None
    }

    fn moved(&mut self, _: usize) {}
}

impl End for Stream {
    fn ahead(&mut self) -> Buffer {
        Buffer::default()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>> {
        let here = ready!(self.poll_data(cx)).map_err(io::Error::other)?;
        if here == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = held.room(Size::Page, &self.local.buffers);
        let count = here.min(room.len());
        room[..count].copy_from_slice(&self.data[..count]);
        held.filled(count);
        self.consume(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes).map_err(io::Error::other)
    }

    fn poll_through(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // the connection's own task sends
    }

    fn shut_down(&mut self) {
        // The client may have left.
        let _ = self.give(Piece::empty(), true);
    }

    fn release(&mut self, held: &mut Buffer) {
        held.release(&self.local.buffers);
    }
}
