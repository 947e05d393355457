//! One exchange as its client's connection carries it, whatever that speaks.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use croupier_http::{BodyLen, Fields, RequestHead, ResponseHead};
use tokio::net::TcpStream;

use super::{
    h1::{ClientConn, ClientLimits, Times},
    h2,
    nobody::Nobody,
};
use crate::{
    address::Peer,
    buffers::Buffer,
    error::NetError,
    local::Local,
    side::{Outgoing, Sink, Source},
    timers::Timer,
    tunnel::End,
};

/// The client's end of an exchange.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the larger one is the usual one, and a box would cost each connection"
)]
pub enum ClientStream {
    /// A connection that carries one exchange at a time.
    H1(ClientConn),
    /// One of many exchanges of a connection.
    H2(Box<h2::Stream>),
    /// No client at all: what comes is kept.
    Nobody(Box<Nobody>),
}

/// The same on each: of HTTP/1 with what follows `H1`, of HTTP/2 with what follows `H2`, and of a
/// client that is not there.
macro_rules! each {
    ($self:expr, H1($conn:ident) => $h1:expr, H2($stream:pat) => $h2:expr, Nobody($nobody:pat) => $none:expr) => {
        match $self {
            ClientStream::H1($conn) => $h1,
            ClientStream::H2($stream) => $h2,
            ClientStream::Nobody($nobody) => $none,
        }
    };
}

