//! brotli (RFC 7932) in Rust alone.

use std::fmt;

use ::brotli::{
    BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode,
    enc::{
        StandardAlloc,
        encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct},
    },
};

use crate::{Error, Left, Level, Progress, encode::Until, zstd::window_log};

/// The window of streams made while the client waits: 512 KiB.
const WINDOW_LOG_FAST: u32 = 19;
/// The window of streams made in the background: 4 MiB. More gains nothing on a script of 9 MB and
/// takes hundreds of megabytes while it works.
const WINDOW_LOG_STRONG: u32 = 22;
/// 16 MiB, the largest that RFC 7932 has.
pub(crate) const WINDOW_LOG_MAX: u32 = 24;
const WINDOW_LOG_MIN: u32 = 10;

pub(crate) type State = BrotliEncoderStateStruct<StandardAlloc>;

pub(crate) struct Encoder {
    state: State,
    level: Level,
}

impl Encoder {
    pub(crate) fn new(level: Level, size: Option<u64>) -> Self {
        let most = match level {
            Level::Fast => WINDOW_LOG_FAST,
            Level::Strong => WINDOW_LOG_STRONG,
        };
        let quality = match level {
            Level::Fast => FAST,
            Level::Strong => STRONG,
        };
        let log = match size {
            Some(size) => window_log(size.saturating_add(16)).clamp(WINDOW_LOG_MIN, most),
            None => most,
        };
        Self {
            state: set_up(quality, log, size),
            level,
        }
    }

    /// One that was set up otherwise, for a whole body.
    pub(crate) fn with(state: State) -> Self {
        Self {
            state,
            level: Level::Strong,
        }
    }

    pub(crate) fn reset(&mut self, size: Option<u64>) {
        *self = Self::new(self.level, size);
    }

    pub(crate) fn code(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        until: Until,
    ) -> Result<Progress, Error> {
        let operation = match until {
            Until::Taken => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
            Until::Flushed => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
            Until::Finished => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        };
        let (mut waits, mut consumed) = (input.len(), 0);
        let (mut room, mut produced) = (out.len(), 0);
        let is_well = self.state.compress_stream(
            operation,
            &mut waits,
            input,
            &mut consumed,
            &mut room,
            out,
            &mut produced,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !is_well {
            return Err(Error::Refused);
        }
        let is_complete = match until {
            Until::Finished => self.state.is_finished(),
            Until::Taken | Until::Flushed => !self.state.has_more_output(),
        };
        Ok(Progress {
            consumed,
            produced,
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

pub(crate) fn set_up(quality: u32, window_log: u32, size: Option<u64>) -> State {
    let mut state = State::new(StandardAlloc::default());
    let hint = size.map_or(0, |size| u32::try_from(size).unwrap_or(u32::MAX));
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality);
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window_log);
    state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_SIZE_HINT, hint);
    state
}

type Inner = BrotliState<HeapAlloc<u8>, HeapAlloc<u32>, HeapAlloc<HuffmanCode>>;

pub(crate) struct Decoder {
    inner: Box<Inner>,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Within,
    End,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        // Strict: a window above 16 MiB is no brotli of RFC 7932.
        let inner = Inner::new_strict(
            HeapAlloc::default(),
            HeapAlloc::default(),
            HeapAlloc::default(),
        );
        Self {
            inner: Box::new(inner),
            at: At::Within,
        }
    }

    pub(crate) fn code(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Error> {
        if self.at == At::End {
            if !input.is_empty() {
                return Err(Error::Trailing);
            }
            return Ok(Progress {
                consumed: 0,
                produced: 0,
                left: Left::Nothing,
            });
        }
        let (mut waits, mut consumed) = (input.len(), 0);
        let (mut room, mut produced, mut total) = (out.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut waits,
            &mut consumed,
            input,
            &mut room,
            &mut produced,
            out,
            &mut total,
            &mut self.inner,
        );
        let left = match result {
            BrotliResult::ResultFailure => return Err(Error::Corrupt),
            BrotliResult::NeedsMoreOutput => Left::More,
            // It says so even with output in its window, as long as the metablock goes on.
            BrotliResult::NeedsMoreInput if produced == out.len() => Left::More,
            BrotliResult::NeedsMoreInput => Left::Nothing,
            BrotliResult::ResultSuccess => {
                self.at = At::End;
                Left::Nothing
            }
        };
        Ok(Progress {
            consumed,
            produced,
            left,
        })
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == At::End
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("at", &self.at).finish()
    }
}

/// See the table in `docs/decisions/0031-codings.md`.
const FAST: u32 = 4;
pub(crate) const STRONG: u32 = 11;
