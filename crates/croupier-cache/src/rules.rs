//! RFC 9111, pure.
