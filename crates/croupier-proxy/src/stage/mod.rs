//! The stages of an exchange, in order; `life.rs` calls them.
//!
//! Before the first, once a connection: [`greet`].
//! 1 [`inspect`] (and [`secure`], which finds the site), 2 [`route`], 3 [`admit`], 4 [`fetch`]
//! (which speaks through [`outgoing`]), 5 [`shape`], 6 [`deliver`]; `settle` runs from the exchange's drop; [`rescue`] stands beside them: off the path, it
//! turns a fault into an answer; [`mirror`] sends copies that nobody waits for. [`cache`] stands before and after `fetch`.

pub(crate) mod greet;

pub(crate) mod inspect;

pub(crate) mod secure;

pub(crate) mod route;

pub(crate) mod admit;

pub(crate) mod cache;

pub(crate) mod fetch;

pub(crate) mod outgoing;

pub(crate) mod encode;

mod strong;

pub(crate) mod shape;

pub(crate) mod deliver;

pub(crate) mod rescue;

mod client_cert;

mod mirror;

mod tunnel;
