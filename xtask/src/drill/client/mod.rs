//! One client of the drill: a request with a nonce, and a hard look at the answer. Whether an
//! answer claims to be whole is read from its own framing.
//!
//! - `link.rs`: the way to the proxy, TCP or TLS
//! - `h1.rs`: HTTP/1.1, each client with a connection of its own
//! - `h2.rs`: HTTP/2, on connections that the clients share

mod h1;
mod h2;
mod link;

use std::sync::Arc;
use std::time::Duration;

use super::origin::body;
pub(super) use link::{Front, Identity};

/// A client waits this long for the next byte; a proxy should have given up by then.
const PATIENCE: Duration = Duration::from_secs(12);

/// The site that clients ask for, and the name on its certificate.
const HOST: &str = "drill.test";

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// HTTP/1.1 in plain.
    H1,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    H2,
}

impl Over {
    pub(super) const ALL: [Self; 3] = [Self::H1, Self::Tls, Self::H2];

    /// As on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::Tls => "tls",
            Self::H2 => "h2",
        }
    }

    /// As in a report.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::H1 => "clients: HTTP/1.1, a kept connection each",
            Self::Tls => "clients: HTTP/1.1 over TLS, a kept connection each",
            Self::H2 => {
                "clients: HTTP/2 over TLS, four connections shared by all (more when each has 32 \
                 open streams); a stream that is reset is a cut"
            }
        }
    }
}

/// What a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// A 200, whole, its own.
    Right,
    /// Another status.
    Status(u16),
    /// A body that visibly ended early, or something that is no answer.
    Cut,
    /// No answer at all.
    Nothing,
    /// It claimed to be whole and was not, or was somebody else's: the one thing that is never
    /// forgiven.
    Wrong,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) nonce: String,
    pub(super) size: usize,
}

impl Ask {
    /// The request's own body.
    fn body(&self) -> &str {
        match self.method {
            "POST" => &self.nonce,
            _ => "",
        }
    }

    /// What an answer is that claims to be whole.
    fn judge(&self, status: u16, own: &[u8], nonce: Option<&str>) -> Got {
        let is_own = || nonce == Some(&self.nonce) && own == body(&self.nonce, self.size);
        match status {
            200 if is_own() => Got::Right,
            200 => Got::Wrong,
            _ => Got::Status(status),
        }
    }
}

/// All clients of one load.
pub(super) enum Clients {
    Apart(Front),
    Sharing(Arc<h2::Connections>),
}

impl Clients {
    pub(super) fn new(front: Front) -> Self {
        match front.over {
            Over::H1 | Over::Tls => Self::Apart(front),
            Over::H2 => Self::Sharing(Arc::new(h2::Connections::new(front))),
        }
    }

    /// One of them.
    pub(super) fn client(&self) -> Client {
        match self {
            Self::Apart(front) => Client::Apart(h1::Own::new(front.clone())),
            Self::Sharing(connections) => Client::Sharing(Arc::clone(connections)),
        }
    }
}

/// A client.
pub(super) enum Client {
    Apart(h1::Own),
    Sharing(Arc<h2::Connections>),
}

impl Client {
    /// Asks, and judges what comes.
    pub(super) fn ask(&mut self, ask: &Ask) -> Got {
        match self {
            Self::Apart(own) => own.ask(ask),
            Self::Sharing(connections) => connections.ask(ask),
        }
    }
}
