//! Addresses where nobody answers.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::event::{PATIENCE, wait_until};

/// An address where nothing listens: connecting is refused.
#[must_use]
pub fn closed_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
}

/// An address that swallows connects: its queue is full, so the system answers nothing.
pub struct BlackHole {
    address: SocketAddr,
    _held: (socket2::Socket, Vec<socket2::Socket>),
}

impl BlackHole {
    /// Opens one on a free port of 127.0.0.1.
    #[must_use]
    #[track_caller]
    pub fn open() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut fillers = Vec::new();
        let full = wait_until(PATIENCE, || {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let outcome = filler.connect_timeout(&address, Duration::from_millis(200));
            fillers.push(filler);
            outcome.is_err()
        });
        assert!(full, "the accept queue of a black hole does not fill");
        Self {
            address: address.as_socket().unwrap(),
            _held: (listener, fillers),
        }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
