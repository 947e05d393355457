//! Handshakes with clients, in two steps: the hello is read first, so that whoever calls can
//! choose by its name and may even wait for a certificate; then the handshake goes on with
//! what was chosen.

use std::{
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    AlertDescription, CipherSuite, CommonState, HandshakeKind, ProtocolVersion, ServerConfig,
    server::{Acceptor, ClientHello, UnbufferedServerConnection},
};

use super::{
    Alpn,
    client_auth::ClientIdentity,
    failure::{TlsFailure, alert_record},
    server::ACME,
    session::Side,
    stream::TlsStream,
};
use crate::{
    buffers::{Buffer, Size},
    error::NetError,
    local::Local,
    timers::{Tick, Timer},
    transport::Transport,
};

/// Why a handshake with a client ended. `Closed`: the client left before it said anything.
/// `Truncated`: it left in the middle.
pub type HandshakeError = NetError;

/// The longest hello, bytes as they come: those with post-quantum keys have 1.8 KB, a ticket
/// with a client's certificate chain in it some more; one cut into records of one byte is six
/// times as long.
const HELLO_MAX: usize = 32 << 10;

/// A client that has said what it wants and waits for an answer.
#[derive(Debug)]
pub struct Hello {
    /// The name it asks for, in lower case without a last dot; None when it names nothing or
    /// an address.
    pub name: Option<String>,
    /// It offers `acme-tls/1` and nothing else: somebody validates a name (RFC 8737).
    pub is_acme: bool,
    order: Order,
    io: Transport,
    /// The hello, as it came.
    input: Buffer,
    local: Rc<Local>,
}

/// By whose preference a cipher suite is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ours,
    /// The client's: it puts ChaCha20 first, as those do that have no AES in hardware.
    Theirs,
}

impl Order {
    fn of(hello: &ClientHello<'_>) -> Self {
        let first = hello
            .cipher_suites()
            .iter()
            .find(|suite| !is_grease(**suite));
        match first {
            Some(
                CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            ) => Self::Theirs,
            _ => Self::Ours,
        }
    }
}

/// Is it one of the numbers that mean nothing and come first (RFC 8701)?
fn is_grease(suite: CipherSuite) -> bool {
    let [high, low] = u16::from(suite).to_be_bytes();
    high == low && high & 0x0f == 0x0a
}

/// What a hello says that is decided by.
type Said = (Option<String>, bool, Order);

/// What was agreed on, and who the client is.
#[derive(Clone, Debug)]
pub struct Secured {
    /// The name the client asked for.
    pub name: Option<Box<str>>,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The suite's name in the IANA registry.
    pub cipher: &'static str,
    /// The group of the key exchange; empty when a session was resumed without one.
    pub group: &'static str,
    /// What will be spoken.
    pub alpn: Alpn,
    /// Did it go on with an earlier session?
    pub is_resumed: bool,
    /// The client's certificate, when it was asked for and has shown one.
    pub client: Option<Box<ClientIdentity>>,
}

/// Reads the hello before `until`. `ahead` was read from `io` already. No block is held before
/// its first byte.
///
/// # Errors
/// `Tls` when what comes is no hello; the client was told so.
pub async fn hello(
    io: Transport,
    ahead: &[u8],
    local: &Rc<Local>,
    timer: &Timer,
    until: Tick,
) -> Result<Hello, HandshakeError> {
    let mut reading = Reading {
        io,
        input: Buffer::default(),
        fed: 0,
        acceptor: None,
        local: Rc::clone(local),
    };
    for bytes in ahead.chunks(4 << 10) {
        reading.push(bytes)?;
    }
    timer.arm(until);
    let found = poll_fn(|cx| {
        let polled = reading.poll(cx);
        if polled.is_pending() && timer.is_expired(cx) {
            return Poll::Ready(Err(NetError::Timeout));
        }
        polled
    });
    match found.await {
        Ok((name, is_acme, order)) => Ok(Hello {
            name,
            is_acme,
            order,
            io: reading.io,
            input: reading.input,
            local: reading.local,
        }),
        Err(error) => {
            reading.input.consume(reading.input.len());
            reading.input.release(&local.buffers);
            Err(error)
        }
    }
}

struct Reading {
    io: Transport,
    input: Buffer,
    /// How much of the input the acceptor has seen.
    fed: usize,
    /// Made when something comes: ten thousand silent clients cost nothing more.
    acceptor: Option<Box<Acceptor>>,
    local: Rc<Local>,
}

