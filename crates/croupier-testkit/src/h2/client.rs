//! The client's own doing: settings, streams, windows. What it says and hears is in `dialogue.rs`.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::answer::{Answer, Goaway};
use super::frame::{FRAME_MAX, Frame, PREFACE, flag, kind, setting};
use super::head::Head;
use super::heard::Heard;
use super::hpack::Encoder;
use super::link::{Closed, Duplex, Link};
use super::windows::Windows;
use crate::event::PATIENCE;
use crate::message::text;

/// Which windows the client opens again when bytes have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grants {
    /// Both: a client that reads.
    All,
    /// Only that of the connection: a client that reads nothing of some streams.
    Connection,
    /// None.
    None,
}

/// One HTTP/2 connection to the proxy.
pub struct Client {
    pub(super) link: Link,
    pub(super) heard: Heard,
    pub(super) encoder: Encoder,
    pub(super) sending: Windows,
    pub(super) grants: Grants,
    pub(super) patience: Duration,
    next: u32,
    pub(super) flaw: Option<String>,
}

/// Beginning.
impl Client {
    /// Connects, greets without settings of its own but that it wants no pushes, and waits until
    /// both sides know each other's settings.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[])
    }

    /// The same with these settings.
    #[must_use]
    #[track_caller]
    pub fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::bare(address);
        client.greet(settings);
        client.wait("the settings of both sides", |client| {
            client.heard.settings_frames > 0 && client.heard.settings_acks > 0
        });
        client
    }

    /// Connects and says nothing yet.
    #[must_use]
    #[track_caller]
    pub fn bare(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE);
        match stream.and_then(Link::tcp) {
            Ok(link) => Self::of(link),
            Err(error) => panic!("the client cannot connect to {address}: {error}"),
        }
    }

    /// Over a connection that was made otherwise, TLS for instance; says nothing yet.
    #[must_use]
    pub fn over(duplex: Box<dyn Duplex>) -> Self {
        Self::of(Link::new(duplex))
    }

    fn of(link: Link) -> Self {
        Self {
            link,
            heard: Heard::new(),
            encoder: Encoder::new(),
            sending: Windows::new(),
            grants: Grants::All,
            patience: PATIENCE,
            next: 1,
            flaw: None,
        }
    }

    /// Another deadline for each operation than ten seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Which windows are opened again from now on.
    pub fn grants(&mut self, grants: Grants) -> &mut Self {
        self.grants = grants;
        self
    }

    /// Counts the bytes of bodies and keeps none.
    pub fn forget_bodies(&mut self) -> &mut Self {
        self.heard.keeps_bodies = false;
        self
    }

    /// Header blocks from now on are literals that depend on no table; for tests that send blocks
    /// of their own between requests.
    pub fn plain(&mut self) -> &mut Self {
        self.encoder.plain();
        self
    }

    /// The preface and these settings.
    #[track_caller]
    pub fn greet(&mut self, settings: &[(u16, u32)]) -> &mut Self {
        let settings = [&[(setting::ENABLE_PUSH, 0)], settings].concat();
        self.greet_and(&[Frame::settings(&settings)])
    }

    /// The preface and these frames in one piece.
    #[track_caller]
    pub fn greet_and(&mut self, frames: &[Frame]) -> &mut Self {
        self.link.waiting.extend(PREFACE);
        if let Err(error) = self.try_send_all(frames) {
            self.fail(&format!("sending failed: {error}"));
        }
        self
    }
}

/// Requests.
impl Client {
    /// The number of the next stream.
    #[must_use]
    pub fn next_stream(&self) -> u32 {
        self.next
    }

    /// Takes note that a stream is opened with the number `stream`, by bytes of the test's own.
    pub fn opened(&mut self, stream: u32, method: &str) {
        self.next = self.next.max(stream + 2);
        self.sending.open(stream);
        self.heard.receiving.open(stream);
        let answer = Answer {
            stream,
            method: method.to_owned(),
            ..Answer::default()
        };
        self.heard.answers.insert(stream, answer);
    }

    /// Sends a head that has no body behind it, and gives the stream.
    #[track_caller]
    pub fn open(&mut self, head: &Head) -> u32 {
        self.start(head, flag::END_STREAM)
    }

    /// Sends a head that has a body behind it, and gives the stream.
    #[track_caller]
    pub fn open_with_body(&mut self, head: &Head) -> u32 {
        self.start(head, 0)
    }

