//! Programs that others wrote read what we made, and we read what they made: `gzip`, `zstd`,
//! `brotli` and Node's zlib. One that is not installed is passed over.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use crate::kit::{finish, flush, noise, push, text};
use croupier_coding::{Coding, Encoder, Level, Limits, decode_whole, encode_whole};

/// What a program writes when it is given `input`; None when it is not there.
pub(crate) fn through(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {args:?} failed");
    writer.join().unwrap().unwrap();
    Some(output.stdout)
}

const NODE: &str = "const z = require('zlib'); const i = require('fs').readFileSync(0); \
                    process.stdout.write(z.METHOD(i))";

fn by_node(method: &str, input: &[u8]) -> Option<Vec<u8>> {
    through("node", &["-e", &NODE.replace("METHOD", method)], input)
}

fn samples() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        b"x".to_vec(),
        text(300_000),
        [noise(70_000), text(1000)].concat(),
    ]
}

/// Coded in pieces with flushes between them.
fn coded(coding: Coding, level: Level, whole: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(coding, level, None).unwrap();
    let mut out = Vec::new();
    for part in whole.chunks(whole.len() / 3 + 1) {
        push(&mut encoder, part, 5000, &mut out);
        flush(&mut encoder, 5000, &mut out);
    }
    finish(&mut encoder, 5000, &mut out);
    out
}

#[test]
fn others_read_what_we_made() {
    for level in [Level::Fast, Level::Strong] {
        for whole in samples() {
            let made = |coding| coded(coding, level, &whole);
            let read = [
                through("gzip", &["-dc"], &made(Coding::Gzip)),
                through("zstd", &["-dc"], &made(Coding::Zstd)),
                through("brotli", &["-dc"], &made(Coding::Brotli)),
                by_node("gunzipSync", &made(Coding::Gzip)),
                by_node("brotliDecompressSync", &made(Coding::Brotli)),
            ];
            for (at, read) in read.into_iter().enumerate() {
                assert!(
                    read.is_none_or(|read| read == whole),
                    "program {at}, {level:?}"
                );
            }
        }
    }
}

#[test]
fn we_read_what_others_made() {
    for whole in samples() {
        let read = |coding, made: Option<Vec<u8>>| {
            made.map(|made| decode_whole(coding, Limits::default(), &made))
        };
        let seen = [
            read(Coding::Gzip, through("gzip", &["-c"], &whole)),
            read(Coding::Zstd, through("zstd", &["-c"], &whole)),
            read(Coding::Zstd, through("zstd", &["-c", "-19"], &whole)),
            read(Coding::Brotli, through("brotli", &["-c"], &whole)),
            read(Coding::Gzip, by_node("gzipSync", &whole)),
            read(Coding::Brotli, by_node("brotliCompressSync", &whole)),
        ];
        for (at, seen) in seen.into_iter().enumerate() {
            assert!(
                seen.is_none_or(|seen| seen == Ok(whole.clone())),
                "program {at}"
            );
        }
    }
}

/// RFC 9659: the window that a frame asks for is in its head.
#[test]
fn no_client_needs_more_than_eight_mebibytes() {
    let whole = text(9 << 20);
    let mut encoder = Encoder::new(Coding::Zstd, Level::Strong, None).unwrap();
    let mut out = Vec::new();
    push(&mut encoder, &whole[..100_000], 100_000, &mut out);
    finish(&mut encoder, 100_000, &mut out);
    assert_eq!(out[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(out[4] & 0x20, 0, "not a single segment");
    assert!(out[5] >> 3 <= 13, "2^(10 + 13) is 8 MiB");
    let known = encode_whole(Coding::Zstd, Level::Fast, &whole).unwrap();
    assert_eq!(known[4] & 0x20, 0);
    assert!(known[5] >> 3 <= 13);
}
