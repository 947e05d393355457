//! Finding the end of a head in a growing buffer, looking at every byte once.
//!
//! `httparse` starts again at byte 0 with every call and accepts bare LF; this scan goes on
//! where it stopped and accepts nothing but CRLF, so the parser runs once per head.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::chunked::is_token;

/// Limits on a head, from the limits table.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Start line and fields together, bytes.
    pub head_bytes: usize,
    /// The request target, bytes.
    pub target_bytes: usize,
    /// Number of field lines.
    pub fields: usize,
    /// One field line, bytes.
    pub field_bytes: usize,
}

/// Why a head was refused. The words are the cause, see [`HeadError::sentence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    BareCr,
    BareLf,
    FieldLine,
    FieldName,
    FieldTooLarge,
    FieldValue,
    HeadTooLarge,
    LeadingBytes,
    Method,
    StartLine,
    Status,
    TargetTooLong,
    TooManyFields,
    Version,
}

impl HeadError {
    /// One sentence for the log and the error page.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BareCr => "a carriage return without line feed",
            Self::BareLf => "a line feed without carriage return",
            Self::FieldLine => "a malformed field line",
            Self::FieldName => "a malformed field name",
            Self::FieldTooLarge => "a field line is longer than `limits.field_bytes`",
            Self::FieldValue => "a malformed field value",
            Self::HeadTooLarge => "the head is longer than `limits.head_bytes`",
            Self::LeadingBytes => "bytes that begin no HTTP/1 message",
            Self::Method => "a malformed method",
            Self::StartLine => "a malformed start line",
            Self::Status => "a malformed status",
            Self::TargetTooLong => "the target is longer than `limits.target_bytes`",
            Self::TooManyFields => "more field lines than `limits.fields`",
            Self::Version => "an HTTP version other than 1.0 and 1.1",
        }
    }
}

/// Progress of the search for the end of one head.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    scanned: usize,
    line_at: usize,
    lines: usize,
}

impl HeadScan {
    /// Looks at the bytes that are new since the last call. `bytes` always begins at the start
    /// of the head. Gives the length of the head, final empty line included, once it is whole.
    ///
    /// # Errors
    /// At the first byte that can not belong to a lawful head within the limits.
    pub fn find(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        if self.scanned <= METHOD_MAX {
            check_first(bytes)?;
        }
        if self.scanned == 0
            && let Some(length) = whole(bytes, limits)
        {
            return Ok(Some(length));
        }
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.scanned..]) {
            let at = self.scanned + found;
            let is_crlf = at > self.line_at && bytes[at - 1] == b'\r';
            let line_end = at - usize::from(is_crlf);
            // The parser would refuse it too, but only once the head is whole, which may be never.
            if let Some(found) = memchr::memchr(b'\r', &bytes[self.scanned..line_end]) {
                self.within(self.scanned + found, limits)?;
                return Err(HeadError::BareCr);
            }
            // Before anything else is said of the line, and without its CR, so that the verdict
            // is the same when the bytes before came alone.
            self.within(line_end, limits)?;
            if !is_crlf {
                return Err(HeadError::BareLf);
            }
            if line_end == self.line_at {
                return if self.lines == 0 {
                    Err(HeadError::StartLine)
                } else {
                    Ok(Some(at + 1))
                };
            }
            self.lines += 1;
            if self.lines > limits.fields + 1 {
                return Err(HeadError::TooManyFields);
            }
            self.line_at = at + 1;
            self.scanned = at + 1;
        }
        // An unfinished line may hold a bare CR as well.
        if let Some(found) = memchr::memchr(b'\r', &bytes[self.scanned..])
            && self.scanned + found + 1 < bytes.len()
        {
            self.within(self.scanned + found, limits)?;
            return Err(HeadError::BareCr);
        }
        self.scanned = bytes.len() - usize::from(bytes.last() == Some(&b'\r'));
        self.within(self.scanned, limits).map(|()| None)
    }

    /// Is the line that now reaches `end` still within the limits? Names the limit that its
    /// bytes reached first.
    fn within(&self, end: usize, limits: &HeadLimits) -> Result<(), HeadError> {
        let (room, error) = if self.lines == 0 {
            // The start line: method and version beside the target.
            (
                limits.target_bytes + START_LINE_ROOM,
                HeadError::TargetTooLong,
            )
        } else {
            (limits.field_bytes, HeadError::FieldTooLarge)
        };
        let line_end = self.line_at + room;
        if end > line_end && line_end <= limits.head_bytes {
            Err(error)
        } else if end > limits.head_bytes {
            Err(HeadError::HeadTooLarge)
        } else {
            Ok(())
        }
    }
}

/// Made once: a finder prepares itself for what it looks for.
static HEAD_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// The common case in three passes of the vector unit: a head that came whole with its first
/// bytes and is shorter than any limit. As many CR as LF: since the parser refuses a CR
/// without LF, every line then ends with both. Whatever is not plainly fine is looked at line
/// by line.
fn whole(bytes: &[u8], limits: &HeadLimits) -> Option<usize> {
    let length = HEAD_END.find(bytes)? + 4;
    let shortest = limits
        .head_bytes
        .min(limits.field_bytes)
        .min(limits.target_bytes);
    let head = &bytes[..length];
    let (lines, returns) = line_ends(head);
    let is_plain =
        head[0] != b'\r' && length <= shortest && lines <= limits.fields + 2 && lines == returns;
    is_plain.then_some(length)
}

