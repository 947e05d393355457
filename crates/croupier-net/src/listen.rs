//! Listening sockets: bound by control, one per worker, accepted from by that worker.

use std::{
    fs, io,
    net::SocketAddr,
    os::{
        fd::OwnedFd,
        unix::{fs::FileTypeExt as _, net::UnixListener as StdUnixListener},
    },
    path::Path,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::{
    address::{Address, Peer},
    transport::Transport,
};

/// Connections the kernel keeps for us until we accept them.
const BACKLOG: i32 = 4096;

/// A bound socket that no worker owns yet.
#[derive(Debug)]
pub enum Bound {
    Tcp(Socket),
    Unix(OwnedFd),
}

/// Binds one socket for each of `workers` workers. TCP sockets share the address by
/// `SO_REUSEPORT`, unix ones share the queue. With port 0 all get the port of the first.
///
/// # Errors
/// What the operating system says: in use, no permission, no such address.
pub fn bind(address: &Address, workers: usize) -> io::Result<(Address, Vec<Bound>)> {
    match address {
        Address::Ip(wanted) => {
            // A first bind without sharing notices a foreign process on the address, with which
            // SO_REUSEPORT would silently split the traffic.
            let mut actual = *wanted;
            if wanted.port() != 0 {
                drop(bind_tcp(*wanted, Share::No)?);
            }
            let mut sockets = Vec::with_capacity(workers);
            for _ in 0..workers {
                let socket = bind_tcp(actual, Share::Yes)?;
                if let Some(local) = socket.local_addr()?.as_socket() {
                    actual = local;
                }
                sockets.push(Bound::Tcp(socket));
            }
            Ok((Address::Ip(actual), sockets))
        }
        Address::Unix(path) => {
            remove_stale(path)?;
            let listener = StdUnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            let sockets = (0..workers).map(|_| listener.try_clone().map(|l| Bound::Unix(l.into())));
            Ok((address.clone(), sockets.collect::<io::Result<_>>()?))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    No,
    Yes,
}

fn bind_tcp(address: SocketAddr, share: Share) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` serves IPv4 too, as `:80` promises.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    if share == Share::Yes {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    if share == Share::Yes {
        // Accepted sockets inherit these: no system call per connection.
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(true)?;
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Removes a socket file that nobody listens on any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)
        }
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A socket that a worker accepts from.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Takes a bound socket into the runtime of the present thread.
    ///
    /// # Errors
    /// When the runtime can not watch another descriptor.
    pub fn open(bound: Bound) -> io::Result<Self> {
        match bound {
            Bound::Tcp(socket) => TcpListener::from_std(socket.into()).map(Self::Tcp),
            Bound::Unix(fd) => UnixListener::from_std(StdUnixListener::from(fd)).map(Self::Unix),
        }
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// What the operating system says; descriptors may be used up.
    pub async fn accept(&self) -> io::Result<(Transport, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Transport::Tcp(stream), peer(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((
                    Transport::Unix(stream),
                    Peer {
                        ip: None,
                        port: 0,
                        secure: None,
                    },
                ))
            }
        }
    }
}

fn peer(address: SocketAddr) -> Peer {
    Peer {
        ip: Some(croupier_http::rules::forwarded::plain(address.ip())),
        port: address.port(),
        secure: None,
    }
}
