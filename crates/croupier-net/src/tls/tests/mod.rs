//! Stories of TLS over loopback. The other end is rustls too, but driven by another hand:
//! tokio-rustls, over its buffered interface.

mod certificates;
mod clients;
mod hellos;
mod kit;
mod origins;
mod pieces;
mod resuming;
mod streams;
