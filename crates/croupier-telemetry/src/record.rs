//! The facts of one finished exchange, borrowed from whoever carried it.
//!
//! A record is made on the stack when an exchange ends and written at once; nothing is copied into it.
//! Bytes that came from the wire are bytes here: whoever writes them escapes them.

use std::net::IpAddr;
use std::time::Duration;

/// One finished exchange. Empty text and `None` mean that there is none; such fields are left out of
/// the log where the format allows it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When the request began: milliseconds since 1970, UTC.
    pub ts: u64,
    /// Who asked: the peer, or whom trusted proxies name. `None` on a unix socket.
    pub client_ip: Option<IpAddr>,
    /// The peer of the connection. `None` on a unix socket.
    pub remote_ip: Option<IpAddr>,
    /// Configured name of the site.
    pub site: &'a str,
    /// Configured name of the route.
    pub route: &'a str,
    /// Configured name of the pool.
    pub pool: &'a str,
    /// The server that answered, or was tried last.
    pub server: &'a str,
    /// The request's method as received.
    pub method: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The request's authority as received, port included if it had one.
    pub host: &'a [u8],
    /// The request's path as received.
    pub path: &'a [u8],
    /// What followed the `?`.
    pub query: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2` and so on.
    pub proto: &'a str,
    /// The client's TLS; empty over a plain connection.
    pub tls: TlsFacts<'a>,
    /// The status sent to the client; 0 when none was.
    pub status: u16,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the first byte of the request to the last byte of the answer.
    pub duration: Duration,
    /// From the first byte of the request to the first byte of the answer.
    pub ttfb: Option<Duration>,
    /// What connecting to the server took; `None` when a connection was reused.
    pub connect: Option<Duration>,
    /// From the request sent to the first byte of the server's answer.
    pub origin_ttfb: Option<Duration>,
    /// Attempts after the first.
    pub retries: u8,
    /// Why a failed attempt was not repeated.
    pub no_retry: &'a str,
    /// What the cache did: `hit`, `stale`, `collapsed`, `revalidated`, `miss`, or why it stood aside.
    pub cache: &'a str,
    /// Our id of this exchange, or the one a trusted peer gave.
    pub request_id: &'a str,
    /// The trace it belongs to: 32 hex digits.
    pub trace_id: Option<&'a str>,
    /// The code of the fault that ended or marred it.
    pub fault: &'a str,
    /// The request's `User-Agent`.
    pub user_agent: &'a [u8],
    /// The request's `Referer`.
    pub referer: &'a [u8],
    /// Whether it became a tunnel (WebSocket, CONNECT).
    pub tunnel: bool,
}

/// What a handshake came to.
#[derive(Clone, Copy, Debug)]
pub struct TlsFacts<'a> {
    /// `TLSv1.3` and so on; empty when there is no TLS.
    pub version: &'a str,
    /// The cipher suite.
    pub cipher: &'a str,
    /// The group of the key exchange.
    pub group: &'a str,
    /// Was an earlier session resumed?
    pub is_resumed: bool,
    /// The name that the client asked for.
    pub sni: &'a str,
    /// The subject of the client's certificate.
    pub client: &'a str,
}

impl TlsFacts<'_> {
    /// A plain connection.
    pub const NONE: Self = Self {
        version: "",
        cipher: "",
        group: "",
        is_resumed: false,
        sni: "",
        client: "",
    };
}

impl Record<'_> {
    /// A record that knows nothing; write what is known over it.
    pub const EMPTY: Self = Self {
        ts: 0,
        client_ip: None,
        remote_ip: None,
        site: "",
        route: "",
        pool: "",
        server: "",
        method: b"",
        scheme: "",
        host: b"",
        path: b"",
        query: b"",
        proto: "",
        tls: TlsFacts::NONE,
        status: 0,
        bytes_in: 0,
        bytes_out: 0,
        duration: Duration::ZERO,
        ttfb: None,
        connect: None,
        origin_ttfb: None,
        retries: 0,
        no_retry: "",
        cache: "",
        request_id: "",
        trace_id: None,
        fault: "",
        user_agent: b"",
        referer: b"",
        tunnel: false,
    };
}

impl Default for Record<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}
