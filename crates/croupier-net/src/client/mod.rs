//! The client's side of an exchange: heads in, answers out.

pub mod h1;

pub use h1::ClientConn;
