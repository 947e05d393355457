//! The HTTP cache: asked once, answered for ever.
//!
//! - [`rules`]: RFC 9111 and its companions, pure: time is an argument, answers carry reasons.
//! - [`object`]: one answer that is kept, whole and unchangeable; [`parts`]: one that is not whole.
//! - [`forms`]: its body, encoded once for all who take that.
//! - [`store`]: where objects are looked up, filled, refreshed and purged, by all workers.
//! - [`disk`]: the tier that survives a restart.
//!
//! This crate knows no sockets and no runtime: whoever waits here waits with a `Waker`.

#![forbid(unsafe_code)]

pub mod disk;
pub mod forms;
pub mod object;
pub mod parts;
pub mod rules;
pub mod store;
pub mod terms;

pub use object::{Body, Object};
pub use terms::{Rules, Terms};
