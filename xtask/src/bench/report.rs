//! Medians, tables, bars, and the file they are kept in.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::h2load;
use super::options::Options;
use super::scenario::{Kind, SCENARIOS};
use super::wrk;
use crate::{Outcome, machine, repository};

/// The programs that may have taken part, and how each tells its version.
const VERSIONS: [(&str, &str); 7] = [
    ("nginx", "-v"),
    ("haproxy", "-v"),
    ("h2o", "-v"),
    ("varnishd", "-V"),
    ("wrk", "-v"),
    ("h2load", "--version"),
    ("openssl", "version"),
];

/// The peers of most bars.
const BOTH: &[&str] = &["nginx", "haproxy"];
const ALL: &[&str] = &["nginx", "haproxy", "h2o"];
const CACHES: &[&str] = &["nginx", "haproxy", "varnish"];

/// A bar: what it is about, the highest ratio, and of whose processor time in which scenario. Of
/// several peers the best one counts.
type CpuBar = (&'static str, f64, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const CPU_BARS: [CpuBar; 16] = [
    ("h1 128 B, CPU of nginx",            0.85, "h1 128B",         &["nginx"]),
    ("h1 128 B, CPU of HAProxy",          0.75, "h1 128B",         &["haproxy"]),
    ("h1 64 KiB, CPU of the better",      0.5,  "h1 64KiB",        BOTH),
    ("h1 1 MiB, CPU of the better",       0.35, "h1 1MiB",         BOTH),
    ("h1 new connections, CPU of nginx",  0.95, "h1 connections",  &["nginx"]),
    ("h2c 128 B, CPU of h2o",             0.85, "h2c 128B",        &["h2o"]),
    ("h2c 128 B, CPU of HAProxy",         0.7,  "h2c 128B",        &["haproxy"]),
    ("h2c 64 KiB, CPU of h2o",            0.9,  "h2c 64KiB",       &["h2o"]),
    ("h2c 64 KiB, CPU of HAProxy",        0.7,  "h2c 64KiB",       &["haproxy"]),
    ("TLS h1 128 B, CPU of the best",     0.75, "tls 128B",        ALL),
    ("TLS h1 1 MiB, CPU of the best",     0.65, "tls 1MiB",        ALL),
    ("TLS h2 128 B, CPU of the best",     0.9,  "h2 128B",         ALL),
    ("full handshake, CPU of the best",   0.75, "handshakes full", ALL),
    ("hit 128 B, CPU of the best",        0.7,  "hit 128B",        CACHES),
    ("hit 64 KiB, CPU of the best",       0.7,  "hit 64KiB",       CACHES),
    ("hit 1 MiB, CPU of the best",        0.7,  "hit 1MiB",        CACHES),
];

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) p50: Option<Duration>,
    pub(super) p99: Option<Duration>,
    pub(super) errors: u64,
    /// Processor time of the proxy for each request; the origin's own for the floor.
    pub(super) cpu_micros: Option<f64>,
    pub(super) bytes_each: Option<f64>,
}

impl Cell {
    pub(super) fn of(seen: wrk::Seen, before: u64, after: u64) -> Self {
        let cell = Self {
            requests: seen.requests,
            per_second: seen.per_second,
            p50: Some(seen.p50),
            p99: Some(seen.p99),
            errors: seen.errors,
            cpu_micros: None,
            bytes_each: None,
        };
        cell.with_cpu(before, after)
    }

    pub(super) fn with_cpu(mut self, before: u64, after: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "nanoseconds of seconds, and requests"
        )]
        let (spent, requests) = (
            after.saturating_sub(before) as f64,
            self.requests.max(1) as f64,
        );
        self.cpu_micros = Some(spent / 1000.0 / requests);
        self
    }

    pub(super) fn memory(bytes_each: f64) -> Self {
        Self {
            requests: 0,
            per_second: 0.0,
            p50: None,
            p99: None,
            errors: 0,
            cpu_micros: None,
            bytes_each: Some(bytes_each),
        }
    }

    /// The measurement in one line, for whoever watches.
    pub(super) fn line(&self) -> String {
        let cpu = self
            .cpu_micros
            .map_or_else(String::new, |cpu| format!("{cpu:7.2} us CPU, "));
        let errors = if self.errors > 0 {
            format!(", {} ERRORS", self.errors)
        } else {
            "".into()
        };
        format!(
            "{cpu}{:8.0} requests/s, p99 {}{errors}",
            self.per_second,
            time(self.p99)
        )
    }
}

