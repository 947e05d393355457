//! The PROXY protocol, versions 1 and 2: a load balancer before us says whose connection it
//! passes on; we say the same to a server that wants it. What is not exactly such a header is
//! malformed: a listener that expects one takes nothing else.
//!
//! Source: <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>. Whether to believe it is
//! for whoever calls.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use croupier_http::rules::forwarded::plain;
use ppp::{v1, v2};

/// The longest header of version 1, its line end included.
pub const V1_MAX: usize = 107;
/// The longest header of version 2: addresses of 36 bytes, and extensions for a name, a
/// certificate's subject and an identifier.
pub const V2_MAX: usize = 16 + 2048;

const V1_START: &[u8] = b"PROXY ";

/// Extension types (section 2.2 of the source).
pub mod kind {
    /// What was agreed by ALPN, as in TLS.
    pub const ALPN: u8 = 0x01;
    /// The name the client asked for.
    pub const AUTHORITY: u8 = 0x02;
    /// A checksum of the header.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// An identifier of the connection, at most 128 bytes.
    pub const UNIQUE_ID: u8 = 0x05;
    /// That the client spoke TLS; see [`super::ssl`].
    pub const SSL: u8 = 0x20;
    /// Within SSL: the version.
    pub const SSL_VERSION: u8 = 0x21;
    /// Within SSL: the common name of the client's certificate.
    pub const SSL_CN: u8 = 0x22;
    /// Within SSL: the cipher suite.
    pub const SSL_CIPHER: u8 = 0x23;
}

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The beginning of a header.
    More,
    /// A whole header.
    Header {
        /// How long it is.
        used: usize,
        /// Who connected, an IPv4 address in its plain form; None when the header speaks of no
        /// client: then it is the peer.
        client: Option<SocketAddr>,
        /// Where the client connected to.
        local: Option<SocketAddr>,
        /// Extensions of version 2: type and value.
        tlvs: Vec<(u8, Vec<u8>)>,
    },
    /// Something else, and why.
    Malformed(&'static str),
}

/// Reads what stands at the front of `bytes`. More bytes never change an answer other than
/// [`Read::More`].
#[must_use]
pub fn read(bytes: &[u8]) -> Read {
    if begins_like(bytes, v2::PROTOCOL_PREFIX) {
        read_v2(bytes)
    } else if begins_like(bytes, V1_START) {
        read_v1(bytes)
    } else {
        Read::Malformed("the connection does not begin with a PROXY header")
    }
}

fn begins_like(bytes: &[u8], start: &[u8]) -> bool {
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}

fn read_v1(bytes: &[u8]) -> Read {
    let window = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if bytes.len() < V1_MAX {
            Read::More
        } else {
            Read::Malformed("the PROXY line is too long")
        };
    };
    let used = end + 1;
    let Some(line) = bytes[..end].strip_suffix(b"\r") else {
        return Read::Malformed("the PROXY line does not end with CR LF");
    };
    let unknown = line.strip_prefix(b"PROXY UNKNOWN");
    if unknown.is_some_and(|rest| rest.is_empty() || rest[0] == b' ') {
        // "The receiver must ignore anything presented before the CRLF".
        return Read::Header {
            used,
            client: None,
            local: None,
            tlvs: Vec::new(),
        };
    }
    // The parser takes a CR for a space and a port with a sign for a port.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b':');
    if !line.iter().all(is_plain) {
        return Read::Malformed("the PROXY line has characters that do not belong there");
    }
    let Ok(header) = v1::Header::try_from(&bytes[..used]) else {
        return Read::Malformed("the PROXY line can not be read");
    };
    let (client, local) = match header.addresses {
        v1::Addresses::Unknown => (None, None),
        v1::Addresses::Tcp4(it) => both(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        ),
        v1::Addresses::Tcp6(it) => both(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        ),
    };
    Read::Header {
        used,
        client,
        local,
        tlvs: Vec::new(),
    }
}

