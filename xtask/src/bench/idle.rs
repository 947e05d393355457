//! What connections cost that do nothing: plain, over TLS, and of HTTP/2.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, HandshakeKind};

use super::configs::Front;
use super::h2::Connection;
use super::peers::{Origin, SMALL};
use super::report::{Cell, Report};
use super::scenario::{Kind, Scenario};
use super::{Bench, PROXY_CPU, descriptor_limit};
use crate::Outcome;
use crate::handshakes::{self, Secure};

const IDLE_CONNECTIONS: u64 = 8000;

/// A connection that is held.
enum Held {
    Plain(TcpStream),
    Secure(Box<Secure>),
    H2(Connection<TcpStream>),
}

impl Held {
    fn open(address: SocketAddr, front: Front, config: &Arc<ClientConfig>) -> Outcome<Self> {
        let open = || -> std::io::Result<Self> {
            Ok(match front {
                Front::Tls => Self::Secure(Box::new(handshakes::open(address, config)?)),
                Front::Plain | Front::Cached | Front::Disk => Self::Plain(connect(address)?),
                Front::H2c => Self::H2(Connection::begin(connect(address)?)?),
            })
        };
        open().map_err(|error| format!("{address}: {error}"))
    }

    /// One request, its answer read whole.
    fn ask(&mut self, address: SocketAddr) -> Outcome<()> {
        let asked = match self {
            Self::Plain(stream) => ask(stream, address),
            Self::Secure(stream) => ask(stream, address),
            Self::H2(connection) => connection.ask(SMALL, &address.to_string()),
        };
        match asked {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{address} did not answer as it should")),
            Err(error) => Err(format!("{address} did not answer: {error}")),
        }
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

/// One request of HTTP/1.1 on a kept connection, its answer read whole.
fn ask(stream: &mut (impl Read + Write), address: SocketAddr) -> std::io::Result<bool> {
    // In one write: two small ones would wait for each other.
    stream.write_all(format!("GET {SMALL} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..count]);
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        if end.is_some_and(|end| answer.len() >= end + 4 + 128) {
            return Ok(answer.starts_with(b"HTTP/1.1 200"));
        }
        if count == 0 {
            return Ok(false);
        }
    }
}

impl Bench {
    pub(super) fn idle(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let Kind::Idle(front) = scenario.kind else {
            return Ok(());
        };
        let count = IDLE_CONNECTIONS.min(descriptor_limit().saturating_sub(1000) / 2);
        if count < IDLE_CONNECTIONS {
            report.note(format!(
                "{}: only {count} connections, for want of descriptors.",
                scenario.name
            ));
        }
        let config = handshakes::client_config(HandshakeKind::Full);
        for name in self.names(front) {
            // A fresh process, so that memory freed by earlier work does not hide the growth.
            let peer = self.proxy(name, front, (PROXY_CPU, 1), origin.address)?;
            let mut first = Held::open(peer.address, front, &config)?;
            for _ in 0..900 {
                first.ask(peer.address)?; // some allow no more on one connection
            }
            let before = peer.user_memory_bytes();
            let mut held = Vec::new();
            for _ in 0..count {
                let mut connection = Held::open(peer.address, front, &config)?;
                connection.ask(peer.address)?;
                held.push(connection);
            }
            std::thread::sleep(Duration::from_secs(1));
            let after = peer.user_memory_bytes();
            #[expect(
                clippy::cast_precision_loss,
                reason = "bytes of memory, not of the universe"
            )]
            let each = after.saturating_sub(before) as f64 / count as f64;
            // All of them must still be there, or the number lies.
            let alive = held
                .iter_mut()
                .filter_map(|connection| connection.ask(peer.address).ok())
                .count();
            if alive < held.len() {
                let lost = held.len() - alive;
                report.note(format!(
                    "{}: {name} closed {lost} of {count} connections.",
                    scenario.name
                ));
            }
            println!("  {name:<10} {each:.0} bytes each");
            report.add(scenario.name, peer.name, Cell::memory(each));
        }
        Ok(())
    }
}
