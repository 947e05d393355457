//! The origin's side of an exchange: requests out, answers in.

pub mod h1;

pub use h1::OriginConn;