impl Reading {
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), NetError> {
        while !bytes.is_empty() {
            let room = self.input.room(Size::Small, &self.local.buffers);
            let count = room.len().min(bytes.len());
            if count == 0 || self.input.len() > HELLO_MAX {
                return Err(NetError::Tls(TlsFailure::Protocol));
            }
            let room = self.input.room(Size::Small, &self.local.buffers);
            room[..count].copy_from_slice(&bytes[..count]);
            self.input.filled(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Said, NetError>> {
        loop {
            if let Some(found) = self.feed()? {
                return Poll::Ready(Ok(found));
            }
            if self.input.len() > HELLO_MAX {
                return Poll::Ready(Err(NetError::Tls(TlsFailure::Protocol)));
            }
            if self.input.is_empty() {
                ready!(self.io.poll_readable(cx))?;
            }
            let room = self.input.room(Size::Small, &self.local.buffers);
            let count = match self.io.poll_read(cx, room) {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    self.input.release(&self.local.buffers);
                    return Poll::Pending;
                }
            };
            if count == 0 {
                return Poll::Ready(Err(if self.input.is_empty() {
                    NetError::Closed
                } else {
                    NetError::Truncated
                }));
            }
            self.input.filled(count);
        }
    }

    /// Shows the acceptor what it has not seen.
    fn feed(&mut self) -> Result<Option<Said>, NetError> {
        let Self {
            io,
            input,
            fed,
            acceptor,
            ..
        } = self;
        while *fed < input.len() {
            let acceptor = acceptor.get_or_insert_with(Box::default);
            let mut rest = &input.bytes()[*fed..];
            match acceptor.read_tls(&mut rest) {
                Ok(count) if count > 0 => *fed += count,
                _ => return Err(NetError::Tls(TlsFailure::Protocol)),
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let name = hello.server_name().map(|name| {
                        let name = name.strip_suffix('.').unwrap_or(name);
                        name.to_ascii_lowercase()
                    });
                    let is_acme = hello.alpn().is_some_and(|mut offered| {
                        offered.next() == Some(ACME) && offered.next().is_none()
                    });
                    return Ok(Some((name, is_acme, Order::of(&hello))));
                }
                Err((error, mut alert)) => {
                    let mut bytes = Vec::new();
                    // Best effort: the client shall know why.
                    if alert.write_all(&mut bytes).is_ok() && !bytes.is_empty() {
                        let _ = io.try_write(&bytes);
                    }
                    return Err(NetError::Tls(TlsFailure::from(&error)));
                }
            }
        }
        Ok(None)
    }
}

impl Hello {
    /// Goes on with the handshake, before `until`.
    ///
    /// # Errors
    /// `Tls` tells why; the client was told, too.
    pub async fn accept(
        self,
        mut config: Arc<ServerConfig>,
        timer: &Timer,
        until: Tick,
    ) -> Result<(Transport, Secured), HandshakeError> {
        if self.order == Order::Theirs {
            // A copy shares all that is large; a handshake costs a thousand times as much.
            Arc::make_mut(&mut config).ignore_client_order = false;
        }
        let side = UnbufferedServerConnection::new(config)
            .map_err(|error| NetError::Tls(TlsFailure::from(&error)))?;
        let (name, mut stream) = self.into_stream(Side::Server(side));
        timer.arm(until);
        poll_fn(|cx| {
            let polled = stream.poll_handshake(cx);
            if polled.is_pending() && timer.is_expired(cx) {
                return Poll::Ready(Err(NetError::Timeout));
            }
            polled
        })
        .await?;
        let secured = stream.facts(|facts| secured(name, facts))?;
        Ok((Transport::Tls(stream), secured))
    }

    fn into_stream(self, side: Side) -> (Option<String>, Box<TlsStream>) {
        let stream = TlsStream::new(self.io, side, self.input, self.local);
        (self.name, Box::new(stream))
    }

    /// Ends it: there is no site or no certificate for this name (alert `unrecognized_name`,
    /// RFC 6066 section 3). One system call, best effort.
    pub fn refuse(self) {
        let _ = self
            .io
            .try_write(&alert_record(AlertDescription::UnrecognisedName));
    }
}

fn secured(name: Option<String>, facts: &CommonState) -> Result<Secured, NetError> {
    let is_resumed = facts.handshake_kind() == Some(HandshakeKind::Resumed);
    let leaf = facts.peer_certificates().and_then(<[_]>::first);
    let client = match leaf {
        None => None,
        Some(leaf) => {
            let identity =
                ClientIdentity::from_der(leaf).ok_or(NetError::Tls(TlsFailure::BadCertificate))?;
            // A ticket carries the certificate past its end: nobody verifies it again.
            if is_resumed && identity.not_after < now() {
                return Err(NetError::Tls(TlsFailure::Expired));
            }
            Some(Box::new(identity))
        }
    };
    let suite = facts.negotiated_cipher_suite();
    let cipher = suite.and_then(|suite| suite.suite().as_str()).unwrap_or("");
    let group = facts.negotiated_key_exchange_group();
    Ok(Secured {
        name: name.map(String::into_boxed_str),
        version: match facts.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        },
        cipher: iana(cipher),
        group: group.and_then(|group| group.name().as_str()).unwrap_or(""),
        alpn: Alpn::of(facts.alpn_protocol()),
        is_resumed,
        client,
    })
}

/// The library writes `TLS13_` where the registry has `TLS_`.
fn iana(suite: &'static str) -> &'static str {
    match suite {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
