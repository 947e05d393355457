//! The rules of the cache, clause by clause: RFC 9111 and its companions.

#![expect(clippy::unwrap_used, reason = "a story may fail")]

mod asking;
mod conditional;
mod differential;
mod freshness;
mod giving;
mod invalidate;
mod laws;
mod range;
mod scene;
mod status;
mod storing;
mod update;
mod vary;
