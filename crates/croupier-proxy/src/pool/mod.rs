//! Pools at work: which server is asked, over which connection, and what may be tried again.
//!
//! [`pick`] chooses, [`idle`] keeps connections for later, [`lease`] borrows one for an
//! exchange, [`retry`] says whether a failed attempt may be made again and [`budget`] whether
//! there is room for it, [`queue`] waits while no server can take a request.

pub mod pick;

pub(crate) mod idle;

pub(crate) mod lease;

pub mod retry;

pub mod budget;

pub mod queue;
