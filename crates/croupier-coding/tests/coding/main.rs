//! The codings as their users see them: streams, what harms, what others make, dictionaries.

mod dictionary;
mod hostile;
mod kit;
mod others;
mod streams;
