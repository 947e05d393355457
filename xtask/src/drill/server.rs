//! A server of the drill, from outside: start it, hurt it, read what it wrote down.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::origin::Fault;
use super::scenario::Act;
use crate::Outcome;
use crate::process::{Running, Scratch};

/// A process that can be ended and started again on its port.
pub(super) struct Server {
    name: String,
    port: u16,
    control: u16,
    cpus: String,
    program: PathBuf,
    folder: PathBuf,
    running: Option<Running>,
}

impl Server {
    pub(super) fn start(index: usize, cpus: &str, scratch: &Scratch) -> Outcome<Self> {
        let mut server = Self {
            name: format!("origin-{index}"),
            port: steady_port()?,
            control: steady_port()?,
            cpus: cpus.to_owned(),
            program: std::env::current_exe().map_err(|error| error.to_string())?,
            folder: scratch.0.clone(),
            running: None,
        };
        server.begin()?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn control(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.control))
    }

    fn begin(&mut self) -> Outcome<()> {
        let (port, control) = (self.port.to_string(), self.control.to_string());
        let arguments = ["origin", "--port", &port, "--control", &control];
        let mut running = Running::start(
            &self.name,
            &self.cpus,
            &self.program,
            &arguments,
            &self.folder,
        )?;
        running.wait_for(self.control(), &self.folder)?;
        self.running = Some(running);
        Ok(())
    }

    pub(super) fn act(&mut self, act: Act) -> Outcome<()> {
        match act {
            Act::Start => self.begin(),
            Act::Kill => {
                self.signal(Signal::KILL)?;
                self.running = None;
                Ok(())
            }
            // Of the name server's.
            Act::List | Act::Unlist => Ok(()),
            Act::Stop => self.signal(Signal::STOP),
            Act::Continue => self.signal(Signal::CONT),
            Act::Leave => {
                self.tell(Fault::Refuse)?;
                // What it still does is done within a round trip; then it goes.
                std::thread::sleep(Duration::from_millis(100));
                self.running = None;
                Ok(())
            }
            Act::Turn(fault) => self.tell(fault),
        }
    }

    fn signal(&self, signal: Signal) -> Outcome<()> {
        match &self.running {
            Some(running) => running.signal(signal),
            None => Err(format!("{} does not run", self.name)),
        }
    }

    /// Returns when the fault is there.
    fn tell(&self, fault: Fault) -> Outcome<()> {
        let talk = || -> std::io::Result<String> {
            let second = Duration::from_secs(2);
            let mut stream = TcpStream::connect_timeout(&self.control(), second)?;
            stream.set_read_timeout(Some(second))?;
            writeln!(stream, "{fault}")?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line)?;
            Ok(line)
        };
        match talk() {
            Ok(line) if line.trim() == "ok" => Ok(()),
            Ok(line) => Err(format!("{} refuses `{fault}`: {}", self.name, line.trim())),
            Err(error) => Err(format!("{} does not hear `{fault}`: {error}", self.name)),
        }
    }

    /// Ends it, and gives the lines it wrote.
    pub(super) fn end(mut self) -> String {
        // One that is stopped would not hear the signal to end.
        let _ = self.signal(Signal::CONT);
        self.running = None;
        fs::read_to_string(self.folder.join(format!("{}.out", self.name))).unwrap_or_default()
    }
}

/// A free port below those that the kernel gives out by itself: while its server is down nobody
/// else gets it, and nobody who dials it is connected with himself.
fn steady_port() -> Outcome<u16> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..2000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (std::process::id() * 37 + step) % 12_000;
        let port = u16::try_from(port).map_err(|error| error.to_string())?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".into())
}
