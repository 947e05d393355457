//! The access log: one line for every finished exchange.
//!
//! In story order: `format` (which line), `json`, `combined`, `terminal`, `template` (how it is
//! written), `buffer` (a worker's own lines), `queue` (how full buffers leave the worker), `writer` (the
//! one thread that takes them), `sink` (where they go). A worker never waits: when the writer cannot
//! keep up, whole buffers are dropped and their lines counted.

mod buffer;
mod combined;
mod format;
mod json;
mod queue;
mod sink;
mod template;
mod terminal;
mod writer;

#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod writer_tests;

pub use buffer::LogBuffer;
pub use format::{Color, Format};
pub use queue::AccessLog;
pub use sink::Sink;
pub use template::Template;

/// Bytes of one field in a line; the rest is cut off and marked.
const FIELD_BYTES: usize = 2048;
