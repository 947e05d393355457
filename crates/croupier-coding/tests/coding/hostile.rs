//! Who sends coded bytes may mean harm: no bomb, no cut, no addition goes through, and nothing
//! makes a decoder panic or hang.

use crate::kit::{cases, decode, noise, text};
use croupier_coding::{Coding, Decoder, Error, Level, Limits, decode_whole, encode_whole};
use proptest::prelude::*;

fn bomb(coding: Coding) -> Vec<u8> {
    encode_whole(coding, Level::Fast, &vec![0; 64 << 20]).unwrap()
}

#[test]
fn a_bomb_is_stopped_by_what_it_gives_for_each_byte() {
    for coding in [Coding::Brotli, Coding::Zstd] {
        let bomb = bomb(coding);
        let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
        let mut seen = Vec::new();
        let result = decode(&mut decoder, &bomb, 16 << 10, &mut seen);
        assert_eq!(result, Err(Error::Bomb), "{coding:?}");
        assert!(seen.len() < 34 << 20, "{coding:?} {}", seen.len());
        assert_eq!(decoder.push(b"", &mut [0; 100]), Err(Error::Bomb));
        assert_eq!(decoder.finish(), Err(Error::Bomb));
    }
    // gzip gives a thousand for one at most: a tighter bound is needed to call that a bomb.
    let limits = Limits {
        ratio: 100,
        ..Limits::default()
    };
    let result = decode_whole(Coding::Gzip, limits, &bomb(Coding::Gzip));
    assert_eq!(result, Err(Error::Bomb));
}

#[test]
fn a_bomb_is_stopped_by_its_size() {
    for coding in Coding::ALL {
        let limits = Limits {
            bytes: 500_000,
            ratio: u32::MAX,
        };
        let mut decoder = Decoder::new(coding, limits).unwrap();
        let mut seen = Vec::new();
        let result = decode(&mut decoder, &bomb(coding), 16 << 10, &mut seen);
        assert_eq!(result, Err(Error::TooLarge), "{coding:?}");
        assert!(seen.len() <= 500_000);
        let coded = encode_whole(coding, Level::Fast, &text(500_000)).unwrap();
        assert!(
            decode_whole(coding, limits, &coded).is_ok(),
            "{coding:?}: so much may be"
        );
    }
}

#[test]
fn a_small_text_may_shrink_as_it_likes() {
    for coding in Coding::ALL {
        let limits = Limits {
            ratio: 1,
            ..Limits::default()
        };
        let coded = encode_whole(coding, Level::Fast, &vec![b'a'; 1 << 20]).unwrap();
        assert!(decode_whole(coding, limits, &coded).is_ok(), "{coding:?}");
    }
}

#[test]
fn a_window_that_no_client_has_is_refused() {
    // A frame with a window of 16 MiB: descriptor 0, window byte (24 - 10) << 3.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 14 << 3, 1, 0, 0];
    assert_eq!(
        decode_whole(Coding::Zstd, Limits::default(), &frame),
        Err(Error::Corrupt)
    );
    // brotli with a large window, which is not of RFC 7932.
    let stream = [0x11, 0x1e, 3, 0, 0, 0];
    assert_eq!(
        decode_whole(Coding::Brotli, Limits::default(), &stream),
        Err(Error::Corrupt)
    );
}

#[test]
fn a_cut_stream_is_told_from_a_whole_one() {
    for coding in Coding::ALL {
        let coded = encode_whole(coding, Level::Fast, &text(2000)).unwrap();
        for end in 0..coded.len() {
            let result = decode_whole(coding, Limits::default(), &coded[..end]);
            assert_eq!(result, Err(Error::Truncated), "{coding:?} {end}");
        }
    }
}

#[test]
fn nothing_but_another_member_follows_the_end() {
    for coding in Coding::ALL {
        let mut coded = encode_whole(coding, Level::Fast, b"one").unwrap();
        for trail in [&b"x"[..], b"\0", b"garbage and more", b"\x1f\x8c"] {
            let result = decode_whole(coding, Limits::default(), &[&coded, trail].concat());
            assert!(
                matches!(
                    result,
                    Err(Error::Trailing | Error::Corrupt | Error::Truncated)
                ),
                "{coding:?} {trail:?} {result:?}"
            );
        }
        coded.extend(encode_whole(coding, Level::Fast, b", two").unwrap());
        let expected = match coding {
            Coding::Gzip | Coding::Zstd => Ok(b"one, two".to_vec()),
            Coding::Brotli => Err(Error::Trailing),
        };
        assert_eq!(decode_whole(coding, Limits::default(), &coded), expected);
    }
}

#[test]
fn a_wrong_checksum_is_seen() {
    let mut coded = encode_whole(Coding::Gzip, Level::Fast, b"text").unwrap();
    let at = coded.len() - 8;
    coded[at] ^= 1;
    assert_eq!(
        decode_whole(Coding::Gzip, Limits::default(), &coded),
        Err(Error::Corrupt)
    );
}

#[test]
fn one_coding_is_not_another() {
    for made in Coding::ALL {
        let coded = encode_whole(made, Level::Fast, &text(5000)).unwrap();
        for read in Coding::ALL.into_iter().filter(|read| *read != made) {
            let result = decode_whole(read, Limits::default(), &coded);
            assert!(result.is_err(), "{made:?} read as {read:?}");
        }
    }
}

fn limits() -> Limits {
    Limits {
        bytes: 1 << 20,
        ratio: 1000,
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn anything_may_arrive(
        coding in prop::sample::select(Coding::ALL.to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        room in 64usize..500,
    ) {
        let mut decoder = Decoder::new(coding, limits()).unwrap();
        let mut seen = Vec::new();
        let _ = decode(&mut decoder, &bytes, room, &mut seen).and_then(|()| decoder.finish());
    }

    /// Behind a beginning that is lawful, random bytes come further.
    #[test]
    fn anything_may_happen_to_a_stream(
        coding in prop::sample::select(Coding::ALL.to_vec()),
        mix in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        room in 64usize..5000,
    ) {
        let whole = if mix { [text(3000), noise(500)].concat() } else { text(20_000) };
        let mut coded = encode_whole(coding, Level::Fast, &whole).unwrap();
        for (at, byte) in changes {
            let at = at.index(coded.len());
            coded[at] = byte;
        }
        let mut decoder = Decoder::new(coding, limits()).unwrap();
        let mut seen = Vec::new();
        let _ = decode(&mut decoder, &coded, room, &mut seen).and_then(|()| decoder.finish());
        prop_assert!(seen.len() <= 1 << 20);
    }
}
