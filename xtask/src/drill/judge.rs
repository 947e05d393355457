//! What a scenario came to: the clients' answers, the servers' notes and the proxy's repeats, put
//! together by nonce, and held against the bars. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::client::Got;
use super::load::Asked;
use super::scenario::{Gets, Scenario};

/// A request that reached a server whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    micros: u64,
    server: usize,
    is_executed: bool,
    is_post: bool,
    nonce: String,
}

/// What servers wrote down, each server's lines in its place.
fn notes(logs: &[String]) -> Vec<Note> {
    let read = |server: usize, line: &str| -> Option<Note> {
        let mut words = line.split(' ');
        Some(Note {
            micros: words.next()?.parse().ok()?,
            server,
            is_executed: words.next()? == "executed",
            is_post: words.next()? == "POST",
            nonce: words.next()?.to_owned(),
        })
    };
    let lines = logs.iter().enumerate();
    lines
        .flat_map(|(server, log)| log.lines().filter_map(move |line| read(server, line)))
        .collect()
}

/// All that is known of one scenario at one proxy.
pub(super) struct Evidence<'a> {
    pub(super) asked: &'a [Asked],
    pub(super) logs: &'a [String],
    pub(super) repeats: &'a BTreeMap<String, u64>,
    /// When the fault came and when it went, in microseconds of the wall clock.
    pub(super) from_micros: u64,
    pub(super) until_micros: u64,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) requests: usize,
    pub(super) gets: usize,
    pub(super) failed_gets: usize,
    pub(super) failed_posts: usize,
    /// POSTs that servers carried out more than once.
    pub(super) doubled: usize,
    /// Answers that claimed to be whole, or the client's own, and were not.
    pub(super) wrong: usize,
    /// Requests that servers saw beyond the first of each, in percent of the clients' requests.
    pub(super) extra: f64,
    /// From the fault to the last request that noticed it while it lasted.
    pub(super) detected: Option<Duration>,
    /// From the fault's end to the first good answer of the faulty server.
    pub(super) recovered: Option<Duration>,
    pub(super) p99: Duration,
    pub(super) worst: Duration,
}

impl Row {
    pub(super) fn of(scenario: &Scenario, evidence: &Evidence<'_>) -> Self {
        let asked = evidence.asked;
        let notes = notes(evidence.logs);
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        let mut executed: BTreeMap<&str, u64> = BTreeMap::new();
        for note in &notes {
            *seen.entry(&note.nonce).or_default() += 1;
            if note.is_post && note.is_executed {
                *executed.entry(&note.nonce).or_default() += 1;
            }
        }
        let failed = |method: &str| {
            let of_method = asked.iter().filter(|asked| asked.method == method);
            of_method.filter(|asked| asked.got != Got::Right).count()
        };
        let mut latencies: Vec<Duration> = asked.iter().map(|asked| asked.latency).collect();
        latencies.sort_unstable();
        let p99 = latencies.len().saturating_sub(1) * 99 / 100;
        let beyond = notes.len() - seen.len();
        #[expect(clippy::cast_precision_loss, reason = "some thousand requests")]
        let extra = beyond as f64 * 100.0 / asked.len().max(1) as f64;
        Self {
            requests: asked.len(),
            gets: asked.iter().filter(|asked| asked.method == "GET").count(),
            failed_gets: failed("GET"),
            failed_posts: failed("POST"),
            doubled: executed.values().filter(|count| **count > 1).count(),
            wrong: asked.iter().filter(|asked| asked.got == Got::Wrong).count(),
            extra,
            detected: detected(evidence, &seen),
            recovered: recovered(scenario, evidence, &notes),
            p99: latencies.get(p99).copied().unwrap_or_default(),
            worst: latencies.last().copied().unwrap_or_default(),
        }
    }

    /// The bars that were missed, each as words.
    pub(super) fn missed(&self, scenario: &Scenario) -> Vec<String> {
        let mut missed = Vec::new();
        if scenario.gets == Gets::NoneFails && self.failed_gets > 0 {
            missed.push(format!(
                "{} of {} GETs failed (bar 0)",
                self.failed_gets, self.gets
            ));
        }
        if self.doubled > 0 {
            missed.push(format!(
                "{} POSTs were carried out twice (bar 0)",
                self.doubled
            ));
        }
        if self.wrong > 0 {
            missed.push(format!(
                "{} answers claimed to be whole and were not (bar 0)",
                self.wrong
            ));
        }
        if self.extra > scenario.extra_max {
            missed.push(format!(
                "{:.1} % extra requests at servers (bar {} %)",
                self.extra, scenario.extra_max
            ));
        }
        missed
    }
}

