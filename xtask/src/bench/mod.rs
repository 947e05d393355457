//! Croupier beside its peers: processor time per request, rate, latency, memory.
//!
//! One proxy at a time works on CPU 0; the origin and the load share CPU 1. The rounds go through
//! the proxies in turn, so that whatever else the machine does hits all of them, and medians are
//! kept. What counts are the ratios of one run.
//!
//! - `options.rs`: what was asked for
//! - `peers.rs`: who takes part; `configs.rs`: their configurations; `identity.rs`: the certificate
//! - `wrk.rs`, `h2load.rs`: one run of a load generator
//! - `scenario.rs`: what is measured, and how; `hits.rs`: what caches answer; `idle.rs`: connections that do nothing, of which
//!   those of `h2.rs` speak HTTP/2
//! - `report.rs`: medians, tables, bars

mod configs;
mod h2;
mod h2load;
mod hits;
mod identity;
mod idle;
mod options;
pub(crate) mod peers;
mod report;
mod scenario;
mod wrk;

use std::path::PathBuf;

use crate::Outcome;
use crate::process::{self, Scratch};
use configs::Front;
use identity::Identity;
use options::Options;
use peers::Origin;
use report::Report;
use scenario::{Kind, SCENARIOS};

/// Where the proxies run, and where everybody else does.
const PROXY_CPU: &str = "0";
const LOAD_CPU: &str = "1";

pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let options = Options::read(arguments)?;
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Err("the bench needs two CPUs: one for the proxy, one for the load".into());
    }
    process::require(&[
        ("nginx", "nginx"),
        ("haproxy", "haproxy"),
        ("wrk", "wrk"),
        ("taskset", "util-linux"),
    ])?;
    let wanted = || {
        SCENARIOS
            .iter()
            .filter(|scenario| options.wants(scenario.name))
    };
    if wanted().any(|scenario| scenario.kind.front() != Front::Plain) {
        // Who is missing is left out.
        if let Err(why) = process::require(&[("h2load", "nghttp2-client"), ("h2o", "h2o")]) {
            println!("{why}");
        }
    }
    let scratch = Scratch::create("bench")?;
    let identity = match wanted().any(|scenario| scenario.kind.front() == Front::Tls) {
        true => Some(Identity::make(&scratch)?),
        false => None,
    };
    raise_descriptor_limit();
    let croupier = match (options.has("croupier"), &options.croupier) {
        (true, Some(path)) => Some(path.clone()),
        (true, None) => Some(process::release_binary("croupier")?),
        (false, _) => None,
    };
    // The open-loop load must not be slower than what it measures.
    let load = match &options.load {
        Some(path) => path.clone(),
        None => process::release_binary("xtask")?,
    };
    let bench = Bench {
        options,
        scratch,
        identity,
        croupier,
        load,
    };
    let mut report = Report::begin(arguments);
    bench.measure(&mut report)?;
    let text = report.text(&bench.options);
    println!("\n{text}");
    if bench.options.writes {
        let path = report.write(&text, bench.options.name.as_deref())?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// Everything the scenarios need to know.
struct Bench {
    options: Options,
    scratch: Scratch,
    /// Where TLS is measured.
    identity: Option<Identity>,
    croupier: Option<PathBuf>,
    load: PathBuf,
}

impl Bench {
    fn measure(&self, report: &mut Report) -> Outcome<()> {
        let origin = Origin::start(&self.scratch, LOAD_CPU, 1)?;
        for scenario in SCENARIOS
            .iter()
            .filter(|scenario| self.options.wants(scenario.name))
        {
            println!("\n{}: {}", scenario.name, scenario.sentence);
            match scenario.kind {
                Kind::Closed { .. } => self.closed(scenario, &origin, report)?,
                Kind::Streams { .. } => self.streams(scenario, &origin, report)?,
                Kind::Handshakes(_) => self.handshakes(scenario, &origin, report)?,
                Kind::Idle(_) => self.idle(scenario, &origin, report)?,
                Kind::OpenLoop => self.open_loop(scenario, &origin, report)?,
                Kind::Writing => self.writing(scenario, &origin, report)?,
                Kind::TwoCores => self.two_cores(scenario, report)?,
            }
        }
        Ok(())
    }
}

/// Thousands of connections need thousands of descriptors; children inherit the limit.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}

/// How many descriptors a process may open.
fn descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(1 << 20)
}
