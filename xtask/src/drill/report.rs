//! The tables of a drill, and the file they are kept in.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::client::Over;
use super::judge::Row;
use super::options::Options;
use super::scenario::{Gets, Scenario};
use crate::{Outcome, machine, repository};

/// What was seen of one scenario at one proxy.
struct Line {
    peer: &'static str,
    scenario: Scenario,
    /// `None` for a scenario that this drill cannot play.
    row: Option<Row>,
}

/// Everything that was seen.
pub(super) struct Report {
    command: String,
    notes: Vec<String>,
    lines: Vec<Line>,
}

const HEAD: &str = "\
| scenario | requests | failed GETs | failed POSTs | POSTs twice | not whole | extra | \
noticed for | back after | p99 | worst | |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |
";

impl Report {
    pub(super) fn begin(arguments: &[String]) -> Self {
        // The place of a binary is a matter of one machine.
        let mut words = vec!["cargo xtask drill".to_owned()];
        let mut is_path = false;
        for word in arguments {
            words.push(if is_path { "PATH" } else { word }.to_owned());
            is_path = word == "--croupier";
        }
        Self {
            command: words.join(" "),
            notes: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(super) fn add(&mut self, peer: &'static str, scenario: &Scenario, row: Option<Row>) {
        self.lines.push(Line {
            peer,
            scenario: *scenario,
            row,
        });
    }

    /// The bars that a proxy missed, a line each.
    pub(super) fn missed(&self, peer: &str) -> Vec<String> {
        let lines = self.lines.iter().filter(|line| line.peer == peer);
        lines
            .flat_map(|line| {
                let missed = line.row.as_ref().map(|row| row.missed(&line.scenario));
                let name = line.scenario.name;
                let missed = missed.unwrap_or_default().into_iter();
                missed.map(move |what| format!("{name}: {what}"))
            })
            .collect()
    }

    /// The whole report as Markdown.
    pub(super) fn text(&self, options: &Options) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "# Drill of {}\n\n`{}`\n",
            machine::today(),
            self.command
        );
        let mut programs = vec![("nginx", "-v"), ("haproxy", "-v")];
        programs.retain(|(name, _)| options.peers.contains(name));
        let versions = machine::versions(&programs);
        let times = options.times();
        let facts = [
            format!(
                "{} requests/s, four GETs to one POST, open loop; three servers; {} ms well, \
                 {} ms of fault (2 s more where a server hangs), {} ms well",
                options.rate,
                times.before.as_millis(),
                times.fault.as_millis(),
                times.after.as_millis()
            ),
            "proxies: two workers, 1 s to connect, 3 s for an answer; servers work 5 ms on a request"
                .to_owned(),
            options.over.sentence().to_owned(),
            "failed: any other status than 200, no answer, a cut body; not whole: claimed to be \
             whole and was not"
                .to_owned(),
            "extra: requests at servers beyond the first of each, of the clients'; noticed for: \
             from the fault to the last request that failed or was repeated; back after: from the \
             fault's end to the first good answer of the server"
                .to_owned(),
        ];
        let notes = self.notes.iter().cloned();
        let all = machine::lines().into_iter().chain(versions);
        for line in all.chain(facts).chain(notes) {
            let _ = writeln!(text, "- {line}");
        }
        for peer in &options.peers {
            let _ = write!(text, "\n## {peer}\n\n{HEAD}");
            for line in self.lines.iter().filter(|line| line.peer == *peer) {
                let _ = writeln!(text, "{}", table_line(line));
            }
        }
        text.push_str("\n## Scenarios\n\n");
        for scenario in options.scenarios() {
            let bar = match scenario.gets {
                Gets::NoneFails => "",
                Gets::MayFail => "; GETs may fail",
            };
            let _ = writeln!(text, "- {}: {}{bar}", scenario.name, scenario.sentence);
        }
        let missed = self.missed("croupier");
        if options.peers.contains(&"croupier") {
            text.push_str("\n## Bars\n\n");
            if missed.is_empty() {
                text.push_str("All kept by Croupier.\n");
            }
            for line in missed {
                let _ = writeln!(text, "- missed: {line}");
            }
        }
        text
    }

    /// Keeps the report under the day, the machine and what clients spoke.
    pub(super) fn write(text: &str, over: Over) -> Outcome<PathBuf> {
        let folder = repository::root()?.join("drills").join("results");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let over = match over {
            Over::H1 => String::new(),
            Over::Tls | Over::H2 => format!("-{}", over.word()),
        };
        let path = folder.join(format!("{}-{}{over}.md", machine::today(), machine::word()));
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

fn table_line(line: &Line) -> String {
    let name = line.scenario.name;
    let Some(row) = &line.row else {
        return format!("| {name} |{} not played |", " - |".repeat(10));
    };
    let verdict = if row.missed(&line.scenario).is_empty() {
        "kept"
    } else {
        "**missed**"
    };
    format!(
        "| {name} | {} | {} | {} | {} | {} | {:.1} % | {} | {} | {} | {} | {verdict} |",
        row.requests,
        row.failed_gets,
        row.failed_posts,
        row.doubled,
        row.wrong,
        row.extra,
        time(row.detected),
        time(row.recovered),
        time(Some(row.p99)),
        time(Some(row.worst)),
    )
}

fn time(value: Option<Duration>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{} ms", value.as_millis()))
}

/// A row for whoever watches.
pub(super) fn shown(row: &Row, scenario: &Scenario) -> String {
    let missed = row.missed(scenario);
    let verdict = match missed.is_empty() {
        true => String::new(),
        false => format!("  MISSED: {}", missed.join("; ")),
    };
    format!(
        "{:4} requests, failed {:3} GETs {:3} POSTs, twice {}, not whole {}, extra {:4.1} %, p99 {}, \
         worst {}{verdict}",
        row.requests,
        row.failed_gets,
        row.failed_posts,
        row.doubled,
        row.wrong,
        row.extra,
        time(Some(row.p99)),
        time(Some(row.worst))
    )
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Line, Report, table_line};
    use crate::drill::judge::Row;
    use crate::drill::scenario::Scenario;
    use std::time::Duration;

    fn row(failed_gets: usize) -> Row {
        Row {
            requests: 1300,
            gets: 1040,
            failed_gets,
            failed_posts: 1,
            doubled: 0,
            wrong: 0,
            extra: 0.25,
            detected: Some(Duration::from_millis(12)),
            recovered: None,
            p99: Duration::from_millis(3),
            worst: Duration::from_millis(40),
        }
    }

    #[test]
    fn every_line_has_a_cell_for_every_column() {
        let columns = HEAD.lines().next().unwrap().matches('|').count();
        for row in [Some(row(0)), Some(row(2)), None] {
            let line = table_line(&Line {
                peer: "croupier",
                scenario: Scenario::ALL[0],
                row,
            });
            assert_eq!(line.matches('|').count(), columns, "{line}");
        }
    }

    #[test]
    fn a_missed_bar_is_told_with_its_scenario_and_no_path_is_kept() {
        let words = ["--croupier", "some/where", "--write"].map(str::to_owned);
        let mut report = Report::begin(&words);
        assert_eq!(report.command, "cargo xtask drill --croupier PATH --write");
        report.add("croupier", &Scenario::ALL[1], Some(row(2)));
        report.add("nginx", &Scenario::ALL[1], Some(row(3)));
        assert_eq!(
            report.missed("croupier"),
            ["kill: 2 of 1040 GETs failed (bar 0)"]
        );
    }
}
