#![no_main]
//! Chunked bodies against a second reading.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    croupier_fuzz::checks::http::chunked::check(bytes);
});
