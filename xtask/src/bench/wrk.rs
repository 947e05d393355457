//! One run of `wrk`, and what it printed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process;

/// What `wrk` saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// Socket errors, and answers other than 2xx and 3xx.
    pub(super) errors: u64,
}

pub(super) struct Run<'a> {
    pub(super) cpus: &'a str,
    pub(super) threads: u32,
    pub(super) seconds: u64,
    pub(super) url: &'a str,
    pub(super) closes: bool,
    /// What `wrk` is told to ask for, where it is not always the same.
    pub(super) script: Option<&'a Path>,
}

impl Run<'_> {
    pub(super) fn go(&self) -> Outcome<Seen> {
        let mut command = Command::new("taskset");
        command.args(["-c", self.cpus, "wrk", "--latency", "-c64"]);
        command.args([
            format!("-t{}", self.threads),
            format!("-d{}s", self.seconds),
        ]);
        if self.closes {
            command.args(["-H", "Connection: close"]);
        }
        if let Some(script) = self.script {
            command.arg("-s").arg(script);
        }
        command.arg(self.url);
        let text = process::output(&mut command)?;
        parse(&text).ok_or_else(|| format!("wrk printed something else than expected:\n{text}"))
    }
}

fn parse(text: &str) -> Option<Seen> {
    let after = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(key))?;
        line.split_whitespace().next()
    };
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let socket_errors = text.lines().find(|line| line.contains("Socket errors:"));
    let numbers = |line: &str| -> u64 {
        let words = line.split(|c: char| !c.is_ascii_digit());
        words.filter_map(|word| word.parse::<u64>().ok()).sum()
    };
    let refused = after("Non-2xx or 3xx responses:").and_then(|word| word.parse().ok());
    Some(Seen {
        requests: line.split_whitespace().next()?.parse().ok()?,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50: duration(after("50%")?)?,
        p99: duration(after("99%")?)?,
        errors: socket_errors.map_or(0, numbers) + refused.unwrap_or(0),
    })
}

fn duration(word: &str) -> Option<Duration> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
    units.iter().find_map(|(unit, seconds)| {
        let number: f64 = word.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs_f64(number * seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_understood() {
        let text = "\
Running 2s test @ http://127.0.0.1:1/128
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  123.00us   9.00ms   90.00%
    Req/Sec    62.50k     1.20k   64.00k    80.00%
  Latency Distribution
     50%    1.00ms
     75%    1.10ms
     90%    1.20ms
     99%  900.00us
  124500 requests in 2.00s, 30.00MB read
  Socket errors: connect 1, read 2, write 0, timeout 3
  Non-2xx or 3xx responses: 4
Requests/sec:  62250.12
Transfer/sec:     15.00MB
";
        let seen = parse(text).unwrap();
        assert_eq!((seen.requests, seen.errors), (124_500, 10));
        assert_eq!(seen.p50, Duration::from_millis(1));
        assert_eq!(seen.p99, Duration::from_micros(900));
        assert!((seen.per_second - 62_250.12).abs() < 0.01);
        assert!(parse("unable to connect").is_none());
    }
}
