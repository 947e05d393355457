//! A raw HTTP/1 client: says exactly what it is told and reads strictly what comes.
//!
//! Every method fails the test with the whole dialogue when it cannot do what it says; the `try_`
//! form of reading leaves the judgement to the test.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{PATIENCE, lock};
use crate::message::text;
use crate::response::{self, Response};
use crate::stream::{Stream, is_timeout};
use crate::strict::{Broken, Reader};
use crate::tls::Shaken;
use crate::wire::{Direction, Transcript};

/// Why there is no response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// FIN before the first byte of a response.
    Closed,
    /// FIN inside a response head.
    Cut,
    /// RST.
    Reset,
    /// Nothing came in time.
    TimedOut,
    /// What came is no canonical response.
    Malformed(String),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed => Self::Closed,
            Broken::Cut => Self::Cut,
            Broken::Io(error) if is_timeout(&error) => Self::TimedOut,
            Broken::Io(_) => Self::Reset,
            Broken::Malformed(what) => Self::Malformed(what),
        }
    }
}

/// Reads with one deadline for a whole operation, and writes down what came.
struct Tap {
    stream: Arc<Stream>,
    transcript: Arc<Mutex<Transcript>>,
    deadline: Instant,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left));
        let outcome = (&*self.stream).read(buffer);
        let mut transcript = lock(&self.transcript);
        match &outcome {
            Ok(0) => transcript.remark("closed by the proxy"),
            Ok(count) => transcript.add(Direction::In, &buffer[..*count]),
            Err(error) if is_timeout(error) => transcript.remark("nothing came in time"),
            Err(error) => transcript.remark(format!("failed: {error}")),
        }
        outcome
    }
}

/// One connection to the proxy.
pub struct Client {
    stream: Arc<Stream>,
    reader: Reader<Tap>,
    transcript: Arc<Mutex<Transcript>>,
    patience: Duration,
    host: String,
    last_method: String,
    shaken: Option<Shaken>,
}

