//! The HTTP/1 codec, sans-IO (RFC 9112).
//!
//! In story order: [`scan`] finds where a head ends and refuses line ends that servers read
//! differently; [`head`] parses it once; [`framing`] decides, once, how its body ends;
//! [`chunked`] decodes; [`encode`] writes; [`reuse`] says whether the connection lives on.

pub mod scan;

pub mod head;

pub mod framing;

pub mod chunked;

pub mod encode;

pub mod reuse;
