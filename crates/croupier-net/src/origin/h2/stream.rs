//! One exchange on a shared connection: the verbs of an origin connection, over a stream.
//!
//! Nothing is read ahead but what flow control lets the peer send, and it gets more room only when
//! bytes were taken; nothing is taken from the client but what the peer has room for. Dropping a
//! stream that is not through resets it (CANCEL).

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use croupier_http::{
    BodyLen, Fields, Method, ResponseHead, Version,
    h1::{chunked::ChunkLimits, framing},
};
use h2::{RecvStream, SendStream, client::ResponseFuture};
use http::HeaderValue;
use tokio::net::TcpStream;

use super::{Shared, failure, request};
use crate::{
    buffers::{Buffer, Size},
    error::NetError,
    h2::{
        SEND_BUFFER,
        fields::{read_lines, read_trailers, write_trailers},
    },
    origin::h1::{OriginLimits, RequestLine},
    side::{Given, Outgoing, Sink, Source},
    tunnel,
};

/// A stream of a shared connection.
#[derive(Debug)]
pub struct Stream {
    shared: Rc<Shared>,
    /// The first of its connection.
    is_first: bool,
    /// Why there is no answer.
    failed: Option<NetError>,
    upload: Upload,
    send: Option<SendStream<Bytes>>,
    answer: Option<ResponseFuture>,
    receive: Option<RecvStream>,
    /// Bytes of the body that came, not all taken yet.
    part: Bytes,
    trailers: Option<Fields>,
    /// Limits of trailers.
    chunks: ChunkLimits,
    interim: u32,
    body_received: u64,
    /// A WebSocket was asked for, perhaps by a client with a key.
    websocket: Option<Option<HeaderValue>>,
}

/// The request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Streaming,
    /// Its end, or what comes instead of one, is not ours to say.
    Tunnel,
    Ended,
}

impl Stream {
    pub(super) fn new(shared: &Rc<Shared>) -> Self {
        let opened = shared.opened.get();
        shared.opened.set(opened + 1);
        shared.streams.set(shared.streams.get() + 1);
        Self {
            shared: Rc::clone(shared),
            is_first: opened == 0,
            failed: None,
            upload: Upload::Ended,
            send: None,
            answer: None,
            receive: None,
            part: Bytes::new(),
            trailers: None,
            chunks: ChunkLimits {
                line_bytes: 0,
                trailer_bytes: 0,
                trailers: 0,
            },
            interim: 0,
            body_received: 0,
            websocket: None,
        }
    }

    /// Sends a request head. What is wrong with it is told by [`Self::poll_head`].
    pub fn send_head(&mut self, line: &RequestLine<'_>, fields: &impl Outgoing) {
        let mut text = self.shared.local.asked.borrow_mut();
        let told = request::request(line, self.shared.scheme, fields, &mut text);
        drop(text);
        self.send_told(told, line.body, line.websocket);
    }

    /// The same with a head that was encoded for HTTP/1.
    pub fn send_encoded(&mut self, head: &[u8], body: BodyLen) {
        let told = request::encoded(head, self.shared.scheme, body);
        self.send_told(told, body, false);
    }

