//! The test kit: what a test of Croupier needs to play both ends of an exchange.
//!
//! It shares no code with the proxy, so that a bug cannot cancel itself out: its parsers were
//! written separately, are strict where the proxy must be canonical, and know only plain std
//! threads and blocking sockets with deadlines. A test reads as one dialogue: an origin with its
//! script, a configuration, a client, and what each of them must have seen.
//!
//! ```no_run
//! use croupier_testkit::{Client, Origin, Proxy, Reply};
//!
//! let origin = Origin::start(|_| Reply::ok("hello"));
//! let proxy = Proxy::with_binary("target/debug/croupier").start(&format!(
//!     "[server]\nlisten = [\"127.0.0.1:0\"]\n[site.\"*\"]\nproxy = \"{}\"\n",
//!     origin.address(),
//! ));
//! let response = Client::connect(proxy.address()).get("/");
//! assert_eq!((response.status, response.text().as_str()), (200, "hello"));
//! assert_eq!(origin.requests()[0].target, "/");
//! ```
//!
//! Nothing here sleeps in order to be right: wait on an [`Event`], a request, a log line or a
//! closed connection. Every wait has a deadline, and what fails prints what was said on the wire.

#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the kit speaks to a test: failing loudly is its work"
)]

pub mod client;
pub mod dns;
pub mod door;
pub mod event;
pub mod h2;
pub mod load;
pub mod message;
pub mod nowhere;
pub mod origin;
pub mod pebble;
mod play;
pub mod proxy;
pub mod record;
pub mod reply;
pub mod response;
mod stream;
mod strict;
pub mod tls;
pub mod tools;
pub mod trace;
pub mod wire;

pub use client::{Client, Failure, send_split_at_every_offset, split_at_every_offset};
pub use dns::{Dns, DnsAnswer, Question, RecordKind};
pub use door::{Behind, Door};
pub use event::{Event, wait_until};
pub use load::{Connections, Load, Tally};
pub use message::{Framing, Headers};
pub use nowhere::{BlackHole, closed_address};
pub use origin::{Origin, OriginBuilder};
pub use proxy::{Exit, Launch, Proxy, Signal};
pub use record::{ConnectionRecord, Ended, Request, Violation};
pub use reply::Reply;
pub use response::{End, Interim, Response};
pub use tls::{Authority, Issued, Shaken, TlsClient};
pub use wire::{Direction, Transcript};
