//! Conditions of a route on headers and parameters, and the regular expressions in them.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Condition, ValueMatch};
use crate::pattern;
use crate::read::{Fields, Reader, headers};
use crate::source::Spanned;
use crate::tree::Value;

pub(crate) fn conditions(
    reader: &mut Reader,
    table: &Fields<'_>,
    of: &'static str,
) -> Vec<Condition> {
    let Some(field) = table.get(of) else {
        return Vec::new();
    };
    let Some(entries) = field.node.as_table() else {
        field.note_type(reader);
        return Vec::new();
    };
    let mut conditions = Vec::new();
    for entry in entries {
        let key = Spanned::new(entry.key.value.as_str(), entry.key.span);
        let name = match of {
            "header" => reader.parse(key, codes::HEADER, headers::name),
            _ => Some(key.map(str::to_owned)),
        };
        let value = match &entry.node.value {
            Value::Boolean(true) => Some(ValueMatch::Present),
            Value::Boolean(false) => Some(ValueMatch::Absent),
            Value::String(text) => match text.strip_prefix('~') {
                Some(regex) => {
                    let place = Spanned::new(text.as_str(), entry.node.span);
                    compiled(reader, place, regex).map(|regex| ValueMatch::Regex(regex.value))
                }
                None => Some(ValueMatch::Equals(text.clone())),
            },
            _ => {
                let found = entry.node.found();
                let message = format!("a condition is a string, `true` or `false`, not {found}");
                let help = "a string is compared; `~` before it makes it a regular expression; `true` means present, `false` absent";
                let note = Diagnostic::error(codes::WRONG_TYPE, entry.node.span, message);
                reader.note(note.help(help));
                None
            }
        };
        if let (Some(name), Some(value)) = (name, value) {
            conditions.push(Condition {
                name,
                value: Spanned::new(value, entry.node.span),
            });
        }
    }
    conditions
}

/// A regex of the config, kept as text once it is known to compile. `text` is its place.
pub(crate) fn compiled(
    reader: &mut Reader,
    text: Spanned<&str>,
    expression: &str,
) -> Option<Spanned<String>> {
    match pattern::compile(expression) {
        Ok(_) => Some(Spanned::new(expression.to_owned(), text.span)),
        Err(error) => {
            let message = format!("the regular expression {}", regex_problem(&error));
            let diagnostic = Diagnostic::error(codes::REGEX, text.span, message);
            reader.note(diagnostic.help(regex_help(&error, expression)));
            None
        }
    }
}

fn regex_help(error: &regex::Error, expression: &str) -> &'static str {
    let said = error.to_string();
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        "smaller repeat counts make it smaller"
    } else if said.contains("look-around") || said.contains("backreferences") {
        "matching takes linear time here, so these do not exist; two routes say the same"
    } else if expression.starts_with('*') {
        "to ignore case begin with `(?i)`"
    } else {
        "a literal `(` is `\\\\(` in `\"..\"` and `\\(` in `'..'`; so are the other special characters"
    }
}

/// The last line of the regex crate's report, which says what; the lines above draw where.
fn regex_problem(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "is too large when compiled".into(),
        error => {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default().trim();
            format!("does not compile: {}", last.trim_start_matches("error: "))
        }
    }
}