/// A measurement with its place in the tables.
struct Row {
    scenario: &'static str,
    peer: String,
    cell: Cell,
}

/// All measurements of one run.
pub(super) struct Report {
    command: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Report {
    pub(super) fn begin(arguments: &[String]) -> Self {
        let command = ["cargo xtask bench"].into_iter().map(str::to_owned);
        // Where a binary lies is nobody's business.
        let shown = arguments.iter().map(|word| match word.contains('/') {
            true => "PATH".to_owned(),
            false => word.clone(),
        });
        let command: Vec<String> = command.chain(shown).collect();
        Self {
            command: command.join(" "),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, scenario: &'static str, peer: &str, cell: Cell) {
        self.rows.push(Row {
            scenario,
            peer: peer.to_owned(),
            cell,
        });
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn peers(&self, scenario: &str) -> Vec<&str> {
        let mut peers: Vec<&str> = Vec::new();
        for row in self.rows.iter().filter(|row| row.scenario == scenario) {
            if !peers.contains(&row.peer.as_str()) {
                peers.push(&row.peer);
            }
        }
        peers
    }

    fn rows_of<'a>(&'a self, scenario: &'a str, peer: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.scenario == scenario && row.peer == peer)
    }

    fn median(
        &self,
        scenario: &str,
        peer: &str,
        value: impl Fn(&Cell) -> Option<f64>,
    ) -> Option<f64> {
        let rows = self.rows_of(scenario, peer);
        let mut values: Vec<f64> = rows.filter_map(|row| value(&row.cell)).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            length if length % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }

    fn cpu(&self, scenario: &str, peer: &str) -> Option<f64> {
        self.median(scenario, peer, |cell| cell.cpu_micros)
    }

    fn memory(&self, scenario: &str, peer: &str) -> Option<f64> {
        self.median(scenario, peer, |cell| cell.bytes_each)
    }

    fn p99(&self, peer: &str) -> Option<f64> {
        self.median("latency", peer, |cell| {
            cell.p99.map(|p99| p99.as_secs_f64())
        })
    }

    /// The whole report as Markdown.
    pub(super) fn text(&self, options: &Options) -> String {
        let mut text = String::new();
        let date = machine::today();
        let _ = writeln!(text, "# Bench of {date}\n");
        let _ = writeln!(text, "`{}`\n", self.command);
        let _ = writeln!(text, "- {}", machine::lines().join("\n- "));
        let _ = writeln!(text, "- {}", machine::versions(&VERSIONS).join("\n- "));
        let rounds = if options.rounds == 1 {
            "round"
        } else {
            "rounds"
        };
        let _ = writeln!(
            text,
            "- {} {rounds} of {} s in turn, medians; proxy on CPU 0 with one worker, origin and \
             load (`wrk -t1 -c64`, `h2load {}`) on CPU 1\n- floor: the origin asked directly, \
             its own processor time\n- relay: a loop on the same runtime that carries the \
             bytes and looks at none; relay-splice: the same with the rest of a large answer \
             moved inside the kernel\n- access logs of the peers off, Croupier with its \
             defaults: JSON access log to a file, metrics on",
            options.rounds,
            options.seconds,
            h2load::ARGUMENTS.join(" ")
        );
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        for scenario in &SCENARIOS {
            let peers = self.peers(scenario.name);
            if peers.is_empty() {
                continue;
            }
            let _ = writeln!(
                text,
                "\n## {}\n\n{}\n",
                scenario.name,
                sentence(scenario.sentence)
            );
            if matches!(scenario.kind, Kind::Idle(_)) {
                self.memory_table(&mut text, scenario.name, &peers);
            } else {
                self.table(&mut text, scenario.name, &peers);
            }
        }
        self.bars(&mut text);
        text
    }

    fn table(&self, text: &mut String, scenario: &str, peers: &[&str]) {
        let what = match scenario.starts_with("handshakes") {
            true => "handshake",
            false => "request",
        };
        let _ = writeln!(
            text,
            "| | CPU us per {what} | {what}s per CPU second | of nginx | {what}s/s | p50 | p99 | errors |\n\
             | --- | --: | --: | --: | --: | --: | --: | --: |"
        );
        for peer in peers {
            let cpu = self.cpu(scenario, peer);
            // In the two-cores scenario each row is compared with nginx at as many workers.
            let nginx = peer.split_once(' ').map_or_else(
                || "nginx".to_owned(),
                |(_, workers)| format!("nginx {workers}"),
            );
            let ratio = cpu
                .zip(self.cpu(scenario, &nginx))
                .map(|(own, nginx)| own / nginx);
            let rate = self
                .median(scenario, peer, |cell| Some(cell.per_second))
                .unwrap_or(0.0);
            let p50 = self.median(scenario, peer, |cell| {
                cell.p50.map(|time| time.as_secs_f64())
            });
            let p99 = self.median(scenario, peer, |cell| {
                cell.p99.map(|time| time.as_secs_f64())
            });
            let errors: u64 = self
                .rows_of(scenario, peer)
                .map(|row| row.cell.errors)
                .sum();
            let _ = writeln!(
                text,
                "| {peer} | {} | {} | {} | {rate:.0} | {} | {} | {errors} |",
                number(cpu),
                cpu.map_or_else(|| "-".into(), |cpu| format!("{:.0}", 1e6 / cpu)),
                number(ratio),
                time(p50.map(Duration::from_secs_f64)),
                time(p99.map(Duration::from_secs_f64)),
            );
        }
    }

    fn memory_table(&self, text: &mut String, scenario: &str, peers: &[&str]) {
        text.push_str("| | bytes each |\n| --- | --: |\n");
        for peer in peers {
            let bytes = self.memory(scenario, peer).unwrap_or(0.0);
            let _ = writeln!(text, "| {peer} | {bytes:.0} |");
        }
    }

    /// What Croupier promises, and whether this run keeps it.
    fn bars(&self, text: &mut String) {
        let ratio = |scenario: &str, peers: &[&str]| {
            let own = self.cpu(scenario, "croupier")?;
            let others = peers.iter().filter_map(|peer| self.cpu(scenario, peer));
            Some(own / others.min_by(f64::total_cmp)?)
        };
        let p99 = |peer| {
            self.p99("croupier")
                .zip(self.p99(peer))
                .map(|(own, its)| own / its)
        };
        let kibibytes = self.memory("idle", "croupier").map(|bytes| bytes / 1024.0);
        let cores = self
            .cpu("two-cores", "croupier x2")
            .zip(self.cpu("two-cores", "croupier x1"))
            .map(|(two, one)| two / one);
        let mut bars: Vec<_> = CPU_BARS
            .iter()
            .map(|(what, bar, scenario, peers)| (*what, *bar, ratio(scenario, peers)))
            .collect();
        bars.extend([
            ("idle client, KiB of user memory", 1.3, kibibytes),
            ("p99 at 60 % of nginx's rate, of nginx", 1.0, p99("nginx")),
            (
                "p99 at 60 % of nginx's rate, of HAProxy",
                1.0,
                p99("haproxy"),
            ),
            ("two cores, CPU of one", 1.05, cores),
        ]);
        let measured: Vec<_> = bars
            .iter()
            .filter(|(_, _, value)| value.is_some())
            .collect();
        if measured.is_empty() {
            return;
        }
        text.push_str("\n## Bars\n\n| what | bar | measured | |\n| --- | --: | --: | --- |\n");
        for (what, bar, value) in measured {
            let value = value.unwrap_or(f64::NAN);
            let verdict = if value <= *bar { "kept" } else { "**missed**" };
            let _ = writeln!(text, "| {what} | <= {bar} | {value:.2} | {verdict} |");
        }
    }

    /// Keeps the report under the day, the name and the machine.
    pub(super) fn write(&self, text: &str, name: Option<&str>) -> Outcome<PathBuf> {
        let folder = repository::root()?.join("bench").join("results");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let date = machine::today();
        let name = name.map_or_else(String::new, |name| format!("{name}-"));
        let path = folder.join(format!("{date}-{name}{}.md", machine::word()));
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
}

fn time(value: Option<Duration>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value < Duration::from_millis(10) => format!("{} us", value.as_micros()),
        Some(value) => format!("{:.1} ms", value.as_secs_f64() * 1000.0),
    }
}
