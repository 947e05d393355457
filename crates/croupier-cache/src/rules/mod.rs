//! RFC 9111, pure.

pub mod list;
pub mod vary;

pub use vary::VaryNames;
