//! `cargo xtask compression`: how small real files get on their way through Croupier and its peers,
//! and what that costs.
//!
//! One proxy at a time works on CPU 0 with one worker; origin and client share CPU 1. The rounds go
//! through the proxies in turn and medians are kept, as with `bench`. Every answer is undone once by
//! its coding's own program before anything is measured: a small answer that is wrong counts for
//! nothing.
//!
//! - `corpus.rs`: what is compressed; `peers.rs`: by whom; `client.rs`: who asks
//! - `report.rs`: the table

mod client;
mod corpus;
mod peers;
mod report;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{self, Scratch};
use crate::{Outcome, machine};
use client::Client;
use corpus::Corpus;
use peers::{Peer, Way, decoder};
use report::Row;

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

/// So long the background may take for what is kept.
const STRONG_WITHIN: Duration = Duration::from_mins(1);

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

/// Asks for the whole corpus; gives the bytes of the bodies.
fn pass(client: &mut Client, coding: &str, corpus: &Corpus) -> Outcome<usize> {
    let mut len = 0;
    for file in &corpus.files {
        let answer = client.ask(&file.path, coding);
        let answer = answer.map_err(|error| format!("{}: {error}", file.path))?;
        if answer.status != 200 {
            return Err(format!("{}: status {}", file.path, answer.status));
        }
        len += answer.body.len();
    }
    Ok(len)
}

/// Asks until the bodies get no smaller and the proxy is at rest; gives the milliseconds of CPU per
/// megabyte that this took, or None when it does not come to an end in time.
fn settle(peer: &Peer, coding: &str, corpus: &Corpus) -> Outcome<Option<f64>> {
    let mut client = Client::connect(peer.address).map_err(|error| error.to_string())?;
    let before = peer.running.cpu_nanoseconds();
    let deadline = Instant::now() + STRONG_WITHIN;
    let mut last = (pass(&mut client, coding, corpus)?, 0);
    while Instant::now() < deadline {
        let since = peer.running.cpu_nanoseconds();
        std::thread::sleep(Duration::from_millis(700));
        let worked = peer.running.cpu_nanoseconds() - since;
        if worked > 5_000_000 {
            continue;
        }
        let len = pass(&mut client, coding, corpus)?;
        let same = if len == last.0 { last.1 + 1 } else { 0 };
        last = (len, same);
        // The first passes may only have brought the files into the store.
        if same == 3 {
            let spent = peer.running.cpu_nanoseconds() - before;
            return Ok(Some(millis_per_megabyte(spent, corpus.len())));
        }
    }
    println!("what is kept in {coding} is not at its smallest after {STRONG_WITHIN:?}");
    Ok(None)
}

/// Undoes every answer, and wants the file; gives the bytes of the bodies.
fn check(peer: &Peer, coding: &str, corpus: &Corpus, scratch: &Scratch) -> Outcome<usize> {
    let mut client = Client::connect(peer.address).map_err(|error| error.to_string())?;
    let mut len = 0;
    for file in &corpus.files {
        let answer = client.ask(&file.path, coding);
        let answer = answer.map_err(|error| format!("{}: {error}", file.path))?;
        len += answer.body.len();
        if answer.status != 200 {
            return Err(format!("{}: status {}", file.path, answer.status));
        }
        if answer.coding != coding {
            return Err(format!("{} comes in `{}`", file.path, answer.coding));
        }
        let bytes = match coding {
            "" => answer.body,
            _ => undo(coding, &scratch.write("answer", &answer.body)?)?,
        };
        if bytes != file.bytes {
            return Err(format!("{} comes back as something else", file.path));
        }
    }
    Ok(len)
}

fn undo(coding: &str, path: &Path) -> Outcome<Vec<u8>> {
    let coded = File::open(path).map_err(|error| error.to_string())?;
    let mut command = Command::new(decoder(coding)?);
    let output = (command
        .args(["-d", "-c"])
        .stdin(Stdio::from(coded))
        .output())
    .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Milliseconds of CPU per megabyte of files.
fn measure(peer: &Peer, coding: &str, corpus: &Corpus, enough: u64) -> Outcome<f64> {
    /// What costs next to nothing is not asked for any longer than this.
    const PASSES_MAX: usize = 60;
    let mut client = Client::connect(peer.address).map_err(|error| error.to_string())?;
    let before = peer.running.cpu_nanoseconds();
    for number in 1.. {
        pass(&mut client, coding, corpus)?;
        let spent = peer.running.cpu_nanoseconds() - before;
        if spent >= enough || number == PASSES_MAX {
            return Ok(millis_per_megabyte(spent, number * corpus.len()));
        }
    }
    Err("it never ends".into())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of work and megabytes of files"
)]
fn millis_per_megabyte(nanoseconds: u64, len: usize) -> f64 {
    nanoseconds as f64 / len as f64 // ns per byte are ms per MB
}

/// The client works beside the origin.
fn stay_off_the_proxies_cpu() {
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(peers::LOAD_CPU.parse().unwrap_or(1));
    let _ = rustix::thread::sched_setaffinity(None, &cpus);
}
