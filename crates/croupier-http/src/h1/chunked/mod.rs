//! The chunked coding, decoded strictly (RFC 9112 section 7.1).
//!
//! ```text
//!  Size --digits--> Size --;--> Extension --CR--> SizeLf --LF--> Data (or Trailer after size 0)
//!  Data --all--> DataCr --CR--> DataLf --LF--> Size
//!  Trailer --empty line--> Done
//! ```
//!
//! Every byte of framing is looked at once. No bare LF, no white space around a size, no
//! extension that is not `;token[=token|"quoted"]`; the share of framing is bounded.

use super::{head, scan::HeadError};
use crate::fields::Fields;

/// Limits on the framing of a chunked body, from the limits table.
#[derive(Clone, Copy, Debug)]
pub struct ChunkLimits {
    /// One chunk-size line with its extensions, bytes.
    pub line_bytes: usize,
    /// The trailer section, bytes.
    pub trailer_bytes: usize,
    /// Number of trailer lines.
    pub trailers: usize,
}

/// Why a chunked body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    DataEnd,
    Extension,
    LineEnd,
    LineTooLong,
    Overhead,
    Size,
    Trailer,
    TrailersTooLarge,
}

impl ChunkError {
    /// One sentence for the log and the error page.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::DataEnd => "chunk data not followed by CRLF",
            Self::Extension => "a malformed chunk extension",
            Self::LineEnd => "a chunk-size line not ended by CRLF",
            Self::LineTooLong => "a chunk-size line longer than `limits.chunk_line_bytes`",
            Self::Overhead => "far more chunk framing than data",
            Self::Size => "a malformed chunk size",
            Self::Trailer => "a malformed trailer line",
            Self::TrailersTooLarge => {
                "a trailer section beyond `limits.trailer_bytes` or `limits.trailers`"
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Digits of the size; how many so far.
    Size(u8),
    Extension(Extension),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// After `;`: a name must follow.
    NameStart,
    Name,
    /// After `=`: a token or a quoted string must follow.
    ValueStart,
    Value,
    Quoted,
    Escaped,
    QuotedEnd,
}

/// What the next bytes of the input are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of framing to skip first.
    pub skip: usize,
    /// Bytes of data that follow them in the input; 0 when more input is needed or all is done.
    pub data: usize,
}

/// A decoder for one body. Give it what has arrived, in order.
#[derive(Debug)]
pub struct ChunkDecoder {
    state: State,
    /// Bytes of the present chunk still to come.
    left: u64,
    line: usize,
    framing_bytes: u64,
    data_bytes: u64,
    trailer: Vec<u8>,
    trailer_lines: usize,
    line_empty: bool,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self {
            state: State::Size(0),
            left: 0,
            line: 0,
            framing_bytes: 0,
            data_bytes: 0,
            trailer: Vec::new(),
            trailer_lines: 0,
            line_empty: true,
        }
    }
}

/// Framing a body may cost beyond ten times its data: bounds a flood of one-byte chunks.
const OVERHEAD_FREE: u64 = 16 * 1024;

