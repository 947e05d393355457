//! A server of the drill: a process of its own that answers HTTP/1.1, can be told to misbehave,
//! and writes down every request it carried out, so that nothing is carried out twice unseen.
//!
//! - `fault.rs`: what can be wrong with it
//! - `message.rs`: requests as read, answers as bytes
//! - `connection.rs`: one connection, and the faults on it
//!
//! One thread listens, to clients and to the drill; each connection has a thread.

mod connection;
mod fault;
mod message;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::Outcome;
use connection::Shared;
pub(in crate::drill) use fault::Fault;
pub(in crate::drill) use message::body;

/// Connections that wait to be accepted while all is well.
const BACKLOG: i32 = 1024;

/// `xtask origin --port N --control N`: serves until it is ended.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut port, mut control) = (None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().and_then(|value| value.parse::<u16>().ok());
        let value = value.ok_or_else(|| format!("`{word}` wants a port"))?;
        match word.as_str() {
            "--port" => port = Some(value),
            "--control" => control = Some(value),
            _ => return Err(format!("`{word}` is not known here")),
        }
    }
    let (Some(port), Some(control)) = (port, control) else {
        return Err("xtask origin --port N --control N".into());
    };
    let mut origin = Origin {
        port,
        clients: Some(listen(port, BACKLOG)?),
        fillers: Vec::new(),
        shared: Arc::new(Shared::default()),
    };
    let control = listen(control, 16)?;
    loop {
        origin.turn(&control)?;
    }
}

struct Origin {
    port: u16,
    clients: Option<TcpListener>,
    /// What fills the queue of a listener that accepts nobody.
    fillers: Vec<TcpStream>,
    shared: Arc<Shared>,
}

impl Origin {
    /// Waits for one thing and does it.
    fn turn(&mut self, control: &TcpListener) -> Outcome<()> {
        let accepts = self.shared.fault() != Fault::Blackhole;
        let mut asked = vec![PollFd::new(control, PollFlags::IN)];
        if let Some(clients) = self.clients.as_ref().filter(|_| accepts) {
            asked.push(PollFd::new(clients, PollFlags::IN));
        }
        match poll(&mut asked, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        let is_ready = |index: usize| {
            let found = asked.get(index);
            found.is_some_and(|asked| asked.revents().contains(PollFlags::IN))
        };
        let (is_told, has_client) = (is_ready(0), is_ready(1));
        drop(asked);
        if has_client
            && let Some(clients) = &self.clients
            && let Ok((stream, _)) = clients.accept()
        {
            let shared = Arc::clone(&self.shared);
            std::thread::spawn(move || connection::serve(stream, &shared));
        }
        if is_told && let Ok((stream, _)) = control.accept() {
            // The drill waits for the answer: when it has one, the fault is there.
            let said = self.hear(&stream);
            let said = said.map_or_else(|sentence| sentence, |()| "ok".to_owned());
            let _ = writeln!(&stream, "{said}");
        }
        Ok(())
    }

    fn hear(&mut self, stream: &TcpStream) -> Outcome<()> {
        let text = |error: std::io::Error| error.to_string();
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .map_err(text)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(text)?;
        self.turn_into(line.trim().parse()?)
    }

    fn turn_into(&mut self, fault: Fault) -> Outcome<()> {
        self.fillers.clear();
        match fault {
            Fault::Refuse => {
                self.clients = None;
                self.shared.set(fault);
                self.shared.close_idle();
            }
            Fault::Blackhole => {
                self.shared.set(fault);
                self.clients = None;
                self.clients = Some(listen(self.port, 0)?);
                let own = SocketAddr::from(([127, 0, 0, 1], self.port));
                // A queue of length 0 takes one, then SYNs are dropped and connections hang.
                for _ in 0..8 {
                    match TcpStream::connect_timeout(&own, Duration::from_millis(20)) {
                        Ok(filler) => self.fillers.push(filler),
                        Err(_) => return Ok(()),
                    }
                }
                return Err("the queue does not fill".into());
            }
            _ => {
                let is_away = matches!(self.shared.fault(), Fault::Refuse | Fault::Blackhole);
                if is_away {
                    self.clients = None;
                    self.clients = Some(listen(self.port, BACKLOG)?);
                }
                self.shared.set(fault);
            }
        }
        Ok(())
    }
}

/// A listener on loopback with a queue of this length.
fn listen(port: u16, backlog: i32) -> Outcome<TcpListener> {
    let open = || -> rustix::io::Result<TcpListener> {
        let kind = (AddressFamily::INET, SocketType::STREAM);
        let socket = rustix::net::socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        let address = SocketAddrV4::new([127, 0, 0, 1].into(), port);
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, backlog)?;
        Ok(socket.into())
    };
    open().map_err(|error| format!("port {port}: {error}"))
}
