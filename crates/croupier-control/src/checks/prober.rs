//! One check of one server: connect, perhaps ask, within one time for all of it.
//!
//! Always on a connection of its own that is closed afterwards: what is checked is that the
//! server takes new ones, too.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc};

use croupier_config::model::ProxyVersion;
use croupier_net::{
    Local,
    address::Address,
    dial::is_ours,
    origin::Manner,
    proxy_header::{write_v1, write_v2},
};
use croupier_proxy::{
    live::{
        Reason, Server,
        policy::{CheckKind, CheckPolicy, HttpCheck},
    },
    plan::PoolPlan,
};
use tokio::net::{TcpStream, UnixStream};

use super::{
    answer::{BODY_BYTES, End, HEAD_BYTES, judge},
    spoken::{self, Speech},
};

/// Whom to ask, and what.
#[derive(Debug)]
pub(super) struct Question {
    address: Address,
    /// The request's bytes; empty when connecting is all.
    request: Vec<u8>,
    /// Its body.
    body: Vec<u8>,
    /// None: plain HTTP/1.
    speech: Option<Speech>,
}

impl Question {
    pub(super) fn new(server: &Server, policy: &CheckPolicy, spoken: &Spoken) -> Self {
        let address = match (server.address(), policy.port) {
            (Address::Ip(address), Some(port)) => Address::Ip(SocketAddr::new(address.ip(), port)),
            (address, _) => address.clone(),
        };
        let request = match &policy.kind {
            CheckKind::Connect => Vec::new(),
            CheckKind::Http(check) => request(check, server.authority.as_str()),
            CheckKind::Grpc(_) => grpc_request(server.authority.as_str()),
        };
        let body = match &policy.kind {
            CheckKind::Grpc(service) => spoken::health_request(service),
            CheckKind::Connect | CheckKind::Http(_) => Vec::new(),
        };
        let is_plain = spoken.manner.id() == Manner::PLAIN || policy.kind == CheckKind::Connect;
        Self {
            address,
            request,
            body,
            speech: (!is_plain).then(|| Speech {
                manner: Arc::clone(&spoken.manner),
                hello: spoken.hello(),
                name: host(server.authority.host()).to_owned(),
            }),
        }
    }
}

fn host(host: &str) -> &str {
    if host.is_empty() { "localhost" } else { host }
}

fn grpc_request(authority: &str) -> Vec<u8> {
    let host = host(authority);
    format!(
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: {host}\r\nTE: trailers\r\n\
         Content-Type: application/grpc\r\nUser-Agent: croupier-check\r\n\r\n"
    )
    .into_bytes()
}

/// How the servers of a pool are spoken to.
#[derive(Clone, Debug)]
pub(super) struct Spoken {
    pub(super) manner: Arc<Manner>,
    pub(super) greeting: Option<ProxyVersion>,
}

impl Spoken {
    pub(super) fn of(pool: &PoolPlan) -> Self {
        Self {
            manner: Arc::clone(&pool.manner),
            greeting: pool.greeting.as_ref().map(|greeting| greeting.version),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.manner, &other.manner) && self.greeting == other.greeting
    }

    /// A check is nobody's client.
    fn hello(&self) -> Vec<u8> {
        let mut hello = Vec::new();
        match self.greeting {
            None => {}
            Some(ProxyVersion::V1) => write_v1(&mut hello, None, None),
            Some(ProxyVersion::V2) => write_v2(&mut hello, None, None, &[]),
        }
        hello
    }
}

/// The request, all of it.
fn request(check: &HttpCheck, authority: &str) -> Vec<u8> {
    let host = check.host.as_deref();
    let host = host.unwrap_or_else(|| self::host(authority));
    let mut text = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\n",
        check.method, check.path
    );
    let is_own = |name: &str| {
        let mut fields = check.fields.iter();
        fields.any(|(own, _)| own.eq_ignore_ascii_case(name))
    };
    for (name, value) in [("User-Agent", "croupier-check"), ("Connection", "close")] {
        if !is_own(name) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for (name, value) in &check.fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Asks. None when it failed for a reason of ours, which says nothing about the server.
pub(super) async fn ask(
    question: &Question,
    policy: &CheckPolicy,
    local: &Rc<Local>,
) -> Option<Result<(), Reason>> {
    let asking = async {
        if let Some(speech) = &question.speech {
            // All of the head but its end: that is the framing's.
            let head = question.request.strip_suffix(b"\r\n");
            let request = spoken::Request {
                head: head.unwrap_or_default(),
                body: &question.body,
            };
            let asked = spoken::ask(local, &question.address, speech, request, &policy.kind);
            return asked.await;
        }
        let stream = match Stream::connect(&question.address).await {
            Ok(stream) => stream,
            Err(error) if is_ours(&error) => return None,
            Err(_) => return Some(Err("check.connect")),
        };
        match &policy.kind {
            CheckKind::Connect => Some(Ok(())),
            // The config has refused it: HTTP/1 carries no gRPC.
            CheckKind::Grpc(_) => Some(Err("check.grpc")),
            CheckKind::Http(check) => Some(exchange(&stream, &question.request, check).await),
        }
    };
    match tokio::time::timeout(policy.timeout, asking).await {
        Ok(answer) => answer,
        Err(_) => Some(Err("check.timeout")),
    }
}

async fn exchange(stream: &Stream, request: &[u8], check: &HttpCheck) -> Result<(), Reason> {
    // A server may answer before it has read all of it; what it says counts.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let end = match stream.read(&mut buffer).await {
            Ok(0) => End::Closed,
            Ok(read) => {
                bytes.extend_from_slice(&buffer[..read]);
                End::Open
            }
            Err(_) if bytes.is_empty() => return Err("check.closed"),
            Err(_) => End::Closed,
        };
        if let Some(verdict) = judge(&bytes, end, check) {
            return verdict;
        }
        if end == End::Closed || bytes.len() > HEAD_BYTES + 2 * BODY_BYTES {
            return Err("check.head");
        }
    }
}

/// A stream of either family, with the little that a check needs.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Ip(address) => TcpStream::connect(address).await.map(Self::Tcp),
            Address::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
        }
    }

    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
                Self::Unix(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Self::Tcp(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
                Self::Unix(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
