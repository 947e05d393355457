//! The store as its callers see it. One story a test; each module is a room of stories.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a story may fail")]

mod below;
mod bodies;
mod collapsing;
mod forms;
mod kit;
mod model;
mod purging;
mod threads;
mod told;
mod trace;
mod variants;
mod weight;
