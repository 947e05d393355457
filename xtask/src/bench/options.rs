//! What was asked for on the command line.

use std::path::PathBuf;

use crate::Outcome;

pub(super) const HELP: &str = "\
cargo xtask bench [--quick] [--only WORD[,WORD]] [--without PEER] [--rounds N] [--seconds N]
                  [--croupier PATH] [--load PATH] [--name WORD]

  --quick     one round of two seconds, and no file
  --only      only the scenarios whose name contains a word: h1 h2c h2 tls 128B 64KiB 1MiB
              connections handshakes idle latency two-cores hit disk writing
  --without   leave out `croupier`, `nginx`, `haproxy`, `h2o`, `varnish`, `relay`, `relay-splice`
              or `floor`
  --rounds    how often each measurement is taken, in turn (3)
  --seconds   how long each measurement lasts (5)
  --croupier  this binary, rather than a release build made now
  --name      a part of the result's file name, so that it takes no other's place
  --load      this `xtask` makes the open-loop load, rather than a release build made now
";

pub(super) struct Options {
    only: Vec<String>,
    without: Vec<String>,
    pub(super) rounds: usize,
    pub(super) seconds: u64,
    pub(super) writes: bool,
    /// Binaries that are there already.
    pub(super) croupier: Option<PathBuf>,
    pub(super) load: Option<PathBuf>,
    /// A part of the result's file name.
    pub(super) name: Option<String>,
}

impl Options {
    pub(super) fn read(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self {
            only: Vec::new(),
            without: Vec::new(),
            rounds: 3,
            seconds: 5,
            writes: true,
            croupier: None,
            load: None,
            name: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("`{word}` wants a value"))
            };
            match word.as_str() {
                "--quick" => {
                    (options.rounds, options.seconds, options.writes) = (1, 2, false);
                }
                "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
                "--without" => options
                    .without
                    .extend(value()?.split(',').map(str::to_owned)),
                "--croupier" => options.croupier = Some(PathBuf::from(value()?)),
                "--load" => options.load = Some(PathBuf::from(value()?)),
                "--name" => options.name = Some(value()?.clone()),
                "--rounds" => options.rounds = number(value()?)?,
                "--seconds" => options.seconds = number(value()?)? as u64,
                _ => return Err(format!("`{word}` is not known here\n\n{HELP}")),
            }
        }
        Ok(options)
    }

    pub(super) fn has(&self, peer: &str) -> bool {
        !self.without.iter().any(|without| without == peer)
    }

    pub(super) fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|word| scenario.contains(word.as_str()))
    }
}

fn number(word: &str) -> Outcome<usize> {
    match word.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{word}` is not a number above zero")),
    }
}
