//! A record: what a segment file is made of.
//!
//! ```text
//! head    80 bytes: what it is, lengths, hash, where its body lies, terms, and a sum over all of
//!         the head's parts and over where it lies
//!         key | field lines | a CRC-32 for each 64 KiB of the body
//! body    its bytes in one piece, from the next multiple of 16 on
//! ```
//!
//! The sums of the body stand in the head, so that the body can be sent by `sendfile(2)`.

use super::superblock::{Keyer, u32_at, u64_at};
use crate::{Rules, Terms};

/// Records and bodies begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 16;
/// Bytes of the fixed part.
pub(super) const FIXED: usize = 80;
/// No head is longer: an object whose key and lines do not fit is not taken.
pub(super) const HEAD_MAX: usize = 2 << 20;
/// Bytes of a body that share a sum.
pub(super) const BLOCK: usize = 64 << 10;

pub(super) const MAGIC: [u8; 4] = *b"cRec";
const SUM_AT: usize = 72;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An object with its body.
    Object,
    /// An object whose body lies in an earlier record.
    Reference,
    /// Hashes (in place of lines) of what is removed.
    Removal,
    /// Hashes of what is stale from here on.
    Stale,
    /// Here the records end; entries of a footer follow.
    Footer,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Object,
        Self::Reference,
        Self::Removal,
        Self::Stale,
        Self::Footer,
    ];

    pub(super) fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    pub(super) fn is_object(self) -> bool {
        matches!(self, Self::Object | Self::Reference)
    }
}

/// What the fixed part says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) kind: Kind,
    pub(super) status: u16,
    pub(super) key_length: u32,
    pub(super) lines_length: u32,
    pub(super) body_length: u32,
    pub(super) hash: u64,
    pub(super) body_segment: u32,
    pub(super) body_offset: u32,
    pub(super) terms: Terms,
}

impl Fixed {
    /// One without object.
    pub(super) fn plain(kind: Kind) -> Self {
        Self {
            kind,
            status: 0,
            key_length: 0,
            lines_length: 0,
            body_length: 0,
            hash: 0,
            body_segment: 0,
            body_offset: 0,
            terms: Terms::default(),
        }
    }

    /// Bytes of the sums.
    fn sums_length(&self) -> u64 {
        match self.kind {
            Kind::Object | Kind::Reference => {
                4 * u64::from(self.body_length).div_ceil(BLOCK as u64)
            }
            Kind::Removal | Kind::Stale | Kind::Footer => 0,
        }
    }

    pub(super) fn head_length(&self) -> u64 {
        let parts = u64::from(self.key_length) + u64::from(self.lines_length);
        FIXED as u64 + parts + self.sums_length()
    }

    /// From the beginning of the record to its body.
    pub(super) fn body_at(&self) -> u64 {
        self.head_length().next_multiple_of(ALIGNMENT)
    }

    /// From the beginning of the record to its last byte.
    pub(super) fn length(&self) -> u64 {
        match self.kind {
            // Nothing is written behind the head where there is no body, and nothing is expected.
            Kind::Object if self.body_length > 0 => self.body_at() + u64::from(self.body_length),
            Kind::Object | Kind::Reference | Kind::Removal | Kind::Stale | Kind::Footer => {
                self.head_length()
            }
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < FIXED || bytes[..4] != MAGIC {
            return None;
        }
        Some(Self {
            kind: Kind::from_number(bytes[4])?,
            status: u16::from_le_bytes([bytes[6], bytes[7]]),
            key_length: u32_at(bytes, 12),
            lines_length: u32_at(bytes, 16),
            body_length: u32_at(bytes, 20),
            hash: u64_at(bytes, 24),
            body_segment: u32_at(bytes, 32),
            body_offset: u32_at(bytes, 36),
            terms: Terms {
                received_ms: u64_at(bytes, 40),
                initial_age: u32_at(bytes, 48),
                lifetime: u32_at(bytes, 52),
                stale_while_revalidate: u32_at(bytes, 56),
                stale_if_error: u32_at(bytes, 60),
                rules: Rules::from_bits(u16::from_le_bytes([bytes[64], bytes[65]])),
            },
        })
    }
}

/// A head that has verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) fixed: Fixed,
    pub(super) key: &'a [u8],
    pub(super) lines: &'a [u8],
    pub(super) sums: &'a [u8],
}

/// Bytes of the head that begins here, if one seems to.
pub(super) fn head_length(bytes: &[u8]) -> Option<usize> {
    let length = Fixed::decode(bytes)?.head_length();
    let length = usize::try_from(length).ok()?;
    (length <= HEAD_MAX && u32_at(bytes, 8) as usize == length).then_some(length)
}

/// The head at `offset` of `segment`; `bytes` begin there. `None` if it is not whole or not ours.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    segment: u32,
    offset: u32,
    keyer: &Keyer,
) -> Option<Head<'a>> {
    let head = bytes.get(..head_length(bytes)?)?;
    let sum = keyer.sum(segment, offset, &[&head[..SUM_AT], &head[FIXED..]]);
    if sum != u64_at(head, SUM_AT) {
        return None;
    }
    // What follows was written by us: the sum says so.
    let fixed = Fixed::decode(head)?;
    let (key, rest) = head[FIXED..].split_at_checked(fixed.key_length as usize)?;
    let (lines, sums) = rest.split_at_checked(fixed.lines_length as usize)?;
    Some(Head {
        fixed,
        key,
        lines,
        sums,
    })
}

