//! What is measured, and how.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::peers::{Origin, PROXIES, Peer};
use super::report::{Cell, Report};
use super::wrk::Run;
use super::{Bench, LOAD_CPU, PROXY_CPU, descriptor_limit};
use crate::Outcome;
use crate::process;

pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) sentence: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `wrk` with 64 connections, as fast as they go.
    Closed { path: &'static str, closes: bool },
    /// Thousands of connections that do nothing.
    Idle,
    /// A fixed rate, latency from the moment a request is due.
    OpenLoop,
    /// One worker on one CPU against two on two.
    TwoCores,
}

/// The path of the smallest answer.
const SMALL: &str = "/128";
const IDLE_CONNECTIONS: u64 = 8000;

pub(super) const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "h1 128B",
        sentence: "128 bytes, keep-alive on both sides",
        kind: Kind::Closed {
            path: SMALL,
            closes: false,
        },
    },
    Scenario {
        name: "h1 64KiB",
        sentence: "64 KiB, keep-alive on both sides",
        kind: Kind::Closed {
            path: "/64k",
            closes: false,
        },
    },
    Scenario {
        name: "h1 1MiB",
        sentence: "1 MiB, keep-alive on both sides",
        kind: Kind::Closed {
            path: "/1m",
            closes: false,
        },
    },
    Scenario {
        name: "h1 connections",
        sentence: "128 bytes, a new client connection for each request",
        kind: Kind::Closed {
            path: SMALL,
            closes: true,
        },
    },
    Scenario {
        name: "latency",
        sentence: "128 bytes at 60 % of nginx's highest rate, open loop, 64 connections",
        kind: Kind::OpenLoop,
    },
    Scenario {
        name: "idle",
        sentence: "user memory for each of 8,000 idle keep-alive clients after one request each",
        kind: Kind::Idle,
    },
    Scenario {
        name: "two-cores",
        sentence: "128 bytes, one worker against two; load and origin share both CPUs",
        kind: Kind::TwoCores,
    },
];

impl Bench {
    pub(super) fn closed(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let Kind::Closed { path, closes } = scenario.kind else {
            return Ok(());
        };
        let mut peers = self.proxies(origin.address)?;
        if self.options.has("relay") {
            peers.push(self.proxy("relay", PROXY_CPU, 1, origin.address)?);
        }
        // Of an answer that one read takes, it would splice nothing.
        if path != SMALL && self.options.has("relay-splice") {
            peers.push(self.proxy("relay-splice", PROXY_CPU, 1, origin.address)?);
        }
        if self.options.has("floor") {
            peers.push(Peer::floor(origin));
        }
        for peer in &peers {
            self.wrk(peer, path, closes, 1)?; // warm: connections, caches, pages
        }
        for round in 1..=self.options.rounds {
            for peer in &peers {
                let cell = self.wrk(peer, path, closes, self.options.seconds)?;
                println!("  round {round}  {:<12} {}", peer.name, cell.line());
                report.add(scenario.name, peer.name, cell);
            }
        }
        Ok(())
    }

    fn wrk(&self, peer: &Peer, path: &str, closes: bool, seconds: u64) -> Outcome<Cell> {
        let url = peer.url(path);
        let before = peer.cpu_nanoseconds();
        let seen = Run {
            cpus: LOAD_CPU,
            threads: 1,
            seconds,
            url: &url,
            closes,
        }
        .go()?;
        let cell = Cell::of(seen, before, peer.cpu_nanoseconds());
        peer.forget_log();
        Ok(cell)
    }

