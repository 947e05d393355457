//! Pure rules on messages, the same for every protocol version.
//!
//! [`inspect`] says whether a request is lawful and what it asks of its connection; [`hop`]
//! what must not pass through; [`forwarded`] who the client is and how we tell the origin;
//! [`hide`] what of the origin's identity is taken out of an answer; [`resume`] whether a
//! broken download may go on elsewhere.

pub mod inspect;

pub mod hop;

pub mod forwarded;

pub mod hide;

pub mod resume;
