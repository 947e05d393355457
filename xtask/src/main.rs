//! What is done to the repository rather than with it: `cargo xtask VERB`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks"
)]

mod bench;
mod ci;
mod code;
mod compression;
mod drill;
mod floors;
mod handshakes;
mod load;
mod machine;
mod process;
mod relay;
mod repository;
mod stampede;
mod syscalls;
mod tidy;

use std::process::ExitCode;

/// A result whose error is a sentence for the person at the terminal.
type Outcome<T> = Result<T, String>;

const HELP: &str = "\
cargo xtask VERB

  ci         what has to hold before a change goes in: format, tidy, clippy, a release smoke
  tidy       words, sizes, module docs, marks, machine paths, documents, and the floors
  bench      Croupier beside nginx, HAProxy and h2o; writes bench/results/ (see bench/README.md)
  compression
             how small real files get on their way, beside nginx and Caddy, and at what cost
  drill      servers die in every way; what clients of Croupier and its peers notice (see drills/)
  stampede   a crowd asks caches for one answer at once: how much reaches the origin
  load       open-loop load: --rate R --connections C --seconds S URL
  syscalls   system calls per proxied request, under strace
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match arguments.first().map(String::as_str) {
        Some("ci") => ci::run(),
        Some("tidy") => tidy::run(),
        Some("bench") => bench::run(rest),
        Some("compression") => compression::run(rest),
        Some("drill") => drill::run(rest),
        // A server of the drill, which is a process of its own.
        Some("origin") => drill::origin::run(rest),
        Some("load") => load::run(rest),
        Some("handshakes") => handshakes::run(rest), // started by `bench`
        Some("relay") => relay::run(rest),           // started by `bench`
        Some("stampede") => stampede::run(rest),
        Some("syscalls") => syscalls::run(rest),
        Some("help" | "-h" | "--help") | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("no verb is named `{other}`\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}
