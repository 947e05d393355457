//! The client's side of an exchange: heads in, answers out.

pub mod h1;
pub mod h2;
pub mod nobody;

mod stream;

pub use h1::ClientConn;
pub use nobody::{Keeper, Nobody};
pub use stream::ClientStream;
