//! Bodies that are in memory as a whole: for work in the background, and for tests.

use crate::{Coding, Decoder, Encoder, Error, Left, Level, Limits};

/// Output is made in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// Encodes all of `input`. May take seconds with [`Level::Strong`]: not on a thread that serves.
/// What comes out can be longer than what went in.
///
/// # Errors
/// When the library refuses, which means that there is no memory.
pub fn encode_whole(coding: Coding, level: Level, input: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = Encoder::new(coding, level, Some(input.len() as u64))?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut out = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let done = encoder.push(&input[at..], &mut piece)?;
        at += done.consumed;
        out.extend_from_slice(&piece[..done.produced]);
    }
    loop {
        let done = encoder.finish(&mut piece)?;
        out.extend_from_slice(&piece[..done.produced]);
        if done.left == Left::Nothing {
            return Ok(out);
        }
    }
}

/// Decodes all of `input`, which must be a whole stream.
///
/// # Errors
/// As [`Decoder::push`] and [`Decoder::finish`].
pub fn decode_whole(coding: Coding, limits: Limits, input: &[u8]) -> Result<Vec<u8>, Error> {
    let mut decoder = Decoder::new(coding, limits)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        let done = decoder.push(&input[at..], &mut piece)?;
        at += done.consumed;
        out.extend_from_slice(&piece[..done.produced]);
        if done.left == Left::Nothing && at == input.len() {
            decoder.finish()?;
            return Ok(out);
        }
    }
}
