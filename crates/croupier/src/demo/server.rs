//! One server of the demo, which can be stopped and started again: blocking sockets, a thread for
//! each connection. Stopped, it refuses connections as a dead process does, but keeps its port.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use super::{cards::Suit, http};

/// The first server's port if it is free; below those that systems give out by themselves.
const PORT: u16 = 9001;

/// Which ports the servers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// 9001 and on, where they are free. Two demos that take these may get into each other's way:
    /// a stopped server's port looks free to the other.
    Known,
    Any,
}

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) suit: Suit,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What a server's threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) suit: Suit,
    /// Requests that it has taken.
    pub(super) requests: AtomicU64,
    /// Requests that it works on.
    pub(super) busy: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Listening, or only holding the port.
    listener: TcpListener,
    is_running: bool,
    connections: HashMap<u64, TcpStream>,
    next: u64,
}

impl Server {
    /// On a port that is easy to remember, or on one that nobody else will be given.
    pub(super) fn start(suit: Suit, ports: Ports) -> io::Result<Self> {
        let listener = match ports {
            Ports::Known => known(suit).or_else(|_| any()),
            Ports::Any => any(),
        }?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            suit,
            requests: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            state: Mutex::new(State {
                listener: listener.try_clone()?,
                is_running: true,
                connections: HashMap::new(),
                next: 0,
            }),
        });
        accept(listener, Arc::clone(&shared));
        Ok(Self {
            suit,
            address,
            shared,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that it has taken.
    pub(super) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Is it working on a request?
    pub(super) fn is_busy(&self) -> bool {
        self.shared.busy.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_running(&self) -> bool {
        self.shared.state().is_running
    }

    /// Cuts its connections and refuses new ones. Gives how many were cut.
    pub(super) fn stop(&self) -> io::Result<usize> {
        let mut state = self.shared.state();
        state.is_running = false;
        // This wakes the thread that accepts; the socket stays bound.
        shut(&state.listener)?;
        let connections = std::mem::take(&mut state.connections);
        for connection in connections.values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        Ok(connections.len())
    }

    /// Listens again at its address.
    pub(super) fn restart(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address)?;
        let mut state = self.shared.state();
        state.listener = listener.try_clone()?;
        state.is_running = true;
        drop(state);
        accept(listener, Arc::clone(&self.shared));
        Ok(())
    }
}

fn known(suit: Suit) -> io::Result<TcpListener> {
    let offset = u16::try_from(suit.number - 1).unwrap_or_default();
    TcpListener::bind((Ipv4Addr::LOCALHOST, PORT + offset))
}

/// A socket that no longer listens keeps its port if that was asked for by number, not if the
/// system chose it. So let it choose, and ask for that one.
fn any() -> io::Result<TcpListener> {
    let mut attempts = 0;
    loop {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        match TcpListener::bind(address) {
            // Somebody was faster.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts < 8 => attempts += 1,
            result => return result,
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a connection, unless the server has been stopped since it was accepted.
    fn enter(&self, stream: &TcpStream) -> Option<u64> {
        let kept = stream.try_clone().ok()?;
        let mut state = self.state();
        if !state.is_running {
            return None;
        }
        let id = state.next;
        state.next += 1;
        state.connections.insert(id, kept);
        Some(id)
    }
}

/// `shutdown` of a listening socket, which the standard library offers for streams only.
fn shut(listener: &TcpListener) -> io::Result<()> {
    TcpStream::from(OwnedFd::from(listener.try_clone()?)).shutdown(Shutdown::Both)
}

fn accept(listener: TcpListener, shared: Arc<Shared>) {
    thread::spawn(move || {
        // An error means that it was stopped.
        while let Ok((stream, _)) = listener.accept() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                if let Some(id) = shared.enter(&stream) {
                    let _ = http::serve(stream, &shared);
                    shared.state().connections.remove(&id);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::{Ports, Server, Suit};

    #[test]
    fn stopped_it_refuses_and_started_it_is_back() {
        let server = Server::start(Suit::ALL[0], Ports::Any).unwrap();
        for _ in 0..3 {
            TcpStream::connect(server.address()).unwrap();
            server.stop().unwrap();
            assert!(TcpStream::connect(server.address()).is_err());
            server.restart().unwrap();
        }
        TcpStream::connect(server.address()).unwrap();
    }
}