/// Counts LF and CR in one pass, in a shape that the compiler turns into vector code.
fn line_ends(head: &[u8]) -> (usize, usize) {
    let (mut feeds, mut returns) = (0, 0);
    for chunk in head.chunks(128) {
        let (mut lf, mut cr) = (0u8, 0u8);
        for &byte in chunk {
            lf += u8::from(byte == b'\n');
            cr += u8::from(byte == b'\r');
        }
        feeds += usize::from(lf);
        returns += usize::from(cr);
    }
    (feeds, returns)
}

/// The first bytes tell an HTTP/1 message from a TLS record or noise, and an endless method
/// from a long target; neither should wait for a line end that may never come.
fn check_first(bytes: &[u8]) -> Result<(), HeadError> {
    match bytes.first() {
        Some(&byte) if byte != b'\r' && byte != b'\n' && !is_token(byte) => {
            return Err(HeadError::LeadingBytes);
        }
        _ => {}
    }
    match bytes.get(..=METHOD_MAX) {
        Some(start) if memchr::memchr3(b' ', b'\r', b'\n', start).is_none() => {
            Err(HeadError::Method)
        }
        _ => Ok(()),
    }
}

/// A method longer than this, bytes, is no method.
pub const METHOD_MAX: usize = 32;

/// Bytes of a start line beside the target: method, version and two spaces.
pub(crate) const START_LINE_ROOM: usize = 48;

/// Bytes of the single empty line a client may send before a request (RFC 9112 section 2.2).
/// None while it can not be told yet.
#[must_use]
pub fn leading_empty_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [] | [b'\r'] => None,
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::{HeadError, HeadLimits, HeadScan};

    pub(crate) const LIMITS: HeadLimits = HeadLimits {
        head_bytes: 400,
        target_bytes: 100,
        fields: 5,
        field_bytes: 200,
    };

    fn scan(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        HeadScan::default().find(bytes, &LIMITS)
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_cuts() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        assert_eq!(scan(head), Ok(Some(27)));
        let mut scan = HeadScan::default();
        for end in 0..27 {
            assert_eq!(scan.find(&head[..end], &LIMITS), Ok(None), "at {end}");
        }
        assert_eq!(scan.find(head, &LIMITS), Ok(Some(27)));
    }

    #[test]
    fn cuts_at_the_very_limits_change_nothing() {
        let line = [b"a: ".as_slice(), &[b'b'; 197], b"\r\n\r\n"].concat();
        let full = [b"GET / HTTP/1.1\r\n".as_slice(), &line].concat();
        let long = [b"GET / HTTP/1.1\r\n".as_slice(), b"c", &line].concat();
        let method = [[b'a'; 33].as_slice(), b"\n"].concat();
        let folded = [b"GET / HTTP/1.1\r\n".as_slice(), &[b'b'; 201], b"\n"].concat();
        let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a: b\r\n".repeat(7)].concat();
        let bare = b"GET / HTTP/1.1\r\na: b\rc\r\nd\r\n\r\r\n".to_vec();
        let late = [folded.strip_suffix(b"\n").unwrap(), b"b\rb\r\n"].concat();
        for (head, verdict) in [
            (&full, Ok(Some(full.len()))),
            (&long, Err(HeadError::FieldTooLarge)),
            (&method, Err(HeadError::Method)),
            (&folded, Err(HeadError::FieldTooLarge)),
            (&many, Err(HeadError::TooManyFields)),
            (&bare, Err(HeadError::BareCr)),
            (&late, Err(HeadError::FieldTooLarge)),
        ] {
            assert_eq!(scan(head), verdict);
            for cut in 1..head.len() {
                let mut scan = HeadScan::default();
                let first = scan.find(&head[..cut], &LIMITS);
                let all = if first == Ok(None) {
                    scan.find(head, &LIMITS)
                } else {
                    first
                };
                assert_eq!(all, verdict, "cut at {cut}");
            }
        }
    }

    #[test]
    fn line_ends_other_than_crlf_are_refused_at_once() {
        assert_eq!(scan(b"GET / HTTP/1.1\nHost"), Err(HeadError::BareLf));
        assert_eq!(scan(b"GET / HTTP/1.1\rHost"), Err(HeadError::BareCr));
        assert_eq!(scan(b"GET / HTTP/1.1\r\r"), Err(HeadError::BareCr));
        assert_eq!(scan(b"GET / HTTP/1.1\r\r\n"), Err(HeadError::BareCr));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\na: b\r\n\r\r\n"),
            Err(HeadError::BareCr)
        );
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\na: b\rc\r\nd"),
            Err(HeadError::BareCr)
        );
        assert_eq!(scan(b"\n"), Err(HeadError::BareLf));
        assert_eq!(scan(b"\r\n"), Err(HeadError::StartLine));
    }

    #[test]
    fn limits_hold_before_the_head_is_whole() {
        assert_eq!(scan(&[b'a'; 33]), Err(HeadError::Method));
        assert_eq!(scan(b"\x16\x03\x01"), Err(HeadError::LeadingBytes));
        let target = [b"GET /".as_slice(), &[b'a'; 149]].concat();
        assert_eq!(scan(&target), Err(HeadError::TargetTooLong));
        let long = [b"GET / HTTP/1.1\r\n".as_slice(), &[b'a'; 201]].concat();
        assert_eq!(scan(&long), Err(HeadError::FieldTooLarge));
        let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a: b\r\n".repeat(6)].concat();
        assert_eq!(scan(&many), Err(HeadError::TooManyFields));
        let line = [b"a: ".as_slice(), &[b'b'; 190], b"\r\n"].concat();
        let big = [b"GET / HTTP/1.1\r\n".as_slice(), &line.repeat(3)].concat();
        assert_eq!(scan(&big), Err(HeadError::HeadTooLarge));
    }
}