    /// Sends a head as this block, whatever it is, and gives the stream. Blocks of the client
    /// itself depend on no table from now on.
    #[track_caller]
    pub fn open_block(&mut self, block: impl AsRef<[u8]>, flags: u8) -> u32 {
        self.encoder.plain();
        let stream = self.next;
        self.opened(stream, "GET");
        self.send_block(stream, block.as_ref(), flags);
        stream
    }

    #[track_caller]
    fn start(&mut self, head: &Head, flags: u8) -> u32 {
        let stream = self.next;
        self.opened(stream, &text(head.value(":method").unwrap_or_default()));
        let block = self.encoder.encode(&head.0);
        self.send_block(stream, &block, flags);
        stream
    }

    /// `HEADERS` and as many `CONTINUATION`s as the block needs.
    #[track_caller]
    pub fn send_block(&mut self, stream: u32, block: &[u8], flags: u8) {
        let mut bytes = Vec::with_capacity(block.len() + 64);
        let (first, mut rest) = block.split_at(block.len().min(FRAME_MAX));
        let head = Frame::headers(stream, first).flag(flags);
        let head = if rest.is_empty() {
            head
        } else {
            head.unflag(flag::END_HEADERS)
        };
        bytes.extend(head.encode());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(FRAME_MAX));
            rest = behind;
            let last = if rest.is_empty() {
                flag::END_HEADERS
            } else {
                0
            };
            bytes.extend(Frame::continuation(stream, piece).flag(last).encode());
        }
        self.link.note(format!(">> {head} (+ continuations)"));
        self.send_bytes(bytes);
    }

    /// Sends a body piece by piece as windows allow; gives how much of it went before the proxy
    /// had said its last word on the stream.
    #[track_caller]
    pub fn send_data(&mut self, stream: u32, bytes: impl AsRef<[u8]>) -> usize {
        let bytes = bytes.as_ref();
        let mut sent = 0;
        while sent < bytes.len() {
            self.wait("room in a window", |client| {
                client.sending.room(stream) > 0 || client.is_over(stream)
            });
            if self.is_over(stream) {
                break;
            }
            let room = self.sending.room(stream).min(FRAME_MAX);
            let piece = &bytes[sent..bytes.len().min(sent + room)];
            self.send(&Frame::data(stream, piece));
            sent += piece.len();
        }
        sent
    }

    /// Ends a request's body.
    #[track_caller]
    pub fn finish(&mut self, stream: u32) -> &mut Self {
        self.send(&Frame::data(stream, "").end_stream())
    }

    /// Ends a request's body with trailers.
    #[track_caller]
    pub fn finish_with(&mut self, stream: u32, trailers: &[(&str, &str)]) {
        let block = self.encoder.encode(trailers);
        self.send_block(stream, &block, flag::END_STREAM);
    }

    /// Gives up a request.
    #[track_caller]
    pub fn cancel(&mut self, stream: u32, code: u32) {
        self.send(&Frame::reset(stream, code));
        if let Some(answer) = self.heard.answers.get_mut(&stream) {
            answer.was_cancelled = true;
        }
    }

    /// Opens the window of a stream, or of the connection (0), by so many bytes.
    #[track_caller]
    pub fn grant(&mut self, stream: u32, bytes: u32) {
        self.send(&Frame::window_update(stream, bytes));
    }

    /// A whole request and its answer.
    #[track_caller]
    pub fn request(&mut self, head: &Head, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let stream = if body.is_empty() {
            self.open(head)
        } else {
            let stream = self.open_with_body(head);
            if self.send_data(stream, body) == body.len() {
                self.finish(stream);
            }
            stream
        };
        self.answer(stream)
    }

    /// `GET path`, and its answer.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.request(&Head::get(path), "")
    }

    pub(super) fn is_over(&self, stream: u32) -> bool {
        let answer = self.heard.answers.get(&stream);
        let was_refused = self.heard.goaways.last().is_some_and(|g| g.last < stream);
        self.link.closed.is_some() || was_refused || answer.is_none_or(Answer::is_over)
    }
}

/// What was heard.
impl Client {
    /// What has come on a stream so far.
    #[must_use]
    #[track_caller]
    pub fn so_far(&self, stream: u32) -> &Answer {
        match self.heard.answers.get(&stream) {
            Some(answer) => answer,
            None => self.fail(&format!("stream {stream} was never opened")),
        }
    }

    /// A setting of the proxy, if it said one.
    #[must_use]
    pub fn setting(&self, id: u16) -> Option<u32> {
        self.heard.settings.get(&id).copied()
    }

