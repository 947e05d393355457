//! The origin's side of an exchange: requests out, answers in; and connections between two of
//! them, which may change their thread. [`manner`] says what is spoken, [`connect`] makes a
//! connection that speaks it, [`stream`] is one exchange on it.

pub mod manner;

pub mod connect;

pub mod stream;

pub mod h1;
pub mod h2;

mod spare;

pub use self::h1::OriginConn;
pub use manner::Manner;
pub use spare::{Spare, retain_quiet};
pub use stream::OriginStream;
