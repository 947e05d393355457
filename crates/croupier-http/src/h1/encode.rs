//! Heads and framing to bytes. Writes into the buffer it is given and nowhere else.

use crate::{
    fields::Fields,
    head::{self, ResponseHead},
};

/// `METHOD target HTTP/1.1`
pub fn request_line(out: &mut Vec<u8>, method: &[u8], path: &str, query: Option<&str>) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// `HTTP/1.1 status reason`; the reason as received, else the standard one.
pub fn status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    if head.status == 200 && head.reason() == b"OK" {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(head.status));
    out.push(b' ');
    match head.reason() {
        b"" => out.extend_from_slice(head::reason(head.status).as_bytes()),
        reason => out.extend_from_slice(reason),
    }
    out.extend_from_slice(b"\r\n");
}

/// `name: value`
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `content-length: n`
pub fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// The line that opens a chunk of `length` bytes, which must not be 0.
pub fn chunk_line(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length > 0, "a chunk of size 0 ends the body");
    let mut digits = [0u8; 16];
    let mut at = digits.len();
    let mut rest = length;
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// The last chunk and the trailer section.
pub fn last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    for line in trailers.into_iter().flat_map(Fields::iter) {
        field(out, line.raw_name, line.value);
    }
    out.extend_from_slice(b"\r\n");
}

/// A number in decimal.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    while rest > 0 || at == digits.len() {
        at -= 1;
        let digit = (rest % 10) as u8;
        digits[at] = b'0' + digit;
        rest /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::{chunk_line, decimal, last_chunk, status_line};
    use crate::{fields::Fields, head::ResponseHead};

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        for number in [0, 9, 10, 4096, u64::MAX] {
            out.clear();
            decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
        for length in [1usize, 15, 16, 65536] {
            out.clear();
            chunk_line(&mut out, length);
            assert_eq!(out, format!("{length:x}\r\n").as_bytes());
        }
    }

    #[test]
    fn lines() {
        let mut out = Vec::new();
        let head = ResponseHead {
            status: 404,
            ..ResponseHead::default()
        };
        status_line(&mut out, &head);
        assert_eq!(out, b"HTTP/1.1 404 Not Found\r\n");
        out.clear();
        let mut fields = Fields::new();
        fields.push(b"A", b"1");
        last_chunk(&mut out, Some(&fields));
        assert_eq!(out, b"0\r\nA: 1\r\n\r\n");
    }
}
