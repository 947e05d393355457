//! `croupier reload`: asks the running process over its control socket and waits for the verdict.

use std::path::Path;

use super::{
    Code,
    control::{self, Process},
};
use crate::terminal;

const NOTES: &str = "\
The config is read here first, to find the control socket (`server.admin`); a
broken one is refused without asking. The verdict is the running process's own.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    #[command(flatten)]
    process: Process,
}

pub(super) fn run(arguments: &Arguments) -> Code {
    let help = "or send the process a HUP signal, which reloads too; its log tells the verdict";
    match arguments.process.socket("nothing was reloaded", &[help]) {
        Ok(socket) => ask(&socket),
        Err(code) => code,
    }
}

fn ask(socket: &Path) -> Code {
    match croupier_control::ask(socket, "/v1/reload") {
        Ok((200, report)) => {
            terminal::out(&format!("reloaded: {}\n", report.trim_end()));
            Code::Done
        }
        Ok((422, reason)) => {
            // The first line sums up the diagnostics behind it.
            let (first, rest) = reason.split_once('\n').unwrap_or((&reason, ""));
            if !rest.trim().is_empty() {
                terminal::err(&format!("{}\n\n", rest.trim_end()));
            }
            let message = format!("reload refused: {first}");
            terminal::error(&message, &["the running config stays"]);
            Code::Refused
        }
        Ok((503, _)) => {
            terminal::error("reload refused: the process is stopping", &[]);
            Code::Refused
        }
        Ok((status, _)) => control::stranger(socket, status),
        Err(error) => control::unreachable(socket, &error),
    }
}
