//! An origin connection that speaks HTTP/1.

use std::{
    fmt::Debug,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use croupier_http::{
    BodyLen, Fields, Method, ResponseHead,
    h1::{
        chunked::ChunkLimits,
        encode, framing, head, reuse,
        scan::{HeadLimits, HeadScan},
    },
};

use tokio::net::TcpStream;

use crate::{
    buffers::Buffer,
    error::NetError,
    h2::H2Limits,
    local::Local,
    side::{Given, Outgoing, Sink, Source},
    timers::Tick,
    transport::Transport,
    tunnel,
    wire::{End, Wire},
};

/// Limits of an origin connection, from the limits table.
#[derive(Clone, Copy, Debug)]
pub struct OriginLimits {
    /// The response head.
    pub head: HeadLimits,
    /// Chunk lines and trailers of the response body.
    pub chunks: ChunkLimits,
    /// Connections that carry several exchanges.
    pub h2: H2Limits,
}

/// What the request line and framing of a request say.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The method's bytes.
    pub method: &'a [u8],
    /// The path to ask for, or `*`.
    pub path: &'a str,
    /// The query without its question mark.
    pub query: Option<&'a str>,
    /// The `Host` field's value.
    pub host: &'a str,
    /// How the body is framed.
    pub body: BodyLen,
    /// Ask for a WebSocket.
    pub websocket: bool,
}

/// What lives as long as a connection does, whatever thread it is on: whoever opened it counts
/// with this when it closes.
pub trait Guard: Debug + Send {}

impl<T: Debug + Send> Guard for T {}

/// A connection to a server of a pool.
#[derive(Debug)]
pub struct OriginConn {
    /// The bytes and bodies.
    pub(crate) wire: Wire,
    scan: HeadScan,
    persistent: bool,
    /// A request was sent whose final head has not come.
    awaiting: bool,
    interim: u32,
    pub(super) used: u32,
    /// See [`OriginConn::manner`].
    manner: u32,
    pub(super) idle_since: Tick,
    /// The last field: dropped when the socket is closed.
    pub(super) guard: Option<Box<dyn Guard>>,
}

/// Writes what of a request head is not framing: the request line, `Host` and the fields.
pub fn encode_head(out: &mut Vec<u8>, line: &RequestLine<'_>, fields: &impl Outgoing) {
    encode::request_line(out, line.method, line.path, line.query);
    encode::field(out, b"host", line.host.as_bytes());
    out.extend_from_slice(fields.text());
    fields.lines(&mut |name, value| encode::field(out, name, value));
}

impl OriginConn {
    /// A connection that was just made.
    #[must_use]
    pub fn new(io: Transport, local: &Rc<Local>, limits: &OriginLimits) -> Self {
        Self::on(io, local, limits.chunks)
    }

    pub(super) fn on(io: Transport, local: &Rc<Local>, chunks: ChunkLimits) -> Self {
        let wire = Wire::new(io, Rc::clone(local), chunks, End::Origin);
        Self {
            wire,
            scan: HeadScan::default(),
            persistent: true,
            awaiting: false,
            interim: 0,
            used: 0,
            manner: 0,
            idle_since: 0,
            guard: None,
        }
    }

    /// With something that is dropped when the connection has closed.
    #[must_use]
    pub fn guarded(mut self, guard: impl Guard + 'static) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// A connection that was made in a manner of this id; without, it is a plain one.
    #[must_use]
    pub fn made_by(mut self, manner: u32) -> Self {
        self.manner = manner;
        self
    }

    /// In which manner it was made: it is used again where that is the manner asked for.
    #[must_use]
    pub fn manner(&self) -> u32 {
        self.manner
    }

    /// Has it carried nothing yet?
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.used == 0
    }

