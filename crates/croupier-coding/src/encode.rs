//! Encoding a stream: bytes in, fewer bytes out, flushed when somebody waits for them.
//!
//! ```text
//!  Clean --push--> Dirty --flush--> Flushing --nothing left--> Clean
//!    '------'--------'--finish--> Finishing --nothing left--> Over --reset--> Clean
//! ```

use crate::{Coding, Error, Left, OUT_BYTES_MIN, Progress, SLICE_BYTES, brotli, gzip, zstd};

/// How hard an encoder tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// While the client waits: a slice of input takes a millisecond or so.
    Fast,
    /// In the background, once, for an answer that is given many times. One call may take a second:
    /// never on a thread that serves.
    Strong,
}

/// One stream being encoded. Dropping it in the middle is allowed.
#[derive(Debug)]
pub struct Encoder {
    coder: Coder,
    level: Level,
    state: State,
}

#[derive(Debug)]
enum Coder {
    Gzip(gzip::Encoder),
    Brotli(Box<brotli::Encoder>),
    Zstd(zstd::Encoder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Clean,
    Dirty,
    Flushing,
    Finishing,
    Over,
}

/// How far a call of a library goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Taken,
    Flushed,
    Finished,
}

impl Encoder {
    /// One of that coding. `size` is how long the stream will be, in bytes, if that is known: a
    /// hint from which windows and tables are made no larger than needed.
    ///
    /// # Errors
    /// When the library refuses, which means that there is no memory.
    pub fn new(coding: Coding, level: Level, size: Option<u64>) -> Result<Self, Error> {
        let coder = match coding {
            Coding::Gzip => Coder::Gzip(gzip::Encoder::new(level)),
            Coding::Brotli => Coder::Brotli(Box::new(brotli::Encoder::new(level, size))),
            Coding::Zstd => Coder::Zstd(zstd::Encoder::new(level, size)?),
        };
        Ok(Self {
            coder,
            level,
            state: State::Clean,
        })
    }

    /// Which coding it makes.
    #[must_use]
    pub fn coding(&self) -> Coding {
        match self.coder {
            Coder::Gzip(_) => Coding::Gzip,
            Coder::Brotli(_) => Coding::Brotli,
            Coder::Zstd(_) => Coding::Zstd,
        }
    }

    /// How hard it tries.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Begins another stream with the memory of this one, whatever state it is in.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn reset(&mut self, size: Option<u64>) -> Result<(), Error> {
        match &mut self.coder {
            Coder::Gzip(coder) => coder.reset(),
            Coder::Brotli(coder) => coder.reset(size),
            Coder::Zstd(coder) => coder.reset(size)?,
        }
        self.state = State::Clean;
        Ok(())
    }

    /// Takes up to [`SLICE_BYTES`] from the front of `input` and writes what comes of it to the
    /// front of `out`. As a rule nothing comes for a while: coders collect.
    ///
    /// # Errors
    /// [`Error::NoRoom`] for an `out` below [`OUT_BYTES_MIN`], [`Error::Over`] after `finish`.
    pub fn push(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Error> {
        let mut before = 0;
        match self.state {
            State::Finishing | State::Over => return Err(Error::Over),
            // A flush that was begun is completed first: brotli takes nothing during one.
            State::Flushing => {
                let flushed = self.flush(out)?;
                before = flushed.produced;
                if flushed.left == Left::More || out.len() - before < OUT_BYTES_MIN {
                    return Ok(Progress {
                        left: Left::More,
                        ..flushed
                    });
                }
            }
            State::Clean | State::Dirty => {}
        }
        let input = &input[..input.len().min(SLICE_BYTES)];
        let done = self.call(input, &mut out[before..], Until::Taken)?;
        if done.consumed > 0 {
            self.state = State::Dirty;
        }
        Ok(Progress {
            produced: before + done.produced,
            ..done
        })
    }

    /// Writes out everything taken so far, so that whoever receives it can decode it. Costs bytes;
    /// nothing when nothing was taken since the last flush. Call again while something is left.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    pub fn flush(&mut self, out: &mut [u8]) -> Result<Progress, Error> {
        match self.state {
            State::Finishing | State::Over => return Err(Error::Over),
            State::Clean => return Ok(NOTHING),
            State::Dirty | State::Flushing => {}
        }
        self.state = State::Flushing;
        let done = self.call(&[], out, Until::Flushed)?;
        if done.left == Left::Nothing {
            self.state = State::Clean;
        }
        Ok(done)
    }

    /// Ends the stream. Call again while something is left.
    ///
    /// # Errors
    /// As [`Encoder::push`]; but asking again after the end gives nothing and is no error.
    pub fn finish(&mut self, out: &mut [u8]) -> Result<Progress, Error> {
        let mut before = 0;
        match self.state {
            State::Over => return Ok(NOTHING),
            State::Flushing => {
                let flushed = self.flush(out)?;
                before = flushed.produced;
                if flushed.left == Left::More || out.len() - before < OUT_BYTES_MIN {
                    return Ok(Progress {
                        left: Left::More,
                        ..flushed
                    });
                }
            }
            State::Clean | State::Dirty | State::Finishing => {}
        }
        self.state = State::Finishing;
        let done = self.call(&[], &mut out[before..], Until::Finished)?;
        if done.left == Left::Nothing {
            self.state = State::Over;
        }
        Ok(Progress {
            produced: before + done.produced,
            ..done
        })
    }

    /// Was anything taken since the last flush that may still be inside?
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        matches!(self.state, State::Dirty | State::Flushing)
    }

    fn call(&mut self, input: &[u8], out: &mut [u8], until: Until) -> Result<Progress, Error> {
        if out.len() < OUT_BYTES_MIN {
            return Err(Error::NoRoom);
        }
        match &mut self.coder {
            Coder::Gzip(coder) => coder.code(input, out, until),
            Coder::Brotli(coder) => coder.code(input, out, until),
            Coder::Zstd(coder) => coder.code(input, out, until),
        }
    }
}

const NOTHING: Progress = Progress {
    consumed: 0,
    produced: 0,
    left: Left::Nothing,
};
