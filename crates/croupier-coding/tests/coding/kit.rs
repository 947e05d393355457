//! What the tests of this crate share: pushing through in pieces, and texts to push.

use croupier_coding::{Decoder, Encoder, Error, Left};
use proptest::prelude::ProptestConfig;

/// So many cases; a failing one is printed and made a test of its own, not written to a file.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Something like a script: words that come back, with a few that do not.
pub(crate) fn text(bytes: usize) -> Vec<u8> {
    let words = [
        "function", "return", "const", "exports", "props", "=>", "{", "}", "(", ");\n",
    ];
    let mut out = Vec::with_capacity(bytes + 16);
    let mut seed = 7_u32;
    while out.len() < bytes {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(words[(seed >> 24) as usize % words.len()].as_bytes());
        if seed >> 28 == 0 {
            out.extend_from_slice(seed.to_string().as_bytes());
        }
        out.push(b' ');
    }
    out.truncate(bytes);
    out
}

/// Bytes without any order.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Pushes all of `input`, with `room` bytes of output at a time.
pub(crate) fn push(encoder: &mut Encoder, mut input: &[u8], room: usize, out: &mut Vec<u8>) {
    let mut piece = vec![0; room];
    while !input.is_empty() {
        let done = encoder.push(input, &mut piece).unwrap();
        assert!(done.consumed + done.produced > 0, "a push moves something");
        input = &input[done.consumed..];
        out.extend_from_slice(&piece[..done.produced]);
    }
}

pub(crate) fn flush(encoder: &mut Encoder, room: usize, out: &mut Vec<u8>) {
    let mut piece = vec![0; room];
    for _ in 0..1_000_000 {
        let done = encoder.flush(&mut piece).unwrap();
        out.extend_from_slice(&piece[..done.produced]);
        if done.left == Left::Nothing {
            return;
        }
    }
    panic!("the flush never ends");
}

pub(crate) fn finish(encoder: &mut Encoder, room: usize, out: &mut Vec<u8>) {
    let mut piece = vec![0; room];
    for _ in 0..1_000_000 {
        let done = encoder.finish(&mut piece).unwrap();
        out.extend_from_slice(&piece[..done.produced]);
        if done.left == Left::Nothing {
            return;
        }
    }
    panic!("the finish never ends");
}

/// Pushes all of `input` into a decoder, with `room` bytes of output at a time.
pub(crate) fn decode(
    decoder: &mut Decoder,
    mut input: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut piece = vec![0; room];
    loop {
        let done = decoder.push(input, &mut piece)?;
        input = &input[done.consumed..];
        out.extend_from_slice(&piece[..done.produced]);
        if input.is_empty() && done.left == Left::Nothing {
            return Ok(());
        }
        assert!(
            done.consumed + done.produced > 0 || done.left == Left::Nothing,
            "a push moves something"
        );
    }
}
