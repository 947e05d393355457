//! Header compression (RFC 7541), written for tests: a strict [`Decoder`] of what the proxy sends,
//! an [`Encoder`] that compresses like a browser, and a [`Block`] that says anything, lawful or
//! not.

mod block;
mod decode;
mod encode;
mod huffman;
mod table;
#[cfg(test)]
mod tests;

pub use block::Block;
pub use decode::Decoder;
pub use encode::Encoder;
pub use huffman::encode as huffman;

/// Field lines as bytes, in order.
pub type Lines = Vec<(Vec<u8>, Vec<u8>)>;