    /// Has it carried an exchange before the present one?
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.used > 1
    }

    /// Puts a request head in the write buffer; it leaves with the body or a flush. Its framing
    /// is ours: exactly one of none, `content-length`, `chunked`.
    pub fn send_head(&mut self, line: &RequestLine<'_>, fields: &impl Outgoing) {
        self.begin();
        encode_head(self.wire.output(), line, fields);
        let upgrade: &[u8] = if line.websocket {
            b"connection: Upgrade\r\nupgrade: websocket\r\n"
        } else {
            b""
        };
        self.end_head(line.body, upgrade);
    }

    /// The same with a head that [`encode_head`] has written before.
    pub fn send_encoded(&mut self, head: &[u8], body: BodyLen) {
        self.begin();
        self.wire.output().extend_from_slice(head);
        self.end_head(body, b"");
    }

    fn begin(&mut self) {
        self.used = self.used.saturating_add(1);
        self.interim = 0;
        self.awaiting = true;
        self.scan = HeadScan::default();
    }

    fn end_head(&mut self, body: BodyLen, last_lines: &[u8]) {
        let out = self.wire.output();
        match body {
            BodyLen::Length(length) => encode::content_length(out, length),
            BodyLen::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            BodyLen::None | BodyLen::UntilClose => {}
        }
        out.extend_from_slice(last_lines);
        out.extend_from_slice(b"\r\n");
        self.wire.begin_body(body);
    }

    /// Waits for the next response head to a request with `method`, interim ones included.
    /// After a final head the body is expected by its framing.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: Method,
        limits: &OriginLimits,
        response: &mut ResponseHead,
    ) -> Poll<Result<BodyLen, NetError>> {
        let length = ready!(self.wire.poll_head(cx, &mut self.scan, &limits.head))?;
        let bytes = &self.wire.input.bytes()[..length];
        head::response(bytes, &limits.head, response).map_err(NetError::Head)?;
        self.wire.input.consume(length);
        self.scan = HeadScan::default();
        let body = framing::response(method, response).map_err(NetError::Framing)?;
        if response.is_interim() {
            self.interim += 1;
            return Poll::Ready(Ok(BodyLen::None));
        }
        self.persistent =
            body != BodyLen::UntilClose && reuse::is_persistent(response.version, &response.fields);
        self.awaiting = false;
        self.wire.expect_body(body);
        Poll::Ready(Ok(body))
    }

    /// Interim responses to the present request so far.
    #[must_use]
    pub fn interim(&self) -> u32 {
        self.interim
    }

    /// Has any byte of an answer come?
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.interim > 0 || !self.wire.input.is_empty()
    }

    /// May it carry another exchange? Only when both bodies ended as their framing said,
    /// nothing came after, and both ends agree.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.persistent
            && !self.awaiting
            && self.wire.has_received_all()
            && self.wire.has_sent_all()
            && self.wire.input.is_empty()
            && !self.wire.has_ended()
    }

    /// Lays the connection to rest: no buffer is held.
    pub fn rest(&mut self, now: Tick) {
        self.wire.rest();
        self.idle_since = now;
    }

    /// When it was laid to rest.
    #[must_use]
    pub fn idle_since(&self) -> Tick {
        self.idle_since
    }

    /// Is an idle connection still as we left it? Bytes nobody asked for, or an end, and it
    /// must not be used.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.wire.is_quiet()
    }
}

impl OriginConn {
    /// Has the kernel taken any byte of the present request?
    #[must_use]
    pub fn has_sent_any(&self) -> bool {
        self.wire.has_sent_any()
    }

    /// Looks, with a system call, whether an idle connection is still as we left it: for a
    /// request that could not be repeated if it were not.
    #[must_use]
    pub fn is_surely_quiet(&self) -> bool {
        self.wire.is_surely_quiet()
    }

    /// Bytes of the answer's body so far, framing left out.
    #[must_use]
    pub fn body_received(&self) -> u64 {
        self.wire.body_received()
    }
}

impl Source for OriginConn {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        self.wire.poll_data(cx)
    }

    fn data(&self) -> &[u8] {
        self.wire.data()
    }

    fn consume(&mut self, count: usize) {
        self.wire.consume(count);
    }

    fn give_up(&mut self) -> Option<Given> {
        self.wire.give_up()
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.wire.trailers()
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        Source::raw(&mut self.wire)
    }

    fn moved(&mut self, count: usize) -> Result<(), NetError> {
        Source::moved(&mut self.wire, count)
    }
}

impl Sink for OriginConn {
    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        self.wire.poll_send(cx, data)
    }

    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        self.wire.poll_finish(cx, trailers)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.wire.poll_flush(cx)
    }

    fn can_be_raw(&self) -> bool {
        self.wire.can_be_raw()
    }

    fn raw(&mut self) -> Option<&TcpStream> {
        Sink::raw(&mut self.wire)
    }

    fn moved(&mut self, count: usize) {
        Sink::moved(&mut self.wire, count);
    }
}

impl tunnel::End for OriginConn {
    fn ahead(&mut self) -> Buffer {
        self.wire.ahead()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, held: &mut Buffer) -> Poll<io::Result<usize>> {
        tunnel::End::poll_read(&mut self.wire, cx, held)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        tunnel::End::poll_write(&mut self.wire, cx, bytes)
    }

    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tunnel::End::poll_through(&mut self.wire, cx)
    }

    fn shut_down(&mut self) {
        self.wire.shut_down();
    }

    fn release(&mut self, held: &mut Buffer) {
        tunnel::End::release(&mut self.wire, held);
    }
}
