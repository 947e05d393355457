//! `retry` and `hedge`, of a pool and of whoever lies over it.

use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{Hedge, HedgeAfter, Percent, Retry, RetryEdits, RetryOn, Switch};
use crate::nearest::nearest;
use crate::read::{Complaint, Field, Fields, Reader, scalar};
use crate::source::Spanned;
use crate::tree::Value;

const TIME_MIN: Duration = Duration::from_millis(1);
/// Kept in memory for each request; more belongs in a file.
const BODY_MAX: u64 = 64 << 20;
const BODY_FILE_MAX: u64 = 1 << 40;

const WORDS: &[(&str, RetryOn)] = &[
    ("connect", RetryOn::Connect),
    ("closed", RetryOn::Closed),
    ("timeout", RetryOn::Timeout),
    ("malformed", RetryOn::Malformed),
];

/// Words of other programs, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("error", "connect"),
    ("connect-failure", "connect"),
    ("conn-failure", "connect"),
    ("refused", "connect"),
    ("reset", "closed"),
    ("empty-response", "closed"),
    ("refused-stream", "closed"),
    ("response-timeout", "timeout"),
    ("garbage", "malformed"),
    ("junk-response", "malformed"),
    ("invalid_header", "malformed"),
];

/// `retry` of a pool.
pub(crate) fn of_pool(reader: &mut Reader, table: &Fields<'_>) -> Option<Retry> {
    match edits(reader, table) {
        Some(switch) => switch.over(Some(Retry::default())),
        None => Some(Retry::default()),
    }
}

/// What a site or route says; `None`: nothing.
pub(crate) fn edits(reader: &mut Reader, table: &Fields<'_>) -> Option<Switch<RetryEdits>> {
    let field = table.get("retry")?;
    match &field.node.value {
        Value::Boolean(false) => return Some(Switch::Off),
        Value::Boolean(true) => return Some(Switch::On(RetryEdits::default())),
        Value::Table(_) => {}
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    let table = Fields::open(reader, field.node, &keys::RETRY)?;
    Some(Switch::On(RetryEdits {
        on: table.get("on").and_then(|field| on(reader, &field)),
        max: table.get("max").and_then(|field| field.count(reader)),
        budget: table
            .get("budget")
            .and_then(|field| field.percent_or_off(reader, Percent::whole(100))),
        budget_floor: table
            .get("budget_floor")
            .and_then(|field| field.count(reader)),
        try_timeout: table
            .get("try_timeout")
            .and_then(|field| field.time(reader, TIME_MIN)),
        body: table
            .get("body")
            .and_then(|field| field.size(reader, BODY_MAX)),
        body_file: table
            .get("body_file")
            .and_then(|field| field.size(reader, BODY_FILE_MAX)),
        idempotent: table.get("idempotent").and_then(|field| field.flag(reader)),
    }))
}

fn on(reader: &mut Reader, field: &Field<'_>) -> Option<Vec<RetryOn>> {
    if matches!(&field.node.value, Value::Array(items) if items.is_empty()) {
        let message = "`on` is empty";
        reader.note(
            Diagnostic::error(codes::EMPTY, field.node.span, message)
                .help("to try nothing again write `retry = false`"),
        );
        return None;
    }
    let texts = field.texts(reader);
    let on: Vec<Spanned<RetryOn>> = texts
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::UNKNOWN_WORD, word))
        .collect();
    field.note_twice(reader, &on, |on| write(*on));
    Some(on.into_iter().map(|on| on.value).collect())
}

fn write(on: RetryOn) -> String {
    if let RetryOn::Status(status) = on {
        return status.to_string();
    }
    let word = WORDS.iter().find(|(_, known)| *known == on);
    word.map_or_else(String::new, |(word, _)| (*word).to_owned())
}

fn word(text: &str) -> Result<RetryOn, Complaint> {
    if let Some((_, on)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(*on);
    }
    let bad = Complaint::new(format!("`{text}` is nothing that is tried again"));
    if let Ok(status) = text.parse::<u16>() {
        return match status {
            429 | 500..=599 if text.len() == 3 => Ok(RetryOn::Status(status)),
            _ => Err(bad.help("of the statuses, `429` and `500` to `599` are")),
        };
    }
    if ["5xx", "gateway-error", "retriable-status-codes"].contains(&text) {
        return Err(bad.help("write the statuses: `\"502\", \"503\", \"504\"`"));
    }
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == text) {
        return Err(bad.help(format!("here it is called `{ours}`")));
    }
    Err(match nearest(text, WORDS.iter().map(|(word, _)| *word)) {
        Some(near) => bad.help(format!("did you mean `{near}`?")),
        None => bad.help(
            "it takes `connect`, `closed`, `timeout`, `malformed`, and statuses such as `503`",
        ),
    })
}

/// `hedge` of a pool, site or route; `None`: nothing is written.
pub(crate) fn hedge(reader: &mut Reader, table: &Fields<'_>) -> Option<Switch<Hedge>> {
    let field = table.get("hedge")?;
    let after = match &field.node.value {
        Value::Boolean(false) => return Some(Switch::Off),
        Value::Boolean(true) => return Some(Switch::On(Hedge::default())),
        Value::String(_) => after(reader, &field)?,
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::HEDGE)?;
            match table.get("after") {
                Some(field) => after(reader, &field)?,
                None => Hedge::default().after,
            }
        }
        _ => {
            field.note_type(reader);
            return None;
        }
    };
    Some(Switch::On(Hedge { after }))
}

fn after(reader: &mut Reader, field: &Field<'_>) -> Option<HedgeAfter> {
    let text = field.full_text(reader)?;
    if text.value == "off" {
        let message = format!("`{}` cannot be `off`", field.key.name);
        let note = Diagnostic::error(codes::UNKNOWN_WORD, text.span, message);
        reader.note(note.help("write `hedge = false`"));
        return None;
    }
    if text.value.ends_with('%') {
        let share = reader.parse(text, codes::PERCENT, scalar::percent)?.value;
        if share == Percent::whole(0) || share >= Percent::whole(100) {
            let message = format!("`{share}` of the requests is no time to wait for");
            let help = "write a share above 0% and below 100%, such as `\"95%\"`";
            field.note_range(reader, message, help);
            return None;
        }
        return Some(HedgeAfter::Quantile(share));
    }
    if text.value.bytes().all(|byte| byte.is_ascii_digit()) {
        let (number, name) = (text.value, field.key.name);
        let message = format!("`{name} = \"{number}\"` is neither a share nor a duration");
        let help = format!("write `{number}%` for a share of the requests, or `{number}ms`");
        reader.note(Diagnostic::error(codes::DURATION, text.span, message).help(help));
        return None;
    }
    field.time(reader, TIME_MIN).map(HedgeAfter::Time)
}

#[cfg(test)]
mod tests {
    use super::{RetryOn, WORDS, word, write};

    #[test]
    fn what_is_tried_again_is_written_as_it_is_read() {
        for text in ["connect", "closed", "timeout", "malformed", "429", "503"] {
            assert_eq!(write(word(text).unwrap()), text);
        }
        for text in [
            "", "garbage", "404", "600", "+503", "0503", "5xx", "Connect",
        ] {
            assert!(word(text).is_err(), "{text}");
        }
        assert_eq!(word("500").unwrap(), RetryOn::Status(500));
        assert_eq!(WORDS.len(), 4);
    }
}
