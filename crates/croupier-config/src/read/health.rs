//! `health` and `eject` of a pool.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{CheckMethod, Eject, Health, HealthCheck, HttpCheck, Percent};
use crate::read::{Complaint, Field, Fields, Reader, pool};
use crate::source::Spanned;
use crate::tree::Value;

/// Shorter, and checks are an attack.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
const TIME_MIN: Duration = Duration::from_millis(1);
const BODY_TEXT_MAX: usize = 1024;
const SERVICE_BYTES_MAX: usize = 256;

/// Keys of a check over HTTP.
const OF_HTTP: &[&str] = &["path", "method", "host", "status", "body"];

/// The check, or `None` for `off` and for what was noted.
pub(crate) fn health(reader: &mut Reader, field: &Field<'_>) -> Option<Health> {
    match &field.node.value {
        Value::String(_) => {
            let text = field.full_text(reader)?;
            let check = match text.value {
                "off" => return None,
                "tcp" => HealthCheck::Tcp,
                "grpc" => HealthCheck::Grpc {
                    service: String::new(),
                },
                "http" => HealthCheck::Http(HttpCheck::default()),
                _ => HealthCheck::Http(HttpCheck {
                    path: reader.parse(text, codes::PATH, path)?.value,
                    ..HttpCheck::default()
                }),
            };
            Some(Health::new(check))
        }
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::HEALTH)?;
            let kind = table.get("kind").and_then(|field| kind(reader, &field));
            let http = http(reader, &table);
            let grpc = table.get("grpc").and_then(|field| grpc(reader, &field));
            let check = match (grpc, kind) {
                (Some(service), _) => {
                    note_grpc_only(reader, &table);
                    HealthCheck::Grpc { service }
                }
                (None, Some("tcp")) => {
                    note_http_only(reader, &table);
                    HealthCheck::Tcp
                }
                (None, _) => HealthCheck::Http(http),
            };
            Some(times(reader, &table, Health::new(check)))
        }
        _ => {
            field.note_type(reader);
            None
        }
    }
}

fn kind(reader: &mut Reader, field: &Field<'_>) -> Option<&'static str> {
    if field.is_word("grpc") {
        let message = "`kind` takes `http` or `tcp`, not `grpc`";
        let note = Diagnostic::error(codes::UNKNOWN_WORD, field.node.span, message);
        reader.note(note.help("write `grpc = true`, or the name of a service"));
        return None;
    }
    field.word(reader)
}

/// The service to ask for; `None`: no check by gRPC.
fn grpc(reader: &mut Reader, field: &Field<'_>) -> Option<String> {
    match &field.node.value {
        Value::Boolean(is_on) => is_on.then(String::new),
        Value::String(_) => {
            let text = field.full_text(reader)?;
            let service = reader.parse(text, codes::NAME, service)?;
            Some(service.value)
        }
        _ => {
            field.note_type(reader);
            None
        }
    }
}

/// A full name of Protocol Buffers: identifiers and dots.
fn service(text: &str) -> Result<String, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is not the name of a service"));
    if let Some((service, _)) = text.trim_start_matches('/').split_once('/') {
        return Err(bad().help(format!("without the method: `{service}`")));
    }
    let is_identifier = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        part.chars().all(fits) && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    };
    if text.len() > SERVICE_BYTES_MAX || !text.split('.').all(is_identifier) {
        return Err(bad().help("write its full name, such as `shop.Orders`"));
    }
    Ok(text.to_owned())
}

fn note_grpc_only(reader: &mut Reader, table: &Fields<'_>) {
    let grpc = table.get("grpc").map(|grpc| grpc.name);
    for field in table
        .among(&["kind"])
        .into_iter()
        .chain(table.among(OF_HTTP))
    {
        let message = format!("a check by gRPC has no `{}`", field.key.name);
        let diagnostic = Diagnostic::error(codes::CONFLICT, field.name, message);
        let diagnostic = match grpc {
            Some(grpc) => diagnostic.and(grpc, "the check"),
            None => diagnostic,
        };
        reader.note(diagnostic.help("leave it out, or leave out `grpc`"));
    }
}

