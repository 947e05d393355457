//! What speaks here: told by the first bytes of a connection, so that one port serves TLS, plain
//! HTTP/1 and HTTP/2 with prior knowledge.

/// What a client connects with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Cannot be told yet.
    More,
    /// A TLS handshake.
    Tls,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.3).
    Http2,
    /// HTTP/1, or nonsense that will be answered as such.
    Http1,
}

/// The record type of a handshake (RFC 8446 section 5.1); no method begins with it.
const HANDSHAKE: u8 = 0x16;

/// What an HTTP/2 client begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Tells from the first bytes; 24 are always enough.
#[must_use]
pub fn speaks(bytes: &[u8]) -> Speaks {
    match bytes.first() {
        None => Speaks::More,
        Some(&HANDSHAKE) => Speaks::Tls,
        Some(_) if bytes.starts_with(PREFACE) => Speaks::Http2,
        Some(_) if PREFACE.starts_with(bytes) => Speaks::More,
        Some(_) => Speaks::Http1,
    }
}

#[cfg(test)]
mod tests {
    use super::{PREFACE, Speaks, speaks};

    #[test]
    fn what_speaks_is_told_by_the_first_bytes() {
        let cases: [(&[u8], Speaks); 9] = [
            (b"", Speaks::More),
            (b"\x16", Speaks::Tls),
            (b"\x16\x03\x01\x00\xf0", Speaks::Tls),
            (b"P", Speaks::More),
            (b"PO", Speaks::Http1),
            (b"PRI", Speaks::More),
            (b"PRI * HTTP/1.1\r\n", Speaks::Http1),
            (b"GET / HTTP/1.1\r\n", Speaks::Http1),
            (b"\x80\x2e\x01", Speaks::Http1),
        ];
        for (bytes, expected) in cases {
            assert_eq!(speaks(bytes), expected, "{bytes:?}");
        }
        for length in 1..PREFACE.len() {
            assert_eq!(speaks(&PREFACE[..length]), Speaks::More, "{length}");
        }
        let more = [PREFACE, b"\0\0\0\x04\0\0\0\0\0"].concat();
        assert_eq!(speaks(&more), Speaks::Http2);
    }
}
