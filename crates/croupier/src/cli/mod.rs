//! The command line: one file for each verb, and what they share.

mod cache;
mod check;
mod config_file;
mod config_tests;
mod control;
mod explain;
mod proxy;
mod question;
mod reference;
mod reload;
pub(crate) mod run;
mod schema;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{demo, terminal};

/// How a command ends; the numbers are a promise (docs/reference/cli.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Done = 0,
    /// The config is invalid, the reload was refused, or the start failed.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Stopped, but connections were cut.
    Cut = 3,
    /// Nobody answers at the control socket.
    Unreachable = 4,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// A reverse proxy that deals each request to a server inside
#[derive(Debug, Parser)]
#[command(name = "croupier", version, after_help = NOTES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the proxy in the foreground
    Run(run::Arguments),
    /// Run without a config file: one address before one or more servers
    Proxy(proxy::Arguments),
    /// Check a config and run the tests in it (also: validate)
    #[command(alias = "validate", short_flag = 't')]
    Check(check::Arguments),
    /// Say what would happen to a request, or what a code means
    Explain(explain::Arguments),
    /// Ask the running proxy to reload its config; wait for the verdict
    Reload(reload::Arguments),
    /// Show what the running proxy keeps of answers, or take it out
    Cache(cache::Arguments),
    /// Print the JSON Schema of the config
    Schema,
    /// Play: three servers and a proxy before them, all in this process
    Demo(demo::Arguments),
    /// Print a page of the reference
    #[command(hide = true)]
    Reference(reference::Arguments),
}

const NOTES: &str = "\
The config is `croupier.toml` in this directory, else
`/etc/croupier/croupier.toml`, unless `-c FILE` names another.

Exit codes: 0 well, 1 config or start failed, 2 wrong usage, 3 stopped but
connections were cut, 4 nobody at the control socket.";

const FIRST_STEPS: &str = "\
croupier: a reverse proxy that deals each request to a server inside

To start with:
  croupier demo                                       watch it deal
  croupier proxy --from :8080 --to 127.0.0.1:3000     no config needed
  croupier run -c croupier.toml                       run a config

`croupier --help` lists all commands, `croupier COMMAND --help` explains one.
";

/// Parses, dispatches.
pub(crate) fn run() -> Code {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Code::Usage
            } else {
                Code::Done
            };
        }
    };
    match cli.verb {
        None => {
            terminal::err(FIRST_STEPS);
            Code::Usage
        }
        Some(Verb::Run(arguments)) => run::run(&arguments),
        Some(Verb::Proxy(arguments)) => proxy::run(&arguments),
        Some(Verb::Check(arguments)) => check::run(&arguments),
        Some(Verb::Explain(arguments)) => explain::run(&arguments),
        Some(Verb::Reload(arguments)) => reload::run(&arguments),
        Some(Verb::Cache(arguments)) => cache::run(&arguments),
        Some(Verb::Schema) => schema::run(),
        Some(Verb::Demo(arguments)) => demo::run(&arguments),
        Some(Verb::Reference(arguments)) => reference::run(&arguments, &Cli::command()),
    }
}
