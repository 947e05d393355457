//! What a request is hashed by, and the one hash that all hashing of servers and clients uses.
//!
//! SipHash-2-4 with a fixed key: its output is laid down by its paper, so it is the same in every
//! process, version and machine, and a reload or a second proxy beside this one sends a key to
//! the same server. Hashes made for tables (`foldhash`, that of `std`) promise no such thing. That
//! the key is known to everybody does no harm: who wants many requests at one server can as well
//! repeat one; the bound on load is against that.

use std::fmt;
use std::hash::Hasher as _;
use std::net::IpAddr;

use croupier_http::{Fields, Name, Target};
use siphasher::sip::SipHasher24;

use crate::router::conditions::parameters;

/// Change it and every client changes its server.
const KEY: &[u8; 16] = b"croupier hash v1";

/// What of a request decides where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address: that of the peer, or whom trusted proxies name.
    ClientIp,
    /// The first line of this field; the name in lower case.
    Header(Box<str>),
    /// The first cookie of this name; case counts.
    Cookie(Box<str>),
    /// The path in normal form.
    Path,
    /// Path in normal form and query as sent.
    Uri,
    /// The first query parameter of this name, as sent; case counts.
    Query(Box<str>),
}

/// What a key may be made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// None over a unix socket.
    pub client_ip: Option<IpAddr>,
    /// The request's.
    pub fields: &'a Fields,
    /// In normal form.
    pub target: &'a Target,
}

impl HashKey {
    /// The key of a request; None when it has none, which an empty value is too: else all who
    /// lack a value would meet at one server.
    #[must_use]
    pub fn of(&self, parts: &Parts<'_>) -> Option<u64> {
        let value = match self {
            Self::ClientIp => return parts.client_ip.map(hash_ip),
            Self::Path => Some(parts.target.path().as_bytes()),
            Self::Uri => return Some(hash_uri(parts.target)),
            Self::Header(name) => parts.fields.all_named(name.as_bytes()).next(),
            Self::Cookie(name) => cookie(parts.fields.all(Name::COOKIE), name),
            Self::Query(name) => parameters(parts.target.query(), name).next(),
        };
        value.filter(|value| !value.is_empty()).map(hash)
    }
}

impl fmt::Display for HashKey {
    /// As it is written in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client.ip"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
            Self::Path => f.write_str("path"),
            Self::Uri => f.write_str("uri"),
            Self::Query(name) => write!(f, "query.{name}"),
        }
    }
}

fn hash_uri(target: &Target) -> u64 {
    let mut hasher = SipHasher24::new_with_key(KEY);
    hasher.write(target.path().as_bytes());
    if let Some(query) = target.query() {
        hasher.write(b"?");
        hasher.write(query.as_bytes());
    }
    hasher.finish()
}

/// An IPv4 address is the same client when it comes by an IPv6 socket.
fn hash_ip(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => hash(&ip.octets()),
        IpAddr::V6(ip) => hash(&ip.octets()),
    }
}

/// The hash of any bytes, the same for ever and everywhere. For a server: of its name as written
/// in the config, which is then its identity in [`super::pick::Maglev`] and [`super::pick::Ring`].
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    SipHasher24::new_with_key(KEY).hash(bytes)
}

