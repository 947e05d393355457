//! What was asked for on the command line.

use std::path::PathBuf;

use super::client::Over;
use super::peers::PROXIES;
use super::scenario::{Scenario, Times};
use crate::Outcome;

const HELP: &str = "\
cargo xtask drill [--only WORD[,WORD]] [--short] [--over h1|tls|h2] [--peers PEER[,PEER]]
                  [--croupier PATH] [--rate N] [--write]

  --only      only the scenarios with these names, or that contain these words
  --short     a part of the catalogue in less than 40 s, and Croupier alone unless --peers says more
  --over      what clients speak: HTTP/1.1 in plain (`h1`), HTTP/1.1 over TLS (`tls`), or HTTP/2
              over TLS (`h2`); the peers are there for `h1` only
  --peers     of `croupier`, `nginx` and `haproxy` (all of them)
  --croupier  a binary to use instead of a release build made now
  --rate      requests a second (200)
  --write     keep the table in drills/results/
";

pub(super) struct Options {
    only: Vec<String>,
    is_short: bool,
    pub(super) writes: bool,
    pub(super) peers: Vec<&'static str>,
    pub(super) croupier: Option<PathBuf>,
    pub(super) rate: u64,
    pub(super) over: Over,
}

impl Options {
    pub(super) fn read(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self {
            only: Vec::new(),
            is_short: false,
            writes: false,
            peers: Vec::new(),
            croupier: None,
            rate: 200,
            over: Over::H1,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("`{word}` wants a value"))
            };
            match word.as_str() {
                "--short" => options.is_short = true,
                "--write" => options.writes = true,
                "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
                "--croupier" => options.croupier = Some(PathBuf::from(value()?)),
                "--rate" => {
                    let rate = value()?.parse().ok();
                    let rate = rate.filter(|rate| (1..=5000).contains(rate));
                    options.rate = rate.ok_or("`--rate` wants a number from 1 to 5000")?;
                }
                "--over" => {
                    let name = value()?;
                    let known = Over::ALL.into_iter().find(|known| known.word() == name);
                    options.over = known.ok_or("`--over` wants `h1`, `tls` or `h2`")?;
                }
                "--peers" => {
                    for name in value()?.split(',') {
                        let known = PROXIES.into_iter().find(|known| *known == name);
                        options
                            .peers
                            .push(known.ok_or_else(|| format!("no peer is named `{name}`"))?);
                    }
                }
                _ => return Err(format!("`{word}` is not known here\n\n{HELP}")),
            }
        }
        if options.peers.is_empty() {
            options.peers = match options.is_short || options.over != Over::H1 {
                true => vec!["croupier"],
                false => PROXIES.to_vec(),
            };
        }
        if options.over != Over::H1 && options.peers != ["croupier"] {
            return Err("the peers are drilled over `h1` only".into());
        }
        if options.scenarios().is_empty() {
            let names: Vec<&str> = Scenario::ALL.iter().map(|known| known.name).collect();
            return Err(format!(
                "no scenario is chosen; there are: {}",
                names.join(", ")
            ));
        }
        Ok(options)
    }

    pub(super) fn times(&self) -> Times {
        if self.is_short {
            Times::SHORT
        } else {
            Times::FULL
        }
    }

    /// Those whose name is written; without such, those whose name contains what is written.
    pub(super) fn scenarios(&self) -> Vec<Scenario> {
        let names = |scenario: &&Scenario| {
            let mut only = self.only.iter();
            only.any(|word| match Scenario::ALL.iter().any(|s| s.name == word) {
                true => scenario.name == word,
                false => scenario.name.contains(word.as_str()),
            })
        };
        let wanted = |scenario: &&Scenario| match self.only.is_empty() {
            true => scenario.is_short || !self.is_short,
            false => names(scenario),
        };
        Scenario::ALL.iter().filter(wanted).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Over};

    fn read(line: &str) -> Options {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::read(&words)
            .map_err(|error| panic!("{error}"))
            .unwrap()
    }

    #[test]
    fn a_name_means_its_scenario_and_a_word_all_that_contain_it() {
        let names = |line| -> Vec<&str> {
            let chosen = read(line).scenarios();
            chosen.iter().map(|scenario| scenario.name).collect()
        };
        assert_eq!(names("--only kill"), ["kill"]);
        assert_eq!(names("--only 503"), ["503 at one", "503 at all"]);
        assert!(!names("--short").contains(&"stop"));
        assert_eq!(read("--short").peers, ["croupier"]);
        assert_eq!(read("--peers nginx").peers, ["nginx"]);
        assert!(Options::read(&["--peers".into(), "apache".into()]).is_err());
    }

    #[test]
    fn the_peers_are_left_out_where_clients_come_by_tls() {
        let over = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            Options::read(&words).map(|options| (options.over, options.peers))
        };
        assert_eq!(over("--over tls"), Ok((Over::Tls, vec!["croupier"])));
        assert_eq!(over("--short --over h2"), Ok((Over::H2, vec!["croupier"])));
        assert!(over("--over h2 --peers nginx").is_err());
        assert!(over("--over h3").is_err());
    }
}