    /// The rate is a share of what nginx can do at its best on this machine now.
    pub(super) fn open_loop(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let nginx = self.proxy("nginx", PROXY_CPU, 1, origin.address)?;
        self.wrk(&nginx, "/128", false, 1)?;
        let best = self.wrk(&nginx, "/128", false, self.options.seconds)?;
        drop(nginx);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate far below 2^53"
        )]
        let rate = (best.per_second * 0.6) as u64;
        println!("  {rate} requests a second");
        report.note(format!("latency: {rate} requests a second."));
        let peers = self.proxies(origin.address)?;
        for round in 0..=self.options.rounds {
            for peer in &peers {
                let seconds = if round == 0 { 1 } else { self.options.seconds };
                let before = peer.cpu_nanoseconds();
                let cell = open_loop_run(&self.load, peer.address, rate, seconds)?;
                let cell = cell.with_cpu(before, peer.cpu_nanoseconds());
                peer.forget_log();
                if round > 0 {
                    println!("  round {round}  {:<10} {}", peer.name, cell.line());
                    report.add(scenario.name, peer.name, cell);
                }
            }
        }
        Ok(())
    }

    pub(super) fn idle(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let count = IDLE_CONNECTIONS.min(descriptor_limit().saturating_sub(1000) / 2);
        if count < IDLE_CONNECTIONS {
            report.note(format!(
                "idle: only {count} connections, for want of descriptors."
            ));
        }
        for name in PROXIES.into_iter().filter(|name| self.options.has(name)) {
            // A fresh process, so that memory freed by earlier work does not hide the growth.
            let peer = self.proxy(name, PROXY_CPU, 1, origin.address)?;
            let mut first = TcpStream::connect(peer.address).map_err(|e| e.to_string())?;
            for _ in 0..1000 {
                ask(&mut first, peer.address)?;
            }
            let before = peer.user_memory_bytes();
            let mut held = Vec::new();
            for _ in 0..count {
                let mut stream = TcpStream::connect(peer.address).map_err(|e| e.to_string())?;
                ask(&mut stream, peer.address)?;
                held.push(stream);
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
                .filter_map(|stream| ask(stream, peer.address).ok())
                .count();
            if alive < held.len() {
                let lost = held.len() - alive;
                report.note(format!(
                    "idle: {name} closed {lost} of {count} connections."
                ));
            }
            println!("  {name:<10} {each:.0} bytes each");
            report.add(scenario.name, peer.name, Cell::memory(each));
        }
        Ok(())
    }

    pub(super) fn two_cores(&self, scenario: &Scenario, report: &mut Report) -> Outcome<()> {
        let both = "0,1";
        let origin = Origin::start(&self.scratch, both, 1)?;
        let mut peers = Vec::new();
        for name in PROXIES.into_iter().filter(|name| self.options.has(name)) {
            let one = self.proxy(name, PROXY_CPU, 1, origin.address)?;
            let two = self.proxy(name, both, 2, origin.address)?;
            peers.push((one, two));
        }
        for round in 0..=self.options.rounds {
            for (one, two) in &peers {
                for (workers, peer) in [(1, one), (2, two)] {
                    let seconds = if round == 0 { 1 } else { self.options.seconds };
                    let url = peer.url("/128");
                    let run = Run {
                        cpus: both,
                        threads: 2,
                        seconds,
                        url: &url,
                        closes: false,
                    };
                    let before = peer.cpu_nanoseconds();
                    let cell = Cell::of(run.go()?, before, peer.cpu_nanoseconds());
                    peer.forget_log();
                    if round > 0 {
                        let name = format!("{} x{workers}", peer.name);
                        println!("  round {round}  {name:<13} {}", cell.line());
                        report.add(scenario.name, &name, cell);
                    }
                }
            }
        }
        Ok(())
    }
}

/// One request on a kept connection, its answer read whole.
fn ask(stream: &mut TcpStream, address: SocketAddr) -> Outcome<()> {
    let mut talk = || -> std::io::Result<bool> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        // In one write: two small ones would wait for each other.
        stream.write_all(format!("GET /128 HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
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
    };
    match talk() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{address} did not answer as it should")),
        Err(error) => Err(format!("{address} did not answer: {error}")),
    }
}

/// The load in a process of its own, on the load's CPU.
fn open_loop_run(program: &Path, address: SocketAddr, rate: u64, seconds: u64) -> Outcome<Cell> {
    let mut command = Command::new("taskset");
    command
        .args(["-c", LOAD_CPU])
        .arg(program)
        .args(["load", "--connections", "64"]);
    command.args([
        "--rate",
        &rate.to_string(),
        "--seconds",
        &seconds.to_string(),
    ]);
    command.arg(format!("http://{address}/128"));
    let text = process::output(&mut command)?;
    let value = |key: &str| -> Outcome<u64> {
        let mut pairs = text
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        let found = pairs.find_map(|(name, value)| (name == key).then_some(value));
        found
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| format!("no `{key}` in: {text}"))
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    Ok(Cell {
        requests: value("answered")?,
        per_second: value("answered")? as f64 / seconds as f64,
        p50: Some(Duration::from_micros(value("p50_us")?)),
        p99: Some(Duration::from_micros(value("p99_us")?)),
        errors: value("errors")?,
        cpu_micros: None,
        bytes_each: None,
    })
}
