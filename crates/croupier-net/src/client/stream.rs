//! One exchange as its client's connection carries it, whatever that speaks.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use croupier_http::{BodyLen, Fields, RequestHead, ResponseHead};
use tokio::net::TcpStream;

use super::h1::{ClientConn, ClientLimits, Times};
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
pub enum ClientStream {
    /// A connection that carries one exchange at a time.
    H1(ClientConn),
}

macro_rules! each {
    ($self:expr, $conn:ident => $h1:expr) => {
        match $self {
            ClientStream::H1($conn) => $h1,
        }
    };
}

impl ClientStream {
    /// Who is there.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        each!(self, conn => &conn.peer)
    }

    /// The one deadline of this end.
    #[must_use]
    pub fn timer(&self) -> &Timer {
        each!(self, conn => &conn.timer)
    }

    fn local(&self) -> &Local {
        each!(self, conn => &conn.wire.local)
    }

    /// Waits for the next exchange on the same connection; see [`ClientConn::is_next`].
    pub async fn is_next(&mut self, times: Times) -> bool {
        match self {
            Self::H1(conn) => conn.is_next(times).await,
        }
    }

    /// Ends the connection; see [`ClientConn::close`].
    pub async fn close(&mut self, bytes_max: u64, time: Option<Duration>) {
        match self {
            Self::H1(conn) => conn.close(bytes_max, time).await,
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
        }
    }

    /// The body that the head just read announces.
    pub fn expect_body(&mut self, body: BodyLen) {
        each!(self, conn => conn.expect_body(body));
    }

    /// Ends the connection after the present exchange.
    pub fn close_after(&mut self) {
        each!(self, conn => conn.close_after());
    }

    /// Ends the connection after the present exchange, whose request may not be all that the
    /// client had to say: what still arrives is dropped unseen.
    pub fn close_after_refusal(&mut self) {
        each!(self, conn => conn.close_after_refusal());
    }

    /// Will the connection carry another exchange, as far as heads have said?
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        each!(self, conn => conn.is_persistent())
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
        each!(self, conn => conn.send_head(head, body, declared, fields));
    }

    /// Puts an interim response in the write buffer. HTTP/1.0 clients do not know them.
    pub fn send_interim(&mut self, head: &ResponseHead, fields: &impl Outgoing) {
        each!(self, conn => conn.send_interim(head, fields));
    }

    /// Puts the agreement to become a WebSocket in the write buffer: HTTP ends after it.
    pub fn send_switch(&mut self, head: &ResponseHead, fields: &impl Outgoing) {
        each!(self, conn => conn.send_switch(head, fields));
    }

    /// Has the body being received been read to its end?
    #[must_use]
    pub fn has_received_all(&self) -> bool {
        each!(self, conn => conn.wire.has_received_all())
    }

    /// How much of the request body is certain to come still; None when only its end will tell.
    #[must_use]
    pub fn body_left(&self) -> Option<u64> {
        each!(self, conn => conn.wire.body_left())
    }

    /// Bytes of the request body so far, framing left out.
    #[must_use]
    pub fn body_received(&self) -> u64 {
        each!(self, conn => conn.wire.body_received())
    }

    /// Bytes of the answer's body so far, framing left out.
    #[must_use]
    pub fn body_sent(&self) -> u64 {
        each!(self, conn => conn.wire.body_sent())
    }

    /// Looks at the body bytes that have arrived already, without taking them.
    ///
    /// # Errors
    /// When they break the grammar: such a request ends before an origin hears of it.
    pub fn check_arrived(&self) -> Result<(), NetError> {
        each!(self, conn => conn.wire.check_arrived())
    }

    /// Watches a client that should be silent or may send ahead. Ready when it has left.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<NetError> {
        each!(self, conn => conn.wire.poll_gone(cx))
    }

    /// Ends the exchange so that the client sees that its answer is not whole.
    pub fn cut(&mut self) {
        each!(self, conn => conn.cut());
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
        each!(self, conn => conn.wire.poll_data(cx))
    }

    fn data(&self) -> &[u8] {
        each!(self, conn => conn.wire.data())
    }

    fn consume(&mut self, count: usize) {
        each!(self, conn => conn.wire.consume(count));
    }

    fn trailers(&mut self) -> Option<Fields> {
        each!(self, conn => conn.wire.trailers())
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        each!(self, conn => Source::raw(&mut conn.wire))
    }

    fn moved(&mut self, count: usize) -> Result<(), NetError> {
        each!(self, conn => Source::moved(&mut conn.wire, count))
    }
}

impl Sink for ClientStream {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        each!(self, conn => conn.wire.poll_send(cx, data))
    }

    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        each!(self, conn => conn.wire.poll_finish(cx, trailers))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        each!(self, conn => conn.wire.poll_flush(cx))
    }

    fn raw(&mut self) -> Option<&TcpStream> {
        each!(self, conn => Sink::raw(&mut conn.wire))
    }

    fn moved(&mut self, count: usize) {
        each!(self, conn => Sink::moved(&mut conn.wire, count));
    }
}

impl End for ClientStream {
    fn ahead(&mut self) -> Buffer {
        each!(self, conn => conn.wire.ahead())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>> {
        each!(self, conn => End::poll_read(&mut conn.wire, cx, held))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, conn => End::poll_write(&mut conn.wire, cx, bytes))
    }

    fn shut_down(&mut self) {
        each!(self, conn => conn.wire.shut_down());
    }

    fn release(&mut self, held: &mut Buffer) {
        each!(self, conn => conn.wire.release(held));
    }
}
