//! Decoding a stream that somebody else encoded, who may mean harm: what comes out is bounded.

use crate::{Coding, Error, OUT_BYTES_MIN, Progress, SLICE_BYTES, brotli, gzip, zstd};

/// Output up to this is not measured against its input: small texts shrink a lot.
const UNMEASURED_BYTES: u64 = 1 << 20;

/// What may come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes for each byte that went in, once a mebibyte came out.
    pub ratio: u32,
}

impl Default for Limits {
    /// No bound but a thousand for one: zeroes shrink so in gzip, and honest texts never do.
    fn default() -> Self {
        Self {
            bytes: u64::MAX,
            ratio: 1000,
        }
    }
}

/// One stream being decoded. Several members or frames one after another are one stream; anything
/// else behind the end is an error.
#[derive(Debug)]
pub struct Decoder {
    coder: Coder,
    limits: Limits,
    taken: u64,
    given: u64,
    failed: Option<Error>,
}

#[derive(Debug)]
enum Coder {
    Gzip(gzip::Decoder),
    Brotli(brotli::Decoder),
    Zstd(zstd::Decoder),
}

impl Decoder {
    /// One of that coding. It holds a window: gzip 32 KiB, zstd at most 8 MiB, brotli at most
    /// 16 MiB; brotli's and zstd's grow to what the stream asks for.
    ///
    /// # Errors
    /// When the library refuses, which means that there is no memory.
    pub fn new(coding: Coding, limits: Limits) -> Result<Self, Error> {
        let coder = match coding {
            Coding::Gzip => Coder::Gzip(gzip::Decoder::new()),
            Coding::Brotli => Coder::Brotli(brotli::Decoder::new()),
            Coding::Zstd => Coder::Zstd(zstd::Decoder::new()?),
        };
        Ok(Self {
            coder,
            limits,
            taken: 0,
            given: 0,
            failed: None,
        })
    }

    /// Which coding it undoes.
    #[must_use]
    pub fn coding(&self) -> Coding {
        match self.coder {
            Coder::Gzip(_) => Coding::Gzip,
            Coder::Brotli(_) => Coding::Brotli,
            Coder::Zstd(_) => Coding::Zstd,
        }
    }

    /// Takes up to [`SLICE_BYTES`] from the front of `input` and writes what comes of it to the
    /// front of `out`. While something is left, call again, with or without further input.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Trailing`], [`Error::TooLarge`] and [`Error::Bomb`], the same
    /// again on every later call; [`Error::NoRoom`] for an `out` below [`OUT_BYTES_MIN`].
    pub fn push(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if out.len() < OUT_BYTES_MIN {
            return Err(Error::NoRoom);
        }
        let input = &input[..input.len().min(SLICE_BYTES)];
        let done = match &mut self.coder {
            Coder::Gzip(coder) => coder.code(input, out),
            Coder::Brotli(coder) => coder.code(input, out),
            Coder::Zstd(coder) => coder.code(input, out),
        };
        let result = done.and_then(|done| self.measure(done));
        self.failed = result.err();
        result
    }

    /// The input ended. Is that an end of the stream, too?
    ///
    /// # Errors
    /// [`Error::Truncated`] when it is not: also for no input at all. What failed before.
    pub fn finish(&self) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let is_at_end = match &self.coder {
            Coder::Gzip(coder) => coder.is_at_end(),
            Coder::Brotli(coder) => coder.is_at_end(),
            Coder::Zstd(coder) => coder.is_at_end(),
        };
        if is_at_end {
            Ok(())
        } else {
            Err(Error::Truncated)
        }
    }

    fn measure(&mut self, done: Progress) -> Result<Progress, Error> {
        self.taken += done.consumed as u64;
        self.given += done.produced as u64;
        if self.given > self.limits.bytes {
            return Err(Error::TooLarge);
        }
        let most = self.taken.saturating_mul(u64::from(self.limits.ratio));
        if self.given > UNMEASURED_BYTES && self.given > most {
            return Err(Error::Bomb);
        }
        Ok(done)
    }
}
