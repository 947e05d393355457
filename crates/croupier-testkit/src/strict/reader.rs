//! Where heads, lines and bodies end.

use std::io::{self, Read};

use super::head::fields;
use super::{Broken, Sink, malformed};
use crate::message::{Framing, Headers, text};

/// No head, line or trailer section of an honest sender is longer.
const HEAD_BYTES_MAX: usize = 1 << 20;
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// A byte source with what was read too far.
pub(crate) struct Reader<R> {
    pub(crate) source: R,
    buffer: Vec<u8>,
    /// How many bytes were taken before those in `buffer`.
    pub(crate) offset: u64,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            offset: 0,
        }
    }

    /// What has arrived and was not asked for yet.
    pub(crate) fn leftover(&self) -> &[u8] {
        &self.buffer
    }

    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        self.fill_at_most(64 * 1024)
    }

    pub(crate) fn fill_at_most(&mut self, bytes: usize) -> io::Result<usize> {
        let start = self.buffer.len();
        self.buffer.resize(start + bytes, 0);
        let outcome = loop {
            match self.source.read(&mut self.buffer[start..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer
            .truncate(start + *outcome.as_ref().unwrap_or(&0));
        outcome
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(bytes);
        self.offset += bytes as u64;
        std::mem::replace(&mut self.buffer, rest)
    }

    fn fill_or_cut(&mut self) -> Result<(), Broken> {
        if self.fill()? == 0 {
            Err(Broken::Cut)
        } else {
            Ok(())
        }
    }

    /// The bytes of a head, its empty line included, whatever line ends it uses.
    pub(crate) fn head(&mut self) -> Result<Vec<u8>, Broken> {
        let mut scanned = 0;
        loop {
            if let Some(end) = end_of_head(&self.buffer, &mut scanned) {
                return Ok(self.take(end));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return malformed("a head without end");
            }
            let was_empty = self.buffer.is_empty();
            if self.fill()? == 0 {
                return Err(if was_empty {
                    Broken::Closed
                } else {
                    Broken::Cut
                });
            }
        }
    }

    /// One line without its CRLF.
    fn line(&mut self, limit: usize) -> Result<Vec<u8>, Broken> {
        let end = loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if self.buffer.len() > limit + 2 {
                return malformed("a line without end");
            }
            self.fill_or_cut()?;
        };
        let mut line = self.take(end + 1);
        if !line.ends_with(b"\r\n") {
            return malformed(format!("a line ends with a bare LF: {:?}", text(&line)));
        }
        line.truncate(line.len() - 2);
        if line.contains(&b'\r') {
            return malformed(format!("a bare CR inside a line: {:?}", text(&line)));
        }
        Ok(line)
    }

    /// Hands `length` bytes to `sink` as they arrive.
    pub(crate) fn exactly(&mut self, length: u64, sink: Sink<'_>) -> Result<(), Broken> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill_or_cut()?;
            }
            let count = self
                .buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let bytes = self.take(count);
            sink(&bytes);
            left -= count as u64;
        }
        Ok(())
    }

    /// A whole body, and the trailers after it.
    pub(crate) fn body(
        &mut self,
        framing: Framing,
        sink: Sink<'_>,
        flaws: &mut Vec<String>,
    ) -> Result<Headers, Broken> {
        match framing {
            Framing::None => Ok(Headers::default()),
            Framing::Length(length) => {
                self.exactly(length, sink)?;
                Ok(Headers::default())
            }
            Framing::Chunked => self.chunked(sink, flaws),
            Framing::UntilClose => loop {
                let bytes = self.take(self.buffer.len());
                sink(&bytes);
                if self.fill()? == 0 {
                    return Ok(Headers::default());
                }
            },
        }
    }

    fn chunked(&mut self, sink: Sink<'_>, flaws: &mut Vec<String>) -> Result<Headers, Broken> {
        loop {
            let line = self.line(CHUNK_LINE_BYTES_MAX)?;
            let size = chunk_size(&line, flaws)?;
            if size == 0 {
                return self.trailers(flaws);
            }
            self.exactly(size, sink)?;
            if !self.line(0)?.is_empty() {
                return malformed("chunk data is not followed by CRLF");
            }
        }
    }

    fn trailers(&mut self, flaws: &mut Vec<String>) -> Result<Headers, Broken> {
        let mut lines = Vec::new();
        loop {
            let line = self.line(HEAD_BYTES_MAX)?;
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let trailers = fields(lines.iter().map(Vec::as_slice), flaws)?;
        for name in trailers.names() {
            let forbidden = [
                "content-length",
                "transfer-encoding",
                "host",
                "connection",
                "trailer",
            ];
            if forbidden.iter().any(|word| name.eq_ignore_ascii_case(word)) {
                flaws.push(format!("`{name}` in the trailers"));
            }
        }
        Ok(trailers)
    }
}

fn end_of_head(bytes: &[u8], scanned: &mut usize) -> Option<usize> {
    for at in *scanned..bytes.len() {
        if bytes[at] != b'\n' {
            continue;
        }
        let line = &bytes[..at];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // An empty line ends a head, except in front of it.
        if !line.is_empty() && line.ends_with(b"\n") && line.iter().any(|b| !b"\r\n".contains(b)) {
            return Some(at + 1);
        }
    }
    *scanned = bytes.len();
    None
}

fn chunk_size(line: &[u8], flaws: &mut Vec<String>) -> Result<u64, Broken> {
    let digits = match line.iter().position(|byte| *byte == b';') {
        Some(at) => {
            flaws.push(format!("a chunk extension: {:?}", text(line)));
            &line[..at]
        }
        None => line,
    };
    let hexadecimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    if !hexadecimal || digits.len() > 16 {
        return malformed(format!("a chunk size: {:?}", text(line)));
    }
    if digits.len() > 1 && digits[0] == b'0' {
        flaws.push(format!("a chunk size with leading zeros: {:?}", text(line)));
    }
    u64::from_str_radix(&text(digits), 16).map_err(|_| Broken::Malformed("a chunk size".into()))
}
