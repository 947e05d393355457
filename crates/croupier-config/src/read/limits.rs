//! `[timeouts]`, `[limits]` and `timeout = {..}`: whatever the table of limits holds.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::limits::{Amount, Entry, LIMITS, TIMEOUTS, Unit};
use crate::model::{Limits, Timeout, TimeoutOverrides, Timeouts};
use crate::read::{Field, Fields, Reader, scalar};
use crate::tree::Value;

pub(crate) fn timeouts(reader: &mut Reader, table: &Fields<'_>, timeouts: &mut Timeouts) {
    for entry in TIMEOUTS {
        let Some(field) = table.get(entry.name) else {
            continue;
        };
        if entry.word.is_none() && field.is_word("off") {
            let message = format!("`{}` cannot be `off`", entry.name);
            let note = Diagnostic::error(codes::UNKNOWN_WORD, field.node.span, message);
            reader.note(note.help("it takes a duration such as `\"10s\"`"));
        } else if let Some(timeout) = field.timeout(reader) {
            timeouts.set(entry.name, timeout.into());
        }
    }
}

pub(crate) fn limits(reader: &mut Reader, table: &Fields<'_>, limits: &mut Limits) {
    for entry in LIMITS {
        if let Some(amount) = table
            .get(entry.name)
            .and_then(|field| limit(reader, &field, entry))
        {
            limits.set(entry.name, amount);
        }
    }
}

fn limit(reader: &mut Reader, field: &Field<'_>, entry: &Entry) -> Option<Amount> {
    let (min, max) = entry.bounds;
    if let (Some(text), Some(word)) = (field.node.as_str(), entry.word)
        && text.value == word
    {
        return Some(if word == "auto" {
            Amount::Auto
        } else {
            Amount::Off
        });
    }
    if entry.unit == Unit::Count {
        return match (&field.node.value, entry.word) {
            (Value::String(text), Some(word)) if text.parse::<u64>().is_err() => {
                let takes = format!("`{}` takes an integer or `\"{word}\"`", entry.name);
                let diagnostic = Diagnostic::error(codes::UNKNOWN_WORD, field.node.span, takes);
                reader.note(diagnostic.help(format!("the largest number is {max}")));
                None
            }
            _ => field
                .integer_in(reader, min, max)
                .map(|count| Amount::Count(count.value)),
        };
    }
    let text = field.text(reader)?;
    if entry.word.is_none() && ["off", "none", "unlimited", "auto"].contains(&text.value) {
        let message = format!("`{}` cannot be `{}`", entry.name, text.value);
        let (min, max) = (Amount::Size(min), Amount::Size(max));
        let help = format!("it takes a size from {min} to {max}");
        reader.note(Diagnostic::error(codes::UNKNOWN_WORD, text.span, message).help(help));
        return None;
    }
    let bytes = reader.parse(text, codes::SIZE, scalar::size)?.value;
    if !(min..=max).contains(&bytes) {
        let (min, max) = (Amount::Size(min), Amount::Size(max));
        let message = format!("`{}` takes a size from {min} to {max}", entry.name);
        reader.note(Diagnostic::error(
            codes::OUT_OF_RANGE,
            field.node.span,
            message,
        ));
        return None;
    }
    Some(Amount::Size(bytes))
}

impl From<Timeout> for Amount {
    fn from(timeout: Timeout) -> Self {
        timeout.duration().map_or(Self::Off, Self::Time)
    }
}

/// `timeout = {..}` of a pool, site or route.
pub(crate) fn overrides(reader: &mut Reader, table: &Fields<'_>) -> TimeoutOverrides {
    let mut overrides = TimeoutOverrides::default();
    let Some(table) = table.table(reader, "timeout", &keys::TIMEOUT) else {
        return overrides;
    };
    for name in keys::TIMEOUT.names() {
        let Some(field) = table.get(name) else {
            continue;
        };
        if let Some(timeout) = field.timeout(reader) {
            overrides.set(
                if name == "response" {
                    "response_head"
                } else {
                    name
                },
                timeout,
            );
        }
    }
    if let [first, second, ..] = table.among(&["response", "response_head"])[..] {
        let message = "`response` is short for `response_head`; both are written";
        reader.note(
            Diagnostic::error(codes::CONFLICT, second.name, message).and(first.name, "also here"),
        );
    }
    overrides
}
