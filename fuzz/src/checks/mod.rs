//! One file a target; `http` is shared with the tests of `croupier-http`.

pub mod config;
pub mod http;
