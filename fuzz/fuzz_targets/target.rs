#![no_main]
//! Request targets and paths.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    croupier_fuzz::checks::http::target::check(bytes);
});
