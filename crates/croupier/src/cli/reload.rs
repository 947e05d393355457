//! `croupier reload`: asks the running process over its control socket and waits for the verdict.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Code, config_file};
use crate::terminal::{self, Paint};

const NOTES: &str = "\
The config is read here first, to find the control socket (`server.admin`); a
broken one is refused without asking. The verdict is the running process's own.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The config of the running proxy [default: croupier.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The control socket, instead of reading a config for it
    #[arg(long, value_name = "SOCKET", conflicts_with = "config")]
    admin: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Code {
    match socket(arguments) {
        Ok(socket) => ask(&socket),
        Err(code) => code,
    }
}

/// Where the control socket is; the error has been said.
fn socket(arguments: &Arguments) -> Result<PathBuf, Code> {
    if let Some(admin) = &arguments.admin {
        return Ok(admin.strip_prefix("unix:").unwrap_or(admin).into());
    }
    let path = config_file::find(arguments.config.as_deref()).ok_or(Code::Refused)?;
    let config = croupier_config::load(&path).map_err(|diagnostics| {
        terminal::err(&diagnostics.text(Paint::of_stderr().style()));
        terminal::err("\n");
        let message = format!("`{}` is not valid, so nothing was reloaded", path.display());
        terminal::error(&message, &["the running config stays"]);
        Code::Refused
    })?;
    config.server.admin.map(|admin| admin.value).ok_or_else(|| {
        terminal::error(
            &format!("`{}` names no control socket", path.display()),
            &[
                "set `admin = \"unix:/run/croupier/admin.sock\"` in `[server]` and start anew",
                "or send the process a HUP signal, which reloads too; its log tells the verdict",
            ],
        );
        Code::Unreachable
    })
}

fn ask(socket: &Path) -> Code {
    let shown = socket.display();
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
        Ok((status, _)) => {
            let message =
                format!("`{shown}` answers {status}: it is no control socket of croupier");
            terminal::error(&message, &[]);
            Code::Unreachable
        }
        Err(error) => {
            let help = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    "is croupier running, and with this `server.admin`?"
                }
                io::ErrorKind::PermissionDenied => {
                    "the socket is for the user and group that croupier runs as"
                }
                _ => "the log of the running process may tell more",
            };
            let message = format!(
                "cannot reach the control socket `{shown}`: {}",
                plain(&error)
            );
            terminal::error(&message, &[help]);
            Code::Unreachable
        }
    }
}

/// An error in the system's words, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