    fn send_told(&mut self, told: Result<request::Told, NetError>, body: BodyLen, websocket: bool) {
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                self.failed = Some(error);
                return;
            }
        };
        let ends = !websocket && matches!(body, BodyLen::None | BodyLen::Length(0));
        let sent = self
            .shared
            .sender
            .borrow_mut()
            .send_request(told.request, ends);
        match sent {
            Ok((answer, send)) => {
                self.answer = Some(answer);
                self.send = Some(send);
                self.upload = match (websocket, ends) {
                    (true, _) => Upload::Tunnel,
                    (false, true) => Upload::Ended,
                    (false, false) => Upload::Streaming,
                };
                self.websocket = websocket.then_some(told.websocket_key);
            }
            // The connection had ended before one byte of this request was sent.
            Err(error) => {
                self.shared.signs.is_ending.set(true);
                self.failed = Some(match failure(&error) {
                    NetError::Protocol(sentence) => NetError::Protocol(sentence),
                    _ => NetError::Unprocessed,
                });
            }
        }
    }

    /// Waits for the next response head to a request with `method`, interim ones included.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: Method,
        limits: &OriginLimits,
        response: &mut ResponseHead,
    ) -> Poll<Result<BodyLen, NetError>> {
        let polled = self.poll_any_head(cx, method, limits, response);
        if let Poll::Ready(Err(NetError::Unprocessed)) = polled {
            // It has no room, whatever it says: what goes on there ends, what is new goes elsewhere.
            self.shared.signs.is_ending.set(true);
        }
        polled
    }

    fn poll_any_head(
        &mut self,
        cx: &mut Context<'_>,
        method: Method,
        limits: &OriginLimits,
        response: &mut ResponseHead,
    ) -> Poll<Result<BodyLen, NetError>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(NetError::Closed));
        };
        if let Some(interim) = ready!(answer.poll_informational(cx)) {
            let (parts, ()) = interim.map_err(|error| failure(&error))?.into_parts();
            self.interim += 1;
            read_head(&parts, limits, response)?;
            // HTTP/2 has no switch of protocols.
            return Poll::Ready(if response.status == 101 {
                Err(NetError::Protocol(super::NOT_LAWFUL))
            } else {
                Ok(BodyLen::None)
            });
        }
        let came = ready!(Pin::new(answer).poll(cx)).map_err(|error| failure(&error))?;
        self.answer = None;
        let (parts, receive) = came.into_parts();
        read_head(&parts, limits, response)?;
        self.chunks = limits.chunks;
        let has_ended = receive.is_end_stream();
        self.receive = Some(receive);
        if let Some(key) = self.websocket.take() {
            if parts.status.is_success() {
                request::switch(response, key.as_ref());
                return Poll::Ready(Ok(BodyLen::None));
            }
            self.upload = Upload::Ended;
        }
        let body = match framing::response(method, response).map_err(NetError::Framing)? {
            // Its end is in the frames, so that it can be seen to be cut.
            BodyLen::UntilClose if has_ended => BodyLen::Length(0),
            BodyLen::UntilClose => BodyLen::Chunked,
            body => body,
        };
        if body == BodyLen::None {
            self.receive = None;
        }
        Poll::Ready(Ok(body))
    }

    /// Interim responses so far.
    #[must_use]
    pub fn interim(&self) -> u32 {
        self.interim
    }

    /// Has anything of an answer come?
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.interim > 0 || self.send.is_some() && self.answer.is_none()
    }

    /// May any byte of the request have left us?
    #[must_use]
    pub fn has_sent_any(&self) -> bool {
        self.send.is_some()
    }

    /// Ends the connection: its peer floods it.
    pub fn condemn(&mut self) {
        self.shared.signs.is_ending.set(true);
        self.shared.signs.is_condemned.set(true);
    }

    /// Is it the first of its connection?
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_first
    }

    /// Bytes of the answer's body so far.
    #[must_use]
    pub fn body_received(&self) -> u64 {
        self.body_received
    }

    /// More of the body; false at its end.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, NetError>> {
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(Ok(false));
        };
        while self.part.is_empty() {
            match ready!(receive.poll_data(cx)) {
                Some(part) => self.part = part.map_err(|error| failure(&error))?,
                None => return Poll::Ready(Ok(false)),
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Bytes were taken: as many may come.
    fn took(&mut self, count: usize) {
        self.part.advance(count);
        self.body_received += count as u64;
        if let Some(receive) = &mut self.receive {
            // It fails only when the stream is gone, and the next poll tells.
            let _ = receive.flow_control().release_capacity(count);
        }
    }

    /// Takes what the peer has room for.
    fn poll_give(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        let Some(send) = &mut self.send else {
            return Poll::Ready(Err(NetError::Closed));
        };
        send.reserve_capacity(data.len().min(SEND_BUFFER));
        let mut room = send.capacity();
        while room == 0 {
            room = match ready!(send.poll_capacity(cx)) {
                Some(room) => room.map_err(|error| failure(&error))?,
                None => return Poll::Ready(Err(NetError::Reset)),
            };
        }
        let count = room.min(data.len());
        let part = Bytes::copy_from_slice(&data[..count]);
        send.send_data(part, false)
            .map_err(|error| failure(&error))?;
        Poll::Ready(Ok(count))
    }

    fn finish(&mut self, trailers: Option<&Fields>) -> Result<(), NetError> {
        let Some(send) = &mut self.send else {
            return Ok(());
        };
        if self.upload != Upload::Streaming {
            return Ok(());
        }
        self.upload = Upload::Ended;
        match trailers {
            Some(trailers) => send.send_trailers(write_trailers(trailers)),
            None => send.send_data(Bytes::new(), true),
        }
        .map_err(|error| failure(&error))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.answer.is_some() {
            // Nobody answered: was it only this exchange?
            self.shared.signs.is_suspect.set(true);
        }
        self.shared.left();
    }
}

impl Source for Stream {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        if ready!(self.poll_part(cx))? {
            return Poll::Ready(Ok(self.part.len()));
        }
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(Ok(0));
        };
        let map = ready!(receive.poll_trailers(cx)).map_err(|error| failure(&error))?;
        if let Some(map) = map {
            let mut trailers = Fields::new();
            read_trailers(&map, &self.chunks, &mut trailers).map_err(NetError::Head)?;
            self.trailers = (!trailers.is_empty()).then_some(trailers);
        }
        self.receive = None;
        Poll::Ready(Ok(0))
    }

    fn data(&self) -> &[u8] {
        &self.part
    }

    fn consume(&mut self, count: usize) {
        self.took(count);
    }

    fn give_up(&mut self) -> Option<Given> {
        let part = self.part.clone();
        self.took(part.len());
        Some(Given::Bytes(part))
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
        self.poll_give(cx, data)
    }

    fn poll_finish(
        &mut self,
        _: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        Poll::Ready(self.finish(trailers))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        // The driver sends what it was given.
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

impl tunnel::End for Stream {
    fn ahead(&mut self) -> Buffer {
        Buffer::default()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>> {
        if !ready!(self.poll_part(cx)).map_err(io_error)? {
            return Poll::Ready(Ok(0));
        }
        let local = Rc::clone(&self.shared.local);
        let room = held.room(Size::Page, &local.buffers);
        let count = room.len().min(self.part.len());
        room[..count].copy_from_slice(&self.part[..count]);
        held.filled(count);
        self.took(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_give(cx, bytes).map_err(io_error)
    }

    fn poll_through(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver sends what it was given.
        Poll::Ready(Ok(()))
    }

    fn shut_down(&mut self) {
        if self.upload == Upload::Tunnel {
            self.upload = Upload::Streaming;
            // The peer may be gone already; its own end will tell.
            let _ = self.finish(None);
        }
    }

    fn release(&mut self, held: &mut Buffer) {
        held.release(&self.shared.local.buffers);
    }
}

fn read_head(
    parts: &http::response::Parts,
    limits: &OriginLimits,
    head: &mut ResponseHead,
) -> Result<(), NetError> {
    head.clear();
    head.version = Version::Http2;
    head.status = parts.status.as_u16();
    read_lines(&parts.headers, &limits.head, &mut head.fields).map_err(NetError::Head)
}

fn io_error(error: NetError) -> io::Error {
    match error {
        NetError::Io(error) => error,
        _ => io::ErrorKind::ConnectionReset.into(),
    }
}