type Ends = (Option<SocketAddr>, Option<SocketAddr>);

fn both<A: Into<IpAddr>>(client: (A, u16), local: (A, u16)) -> Ends {
    let end = |(address, port): (A, u16)| SocketAddr::new(plain(address.into()), port);
    (Some(end(client)), Some(end(local)))
}

fn read_v2(bytes: &[u8]) -> Read {
    if let Some(length) = bytes.get(14..16) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if 16 + length > V2_MAX {
            return Read::Malformed("the PROXY header is too long");
        }
    }
    let header = match v2::Header::try_from(bytes) {
        Ok(header) => header,
        Err(v2::ParseError::Incomplete(_) | v2::ParseError::Partial(..)) => return Read::More,
        Err(_) => return Read::Malformed("the PROXY header can not be read"),
    };
    let used = header.len();
    let (client, local) = match (header.command, header.protocol, header.addresses) {
        // The sender speaks for itself, as in a health check.
        (v2::Command::Local, _, _) => (None, None),
        (_, v2::Protocol::Datagram, _) => {
            return Read::Malformed("the PROXY header speaks of datagrams");
        }
        (_, v2::Protocol::Stream, v2::Addresses::IPv4(it)) => both(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        ),
        (_, v2::Protocol::Stream, v2::Addresses::IPv6(it)) => both(
            (it.source_address, it.source_port),
            (it.destination_address, it.destination_port),
        ),
        _ => (None, None),
    };
    if header.addresses == v2::Addresses::Unspecified {
        // Without a family nobody knows where extensions begin.
        return Read::Header {
            used,
            client,
            local,
            tlvs: Vec::new(),
        };
    }
    let mut tlvs = Vec::new();
    for tlv in header.tlvs() {
        let Ok(tlv) = tlv else {
            return Read::Malformed("an extension of the PROXY header can not be read");
        };
        tlvs.push((tlv.kind, tlv.value.into_owned()));
    }
    if !checksum_fits(&bytes[..used], &tlvs) {
        return Read::Malformed("the checksum of the PROXY header is wrong");
    }
    Read::Header {
        used,
        client,
        local,
        tlvs,
    }
}

/// Is the checksum right, if there is one? It is computed with zeros in its own place.
fn checksum_fits(header: &[u8], tlvs: &[(u8, Vec<u8>)]) -> bool {
    let Some((_, value)) = tlvs.iter().find(|(kind, _)| *kind == kind::CRC32C) else {
        return true;
    };
    let Ok(told) = <[u8; 4]>::try_from(value.as_slice()) else {
        return false;
    };
    let before = tlvs.iter().take_while(|(kind, _)| *kind != kind::CRC32C);
    let behind_addresses = header.len() - tlvs.iter().map(|(_, it)| 3 + it.len()).sum::<usize>();
    let at = behind_addresses + before.map(|(_, it)| 3 + it.len()).sum::<usize>() + 3;
    let mut copy = header.to_vec();
    copy[at..at + 4].fill(0);
    crc32c(&copy) == u32::from_be_bytes(told)
}

/// CRC-32C (RFC 3720 appendix B.4), a bit at a time: it is asked for once in a connection.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

/// Writes a header of version 1. Without a client it says `UNKNOWN`.
pub fn write_v1(out: &mut Vec<u8>, client: Option<SocketAddr>, local: Option<SocketAddr>) {
    let line = match client.map(|client| family(client, local)) {
        None => "PROXY UNKNOWN\r\n".to_owned(),
        Some(Family::V4(client, local)) => format!(
            "PROXY TCP4 {} {} {} {}\r\n",
            client.0, local.0, client.1, local.1
        ),
        Some(Family::V6(client, local)) => format!(
            "PROXY TCP6 {} {} {} {}\r\n",
            client.0, local.0, client.1, local.1
        ),
    };
    out.extend_from_slice(line.as_bytes());
}

