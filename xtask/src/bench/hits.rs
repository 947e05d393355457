//! What caches answer: whether they do, and what hits wait for while large answers are written.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::configs::Front;
use super::peers::Origin;
use super::report::Report;
use super::scenario::{Scenario, open_loop_run};
use super::{Bench, LOAD_CPU};
use crate::Outcome;

/// Hits a second while others write.
const RATE: u64 = 2000;

/// Between two large answers that are fetched.
const PACE: Duration = Duration::from_micros(12_500);

/// Makes `wrk` ask for one answer after another of more than Croupier's memory holds.
pub(super) const IN_TURN: &str = "\
local number = 0
function request()
    number = (number + 1) % 256
    return wrk.format('GET', wrk.path .. '?n=' .. number)
end
";

impl Origin {
    /// How many requests came so far, where that tells whether a cache is one.
    pub(super) fn asked(&self, front: Front) -> Outcome<u64> {
        if !matches!(front, Front::Cached | Front::Disk) {
            return Ok(0);
        }
        let page = get(self.address, "/asked").map_err(|error| format!("the origin: {error}"))?;
        // Behind the names of its columns: connections accepted, handled, and requests.
        let page = String::from_utf8_lossy(&page);
        let numbers = page.lines().skip_while(|line| !line.starts_with("server "));
        let requests = numbers
            .skip(1)
            .find_map(|line| line.split_whitespace().nth(2)?.parse().ok());
        requests.ok_or_else(|| format!("the origin does not say what it was asked:\n{page}"))
    }
}

/// How many answers of each peer the origin gave.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<&'static str, (u64, u64)>);

impl Tally {
    /// The origin's count before and after a measurement of so many requests.
    pub(super) fn add(&mut self, peer: &'static str, before: u64, after: u64, requests: u64) {
        let (asked, all) = self.0.entry(peer).or_default();
        // The second question is a request itself.
        *asked += after.saturating_sub(before).saturating_sub(1);
        *all += requests;
    }

    pub(super) fn sentence(&self, front: Front) -> Option<String> {
        if !matches!(front, Front::Cached | Front::Disk) {
            return None;
        }
        let each: Vec<String> = (self.0.iter())
            .map(|(peer, (asked, all))| format!("{peer} {asked} of {all}"))
            .collect();
        Some(format!(
            "requests that reached the origin: {}.",
            each.join(", ")
        ))
    }
}

impl Bench {
    /// Somebody asks for large answers that nobody has, one after another, while hits come at their rate.
    pub(super) fn writing(
        &self,
        scenario: &Scenario,
        origin: &Origin,
        report: &mut Report,
    ) -> Outcome<()> {
        let peers = self.proxies(Front::Disk, origin.address)?;
        let number = AtomicU64::new(0);
        for round in 0..=self.options.rounds {
            for peer in &peers {
                let seconds = if round == 0 { 1 } else { self.options.seconds };
                let before = peer.cpu_nanoseconds();
                let (ends, address) = (AtomicBool::new(false), peer.address);
                let (cell, written) = std::thread::scope(|scope| {
                    let writer = scope.spawn(|| write(address, &number, &ends));
                    let cell = open_loop_run(&self.load, peer.address, RATE, seconds);
                    ends.store(true, Ordering::Relaxed);
                    (cell, writer.join())
                });
                let written = written.map_err(|_| "the writer ended early")?;
                let cell = cell?.with_cpu(before, peer.cpu_nanoseconds());
                peer.forget_log();
                if round > 0 {
                    let written = written.map_err(|error| format!("{}: {error}", peer.name))?;
                    println!(
                        "  round {round}  {:<10} {}, {written} large ones",
                        peer.name,
                        cell.line()
                    );
                    report.add(scenario.name, peer.name, cell);
                }
            }
        }
        Ok(())
    }
}

/// Fetches one large answer after another until it ends; gives how many. Each has a URL of its own.
fn write(address: SocketAddr, number: &AtomicU64, ends: &AtomicBool) -> std::io::Result<u64> {
    // Beside the load: it must not stand in the proxy's way.
    let mut cpus = rustix::thread::CpuSet::new();
    cpus.set(LOAD_CPU.parse().unwrap_or(1));
    let _ = rustix::thread::sched_setaffinity(None, &cpus);
    let mut count = 0;
    while !ends.load(Ordering::Relaxed) {
        let due = Instant::now() + PACE;
        let next = number.fetch_add(1, Ordering::Relaxed);
        let body = get(address, &format!("/1m?w={next}"))?;
        if body.len() < 1 << 20 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        count += 1;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(count)
}

/// One request on a connection that ends with it; gives head and body.
fn get(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
