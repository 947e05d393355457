//! Encoding and decoding with a dictionary of raw bytes, whole bodies at once.

use ::brotli::{
    Allocator as _, BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc,
    SliceWrapperMut as _,
};
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer};

use super::Shared;
use crate::{Error, Left, brotli, encode::Until, zstd};

/// Largest dictionary: a window that a client must have grows with it (RFC 9842 section 5), and
/// so does the encoder's memory.
pub(crate) const DICTIONARY_BYTES_MAX: usize = 50 << 20;

/// Encodes all of `input` against `dictionary`, whose SHA-256 is `hash`. As hard as it can: seconds
/// for a few megabytes. Not on a thread that serves.
///
/// # Errors
/// [`Error::TooLarge`] for a dictionary above 50 MiB. [`Error::Refused`] when there is no memory, and
/// for the few texts that the brotli library can not code against a dictionary; `dcz` codes them.
pub fn encode(
    shared: Shared,
    dictionary: &[u8],
    hash: &[u8; 32],
    input: &[u8],
) -> Result<Vec<u8>, Error> {
    if dictionary.len() > DICTIONARY_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let mut out = Vec::from(shared.magic());
    out.extend_from_slice(hash);
    match shared {
        Shared::Dcb => out.extend(encode_brotli(dictionary, input)?),
        Shared::Dcz => out.extend(encode_zstd(dictionary, input)?),
    }
    Ok(out)
}

const PIECE_BYTES: usize = 64 << 10;

fn encode_zstd(dictionary: &[u8], input: &[u8]) -> Result<Vec<u8>, Error> {
    let mut context = CCtx::try_create().ok_or(Error::Refused)?;
    let reach = (dictionary.len() + input.len()) as u64;
    let log = zstd::window_log(reach).clamp(zstd::WINDOW_LOG_MIN, window_log_max(dictionary));
    for parameter in [
        CParameter::CompressionLevel(zstd::STRONG),
        CParameter::WindowLog(log),
        CParameter::EnableLongDistanceMatching(true),
    ] {
        context
            .set_parameter(parameter)
            .map_err(|_| Error::Refused)?;
    }
    context.ref_prefix(dictionary).map_err(|_| Error::Refused)?;
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(input.len()));
    context
        .compress2(&mut coded, input)
        .map_err(|_| Error::Refused)?;
    Ok(coded)
}

/// 8 MiB, or five quarters of the dictionary if that is more, and never above 128 MiB: what a
/// client of `dcz` must be able to hold (RFC 9842 section 5).
fn window_log_max(dictionary: &[u8]) -> u32 {
    let most = (dictionary.len() as u64 * 5 / 4).max(1 << zstd::WINDOW_LOG_MAX);
    most.ilog2().min(27)
}

/// The library's encoder has its dictionary in the window, as if it had been sent before. That
/// makes streams of RFC 9842, but for a copy that begins in the dictionary and ends behind it,
/// which no decoder takes: a text that goes on as its dictionary ends gets one. So what was made is
/// read before it is given. Only at this quality: at lower ones the library panics now and then.
fn encode_brotli(dictionary: &[u8], input: &[u8]) -> Result<Vec<u8>, Error> {
    let coded = encode_brotli_unread(dictionary, input)?;
    let read = decode_brotli(dictionary, input.len(), &coded);
    if read.is_ok_and(|read| read == input) {
        Ok(coded)
    } else {
        Err(Error::Refused)
    }
}

fn encode_brotli_unread(dictionary: &[u8], input: &[u8]) -> Result<Vec<u8>, Error> {
    let reach = (dictionary.len() + input.len()) as u64 + 16;
    let log = zstd::window_log(reach).clamp(16, brotli::WINDOW_LOG_MAX);
    let mut state = brotli::set_up(brotli::STRONG, log, Some(input.len() as u64));
    state.set_custom_dictionary(dictionary.len(), dictionary);
    let mut encoder = brotli::Encoder::with(state);
    let mut piece = vec![0; PIECE_BYTES];
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        let rest = &input[at..];
        let until = if rest.is_empty() {
            Until::Finished
        } else {
            Until::Taken
        };
        let done = encoder.code(rest, &mut piece, until)?;
        at += done.consumed;
        out.extend_from_slice(&piece[..done.produced]);
        if until == Until::Finished && done.left == Left::Nothing {
            return Ok(out);
        }
    }
}

/// Decodes all of `coded`, which must be coded against this dictionary and name its hash.
///
/// # Errors
/// [`Error::Corrupt`] for another dictionary's hash, too; [`Error::TooLarge`] above `bytes_max`.
pub fn decode(
    shared: Shared,
    dictionary: &[u8],
    hash: &[u8; 32],
    bytes_max: usize,
    coded: &[u8],
) -> Result<Vec<u8>, Error> {
    let coded = coded.strip_prefix(shared.magic());
    let coded = coded.and_then(|coded| coded.strip_prefix(hash));
    let coded = coded.ok_or(Error::Corrupt)?;
    match shared {
        Shared::Dcb => decode_brotli(dictionary, bytes_max, coded),
        Shared::Dcz => decode_zstd(dictionary, bytes_max, coded),
    }
}

fn decode_zstd(dictionary: &[u8], bytes_max: usize, coded: &[u8]) -> Result<Vec<u8>, Error> {
    let mut context = DCtx::try_create().ok_or(Error::Refused)?;
    let window = DParameter::WindowLogMax(window_log_max(dictionary));
    context.set_parameter(window).map_err(|_| Error::Refused)?;
    context.ref_prefix(dictionary).map_err(|_| Error::Refused)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut out = Vec::new();
    let mut input = InBuffer::around(coded);
    loop {
        let mut room = OutBuffer::around(piece.as_mut_slice());
        let wants = context.decompress_stream(&mut room, &mut input);
        let wants = wants.map_err(|_| Error::Corrupt)?;
        let produced = room.pos();
        out.extend_from_slice(&piece[..produced]);
        let is_all = input.pos() == coded.len();
        match wants {
            _ if out.len() > bytes_max => return Err(Error::TooLarge),
            0 if is_all => return Ok(out),
            0 => return Err(Error::Trailing),
            _ if is_all && produced < PIECE_BYTES => return Err(Error::Truncated),
            _ => {}
        }
    }
}

fn decode_brotli(dictionary: &[u8], bytes_max: usize, coded: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = HeapAlloc::<u8>::default();
    let mut copy = bytes.alloc_cell(dictionary.len());
    copy.slice_mut().copy_from_slice(dictionary);
    let mut state = BrotliState::new_strict(bytes, HeapAlloc::default(), HeapAlloc::default());
    if !dictionary.is_empty() && !state.attach_dictionary(copy) {
        return Err(Error::Refused);
    }
    let mut piece = vec![0; PIECE_BYTES];
    let mut out = Vec::new();
    let (mut waits, mut at) = (coded.len(), 0);
    loop {
        let (mut room, mut produced, mut total) = (piece.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut waits,
            &mut at,
            coded,
            &mut room,
            &mut produced,
            &mut piece,
            &mut total,
            &mut state,
        );
        out.extend_from_slice(&piece[..produced]);
        match result {
            _ if out.len() > bytes_max => return Err(Error::TooLarge),
            BrotliResult::ResultSuccess if at == coded.len() => return Ok(out),
            BrotliResult::ResultSuccess => return Err(Error::Trailing),
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput => return Err(Error::Truncated),
            BrotliResult::ResultFailure => return Err(Error::Corrupt),
        }
    }
}
