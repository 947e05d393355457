#![no_main]
//! Who the client is, told by proxies.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    croupier_fuzz::checks::http::forwarded::check(bytes);
});