/// Appends a sealed head for `offset` of `segment`. The lengths in `fixed` are those of the parts.
pub(super) fn encode(
    into: &mut Vec<u8>,
    head: &Head<'_>,
    segment: u32,
    offset: u32,
    keyer: &Keyer,
) {
    let start = into.len();
    let fixed = &head.fixed;
    into.extend_from_slice(&MAGIC);
    into.extend_from_slice(&[fixed.kind.number(), 0]);
    into.extend_from_slice(&fixed.status.to_le_bytes());
    // Bounded by `HEAD_MAX`: who calls has checked it.
    into.extend_from_slice(&(fixed.head_length() as u32).to_le_bytes());
    into.extend_from_slice(&fixed.key_length.to_le_bytes());
    into.extend_from_slice(&fixed.lines_length.to_le_bytes());
    into.extend_from_slice(&fixed.body_length.to_le_bytes());
    into.extend_from_slice(&fixed.hash.to_le_bytes());
    into.extend_from_slice(&fixed.body_segment.to_le_bytes());
    into.extend_from_slice(&fixed.body_offset.to_le_bytes());
    let terms = &fixed.terms;
    into.extend_from_slice(&terms.received_ms.to_le_bytes());
    into.extend_from_slice(&terms.initial_age.to_le_bytes());
    into.extend_from_slice(&terms.lifetime.to_le_bytes());
    into.extend_from_slice(&terms.stale_while_revalidate.to_le_bytes());
    into.extend_from_slice(&terms.stale_if_error.to_le_bytes());
    into.extend_from_slice(&terms.rules.bits().to_le_bytes());
    into.extend_from_slice(&[0; 6]);
    let parts: [&[u8]; 4] = [&into[start..], head.key, head.lines, head.sums];
    let sum = keyer.sum(segment, offset, &parts);
    into.extend_from_slice(&sum.to_le_bytes());
    into.extend_from_slice(head.key);
    into.extend_from_slice(head.lines);
    into.extend_from_slice(head.sums);
}

/// The sums of a body.
pub(super) fn sums(body: &[u8]) -> Vec<u8> {
    let blocks = body.chunks(BLOCK);
    blocks
        .flat_map(|block| crc32fast::hash(block).to_le_bytes())
        .collect()
}

/// Are these the bytes of block `number`?
pub(super) fn is_block(block: &[u8], number: usize, sums: &[u8]) -> bool {
    let sum = sums.get(number * 4..number * 4 + 4);
    sum.is_some_and(|sum| sum == crc32fast::hash(block).to_le_bytes())
}

/// Is this the body of these sums?
pub(super) fn is_body(body: &[u8], sums: &[u8]) -> bool {
    let mut blocks = body.chunks(BLOCK).enumerate();
    blocks.all(|(number, block)| is_block(block, number, sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head<'a>(key: &'a [u8], lines: &'a [u8], body: &[u8], sums: &'a [u8]) -> Head<'a> {
        Head {
            fixed: Fixed {
                status: 203,
                key_length: key.len() as u32,
                lines_length: lines.len() as u32,
                body_length: body.len() as u32,
                hash: 77,
                body_segment: 3,
                body_offset: 4096,
                terms: Terms {
                    received_ms: 1 << 41,
                    initial_age: 1,
                    lifetime: 2,
                    stale_while_revalidate: 3,
                    stale_if_error: 4,
                    rules: Rules::IMMUTABLE,
                },
                ..Fixed::plain(Kind::Object)
            },
            key,
            lines,
            sums,
        }
    }

    #[test]
    fn a_head_comes_back_as_it_was_and_only_from_where_it_was_put() {
        let keyer = Keyer::new();
        let body = vec![5; BLOCK + 1];
        let sums = sums(&body);
        let head = head(b"a\0key", b"etag: \"1\"\r\n", &body, &sums);
        let mut bytes = Vec::new();
        encode(&mut bytes, &head, 3, 160, &keyer);
        assert_eq!(bytes.len() as u64, head.fixed.head_length());
        let back = decode(&bytes, 3, 160, &keyer).unwrap();
        assert_eq!(back.fixed, head.fixed);
        assert_eq!((back.key, back.lines), (head.key, head.lines));
        assert!(is_body(&body, back.sums));
        assert!(!is_body(&[5; BLOCK], &back.sums[4..]));
        assert!(decode(&bytes, 4, 160, &keyer).is_none());
        assert!(decode(&bytes, 3, 176, &keyer).is_none());
        assert!(decode(&bytes, 3, 160, &Keyer::new()).is_none());
    }

    #[test]
    fn a_head_with_any_bad_byte_or_cut_anywhere_is_none() {
        let keyer = Keyer::new();
        let sums = sums(b"body");
        let mut bytes = Vec::new();
        let whole = head(b"key", b"age: 1\r\n", b"body", &sums);
        encode(&mut bytes, &whole, 0, 0, &keyer);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert!(
                    decode(&bytes, 0, 0, &keyer).is_none(),
                    "byte {at} bit {bit}"
                );
                bytes[at] ^= 1 << bit;
            }
            assert!(decode(&bytes[..at], 0, 0, &keyer).is_none(), "cut at {at}");
        }
        assert!(decode(&bytes, 0, 0, &keyer).is_some());
    }
}