    /// How many `SETTINGS` the proxy has acknowledged.
    #[must_use]
    pub fn settings_acks(&self) -> usize {
        self.heard.settings_acks
    }

    /// Every `GOAWAY` so far.
    #[must_use]
    pub fn goaways(&self) -> &[Goaway] {
        &self.heard.goaways
    }

    /// How many frames of a type have come.
    #[must_use]
    pub fn count(&self, kind: u8) -> usize {
        self.heard
            .counts
            .get(usize::from(kind))
            .copied()
            .unwrap_or(0)
    }

    /// How the proxy closed the connection, if it did.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.link.closed
    }

    /// How much we may send: on a stream, or on the connection (0).
    #[must_use]
    pub fn window(&self, stream: u32) -> i64 {
        match stream {
            0 => self.sending.connection,
            _ => self.sending.stream(stream),
        }
    }

    /// How much of its table the proxy's encoder uses.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.heard.decoder.table_bytes()
    }

    /// Bytes that have left.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.link.sent
    }
}

/// The engine: reading, judging, and what is answered by itself.
impl Client {
    /// Sends what waits, reading whenever the proxy takes nothing.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + self.patience;
        while !self.link.waiting.is_empty() {
            if self.link.write_some()? {
                continue;
            }
            self.hear(Duration::from_millis(1));
            // Who has said the last word takes no more either.
            if self.link.closed.is_some() {
                self.link.waiting.clear();
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Reads once, takes every whole frame, and answers what is to be answered.
    pub(super) fn pump(&mut self, timeout: Duration) {
        self.hear(timeout);
        let _ = self.flush();
    }

    fn hear(&mut self, timeout: Duration) {
        if !self.link.read_some(timeout) && self.link.closed.is_none() {
            return;
        }
        while let Some(frame) = self.link.frame() {
            if let Err(flaw) = self.heard.hear(&frame) {
                self.note_flaw(format!("{frame}: {flaw}"));
            }
            self.react(&frame);
        }
    }

    fn react(&mut self, frame: &Frame) {
        match frame.kind {
            kind::SETTINGS if !frame.has(flag::ACK) => {
                for (id, value) in frame.settings_pairs() {
                    match id {
                        setting::INITIAL_WINDOW_SIZE => self.sending.set_initial(value),
                        setting::HEADER_TABLE_SIZE => self.encoder.allow(value),
                        _ => {}
                    }
                }
                self.queue(&Frame::settings_ack());
            }
            kind::PING if !frame.has(flag::ACK) => {
                self.queue(&Frame::raw(kind::PING, flag::ACK, 0, &frame.payload));
            }
            kind::WINDOW_UPDATE => {
                let fits = self.sending.grow(frame.stream, frame.number_at(0));
                if !fits {
                    self.note_flaw(format!("{frame}: too large a window"));
                }
            }
            kind::DATA if !frame.payload.is_empty() => {
                let bytes = u32::try_from(frame.payload.len()).unwrap_or(0);
                if self.grants != Grants::None {
                    self.queue(&Frame::window_update(0, bytes));
                }
                let is_over = self
                    .heard
                    .answers
                    .get(&frame.stream)
                    .is_none_or(Answer::is_over);
                if self.grants == Grants::All && !is_over {
                    self.queue(&Frame::window_update(frame.stream, bytes));
                }
            }
            _ => {}
        }
    }

    /// Puts a frame behind what waits to be sent, and keeps the books.
    pub(super) fn queue(&mut self, frame: &Frame) {
        match frame.kind {
            kind::DATA => {
                self.sending.take(frame.stream, frame.payload.len());
            }
            kind::WINDOW_UPDATE => {
                self.heard.receiving.grow(frame.stream, frame.number_at(0));
            }
            kind::SETTINGS if !frame.has(flag::ACK) => self.heard.said(frame.settings_pairs()),
            _ => {}
        }
        self.link.note(format!(">> {frame}"));
        self.link.waiting.extend(frame.encode());
    }

    /// The first one counts.
    fn note_flaw(&mut self, flaw: String) {
        self.link.note(format!("-- {flaw}"));
        self.flaw.get_or_insert(flaw);
    }

    /// Fails when the proxy said what it must not.
    #[track_caller]
    pub(super) fn judge(&self) {
        if let Some(flaw) = &self.flaw {
            self.fail(&format!("the proxy said what it must not: {flaw}"));
        }
    }

    #[track_caller]
    pub(super) fn fail(&self, what: &str) -> ! {
        panic!("{what}\n{}", self.link);
    }
}
