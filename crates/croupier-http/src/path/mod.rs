//! Paths: one normal form, made once, before anything looks at the path.
//!
//! The normal form has one leading slash, no empty and no dot segments, unreserved characters
//! decoded, everything else percent-encoded with upper-case digits. What two servers might
//! read differently (RFC 3986 section 7.3) is either refused here or marked [`Shape::Odd`], so
//! that the router can compare both readings.

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A character that must not stand in a target, or a control.
    Character,
    /// `%` without two hexadecimal digits.
    Percent,
    /// `..` above the root.
    AboveRoot,
    /// A control, backslash, an overlong encoding or a hidden dot segment.
    Hidden,
    /// No leading slash.
    NotAbsolute,
}

/// Can the path be read in more than one way by servers of different habits?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Plain,
    /// It holds an escaped reserved character, a double encoding, a `;` or a trailing dot: see
    /// [`lenient`].
    Odd,
}

const REFUSE: u8 = 0;
const PLAIN: u8 = 1;
const SLASH: u8 = 2;
const PERCENT: u8 = 3;
/// Not in the grammar of RFC 3986, but sent raw by browsers: encoded in the normal form.
const ENCODE: u8 = 4;
const SEMICOLON: u8 = 5;

const CLASSES: [u8; 256] = {
    let mut classes = [REFUSE; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        #[expect(clippy::cast_possible_truncation, reason = "byte is below 0x7f")]
        let class = match byte as u8 {
            b'/' => SLASH,
            b'%' => PERCENT,
            b';' => SEMICOLON,
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => ENCODE,
            b'#' | b'\\' | b'?' => REFUSE,
            _ => PLAIN,
        };
        classes[byte] = class;
        byte += 1;
    }
    classes
};

/// Appends the normal form of `path` to `out`, which must be empty.
///
/// # Errors
/// When the path has no normal form that every server would agree on.
pub fn normalize(path: &[u8], out: &mut String) -> Result<Shape, PathError> {
    if path.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    if let Some(plain) = as_plain(path) {
        out.push_str(plain);
        return Ok(Shape::Plain);
    }
    let mut shape = Shape::Plain;
    out.push('/');
    let mut segment = 1;
    let mut at = 1;
    while at < path.len() {
        let byte = path[at];
        at += 1;
        match CLASSES[usize::from(byte)] {
            SLASH => {
                if end_segment(out, &mut segment)? && out.len() > segment {
                    out.push('/');
                    segment = out.len();
                }
            }
            PLAIN => out.push(char::from(byte)),
            SEMICOLON => {
                shape = Shape::Odd;
                out.push(';');
            }
            ENCODE => push_encoded(out, byte),
            PERCENT => {
                at += 2;
                if decode(path, at, out)? == Shape::Odd {
                    shape = Shape::Odd;
                }
            }
            _ => return Err(PathError::Character),
        }
    }
    end_segment(out, &mut segment)?;
    if shape == Shape::Plain && has_trailing_dot(out) {
        shape = Shape::Odd;
    }
    Ok(shape)
}

/// The common case costs one pass and one copy: plain characters, single slashes, no segment
/// that begins with a dot.
fn as_plain(path: &[u8]) -> Option<&str> {
    let mut previous = 0u8;
    for &byte in path {
        match CLASSES[usize::from(byte)] {
            PLAIN if byte == b'.' && previous == b'/' => return None,
            PLAIN => {}
            SLASH if previous == b'/' || previous == b'.' => return None,
            SLASH => {}
            _ => return None,
        }
        previous = byte;
    }
    if previous == b'.' {
        None
    } else {
        str::from_utf8(path).ok()
    }
}

/// Handles dot segments at the end of a segment. True: the segment stays as it is.
fn end_segment(out: &mut String, segment: &mut usize) -> Result<bool, PathError> {
    match &out[*segment..] {
        "." => {
            out.truncate(*segment);
            Ok(false)
        }
        ".." => {
            out.truncate(*segment - 1);
            let parent = out.rfind('/').ok_or(PathError::AboveRoot)?;
            out.truncate(parent + 1);
            *segment = parent + 1;
            Ok(false)
        }
        text if text.starts_with(".;") || text.starts_with("..;") => Err(PathError::Hidden),
        _ => Ok(true),
    }
}

