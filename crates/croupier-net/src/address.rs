//! Where a socket is: an IP address and port, or a path in the file system.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
};

use crate::tls::{accept::Secured, server::Offer};

/// A socket address of either family.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// IPv4 or IPv6.
    Ip(SocketAddr),
    /// A unix-domain stream socket.
    Unix(PathBuf),
}

impl Address {
    /// The IP address, unless it is a unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// The port, unless it is a unix socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who is on the other end of one client connection. Where a PROXY header names the client, that
/// is the peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The peer's IP address in plain form; None over a unix socket.
    pub ip: Option<IpAddr>,
    /// The peer's port; 0 over a unix socket.
    pub port: u16,
    /// What the handshake came to; None over a plain connection.
    pub secure: Option<Rc<Secure>>,
}

/// What a client connection over TLS came to.
#[derive(Debug)]
pub struct Secure {
    /// What was agreed on, and who the client proved to be.
    pub secured: Secured,
    /// What was shown, and by whose rules the client was let in.
    pub offer: Arc<Offer>,
}
