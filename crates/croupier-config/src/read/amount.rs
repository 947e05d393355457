//! Numbers of a key: shares, times, sizes and counts, within what the key allows.

use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::Kind;
use crate::model::Percent;
use crate::model::limits::Amount;
use crate::read::{Field, Reader, scalar};

impl Field<'_> {
    /// Whether the value is this string.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.node.as_str().is_some_and(|text| text.value == word)
    }

    /// Notes that the value is too small or too large.
    pub(crate) fn note_range(
        &self,
        reader: &mut Reader,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        reader.note(Diagnostic::error(codes::OUT_OF_RANGE, self.node.span, message).help(help));
    }

    /// A share up to `max`.
    pub(crate) fn percent(&self, reader: &mut Reader, max: Percent) -> Option<Percent> {
        let text = self.text(reader)?;
        let percent = reader.parse(text, codes::PERCENT, scalar::percent)?.value;
        if percent > max {
            let message = format!("`{}` takes a share of at most `{max}`", self.key.name);
            self.note_range(reader, message, format!("write `\"{max}\"` or less"));
            return None;
        }
        Some(percent)
    }

    /// A share up to `max`, or `off`, which is `None`.
    pub(crate) fn percent_or_off(
        &self,
        reader: &mut Reader,
        max: Percent,
    ) -> Option<Option<Percent>> {
        if self.is_word("off") {
            return Some(None);
        }
        self.percent(reader, max).map(Some)
    }

    /// A duration of at least `least`.
    pub(crate) fn time(&self, reader: &mut Reader, least: Duration) -> Option<Duration> {
        let text = self.text(reader)?;
        let time = reader.parse(text, codes::DURATION, scalar::duration)?.value;
        if time < least {
            let least = Amount::Time(least);
            let message = format!("`{}` is at least `{least}`", self.key.name);
            self.note_range(reader, message, format!("write `\"{least}\"` or more"));
            return None;
        }
        Some(time)
    }

    /// A size up to `max`; `0` needs no unit.
    pub(crate) fn size(&self, reader: &mut Reader, max: u64) -> Option<u64> {
        if self.is_word("0") {
            return Some(0);
        }
        let text = self.text(reader)?;
        let size = reader.parse(text, codes::SIZE, scalar::size)?.value;
        if size > max {
            let max = Amount::Size(max);
            let message = format!("`{}` takes a size of at most `{max}`", self.key.name);
            self.note_range(reader, message, format!("write `\"{max}\"` or less"));
            return None;
        }
        Some(size)
    }

    /// An integer within the bounds that the table of keys gives, which fit.
    pub(crate) fn count(&self, reader: &mut Reader) -> Option<u32> {
        let count = self.integer(reader)?;
        u32::try_from(count.value).ok()
    }

    /// A count, or `off`, which is `None`.
    pub(crate) fn count_or_off(&self, reader: &mut Reader) -> Option<Option<u32>> {
        if self.is_word("off") {
            return Some(None);
        }
        self.count(reader).map(Some)
    }

    /// Whether the table of keys has this word among what the key takes.
    pub(crate) fn takes_word(&self, word: &str) -> bool {
        let has = |kind: &Kind| matches!(kind, Kind::Words(words) if words.contains(&word));
        self.kinds().iter().any(has)
    }

    /// The kinds of which the value is one.
    pub(crate) fn kinds(&self) -> &'static [Kind] {
        match &self.key.kind {
            Kind::Either(kinds) => kinds,
            kind => std::slice::from_ref(kind),
        }
    }
}
