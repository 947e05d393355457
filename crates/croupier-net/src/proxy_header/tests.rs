//! Headers of the PROXY protocol, read and written.

use std::net::SocketAddr;

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::{HasCertificate, Read, V1_MAX, V2_MAX, crc32c, kind, read, ssl, write_v1, write_v2};

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn client(read: &Read) -> Option<SocketAddr> {
    match read {
        Read::Header { client, .. } => *client,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_says_who_the_client_is() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\nGET / HTTP/1.1\r\n";
    let expected = Read::Header {
        used: 44,
        client: Some(at("192.0.2.7:4711")),
        local: Some(at("198.51.100.1:443")),
        tlvs: Vec::new(),
    };
    assert_eq!(read(line), expected);
    let line = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n";
    assert_eq!(client(&read(line)), Some(at("[2001:db8::1]:1")));
    let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n";
    assert_eq!(client(&read(mapped)), Some(at("192.0.2.7:1")));
}

#[test]
fn who_is_not_told_is_the_peer() {
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN a b c d e f g h i\r\n"] {
        assert_eq!(client(&read(line.as_bytes())), None, "{line}");
    }
    let local = [
        b"\r\n\r\n\0\r\nQUIT\n".as_slice(),
        &[0x20, 0x11, 0, 12],
        &[9; 12],
    ]
    .concat();
    assert_eq!(client(&read(&local)), None);
    let mut unspecified = [
        b"\r\n\r\n\0\r\nQUIT\n".as_slice(),
        &[0x21, 0x00, 0, 3],
        &[9; 3],
    ]
    .concat();
    assert_eq!(client(&read(&unspecified)), None);
    // A unix socket on the other side.
    unspecified[13] = 0x31;
    unspecified[15] = 216;
    unspecified.resize(16 + 216, 0);
    assert_eq!(client(&read(&unspecified)), None);
}

#[test]
fn what_is_almost_a_header_is_none() {
    let v2 = |command: u8, family: u8, rest: &[u8]| {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        let head = [command, family, length[0], length[1]];
        [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &head, rest].concat()
    };
    let cases: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n".to_vec(),
        b"\x16\x03\x01".to_vec(),
        b"PROXY\r\n".to_vec(),
        b"proxy TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7  198.51.100.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7\r198.51.100.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 +4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n".to_vec(),
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
        b"PROXY UNKNOWNS\r\n".to_vec(),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; V1_MAX]].concat(),
        v2(0x11, 0x11, &[0; 12]),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x21, 0x12, &[0; 12]),
        v2(0x21, 0x41, &[0; 12]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x21, &[0; 35]),
        // An extension that is longer than the header.
        v2(0x21, 0x11, &[&[0; 12][..], &[1, 0, 9, 0]].concat()),
        v2(0x21, 0x11, &[&[0; 12][..], &[1, 0]].concat()),
        // A wrong checksum, and one of three bytes.
        v2(0x21, 0x11, &[&[0; 12][..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
        v2(0x21, 0x11, &[&[0; 12][..], &[3, 0, 3, 1, 2, 3]].concat()),
        v2(0x21, 0x11, &[0; V2_MAX]),
    ];
    for case in cases {
        let found = read(&case);
        let text = String::from_utf8_lossy(&case);
        assert!(matches!(found, Read::Malformed(_)), "{text:?}: {found:?}");
    }
}

#[test]
fn a_checksum_is_the_one_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn what_is_written_of_tls_has_the_form_of_the_standard() {
    let value = ssl(HasCertificate::Yes, &[(kind::SSL_VERSION, b"TLSv1.3")]);
    assert_eq!(value, b"\x07\0\0\0\0\x21\0\x07TLSv1.3");
    assert_eq!(ssl(HasCertificate::No, &[]), b"\x01\0\0\0\x01");
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::new(croupier_http::rules::forwarded::plain(ip), port))
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&[b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &bytes].concat());
        let _ = read(&[b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x40".as_slice(), &bytes].concat());
        let _ = read(&[b"PROXY TCP4 ".as_slice(), &bytes].concat());
    }

    #[test]
    fn a_line_that_was_written_is_read_again(
        client in addresses(), local in addresses(), behind in proptest::collection::vec(any::<u8>(), 0..20)
    ) {
        let mut bytes = Vec::new();
        write_v1(&mut bytes, Some(client), Some(local));
        let used = bytes.len();
        prop_assert!(used <= V1_MAX);
        bytes.extend_from_slice(&behind);
        let expected = Read::Header { used, client: Some(client), local: Some(local), tlvs: Vec::new() };
        for length in 0..used {
            prop_assert_eq!(read(&bytes[..length]), Read::More);
        }
        prop_assert_eq!(read(&bytes), expected);
    }

    #[test]
    fn a_header_that_was_written_is_read_again(
        client in addresses(),
        local in addresses(),
        tlvs in proptest::collection::vec((0x30_u8..0xff, proptest::collection::vec(any::<u8>(), 0..40)), 0..4),
        summed in any::<bool>(),
        behind in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut given: Vec<(u8, &[u8])> = tlvs.iter().map(|(kind, value)| (*kind, value.as_slice())).collect();
        if summed {
            given.insert(given.len() / 2, (kind::CRC32C, &[0; 4]));
        }
        let mut bytes = Vec::new();
        write_v2(&mut bytes, Some(client), Some(local), &given);
        let used = bytes.len();
        bytes.extend_from_slice(&behind);
        for length in 0..used {
            prop_assert_eq!(read(&bytes[..length]), Read::More);
        }
        let Read::Header { used: length, client: who, local: to, tlvs: found } = read(&bytes) else {
            return Err(proptest::test_runner::TestCaseError::fail("no header"));
        };
        prop_assert_eq!((length, who, to), (used, Some(client), Some(local)));
        let found: Vec<_> = found.into_iter().filter(|(kind, _)| *kind != kind::CRC32C).collect();
        prop_assert_eq!(found, tlvs);
        if summed {
            // An address that changes on the way is noticed.
            let mut broken = bytes.clone();
            broken[17] ^= 1;
            prop_assert_eq!(read(&broken), Read::Malformed("the checksum of the PROXY header is wrong"));
        }
    }
}
