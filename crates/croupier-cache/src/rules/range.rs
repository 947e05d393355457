//! Parts of a kept answer (RFC 9110 section 14): which bytes a request is for, and the heads of
//! parts.

use std::io::Write;

use croupier_http::{Fields, Name};

/// More ranges than this are an attack or a mistake: the whole is given instead.
pub const RANGES_MAX: usize = 16;

/// First and last byte, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Of the whole representation.
    pub first: u64,
    /// Not before `first`.
    pub last: u64,
}

impl Span {
    /// Bytes in it: at least one.
    #[must_use]
    pub const fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// One to [`RANGES_MAX`] ranges in the order asked for, none of which overlaps another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    spans: [Span; RANGES_MAX],
    count: usize,
}

/// None of the ranges asked for has a byte in it: 416.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsatisfiable;

impl Ranges {
    /// Which bytes of a representation of `length` bytes a value of `Range` is for. `None`: all of
    /// them, because the value is not lawful, of another unit, of more than [`RANGES_MAX`] ranges or
    /// of overlapping ones (section 14.2 lets a server ignore such).
    ///
    /// # Errors
    /// When the ranges are lawful and hold nothing.
    pub fn of(value: &[u8], length: u64) -> Result<Option<Self>, Unsatisfiable> {
        let Some((unit, set)) = split(value, b'=') else {
            return Ok(None);
        };
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return Ok(None);
        }
        let mut ranges = Self {
            spans: [Span::default(); RANGES_MAX],
            count: 0,
        };
        let mut asked = 0;
        for spec in croupier_http::fields::members(set) {
            asked += 1;
            let Some(found) = span(spec, length) else {
                return Ok(None);
            };
            let Some(span) = found else {
                continue; // lawful, with no byte in it
            };
            if asked > RANGES_MAX || ranges.spans().iter().any(|other| other.overlaps(span)) {
                return Ok(None);
            }
            ranges.spans[ranges.count] = span;
            ranges.count += 1;
        }
        match (asked, ranges.count) {
            (0, _) => Ok(None),
            (_, 0) => Err(Unsatisfiable),
            _ => Ok(Some(ranges)),
        }
    }

    /// The ranges.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans[..self.count]
    }

    /// The only one, if it is.
    #[must_use]
    pub fn single(&self) -> Option<Span> {
        (self.count == 1).then_some(self.spans[0])
    }
}

/// `first-last`, `first-` or `-suffix`. `None`: not lawful. `Some(None)`: nothing of it exists.
fn span(spec: &[u8], length: u64) -> Option<Option<Span>> {
    let (first, last) = split(spec, b'-')?;
    let end = length.checked_sub(1);
    if first.is_empty() {
        let suffix = number(last)?;
        let span = |end| Span {
            first: length.saturating_sub(suffix),
            last: end,
        };
        return Some(end.filter(|_| suffix > 0).map(span));
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    let end = end.filter(|&end| first <= end);
    Some(end.map(|end| Span {
        first,
        last: last.min(end),
    }))
}

/// Parts a value at the first such byte; around `=` of a range unit no space may stand.
fn split(value: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = value.iter().position(|&byte| byte == at)?;
    Some((&value[..place], &value[place + 1..]))
}

/// `1*DIGIT`; more than fits is the greatest number.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

/// What a 206 says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The bytes of its body.
    pub span: Span,
    /// Bytes of the whole representation, if known.
    pub length: Option<u64>,
}

impl ContentRange {
    /// That of a head with exactly one lawful `Content-Range` in bytes; a multipart has none.
    #[must_use]
    pub fn of(fields: &Fields) -> Option<Self> {
        Self::read(fields.sole(Name::CONTENT_RANGE)?)
    }

    /// Reads `bytes first-last/length`.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let (unit, rest) = split(value, b' ')?;
        let (range, length) = split(rest, b'/')?;
        let (first, last) = split(range, b'-')?;
        let span = Span {
            first: number(first)?,
            last: number(last)?,
        };
        let length = match length {
            b"*" => None,
            digits => Some(number(digits)?),
        };
        let is_inside = length.is_none_or(|length| span.last < length);
        let is_lawful = unit.eq_ignore_ascii_case(b"bytes") && span.first <= span.last && is_inside;
        is_lawful.then_some(Self { span, length })
    }
}

/// Appends a value of `Content-Range`: that of a span, or of a 416.
pub fn write_content_range(out: &mut Vec<u8>, span: Option<Span>, length: u64) {
    // Writing to a vector never fails.
    let _ = match span {
        Some(Span { first, last }) => write!(out, "bytes {first}-{last}/{length}"),
        None => write!(out, "bytes */{length}"),
    };
}

/// The frame of a `multipart/byteranges` body (section 14.6).
#[derive(Clone, Copy, Debug)]
pub struct Multipart<'a> {
    /// Occurs in no part: random, 1 to 70 letters and digits (RFC 2046 section 5.1.1).
    pub boundary: &'a str,
    /// The representation's own `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// Its whole length, bytes.
    pub length: u64,
}

impl Multipart<'_> {
    /// The value of the answer's `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Appends what stands before a part's bytes.
    pub fn write_head(&self, out: &mut Vec<u8>, span: Span) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary.as_bytes());
        if let Some(content_type) = self.content_type {
            out.extend_from_slice(b"\r\nContent-Type: ");
            out.extend_from_slice(content_type);
        }
        out.extend_from_slice(b"\r\nContent-Range: ");
        write_content_range(out, Some(span), self.length);
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Appends what stands behind the last part.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary.as_bytes());
        out.extend_from_slice(b"--\r\n");
    }

    /// Bytes of the whole body: heads, parts and end.
    #[must_use]
    pub fn body_length(&self, ranges: &Ranges) -> u64 {
        let mut frame = Vec::new();
        let mut sum = 0_u64;
        for span in ranges.spans() {
            self.write_head(&mut frame, *span);
            sum = sum.saturating_add(span.length());
        }
        self.write_end(&mut frame);
        sum.saturating_add(frame.len() as u64)
    }
}
