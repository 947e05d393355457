#![no_main]
//! A client's byte stream, message after message.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    croupier_fuzz::checks::http::h1_request::check(bytes);
});
