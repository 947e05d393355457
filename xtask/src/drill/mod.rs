//! The fault drill: servers die in every way that is known, and what clients of Croupier and of
//! its peers notice is counted. Servers are real processes; the load is an open loop in which
//! every request has a nonce, so that clients, servers and proxy can be held against each other.
//!
//! - `options.rs`: what was asked for
//! - `scenario.rs`: the catalogue, as steps in time
//! - `origin/`, `server.rs`: a server from inside, and from outside
//! - `names.rs`: a name server for them
//! - `peers.rs`: the proxies and their configurations
//! - `client/`, `load.rs`: one client, and all of them
//! - `judge.rs`: what it came to; bars
//! - `report.rs`: tables

mod client;
mod judge;
mod load;
mod names;
mod options;
pub(crate) mod origin;
mod peers;
mod report;
mod scenario;
mod server;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Outcome;
use crate::process::{self, Scratch};
use client::{Front, Identity, Over};
use judge::{Evidence, Row};
use load::Schedule;
use names::Names;
use options::Options;
use peers::{Proxy, Starter};
use report::Report;
use scenario::{Act, Kind, SERVERS, Scenario, Step};
use server::Server;

/// Microseconds of the wall clock, which is the same in all processes.
fn clock_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// `cargo xtask drill`.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let options = Options::read(arguments)?;
    let programs = [("nginx", "nginx"), ("haproxy", "haproxy")];
    let mut needed: Vec<_> = (programs.into_iter())
        .filter(|(program, _)| options.peers.contains(program))
        .collect();
    needed.push(("taskset", "util-linux"));
    process::require(&needed)?;
    crate::bench::raise_descriptor_limit();
    let croupier = match (&options.croupier, options.peers.contains(&"croupier")) {
        (_, false) => None,
        (Some(path), true) => Some(path.clone()),
        (None, true) => Some(process::release_binary("croupier")?),
    };
    let mut report = Report::begin(arguments);
    let drill = Drill {
        cpus: match std::thread::available_parallelism().map_or(1, usize::from) {
            1 => "0",
            _ => "0,1",
        },
        options,
        croupier,
        identity: Identity::make(),
    };
    drill.play_all(&mut report)?;
    let text = report.text(&drill.options);
    println!("\n{text}");
    if drill.options.writes {
        println!(
            "written to {}",
            Report::write(&text, drill.options.over)?.display()
        );
    }
    match report.missed("croupier") {
        missed if missed.is_empty() => Ok(()),
        missed => Err(format!("Croupier missed bars:\n  {}", missed.join("\n  "))),
    }
}

struct Drill {
    options: Options,
    croupier: Option<PathBuf>,
    cpus: &'static str,
    /// What the proxy shows to clients that come by TLS.
    identity: Identity,
}

impl Drill {
    fn play_all(&self, report: &mut Report) -> Outcome<()> {
        for name in &self.options.peers {
            println!("\n{name}");
            let starter = Starter {
                name,
                croupier: self.croupier.as_deref(),
                cpus: self.cpus,
                workers: 2,
                identity: (self.options.over != Over::H1).then_some(&self.identity),
            };
            if let (&"croupier", Some(program)) = (name, &self.croupier) {
                let mut version = std::process::Command::new(program);
                let version = process::output(version.arg("--version"))?;
                report.note(version.trim().to_owned());
            }
            for scenario in self.options.scenarios() {
                // The peers are given addresses; only one of them could be told of a service.
                let row = match scenario.kind {
                    Kind::Names if *name != "croupier" => None,
                    _ => Some(self.play(&starter, &scenario)?),
                };
                let words = row.as_ref().map(|row| report::shown(row, &scenario));
                let words = words.unwrap_or_else(|| "not played".into());
                println!("  {:<16} {words}", scenario.name);
                report.add(name, &scenario, row);
            }
        }
        Ok(())
    }

    /// One scenario at one proxy: all processes are new, and gone in the end.
    fn play(&self, starter: &Starter<'_>, scenario: &Scenario) -> Outcome<Row> {
        let times = scenario.times(self.options.times());
        let scratch = Scratch::create("drill")?;
        let start = |index| Server::start(index, self.cpus, &scratch);
        let mut servers = (0..SERVERS).map(start).collect::<Outcome<Vec<Server>>>()?;
        let addresses: Vec<_> = servers.iter().map(Server::address).collect();
        let mut names = (scenario.kind == Kind::Names).then(|| Names::start(&addresses));
        let resolver = names.as_ref().map(Names::address);
        let proxy: Proxy = starter.start(&addresses, resolver, &scratch)?;
        let schedule = Schedule {
            rate: self.options.rate,
            lasts: times.all(),
            framing: scenario.framing,
        };
        let front = Front::new(proxy.address, self.options.over, &self.identity)?;
        let (began, began_micros) = (Instant::now(), clock_micros());
        let micros = |at: Duration| began_micros + u64::try_from(at.as_micros()).unwrap_or(0);
        let load = std::thread::spawn(move || load::drive(front, schedule));
        let acted = act(&mut servers, names.as_mut(), &scenario.steps(&times), began);
        let asked = load.join().map_err(|_| "the load broke off")?;
        let repeats = proxy.end();
        let logs: Vec<String> = servers.into_iter().map(Server::end).collect();
        let until = acted?.unwrap_or_else(|| scenario.end(&times));
        let evidence = Evidence {
            asked: &asked,
            logs: &logs,
            repeats: &repeats,
            from_micros: micros(times.before),
            until_micros: micros(until),
        };
        Ok(Row::of(scenario, &evidence))
    }
}

/// Does what is due, when it is due; gives when the last thing was done.
fn act(
    servers: &mut [Server],
    mut names: Option<&mut Names>,
    steps: &[Step],
    began: Instant,
) -> Outcome<Option<Duration>> {
    let mut done = None;
    for step in steps {
        std::thread::sleep((began + step.at).saturating_duration_since(Instant::now()));
        match (step.act, &mut names) {
            (Act::List | Act::Unlist, Some(names)) => {
                names.list(step.server, step.act == Act::List);
            }
            (act, _) => {
                if let Some(server) = servers.get_mut(step.server) {
                    server.act(act)?;
                }
            }
        }
        done = Some(began.elapsed());
    }
    Ok(done)
}
