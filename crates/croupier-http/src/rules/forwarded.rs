//! Who the client is: `X-Forwarded-For` and `Forwarded`, read from right to left.
//!
//! The right-most address was written by the proxy nearest to us. We go left only past
//! addresses that we trust, so nothing an outsider wrote can be taken for the client.

use std::net::{IpAddr, Ipv6Addr};

use crate::{fields::Fields, names::Name};

/// More hops than any honest chain has.
const HOPS_MAX: usize = 32;

/// The client's address, given the peer of the connection and whom we trust.
pub fn client(peer: IpAddr, fields: &Fields, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    if !is_trusted(client) {
        return client;
    }
    let name = if fields.contains(Name::X_FORWARDED_FOR) {
        Name::X_FORWARDED_FOR
    } else {
        Name::FORWARDED
    };
    let lines: Vec<&[u8]> = fields.all(name).collect();
    let hops = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|&byte| byte == b','));
    for hop in hops.take(HOPS_MAX) {
        let hop = hop.trim_ascii();
        let address = if name == Name::FORWARDED {
            for_parameter(hop).and_then(address)
        } else {
            address(hop)
        };
        let Some(address) = address else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// IPv4 addresses that came in IPv6 clothes are IPv4 addresses.
#[must_use]
pub fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// An address with or without port, IPv6 with or without brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(plain(address));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let port_is_lawful = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return inner
            .parse::<Ipv6Addr>()
            .ok()
            .filter(|_| port_is_lawful)
            .map(|v6| plain(v6.into()));
    }
    let (host, port) = text.split_once(':')?;
    host.parse::<IpAddr>().ok().filter(|_| is_port(port))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The `for` parameter of one element (RFC 7239 section 4).
fn for_parameter(element: &[u8]) -> Option<&[u8]> {
    element.split(|&byte| byte == b';').find_map(|pair| {
        let (name, value) = pair.trim_ascii().split_at_checked(4)?;
        if !name.eq_ignore_ascii_case(b"for=") {
            return None;
        }
        Some(
            value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""))
                .unwrap_or(value),
        )
    })
}

/// Number of entries in all `Via` fields: how many proxies the request has passed.
#[must_use]
pub fn via_count(fields: &Fields) -> usize {
    fields
        .all(Name::VIA)
        .map(|line| line.split(|&byte| byte == b',').count())
        .sum()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::client;
    use crate::fields::Fields;

    fn trusted(address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10)
    }

    fn of(peer: &str, lines: &[(&str, &str)]) -> String {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        client(peer.parse().unwrap(), &fields, trusted).to_string()
    }

    #[test]
    fn right_to_left_up_to_the_first_we_do_not_trust() {
        const XFF: &str = "X-Forwarded-For";
        assert_eq!(of("1.1.1.1", &[(XFF, "2.2.2.2")]), "1.1.1.1");
        assert_eq!(of("10.0.0.1", &[(XFF, "2.2.2.2")]), "2.2.2.2");
        assert_eq!(
            of("10.0.0.1", &[(XFF, "9.9.9.9, 2.2.2.2, 10.0.0.2")]),
            "2.2.2.2"
        );
        assert_eq!(
            of("10.0.0.1", &[(XFF, "9.9.9.9"), (XFF, "2.2.2.2")]),
            "2.2.2.2"
        );
        assert_eq!(of("10.0.0.1", &[(XFF, "9.9.9.9, junk")]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &[(XFF, "[2001:db8::1]:99")]), "2001:db8::1");
        assert_eq!(of("10.0.0.1", &[(XFF, "::ffff:2.2.2.2")]), "2.2.2.2");
        assert_eq!(of("10.0.0.1", &[(XFF, "2.2.2.2:80")]), "2.2.2.2");
        assert_eq!(
            of(
                "10.0.0.1",
                &[(
                    "Forwarded",
                    "for=9.9.9.9, for=\"[2001:db8::1]:9\";proto=https"
                )]
            ),
            "2001:db8::1"
        );
        assert_eq!(
            of("10.0.0.1", &[("Forwarded", "proto=https;for=unknown")]),
            "10.0.0.1"
        );
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
    }

    proptest! {
        /// What stands left of the first address we do not trust changes nothing.
        #[test]
        fn an_outsider_can_not_choose(claim in "[0-9a-f.:, ]{0,40}") {
            let line = format!("{claim}, 2.2.2.2, 10.0.0.9");
            prop_assert_eq!(of("10.0.0.1", &[("X-Forwarded-For", &line)]), "2.2.2.2");
        }
    }
}
