//! Logs: what is written of every exchange, and how much the process says of itself.

use std::path::PathBuf;

use crate::source::Spanned;

/// `access_log`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// Not configured: a short line on a terminal, JSON on standard output otherwise.
    #[default]
    Auto,
    /// `false` or `"off"`.
    Off,
    To {
        target: Spanned<LogTarget>,
        format: Spanned<LogFormat>,
    },
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// `"-"` or `"stdout"`.
    Stdout,
    File(PathBuf),
}

/// How a line of the access log looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    /// Apache's combined format.
    Combined,
    /// Combined with the site's host in front.
    Vcombined,
    Terminal,
    /// Text with `{fields}`; braces are balanced, the field names belong to the log's writer.
    Template(String),
}

/// `log_level`: the least severe event that the process reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}
