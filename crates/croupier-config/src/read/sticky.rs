//! `sticky` and `queue` of a pool, and secrets.

use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{Queue, SameSite, Secret, Sticky};
use crate::read::{Complaint, Field, Fields, Reader, balance};
use crate::tree::Value;

pub(crate) fn sticky(reader: &mut Reader, field: &Field<'_>) -> Option<Sticky> {
    let mut sticky = Sticky::default();
    match &field.node.value {
        Value::String(_) => {
            sticky.cookie = cookie(reader, field)?;
            return Some(sticky);
        }
        Value::Table(_) => {}
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    let table = Fields::open(reader, field.node, &keys::STICKY)?;
    if let Some(name) = table.get("cookie").and_then(|field| cookie(reader, &field)) {
        sticky.cookie = name;
    }
    sticky.ttl = table
        .get("ttl")
        .and_then(|field| field.time(reader, Duration::from_secs(1)));
    if let Some(field) = table.get("path")
        && let Some(text) = field.full_text(reader)
        && let Some(path) = reader.parse(text, codes::COOKIE, cookie_path)
    {
        sticky.path = path.value;
    }
    if let Some(secure) = table.get("secure").and_then(|field| field.flag(reader)) {
        sticky.secure = secure;
    }
    if let Some(field) = table.get("same_site")
        && let Some(word) = field.word(reader)
    {
        sticky.same_site = match word {
            "strict" => SameSite::Strict,
            "none" => SameSite::None,
            _ => SameSite::Lax,
        };
        if sticky.same_site == SameSite::None && !sticky.secure {
            let message = "browsers drop a cookie with `same_site = \"none\"` that is not secure";
            reader.note(
                Diagnostic::error(codes::CONFLICT, field.node.span, message)
                    .help("add `secure = true`"),
            );
        }
    }
    sticky.secret = table.get("secret").and_then(|field| secret(reader, &field));
    Some(sticky)
}

fn cookie(reader: &mut Reader, field: &Field<'_>) -> Option<String> {
    let text = field.full_text(reader)?;
    let name = reader.parse(text, codes::COOKIE, balance::cookie_name)?;
    Some(name.value)
}

/// `Path` of a cookie (RFC 6265, 4.1.1).
fn cookie_path(text: &str) -> Result<String, Complaint> {
    let bad = Complaint::new(format!("`{text}` is not the path of a cookie"));
    if !text.starts_with('/') {
        return Err(bad.help(format!("write `/{text}`")));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || *c == ';') {
        None => Ok(text.to_owned()),
        Some(odd) => Err(bad.help(format!(
            "a path of a cookie has no `{}`",
            odd.escape_default()
        ))),
    }
}

/// A text, `{ file = ".." }` or `{ env = ".." }`.
pub(crate) fn secret(reader: &mut Reader, field: &Field<'_>) -> Option<Secret> {
    match &field.node.value {
        Value::String(_) => {
            let text = field.full_text(reader)?;
            let len = text.value.len();
            if (Secret::BYTES_MIN..=Secret::BYTES_MAX).contains(&len) {
                return Some(Secret::Text(text.value.to_owned()));
            }
            let message = format!(
                "a secret has {} to {} bytes, this one has {len}",
                Secret::BYTES_MIN,
                Secret::BYTES_MAX
            );
            let help = match field.key.name {
                "secret" => "make one with `openssl rand -base64 32`, and keep it outside: `secret = { file = \"/etc/croupier/secret\" }`".to_owned(),
                // Not ours to make.
                name => format!("take all of it, and keep it outside: `{name} = {{ file = \"/etc/croupier/secret\" }}`"),
            };
            reader.note(Diagnostic::error(codes::SECRET, text.span, message).help(help));
            None
        }
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::SECRET)?;
            match table.among(&["file", "env"])[..] {
                [only] => {
                    let text = only.full_text(reader)?;
                    match only.key.name {
                        "file" => Some(Secret::File(text.value.into())),
                        _ => reader
                            .parse(text, codes::SECRET, variable)
                            .map(|name| Secret::Env(name.value)),
                    }
                }
                [first, second, ..] => {
                    let message = "`file` and `env` exclude each other";
                    reader.note(
                        Diagnostic::error(codes::CONFLICT, second.name, message)
                            .and(first.name, "the other one")
                            .help("keep the one where the secret is"),
                    );
                    None
                }
                [] if table.meant(&["file", "env"]) => None,
                [] => {
                    let message = "the table does not say where the secret is";
                    reader.note(
                        Diagnostic::error(codes::MISSING_KEY, table.span, message).help(
                            "write `{ file = \"/etc/croupier/secret\" }` or `{ env = \"CROUPIER_SECRET\" }`",
                        ),
                    );
                    None
                }
            }
        }
        _ => {
            field.note_type(reader);
            None
        }
    }
}

/// The name of a variable of the environment.
fn variable(text: &str) -> Result<String, Complaint> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.chars().all(fits) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    let bare = text.trim_start_matches('$').trim_matches(['{', '}']);
    Err(Complaint::new(format!(
        "`{text}` is not the name of a variable of the environment"
    ))
    .help(match bare != text && bare.chars().all(fits) {
        true => format!("without the sign: `{bare}`"),
        false => "a name has letters, digits and `_`".to_owned(),
    }))
}

pub(crate) fn queue(reader: &mut Reader, table: &Fields<'_>) -> Queue {
    let mut queue = Queue::default();
    let Some(table) = table.table(reader, "queue", &keys::QUEUE) else {
        return queue;
    };
    if let Some(requests) = table.get("requests").and_then(|field| field.count(reader)) {
        queue.requests = requests;
    }
    if let Some(field) = table.get("time")
        && let Some(time) = field.time(reader, Duration::ZERO)
    {
        if time.is_zero() && queue.requests > 0 {
            let message = format!("{} requests may wait, and no time", queue.requests);
            let help = "write `requests = 0` when none is to wait, or a time such as `\"2s\"`";
            field.note_range(reader, message, help);
        }
        queue.time = time;
    }
    queue
}
