//! Bytes to messages and back, both sides: floor 1.
//!
//! This room owns sockets, buffers, timers and protocol state. It knows no routes, pools,
//! policies or cache, and decides no status codes. In story order: [`listen`] and [`dial`]
//! make connections, [`proxy_header`] and [`preamble`] look at their first bytes, [`tls`] secures
//! them, [`wire`] moves HTTP/1 bodies over one of them, [`client`] and [`origin`]
//! add the heads of their side, [`side`] is the narrow waist that the proxy sees, [`splice`]
//! and [`tunnel`] move bytes that nobody needs to look at.

#![forbid(unsafe_code)]

pub mod local;

pub mod buffers;
pub mod timers;

pub mod address;
pub mod digest;
pub mod tls;
pub mod transport;

pub mod dial;
pub mod listen;

pub mod preamble;
pub mod proxy_header;

pub mod error;
pub mod h2;
pub mod side;
pub mod wire;

pub mod client;
pub mod origin;

pub mod sendfile;
pub mod splice;
pub mod tunnel;

pub use error::NetError;
pub use local::Local;
