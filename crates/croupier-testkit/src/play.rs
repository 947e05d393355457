//! The origin's side of one connection: reads requests, plays replies, records both.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::Framing;
use crate::record::{Ended, Request, Shared};
use crate::reply::{Message, Reply, Step};
use crate::stream::Stream;
use crate::strict::{self, Broken, Reader, Sink};
use crate::wire::Direction;

/// No script waits longer, so that a forgotten event cannot hang a test run.
const WAIT_MAX: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(2);

/// What the script left the connection in.
enum Next {
    Request,
    Close,
    Reset,
}

pub(crate) struct Conversation {
    shared: Arc<Shared>,
    id: usize,
    stream: Arc<Stream>,
    reader: Reader<Tap>,
    /// The request being answered: its index, and whether its body is still on the wire.
    current: Option<(usize, Unread)>,
    /// Whether a final answer to it has been sent.
    is_answered: bool,
    number: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    Nothing,
    Body(Framing),
}

/// Reads from the stream and writes down what came.
struct Tap {
    stream: Arc<Stream>,
    shared: Arc<Shared>,
    id: usize,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&*self.stream).read(buffer)?;
        if count > 0 {
            self.shared.record(self.id, Direction::In, &buffer[..count]);
        }
        Ok(count)
    }
}

impl Conversation {
    pub(crate) fn hold(shared: Arc<Shared>, id: usize, stream: Arc<Stream>) {
        let tap = Tap {
            stream: Arc::clone(&stream),
            shared: Arc::clone(&shared),
            id,
        };
        let reader = Reader::new(tap);
        let mut talk = Self {
            shared,
            id,
            stream,
            reader,
            current: None,
            is_answered: false,
            number: 0,
        };
        let greeting = talk
            .shared
            .script
            .at_connect
            .as_ref()
            .map(|greet| greet(id));
        let outcome = match greeting {
            Some(reply) => talk.play(&reply, false).and_then(|next| talk.go_on(next)),
            None => talk.go_on(Next::Request),
        };
        let ended = match outcome {
            Ok(Next::Reset) => {
                talk.stream.reset_on_close();
                Ended::ByReset
            }
            Ok(_) => {
                let _ = talk.stream.shutdown(Shutdown::Write);
                Ended::ByOrigin
            }
            Err(Broken::Closed) => Ended::ByPeer,
            Err(Broken::Cut) => Ended::Cut,
            Err(Broken::Io(error)) => Ended::Failed(error.kind()),
            Err(Broken::Malformed(what)) => {
                talk.violation(what);
                let _ = talk.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                Ended::Malformed
            }
        };
        if ended == Ended::ByOrigin {
            talk.linger();
        }
        let (shared, id) = (Arc::clone(&talk.shared), talk.id);
        drop(talk); // the socket is closed before anybody hears about it
        shared.ended(id, ended);
    }

    /// Reads what still comes for a moment, so that our FIN is not overtaken by a reset.
    fn linger(&mut self) {
        self.stream
            .set_read_timeout(Some(Duration::from_millis(200)));
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until && matches!(self.reader.fill(), Ok(count) if count > 0) {}
    }

    fn go_on(&mut self, mut next: Next) -> Result<Next, Broken> {
        while matches!(next, Next::Request) {
            next = self.one_request()?;
        }
        Ok(next)
    }

