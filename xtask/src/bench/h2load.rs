//! One run of `h2load`, and what it printed.

use std::process::Command;

use super::report::Cell;
use crate::Outcome;
use crate::process;

/// As many connections and streams on each as the bars were set with.
pub(super) const ARGUMENTS: [&str; 3] = ["-t1", "-c16", "-m32"];

pub(super) fn run(cpus: &str, seconds: u64, url: &str) -> Outcome<Cell> {
    let mut command = Command::new("taskset");
    command
        .args(["-c", cpus, "h2load"])
        .args(ARGUMENTS)
        .arg(format!("-D{seconds}"))
        .arg(url);
    let text = process::output(&mut command)?;
    parse(&text).ok_or_else(|| format!("h2load printed something else than expected:\n{text}"))
}

fn parse(text: &str) -> Option<Cell> {
    let line = |start: &str| text.lines().find(|line| line.starts_with(start));
    // `12 succeeded, 0 failed`: the number before the word.
    let number = |line: &str, word: &str| -> Option<u64> {
        let words: Vec<&str> = line.split([' ', ',']).collect();
        let at = words.iter().position(|found| *found == word)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    let requests = line("requests:")?;
    let statuses = line("status codes:")?;
    let rate = line("finished in")?
        .split(", ")
        .find_map(|part| part.strip_suffix(" req/s"))?;
    let mut errors = 0;
    for word in ["failed", "errored", "timeout"] {
        errors += number(requests, word)?;
    }
    for word in ["4xx", "5xx"] {
        errors += number(statuses, word)?;
    }
    Some(Cell {
        requests: number(requests, "succeeded")?,
        per_second: rate.parse().ok()?,
        p50: None,
        p99: None,
        errors,
        cpu_micros: None,
        bytes_each: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_h2load_prints_is_understood() {
        let text = "\
starting benchmark...
spawning thread #0: 16 total client(s). Timing-based test with 0s of warm-up time and 2s of main duration for measurements.

finished in 2.00s, 61234.50 req/s, 9.87MB/s
requests: 122469 total, 122981 started, 122469 done, 122460 succeeded, 9 failed, 1 errored, 2 timeout
status codes: 122460 2xx, 0 3xx, 3 4xx, 6 5xx
traffic: 19.74MB (20697261) total, 2.34MB (2450000) headers (space savings 87.50%), 14.95MB (15676032) data
                     min         max         mean         sd        +/- sd
time for request:      102us     12.34ms      8.21ms      1.02ms    81.23%
";
        let cell = parse(text).unwrap();
        assert_eq!((cell.requests, cell.errors), (122_460, 9 + 1 + 2 + 3 + 6));
        assert!((cell.per_second - 61_234.5).abs() < 0.01);
        assert!(parse("unable to connect").is_none());
    }
}