fn detected(evidence: &Evidence<'_>, seen: &BTreeMap<&str, u64>) -> Option<Duration> {
    let has_noticed = |asked: &&Asked| {
        let repeats = evidence.repeats.get(&asked.nonce).copied().unwrap_or(0);
        let seen = seen.get(asked.nonce.as_str()).copied().unwrap_or(0);
        asked.got != Got::Right || repeats > 0 || seen > 1
    };
    let window = evidence.from_micros..evidence.until_micros;
    let within = evidence
        .asked
        .iter()
        .filter(|asked| window.contains(&asked.due_micros));
    let last = within
        .filter(has_noticed)
        .map(|asked| asked.due_micros)
        .max()?;
    Some(Duration::from_micros(last - evidence.from_micros))
}

fn recovered(scenario: &Scenario, evidence: &Evidence<'_>, notes: &[Note]) -> Option<Duration> {
    let faulty = scenario.faulty()?;
    let good: BTreeSet<&str> = evidence
        .asked
        .iter()
        .filter(|asked| asked.got == Got::Right)
        .map(|asked| asked.nonce.as_str())
        .collect();
    // What was asked while the fault lasted may be carried out late and for nobody.
    let due: BTreeMap<&str, u64> = evidence
        .asked
        .iter()
        .map(|asked| (asked.nonce.as_str(), asked.due_micros))
        .collect();
    let first = notes
        .iter()
        .filter(|note| note.server == faulty && note.is_executed)
        .filter(|note| note.micros >= evidence.until_micros && good.contains(note.nonce.as_str()))
        .filter(|note| due.get(note.nonce.as_str()) >= Some(&evidence.until_micros))
        .map(|note| note.micros)
        .min()?;
    Some(Duration::from_micros(first - evidence.until_micros))
}

#[cfg(test)]
mod tests {
    use super::{Evidence, Row};
    use crate::drill::client::Got;
    use crate::drill::load::Asked;
    use crate::drill::scenario::Scenario;
    use std::time::Duration;

    fn asked(nonce: &str, method: &'static str, got: Got, due_ms: u64, took_ms: u64) -> Asked {
        Asked {
            nonce: nonce.into(),
            method,
            got,
            due_micros: due_ms * 1000,
            latency: Duration::from_millis(took_ms),
        }
    }

    fn kill() -> Scenario {
        *Scenario::ALL.iter().find(|s| s.name == "kill").unwrap()
    }

    #[test]
    fn clients_servers_and_proxy_tell_one_story() {
        let asked = [
            asked("n0", "GET", Got::Right, 50, 1),
            asked("n1", "GET", Got::Right, 110, 7),
            asked("n2", "POST", Got::Status(502), 130, 2),
            asked("n3", "GET", Got::Cut, 140, 3),
            asked("n4", "GET", Got::Right, 310, 1),
        ];
        let logs = [
            "51000 executed GET n0\n111000 executed GET n1\n131000 executed POST n2\n\
             250000 executed GET n9\n311000 executed GET n4\n"
                .to_owned(),
            "112000 executed GET n1\n132000 executed POST n2\n".to_owned(),
        ];
        let repeats = [("n1".to_owned(), 1)].into();
        let evidence = Evidence {
            asked: &asked,
            logs: &logs,
            repeats: &repeats,
            from_micros: 100_000,
            until_micros: 200_000,
        };
        let row = Row::of(&kill(), &evidence);
        assert_eq!((row.requests, row.failed_gets, row.failed_posts), (5, 1, 1));
        assert_eq!((row.doubled, row.wrong), (1, 0));
        assert!((row.extra - 40.0).abs() < 0.01, "{}", row.extra);
        assert_eq!(row.detected, Some(Duration::from_millis(40)));
        assert_eq!(row.recovered, Some(Duration::from_millis(111)));
        assert_eq!(row.worst, Duration::from_millis(7));
        assert_eq!(row.missed(&kill()).len(), 3, "{:?}", row.missed(&kill()));
    }

    #[test]
    fn an_answer_that_lies_misses_a_bar_wherever_it_comes() {
        let chunks = Scenario::ALL.iter().find(|s| s.name == "close in chunks");
        let asked = [
            asked("n0", "GET", Got::Cut, 50, 1),
            asked("n1", "GET", Got::Wrong, 55, 1),
        ];
        let evidence = Evidence {
            asked: &asked,
            logs: &[],
            repeats: &[].into(),
            from_micros: 0,
            until_micros: 1,
        };
        let row = Row::of(chunks.unwrap(), &evidence);
        assert_eq!((row.failed_gets, row.wrong), (2, 1));
        assert_eq!(row.missed(chunks.unwrap()).len(), 1);
    }
}
