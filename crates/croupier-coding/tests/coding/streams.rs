//! What goes in comes out, however it is cut; and what was flushed can be read.

use crate::kit::{cases, decode, finish, flush, noise, push, text};
use croupier_coding::{
    Coders, Coding, Decoder, Encoder, Error, Left, Level, Limits, OUT_BYTES_MIN, SLICE_BYTES,
    decode_whole, encode_whole,
};
use proptest::prelude::*;

/// What happens to a stream.
#[derive(Clone, Debug)]
enum Act {
    Text(usize),
    Noise(usize),
    Flush,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0usize..5000).prop_map(Act::Text),
        1 => (60_000usize..150_000).prop_map(Act::Text),
        2 => (0usize..3000).prop_map(Act::Noise),
        1 => (30_000usize..90_000).prop_map(Act::Noise),
        3 => Just(Act::Flush),
    ];
    prop::collection::vec(act, 0..9)
}

proptest! {
    #![proptest_config(cases(48))]

    /// Whatever is pushed in whatever pieces, it comes out again; after every flush all of it.
    #[test]
    fn what_goes_in_comes_out(
        acts in acts(),
        coding in prop::sample::select(Coding::ALL.to_vec()),
        room in prop_oneof![Just(OUT_BYTES_MIN), 64usize..300, 4000usize..70_000],
        room_back in 64usize..40_000,
        size_is_known in any::<bool>(),
    ) {
        let whole: Vec<u8> = acts.iter().flat_map(|act| match act {
            Act::Text(bytes) => text(*bytes),
            Act::Noise(bytes) => noise(*bytes),
            Act::Flush => Vec::new(),
        }).collect();
        let size = size_is_known.then_some(whole.len() as u64);
        let mut encoder = Encoder::new(coding, Level::Fast, size).unwrap();
        let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
        let (mut at, mut seen) = (0, Vec::new());
        let mut coded = Vec::new();
        for act in &acts {
            match act {
                Act::Text(bytes) | Act::Noise(bytes) => {
                    push(&mut encoder, &whole[at..at + bytes], room, &mut coded);
                    at += bytes;
                }
                Act::Flush => {
                    flush(&mut encoder, room, &mut coded);
                    prop_assert!(!encoder.is_dirty());
                    decode(&mut decoder, &coded, room_back, &mut seen).unwrap();
                    coded.clear();
                    prop_assert!(seen == whole[..at], "what was flushed can be read");
                }
            }
        }
        finish(&mut encoder, room, &mut coded);
        decode(&mut decoder, &coded, room_back, &mut seen).unwrap();
        prop_assert!(seen == whole);
        prop_assert_eq!(decoder.finish(), Ok(()));
    }

    /// However the coded bytes arrive.
    #[test]
    fn coded_bytes_may_arrive_one_by_one(
        bytes in 0usize..3000,
        piece in 1usize..40,
        coding in prop::sample::select(Coding::ALL.to_vec()),
    ) {
        let whole = text(bytes);
        let coded = encode_whole(coding, Level::Fast, &whole).unwrap();
        let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
        let mut seen = Vec::new();
        for part in coded.chunks(piece) {
            prop_assert_eq!(decoder.finish(), Err(Error::Truncated));
            decode(&mut decoder, part, 64, &mut seen).unwrap();
        }
        prop_assert!(seen == whole);
        prop_assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn a_flush_in_the_middle_of_a_flush_costs_nothing_twice() {
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, Level::Fast, None).unwrap();
        let mut out = Vec::new();
        flush(&mut encoder, 1000, &mut out);
        assert!(out.is_empty(), "{coding:?}: nothing to flush");
        push(&mut encoder, b"event", 1000, &mut out);
        flush(&mut encoder, 1000, &mut out);
        let len = out.len();
        assert!(len > 0);
        flush(&mut encoder, 1000, &mut out);
        assert_eq!(out.len(), len, "{coding:?}: nothing new to flush");
    }
}

