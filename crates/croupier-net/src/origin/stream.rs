//! One exchange as its server's connection carries it, whatever that speaks.

use std::{
    io,
    task::{Context, Poll},
};

use croupier_http::{BodyLen, Fields, Method, ResponseHead};
use tokio::net::TcpStream;

use super::{
    OriginConn,
    h1::{OriginLimits, RequestLine},
    h2,
};
use crate::{
    buffers::Buffer,
    error::NetError,
    side::{Given, Outgoing, Sink, Source},
    tunnel,
};

/// The origin's end of an exchange.
#[derive(Debug)]
pub enum OriginStream {
    /// A connection that carries one exchange at a time.
    H1(Box<OriginConn>),
    /// A place on one that carries several.
    H2(Box<h2::Stream>),
}

macro_rules! each {
    ($self:expr, $end:ident => $body:expr) => {
        match $self {
            OriginStream::H1($end) => $body,
            OriginStream::H2($end) => $body,
        }
    };
}

impl OriginStream {
    /// Is this the first exchange of its connection?
    #[must_use]
    pub fn is_new(&self) -> bool {
        each!(self, end => end.is_new())
    }

    /// Has its connection carried an exchange before the present one?
    #[must_use]
    pub fn is_reused(&self) -> bool {
        match self {
            Self::H1(conn) => conn.is_reused(),
            Self::H2(stream) => !stream.is_new(),
        }
    }

    /// Puts a request head on its way; it leaves with the body or a flush. Its framing is ours.
    pub fn send_head(&mut self, line: &RequestLine<'_>, fields: &impl Outgoing) {
        each!(self, end => end.send_head(line, fields));
    }

    /// The same with a head that [`super::h1::encode_head`] has written before.
    pub fn send_encoded(&mut self, head: &[u8], body: BodyLen) {
        each!(self, end => end.send_encoded(head, body));
    }

    /// Waits for the next response head to a request with `method`, interim ones included. After
    /// a final head the body is expected by its framing.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: Method,
        limits: &OriginLimits,
        response: &mut ResponseHead,
    ) -> Poll<Result<BodyLen, NetError>> {
        each!(self, end => end.poll_head(cx, method, limits, response))
    }

    /// Interim responses to the present request so far.
    #[must_use]
    pub fn interim(&self) -> u32 {
        each!(self, end => end.interim())
    }

    /// Has anything of an answer come?
    #[must_use]
    pub fn has_answered(&self) -> bool {
        each!(self, end => end.has_answered())
    }

    /// May any byte of the present request have left us?
    #[must_use]
    pub fn has_sent_any(&self) -> bool {
        each!(self, end => end.has_sent_any())
    }

    /// The peer sends without end what nobody wants: the connection ends with this exchange,
    /// whoever else uses it.
    pub fn condemn(&mut self) {
        match self {
            // It is not used again as it is.
            Self::H1(_) => {}
            Self::H2(stream) => stream.condemn(),
        }
    }

    /// Bytes of the answer's body so far, framing left out.
    #[must_use]
    pub fn body_received(&self) -> u64 {
        each!(self, end => end.body_received())
    }

    /// The connection, if it can carry another exchange after this one: both messages ended as
    /// their framing said. A place on a shared connection is free when this is dropped.
    #[must_use]
    pub fn into_reusable(self) -> Option<Box<OriginConn>> {
        match self {
            Self::H1(conn) => conn.is_reusable().then_some(conn),
            Self::H2(_) => None,
        }
    }
}

impl Source for OriginStream {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        each!(self, end => end.poll_data(cx))
    }

    fn data(&self) -> &[u8] {
        each!(self, end => end.data())
    }

    fn consume(&mut self, count: usize) {
        each!(self, end => end.consume(count));
    }

    fn give_up(&mut self) -> Option<Given> {
        each!(self, end => end.give_up())
    }

    fn trailers(&mut self) -> Option<Fields> {
        each!(self, end => end.trailers())
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        each!(self, end => Source::raw(&mut **end))
    }

    fn moved(&mut self, count: usize) -> Result<(), NetError> {
        each!(self, end => Source::moved(&mut **end, count))
    }
}

impl Sink for OriginStream {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        each!(self, end => end.poll_send(cx, data))
    }

    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        each!(self, end => end.poll_finish(cx, trailers))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        each!(self, end => end.poll_flush(cx))
    }

    fn can_be_raw(&self) -> bool {
        each!(self, end => end.can_be_raw())
    }

    fn raw(&mut self) -> Option<&TcpStream> {
        each!(self, end => Sink::raw(&mut **end))
    }

    fn moved(&mut self, count: usize) {
        each!(self, end => Sink::moved(&mut **end, count));
    }
}

impl tunnel::End for OriginStream {
    fn ahead(&mut self) -> Buffer {
        each!(self, end => end.ahead())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>> {
        each!(self, end => tunnel::End::poll_read(&mut **end, cx, held))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, end => tunnel::End::poll_write(&mut **end, cx, bytes))
    }

    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, end => tunnel::End::poll_through(&mut **end, cx))
    }

    fn shut_down(&mut self) {
        each!(self, end => end.shut_down());
    }

    fn release(&mut self, held: &mut Buffer) {
        each!(self, end => tunnel::End::release(&mut **end, held));
    }
}
