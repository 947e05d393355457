//! Conditional requests at a cache (RFC 9110 section 13, RFC 9111 section 4.3): what a client's
//! conditions make of a kept answer, and by which conditions the origin is asked about it.

use croupier_http::{Fields, Method, Name, NameSet};

use super::{date, list::members};
use crate::object::lines;

/// What of a kept head says which representation it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// `ETag` as it came.
    pub etag: Option<&'a [u8]>,
    /// `Last-Modified` as it came.
    pub last_modified: Option<&'a [u8]>,
    /// `Date`, which kept heads always have.
    pub date: Option<&'a [u8]>,
}

impl<'a> Validators<'a> {
    /// Those of a kept head, as `object::push_line` wrote it. Of a field that comes twice the first.
    #[must_use]
    pub fn of_lines(text: &'a [u8]) -> Self {
        let mut validators = Self::default();
        for (name, value) in lines(text) {
            let slot = match Name::from_bytes(name) {
                Name::ETAG => &mut validators.etag,
                Name::LAST_MODIFIED => &mut validators.last_modified,
                Name::DATE => &mut validators.date,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        validators
    }

    /// Those of a head.
    #[must_use]
    pub fn of(fields: &'a Fields) -> Self {
        Self {
            etag: fields.get(Name::ETAG),
            last_modified: fields.get(Name::LAST_MODIFIED),
            date: fields.get(Name::DATE),
        }
    }

    /// The lines by which the origin is asked whether it is still so (RFC 9111 section 4.3.1): both,
    /// if there are both. They take the place of the client's own.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, &'a [u8])> + use<'a> {
        let etag = self.etag.map(|tag| ("If-None-Match", tag));
        let modified = self.last_modified.map(|date| ("If-Modified-Since", date));
        etag.into_iter().chain(modified)
    }
}

/// What a client's conditions make of a kept answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is given, whole or in part.
    Whole,
    /// The client has it: 304.
    NotModified,
    /// Only the origin can tell: `If-Match` and `If-Unmodified-Since` (RFC 9111 section 4.3.2).
    Origin,
}

/// The conditions a cache answers, and those that it does not.
const OURS: NameSet = NameSet::of(&[Name::IF_NONE_MATCH, Name::IF_MODIFIED_SINCE]);
const ORIGINS: NameSet = NameSet::of(&[Name::IF_MATCH, Name::IF_UNMODIFIED_SINCE]);

/// Does a request hold conditions at all? A bit test.
#[must_use]
pub fn is_conditional(asked: &Fields) -> bool {
    asked.present().intersects(OURS.union(ORIGINS))
}

/// What a request's conditions make of a kept answer that may be given (RFC 9110 section 13.2.2).
/// Only a 2xx is judged: other statuses are given as they are. `If-None-Match` is heard alone,
/// `If-Modified-Since` only with GET and HEAD, and never if it is no date.
#[must_use]
pub fn judge(method: Method, asked: &Fields, status: u16, held: &Validators<'_>) -> Judged {
    if !is_conditional(asked) {
        return Judged::Whole;
    }
    if asked.present().intersects(ORIGINS) {
        return Judged::Origin;
    }
    if !(200..300).contains(&status) {
        return Judged::Whole;
    }
    if asked.contains(Name::IF_NONE_MATCH) {
        let mut tags = asked.all(Name::IF_NONE_MATCH).flat_map(members);
        let matches =
            |tag: &[u8]| tag == b"*" || held.etag.is_some_and(|etag| matches_weakly(tag, etag));
        return if tags.any(matches) {
            Judged::NotModified
        } else {
            Judged::Whole
        };
    }
    let is_read = matches!(method, Method::Get | Method::Head);
    if is_read && is_unmodified_since(asked, held) {
        Judged::NotModified
    } else {
        Judged::Whole
    }
}

/// Where there is no `Last-Modified`, `Date` is compared (RFC 9111 section 4.3.2).
fn is_unmodified_since(asked: &Fields, held: &Validators<'_>) -> bool {
    // Years of two digits are read as of the time when the answer was made.
    let made = held.date.and_then(|date| date::parse(date, 0)).unwrap_or(0);
    let since = asked.sole(Name::IF_MODIFIED_SINCE);
    let since = since.and_then(|value| date::parse(value, made));
    let changed = held.last_modified.or(held.date);
    let changed = changed.and_then(|value| date::parse(value, made));
    matches!((since, changed), (Some(since), Some(changed)) if changed <= since)
}

/// Weak comparison (RFC 9110 section 8.8.3.2). What is no entity tag matches only its twin: servers
/// forget quotes, and know their own again.
#[must_use]
pub fn matches_weakly(one: &[u8], other: &[u8]) -> bool {
    one == other || matches!((opaque(one), opaque(other)), (Some(a), Some(b)) if a == b)
}

/// Strong comparison: both lawful, both strong, and the same.
#[must_use]
pub fn matches_strongly(one: &[u8], other: &[u8]) -> bool {
    one == other && one.first() == Some(&b'"') && opaque(one).is_some()
}

/// What stands between a tag's quotes, weak or strong.
fn opaque(tag: &[u8]) -> Option<&[u8]> {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let inner = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let is_lawful = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
    inner.iter().all(is_lawful).then_some(inner)
}

/// Is the range of this request to be heard (RFC 9110 section 13.1.5)?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfRange {
    /// No `If-Range`, or it names what is kept.
    Holds,
    /// The client's part is of something else: it gets the whole.
    Fails,
}

/// Judges `If-Range`: a strong tag, or the very date of `Last-Modified` where that is strong, which
/// is a minute older than `Date` (section 8.8.2.2).
#[must_use]
pub fn if_range(asked: &Fields, held: &Validators<'_>) -> IfRange {
    if !asked.contains(Name::IF_RANGE) {
        return IfRange::Holds;
    }
    let Some(wanted) = asked.sole(Name::IF_RANGE) else {
        return IfRange::Fails;
    };
    let is_tag = wanted.starts_with(b"\"") || wanted.starts_with(b"W/");
    let holds = if is_tag {
        held.etag.is_some_and(|etag| matches_strongly(wanted, etag))
    } else {
        held.last_modified == Some(wanted) && is_strong_date(held)
    };
    if holds {
        IfRange::Holds
    } else {
        IfRange::Fails
    }
}

fn is_strong_date(held: &Validators<'_>) -> bool {
    let read = |value: Option<&[u8]>| value.and_then(|value| date::parse(value, 0));
    matches!((read(held.last_modified), read(held.date)),
             (Some(changed), Some(sent)) if changed.saturating_add(60) <= sent)
}

/// May this field stand in a 304 (RFC 9110 section 15.4.5)? Those that describe the content may not:
/// it stays where it is.
#[must_use]
pub fn stands_in_304(name: &[u8]) -> bool {
    const OF_CONTENT: [&[u8]; 7] = [
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-md5",
        b"content-range",
        b"content-type",
    ];
    !OF_CONTENT
        .iter()
        .any(|content| name.eq_ignore_ascii_case(content))
}