/// The flush of much noise needs room many times; a push and a finish in between complete it.
#[test]
fn a_flush_that_lacks_room_is_completed_by_what_follows() {
    let noise = noise(20_000);
    for coding in Coding::ALL {
        for then_push in [b"more".as_slice(), b""] {
            let mut encoder = Encoder::new(coding, Level::Fast, None).unwrap();
            let mut out = Vec::new();
            push(&mut encoder, &noise, 100_000, &mut out);
            let mut piece = [0; OUT_BYTES_MIN];
            let done = encoder.flush(&mut piece).unwrap();
            assert_eq!(done.left, Left::More, "{coding:?}");
            out.extend_from_slice(&piece[..done.produced]);
            push(&mut encoder, then_push, 100, &mut out);
            finish(&mut encoder, 100, &mut out);
            let seen = decode_whole(coding, Limits::default(), &out).unwrap();
            assert!(seen == [&noise, then_push].concat(), "{coding:?}");
        }
    }
}

#[test]
fn nothing_is_a_stream_too() {
    for coding in Coding::ALL {
        let coded = encode_whole(coding, Level::Fast, b"").unwrap();
        assert!(!coded.is_empty());
        assert_eq!(
            decode_whole(coding, Limits::default(), &coded),
            Ok(Vec::new())
        );
    }
}

#[test]
fn a_call_takes_a_slice_and_no_more() {
    let whole = text(200_000);
    let mut room = vec![0; 400_000];
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, Level::Fast, None).unwrap();
        let done = encoder.push(&whole, &mut room).unwrap();
        assert_eq!(done.consumed, SLICE_BYTES);
        let coded = encode_whole(coding, Level::Fast, &noise(100_000)).unwrap();
        let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
        assert!(decoder.push(&coded, &mut room).unwrap().consumed <= SLICE_BYTES);
    }
}

#[test]
fn too_little_room_is_said() {
    let mut room = [0; OUT_BYTES_MIN - 1];
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, Level::Fast, None).unwrap();
        assert_eq!(encoder.push(b"x", &mut room), Err(Error::NoRoom));
        let mut decoder = Decoder::new(coding, Limits::default()).unwrap();
        assert_eq!(decoder.push(b"x", &mut room), Err(Error::NoRoom));
    }
}

#[test]
fn nothing_follows_an_end() {
    let mut room = [0; 1000];
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, Level::Fast, None).unwrap();
        finish(&mut encoder, 1000, &mut Vec::new());
        assert_eq!(encoder.push(b"x", &mut room), Err(Error::Over));
        assert_eq!(encoder.flush(&mut room), Err(Error::Over));
        assert_eq!(encoder.finish(&mut room).unwrap().produced, 0);
    }
}

#[test]
fn an_encoder_begins_anew_after_whatever_it_was_in() {
    let coders = Coders::default();
    let whole = text(50_000);
    for coding in Coding::ALL {
        for left_after in [0, 1, 40_000] {
            let mut encoder = coders.lend(coding, None).unwrap();
            push(&mut encoder, &noise(left_after), 1000, &mut Vec::new());
            coders.take_back(encoder);
            let mut out = Vec::new();
            let mut encoder = coders.lend(coding, Some(50_000)).unwrap();
            push(&mut encoder, &whole, 1000, &mut out);
            finish(&mut encoder, 1000, &mut out);
            assert!(decode_whole(coding, Limits::default(), &out).unwrap() == whole);
            assert_eq!(out, encode_whole(coding, Level::Fast, &whole).unwrap());
            coders.take_back(encoder);
        }
    }
}

#[test]
fn a_wrong_hint_does_no_harm() {
    let whole = text(300_000);
    for coding in Coding::ALL {
        for size in [0, 1, 1000, u64::MAX] {
            let mut encoder = Encoder::new(coding, Level::Fast, Some(size)).unwrap();
            let mut out = Vec::new();
            push(&mut encoder, &whole, 5000, &mut out);
            finish(&mut encoder, 5000, &mut out);
            let seen = decode_whole(coding, Limits::default(), &out).unwrap();
            assert!(seen == whole, "{coding:?} {size}");
        }
    }
}

#[test]
fn strong_is_smaller_and_reads_the_same() {
    let whole = text(150_000);
    for coding in Coding::ALL {
        let fast = encode_whole(coding, Level::Fast, &whole).unwrap();
        let strong = encode_whole(coding, Level::Strong, &whole).unwrap();
        assert!(strong.len() < fast.len(), "{coding:?}");
        let seen = decode_whole(coding, Limits::default(), &strong).unwrap();
        assert!(seen == whole, "{coding:?}");
    }
}
