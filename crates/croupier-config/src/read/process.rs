//! `[server]`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{AccessLog, Listen, LogFormat, LogLevel, LogTarget, Process, Timeout};
use crate::read::{Complaint, Field, Fields, Reader, address};
use crate::source::Spanned;
use crate::tree::Value;

impl Default for Process {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            workers: None,
            admin: None,
            metrics: None,
            proxy_protocol: Vec::new(),
            trusted_proxies: Vec::new(),
            resolver: Vec::new(),
            state: None,
            access_log: AccessLog::Auto,
            log_level: LogLevel::default(),
            shutdown_grace: Timeout::After(Duration::from_secs(30)),
            via: Some("croupier".into()),
        }
    }
}

pub(crate) fn process(reader: &mut Reader, table: &Fields<'_>) -> Process {
    let mut process = Process::default();
    if let Some(field) = table.get("listen") {
        process.listen = listen(reader, &field);
    }
    if let Some(workers) = table.get("workers").and_then(|field| field.integer(reader)) {
        process.workers = usize::try_from(workers.value)
            .ok()
            .and_then(NonZeroUsize::new);
    }
    process.admin = table.get("admin").and_then(|field| admin(reader, &field));
    process.metrics = table
        .get("metrics")
        .and_then(|field| metrics(reader, &field));
    if let Some(field) = table.get("trusted_proxies") {
        for text in field.texts(reader) {
            process
                .trusted_proxies
                .extend(reader.parse(text, codes::ADDRESS, address::trusted));
        }
    }
    if let Some(field) = table.get("proxy_protocol") {
        for text in field.texts(reader) {
            process
                .proxy_protocol
                .extend(reader.parse(text, codes::ADDRESS, address::trusted));
        }
    }
    process.state = table.get("state").and_then(|field| state(reader, &field));
    if let Some(field) = table.get("resolver") {
        let resolvers: Vec<Spanned<SocketAddr>> = field
            .texts(reader)
            .into_iter()
            .filter_map(|text| reader.parse(text, codes::ADDRESS, address::resolver))
            .collect();
        field.note_twice(reader, &resolvers, ToString::to_string);
        process.resolver = resolvers.into_iter().map(|server| server.value).collect();
    }
    if let Some(log) = table
        .get("access_log")
        .and_then(|field| access_log(reader, &field))
    {
        process.access_log = log;
    }
    if let Some(word) = table.get("log_level").and_then(|field| field.word(reader)) {
        process.log_level = match word {
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            _ => LogLevel::Info,
        };
    }
    if let Some(grace) = table
        .get("shutdown_grace")
        .and_then(|field| field.timeout(reader))
    {
        process.shutdown_grace = grace;
    }
    if let Some(field) = table.get("via")
        && let Some(text) = field.full_text(reader)
        && let Some(via) = reader.parse(text, codes::NAME, pseudonym)
    {
        process.via = Some(via.value).filter(|via| via != "off");
    }
    process
}

/// A list of listeners, of the process or of a site.
pub(crate) fn listen(reader: &mut Reader, field: &Field<'_>) -> Vec<Spanned<Listen>> {
    field.note_empty(reader);
    let texts = field.texts(reader);
    let listen: Vec<Spanned<Listen>> = texts
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::ADDRESS, address::listen))
        .collect();
    field.note_twice(reader, &listen, ToString::to_string);
    listen
}

fn admin(reader: &mut Reader, field: &Field<'_>) -> Option<Spanned<PathBuf>> {
    let text = field.text(reader).filter(|text| text.value != "off")?;
    reader.parse(text, codes::ADDRESS, |text| {
        match text.strip_prefix("unix:") {
            Some(path) => address::unix(path),
            None => Err(
                Complaint::new(format!("`{text}` is not the address of an admin socket")).help(
                    "write `unix:/run/croupier/admin.sock` or `off`: its guard is the file's mode",
                ),
            ),
        }
    })
}

fn metrics(reader: &mut Reader, field: &Field<'_>) -> Option<Spanned<Listen>> {
    let text = field.text(reader).filter(|text| text.value != "off")?;
    reader.parse(text, codes::ADDRESS, address::listen)
}

/// A directory; it need not be there yet.
fn state(reader: &mut Reader, field: &Field<'_>) -> Option<Spanned<PathBuf>> {
    let text = field.full_text(reader)?;
    reader.parse(text, codes::ADDRESS, |text| match text {
        "off" => Err(Complaint::new("`state` cannot be `off`")
            .help("leave it out: the directory is made when there is something to keep")),
        _ if text.contains('\0') => Err(Complaint::new("a path has no zero byte")),
        _ => Ok(PathBuf::from(text)),
    })
}