/// Handles the escape whose digits end at `end`.
fn decode(path: &[u8], end: usize, out: &mut String) -> Result<Shape, PathError> {
    let byte = path
        .get(end - 2..end)
        .and_then(hex_pair)
        .ok_or(PathError::Percent)?;
    match byte {
        // Controls have no business in a path; CR and LF there aim at somebody's log or head.
        0..0x20 | 0x7f | b'\\' => Err(PathError::Hidden),
        b'-' | b'.' | b'_' | b'~' => {
            out.push(char::from(byte));
            Ok(Shape::Plain)
        }
        _ if byte.is_ascii_alphanumeric() => {
            out.push(char::from(byte));
            Ok(Shape::Plain)
        }
        b'/' | b'%' | b';' => {
            push_encoded(out, byte);
            Ok(Shape::Odd)
        }
        // Reserved characters that may stand raw (RFC 3986 section 2.2): an escape may mean
        // something else to an origin, so it stays, but most read it as the character.
        _ if CLASSES[usize::from(byte)] == PLAIN => {
            push_encoded(out, byte);
            Ok(Shape::Odd)
        }
        // Overlong UTF-8 is how a dot or slash hides from a validator.
        0xc0 | 0xc1 | 0xe0 | 0xf0 => {
            let next = (path.get(end) == Some(&b'%'))
                .then(|| path.get(end + 1..end + 3).and_then(hex_pair))
                .flatten();
            let overlong = match byte {
                0xc0 | 0xc1 => matches!(next, Some(0x80..=0xbf)),
                0xe0 => matches!(next, Some(0x80..=0x9f)),
                _ => matches!(next, Some(0x80..=0x8f)),
            };
            if overlong {
                return Err(PathError::Hidden);
            }
            push_encoded(out, byte);
            Ok(Shape::Plain)
        }
        _ => {
            push_encoded(out, byte);
            Ok(Shape::Plain)
        }
    }
}

fn has_trailing_dot(path: &str) -> bool {
    path.ends_with('.') || path.contains("./") || path.contains("%20/") || path.ends_with("%20")
}

fn push_encoded(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let high = char::from(*digits.first()?).to_digit(16)?;
    let low = char::from(*digits.get(1)?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// How the most forgiving server might read a normal path: escapes decoded twice, backslash as
/// slash, path parameters dropped, trailing dots and spaces trimmed, empty segments merged.
/// Written to `out` (emptied first) with everything odd re-encoded.
///
/// # Errors
/// [`PathError::Hidden`] when that reading has a dot segment or a NUL: the normal form had
/// none, so it was hidden on purpose.
pub fn lenient(normal: &str, out: &mut String) -> Result<(), PathError> {
    out.clear();
    let once = decode_all(normal.as_bytes());
    let twice = decode_all(&once);
    for segment in twice.split(|&byte| byte == b'/' || byte == b'\\') {
        let segment = segment
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default();
        // Some file systems drop blanks at a name's end.
        let name = segment.trim_ascii_end();
        if name == b"." || name == b".." || segment.contains(&0) {
            return Err(PathError::Hidden);
        }
        let kept = segment
            .iter()
            .rposition(|&byte| byte != b'.' && byte != b' ');
        let Some(last) = kept else { continue };
        out.push('/');
        for &byte in &segment[..=last] {
            match CLASSES[usize::from(byte)] {
                PLAIN => out.push(char::from(byte)),
                _ => push_encoded(out, byte),
            }
        }
    }
    if out.is_empty() || normal.ends_with('/') {
        out.push('/');
    }
    Ok(())
}

fn decode_all(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%'
            && let Some(byte) = bytes.get(at + 1..at + 3).and_then(hex_pair)
        {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// May these bytes stand in a query? Visible ASCII without `#`, kept as sent.
#[must_use]
pub fn is_query(query: &[u8]) -> bool {
    query
        .iter()
        .all(|&byte| (0x21..0x7f).contains(&byte) && byte != b'#')
}

#[cfg(test)]
mod tests;
