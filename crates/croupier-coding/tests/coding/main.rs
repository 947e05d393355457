//! The codings as their users see them: streams, what harms, what others make, dictionaries.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a story may fail")]

mod dictionary;
mod hostile;
mod kit;
mod others;
mod streams;
