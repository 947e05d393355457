//! The Huffman code (RFC 7541, appendix B). It is canonical: the lengths say everything, codes of
//! one length count upwards in the order of their symbols.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Bits of the code of each byte; the last is the end of a string.
const BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

const END: usize = 256;

struct Code {
    /// Code and its length, for each symbol.
    of: Vec<(u32, u8)>,
    symbols: HashMap<(u32, u8), usize>,
}

fn code() -> &'static Code {
    static CODE: OnceLock<Code> = OnceLock::new();
    CODE.get_or_init(|| {
        let mut order: Vec<usize> = (0..BITS.len()).collect();
        order.sort_by_key(|symbol| (BITS[*symbol], *symbol));
        let (mut next, mut bits) = (0_u32, 0);
        let mut of = vec![(0, 0); BITS.len()];
        let mut symbols = HashMap::new();
        for symbol in order {
            next <<= BITS[symbol] - bits;
            bits = BITS[symbol];
            of[symbol] = (next, bits);
            symbols.insert((next, bits), symbol);
            next += 1;
        }
        Code { of, symbols }
    })
}

/// Encodes, with ones to the end of the last byte.
#[must_use]
pub fn encode(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut held, mut count) = (0_u64, 0_u8);
    for byte in text.as_ref() {
        let (code, bits) = code().of[usize::from(*byte)];
        held = held << bits | u64::from(code);
        count += bits;
        while count >= 8 {
            count -= 8;
            bytes.push((held >> count) as u8);
        }
    }
    if count > 0 {
        bytes.push((held << (8 - count)) as u8 | (0xff >> count));
    }
    bytes
}

/// Decodes, or tells what is wrong: a coded end, eight or more bits of padding, a zero in it.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let (mut held, mut count) = (0_u32, 0_u8);
    for byte in bytes {
        for bit in (0..8).rev() {
            held = held << 1 | u32::from(byte >> bit & 1);
            count += 1;
            match code().symbols.get(&(held, count)) {
                Some(&END) => return Err("a coded end of string".into()),
                Some(symbol) => {
                    text.push(u8::try_from(*symbol).unwrap_or(0));
                    (held, count) = (0, 0);
                }
                None if count > 30 => return Err("no code has more than 30 bits".into()),
                None => {}
            }
        }
    }
    if count > 7 || held != (1 << count) - 1 {
        return Err(format!("{count} bits of padding: {held:b}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_complete_and_ends_with_ones() {
        let kraft: u64 = BITS.iter().map(|bits| 1 << (30 - bits)).sum();
        assert_eq!(kraft, 1 << 30);
        assert_eq!(code().of[END], (0x3fff_ffff, 30));
        // Some of the appendix.
        assert_eq!(code().of[0], (0x1ff8, 13));
        assert_eq!(code().of[usize::from(b'~')], (0x1ffd, 13));
        assert_eq!(code().of[255], (0x3ff_ffee, 26));
    }

    #[test]
    fn every_text_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for text in [&b""[..], b"a", b"www.example.com", &all] {
            assert_eq!(decode(&encode(text)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn bad_padding_and_a_coded_end_are_told() {
        assert!(decode(&[0xff]).is_err()); // eight ones
        assert!(decode(&[0x1f, 0xff]).is_err()); // `a` and eleven ones
        assert!(decode(&[0b0001_1000]).is_err()); // `a` and zeros
        assert!(decode(&[0xff, 0xff, 0xff, 0xff]).is_err());
        assert_eq!(decode(&[0x1f]).as_deref(), Ok(&b"a"[..]));
    }
}