    fn one_request(&mut self) -> Result<Next, Broken> {
        self.shared.idle(self.id, true);
        let offset = self.reader.offset;
        let head_bytes = self.reader.head()?;
        self.shared.idle(self.id, false);
        let mut flaws = Vec::new();
        let judged = strict::request_head(&head_bytes, &mut flaws);
        self.violations_at(offset, flaws);
        let head = judged?;
        let request = Request {
            connection: self.id,
            number: self.number,
            at: self.shared.started.elapsed(),
            method: head.method,
            target: head.target,
            version: head.version,
            headers: head.headers,
            framing: head.framing,
            head: head_bytes,
            body: Vec::new(),
            body_length: 0,
            trailers: crate::Headers::default(),
            complete: false,
        };
        self.number += 1;
        let index = self.shared.arrived(request.clone());
        self.current = Some((index, Unread::Body(head.framing)));
        self.is_answered = false;
        if head.framing == Framing::None {
            self.read_body(64 * 1024, Duration::ZERO)?;
        }
        let says_close =
            request.headers.has_token("connection", "close") || request.version == "HTTP/1.0";
        let is_head = request.method == "HEAD";
        let early = self
            .shared
            .script
            .at_head
            .as_ref()
            .and_then(|at_head| at_head(&request));
        let reply = match early {
            Some(reply) => reply,
            None => {
                if self.shared.script.continues
                    && request.headers.has_token("expect", "100-continue")
                {
                    self.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                self.read_body(64 * 1024, Duration::ZERO)?;
                (self.shared.script.answer)(&self.shared.request(index))
            }
        };
        match self.play(&reply, is_head)? {
            Next::Request => {
                self.read_body(64 * 1024, Duration::ZERO)?;
                Ok(if says_close {
                    Next::Close
                } else {
                    Next::Request
                })
            }
            other => Ok(other),
        }
    }

    /// Reads the rest of the current request's body, if it is still to come.
    fn read_body(&mut self, bytes_each: usize, pause: Duration) -> Result<(), Broken> {
        let Some((index, Unread::Body(framing))) = self.current else {
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        let mut flaws = Vec::new();
        let mut sink = |bytes: &[u8]| shared.body(index, bytes);
        let outcome = match framing {
            Framing::Length(length) if !pause.is_zero() => {
                self.sip(length, bytes_each, pause, &mut sink)
            }
            _ => self.reader.body(framing, &mut sink, &mut flaws),
        };
        self.violations_at(self.reader.offset, flaws);
        let trailers = outcome?;
        self.current = Some((index, Unread::Nothing));
        self.shared.completed(index, trailers);
        if !self.reader.leftover().is_empty() && !self.is_answered {
            self.violation("bytes behind a request that has no answer yet".into());
        }
        Ok(())
    }

    fn sip(
        &mut self,
        length: u64,
        bytes_each: usize,
        pause: Duration,
        sink: Sink<'_>,
    ) -> Result<crate::Headers, Broken> {
        let mut left = length;
        while left > 0 {
            if self.reader.leftover().is_empty() && self.reader.fill_at_most(bytes_each)? == 0 {
                return Err(Broken::Cut);
            }
            let count = (self.reader.leftover().len() as u64)
                .min(bytes_each as u64)
                .min(left);
            self.reader.exactly(count, sink)?;
            left -= count;
            std::thread::sleep(pause);
        }
        Ok(crate::Headers::default())
    }

    fn play(&mut self, reply: &Reply, is_head: bool) -> Result<Next, Broken> {
        let mut next = Next::Request;
        for step in &reply.steps {
            match step {
                Step::Message(message) => {
                    self.message(message, is_head)?;
                    self.is_answered |= message.status >= 200;
                    if message.ends_connection() {
                        next = Next::Close;
                    }
                }
                Step::Bytes(bytes) => self.send(bytes)?,
                Step::Wait(pause) => {
                    let until = Instant::now() + *pause;
                    self.wait(|| Instant::now() >= until)?;
                }
                Step::WaitFor(event) => self.wait(|| event.is_fired())?,
                Step::Fire(event) => event.fire(),
                Step::ReadBody { bytes_each, pause } => self.read_body(*bytes_each, *pause)?,
                Step::HalfClose => {
                    self.stream.shutdown(Shutdown::Write)?;
                    self.remark("half-closed by the script");
                }
                Step::Stall => {
                    let _ = self.read_body(64 * 1024, Duration::ZERO);
                    while self.reader.fill()? > 0 {}
                    return Err(Broken::Closed);
                }
                Step::Close => return Ok(Next::Close),
                Step::Reset => return Ok(Next::Reset),
                Step::Echo => return self.echo(),
            }
        }
        Ok(next)
    }

    fn message(&self, message: &Message, is_head: bool) -> Result<(), Broken> {
        let mut bytes = message.encode(is_head);
        if let Some(length) = message.cut_at {
            bytes.truncate(length);
        }
        match message.pieces {
            None => self.send(&bytes),
            Some((bytes_each, pause)) => {
                for piece in bytes.chunks(bytes_each) {
                    self.send(piece)?;
                    std::thread::sleep(pause);
                }
                Ok(())
            }
        }
    }

    fn echo(&mut self) -> Result<Next, Broken> {
        loop {
            let bytes = self.reader.take(self.reader.leftover().len());
            self.send(&bytes)?;
            if self.reader.fill()? == 0 {
                return Ok(Next::Close);
            }
        }
    }

    /// Waits without reading; the peer's FIN or the origin's end stops it.
    fn wait(&self, is_over: impl Fn() -> bool) -> Result<(), Broken> {
        let deadline = Instant::now() + WAIT_MAX;
        while !is_over() {
            if Instant::now() >= deadline || self.stream.peer_has_closed(GLANCE) {
                return Err(Broken::Cut);
            }
        }
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Broken> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.shared.record(self.id, Direction::Out, bytes);
        (&*self.stream).write_all(bytes)?;
        Ok(())
    }

    fn remark(&self, text: &str) {
        self.shared.remark(self.id, text);
    }

    fn violation(&self, what: String) {
        self.violations_at(self.reader.offset, vec![what]);
    }

    fn violations_at(&self, offset: u64, flaws: Vec<String>) {
        self.shared.violations(self.id, offset, flaws);
    }
}