impl Client {
    /// Connects over TCP.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        match Self::try_connect(address) {
            Ok(client) => client,
            Err(error) => panic!("the client cannot connect to {address}: {error}"),
        }
    }

    /// Connects over TCP, or tells why not.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        Ok(Self::over(Stream::tcp(stream)?, &address.to_string()))
    }

    /// Connects from a given local address, for instance 127.0.0.2.
    #[must_use]
    #[track_caller]
    pub fn connect_from(source: std::net::IpAddr, address: SocketAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(
            Stream::tcp(socket.into()).unwrap(),
            &format!("{source} to {address}"),
        )
    }

    /// Connects to a Unix socket.
    #[must_use]
    #[track_caller]
    pub fn connect_unix(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        match UnixStream::connect(path) {
            Ok(stream) => Self::over(Stream::Unix(stream), &path.display().to_string()),
            Err(error) => panic!("the client cannot connect to {}: {error}", path.display()),
        }
    }

    fn over(stream: Stream, name: &str) -> Self {
        let started = Instant::now();
        let transcript = Transcript::new(format!("client of {name}"), started, usize::MAX);
        let transcript = Arc::new(Mutex::new(transcript));
        let stream = Arc::new(stream);
        let tap = Tap {
            stream: Arc::clone(&stream),
            transcript: Arc::clone(&transcript),
            deadline: started,
        };
        Self {
            stream,
            reader: Reader::new(tap),
            transcript,
            patience: PATIENCE,
            host: "example.test".into(),
            last_method: String::new(),
            shaken: None,
        }
    }

    pub(crate) fn over_tls(stream: Stream, name: &str, shaken: Shaken) -> Self {
        let mut client = Self::over(stream, name);
        client.shaken = Some(shaken);
        client
    }

    /// What the handshake came to.
    #[must_use]
    #[track_caller]
    pub fn shaken(&self) -> &Shaken {
        match &self.shaken {
            Some(shaken) => shaken,
            None => panic!("a connection without TLS"),
        }
    }

    /// Another deadline for each operation than ten seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Another `Host` for [`get`](Self::get) and [`request`](Self::request).
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// A small receive buffer, so that a client that stops reading is felt early.
    #[must_use]
    pub fn receive_buffer(self, bytes: usize) -> Self {
        self.stream.set_receive_buffer(bytes);
        self
    }

    /// The local address, as the proxy sees it.
    #[must_use]
    #[track_caller]
    pub fn local_address(&self) -> SocketAddr {
        match &*self.stream {
            Stream::Tcp(stream) => stream.local_addr().unwrap(),
            Stream::Tls(link) => link.socket.local_addr().unwrap(),
            Stream::Unix(_) => panic!("a Unix stream has no address"),
        }
    }

    // ---- saying

    /// Sends these bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        if let Err(error) = self.try_send(bytes) {
            self.fail(&format!("sending failed: {error}"));
        }
        self
    }

    /// Sends these bytes, and leaves it to the test what a failure means.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        if let Some(end) = bytes.iter().position(|byte| *byte == b' ')
            && end > 0
            && bytes[..end].iter().all(u8::is_ascii_uppercase)
        {
            self.last_method = text(&bytes[..end]);
        }
        lock(&self.transcript).add(Direction::Out, bytes);
        self.stream.set_write_timeout(Some(self.patience));
        (&*self.stream).write_all(bytes)
    }

    /// Sends one byte at a time with this pause after each.
    #[track_caller]
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>, each: Duration) -> &mut Self {
        self.send_in_pieces(bytes, 1, each)
    }

    /// Sends pieces of `length` bytes with this pause after each.
    #[track_caller]
    pub fn send_in_pieces(
        &mut self,
        bytes: impl AsRef<[u8]>,
        length: usize,
        each: Duration,
    ) -> &mut Self {
        let method = bytes
            .as_ref()
            .split(|b| *b == b' ')
            .next()
            .map(text)
            .unwrap_or_default();
        for piece in bytes.as_ref().chunks(length.max(1)) {
            self.send(piece);
            std::thread::sleep(each);
        }
        self.last_method = method;
        self
    }

    /// FIN for the requests' direction; answers are still read.
    #[track_caller]
    pub fn shutdown_write(&mut self) -> &mut Self {
        lock(&self.transcript).remark("half-closed by the client");
        if let Err(error) = self.stream.shutdown(Shutdown::Write) {
            self.fail(&format!("half-closing failed: {error}"));
        }
        self
    }

    /// RST.
    pub fn reset(self) {
        lock(&self.transcript).remark("reset by the client");
        self.stream.reset_on_close();
    }

    /// FIN both ways.
    pub fn close(self) {
        drop(self);
    }

    // ---- hearing

    /// The next response with its whole body. Its [`end`](Response::end) may be a cut.
    #[track_caller]
    pub fn read_response(&mut self) -> Response {
        match self.try_read_response() {
            Ok(response) => response,
            Err(failure) => self.fail(&format!("no response: {failure:?}")),
        }
    }

    /// The next response, or why there is none.
    pub fn try_read_response(&mut self) -> Result<Response, Failure> {
        let mut response = self.try_read_head()?;
        response::read_body(&mut self.reader, &mut response)?;
        Ok(response)
    }

    /// The next response, known to answer this method: where several requests are on their way.
    #[track_caller]
    pub fn read_response_to(&mut self, method: &str) -> Response {
        method.clone_into(&mut self.last_method);
        self.read_response()
    }

    /// Only the head; the body is left to [`read_bytes`](Self::read_bytes),
    /// [`read_body`](Self::read_body) or [`read_until_close`](Self::read_until_close).
    #[track_caller]
    pub fn read_head(&mut self) -> Response {
        match self.try_read_head() {
            Ok(response) => response,
            Err(failure) => self.fail(&format!("no response: {failure:?}")),
        }
    }

    fn try_read_head(&mut self) -> Result<Response, Failure> {
        self.reader.source.deadline = Instant::now() + self.patience;
        Ok(response::read_head(&mut self.reader, &self.last_method)?)
    }

    /// The body that belongs to a head read before.
    #[track_caller]
    pub fn read_body(&mut self, response: &mut Response) {
        self.reader.source.deadline = Instant::now() + self.patience;
        if let Err(broken) = response::read_body(&mut self.reader, response) {
            self.fail(&format!("no body: {:?}", Failure::from(broken)));
        }
    }

    /// Exactly this many raw bytes.
    #[track_caller]
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        self.reader.source.deadline = Instant::now() + self.patience;
        let mut bytes = Vec::with_capacity(count);
        let outcome = self
            .reader
            .exactly(count as u64, &mut |b| bytes.extend_from_slice(b));
        if let Err(broken) = outcome {
            let got = bytes.len();
            self.fail(&format!(
                "{got} of {count} bytes came: {:?}",
                Failure::from(broken)
            ));
        }
        bytes
    }

    /// Every raw byte until the proxy closes.
    #[track_caller]
    pub fn read_until_close(&mut self) -> Vec<u8> {
        self.reader.source.deadline = Instant::now() + self.patience;
        loop {
            match self.reader.fill() {
                Ok(0) => return self.reader.take(self.reader.leftover().len()),
                Ok(_) => {}
                Err(error) => self.fail(&format!("the proxy did not close: {error}")),
            }
        }
    }

    /// Wants the connection closed or reset, with nothing more to read.
    #[track_caller]
    pub fn expect_close(&mut self, timeout: Duration) {
        self.reader.source.deadline = Instant::now() + timeout;
        let outcome = if self.reader.leftover().is_empty() {
            self.reader.fill()
        } else {
            Ok(1)
        };
        match outcome {
            Ok(0) => {}
            Ok(_) => {
                let more = text(self.reader.leftover());
                self.fail(&format!("a close was due, but {more:?} came"));
            }
            Err(error) if is_timeout(&error) => {
                self.fail(&format!("the connection is still open after {timeout:?}"));
            }
            Err(_) => {}
        }
    }

    /// Wants silence on an open connection for this long.
    #[track_caller]
    pub fn expect_silence(&mut self, duration: Duration) {
        self.reader.source.deadline = Instant::now() + duration;
        let outcome = if self.reader.leftover().is_empty() {
            self.reader.fill()
        } else {
            Ok(1)
        };
        match outcome {
            Ok(0) => self.fail("silence was due, but the proxy closed"),
            Ok(_) => {
                let more = text(self.reader.leftover());
                self.fail(&format!("silence was due, but {more:?} came"));
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => self.fail(&format!("silence was due, but: {error}")),
        }
    }

    // ---- both

    /// `GET path`, and its response.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// A whole request with these fields behind `Host`, and its response. A body, or a method that
    /// usually has one, brings its `Content-Length`.
    #[track_caller]
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response {
        self.send_request(method, target, headers, body)
            .read_response()
    }

    /// The same without waiting for the response.
    #[track_caller]
    pub fn send_request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> &mut Self {
        let body = body.as_ref();
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        let framed = ["content-length", "transfer-encoding"];
        let is_framed = headers
            .iter()
            .any(|(name, _)| framed.iter().any(|f| name.eq_ignore_ascii_case(f)));
        if !is_framed && (!body.is_empty() || ["POST", "PUT", "PATCH"].contains(&method)) {
            bytes.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes)
    }

    /// Lets go of the dialogue so far, for connections that talk for long.
    pub(crate) fn forget(&self) {
        let mut transcript = lock(&self.transcript);
        transcript.pieces.clear();
        transcript.remarks.clear();
    }

    /// Everything said on this connection.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        lock(&self.transcript).clone()
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("{what}\n{}", lock(&self.transcript));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", lock(&self.transcript))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprint!("{}", lock(&self.transcript));
        }
    }
}

/// Every way to cut `bytes` in two parts that are both not empty.
pub fn split_at_every_offset(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    (1..bytes.len()).map(|at| bytes.split_at(at))
}

/// Sends `bytes` to `address` once for every offset, cut in two there, each time on a connection
/// of its own, and hands what came back to `check`.
#[track_caller]
pub fn send_split_at_every_offset(
    address: SocketAddr,
    bytes: &[u8],
    mut check: impl FnMut(usize, Result<Response, Failure>),
) {
    for (first, second) in split_at_every_offset(bytes) {
        let mut client = Client::connect(address);
        client.send(first);
        let method = client.last_method.clone();
        // Gives the proxy time to see the first part alone. Being late makes the case weaker, not
        // wrong.
        std::thread::sleep(Duration::from_micros(500));
        let sent = client.try_send(second);
        client.last_method = method;
        let outcome = client.try_read_response();
        // A refused write is only a failure when no answer explains it.
        if let (Err(error), Err(_)) = (&sent, &outcome) {
            lock(&client.transcript).remark(format!("sending failed: {error}"));
        }
        check(first.len(), outcome);
    }
}
