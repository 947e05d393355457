#![no_main]
//! Configuration text.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| croupier_fuzz::checks::config::check(bytes));
