//! Where we listen.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One address to accept connections on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// `":80"`: this port on every address, IPv4 and IPv6.
    Port(u16),
    /// `"0.0.0.0:80"`, `"[::1]:80"`: this address only.
    Socket(SocketAddr),
    /// `"unix:/run/croupier.sock"`.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, ":{port}"),
            Self::Socket(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
