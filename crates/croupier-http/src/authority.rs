//! The authority: host and port, read strictly and kept in one normal form.
//!
//! RFC 3986 section 3.2 with what a proxy must refuse: no user information, no comma, no
//! percent-encoding, a port that is a number, lower case, one trailing dot dropped.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host and optional port in normal form. The text buffer is kept across uses, and so is
/// what was read last: the next request most likely asks for the same host.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    text: String,
    /// What `text` was made from; empty when it is not to be believed.
    raw: Vec<u8>,
    is_set: bool,
    host_len: usize,
    port: Option<u16>,
}

impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        self.is_set == other.is_set && self.as_str() == other.as_str()
    }
}

impl Eq for Authority {}

/// Why an authority was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    Empty,
    Host,
    Port,
}

impl Authority {
    /// Reads `host[:port]`. On error the value is empty.
    ///
    /// # Errors
    /// When the host is missing or holds a character that no host name, IPv4 or bracketed
    /// IPv6 address has, or when the port is not 1 to 65535 in plain digits.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), AuthorityError> {
        self.is_set = !bytes.is_empty() && self.raw == bytes;
        if self.is_set {
            return Ok(());
        }
        self.raw.clear();
        self.text.clear();
        self.port = None;
        self.host_len = 0;
        self.parse(bytes)?;
        self.raw.extend_from_slice(bytes);
        self.is_set = true;
        Ok(())
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<(), AuthorityError> {
        let (host, port) = split(bytes)?;
        if host.first() == Some(&b'[') {
            let inner = host
                .get(1..host.len() - 1)
                .and_then(|inner| str::from_utf8(inner).ok());
            let address: Ipv6Addr = inner
                .and_then(|inner| inner.parse().ok())
                .ok_or(AuthorityError::Host)?;
            use std::fmt::Write as _;
            let _ = write!(self.text, "[{address}]");
        } else {
            let host = host.strip_suffix(b".").unwrap_or(host);
            if host.is_empty() {
                return Err(AuthorityError::Empty);
            }
            if !is_name(host) {
                return Err(AuthorityError::Host);
            }
            self.text
                .push_str(str::from_utf8(host).map_err(|_| AuthorityError::Host)?);
            self.text.make_ascii_lowercase();
        }
        self.host_len = self.text.len();
        if let Some(port) = port {
            self.port = Some(read_port(port)?);
            let zeros = port.iter().take_while(|&&digit| digit == b'0').count();
            self.text.push(':');
            self.text
                .extend(port[zeros..].iter().map(|&digit| char::from(digit)));
        }
        Ok(())
    }

    /// Empties it, keeps the memory.
    pub fn clear(&mut self) {
        self.is_set = false;
    }

    /// The host in lower case; IPv6 in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        if self.is_set {
            &self.text[..self.host_len]
        } else {
            ""
        }
    }

    /// The port, when one was written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port.filter(|_| self.is_set)
    }

    /// `host[:port]` in normal form: what a `Host` field carries.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if self.is_set { &self.text } else { "" }
    }

    /// No host yet?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.is_set
    }
}

/// Host and port as written.
type Parts<'a> = (&'a [u8], Option<&'a [u8]>);

fn split(bytes: &[u8]) -> Result<Parts<'_>, AuthorityError> {
    if bytes.is_empty() {
        return Err(AuthorityError::Empty);
    }
    if bytes[0] == b'[' {
        let close = memchr::memchr(b']', bytes).ok_or(AuthorityError::Host)?;
        let (host, rest) = bytes.split_at(close + 1);
        return match rest.split_first() {
            None => Ok((host, None)),
            Some((b':', port)) => Ok((host, Some(port))),
            Some(_) => Err(AuthorityError::Host),
        };
    }
    Ok(match memchr::memchr(b':', bytes) {
        Some(colon) => (&bytes[..colon], Some(&bytes[colon + 1..])),
        None => (bytes, None),
    })
}

fn read_port(digits: &[u8]) -> Result<u16, AuthorityError> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(AuthorityError::Port);
    }
    let number = digits
        .iter()
        .fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    u16::try_from(number)
        .ok()
        .filter(|&port| port != 0)
        .ok_or(AuthorityError::Port)
}

/// Letters, digits, `-`, `.`, `_`; no empty label; something that looks like an IPv4 address
/// must be one.
fn is_name(host: &[u8]) -> bool {
    if host.len() > 253 {
        return false;
    }
    let mut previous = b'.';
    let mut numeric = true;
    for &byte in host {
        match byte {
            b'.' if previous == b'.' => return false,
            b'.' | b'0'..=b'9' => {}
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => numeric = false,
            _ => return false,
        }
        previous = byte;
    }
    let is_address = || str::from_utf8(host).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok());
    previous != b'.' && (!numeric || is_address())
}

#[cfg(test)]
mod tests {
    use super::{Authority, AuthorityError};

    fn read(text: &str) -> Result<(String, Option<u16>), AuthorityError> {
        let mut authority = Authority::default();
        authority
            .read(text.as_bytes())
            .map(|()| (authority.as_str().into(), authority.port()))
    }

    #[test]
    fn normal_form() {
        assert_eq!(read("Example.COM"), Ok(("example.com".into(), None)));
        assert_eq!(read("example.com."), Ok(("example.com".into(), None)));
        assert_eq!(read("a:08080"), Ok(("a:8080".into(), Some(8080))));
        assert_eq!(read("[::1]:80"), Ok(("[::1]:80".into(), Some(80))));
        assert_eq!(read("[0:0::1]"), Ok(("[::1]".into(), None)));
        assert_eq!(read("10.0.0.1:9"), Ok(("10.0.0.1:9".into(), Some(9))));
        assert_eq!(read("a_b"), Ok(("a_b".into(), None)));
    }

    #[test]
    fn refused() {
        for text in [
            "",
            ":80",
            "a,b",
            "u@a",
            "a:99999",
            "a:0",
            "a:+1",
            "a:80x",
            "a:",
            "[::1",
            "[::1]x",
            "[]",
            "a%00b",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            ".",
            "..",
            ".a",
            "a..b",
            "a..",
            "a:80:80",
            "999.1.1.1",
            "1.2.3",
            "[::1]:",
            "[fe80::1%25eth0]",
            "\u{e9}",
            "a\0",
            "user:pw@a",
            "a\\b",
        ] {
            assert!(read(text).is_err(), "{text:?} was accepted");
        }
    }
}
