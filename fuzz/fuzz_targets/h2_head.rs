#![no_main]
//! A request head of HTTP/2, in its parts.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    croupier_fuzz::checks::http::h2_head::check(bytes);
});
