//! The control socket of the running process: where it is, and what to say when nobody answers.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Code, config_file};
use crate::terminal::{self, Paint};

/// Which process is meant.
#[derive(Debug, clap::Args)]
pub(super) struct Process {
    /// The config of the running proxy [default: croupier.toml]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The control socket, instead of reading a config for it
    #[arg(long, value_name = "SOCKET", conflicts_with = "config", global = true)]
    admin: Option<String>,
}

impl Process {
    /// Where its control socket is. When that is not known, says so, with what of it follows for
    /// the command.
    pub(super) fn socket(&self, follows: &str, help: &[&str]) -> Result<PathBuf, Code> {
        if let Some(admin) = &self.admin {
            return Ok(admin.strip_prefix("unix:").unwrap_or(admin).into());
        }
        let path = config_file::find(self.config.as_deref()).ok_or(Code::Refused)?;
        let config = croupier_config::load(&path).map_err(|diagnostics| {
            terminal::err(&diagnostics.text(Paint::of_stderr().style()));
            terminal::err("\n");
            let message = format!("`{}` is not valid, so {follows}", path.display());
            terminal::error(&message, &["the running config stays"]);
            Code::Refused
        })?;
        config.server.admin.map(|admin| admin.value).ok_or_else(|| {
            let first =
                "set `admin = \"unix:/run/croupier/admin.sock\"` in `[server]` and start anew";
            terminal::error(
                &format!("`{}` names no control socket", path.display()),
                &[&[first], help].concat(),
            );
            Code::Unreachable
        })
    }
}

/// Nobody, or somebody else, answers there.
pub(super) fn unreachable(socket: &Path, error: &io::Error) -> Code {
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
        "cannot reach the control socket `{}`: {}",
        socket.display(),
        plain(error)
    );
    terminal::error(&message, &[help]);
    Code::Unreachable
}

/// A status that no control socket has.
pub(super) fn stranger(socket: &Path, status: u16) -> Code {
    let shown = socket.display();
    let message = format!("`{shown}` answers {status}: it is no control socket of croupier");
    terminal::error(&message, &[]);
    Code::Unreachable
}

/// An error in the system's words, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
