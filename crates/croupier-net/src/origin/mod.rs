//! The origin's side of an exchange: requests out, answers in; and connections between two of
//! them, which may change their thread.

pub mod h1;

mod spare;

pub use h1::OriginConn;
pub use spare::{Spare, retain_quiet};