impl ClientStream {
    /// Who is there.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        each!(self, H1(conn) => &conn.peer, H2(stream) => &stream.peer, Nobody(nobody) => &nobody.peer)
    }

    /// The one deadline of this end.
    #[must_use]
    pub fn timer(&self) -> &Timer {
        each!(self, H1(conn) => &conn.timer, H2(stream) => &stream.timer, Nobody(nobody) => &nobody.timer)
    }

    fn local(&self) -> &Local {
        each!(self, H1(conn) => &conn.wire.local, H2(stream) => &stream.local, Nobody(nobody) => &nobody.local)
    }

    /// Waits for the next exchange on the same connection; see [`ClientConn::is_next`].
    pub fn is_next(&mut self, times: Times) -> impl Future<Output = bool> + Unpin {
        let mut next = match self {
            Self::H1(conn) => Some(conn.is_next(times)),
            // Its connection knows of others.
            Self::H2(_) | Self::Nobody(_) => None,
        };
        poll_fn(move |cx| match &mut next {
            Some(next) => Pin::new(next).poll(cx),
            None => Poll::Ready(false),
        })
    }

    /// Ends the connection; see [`ClientConn::close`].
    pub async fn close(&mut self, bytes_max: u64, time: Option<Duration>) {
        match self {
            Self::H1(conn) => conn.close(bytes_max, time).await,
            Self::H2(_) | Self::Nobody(_) => {}
        }
    }

    /// Reads the request head.
    ///
    /// # Errors
    /// `Closed` when the client left before a head began; else what is wrong with the head.
    pub async fn read_head(
        &mut self,
        limits: &ClientLimits,
        head: &mut RequestHead,
    ) -> Result<(), NetError> {
        match self {
            Self::H1(conn) => conn.read_head(limits, head).await,
            Self::H2(stream) => stream.read_head(limits, head),
            // Its request is known before it is there.
            Self::Nobody(_) => Err(NetError::Closed),
        }
    }

    /// The body that the head just read announces.
    pub fn expect_body(&mut self, body: BodyLen) {
        each!(self, H1(conn) => conn.expect_body(body), H2(stream) => stream.expect_body(body), Nobody(_) => ());
    }

    /// Ends the connection after the present exchange.
    pub fn close_after(&mut self) {
        each!(self, H1(conn) => conn.close_after(), H2(_) => (), Nobody(_) => ());
    }

    /// Ends the connection after the present exchange, whose request may not be all that the
    /// client had to say: what still arrives is dropped unseen.
    pub fn close_after_refusal(&mut self) {
        each!(self, H1(conn) => conn.close_after_refusal(), H2(_) => (), Nobody(_) => ());
    }

    /// Will the connection carry another exchange, as far as heads have said?
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        each!(self, H1(conn) => conn.is_persistent(), H2(_) => false, Nobody(_) => false)
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
        each!(self, H1(conn) => conn.send_head(head, body, declared, fields), H2(stream) => stream.send_head(head, body, declared, fields), Nobody(_) => ());
    }

    /// Puts an interim response in the write buffer. HTTP/1.0 clients do not know them.
    pub fn send_interim(&mut self, head: &ResponseHead, fields: &impl Outgoing) {
        each!(self, H1(conn) => conn.send_interim(head, fields), H2(stream) => stream.send_interim(head, fields), Nobody(_) => ());
    }

    /// Puts the agreement to become a WebSocket in the write buffer: HTTP ends after it.
    pub fn send_switch(&mut self, head: &ResponseHead, fields: &impl Outgoing) {
        each!(self, H1(conn) => conn.send_switch(head, fields), H2(stream) => stream.send_switch(fields), Nobody(_) => ());
    }

    /// Has the body being received been read to its end?
    #[must_use]
    pub fn has_received_all(&self) -> bool {
        each!(self, H1(conn) => conn.wire.has_received_all(), H2(stream) => stream.has_received_all(), Nobody(_) => true)
    }

    /// How much of the request body is certain to come still; None when only its end will tell.
    #[must_use]
    pub fn body_left(&self) -> Option<u64> {
        each!(self, H1(conn) => conn.wire.body_left(), H2(stream) => stream.body_left(), Nobody(_) => Some(0))
    }

    /// Bytes of the request body so far, framing left out.
    #[must_use]
    pub fn body_received(&self) -> u64 {
        each!(self, H1(conn) => conn.wire.body_received(), H2(stream) => stream.body_received(), Nobody(_) => 0)
    }

    /// Bytes of the answer's body so far, framing left out.
    #[must_use]
    pub fn body_sent(&self) -> u64 {
        each!(self, H1(conn) => conn.wire.body_sent(), H2(stream) => stream.body_sent(), Nobody(nobody) => nobody.taken)
    }

    /// Looks at the body bytes that have arrived already, without taking them.
    ///
    /// # Errors
    /// When they break the grammar: such a request ends before an origin hears of it.
    pub fn check_arrived(&self) -> Result<(), NetError> {
        each!(self, H1(conn) => conn.wire.check_arrived(), H2(_) => Ok(()), Nobody(_) => Ok(()))
    }

    /// Watches a client that should be silent or may send ahead. Ready when it has left.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<NetError> {
        each!(self, H1(conn) => conn.wire.poll_gone(cx), H2(stream) => stream.poll_gone(cx), Nobody(_) => Poll::Pending)
    }

    /// Ends the exchange so that the client sees that its answer is not whole.
    pub fn cut(&mut self) {
        each!(self, H1(conn) => conn.cut(), H2(stream) => stream.cut(), Nobody(nobody) => nobody.keeper.cut());
    }

    /// Sends a whole body and ends it, within `time` of the last progress.
    ///
    /// # Errors
    /// When the client takes no bytes for that long, or has left.
    pub async fn send_whole(
        &mut self,
        body: &[u8],
        time: Option<Duration>,
    ) -> Result<(), NetError> {
        let mut rest = body;
        self.timer().arm(self.local().timers.after(time));
        poll_fn(|cx| {
            let polled = loop {
                if rest.is_empty() {
                    break self.poll_finish(cx, None);
                }
                match self.poll_send(cx, rest) {
                    Poll::Ready(Ok(count)) => {
                        rest = &rest[count..];
                        self.timer().arm(self.local().timers.after(time));
                    }
                    Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                    Poll::Pending => break Poll::Pending,
                }
            };
            if polled.is_pending() && self.timer().is_expired(cx) {
                return Poll::Ready(Err(NetError::Timeout));
            }
            polled
        })
        .await
    }

    /// Flushes what waits, within `time`.
    ///
    /// # Errors
    /// When the client takes no bytes for that long, or has left.
    pub async fn flush(&mut self, time: Option<Duration>) -> Result<(), NetError> {
        self.timer().arm(self.local().timers.after(time));
        poll_fn(|cx| match self.poll_flush(cx) {
            Poll::Pending if self.timer().is_expired(cx) => Poll::Ready(Err(NetError::Timeout)),
            other => other,
        })
        .await
    }

    /// Reads and drops what is left of the request body, so that its bytes can never be taken
    /// for the next request. True when the connection is clean.
    pub async fn drain_body(&mut self, bytes_max: u64, time: Option<Duration>) -> bool {
        if self.has_received_all() {
            return true;
        }
        self.timer().arm(self.local().timers.after(time));
        let mut dropped = 0;
        poll_fn(|cx| {
            loop {
                match self.poll_data(cx) {
                    Poll::Ready(Ok(0)) => {
                        let _ = self.trailers();
                        return Poll::Ready(true);
                    }
                    Poll::Ready(Ok(count)) => {
                        dropped += count as u64;
                        self.consume(count);
                        if dropped > bytes_max {
                            return Poll::Ready(false);
                        }
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending if self.timer().is_expired(cx) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

impl Source for ClientStream {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        each!(self, H1(conn) => conn.wire.poll_data(cx), H2(stream) => stream.poll_data(cx), Nobody(_) => Poll::Ready(Ok(0)))
    }

    fn data(&self) -> &[u8] {
        each!(self, H1(conn) => conn.wire.data(), H2(stream) => stream.data(), Nobody(_) => &[])
    }

    fn consume(&mut self, count: usize) {
        each!(self, H1(conn) => conn.wire.consume(count), H2(stream) => stream.consume(count), Nobody(_) => ());
    }

    fn trailers(&mut self) -> Option<Fields> {
        each!(self, H1(conn) => conn.wire.trailers(), H2(stream) => stream.trailers(), Nobody(_) => None)
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        each!(self, H1(conn) => Source::raw(&mut conn.wire), H2(stream) => Source::raw(&mut **stream), Nobody(_) => None)
    }

    fn moved(&mut self, count: usize) -> Result<(), NetError> {
        each!(self, H1(conn) => Source::moved(&mut conn.wire, count), H2(stream) => Source::moved(&mut **stream, count), Nobody(_) => Ok(()))
    }
}

impl Sink for ClientStream {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        each!(self, H1(conn) => conn.wire.poll_send(cx, data), H2(stream) => stream.poll_send(cx, data), Nobody(nobody) => nobody.poll_take(cx, data))
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
    ) -> Poll<Result<usize, NetError>> {
        each!(self, H1(conn) => conn.wire.poll_take(cx, source), H2(stream) => stream.poll_take(cx, source), Nobody(nobody) => {
            let count = ready!(nobody.poll_take(cx, source.data()))?;
            source.consume(count);
            Poll::Ready(Ok(count))
        })
    }

    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        each!(self, H1(conn) => conn.wire.poll_finish(cx, trailers), H2(stream) => stream.poll_finish(cx, trailers), Nobody(nobody) => Poll::Ready(nobody.keeper.finish()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        each!(self, H1(conn) => conn.wire.poll_flush(cx), H2(stream) => stream.poll_flush(cx), Nobody(_) => Poll::Ready(Ok(())))
    }

    fn can_be_raw(&self) -> bool {
        each!(self, H1(conn) => conn.wire.can_be_raw(), H2(stream) => stream.can_be_raw(), Nobody(_) => false)
    }

    fn raw(&mut self) -> Option<&TcpStream> {
        each!(self, H1(conn) => Sink::raw(&mut conn.wire), H2(stream) => Sink::raw(&mut **stream), Nobody(_) => None)
    }

    fn moved(&mut self, count: usize) {
        each!(self, H1(conn) => Sink::moved(&mut conn.wire, count), H2(stream) => Sink::moved(&mut **stream, count), Nobody(_) => ());
    }
}

impl End for ClientStream {
    fn ahead(&mut self) -> Buffer {
        each!(self, H1(conn) => conn.wire.ahead(), H2(stream) => stream.ahead(), Nobody(_) => Buffer::default())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>> {
        each!(self, H1(conn) => End::poll_read(&mut conn.wire, cx, held), H2(stream) => End::poll_read(&mut **stream, cx, held), Nobody(_) => Poll::Ready(Ok(0)))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, H1(conn) => End::poll_write(&mut conn.wire, cx, bytes), H2(stream) => End::poll_write(&mut **stream, cx, bytes), Nobody(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())))
    }

    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, H1(conn) => End::poll_through(&mut conn.wire, cx), H2(stream) => End::poll_through(&mut **stream, cx), Nobody(_) => Poll::Ready(Ok(())))
    }

    fn shut_down(&mut self) {
        each!(self, H1(conn) => conn.wire.shut_down(), H2(stream) => stream.shut_down(), Nobody(_) => ());
    }

    fn release(&mut self, held: &mut Buffer) {
        each!(self, H1(conn) => conn.wire.release(held), H2(stream) => stream.release(held), Nobody(_) => ());
    }
}
