//! The decoder against hand-made bodies, and against itself with other cuts.

use proptest::prelude::*;

use super::{ChunkDecoder, ChunkError, ChunkLimits};
use crate::{fields::Fields, names::Name};

const LIMITS: ChunkLimits = ChunkLimits {
    line_bytes: 64,
    trailer_bytes: 256,
    trailers: 4,
};

/// Feeds `input` in pieces of `cut` bytes; gives the body and what was left over.
fn decode(input: &[u8], cut: usize) -> Result<(Vec<u8>, usize, bool), ChunkError> {
    let mut decoder = ChunkDecoder::default();
    let mut buffer = Vec::new();
    let mut body = Vec::new();
    let mut fed = 0;
    loop {
        let step = decoder.step(&buffer, &LIMITS)?;
        buffer.drain(..step.skip);
        if step.data > 0 {
            body.extend(buffer.drain(..step.data));
            decoder.took(step.data);
            continue;
        }
        if decoder.is_done() || fed == input.len() {
            return Ok((body, buffer.len() + input.len() - fed, decoder.is_done()));
        }
        let next = (fed + cut).min(input.len());
        buffer.extend_from_slice(&input[fed..next]);
        fed = next;
    }
}

#[test]
fn bodies() {
    for cut in [1, 2, 3, 7, 1000] {
        let body = b"5\r\nhello\r\n6;a=b;c=\"x\\\"y\"\r\n world\r\n000\r\nA: 1\r\n\r\nNEXT";
        assert_eq!(
            decode(body, cut),
            Ok((b"hello world".to_vec(), 4, true)),
            "cut {cut}"
        );
        assert_eq!(
            decode(b"A\r\n0123456789\r\n0\r\n\r\n", cut),
            Ok((b"0123456789".to_vec(), 0, true))
        );
        assert_eq!(decode(b"0\r\n\r\n", cut), Ok((vec![], 0, true)));
        assert_eq!(decode(b"5\r\nhel", cut), Ok((b"hel".to_vec(), 0, false)));
    }
}

#[test]
fn refused_at_every_cut() {
    let cases: &[(&[u8], ChunkError)] = &[
        (b"0x5\r\nhello\r\n", ChunkError::Size),
        (b"+5\r\n", ChunkError::Size),
        (b"-1\r\n", ChunkError::Size),
        (b" 5\r\n", ChunkError::Size),
        (b"5 \r\n", ChunkError::Size),
        (b"5\t\r\n", ChunkError::Size),
        (b"5_0\r\n", ChunkError::Size),
        (b"\r\n", ChunkError::Size),
        (b";\r\n", ChunkError::Size),
        (b";a=b\r\n", ChunkError::Size),
        (b"fffffffffffffffe\r\n", ChunkError::Size),
        (b"00000000000000005\r\n", ChunkError::Size),
        (b"8000000000000000\r\n", ChunkError::Size),
        (b"5\nhello\r\n", ChunkError::LineEnd),
        (b"5\rXhello\r\n", ChunkError::LineEnd),
        (b"5;\n", ChunkError::Extension),
        (b"5;\r\n", ChunkError::Extension),
        (b"5; a\r\n", ChunkError::Extension),
        (b"5;a=\r\n", ChunkError::Extension),
        (b"5;a=b\rX", ChunkError::LineEnd),
        (b"5;a=b\r\rX", ChunkError::LineEnd),
        (b"5;a=\"\r\n\"\r\n", ChunkError::Extension),
        (b"5;\x00\r\n", ChunkError::Extension),
        (b"5;a=\"\n\"\r\n", ChunkError::Extension),
        (b"5;a=\"x\"y\r\n", ChunkError::Extension),
        (b"5\r\nhelloXX0\r\n", ChunkError::DataEnd),
        (b"5\r\nhello\n0\r\n", ChunkError::DataEnd),
        (b"5\r\nhello\r0\r\n", ChunkError::DataEnd),
        (b"0\r\nA: 1\nB: 2\r\n\r\n", ChunkError::Trailer),
        (b"0\r\nA: 1\rB: 2\r\n\r\n", ChunkError::Trailer),
        (b"0\r\n\n", ChunkError::Trailer),
        (b"0\r\nA 1\r\n\r\n", ChunkError::Trailer),
        (b"0\r\n A: 1\r\n\r\n", ChunkError::Trailer),
    ];
    for (input, error) in cases {
        for cut in [1, 2, 5, 1000] {
            let text = String::from_utf8_lossy(input);
            assert_eq!(
                decode(input, cut).err(),
                Some(*error),
                "{text:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn framing_is_bounded() {
    let long = [b"5;a=".as_slice(), &[b'x'; 80]].concat();
    assert_eq!(decode(&long, 1000).err(), Some(ChunkError::LineTooLong));
    let many = [b"0\r\n".as_slice(), &b"A: 1\r\n".repeat(5)].concat();
    assert_eq!(
        decode(&many, 1000).err(),
        Some(ChunkError::TrailersTooLarge)
    );
    let big = [b"0\r\nA: ".as_slice(), &[b'x'; 300]].concat();
    assert_eq!(decode(&big, 1000).err(), Some(ChunkError::TrailersTooLarge));
    let dribble = b"1;aaaaaaaaaaaaaaaaaaaaaaa=bbbbbbbbbbbbbbbbbbbbb\r\nx\r\n".repeat(1000);
    assert_eq!(decode(&dribble, 1000).err(), Some(ChunkError::Overhead));
    let single = b"1\r\nx\r\n".repeat(100_000);
    assert!(decode(&single, 1000).is_ok());
}

#[test]
fn trailers_are_kept_apart() {
    let mut decoder = ChunkDecoder::default();
    decoder.step(b"0\r\nVia: x\r\n\r\n", &LIMITS).unwrap();
    let mut fields = Fields::new();
    decoder.trailers(&mut fields).unwrap();
    assert_eq!(fields.get(Name::VIA), Some(&b"x"[..]));
}

/// The grammar once more, by other means: a recursive reading of the whole input.
fn reference(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut rest = input;
    let mut body = Vec::new();
    loop {
        let line_end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = (&rest[..line_end], &rest[line_end + 2..]);
        let text = std::str::from_utf8(line).ok()?;
        if text.is_empty() || text.len() > 15 || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return None;
        }
        let size = usize::from_str_radix(text, 16).ok()?;
        if size == 0 {
            return after.starts_with(b"\r\n").then(|| (body, after.len() - 2));
        }
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

proptest! {
    #[test]
    fn agrees_with_the_reference(input in "([0-3a]|\r\n|\r|\n|x| ){0,24}", cut in 1usize..9) {
        let decoded = decode(input.as_bytes(), cut);
        match reference(input.as_bytes()) {
            Some((body, left)) => prop_assert_eq!(decoded, Ok((body, left, true))),
            None => prop_assert!(!matches!(decoded, Ok((_, _, true))), "{:?}", decoded),
        }
    }

    #[test]
    fn any_cut_gives_the_same_body(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8), cut in 1usize..50) {
        let mut input = Vec::new();
        for chunk in &chunks {
            input.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            input.extend_from_slice(chunk);
            input.extend_from_slice(b"\r\n");
        }
        input.extend_from_slice(b"0\r\n\r\n");
        prop_assert_eq!(decode(&input, cut), Ok((chunks.concat(), 0, true)));
    }
}
