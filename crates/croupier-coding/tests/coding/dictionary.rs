//! An answer coded against the one that a client already has (RFC 9842).

use std::{env, fs, process};

use croupier_coding::{
    Coding, Error, Level,
    dictionary::{Shared, decode, encode},
    encode_whole,
};
use proptest::prelude::*;

use crate::{
    kit::{cases, noise, text},
    others::through,
};

/// Any 32 bytes do: who makes a hash is not this crate.
const HASH: [u8; 32] = *b"this is as long as a hash is, 32";

/// A version of a text with changes here and there.
fn changed(old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    for at in (0..new.len()).step_by(5000) {
        new.splice(at..at, b"/* changed */".iter().copied());
    }
    new
}

#[test]
fn a_new_version_costs_what_changed() {
    let old = noise(200_000); // nothing in it helps with itself
    let new = changed(&old);
    for shared in Shared::ALL {
        let coded = encode(shared, &old, &HASH, &new).unwrap();
        assert!(coded.len() < 2000, "{shared:?} {}", coded.len());
        assert!(decode(shared, &old, &HASH, 1 << 20, &coded).unwrap() == new);
    }
}

#[test]
fn a_stream_begins_as_the_standard_says() {
    let starts = [
        (Shared::Dcb, &[0xff, 0x44, 0x43, 0x42][..]),
        (Shared::Dcz, &[0x5e, 0x2a, 0x4d, 0x18, 0x20, 0, 0, 0]),
    ];
    for (shared, start) in starts {
        let coded = encode(shared, b"old", &HASH, b"new").unwrap();
        assert_eq!(coded[..start.len() + 32], [start, &HASH].concat());
    }
}

#[test]
fn another_dictionary_does_not_do() {
    let old = text(20_000);
    for shared in Shared::ALL {
        let coded = encode(shared, &old, &HASH, &changed(&old)).unwrap();
        let decode = |dictionary: &[u8], hash: &[u8; 32], bytes, coded: &[u8]| {
            decode(shared, dictionary, hash, bytes, coded)
        };
        assert_eq!(decode(&old, &[0; 32], 1 << 20, &coded), Err(Error::Corrupt));
        assert_eq!(
            decode(&old, &HASH, 1 << 20, &coded[..30]),
            Err(Error::Corrupt)
        );
        assert_eq!(decode(&old, &HASH, 100, &coded), Err(Error::TooLarge));
        assert_eq!(
            decode(&old, &HASH, 1 << 20, &coded[..coded.len() - 1]),
            Err(Error::Truncated)
        );
        let more = [&coded[..], b"x"].concat();
        assert!(decode(&old, &HASH, 1 << 20, &more).is_err());
    }
}

#[test]
fn a_dictionary_that_is_too_large_is_refused() {
    let large = vec![0; (50 << 20) + 1];
    for shared in Shared::ALL {
        let coded = encode(shared, &large, &HASH, b"text");
        assert_eq!(coded, Err(Error::TooLarge));
    }
}

/// The other's decoder knows nothing of the hash: to it the frame with it is one to be skipped.
#[test]
fn the_reference_program_reads_dcz() {
    let old = text(300_000);
    let new = changed(&old);
    let path = env::temp_dir().join(format!("croupier-coding-{}.dictionary", process::id()));
    fs::write(&path, &old).unwrap();
    let coded = encode(Shared::Dcz, &old, &HASH, &new).unwrap();
    let patch = format!("--patch-from={}", path.display());
    let read = through("zstd", &["-dc", &patch], &coded);
    fs::remove_file(&path).unwrap();
    assert!(read.is_none_or(|read| read == new));
}

/// A window of the dictionary and the text together, but none that a client need not have.
#[test]
fn no_client_needs_a_larger_window_than_the_standard_says() {
    let old = vec![b'o'; 9 << 20];
    let coded = encode(Shared::Dcz, &old, &HASH, &vec![b'n'; 9 << 20]).unwrap();
    let frame = &coded[40..];
    assert_eq!(frame[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(frame[4] & 0x20, 0, "not a single segment");
    assert!(
        frame[5] >> 3 <= 13,
        "8 MiB is less than 5/4 of 9 MiB, 16 MiB is more"
    );
}

/// The library copies over the end of the dictionary into the text, which no decoder takes.
#[test]
fn a_text_that_goes_on_as_its_dictionary_ends_is_no_broken_stream() {
    for (old, new) in [
        ("abcabc", "abc"),
        ("hello, world. hello, ", "world. hello, "),
    ] {
        let new = new.repeat(30).into_bytes();
        match encode(Shared::Dcb, old.as_bytes(), &HASH, &new) {
            Ok(coded) => {
                let seen = decode(Shared::Dcb, old.as_bytes(), &HASH, 1000, &coded);
                assert_eq!(seen, Ok(new.clone()));
            }
            Err(error) => assert_eq!(error, Error::Refused),
        }
        let coded = encode(Shared::Dcz, old.as_bytes(), &HASH, &new).unwrap();
        assert_eq!(
            decode(Shared::Dcz, old.as_bytes(), &HASH, 1000, &coded),
            Ok(new)
        );
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn what_goes_in_comes_out(
        shared in prop::sample::select(Shared::ALL.to_vec()),
        old in prop_oneof![
            (0usize..20).prop_map(noise),
            (0usize..3000).prop_map(noise),
            (0usize..30_000).prop_map(text),
        ],
        cut in any::<prop::sample::Index>(),
        fresh in prop_oneof![(0usize..50).prop_map(noise), (0usize..20_000).prop_map(text)],
        again in 0usize..3,
    ) {
        let at = if old.is_empty() { 0 } else { cut.index(old.len()) };
        let mut new = [&old[at..], &fresh, &old[..at]].concat();
        for _ in 0..again {
            new.extend_from_within(..);
        }
        match encode(shared, &old, &HASH, &new) {
            Ok(coded) => {
                let seen = decode(shared, &old, &HASH, new.len(), &coded);
                prop_assert!(seen == Ok(new));
            }
            // What the library can not do is refused, not given: see `encode`.
            Err(error) => prop_assert_eq!((shared, error), (Shared::Dcb, Error::Refused)),
        }
    }
}

#[test]
fn a_script_shrinks_more_with_its_former_version() {
    let old = text(100_000);
    let new = changed(&old);
    let alone = [(Shared::Dcb, Coding::Brotli), (Shared::Dcz, Coding::Zstd)];
    for (shared, coding) in alone {
        let with = encode(shared, &old, &HASH, &new).unwrap().len();
        let without = encode_whole(coding, Level::Strong, &new).unwrap().len();
        assert!(with * 10 < without, "{shared:?} {with} {without}");
    }
}
