//! The way to the proxy: TCP, or TLS that believes the drill's own authority alone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use croupier_testkit::h2::Duplex;
use croupier_testkit::{Authority, Issued};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{HOST, Over, PATIENCE};
use crate::Outcome;
use crate::process::Scratch;

/// The certificate that the proxy shows, and who signed it.
pub(in crate::drill) struct Identity {
    authority: Authority,
    issued: Issued,
}

impl Identity {
    pub(in crate::drill) fn make() -> Self {
        let authority = Authority::new("drill");
        let issued = authority.issue(&[HOST]);
        Self { authority, issued }
    }

    /// The files of certificate and key.
    pub(in crate::drill) fn write(&self, scratch: &Scratch) -> Outcome<(PathBuf, PathBuf)> {
        let certificate = scratch.write("site.pem", &self.issued.certificate)?;
        Ok((certificate, scratch.write("site.key", &self.issued.key)?))
    }

    /// What clients need in order to come by TLS.
    fn config(&self, protocol: &str) -> Outcome<ClientConfig> {
        let words = |error: &dyn std::fmt::Display| format!("no TLS for clients: {error}");
        let root = CertificateDer::from_pem_slice(self.authority.pem().as_bytes());
        let mut roots = RootCertStore::empty();
        let added = roots.add(root.map_err(|error| words(&error))?);
        added.map_err(|error| words(&error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| words(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        Ok(config)
    }
}

/// Where the proxy is, and how it is talked to.
#[derive(Clone)]
pub(in crate::drill) struct Front {
    address: SocketAddr,
    pub(super) over: Over,
    tls: Option<Arc<ClientConfig>>,
}

impl Front {
    /// `identity` is what the proxy shows if clients come by TLS.
    pub(in crate::drill) fn new(
        address: SocketAddr,
        over: Over,
        identity: &Identity,
    ) -> Outcome<Self> {
        let protocol = match over {
            Over::H1 => None,
            Over::Tls => Some("http/1.1"),
            Over::H2 => Some("h2"),
        };
        let tls = protocol.map(|protocol| identity.config(protocol));
        Ok(Self {
            address,
            over,
            tls: tls.transpose()?.map(Arc::new),
        })
    }

    /// A new connection, its handshake done.
    pub(super) fn dial(&self) -> io::Result<Link> {
        let mut socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let Some(config) = &self.tls else {
            return Ok(Link::Plain(socket));
        };
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let conn = ClientConnection::new(Arc::clone(config), name);
        let mut conn = conn.map_err(io::Error::other)?;
        while conn.is_handshaking() {
            conn.complete_io(&mut socket)?;
        }
        if conn.alpn_protocol() != config.alpn_protocols.first().map(Vec::as_slice) {
            return Err(io::Error::other("another protocol was agreed on"));
        }
        Ok(Link::Secure(Box::new(StreamOwned::new(conn, socket))))
    }
}

/// A connection to the proxy.
pub(super) enum Link {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Link {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(secure) => &secure.sock,
        }
    }

    /// Whether nothing has come since the last answer: no end, and no farewell of TLS.
    pub(super) fn is_quiet(&self) -> bool {
        let socket = self.socket();
        let look = || {
            socket.set_nonblocking(true)?;
            let looked = socket.peek(&mut [0]);
            socket.set_nonblocking(false)?;
            looked
        };
        look().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// An end of TLS without a farewell is an error here, so a cut is never taken for an end.
impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Secure(secure) => secure.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secure(secure) => secure.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Secure(secure) => secure.flush(),
        }
    }
}

impl Duplex for Link {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        // Zero would mean for ever.
        let timeout = timeout.max(Duration::from_micros(100));
        self.socket().set_read_timeout(Some(timeout))?;
        Read::read(self, buffer)
    }

    fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<usize> {
        self.socket().set_write_timeout(Some(timeout))?;
        // What TLS has taken and the kernel has not goes with the next reading or writing.
        Write::write(self, bytes)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        if let Self::Secure(secure) = self {
            secure.conn.send_close_notify();
            secure.flush()?;
        }
        self.socket().shutdown(Shutdown::Write)
    }

    /// No client of the drill resets a connection.
    fn reset_on_close(&mut self) {}
}
