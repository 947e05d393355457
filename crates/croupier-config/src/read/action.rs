//! What a route or site does: exactly one of `pool`, `proxy`, `split`, `redirect`, `respond` and `deny`.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{Action, Deny, Piece, Redirect, Respond, Template};
use crate::read::{Complaint, Field, Fields, PoolBook, Reader, headers, template, traffic};
use crate::source::Spanned;
use crate::tree::Value;

pub(crate) const ACTIONS: &[&str] = &["pool", "proxy", "split", "redirect", "respond", "deny"];

/// What was found.
pub(crate) enum Found<'a> {
    Nothing,
    /// Something, and what was wrong with it is noted.
    Broken,
    One(Action, Field<'a>),
}

pub(crate) fn action<'a>(
    reader: &mut Reader,
    table: &Fields<'a>,
    book: &mut PoolBook,
) -> Found<'a> {
    traffic::note_split_by(reader, table);
    let there = table.among(ACTIONS);
    let Some(field) = there.first().copied() else {
        return Found::Nothing;
    };
    if let Some(second) = there.get(1) {
        let message = format!(
            "`{}` and `{}` exclude each other",
            field.key.name, second.key.name
        );
        reader.note(
            Diagnostic::error(codes::CONFLICT, second.name, message)
                .and(field.name, "the other one")
                .help("keep one; another case is another route"),
        );
    }
    let mut actions: Vec<Option<Action>> = there
        .iter()
        .map(|field| one(reader, table, field, book))
        .collect();
    match (there.len(), actions.pop().flatten()) {
        (1, Some(action)) => Found::One(action, field),
        _ => Found::Broken,
    }
}

fn one(
    reader: &mut Reader,
    table: &Fields<'_>,
    field: &Field<'_>,
    book: &mut PoolBook,
) -> Option<Action> {
    match field.key.name {
        "pool" => {
            let name = field.full_text(reader)?;
            book.find(reader, name).map(Action::Pool)
        }
        "proxy" => book.anonymous(reader, field).map(Action::Pool),
        "split" => traffic::split(reader, table, field, book).map(Action::Split),
        "redirect" => redirect(reader, field).map(Action::Redirect),
        "respond" => respond(reader, field).map(Action::Respond),
        _ => {
            let status = field.integer(reader)?;
            Some(Action::Deny(Deny {
                status: u16::try_from(status.value).ok()?,
            }))
        }
    }
}

fn redirect(reader: &mut Reader, field: &Field<'_>) -> Option<Redirect> {
    let (to, status) = match &field.node.value {
        Value::String(_) => (field.full_text(reader)?, None),
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::REDIRECT)?;
            let to = table.need(reader, "to").and_then(|to| to.full_text(reader));
            let status = table
                .get("status")
                .and_then(|status| redirect_status(reader, &status));
            (to?, status)
        }
        _ => {
            field.note_type(reader);
            return None;
        }
    };
    let to = reader.parse(to, codes::TEMPLATE, destination)?;
    Some(Redirect {
        to,
        status: status.unwrap_or(302),
    })
}

fn redirect_status(reader: &mut Reader, field: &Field<'_>) -> Option<u16> {
    let status = field.integer(reader)?;
    match status.value {
        301 | 302 | 303 | 307 | 308 => u16::try_from(status.value).ok(),
        other => {
            let message = format!("{other} is not a redirect that follows `Location`");
            reader.note(
                Diagnostic::error(codes::OUT_OF_RANGE, status.span, message).help(
                    "write 301 or 308 (for good), 302 or 307 (for now), or 303 (ask with GET)",
                ),
            );
            None
        }
    }
}

/// A template that becomes a `Location`.
fn destination(text: &str) -> Result<Template, Complaint> {
    let template = template::template(text)?;
    let is_url = match template.pieces.first() {
        Some(Piece::Text(start)) => {
            (start.starts_with('/') && !start.starts_with("//"))
                || start.starts_with("http://")
                || start.starts_with("https://")
        }
        Some(Piece::Scheme) => true,
        Some(Piece::Path) => true,
        _ => false,
    };
    if is_url {
        return Ok(template);
    }
    Err(Complaint::new(format!("`{text}` is not where a redirect can lead")).help(
        "write an absolute URL such as `https://$host$path$query`, or a path that begins with `/`",
    ))
}

fn respond(reader: &mut Reader, field: &Field<'_>) -> Option<Respond> {
    let mut respond = Respond {
        status: 200,
        body: String::new(),
        content_type: "text/plain; charset=utf-8".into(),
        headers: Vec::new(),
    };
    match &field.node.value {
        Value::String(body) => respond.body.clone_from(body),
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::RESPOND)?;
            if let Some(status) = table
                .get("status")
                .and_then(|status| status.integer(reader))
            {
                respond.status = u16::try_from(status.value).ok()?;
                note_body(reader, &table, status);
            }
            if let Some(body) = table.get("body").and_then(|body| body.text(reader)) {
                respond.body = body.value.to_owned();
            }
            if let Some(field) = table.get("content_type")
                && let Some(text) = field.full_text(reader)
                && let Some(value) = reader.parse(text, codes::HEADER, headers::value)
            {
                respond.content_type = value.value;
            }
            if let Some(field) = table.get("headers") {
                respond.headers = headers::lines(reader, &field);
                headers::note_same_name(reader, &respond.headers);
            }
            for line in &respond.headers {
                note_own(reader, &line.name);
            }
        }
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    Some(respond)
}

/// 204, 205 and 304 have no body (RFC 9110, 6.4.1).
fn note_body(reader: &mut Reader, table: &Fields<'_>, status: Spanned<u64>) {
    let body = table
        .get("body")
        .filter(|body| body.node.as_str().is_some_and(|b| !b.is_empty()));
    if let (Some(body), 204 | 205 | 304) = (body, status.value) {
        let message = format!("a response with status {} has no body", status.value);
        reader.note(
            Diagnostic::error(codes::CONFLICT, body.name, message).and(status.span, "status here"),
        );
    }
}

fn note_own(reader: &mut Reader, name: &Spanned<String>) {
    if name.eq_ignore_ascii_case("content-type") {
        let message = "`Content-Type` has a key of its own";
        reader.note(
            Diagnostic::error(codes::PROTECTED_HEADER, name.span, message)
                .help("write `content_type = \"..\"`"),
        );
    } else {
        headers::note_protected(reader, name);
    }
}