fn note_http_only(reader: &mut Reader, table: &Fields<'_>) {
    let kind = table.get("kind").map(|kind| kind.name);
    for field in table.among(OF_HTTP) {
        let message = format!(
            "a `tcp` check sends nothing, and has no `{}`",
            field.key.name
        );
        let diagnostic = Diagnostic::error(codes::CONFLICT, field.name, message);
        let diagnostic = match kind {
            Some(kind) => diagnostic.and(kind, "the kind"),
            None => diagnostic,
        };
        reader.note(diagnostic.help("leave it out, or write `kind = \"http\"`"));
    }
}

fn http(reader: &mut Reader, table: &Fields<'_>) -> HttpCheck {
    let mut check = HttpCheck::default();
    if let Some(field) = table.get("path")
        && let Some(text) = field.full_text(reader)
        && let Some(path) = reader.parse(text, codes::PATH, path)
    {
        check.path = path.value;
    }
    if let Some(word) = table.get("method").and_then(|field| field.word(reader)) {
        check.method = match word {
            "HEAD" => CheckMethod::Head,
            "OPTIONS" => CheckMethod::Options,
            _ => CheckMethod::Get,
        };
    }
    if let Some(field) = table.get("host")
        && let Some(text) = field.full_text(reader)
    {
        let host = reader.parse(text, codes::HOST, pool::literal_host);
        check.host = host.map(|host| host.value);
    }
    if let Some(field) = table.get("status") {
        field.note_empty(reader);
        let texts = field.texts(reader);
        check.status = texts
            .into_iter()
            .filter_map(|text| reader.parse(text, codes::STATUS, statuses))
            .map(|range| range.value)
            .collect();
    }
    if let Some(field) = table.get("body")
        && let Some(text) = field.full_text(reader)
    {
        check.body = Some(text.value.to_owned());
        if text.value.len() > BODY_TEXT_MAX {
            let message = format!("`body` has at most {BODY_TEXT_MAX} bytes");
            field.note_range(reader, message, "write the words that tell");
        }
        if check.method == CheckMethod::Head {
            let message = "the answer to `HEAD` has no body to look into";
            reader.note(
                Diagnostic::error(codes::CONFLICT, field.name, message)
                    .help("leave out `body`, or `method`, which is `GET` then"),
            );
        }
    }
    check
}

fn times(reader: &mut Reader, table: &Fields<'_>, mut health: Health) -> Health {
    if let Some(port) = table.get("port").and_then(|field| field.integer(reader)) {
        health.port = u16::try_from(port.value).ok();
    }
    let mut time = |name, least| table.get(name)?.time(reader, least);
    let interval = time("interval", INTERVAL_MIN);
    let changing = time("interval_changing", INTERVAL_MIN);
    let timeout = time("timeout", TIME_MIN);
    health.interval = interval.unwrap_or(health.interval);
    // A short interval makes the others short too, unless they are written.
    health.interval_changing =
        changing.unwrap_or_else(|| health.interval_changing.min(health.interval));
    health.timeout = timeout.unwrap_or_else(|| health.timeout.min(health.interval));
    if let Some(field) = table.get("timeout")
        && health.interval < health.timeout
    {
        let message = "the next check would begin before this one is given up";
        let diagnostic = Diagnostic::warning(codes::HARDLY_MEANT, field.node.span, message);
        let interval = table.get("interval").map(|field| field.node.span);
        let diagnostic = match interval {
            Some(interval) => diagnostic.and(interval, "the interval"),
            None => diagnostic,
        };
        reader.note(diagnostic.help("write a `timeout` that is not longer than `interval`"));
    }
    if let Some(rise) = table.get("rise").and_then(|field| field.count(reader)) {
        health.rise = rise;
    }
    if let Some(fall) = table.get("fall").and_then(|field| field.count(reader)) {
        health.fall = fall;
    }
    health
}

/// Path and query of a check.
fn path(text: &str) -> Result<String, Complaint> {
    let bad = Complaint::new(format!("`{text}` is not the path of a check"));
    if text.contains("://") {
        return Err(bad.help("write the path alone; `host` and `port` have keys of their own"));
    }
    if !text.starts_with('/') {
        return Err(bad.help(format!("write `/{text}`, or `tcp`, `grpc` or `off`")));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        None => Ok(text.to_owned()),
        Some(odd) => Err(bad.help(format!(
            "a path on the wire has no `{}`; write it percent-encoded",
            odd.escape_default()
        ))),
    }
}

