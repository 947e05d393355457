//! gzip (RFC 1952) by zlib-rs.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{Error, Left, Level, Progress, encode::Until};

/// Bits of the window: all that the format has, 32 KiB.
const WINDOW_BITS: u8 = 15;

#[derive(Debug)]
pub(crate) struct Encoder(Compress);

impl Encoder {
    pub(crate) fn new(level: Level) -> Self {
        let level = match level {
            Level::Fast => Compression::new(FAST),
            Level::Strong => Compression::best(),
        };
        Self(Compress::new_gzip(level, WINDOW_BITS))
    }

    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }

    pub(crate) fn code(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        until: Until,
    ) -> Result<Progress, Error> {
        let before = (self.0.total_in(), self.0.total_out());
        let flush = match until {
            Until::Taken => FlushCompress::None,
            Until::Flushed => FlushCompress::Sync,
            Until::Finished => FlushCompress::Finish,
        };
        let status = self
            .0
            .compress(input, out, flush)
            .map_err(|_| Error::Refused)?;
        let produced = moved(before.1, self.0.total_out());
        let is_complete = match until {
            Until::Finished => status == Status::StreamEnd,
            Until::Taken | Until::Flushed => produced < out.len(),
        };
        Ok(Progress {
            consumed: moved(before.0, self.0.total_in()),
            produced,
            left: if is_complete {
                Left::Nothing
            } else {
                Left::More
            },
        })
    }
}

#[derive(Debug)]
pub(crate) struct Decoder {
    inner: Decompress,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nothing was seen.
    Start,
    Within,
    /// A member ended; another may follow (RFC 1952 section 2.2).
    Between,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            inner: Decompress::new_gzip(WINDOW_BITS),
            at: At::Start,
        }
    }

    pub(crate) fn code(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Error> {
        if self.at == At::Between {
            match input.first() {
                None => {
                    return Ok(Progress {
                        consumed: 0,
                        produced: 0,
                        left: Left::Nothing,
                    });
                }
                Some(0x1f) => self.inner.reset(true),
                Some(_) => return Err(Error::Trailing),
            }
        }
        if !input.is_empty() {
            self.at = At::Within;
        }
        let before = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.decompress(input, out, FlushDecompress::None);
        let status = status.map_err(|_| Error::Corrupt)?;
        let produced = moved(before.1, self.inner.total_out());
        if status == Status::StreamEnd {
            self.at = At::Between;
        }
        let may_hold = self.at == At::Within && produced == out.len();
        Ok(Progress {
            consumed: moved(before.0, self.inner.total_in()),
            produced,
            left: if may_hold { Left::More } else { Left::Nothing },
        })
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == At::Between
    }
}

/// How far a count went in one call: no further than a slice is long.
fn moved(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

/// See the table in `docs/decisions/0031-codings.md`.
const FAST: u32 = 3;