/// Another number for the same hash and another purpose: what two purposes decide about a client
/// must not hang together. A bijection of `hash` for each `purpose` (the finish of splitmix64).
#[must_use]
pub(super) fn mix(hash: u64, purpose: u64) -> u64 {
    let mut word = hash.wrapping_add(purpose.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// The first cookie of that name in the values of `Cookie` lines (RFC 6265bis section 4.2.1):
/// names are compared with case, quotes belong to the value, a cookie without `=` has no name.
/// The browser sends the one of the longest path first.
pub fn cookie<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    lines
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .find_map(|pair| {
            let at = pair.iter().position(|&byte| byte == b'=')?;
            let is_it = pair[..at].trim_ascii() == name.as_bytes();
            is_it.then(|| pair[at + 1..].trim_ascii())
        })
}

#[cfg(test)]
mod tests {
    use croupier_http::{Fields, Method, Scheme, Target};

    use super::{HashKey, Parts, SipHasher24, cookie, hash, mix};

    fn of(key: &HashKey, ip: &str, target: &str, fields: &[(&str, &str)]) -> Option<u64> {
        let mut read = Target::default();
        read.read(Scheme::Http, Method::Get, target.as_bytes())
            .unwrap();
        let mut table = Fields::new();
        for (name, value) in fields {
            table.push(name.as_bytes(), value.as_bytes());
        }
        key.of(&Parts {
            client_ip: ip.parse().ok(),
            fields: &table,
            target: &read,
        })
    }

    #[test]
    fn the_hash_is_that_of_the_paper() {
        let numbers: [u8; 16] = std::array::from_fn(|number| number as u8);
        // Aumasson, Bernstein, *SipHash: a fast short-input PRF*, appendix A.
        let hasher = SipHasher24::new_with_key(&numbers);
        assert_eq!(hasher.hash(&numbers[..15]), 0xa129_ca61_49be_45e5);
        // Its reference implementation, the first vector of 128 bits; see `super::super::sticky`.
        let long = siphasher::sip128::SipHasher24::new_with_key(&numbers).hash(b"");
        let expected = 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128;
        assert_eq!(long.as_bytes(), expected.to_be_bytes());
    }

    #[test]
    fn the_hash_never_changes() {
        // Pinned: another value sends every client to another server.
        assert_eq!(hash(b""), 116_648_957_820_967_025);
        assert_eq!(hash(b"10.0.0.1:8080"), 7_903_285_587_360_947_530);
        assert_eq!(mix(1, 2), 13_757_245_211_066_428_519);
    }

    #[test]
    fn a_client_is_its_address_whichever_socket_it_came_by() {
        let key = |ip| of(&HashKey::ClientIp, ip, "/", &[]);
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8::2"));
        assert_eq!(key("none: a unix socket"), None);
    }

    #[test]
    fn a_value_that_is_missing_or_empty_is_no_key() {
        let header = HashKey::Header("x-user".into());
        let user = |value| of(&header, "", "/", &[("X-User", value)]);
        assert!(user("ann").is_some() && user("ann") != user("bob"));
        assert_eq!(user(""), None);
        assert_eq!(of(&header, "", "/", &[]), None);
        let query = HashKey::Query("id".into());
        assert_eq!(
            of(&query, "", "/a?x=1&id=7", &[]),
            of(&query, "", "/b?id=7&id=8", &[])
        );
        assert_eq!(of(&query, "", "/a?ID=7", &[]), None);
        assert_eq!(of(&query, "", "/a?id=", &[]), None);
        assert_eq!(of(&query, "", "/a", &[]), None);
        let session = HashKey::Cookie("s".into());
        assert_eq!(of(&session, "", "/", &[("Cookie", "a=1; s=")]), None);
        assert_eq!(
            of(&session, "", "/", &[("Cookie", "a=1; s=x")]),
            of(&session, "", "/", &[("cookie", "b=1"), ("cookie", "s=x")])
        );
    }

    #[test]
    fn paths_are_hashed_in_normal_form_with_or_without_the_query() {
        let path = |target| of(&HashKey::Path, "", target, &[]);
        let uri = |target| of(&HashKey::Uri, "", target, &[]);
        assert_eq!(path("/a/../b?x"), path("/b"));
        assert_eq!(uri("/a/../b"), path("/b"));
        assert_eq!(uri("/%61?x"), uri("/a?x"));
        assert_ne!(uri("/a?x"), uri("/a?y"));
        assert_ne!(uri("/a?"), uri("/a"));
    }

    #[test]
    fn the_first_cookie_of_a_name_is_found() {
        let cases: [(&[&str], Option<&str>); 10] = [
            (&["id=1"], Some("1")),
            (&["a=0; id=1; id=2"], Some("1")),
            (&["a=0", "b=0;id=1"], Some("1")),
            (&["  id = 1 ;"], Some("1")),
            (&["id=a=b=="], Some("a=b==")),
            (&["id=\"q\""], Some("\"q\"")),
            (&["id="], Some("")),
            (&["id; xid=1; idx=1; ID=1"], None),
            (&["", ";;=;", "=id"], None),
            (&[], None),
        ];
        for (lines, expected) in cases {
            let found = cookie(lines.iter().map(|line| line.as_bytes()), "id");
            assert_eq!(found, expected.map(str::as_bytes), "{lines:?}");
        }
    }
}
