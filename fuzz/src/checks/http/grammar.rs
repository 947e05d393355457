//! A second reading of heads, written from RFC 9110 and 9112 and sharing no line with the codec.
//!
//! Whatever the codec accepts must pass here; it may refuse more.

/// Name in lower case, and value.
type Line<'a> = (Vec<u8>, &'a [u8]);

/// One head as this reading sees it.
#[derive(Debug)]
pub struct Head<'a> {
    pub start: Vec<&'a [u8]>,
    pub fields: Vec<Line<'a>>,
}

impl<'a> Head<'a> {
    /// Values of a field, by its lower-case name.
    pub fn all(&self, name: &str) -> Vec<&'a [u8]> {
        let named = self
            .fields
            .iter()
            .filter(|(found, _)| found == name.as_bytes());
        named.map(|(_, value)| *value).collect()
    }
}

pub fn is_tchar(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'#' | b'$' | b'%' | b'&'
        | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Reads a head that ends with its empty line. None: not lawful.
pub fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let lines = lines(bytes)?;
    let (start, fields) = lines.split_first()?;
    let start = start.split(|byte| *byte == b' ').collect();
    let fields = fields
        .iter()
        .map(|line| field(line))
        .collect::<Option<_>>()?;
    Some(Head { start, fields })
}

/// Splits at CRLF; the last line must be empty, no other may be, and no CR, LF or NUL may stand
/// anywhere else.
fn lines(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = bytes.strip_suffix(b"\r\n")?;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &rest[..end];
        if line.is_empty() || line.iter().any(|byte| b"\r\n\0".contains(byte)) {
            return None;
        }
        lines.push(line);
        rest = &rest[end + 2..];
    }
    Some(lines)
}

/// `token ":" OWS value OWS`
fn field(line: &[u8]) -> Option<Line<'_>> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, mut value) = (&line[..colon], &line[colon + 1..]);
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    let is_lawful = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    let lawful = !name.is_empty() && name.iter().all(|byte| is_tchar(*byte));
    (lawful && value.iter().all(is_lawful)).then(|| (name.to_ascii_lowercase(), value))
}

/// How a body ends, told by the fields alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Nothing,
    Length(u64),
    Chunked,
}

/// None: two recipients could differ.
pub fn framing(head: &Head<'_>) -> Option<Framing> {
    let (lengths, codings) = (head.all("content-length"), head.all("transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Some(Framing::Nothing),
        ([length], []) => {
            let text = std::str::from_utf8(length).ok()?;
            let number: u64 = text.parse().ok()?;
            // Only the shortest decimal form: `number` prints as it was written.
            (number.to_string() == text).then_some(Framing::Length(number))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Some(Framing::Chunked),
        _ => None,
    }
}

/// Is this a path in normal form: absolute, no empty and no dot segment, nothing but visible
/// ASCII, escapes in upper case and only where they are needed?
pub fn is_normal_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let segments: Vec<&str> = rest.split('/').collect();
    let (_, inner) = segments.split_last().unwrap_or((&"", &[]));
    if inner.iter().any(|segment| segment.is_empty())
        || segments.iter().any(|segment| [".", ".."].contains(segment))
    {
        return false;
    }
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let Some(digits) = rest.get(at + 1..at + 3) else {
                    return false;
                };
                let Ok(byte) = u8::from_str_radix(digits, 16) else {
                    return false;
                };
                let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                let control = byte < b' ' || byte == 0x7f;
                if unreserved || control || digits != digits.to_ascii_uppercase() {
                    return false;
                }
                at += 3;
            }
            b'"' | b'#' | b'<' | b'>' | b'?' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                return false;
            }
            0x21..=0x7e => at += 1,
            _ => return false,
        }
    }
    true
}

/// Is this `host[:port]` in normal form?
pub fn is_normal_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            let Ok(parsed) = address.parse::<std::net::Ipv6Addr>() else {
                return false;
            };
            if parsed.to_string() != address {
                return false;
            }
            (None, port)
        }
        None => match text.find(':') {
            Some(colon) => (Some(&text[..colon]), &text[colon..]),
            None => (Some(text), ""),
        },
    };
    let port_is_normal = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            digits
                .parse::<u16>()
                .is_ok_and(|number| number > 0 && number.to_string() == digits)
        });
    let host_is_normal = host.is_none_or(|host| {
        host.len() <= 253
            && host.split('.').all(|label| !label.is_empty())
            && host
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'_' | b'.'))
    });
    port_is_normal && host_is_normal
}
