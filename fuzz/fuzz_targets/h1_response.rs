#![no_main]
//! The head of an origin's answer.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    croupier_fuzz::checks::http::h1_response::check(bytes);
});