impl ChunkDecoder {
    /// Reads framing up to the next data, the end, or the end of the input. The caller skips
    /// `skip` bytes, may take up to `data` bytes, and reports those with [`Self::took`].
    ///
    /// # Errors
    /// At the first byte that breaks the grammar or a limit.
    pub fn step(&mut self, input: &[u8], limits: &ChunkLimits) -> Result<Step, ChunkError> {
        let mut skip = 0;
        while self.state != State::Done {
            if self.state == State::Data {
                self.check_overhead()?;
                let here = (input.len() - skip) as u64;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "not above the input's length"
                )]
                return Ok(Step {
                    skip,
                    data: self.left.min(here) as usize,
                });
            }
            let Some(&byte) = input.get(skip) else { break };
            skip += 1;
            self.framing_bytes += 1;
            self.framing(byte, limits)?;
        }
        self.check_overhead()?;
        Ok(Step { skip, data: 0 })
    }

    /// Asked before data and at the end of the input: where the input was cut must not matter.
    fn check_overhead(&self) -> Result<(), ChunkError> {
        if self.framing_bytes > OVERHEAD_FREE + 10 * self.data_bytes {
            Err(ChunkError::Overhead)
        } else {
            Ok(())
        }
    }

    /// The caller took this many of the data bytes offered by the last step.
    pub fn took(&mut self, count: usize) {
        debug_assert!(self.state == State::Data && count as u64 <= self.left);
        self.left = self.left.saturating_sub(count as u64);
        self.data_bytes += count as u64;
        if self.left == 0 {
            self.state = State::DataCr;
        }
    }

    /// Has the whole body, trailer section included, been read?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of the present chunk that have not arrived yet, while inside one.
    #[must_use]
    pub fn chunk_left(&self) -> u64 {
        if self.state == State::Data {
            self.left
        } else {
            0
        }
    }

    /// The trailer section as received; None when there was none.
    #[must_use]
    pub fn trailer_bytes(&self) -> Option<&[u8]> {
        (self.trailer.len() > 2).then_some(self.trailer.as_slice())
    }

    /// Reads the trailer section into `fields`; nothing when there was none.
    ///
    /// # Errors
    /// When a trailer line is malformed.
    pub fn trailers(&mut self, fields: &mut Fields) -> Result<(), HeadError> {
        fields.clear();
        if self.trailer.len() > 2 {
            head::trailers(&self.trailer, fields)
        } else {
            Ok(())
        }
    }

    fn framing(&mut self, byte: u8, limits: &ChunkLimits) -> Result<(), ChunkError> {
        match self.state {
            State::Size(digits) => {
                self.count_line(limits)?;
                self.size(byte, digits)
            }
            State::Extension(at) => {
                self.count_line(limits)?;
                self.state = extension(at, byte)?;
                Ok(())
            }
            State::SizeLf if byte == b'\n' => {
                self.line = 0;
                self.state = if self.left == 0 {
                    State::Trailer
                } else {
                    State::Data
                };
                Ok(())
            }
            State::SizeLf => Err(ChunkError::LineEnd),
            State::DataCr if byte == b'\r' => {
                self.state = State::DataLf;
                Ok(())
            }
            State::DataLf if byte == b'\n' => {
                self.state = State::Size(0);
                Ok(())
            }
            State::DataCr | State::DataLf => Err(ChunkError::DataEnd),
            State::Trailer => self.trailer_byte(byte, limits),
            State::Data | State::Done => Ok(()),
        }
    }

    fn count_line(&mut self, limits: &ChunkLimits) -> Result<(), ChunkError> {
        self.line += 1;
        if self.line > limits.line_bytes {
            Err(ChunkError::LineTooLong)
        } else {
            Ok(())
        }
    }

    fn size(&mut self, byte: u8, digits: u8) -> Result<(), ChunkError> {
        if let Some(value) = char::from(byte).to_digit(16) {
            if digits == 0 {
                self.left = 0;
            }
            // 15 digits and a small first one stay below 2^63.
            if digits >= 16 || self.left >> 59 != 0 {
                return Err(ChunkError::Size);
            }
            self.left = self.left << 4 | u64::from(value);
            if self.left >> 62 != 0 {
                return Err(ChunkError::Size);
            }
            self.state = State::Size(digits + 1);
            return Ok(());
        }
        if digits == 0 {
            return Err(ChunkError::Size);
        }
        self.state = match byte {
            b'\r' => State::SizeLf,
            b';' => State::Extension(Extension::NameStart),
            b'\n' => return Err(ChunkError::LineEnd),
            _ => return Err(ChunkError::Size),
        };
        Ok(())
    }

    fn trailer_byte(&mut self, byte: u8, limits: &ChunkLimits) -> Result<(), ChunkError> {
        if self.trailer.len() >= limits.trailer_bytes {
            return Err(ChunkError::TrailersTooLarge);
        }
        if self.trailer.last() == Some(&b'\r') && byte != b'\n' {
            return Err(ChunkError::Trailer);
        }
        self.trailer.push(byte);
        match byte {
            b'\r' => {}
            b'\n' if self.trailer.len() < 2 || self.trailer[self.trailer.len() - 2] != b'\r' => {
                return Err(ChunkError::Trailer);
            }
            b'\n' if self.line_empty => {
                self.state = State::Done;
                // Judged here, so that a malformed line ends the body as an error.
                let mut scratch = Fields::new();
                self.trailers(&mut scratch)
                    .map_err(|_| ChunkError::Trailer)?;
            }
            b'\n' => {
                self.line_empty = true;
                self.trailer_lines += 1;
                if self.trailer_lines > limits.trailers {
                    return Err(ChunkError::TrailersTooLarge);
                }
            }
            _ => self.line_empty = false,
        }
        Ok(())
    }
}

fn extension(at: Extension, byte: u8) -> Result<State, ChunkError> {
    let next = match (at, byte) {
        (Extension::NameStart | Extension::Name, _) if is_token(byte) => Extension::Name,
        (Extension::Name, b'=') => Extension::ValueStart,
        (Extension::ValueStart, b'"') => Extension::Quoted,
        (Extension::ValueStart | Extension::Value, _) if is_token(byte) => Extension::Value,
        (Extension::Quoted, b'"') => Extension::QuotedEnd,
        (Extension::Quoted, b'\\') => Extension::Escaped,
        (Extension::Quoted | Extension::Escaped, b'\t' | b' '..=b'~') => Extension::Quoted,
        (Extension::Name | Extension::Value | Extension::QuotedEnd, b';') => Extension::NameStart,
        (Extension::Name | Extension::Value | Extension::QuotedEnd, b'\r') => {
            return Ok(State::SizeLf);
        }
        _ => return Err(ChunkError::Extension),
    };
    Ok(State::Extension(next))
}

/// A token character (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
