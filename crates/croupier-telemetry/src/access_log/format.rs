//! Which line: the formats by name, and the choice of one.

use super::template::Template;
use super::{combined, json, terminal};
use crate::date::Stamp;
use crate::record::Record;

/// How a line looks. All formats write one line for each record, whatever the client sent.
#[derive(Clone, Debug)]
pub enum Format {
    /// One JSON object with flat, stable keys; empty fields are left out.
    Json,
    /// The combined format of Apache and nginx.
    Combined,
    /// The same with the virtual host and port in front, as GoAccess names it.
    VCombined,
    /// One short line for a person, 80 columns where possible.
    Terminal(Color),
    /// Written by the user: `{client_ip} {method} {path}`.
    Template(Template),
}

/// Whether a terminal's line is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// No escape sequences.
    #[default]
    Plain,
    /// The status by its class, and the time dimmed.
    Ansi,
}

const NAMES: [&str; 4] = ["json", "combined", "vcombined", "terminal"];

impl Format {
    /// Reads a format's name, or a template if there is a brace in it. The error is a sentence for the
    /// user, with what is known and what was probably meant.
    ///
    /// # Errors
    ///
    /// When the name, or a field of the template, is not known.
    pub fn parse(written: &str) -> Result<Self, String> {
        match written {
            "json" => Ok(Self::Json),
            "combined" => Ok(Self::Combined),
            "vcombined" => Ok(Self::VCombined),
            "terminal" => Ok(Self::Terminal(Color::Plain)),
            _ if written.contains(['{', '}']) => Template::parse(written).map(Self::Template),
            _ => {
                Err(unknown("format", written, &NAMES)
                    + ", or a template such as `{method} {path}`")
            }
        }
    }

    /// Appends the record's line, with its line feed. Allocates nothing but what `out` lacks.
    #[inline]
    pub fn write(&self, record: &Record<'_>, stamp: &mut Stamp, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::write(record, stamp, out),
            Self::Combined => combined::write(record, stamp, out),
            Self::VCombined => combined::write_with_host(record, stamp, out),
            Self::Terminal(color) => terminal::write(record, *color, stamp, out),
            Self::Template(template) => template.write(record, stamp, out),
        }
    }

    /// Whether somebody watches the lines as they come.
    pub(super) const fn is_watched(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }
}

/// The sentence about a word that is not known.
pub(super) fn unknown(what: &str, written: &str, known: &[&str]) -> String {
    let meant = nearest(written, known.iter().copied())
        .map(|near| format!(" (did you mean `{near}`?)"))
        .unwrap_or_default();
    format!(
        "unknown {what} `{written}`{meant}; known: {}",
        known.join(", ")
    )
}

/// The known word nearest to what was written, if it is near enough to be meant.
fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known
        .map(|word| (edits(written, word), word))
        .min_by_key(|(edits, _)| *edits)?;
    (near.0 <= 1 + written.len() / 4).then_some(near.1)
}

/// Levenshtein distance in bytes.
fn edits(one: &str, two: &str) -> usize {
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in two.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_name() {
        for name in NAMES {
            assert!(Format::parse(name).is_ok(), "{name}");
        }
        assert!(matches!(
            Format::parse("{host} {path}"),
            Ok(Format::Template(_))
        ));
        let error = Format::parse("jason").unwrap_err();
        assert!(
            error.starts_with("unknown format `jason` (did you mean `json`?)"),
            "{error}"
        );
        assert!(Format::parse("").is_err());
    }

    #[test]
    fn near_words() {
        let known = || ["json", "combined", "terminal"].into_iter();
        assert_eq!(nearest("jsno", known()), Some("json"));
        assert_eq!(nearest("combine", known()), Some("combined"));
        assert_eq!(nearest("syslog", known()), None);
    }
}
