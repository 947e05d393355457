//! croupier-config: text in, a checked [`Config`] out.
//!
//! The crate reads files and, when it is asked for a secret, the environment: no network, no lookups, no sockets. It refuses to stop at the first
//! problem; [`Diagnostics`] holds all of them with their places. What a key means at run time is the business of
//! the plan builder, one floor up, which sees only the model.

#![forbid(unsafe_code)]

pub mod codes;
pub mod diagnostic;
pub mod model;
pub mod pattern;
pub mod reference;
pub mod render;
pub mod schema;
pub mod source;

mod check;
mod files;
mod front;
mod keys;
mod load;
mod names;
mod nearest;
mod read;
mod syntax;
mod tree;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use front::FrontTls;
pub use load::load;
pub use model::Config;
pub use reference::reference;
pub use schema::schema;
pub use source::{Sources, Span, Spanned};
