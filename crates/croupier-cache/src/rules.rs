//! RFC 9111, pure.

pub mod policy;