fn pseudonym(text: &str) -> Result<String, Complaint> {
    if text.bytes().all(super::headers::is_token_byte) {
        Ok(text.to_owned())
    } else {
        Err(Complaint::new(format!("`{text}` cannot stand in `Via`"))
            .help("a pseudonym is one word of letters, digits and `-`, `_`, `.`"))
    }
}

fn access_log(reader: &mut Reader, field: &Field<'_>) -> Option<AccessLog> {
    let to = |target: Spanned<LogTarget>, format| AccessLog::To {
        target,
        format: Spanned::default_of(format),
    };
    match &field.node.value {
        Value::Boolean(false) => Some(AccessLog::Off),
        Value::Boolean(true) => Some(AccessLog::Auto),
        Value::String(_) => {
            let text = field.full_text(reader)?;
            if text.value == "off" {
                return Some(AccessLog::Off);
            }
            Some(to(target(reader, text)?, LogFormat::Json))
        }
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::ACCESS_LOG)?;
            let path = table.get("path").and_then(|field| field.full_text(reader));
            let target = match path {
                Some(path) => target(reader, path)?,
                None => Spanned::default_of(LogTarget::Stdout),
            };
            let format = table
                .get("format")
                .and_then(|field| field.full_text(reader));
            let format = match format {
                Some(text) => reader.parse(text, codes::TEMPLATE, log_format)?,
                None => Spanned::default_of(LogFormat::Json),
            };
            Some(AccessLog::To { target, format })
        }
        _ => {
            field.note_type(reader);
            None
        }
    }
}

fn target(reader: &mut Reader, text: Spanned<&str>) -> Option<Spanned<LogTarget>> {
    match text.value {
        "-" | "stdout" => Some(Spanned::new(LogTarget::Stdout, text.span)),
        "json" | "combined" | "vcombined" | "terminal" => {
            let message = format!("`{}` is a format, not a path", text.value);
            let help = format!("write `access_log = {{ format = \"{}\" }}`", text.value);
            reader.note(Diagnostic::error(codes::UNKNOWN_WORD, text.span, message).help(help));
            None
        }
        path if path.contains('\0') || path.ends_with('/') => {
            let message = "the access log is a file";
            reader.note(Diagnostic::error(codes::ADDRESS, text.span, message));
            None
        }
        path => Some(Spanned::new(LogTarget::File(path.into()), text.span)),
    }
}

fn log_format(text: &str) -> Result<LogFormat, Complaint> {
    match text {
        "json" => return Ok(LogFormat::Json),
        "combined" => return Ok(LogFormat::Combined),
        "vcombined" => return Ok(LogFormat::Vcombined),
        "terminal" => return Ok(LogFormat::Terminal),
        _ => {}
    }
    let help = "write `json`, `combined`, `vcombined`, `terminal`, or text with `{fields}`";
    if !text.contains(['{', '}']) {
        let known = ["json", "combined", "vcombined", "terminal"];
        let complaint = Complaint::new(format!("`{text}` is not a format of the access log"));
        return Err(match crate::nearest::nearest(text, known) {
            Some(near) => complaint.help(format!("did you mean `{near}`?")),
            None => complaint.help(help),
        });
    }
    let mut is_open = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // Outside of a field, a doubled brace is the brace itself.
        if !is_open && (c == '{' || c == '}') && rest.next_if_eq(&c).is_some() {
            continue;
        }
        if (c == '{' && is_open) || (c == '}' && !is_open) {
            return Err(Complaint::new(format!("a stray `{c}` in the format"))
                .help("every `{` is closed by a `}`, as in `{status}`"));
        }
        is_open = c == '{' || (is_open && c != '}');
    }
    if is_open {
        return Err(Complaint::new("a `{` in the format is not closed"));
    }
    Ok(LogFormat::Template(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::log_format;

    #[test]
    fn braces_of_a_template() {
        for text in ["{status}", "a {{ b }} {status}", "{{{status}}}"] {
            assert!(log_format(text).is_ok(), "{text}");
        }
        for text in ["{status", "status}", "{a{b}}", "{{a}", "{a}}"] {
            assert!(log_format(text).is_err(), "{text}");
        }
    }
}
