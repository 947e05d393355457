//! A raw HTTP/2 client: says exactly what it is told, frame by frame if need be, and judges every
//! frame that comes.
//!
//! It shares no code with the proxy, nor with the library that the proxy is built on: frames,
//! header compression, windows and the states of streams are written here once more, from RFC 9113
//! and RFC 7541. One thread: it reads while it waits for something, and while the proxy takes no
//! more bytes, so a flood cannot block both ends.
//!
//! ```no_run
//! use croupier_testkit::h2::{Client, Head};
//!
//! let mut client = Client::connect("127.0.0.1:8080".parse().unwrap());
//! assert_eq!(client.get("/").status, 200);
//! let stream = client.open(&Head::post("/upload").field("x", "y"));
//! client.send_data(stream, b"hello");
//! client.finish(stream);
//! assert!(client.answer(stream).is_complete);
//! ```

mod answer;
mod client;
mod counting;
mod dialogue;
pub mod frame;
mod head;
mod heard;
pub mod hpack;
mod link;
mod windows;

pub use answer::{Answer, Goaway};
pub use client::{Client, Grants};
pub use frame::{Frame, PREFACE, code, flag, kind, setting};
pub use head::Head;
pub use hpack::Block;
pub use link::{Closed, Duplex};