/// Writes a header of version 2 with extensions, in their order. Without a client it says
/// `LOCAL`, and has none. A checksum is put in where there is an extension of type CRC32C with
/// four bytes.
///
/// Extensions that would make it longer than [`V2_MAX`] are left out.
pub fn write_v2(
    out: &mut Vec<u8>,
    client: Option<SocketAddr>,
    local: Option<SocketAddr>,
    tlvs: &[(u8, &[u8])],
) {
    let start = out.len();
    out.extend_from_slice(v2::PROTOCOL_PREFIX);
    let Some(client) = client else {
        out.extend_from_slice(&[0x20, 0x00, 0, 0]);
        return;
    };
    match family(client, local) {
        Family::V4(client, local) => {
            out.extend_from_slice(&[0x21, 0x11, 0, 0]);
            out.extend_from_slice(&client.0.octets());
            out.extend_from_slice(&local.0.octets());
            out.extend_from_slice(&client.1.to_be_bytes());
            out.extend_from_slice(&local.1.to_be_bytes());
        }
        Family::V6(client, local) => {
            out.extend_from_slice(&[0x21, 0x21, 0, 0]);
            out.extend_from_slice(&client.0.octets());
            out.extend_from_slice(&local.0.octets());
            out.extend_from_slice(&client.1.to_be_bytes());
            out.extend_from_slice(&local.1.to_be_bytes());
        }
    }
    let mut checksum_at = None;
    for (kind, value) in tlvs {
        if out.len() - start + 3 + value.len() > V2_MAX {
            continue;
        }
        push_tlv(out, *kind, value);
        if *kind == kind::CRC32C && value.len() == 4 {
            let at = out.len() - 4;
            out[at..].fill(0);
            checksum_at = Some(at);
        }
    }
    let length = u16::try_from(out.len() - start - 16).unwrap_or(0); // at most V2_MAX
    out[start + 14..start + 16].copy_from_slice(&length.to_be_bytes());
    if let Some(at) = checksum_at {
        let crc = crc32c(&out[start..]);
        out[at..at + 4].copy_from_slice(&crc.to_be_bytes());
    }
}

/// The value of an extension of type SSL: the client spoke TLS; `has_certificate` when it has
/// shown a certificate that was verified. `subs` are its own extensions.
#[must_use]
pub fn ssl(has_certificate: HasCertificate, subs: &[(u8, &[u8])]) -> Vec<u8> {
    let client = match has_certificate {
        HasCertificate::No => 0x01,
        // On this connection, and in this session.
        HasCertificate::Yes => 0x01 | 0x02 | 0x04,
    };
    // The last four: 0 when the certificate was verified. One that was not is never let in, so
    // only its absence is told.
    let mut value = vec![
        client,
        0,
        0,
        0,
        u8::from(has_certificate == HasCertificate::No),
    ];
    for (kind, sub) in subs {
        push_tlv(&mut value, *kind, sub);
    }
    value
}

/// Has the client shown a certificate?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HasCertificate {
    No,
    Yes,
}

fn push_tlv(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&value[..usize::from(length)]);
}

enum Family {
    V4((Ipv4Addr, u16), (Ipv4Addr, u16)),
    V6((Ipv6Addr, u16), (Ipv6Addr, u16)),
}

/// Both ends in one family: IPv6 when either is, with the other mapped into it.
fn family(client: SocketAddr, local: Option<SocketAddr>) -> Family {
    let client_ip = plain(client.ip());
    let (local_ip, local_port) = local.map_or_else(
        || match client_ip {
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), 0),
            IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED.into(), 0),
        },
        |local| (plain(local.ip()), local.port()),
    );
    match (client_ip, local_ip) {
        (IpAddr::V4(from), IpAddr::V4(to)) => Family::V4((from, client.port()), (to, local_port)),
        (from, to) => Family::V6((six(from), client.port()), (six(to), local_port)),
    }
}

fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests;
