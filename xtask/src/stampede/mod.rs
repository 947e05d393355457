//! `cargo xtask stampede`: a crowd asks for one answer at the same moment. How many of its requests
//! reach the origin, and how long until everybody has an answer?
//!
//! Twice for each cache: nothing is kept yet (cold), and what is kept has just run out (expired). The
//! origin takes its time and counts. Beside Croupier stand Varnish, and nginx with `proxy_cache_lock`
//! alone and with what its book adds for what has run out (`use_stale updating`).
//!
//! - `caches.rs`: who takes part; `origin.rs`: who is asked

mod caches;
mod origin;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::process::{self, Scratch};
use crate::{Outcome, bench, machine, repository};
use caches::WAYS;
use origin::{BODY_BYTES, Origin, THINKS};

const HELP: &str = "\
cargo xtask stampede [--croupier PATH] [--clients N] [--quick]

  --croupier  this binary, rather than a release build made now
  --clients   how many ask at once (1000)
  --quick     a hundred, and no file
";

/// Answers are fresh for a second, as the origin says. Later than this they are not.
const EXPIRED_AFTER: Duration = Duration::from_millis(2200);

pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut croupier, mut clients, mut writes) = (None, 1000, true);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("`{word}` wants a value"))
        };
        match word.as_str() {
            "--croupier" => croupier = Some(PathBuf::from(value()?)),
            "--clients" => {
                let number = value()?.parse().ok().filter(|number| *number > 0);
                clients = number.ok_or("`--clients` wants a number above zero")?;
            }
            "--quick" => (clients, writes) = (100, false),
            _ => return Err(format!("`{word}` is not known here\n\n{HELP}")),
        }
    }
    process::require(&[("nginx", "nginx"), ("varnishd", "varnish")])?;
    bench::raise_descriptor_limit();
    let croupier = match croupier {
        Some(path) => path,
        None => process::release_binary("croupier")?,
    };
    let scratch = Scratch::create("stampede")?;
    let mut text = head(clients);
    for (way, name) in WAYS {
        let origin = Origin::start().map_err(|error| error.to_string())?;
        let (running, address) = caches::start(way, &croupier, origin.address, &scratch)?;
        for (state, path) in [("cold", "/cold"), ("expired", "/expired")] {
            if state == "expired" {
                let mut alone = crowd(address, 1).map_err(|error| error.to_string())?;
                ask(&mut alone, path, &origin).map_err(|error| format!("{name}: {error}"))?;
                std::thread::sleep(EXPIRED_AFTER);
            }
            let mut all = crowd(address, clients).map_err(|error| format!("{name}: {error}"))?;
            let seen = ask(&mut all, path, &origin).map_err(|error| format!("{name}: {error}"))?;
            let line = format!(
                "| {name} | {state} | {} | {} | {} ms |",
                seen.reached,
                seen.good,
                seen.took.as_millis()
            );
            println!("{line}");
            let _ = writeln!(text, "{line}");
        }
        drop(running);
    }
    if writes {
        println!("written to {}", keep(&text)?.display());
    }
    Ok(())
}

fn head(clients: usize) -> String {
    let versions = machine::versions(&[("nginx", "-v"), ("varnishd", "-V")]);
    format!(
        "# Stampede, {}\n\n`cargo xtask stampede --clients {clients}`\n\n- {}\n- {}\n\
         - {clients} clients on connections of their own ask at once; the origin thinks for {} ms; \
         its answers are fresh for a second\n\
         - what a cache asks for in the background after an answer that was no longer fresh is \
         counted, too\n\n\
         | | | requests at the origin | good answers | until the last |\n\
         | --- | --- | --: | --: | --: |\n",
        machine::today(),
        machine::lines().join("\n- "),
        versions.join("\n- "),
        THINKS.as_millis()
    )
}

fn keep(text: &str) -> Outcome<PathBuf> {
    let folder = repository::root()?.join("bench").join("results");
    let name = format!("{}-stampede-{}.md", machine::today(), machine::word());
    let path = folder.join(name);
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// What a crowd saw.
struct Seen {
    /// Requests that reached the origin.
    reached: u64,
    /// Answers of status 200 with the whole body.
    good: usize,
    took: Duration,
}

/// So many connections, open.
fn crowd(address: SocketAddr, clients: usize) -> std::io::Result<Vec<TcpStream>> {
    let connect = |_| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        Ok(stream)
    };
    (0..clients).map(connect).collect()
}

/// All ask before anybody listens.
fn ask(crowd: &mut [TcpStream], path: &str, origin: &Origin) -> std::io::Result<Seen> {
    let before = origin.count.load(Ordering::Relaxed);
    let began = Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nHost: crowd\r\nConnection: close\r\n\r\n");
    for stream in crowd.iter_mut() {
        stream.write_all(request.as_bytes())?;
    }
    let mut good = 0;
    for stream in crowd.iter_mut() {
        let mut answer = Vec::new();
        let whole = stream.read_to_end(&mut answer).is_ok();
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let body = body.map_or(0, |end| answer.len() - end - 4);
        good += usize::from(whole && answer.starts_with(b"HTTP/1.1 200") && body >= BODY_BYTES);
    }
    let took = began.elapsed();
    // What goes on in the background has reached the origin by then.
    std::thread::sleep(2 * THINKS);
    Ok(Seen {
        reached: origin.count.load(Ordering::Relaxed) - before,
        good,
        took,
    })
}
