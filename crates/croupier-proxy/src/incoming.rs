//! The request as received, who sent it, and what the record wants to know of it.

use std::{net::IpAddr, rc::Rc, time::Instant};

use croupier_http::{
    BodyLen, RequestHead, Target,
    rules::inspect::{Lawful, Listed},
};
use croupier_net::address::{Peer, Secure};
use croupier_telemetry::{RequestId, Traceparent};

/// A request on its way in: all that a stage or policy may see of it.
#[derive(Debug)]
pub struct Incoming {
    /// The head as received.
    pub head: RequestHead,
    /// The target in normal form; filled by `inspect`.
    pub target: Target,
    /// What `inspect` found the request to ask for.
    pub lawful: Lawful,
    /// The listener it came by.
    pub listener: usize,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// What the connection's handshake came to; None over a plain one.
    pub secure: Option<Rc<Secure>>,
    /// The peer of the connection; None over a unix socket.
    pub peer_ip: Option<IpAddr>,
    /// Its port; 0 over a unix socket.
    pub peer_port: u16,
    /// The client: the peer, or whom trusted proxies name.
    pub client_ip: Option<IpAddr>,
    /// Is the peer a proxy of ours?
    pub is_trusted: bool,
    /// The id in logs, on error pages and at the origin.
    pub request_id: RequestId,
    /// A trusted peer's own id of this request.
    pub given_id: Option<Box<str>>,
    /// The trace the client speaks of.
    pub trace: Option<Traceparent>,
    /// When the head was complete.
    pub began: Instant,
    /// The same, milliseconds since 1970.
    pub unix_ms: u64,
}

impl Incoming {
    /// The same request once more.
    pub(crate) fn again(&self) -> Self {
        Self {
            head: self.head.clone(),
            target: self.target.clone(),
            lawful: self.lawful,
            listener: self.listener,
            scheme: self.scheme,
            secure: self.secure.clone(),
            peer_ip: self.peer_ip,
            peer_port: self.peer_port,
            client_ip: self.client_ip,
            is_trusted: self.is_trusted,
            request_id: self.request_id,
            given_id: self.given_id.clone(),
            trace: self.trace,
            began: self.began,
            unix_ms: self.unix_ms,
        }
    }

    /// Who sent it.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            ip: self.peer_ip,
            port: self.peer_port,
            secure: self.secure.clone(),
        }
    }

    /// The id that is shown: a trusted peer's, else ours.
    #[must_use]
    pub fn id(&self) -> &str {
        self.given_id
            .as_deref()
            .unwrap_or_else(|| self.request_id.as_str())
    }
}

/// What is assumed of a request until it has been inspected: nothing.
pub(crate) const UNKNOWN: Lawful = Lawful {
    body: BodyLen::None,
    expects_continue: false,
    wants_websocket: false,
    listed: Listed {
        names: croupier_http::NameSet::EMPTY,
        others: false,
    },
};
