//! What is measured, and how.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustls::HandshakeKind;

use super::configs::Front;
use super::hits::Tally;
use super::peers::{Origin, Peer, SMALL};
use super::report::{Cell, Report};
use super::wrk::Run;
use super::{Bench, LOAD_CPU, PROXY_CPU, h2load, hits};
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
    Closed {
        front: Front,
        path: &'static str,
        closes: bool,
    },
    /// `h2load` with 16 connections of 32 streams, as fast as they go.
    Streams { front: Front, path: &'static str },
    /// New connections over TLS, closed when they are secure.
    Handshakes(HandshakeKind),
    /// Thousands of connections that do nothing.
    Idle(Front),
    /// A fixed rate, latency from the moment a request is due.
    OpenLoop,
    /// Hits at a fixed rate while large answers are fetched and kept.
    Writing,
    /// One worker on one CPU against two on two.
    TwoCores,
}

impl Kind {
    /// How clients come.
    pub(super) fn front(self) -> Front {
        match self {
            Self::Closed { front, .. } | Self::Streams { front, .. } | Self::Idle(front) => front,
            Self::Handshakes(_) => Front::Tls,
            Self::Writing => Front::Disk,
            Self::OpenLoop | Self::TwoCores => Front::Plain,
        }
    }
}

pub(super) const SCENARIOS: [Scenario; 22] = [
    Scenario {
        name: "h1 128B",
        sentence: "128 bytes, keep-alive on both sides",
        kind: Kind::Closed {
            front: Front::Plain,
            path: SMALL,
            closes: false,
        },
    },
    Scenario {
        name: "h1 64KiB",
        sentence: "64 KiB, keep-alive on both sides",
        kind: Kind::Closed {
            front: Front::Plain,
            path: "/64k",
            closes: false,
        },
    },
    Scenario {
        name: "h1 1MiB",
        sentence: "1 MiB, keep-alive on both sides",
        kind: Kind::Closed {
            front: Front::Plain,
            path: "/1m",
            closes: false,
        },
    },
    Scenario {
        name: "h1 connections",
        sentence: "128 bytes, a new client connection for each request",
        kind: Kind::Closed {
            front: Front::Plain,
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
        kind: Kind::Idle(Front::Plain),
    },
    Scenario {
        name: "two-cores",
        sentence: "128 bytes, one worker against two; load and origin share both CPUs",
        kind: Kind::TwoCores,
    },
    Scenario {
        name: "h2c 128B",
        sentence: "128 bytes, HTTP/2 without TLS from clients, 16 connections of 32 streams",
        kind: Kind::Streams {
            front: Front::H2c,
            path: SMALL,
        },
    },
    Scenario {
        name: "h2c 64KiB",
        sentence: "64 KiB, HTTP/2 without TLS from clients, 16 connections of 32 streams",
        kind: Kind::Streams {
            front: Front::H2c,
            path: "/64k",
        },
    },
    Scenario {
        name: "h2 128B",
        sentence: "128 bytes, HTTP/2 over TLS 1.3 from clients, 16 connections of 32 streams",
        kind: Kind::Streams {
            front: Front::Tls,
            path: SMALL,
        },
    },
    Scenario {
        name: "h2 64KiB",
        sentence: "64 KiB, HTTP/2 over TLS 1.3 from clients, 16 connections of 32 streams",
        kind: Kind::Streams {
            front: Front::Tls,
            path: "/64k",
        },
    },
    Scenario {
        name: "tls 128B",
        sentence: "128 bytes, HTTP/1.1 over TLS 1.3 from clients, keep-alive on both sides",
        kind: Kind::Closed {
            front: Front::Tls,
            path: SMALL,
            closes: false,
        },
    },
    Scenario {
        name: "tls 1MiB",
        sentence: "1 MiB, HTTP/1.1 over TLS 1.3 from clients, keep-alive on both sides",
        kind: Kind::Closed {
            front: Front::Tls,
            path: "/1m",
            closes: false,
        },
    },
    Scenario {
        name: "handshakes full",
        sentence: "TLS 1.3, ECDSA P-256, X25519: connections that are made secure and closed",
        kind: Kind::Handshakes(HandshakeKind::Full),
    },
    Scenario {
        name: "handshakes resumed",
        sentence: "the same with a ticket of the connection before",
        kind: Kind::Handshakes(HandshakeKind::Resumed),
    },
    Scenario {
        name: "idle tls",
        sentence: "user memory for each of 8,000 idle clients of HTTP/1.1 over TLS after one request each",
        kind: Kind::Idle(Front::Tls),
    },
    Scenario {
        name: "idle h2c",
        sentence: "user memory for each of 8,000 idle clients of HTTP/2 without TLS after one request each",
        kind: Kind::Idle(Front::H2c),
    },
    Scenario {
        name: "hit 128B",
        sentence: "128 bytes from the cache's memory, keep-alive",
        kind: Kind::Closed {
            front: Front::Cached,
            path: SMALL,
            closes: false,
        },
    },
    Scenario {
        name: "hit 64KiB",
        sentence: "64 KiB from the cache's memory, keep-alive",
        kind: Kind::Closed {
            front: Front::Cached,
            path: "/64k",
            closes: false,
        },
    },
    Scenario {
        name: "hit 1MiB",
        sentence: "1 MiB from the cache's memory, keep-alive",
        kind: Kind::Closed {
            front: Front::Cached,
            path: "/1m",
            closes: false,
        },
    },
    Scenario {
        name: "hit disk 1MiB",
        sentence: "256 answers of 1 MiB in turn from the cache's disk, keep-alive; the pages are in the kernel's memory",
        kind: Kind::Closed {
            front: Front::Disk,
            path: "/1m",
            closes: false,
        },
    },
    Scenario {
        name: "hit p99 while writing",
        sentence: "hits of 128 bytes, 2,000 a second, open loop, while 80 answers of 1 MiB a second \
                   are fetched and kept on disk",
        kind: Kind::Writing,
    },
];

/// Seconds that a cache may take to have everything.
const WARM_MAX: usize = 8;

impl Bench {
    pub(super) fn closed(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let Kind::Closed {
            front,
            path,
            closes,
        } = scenario.kind
        else {
            return Ok(());
        };
        let mut peers = self.proxies(front, origin.address)?;
        // Neither knows TLS.
        let has = |name: &str| front == Front::Plain && self.options.has(name);
        if has("relay") {
            peers.push(self.proxy("relay", Front::Plain, (PROXY_CPU, 1), origin.address)?);
        }
        // Of an answer that one read takes, it would splice nothing.
        if path != SMALL && has("relay-splice") {
            peers.push(self.proxy("relay-splice", Front::Plain, (PROXY_CPU, 1), origin.address)?);
        }
        if has("floor") {
            peers.push(Peer::floor(origin));
        }
        for peer in &peers {
            // Warm: connections, pages, and caches until they ask for nothing any more.
            for _ in 0..WARM_MAX {
                let asked = origin.asked(front)?;
                self.wrk(peer, path, closes, 1)?;
                if origin.asked(front)? <= asked + 1 {
                    break;
                }
            }
        }
        let mut tally = Tally::default();
        for round in 1..=self.options.rounds {
            for peer in &peers {
                let asked = origin.asked(front)?;
                let cell = self.wrk(peer, path, closes, self.options.seconds)?;
                tally.add(peer.name, asked, origin.asked(front)?, cell.requests);
                println!("  round {round}  {:<12} {}", peer.name, cell.line());
                report.add(scenario.name, peer.name, cell);
            }
        }
        if let Some(sentence) = tally.sentence(front) {
            report.note(format!("{}: {sentence}", scenario.name));
        }
        Ok(())
    }

    fn wrk(&self, peer: &Peer, path: &str, closes: bool, seconds: u64) -> Outcome<Cell> {
        let url = peer.url(path);
        let script = match peer.front {
            Front::Disk => Some(self.scratch.write("in-turn.lua", hits::IN_TURN)?),
            _ => None,
        };
        let before = peer.cpu_nanoseconds();
        let seen = Run {
            cpus: LOAD_CPU,
            threads: 1,
            seconds,
            url: &url,
            closes,
            script: script.as_deref(),
        }
        .go()?;
        let cell = Cell::of(seen, before, peer.cpu_nanoseconds());
        peer.forget_log();
        Ok(cell)
    }

    pub(super) fn streams(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let Kind::Streams { front, path } = scenario.kind else {
            return Ok(());
        };
        if process::find("h2load").is_none() {
            report.note(format!("{}: h2load is not installed.", scenario.name));
            return Ok(());
        }
        let peers = self.proxies(front, origin.address)?;
        self.in_turn(scenario, &peers, report, |peer, seconds| {
            h2load::run(LOAD_CPU, seconds, &peer.url(path))
        })
    }

    pub(super) fn handshakes(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let Kind::Handshakes(kind) = scenario.kind else {
            return Ok(());
        };
        let resumed = (kind == HandshakeKind::Resumed).then_some("--resumed");
        let mut peers = self.proxies(Front::Tls, origin.address)?;
        if resumed.is_some() {
            // It keeps its tickets back until the first answer, and here is none.
            peers.retain(|peer| peer.name != "h2o");
        }
        self.in_turn(scenario, &peers, report, |peer, seconds| {
            let mut command = Command::new("taskset");
            command.args(["-c", LOAD_CPU]).arg(&self.load);
            command.arg("handshakes").args(resumed);
            command.args(["--seconds", &seconds.to_string()]);
            command.arg(peer.address.to_string());
            figures(&process::output(&mut command)?, seconds)
        })
    }

    /// Puts the same load on all peers in turn, a second of it to warm them.
    fn in_turn(
        &self,
        scenario: &Scenario,
        peers: &[Peer],
        report: &mut Report,
        load: impl Fn(&Peer, u64) -> Outcome<Cell>,
    ) -> Outcome<()> {
        for round in 0..=self.options.rounds {
            for peer in peers {
                let seconds = if round == 0 { 1 } else { self.options.seconds };
                let before = peer.cpu_nanoseconds();
                let cell = load(peer, seconds)?.with_cpu(before, peer.cpu_nanoseconds());
                peer.forget_log();
                if round > 0 {
                    println!("  round {round}  {:<10} {}", peer.name, cell.line());
                    report.add(scenario.name, peer.name, cell);
                }
            }
        }
        Ok(())
    }

    /// The rate is a share of what nginx can do at its best on this machine now.
    pub(super) fn open_loop(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let nginx = self.proxy("nginx", Front::Plain, (PROXY_CPU, 1), origin.address)?;
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
        let peers = self.proxies(Front::Plain, origin.address)?;
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

    pub(super) fn two_cores(&self, scenario: &Scenario, report: &mut Report) -> Outcome<()> {
        let both = "0,1";
        let origin = Origin::start(&self.scratch, both, 1)?;
        let mut peers = Vec::new();
        for name in self.names(Front::Plain) {
            let one = self.proxy(name, Front::Plain, (PROXY_CPU, 1), origin.address)?;
            let two = self.proxy(name, Front::Plain, (both, 2), origin.address)?;
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
                        script: None,
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

/// The load in a process of its own, on the load's CPU.
pub(super) fn open_loop_run(
    program: &Path,
    address: SocketAddr,
    rate: u64,
    seconds: u64,
) -> Outcome<Cell> {
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
    figures(&process::output(&mut command)?, seconds)
}

/// What a load of ours printed.
fn figures(text: &str, seconds: u64) -> Outcome<Cell> {
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
