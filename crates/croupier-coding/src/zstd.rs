//! zstd (RFC 8878) by the reference library, with windows that every client must have (RFC 9659).

use std::fmt;

use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use crate::{Error, Left, Level, Progress, encode::Until};

/// 8 MiB: what a client must be able to hold (RFC 9659 section 3).
pub(crate) const WINDOW_LOG_MAX: u32 = 23;
/// The window of streams of unknown length, made while the client waits: 1 MiB.
const WINDOW_LOG_FAST: u32 = 20;
/// The smallest window of the format.
pub(crate) const WINDOW_LOG_MIN: u32 = 10;

pub(crate) struct Encoder {
    context: CCtx<'static>,
    level: Level,
}

impl Encoder {
    pub(crate) fn new(level: Level, size: Option<u64>) -> Result<Self, Error> {
        let context = CCtx::try_create().ok_or(Error::Refused)?;
        let mut encoder = Self { context, level };
        let number = match level {
            Level::Fast => FAST,
            Level::Strong => STRONG,
        };
        set(&mut encoder.context, CParameter::CompressionLevel(number))?;
        encoder.set_window(size)?;
        Ok(encoder)
    }

    pub(crate) fn reset(&mut self, size: Option<u64>) -> Result<(), Error> {
        let reset = self.context.reset(ResetDirective::SessionOnly);
        reset.map_err(|_| Error::Refused)?;
        self.set_window(size)
    }

    /// No larger than the stream: the tables are made to its measure.
    fn set_window(&mut self, size: Option<u64>) -> Result<(), Error> {
        let most = match self.level {
            Level::Fast => WINDOW_LOG_FAST,
            Level::Strong => WINDOW_LOG_MAX,
        };
        let log = size.map_or(most, |size| window_log(size).clamp(WINDOW_LOG_MIN, most));
        set(&mut self.context, CParameter::WindowLog(log))
    }

    pub(crate) fn code(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        until: Until,
    ) -> Result<Progress, Error> {
        let end = match until {
            Until::Taken => ZSTD_EndDirective::ZSTD_e_continue,
            Until::Flushed => ZSTD_EndDirective::ZSTD_e_flush,
            Until::Finished => ZSTD_EndDirective::ZSTD_e_end,
        };
        let room = out.len();
        let mut input = InBuffer::around(input);
        let mut out = OutBuffer::around(out);
        let waits = self
            .context
            .compress_stream2(&mut out, &mut input, end)
            .map_err(|_| Error::Refused)?;
        let is_complete = match until {
            Until::Taken => out.pos() < room,
            Until::Flushed | Until::Finished => waits == 0,
        };
        Ok(Progress {
            consumed: input.pos(),
            produced: out.pos(),
            left: if is_complete {
                Left::Nothing
            } else {
                Left::More
            },
        })
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("level", &self.level)
            .finish()
    }
}

pub(crate) struct Decoder {
    context: DCtx<'static>,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Within,
    /// A frame is full of output that had no room.
    Full,
    /// A frame ended; another may follow (RFC 8878 section 3.1).
    Between,
}

impl Decoder {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut context = DCtx::try_create().ok_or(Error::Refused)?;
        let set = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX));
        set.map_err(|_| Error::Refused)?;
        Ok(Self {
            context,
            at: At::Start,
        })
    }

    pub(crate) fn code(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Error> {
        // The library counts calls without progress, and refuses after some.
        if input.is_empty() && self.at != At::Full {
            return Ok(Progress {
                consumed: 0,
                produced: 0,
                left: Left::Nothing,
            });
        }
        let room = out.len();
        let mut input = InBuffer::around(input);
        let mut out = OutBuffer::around(out);
        let wants = self.context.decompress_stream(&mut out, &mut input);
        let wants = wants.map_err(|_| match self.at {
            At::Between => Error::Trailing,
            At::Start | At::Within | At::Full => Error::Corrupt,
        })?;
        self.at = match wants {
            0 => At::Between,
            _ if out.pos() == room => At::Full,
            _ => At::Within,
        };
        Ok(Progress {
            consumed: input.pos(),
            produced: out.pos(),
            left: match self.at {
                At::Full => Left::More,
                At::Start | At::Within | At::Between => Left::Nothing,
            },
        })
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == At::Between
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("at", &self.at).finish()
    }
}

fn set(context: &mut CCtx<'_>, parameter: CParameter) -> Result<(), Error> {
    let set = context.set_parameter(parameter);
    set.map(drop).map_err(|_| Error::Refused)
}

/// The logarithm of the smallest power of two that is not below `size`.
pub(crate) fn window_log(size: u64) -> u32 {
    u64::BITS - size.saturating_sub(1).leading_zeros()
}

/// See the table in `docs/decisions/0031-codings.md`.
const FAST: i32 = 3;
pub(crate) const STRONG: i32 = 19;
