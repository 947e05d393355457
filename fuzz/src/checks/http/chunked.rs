//! Chunked bodies: the decoder accepts exactly the language of a second reading, gives the same
//! data, and does not care how the bytes arrive.

use croupier_http::{
    Fields,
    h1::{
        chunked::{ChunkDecoder, ChunkLimits},
        encode,
    },
};

use super::{CHUNK_LIMITS, Verdict, cuts, grammar, tight_chunk_limits};

/// Trailer lines: name as sent, value.
type Line = (Vec<u8>, Vec<u8>);
type Lines = Vec<Line>;

/// What a reading makes of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reading {
    /// The body, its trailers, and the length of it all.
    Whole(Vec<u8>, Lines, usize),
    /// Lawful so far.
    Open(Vec<u8>),
    Refused,
}

pub fn check(bytes: &[u8]) -> Verdict {
    agree(bytes, &tight_chunk_limits(cuts::seed(bytes)));
    match agree(bytes, &CHUNK_LIMITS) {
        Reading::Whole(data, trailers, _) => {
            written_again(&data, &trailers);
            Verdict::Accepted(1)
        }
        Reading::Open(_) => Verdict::Incomplete(0),
        Reading::Refused => Verdict::Refused(0),
    }
}

fn agree(bytes: &[u8], limits: &ChunkLimits) -> Reading {
    let expected = second_reading(bytes, limits);
    for pattern in cuts::patterns(bytes) {
        let found = decode(bytes, &pattern, limits);
        assert_eq!(found, expected, "with pauses at {pattern:?}");
    }
    expected
}

/// The decoder, fed as the wire feeds it: what was not skipped is offered again.
fn decode(bytes: &[u8], pauses: &[usize], limits: &ChunkLimits) -> Reading {
    let mut decoder = ChunkDecoder::default();
    let mut data = Vec::new();
    let mut at = 0;
    for pause in pauses {
        while !decoder.is_done() {
            let Ok(step) = decoder.step(&bytes[at..*pause], limits) else {
                return Reading::Refused;
            };
            at += step.skip;
            if step.data == 0 {
                break;
            }
            assert!(decoder.chunk_left() >= step.data as u64);
            data.extend_from_slice(&bytes[at..at + step.data]);
            at += step.data;
            decoder.took(step.data);
        }
    }
    if !decoder.is_done() {
        assert_eq!(at, *pauses.last().unwrap_or(&0), "bytes were left unread");
        return Reading::Open(data);
    }
    let mut fields = Fields::new();
    assert_eq!(
        decoder.trailers(&mut fields),
        Ok(()),
        "trailers were accepted and are not"
    );
    let lines = fields
        .iter()
        .map(|field| (field.raw_name.to_vec(), field.value.to_vec()));
    let lines: Vec<_> = lines.collect();
    assert_eq!(decoder.trailer_bytes().is_none(), lines.is_empty());
    Reading::Whole(data, lines, at)
}

/// The input came to its end, or broke the grammar.
enum Stop {
    End,
    Bad,
}

/// Reads by descent what the decoder reads by states.
struct Second<'a> {
    bytes: &'a [u8],
    at: usize,
    data: Vec<u8>,
    limits: &'a ChunkLimits,
}

fn second_reading(bytes: &[u8], limits: &ChunkLimits) -> Reading {
    let mut reader = Second {
        bytes,
        at: 0,
        data: Vec::new(),
        limits,
    };
    let outcome = reader.body();
    // Framing may cost 16 KiB and ten times the data, whenever somebody looks.
    let over = reader.is_over();
    match outcome {
        _ if over => Reading::Refused,
        Ok(trailers) => Reading::Whole(reader.data, trailers, reader.at),
        Err(Stop::End) => Reading::Open(reader.data),
        Err(Stop::Bad) => Reading::Refused,
    }
}

