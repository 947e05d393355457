//! Pools at work: which server is asked, over which connection, and what may be tried again.
//!
//! [`split`] chooses between pools, [`sticky`] finds the server a client had before, [`pick`]
//! chooses one by turn, lot, load or the request's [`hash_key`]. [`idle`] keeps connections for
//! later, [`dial`] makes new ones, [`room`] counts them, [`lease`] borrows one for an exchange, [`retry`] says whether a failed attempt may be
//! made again and [`budget`] whether there is room for it, [`queue`] waits while no server can
//! take a request, [`mirror`] sends copies of requests whose answers nobody wants.

pub mod split;

pub mod sticky;

pub mod pick;

pub mod hash_key;

pub(crate) mod idle;

pub(crate) mod dial;

pub(crate) mod room;

pub(crate) mod lease;

pub mod retry;

pub mod budget;

pub mod queue;

pub(crate) mod mirror;
