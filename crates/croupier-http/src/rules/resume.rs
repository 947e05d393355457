//! May a broken download go on at another server? The pure half: what must hold of the first
//! answer, what is asked, and what must hold of the second (RFC 9110 sections 13.1.5, 14.2 to
//! 14.4). Only byte-for-byte the same representation will do, so only strong validators count.

use crate::{
    BodyLen,
    fields::{Fields, members},
    head::ResponseHead,
    method::Method,
    names::Name,
};

/// What the first answer promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Bytes of the whole representation.
    pub length: u64,
    /// Its strong entity tag, quotes included.
    pub tag: Box<[u8]>,
    /// Its content coding, if any.
    coding: Option<Box<[u8]>>,
}

/// What was wrong with the second answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Not a 206: the representation has changed there, or ranges are not served.
    Status,
    /// Another range than the one asked for, or none named.
    Range,
    /// Another entity tag, coding or length.
    Representation,
}

impl Promise {
    /// What an answer promises, when it can be continued elsewhere.
    #[must_use]
    pub fn of(method: Method, asked: &Fields, head: &ResponseHead, body: BodyLen) -> Option<Self> {
        let BodyLen::Length(length) = body else {
            return None;
        };
        let plain = method == Method::Get && head.status == 200 && !asked.contains(Name::RANGE);
        let ranges = head
            .fields
            .all(Name::ACCEPT_RANGES)
            .flat_map(members)
            .any(|unit| unit.eq_ignore_ascii_case(b"bytes"));
        if !plain || !ranges {
            return None;
        }
        Some(Self {
            length,
            tag: strong_tag(&head.fields)?.into(),
            coding: head.fields.get(Name::CONTENT_ENCODING).map(Into::into),
        })
    }

    /// The value of `Range` for what is missing from byte `at` on.
    #[must_use]
    pub fn range_from(&self, at: u64) -> String {
        format!("bytes={at}-")
    }

    /// Is this the missing part of the same representation?
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, at: u64, head: &ResponseHead, body: BodyLen) -> Result<(), Mismatch> {
        if head.status != 206 {
            return Err(Mismatch::Status);
        }
        let range = head
            .fields
            .sole(Name::CONTENT_RANGE)
            .and_then(content_range);
        let last = self.length.checked_sub(1).ok_or(Mismatch::Range)?;
        if range != Some((at, last, self.length)) {
            return Err(Mismatch::Range);
        }
        let same = strong_tag(&head.fields) == Some(&self.tag)
            && head.fields.get(Name::CONTENT_ENCODING) == self.coding.as_deref()
            && body == BodyLen::Length(self.length - at);
        if same {
            Ok(())
        } else {
            Err(Mismatch::Representation)
        }
    }
}

/// The only entity tag, when it is a strong one (RFC 9110 section 8.8.3).
fn strong_tag(fields: &Fields) -> Option<&[u8]> {
    let tag = fields.sole(Name::ETAG)?;
    let inner = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let lawful = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..);
    inner.iter().all(lawful).then_some(tag)
}

/// `bytes first-last/length`
fn content_range(value: &[u8]) -> Option<(u64, u64, u64)> {
    let value = str::from_utf8(value).ok()?;
    let (unit, rest) = value.split_once(' ')?;
    let (range, length) = rest.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    unit.eq_ignore_ascii_case("bytes")
        .then(|| Some((number(first)?, number(last)?, number(length)?)))?
}

#[cfg(test)]
mod tests {
    use super::{Mismatch, Promise};
    use crate::{BodyLen, fields::Fields, head::ResponseHead, method::Method};

    fn head(status: u16, lines: &[(&str, &str)]) -> ResponseHead {
        let mut head = ResponseHead::of_status(status);
        for (name, value) in lines {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn promise(lines: &[(&str, &str)]) -> Option<Promise> {
        let head = head(200, lines);
        Promise::of(Method::Get, &Fields::new(), &head, BodyLen::Length(1000))
    }

    const GOOD: [(&str, &str); 2] = [("ETag", "\"a1\""), ("Accept-Ranges", "bytes")];

    #[test]
    fn only_strongly_validated_ranged_whole_answers_promise_anything() {
        assert!(promise(&GOOD).is_some());
        assert_eq!(promise(&[("ETag", "W/\"a1\""), GOOD[1]]), None);
        assert_eq!(promise(&[("ETag", "a1"), GOOD[1]]), None);
        assert_eq!(promise(&[GOOD[0], GOOD[0], GOOD[1]]), None);
        assert_eq!(promise(&[GOOD[0], ("Accept-Ranges", "none")]), None);
        assert_eq!(promise(&[GOOD[0]]), None);
        let of =
            |method, status, body| Promise::of(method, &Fields::new(), &head(status, &GOOD), body);
        assert_eq!(of(Method::Post, 200, BodyLen::Length(9)), None);
        assert_eq!(of(Method::Get, 206, BodyLen::Length(9)), None);
        assert_eq!(of(Method::Get, 200, BodyLen::Chunked), None);
        let mut asked = Fields::new();
        asked.push(b"Range", b"bytes=1-");
        let ranged = Promise::of(Method::Get, &asked, &head(200, &GOOD), BodyLen::Length(9));
        assert_eq!(ranged, None);
    }

    #[test]
    fn only_the_missing_part_of_the_same_representation_goes_on() {
        let promise = promise(&GOOD).unwrap();
        assert_eq!(promise.range_from(400), "bytes=400-");
        let part = |status, range: &str, tag: &str, length| {
            let head = head(status, &[("ETag", tag), ("Content-Range", range)]);
            promise.check(400, &head, BodyLen::Length(length))
        };
        assert_eq!(part(206, "bytes 400-999/1000", "\"a1\"", 600), Ok(()));
        assert_eq!(
            part(200, "bytes 400-999/1000", "\"a1\"", 600),
            Err(Mismatch::Status)
        );
        for range in [
            "bytes 401-999/1000",
            "bytes 400-998/1000",
            "bytes 400-999/1001",
            "bytes 400-999/*",
            "bytes +400-999/1000",
            "lines 400-999/1000",
            "bytes */1000",
            "",
        ] {
            assert_eq!(
                part(206, range, "\"a1\"", 600),
                Err(Mismatch::Range),
                "{range}"
            );
        }
        let other = Err(Mismatch::Representation);
        assert_eq!(part(206, "bytes 400-999/1000", "\"a2\"", 600), other);
        assert_eq!(part(206, "bytes 400-999/1000", "W/\"a1\"", 600), other);
        assert_eq!(part(206, "bytes 400-999/1000", "\"a1\"", 599), other);
        let coded = head(
            206,
            &[
                ("ETag", "\"a1\""),
                ("Content-Range", "bytes 400-999/1000"),
                ("Content-Encoding", "gzip"),
            ],
        );
        assert_eq!(promise.check(400, &coded, BodyLen::Length(600)), other);
    }
}
