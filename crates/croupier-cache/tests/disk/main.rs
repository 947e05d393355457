//! The disk tier as its callers see it, with real files. One story a test; each module is a room of
//! stories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story may fail")]

mod damage;
mod full;
mod killed;
mod kit;
mod life;
mod warm;
