//! The client's side of an exchange: heads in, answers out.

pub mod h1;
pub mod h2;

mod stream;

pub use h1::ClientConn;
pub use stream::ClientStream;
