//! `croupier run`: the proxy in the foreground, from a config file.

use std::path::PathBuf;

use croupier_control::{BootError, Exit, Options, Source};

use super::{Code, config_file};
use crate::terminal::{self, Paint};

const NOTES: &str = "\
The log goes to standard error, the access log where the config says.

Signals: HUP reloads the config, USR1 opens log files again, TERM and INT stop
within `server.shutdown_grace` (a second one stops at once), QUIT waits for all
exchanges to end.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The config [default: croupier.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Code {
    match config_file::find(arguments.config.as_deref()) {
        Some(path) => ended(croupier_control::run(
            Source::File(path),
            Options::default(),
        )),
        None => Code::Refused,
    }
}

/// Says why nothing was started, and gives the exit code.
pub(crate) fn ended(result: Result<Exit, BootError>) -> Code {
    match result {
        Ok(Exit::Clean) => Code::Done,
        Ok(Exit::Cut(_)) => Code::Cut,
        Err(BootError::Config(diagnostics)) => {
            terminal::err(&diagnostics.text(Paint::of_stderr().style()));
            Code::Refused
        }
        Err(error) => {
            let text = error.to_string();
            let (message, help) = text.split_once("\n  = help: ").unwrap_or((&text, ""));
            let help = (!help.is_empty()).then_some(help);
            terminal::error(message, help.as_slice());
            Code::Refused
        }
    }
}
