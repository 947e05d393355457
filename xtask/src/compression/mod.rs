//! `cargo xtask compression`: how small real files get on their way through Croupier and its peers,
//! and what that costs.
//!
//! One proxy at a time works on CPU 0 with one worker; origin and client share CPU 1. The rounds go
//! through the proxies in turn and medians are kept, as with `bench`. Every answer is undone once by
//! its coding's own program before anything is measured: a small answer that is wrong counts for
//! nothing.
//!
//! - `corpus.rs`: what is compressed; `peers.rs`: by whom; `client.rs`: who asks
//! - `work.rs`: one answer after another, checked or measured; `report.rs`: the table

mod client;
mod corpus;
mod peers;
mod report;
mod work;

use std::path::PathBuf;

use crate::process::{self, Scratch};
use crate::{Outcome, machine};
use corpus::Corpus;
use peers::{Peer, Way};
use report::Row;
use work::{check, measure, settle};

const HELP: &str = "\
cargo xtask compression [--croupier PATH] [--rounds N] [--quick]

  --croupier  this binary, rather than a release build made now
  --rounds    how often each measurement is taken, in turn (3)
  --quick     one short round, and no file
";

/// In the order of the rounds.
const WAYS: [Way; 7] = [
    Way::Croupier,
    Way::NginxGzip(1),
    Way::NginxGzip(6),
    Way::NginxBrotli(6),
    Way::CaddyGzip,
    Way::CaddyZstd,
    Way::CroupierKept,
];

struct Options {
    croupier: Option<PathBuf>,
    rounds: usize,
    /// A measurement ends when the proxy has worked for so long.
    cpu_nanoseconds: u64,
    writes: bool,
}

impl Options {
    fn read(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self {
            croupier: None,
            rounds: 3,
            cpu_nanoseconds: 400_000_000,
            writes: true,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("`{word}` wants a value"))
            };
            match word.as_str() {
                "--croupier" => options.croupier = Some(PathBuf::from(value()?)),
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                    options.rounds = rounds.ok_or("`--rounds` wants a number above zero")?;
                }
                "--quick" => {
                    (options.rounds, options.cpu_nanoseconds) = (1, 1);
                    options.writes = false;
                }
                _ => return Err(format!("`{word}` is not known here\n\n{HELP}")),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let options = Options::read(arguments)?;
    let corpus = Corpus::fetch()?;
    process::require(&[
        ("nginx", "nginx"),
        ("taskset", "util-linux"),
        ("brotli", "brotli"),
        ("zstd", "zstd"),
    ])?;
    // Who is missing is left out.
    let optional = [("caddy", "caddy")];
    if let Err(why) = process::require(&optional) {
        println!("{why}");
    }
    let croupier = match &options.croupier {
        Some(path) => path.clone(),
        None => process::release_binary("croupier")?,
    };
    let machine = machine::lines(); // before this process has one CPU only
    stay_off_the_proxies_cpu();
    let scratch = Scratch::create("compression")?;
    let (_origin, origin) = peers::origin(&corpus, &scratch)?;
    let mut peers = Vec::new();
    for way in WAYS {
        match way.is_here() {
            true => peers.push(Peer::start(way, &croupier, origin, &scratch)?),
            false => println!("{} is left out: {way:?} is not installed", way.rows().0),
        }
    }
    let mut rows = prepare(&peers, &corpus, &scratch)?;
    for round in 1..=options.rounds {
        for row in &mut rows {
            let peer = &peers[row.peer];
            let per_megabyte = measure(peer, row.coding, &corpus, options.cpu_nanoseconds)?;
            println!(
                "  round {round}  {:<16} {:<5} {:>9} bytes {per_megabyte:8.3} ms of CPU per MB",
                row.name, row.coding, row.len
            );
            row.cpu_millis.push(per_megabyte);
        }
    }
    let text = report::text(&rows, &corpus, arguments, (&machine, options.rounds));
    println!("\n{text}");
    if options.writes {
        println!("written to {}", report::write(&text)?.display());
    }
    Ok(())
}

/// Checks every answer, and lets what is kept become as small as it gets.
fn prepare(peers: &[Peer], corpus: &Corpus, scratch: &Scratch) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, peer) in peers.iter().enumerate() {
        let (name, codings) = peer.way.rows();
        for coding in codings {
            let once = match peer.way {
                Way::CroupierKept if !coding.is_empty() => settle(peer, coding, corpus)?,
                _ => None,
            };
            let len = check(peer, coding, corpus, scratch)
                .map_err(|error| format!("{name}, {coding}: {error}"))?;
            println!("  checked  {name:<16} {coding:<5} {len:>9} bytes");
            rows.push(Row {
                peer: number,
                name: name.clone(),
                coding,
                len,
                once_millis: once,
                cpu_millis: Vec::new(),
            });
        }
    }
    Ok(rows)
}

/// The client works beside the origin.
fn stay_off_the_proxies_cpu() {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(peers::LOAD_CPU.parse().unwrap_or(1));
    let _ = rustix::thread::sched_setaffinity(None, &cpus);
}