impl Second<'_> {
    fn body(&mut self) -> Result<Lines, Stop> {
        loop {
            let size = self.size_line()?;
            if size == 0 {
                return self.trailers();
            }
            if self.is_over() {
                return Err(Stop::Bad);
            }
            let here = (self.bytes.len() - self.at) as u64;
            let take = usize::try_from(size.min(here)).unwrap_or(usize::MAX);
            self.data
                .extend_from_slice(&self.bytes[self.at..self.at + take]);
            self.at += take;
            if here < size {
                return Err(Stop::End);
            }
            self.expect(b'\r')?;
            self.expect(b'\n')?;
        }
    }

    fn is_over(&self) -> bool {
        self.at - self.data.len() > 16 * 1024 + 10 * self.data.len()
    }

    /// `1*16HEXDIG *( ";" token [ "=" ( token / quoted-string ) ] ) CRLF`, below 2^62.
    fn size_line(&mut self) -> Result<u64, Stop> {
        let start = self.at;
        let mut size: u128 = 0;
        let mut digits = 0;
        let mut byte = self.next_of_line(start)?;
        while let Some(digit) = char::from(byte).to_digit(16) {
            digits += 1;
            size = size * 16 + u128::from(digit);
            if digits > 16 || size >= 1 << 62 {
                return Err(Stop::Bad);
            }
            byte = self.next_of_line(start)?;
        }
        if digits == 0 {
            return Err(Stop::Bad);
        }
        while byte == b';' {
            byte = self.token(start)?;
            if byte == b'=' {
                byte = self.value(start)?;
            }
        }
        if byte != b'\r' {
            return Err(Stop::Bad);
        }
        self.expect(b'\n')?;
        Ok(u64::try_from(size).unwrap_or(u64::MAX))
    }

    /// A token of one byte or more; gives the byte after it.
    fn token(&mut self, start: usize) -> Result<u8, Stop> {
        if !grammar::is_tchar(self.next_of_line(start)?) {
            return Err(Stop::Bad);
        }
        self.token_rest(start)
    }

    fn token_rest(&mut self, start: usize) -> Result<u8, Stop> {
        loop {
            let byte = self.next_of_line(start)?;
            if !grammar::is_tchar(byte) {
                return Ok(byte);
            }
        }
    }

    fn value(&mut self, start: usize) -> Result<u8, Stop> {
        match self.next_of_line(start)? {
            b'"' => loop {
                let mut byte = self.next_of_line(start)?;
                if byte == b'"' {
                    return self.next_of_line(start);
                }
                if byte == b'\\' {
                    byte = self.next_of_line(start)?;
                }
                if byte != b'\t' && !(b' '..=b'~').contains(&byte) {
                    return Err(Stop::Bad);
                }
            },
            byte if grammar::is_tchar(byte) => self.token_rest(start),
            _ => Err(Stop::Bad),
        }
    }

    /// Field lines up to an empty one; each must be lawful.
    fn trailers(&mut self) -> Result<Lines, Stop> {
        let start = self.at;
        let mut count = 0;
        loop {
            let line = self.at;
            while self.peek_of_section(start)? != b'\r' {
                if self.bytes[self.at] == b'\n' {
                    return Err(Stop::Bad);
                }
                self.at += 1;
            }
            self.at += 1;
            if self.peek_of_section(start)? != b'\n' {
                return Err(Stop::Bad);
            }
            self.at += 1;
            if self.at - line == 2 {
                break;
            }
            count += 1;
            if count > self.limits.trailers {
                return Err(Stop::Bad);
            }
        }
        let section = [b"x\r\n", &self.bytes[start..self.at]].concat();
        let head = grammar::head(&section).ok_or(Stop::Bad)?;
        // The strict reading has names in lower case: take them as sent from the lines.
        let lines = self.bytes[start..self.at].split(|byte| *byte == b'\n');
        let names =
            lines.filter_map(|line| Some(line[..line.iter().position(|b| *b == b':')?].to_vec()));
        Ok(names
            .zip(head.fields)
            .map(|(name, (_, value))| (name, value.to_vec()))
            .collect())
    }

    fn peek_of_section(&self, start: usize) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::End)?;
        if self.at - start >= self.limits.trailer_bytes {
            Err(Stop::Bad)
        } else {
            Ok(byte)
        }
    }

    fn next_of_line(&mut self, start: usize) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::End)?;
        self.at += 1;
        if self.at - start > self.limits.line_bytes {
            Err(Stop::Bad)
        } else {
            Ok(byte)
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::End)?;
        self.at += 1;
        if byte == wanted {
            Ok(())
        } else {
            Err(Stop::Bad)
        }
    }
}

/// Our own framing of the same data reads as the same data.
fn written_again(data: &[u8], trailers: &[Line]) {
    let mut fields = Fields::new();
    for (name, value) in trailers {
        fields.push(name, value);
    }
    let mut out = Vec::new();
    for piece in data.chunks(7) {
        encode::chunk_line(&mut out, piece.len());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    encode::last_chunk(&mut out, Some(&fields));
    // One blank is ours, between a name and its value.
    let limits = ChunkLimits {
        trailer_bytes: 2 * CHUNK_LIMITS.trailer_bytes,
        ..CHUNK_LIMITS
    };
    let expected = Reading::Whole(data.to_vec(), trailers.to_vec(), out.len());
    assert_eq!(decode(&out, &[out.len()], &limits), expected);
}