/// `200`, `200-299`.
fn statuses(text: &str) -> Result<RangeInclusive<u16>, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is neither a status nor a range of them"));
    if let Some(class) = text.strip_suffix("xx")
        && let "1" | "2" | "3" | "4" | "5" = class
    {
        return Err(bad().help(format!("write `{class}00-{class}99`")));
    }
    let number = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|status| (100..=599).contains(status) && text.len() == 3)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(first), Some(last)) => Err(bad().help(format!("write `{last}-{first}`"))),
        _ => Err(bad().help("write a number from 100 to 599, or two of them, as in `200-299`")),
    }
}

/// `None` for `false`; the default for what was noted.
pub(crate) fn eject(reader: &mut Reader, field: &Field<'_>) -> Option<Eject> {
    let mut eject = Eject::default();
    match &field.node.value {
        Value::Boolean(true) => return Some(eject),
        Value::Boolean(false) => return None,
        Value::Table(_) => {}
        _ => {
            field.note_type(reader);
            return Some(eject);
        }
    }
    let Some(table) = Fields::open(reader, field.node, &keys::EJECT) else {
        return Some(eject);
    };
    let whole = Percent::whole(100);
    let mut count = |name| table.get(name)?.count_or_off(reader);
    eject.failures = count("failures").unwrap_or(eject.failures);
    eject.gateway_errors = count("gateway_errors").unwrap_or(eject.gateway_errors);
    let mut share = |name| table.get(name)?.percent_or_off(reader, whole);
    eject.ratio = share("ratio").unwrap_or(eject.ratio);
    eject.panic = share("panic").unwrap_or(eject.panic);
    if let Some(field) = table.get("ratio")
        && eject.ratio == Some(Percent::whole(0))
    {
        let message = "`ratio = \"0%\"` would put a server aside that fails nothing";
        field.note_range(
            reader,
            message,
            "write a share such as `\"50%\"`, or `\"off\"`",
        );
    }
    if let Some(field) = table.get("share")
        && let Some(share) = field.percent(reader, whole)
    {
        if share == Percent::whole(0) {
            let message = "`share = \"0%\"` lets no server be put aside";
            field.note_range(reader, message, "write `eject = false`");
        }
        eject.share = share;
    }
    let mut time = |name| {
        Some(Spanned::new(
            table.get(name)?.time(reader, TIME_MIN)?,
            table.get(name)?.node.span,
        ))
    };
    let (first, longest) = (time("first"), time("longest"));
    eject.first = first.map_or(eject.first, |first| first.value);
    eject.longest = match longest {
        Some(longest) => longest.value,
        None => eject.longest.max(eject.first),
    };
    if let Some(longest) = longest
        && longest.value < eject.first
    {
        let message = "`longest` is shorter than `first`";
        let mut diagnostic = Diagnostic::error(codes::OUT_OF_RANGE, longest.span, message);
        if let Some(first) = first {
            diagnostic = diagnostic.and(first.span, "the first time");
        }
        reader.note(diagnostic.help("write a `longest` of at least `first`"));
    }
    Some(eject)
}

#[cfg(test)]
mod tests {
    use super::{path, service, statuses};

    #[test]
    fn a_service_has_its_full_name() {
        for text in ["Orders", "shop.v1.Orders", "_a.b_2"] {
            service(text).unwrap();
        }
        for text in ["", ".", "shop.", "shop Orders", "/shop.Orders/Get", "1a"] {
            assert!(service(text).is_err(), "{text}");
        }
    }

    #[test]
    fn statuses_are_numbers_or_ranges() {
        assert_eq!(statuses("204").unwrap(), 204..=204);
        assert_eq!(statuses("200-399").unwrap(), 200..=399);
        for text in [
            "", "2xx", "99", "600", "+200", "0200", "299-200", "200-", "-200", "a",
        ] {
            statuses(text).unwrap_err();
        }
    }

    #[test]
    fn a_check_asks_for_a_path() {
        path("/healthz?deep=1").unwrap();
        for text in ["", "healthz", "http://a/", "/a b", "/a#b", "/é", "/\n"] {
            path(text).unwrap_err();
        }
    }
}
