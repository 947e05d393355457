//! The first page of a cache directory: which layout it has, and the secret by which its keys are
//! hashed and its heads are sealed. Written once, in two copies, so that one bad byte costs nothing.

use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip::SipHasher13;

/// The layout that this code writes. Any change of records, footers or this page is a new one.
pub(super) const VERSION: u32 = 1;
/// Bytes of the file.
pub(super) const PAGE: usize = 4096;

const MAGIC: &[u8; 8] = b"croupier";
const COPIES: [usize; 2] = [0, PAGE / 2];
const SUM_AT: usize = 32;
const LENGTH: usize = 40;

/// Hashes keys and seals heads. A key hash is never shown to clients, and who does not know the
/// secret can neither choose keys that collide nor write a body that passes for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keyer {
    secret: [u64; 2],
    /// All ones, but in tests of collisions.
    mask: u64,
}

impl Keyer {
    pub(super) fn new() -> Self {
        // The keys of the standard library's hasher come from the system's random numbers.
        let random = || RandomState::new().build_hasher().finish();
        Self {
            secret: [random(), random()],
            mask: u64::MAX,
        }
    }

    #[cfg(test)]
    pub(super) fn with_mask(self, mask: u64) -> Self {
        Self { mask, ..self }
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.secret[0], self.secret[1]).hash(key) & self.mask
    }

    /// Seals bytes that lie at `offset` of `segment`: moved elsewhere they do not verify.
    pub(super) fn sum(&self, segment: u32, offset: u32, bytes: &[&[u8]]) -> u64 {
        // Another key than that of `hash`: a known hash says nothing about a sum.
        let mut hasher = SipHasher13::new_with_keys(self.secret[0], !self.secret[1]);
        hasher.write(&segment.to_le_bytes());
        hasher.write(&offset.to_le_bytes());
        for part in bytes {
            hasher.write(part);
        }
        hasher.finish()
    }
}

pub(super) fn encode(keyer: &Keyer) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let mut copy = Vec::with_capacity(LENGTH);
    copy.extend_from_slice(MAGIC);
    copy.extend_from_slice(&VERSION.to_le_bytes());
    copy.extend_from_slice(&[0; 4]);
    copy.extend_from_slice(&keyer.secret[0].to_le_bytes());
    copy.extend_from_slice(&keyer.secret[1].to_le_bytes());
    copy.extend_from_slice(&own_sum(&copy).to_le_bytes());
    for at in COPIES {
        page[at..at + LENGTH].copy_from_slice(&copy);
    }
    page
}

/// The keyer of a page of ours, or the version that it claims to have, if it claims one.
pub(super) fn decode(page: &[u8]) -> Result<Keyer, Option<u32>> {
    let mut version = None;
    for at in COPIES {
        let Some(copy) = page.get(at..at + LENGTH) else {
            continue;
        };
        if !copy.starts_with(MAGIC) {
            continue;
        }
        let claimed = u32_at(copy, 8);
        let is_whole = u64_at(copy, SUM_AT) == own_sum(&copy[..SUM_AT]);
        if is_whole && claimed == VERSION {
            return Ok(Keyer {
                secret: [u64_at(copy, 16), u64_at(copy, 24)],
                mask: u64::MAX,
            });
        }
        if claimed != VERSION {
            version = version.or(Some(claimed));
        }
    }
    Err(version)
}

fn own_sum(bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(0, 0).hash(bytes)
}

/// Little-endian numbers of bytes whose length was checked; 0 beyond their end.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_le_bytes(four.unwrap_or_default())
}

/// See [`u32_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes
        .get(at..at + 8)
        .and_then(|eight| eight.try_into().ok());
    u64::from_le_bytes(eight.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_bad_byte_in_the_first_page_changes_nothing() {
        let keyer = Keyer::new();
        let page = encode(&keyer);
        assert_eq!(decode(&page), Ok(keyer));
        for at in 0..page.len() {
            let mut bad = page.clone();
            bad[at] ^= 0x41;
            assert_eq!(decode(&bad), Ok(keyer), "byte {at}");
        }
    }

    #[test]
    fn another_version_is_named_and_a_ruin_is_not() {
        let mut page = encode(&Keyer::new());
        for at in COPIES {
            page[at + 8] = 9;
        }
        assert_eq!(decode(&page), Err(Some(9)));
        assert_eq!(decode(&page[..100]), Err(Some(9)));
        assert_eq!(decode(&[0; PAGE]), Err(None));
        assert_eq!(decode(b""), Err(None));
    }
}
