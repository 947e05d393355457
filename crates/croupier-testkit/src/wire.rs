//! Bytes as readable text, with timing: what a failing test prints.

use std::fmt;
use std::time::{Duration, Instant};

/// How many bytes of one piece are shown before the rest is only counted.
const SHOWN: usize = 600;

/// Who spoke, seen from the one who recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Bytes that arrived here.
    In,
    /// Bytes sent from here.
    Out,
}

/// One read or write.
#[derive(Clone, Debug)]
pub struct Piece {
    pub at: Duration,
    pub direction: Direction,
    pub bytes: Vec<u8>,
    /// How many bytes it really had, where the recording keeps only the beginning.
    pub length: usize,
}

/// Everything said on one connection, in order.
#[derive(Clone, Debug)]
pub struct Transcript {
    pub name: String,
    pub pieces: Vec<Piece>,
    /// Remarks with their time: closed, reset, cut.
    pub remarks: Vec<(Duration, String)>,
    started: Instant,
    keep: usize,
}

impl Transcript {
    pub(crate) fn new(name: String, started: Instant, keep: usize) -> Self {
        Self {
            name,
            pieces: Vec::new(),
            remarks: Vec::new(),
            started,
            keep,
        }
    }

    pub(crate) fn add(&mut self, direction: Direction, bytes: &[u8]) {
        let at = self.started.elapsed();
        let kept = bytes[..bytes.len().min(self.keep)].to_vec();
        if let Some(last) = self.pieces.last_mut()
            && last.direction == direction
            && last.bytes.len() == self.keep
            && kept.len() == self.keep
            && self.keep < usize::MAX
        {
            last.length += bytes.len(); // a long body of which nothing is kept but its start
            return;
        }
        self.pieces.push(Piece {
            at,
            direction,
            bytes: kept,
            length: bytes.len(),
        });
    }

    pub(crate) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push((self.started.elapsed(), text.into()));
    }

    /// All bytes that went one way.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> Vec<u8> {
        let one_way = self
            .pieces
            .iter()
            .filter(|piece| piece.direction == direction);
        one_way
            .flat_map(|piece| piece.bytes.iter().copied())
            .collect()
    }

    /// How many bytes went one way, kept or not.
    #[must_use]
    pub fn length(&self, direction: Direction) -> usize {
        let one_way = self
            .pieces
            .iter()
            .filter(|piece| piece.direction == direction);
        one_way.map(|piece| piece.length).sum()
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "--- {} ---", self.name)?;
        let mut remarks = self.remarks.iter().peekable();
        for piece in &self.pieces {
            while let Some((at, remark)) = remarks.next_if(|(at, _)| *at < piece.at) {
                writeln!(f, "{}  -- {remark}", stamp(*at))?;
            }
            let arrow = if piece.direction == Direction::In {
                "<<"
            } else {
                ">>"
            };
            let shown = &piece.bytes[..piece.bytes.len().min(SHOWN)];
            writeln!(f, "{}  {arrow} {} bytes", stamp(piece.at), piece.length)?;
            for line in readable(shown).split_inclusive('\n') {
                writeln!(f, "           {arrow} {}", line.trim_end_matches('\n'))?;
            }
            if shown.len() < piece.length {
                writeln!(
                    f,
                    "           {arrow} .. {} bytes more",
                    piece.length - shown.len()
                )?;
            }
        }
        for (at, remark) in remarks {
            writeln!(f, "{}  -- {remark}", stamp(*at))?;
        }
        Ok(())
    }
}

fn stamp(at: Duration) -> String {
    format!("{:9.1}ms", at.as_secs_f64() * 1000.0)
}

/// Bytes as text: what can be printed as it is, the rest as escapes, a real line break after
/// every LF so that heads read as heads.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => text.push_str("\\n\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if c.is_control() => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A body of `length` bytes that tells where it was cut, moved or repeated: each line of sixteen
/// bytes holds its own offset.
#[must_use]
pub fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        let line = format!("{:015x}\n", bytes.len());
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The first offset at which two bodies differ, with what stood there; `None` when they agree.
#[must_use]
pub fn difference(left: &[u8], right: &[u8]) -> Option<String> {
    let at = left.iter().zip(right).position(|(l, r)| l != r);
    let at = match at {
        Some(at) => at,
        None if left.len() == right.len() => return None,
        None => left.len().min(right.len()),
    };
    let around = |bytes: &[u8]| readable(&bytes[at..bytes.len().min(at + 32)]);
    Some(format!(
        "lengths {} and {}, first difference at {at}: {:?} and {:?}",
        left.len(),
        right.len(),
        around(left),
        around(right)
    ))
}

/// The value of `key` in one line of flat JSON (an access log line), strings without their quotes.
/// Enough for log lines; knows nothing of nesting.
#[must_use]
pub fn json_value(line: &str, key: &str) -> Option<String> {
    let start = line.find(&format!("\"{key}\":"))? + key.len() + 3;
    let rest = line[start..].trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        return Some(rest[..end].trim().to_owned());
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some(value),
            '\\' => value.push(escape(&mut characters)?),
            _ => value.push(character),
        }
    }
    None
}

fn escape(characters: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match characters.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let digits: String = characters.take(4).collect();
            char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_as_text_with_their_line_ends_visible() {
        let text = readable(b"GET / HTTP/1.1\r\nA: \x00\xff\t\xc3\xa4\r\n");
        assert_eq!(
            text,
            "GET / HTTP/1.1\\r\\n\nA: \\u{0}\\xff\\t\u{e4}\\r\\n\n"
        );
    }

    #[test]
    fn a_pattern_tells_where_it_was_cut() {
        let body = pattern(100);
        assert_eq!(body.len(), 100);
        assert_eq!(difference(&body, &body), None);
        assert!(
            difference(&body, &body[..50])
                .unwrap()
                .contains("difference at 50")
        );
        let mut moved = body.clone();
        moved[17] = b'x';
        assert!(
            difference(&body, &moved)
                .unwrap()
                .contains("difference at 17")
        );
    }

    #[test]
    fn a_log_line_gives_its_values() {
        let line = r#"{"status":200,"path":"/a\"b\u0041","fault":null, "ms": 1.5}"#;
        assert_eq!(json_value(line, "status").as_deref(), Some("200"));
        assert_eq!(json_value(line, "path").as_deref(), Some("/a\"bA"));
        assert_eq!(json_value(line, "ms").as_deref(), Some("1.5"));
        assert_eq!(json_value(line, "missing"), None);
    }
}
