//! The access log as configured, and the level of the process log.

use std::{io::IsTerminal as _, time::Duration};

use croupier_config::{
    Config,
    model::{AccessLog as Choice, LogFormat, LogLevel, LogTarget},
};
use croupier_telemetry::{AccessLog, Color, Format, Level, Sink, events};

use crate::boot::BootError;

/// The logs that are open.
#[derive(Debug)]
pub(crate) struct Logs {
    access: Option<AccessLog>,
}

impl Logs {
    /// Opens what the config asks for.
    pub(crate) fn open(config: &Config) -> Result<Self, BootError> {
        let (sink, format, what) = match &config.server.access_log {
            Choice::Off => return Ok(Self { access: None }),
            Choice::Auto if std::io::stdout().is_terminal() => (
                Sink::Stdout,
                Format::Terminal(color()),
                "standard output".to_owned(),
            ),
            Choice::Auto => (Sink::Stdout, Format::Json, "standard output".to_owned()),
            Choice::To { target, format } => {
                let format = self::format(&format.value).map_err(BootError::Plan)?;
                match &target.value {
                    LogTarget::Stdout => (Sink::Stdout, format, "standard output".to_owned()),
                    LogTarget::File(path) => {
                        (Sink::File(path.clone()), format, path.display().to_string())
                    }
                }
            }
        };
        let access = AccessLog::open(sink, format).map_err(|error| BootError::System {
            what: format!("cannot open the access log `{what}`"),
            error,
            help: "check that its directory exists and that this user may write there",
        })?;
        Ok(Self {
            access: Some(access),
        })
    }

    /// The access log, unless it is off.
    pub(crate) fn access(&self) -> Option<&AccessLog> {
        self.access.as_ref()
    }

    /// Opens files again under their names: they were rotated.
    pub(crate) fn reopen(&self) {
        if let Some(access) = &self.access {
            access.reopen();
        }
    }

    /// Writes what is left.
    pub(crate) fn close(&self, time: Duration) {
        if let Some(access) = &self.access {
            access.close(time);
        }
    }
}

fn format(format: &LogFormat) -> Result<Format, String> {
    Ok(match format {
        LogFormat::Json => Format::Json,
        LogFormat::Combined => Format::Combined,
        LogFormat::Vcombined => Format::VCombined,
        LogFormat::Terminal => Format::Terminal(color()),
        LogFormat::Template(template) => Format::parse(template)?,
    })
}

/// Color for a terminal whose owner has not asked for none (no-color.org).
fn color() -> Color {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stdout().is_terminal() && !refuses {
        Color::Ansi
    } else {
        Color::Plain
    }
}

/// The process log says as much as the config wants.
pub(crate) fn set_level(config: &Config) {
    events::set_level(match config.server.log_level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    });
}

/// What a reload can not change, in words.
pub(crate) fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut words = Vec::new();
    let mut compare = |name: &str, same: bool| {
        if !same {
            words.push(format!("`server.{name}` changes at the next start"));
        }
    };
    compare("workers", old.server.workers == new.server.workers);
    compare("access_log", old.server.access_log == new.server.access_log);
    let value = |config: &Config| {
        config
            .server
            .admin
            .as_ref()
            .map(|admin| admin.value.clone())
    };
    compare("admin", value(old) == value(new));
    let value = |config: &Config| config.server.metrics.as_ref().map(|m| m.value.clone());
    compare("metrics", value(old) == value(new));
    words
}
