#![no_main]
//! `host[:port]`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    croupier_fuzz::checks::http::authority::check(bytes);
});
