//! What the fuzz targets check, one file a target.
//!
//! `crates/croupier-http/tests/corpus.rs` includes `checks/http` by path and replays the corpora
//! through it in every test run, so these files use nothing but the standard library and the
//! crate they judge.

pub mod checks;
