//! How values become text: numbers, addresses, and bytes from strangers.
//!
//! Everything appends to a `Vec<u8>` that its owner reuses, so nothing allocates once the buffer has
//! grown. What came from the wire goes through `json` or `plain`: after them a line has no control
//! byte, no quote that could end a field, and nothing that is not UTF-8, so that neither a parser nor a
//! terminal can be led astray.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a decimal number.
#[inline]
pub fn number(out: &mut Vec<u8>, mut n: u64) {
    if n < 10 {
        out.push(digit(n));
        return;
    }
    let mut digits = [0; 20];
    let mut start = digits.len();
    while n > 0 {
        start -= 1;
        digits[start] = digit(n % 10);
        n /= 10;
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends milliseconds with three decimals: microseconds are what a proxy adds, so they must show.
#[inline]
pub(crate) fn milliseconds(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.as_secs().saturating_mul(1_000_000);
    let micros = micros.saturating_add(duration.subsec_micros().into());
    number(out, micros / 1000);
    let rest = micros % 1000;
    out.extend_from_slice(&[
        b'.',
        digit(rest / 100),
        digit(rest / 10 % 10),
        digit(rest % 10),
    ]);
}

#[inline]
pub(crate) const fn digit(n: u64) -> u8 {
    b'0' + n as u8
}

/// Appends an address; an IPv4 address that came in on an IPv6 socket is written as what it is.
#[inline]
pub fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let mut text = [b'.'; 16];
            let mut at = 0;
            for octet in v4.octets() {
                let octet = u64::from(octet);
                if octet >= 100 {
                    text[at] = digit(octet / 100);
                    at += 1;
                }
                if octet >= 10 {
                    text[at] = digit(octet / 10 % 10);
                    at += 1;
                }
                text[at] = digit(octet % 10);
                at += 2; // over the dot that is there already
            }
            out.extend_from_slice(&text[..at - 1]);
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// The first `most` bytes, less a character that would be cut in two; and whether that is all.
#[inline]
pub(crate) fn capped(text: &[u8], most: usize) -> (&[u8], bool) {
    if text.len() <= most {
        return (text, true);
    }
    // A character has at most three bytes after its first.
    let cut = (most.saturating_sub(3)..=most)
        .rev()
        .find(|&at| text[at] & 0xc0 != 0x80);
    (&text[..cut.unwrap_or(most)], false)
}

/// Whether text can stand between quotes as it is: printable ASCII but `"` and `\`.
#[inline]
pub(crate) fn is_clean(text: &[u8]) -> bool {
    // Most texts are short: words of eight bytes, the last one overlapping the one before.
    let Some(last) = text.last_chunk::<8>() else {
        return !text.iter().any(|&byte| is_dirty(byte));
    };
    let (words, _) = text.as_chunks::<8>();
    let dirty = words
        .iter()
        .fold(dirt(*last), |dirty, word| dirty | dirt(*word));
    dirty & HIGH == 0
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// The high bit of each byte that is dirty, and perhaps of its neighbours; other bits are noise.
#[inline]
const fn dirt(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    // A byte less than what is subtracted borrows; 0x7f and above carry.
    word.wrapping_sub(ONES * 0x20)
        | word.wrapping_add(ONES)
        | quote.wrapping_sub(ONES)
        | backslash.wrapping_sub(ONES)
        | word
}

#[inline]
const fn is_dirty(byte: u8) -> bool {
    (byte < 0x20) | (byte > 0x7e) | (byte == b'"') | (byte == b'\\')
}

/// Appends the inside of a JSON string. What is not UTF-8 becomes U+FFFD, and characters that could
/// move a terminal's cursor or turn its text around are written as `\uXXXX`.
#[inline]
pub(crate) fn json(out: &mut Vec<u8>, text: &[u8]) {
    if is_clean(text) {
        out.extend_from_slice(text);
    } else {
        json_dirty(out, text);
    }
}

#[cold]
fn json_dirty(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                _ if is_unsafe(char) => unicode_escape(out, char as u32),
                _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            unicode_escape(out, 0xfffd);
        }
    }
}

/// Control characters, line and paragraph separators, and those that change the direction of text.
/// All of them fit into one `\uXXXX`.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn unicode_escape(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[(code >> shift & 15) as usize]);
    }
}

/// Appends text for formats of plain lines: printable ASCII stays, every other byte, `"` and `\` become
/// `\xNN`, as nginx writes them.
#[inline]
pub(crate) fn plain(out: &mut Vec<u8>, text: &[u8]) {
    if is_clean(text) {
        out.extend_from_slice(text);
    } else {
        plain_dirty(out, text);
    }
}

#[cold]
fn plain_dirty(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if is_dirty(byte) {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'\\', b'x', HEX[high], HEX[low]]);
        } else {
            out.push(byte);
        }
    }
}

/// Writes the low hex digits of a number, as many as there is room for.
#[inline]
pub(crate) fn hex(at: &mut [u8], mut n: u64) {
    for digit in at.iter_mut().rev() {
        *digit = HEX[(n & 15) as usize];
        n >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_dirty_byte_is_seen_at_every_place() {
        for byte in 0..=u8::MAX {
            for length in [1, 7, 8, 9, 16, 21] {
                for at in 0..length {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    let dirty = !(b' '..=b'~').contains(&byte) || matches!(byte, b'"' | b'\\');
                    assert_eq!(is_clean(&text), !dirty, "{byte:#x} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn numbers() {
        for n in [0, 9, 10, 99, 100, 12_345, u64::MAX] {
            assert_eq!(text(|out| number(out, n)), n.to_string());
        }
        assert_eq!(
            text(|out| milliseconds(out, Duration::from_micros(7))),
            "0.007"
        );
        assert_eq!(
            text(|out| milliseconds(out, Duration::from_micros(1_234_560))),
            "1234.560"
        );
        assert_eq!(
            text(|out| milliseconds(out, Duration::MAX)),
            "18446744073709551.615"
        );
    }

    #[test]
    fn addresses() {
        for ip in [
            "0.0.0.0",
            "10.0.1.100",
            "255.255.255.255",
            "2001:db8::1",
            "::",
        ] {
            assert_eq!(text(|out| address(out, ip.parse().unwrap())), ip);
        }
        assert_eq!(
            text(|out| address(out, "::ffff:192.0.2.7".parse().unwrap())),
            "192.0.2.7"
        );
    }

    #[test]
    fn a_cap_leaves_characters_whole() {
        assert_eq!(capped(b"abc", 3), (&b"abc"[..], true));
        assert_eq!(capped(b"abcd", 3), (&b"abc"[..], false));
        assert_eq!(capped("ab\u{20ac}".as_bytes(), 4), (&b"ab"[..], false));
        assert_eq!(capped("a\u{1f600}".as_bytes(), 4), (&b"a"[..], false));
        assert_eq!(
            capped(&[0x80; 9], 5),
            (&[0x80; 5][..], false),
            "not UTF-8 at all"
        );
    }

    #[test]
    fn escapes() {
        assert_eq!(
            text(|out| json(out, b"a\"\\\n\0\x7f\xffz")),
            r#"a\"\\\n\u0000\u007f\ufffdz"#
        );
        assert_eq!(
            text(|out| json(out, "\u{e9}\u{9b}\u{202e}".as_bytes())),
            "\u{e9}\\u009b\\u202e"
        );
        assert_eq!(
            text(|out| plain(out, b"a \"\\\n\xff")),
            r"a \x22\x5c\x0a\xff"
        );
    }
}
