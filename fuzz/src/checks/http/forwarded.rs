//! Who the client is: total, and never an address that an outsider chose.
//!
//! Input: the peer's address on the first line, field lines after it, all ended by LF.
//! Trusted are 10.0.0.0/8, 127.0.0.0/8 and fd00::/8.

use std::net::IpAddr;

use croupier_http::{
    Fields, Name,
    rules::forwarded::{client, plain, via_count},
};

use super::Verdict;

/// Name and value of one field.
type Line<'a> = (&'a [u8], &'a [u8]);

fn is_trusted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets()[0], 10 | 127),
        IpAddr::V6(v6) => v6.octets()[0] == 0xfd,
    }
}

pub fn check(bytes: &[u8]) -> Verdict {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let peer = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Some(peer) = peer.and_then(|line| line.trim().parse::<IpAddr>().ok()) else {
        return Verdict::Refused(0);
    };
    let peer = plain(peer);
    let lines: Vec<Line<'_>> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
        .collect();
    let table = |first: Option<(&str, &str)>| {
        let mut fields = Fields::new();
        if let Some((name, value)) = first {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        for (name, value) in &lines {
            fields.push(name, value);
        }
        fields
    };
    let fields = table(None);
    let found = client(peer, &fields, is_trusted);
    let _ = via_count(&fields);
    if !is_trusted(peer) {
        assert_eq!(found, peer, "an outsider was believed");
        return Verdict::Accepted(1);
    }
    assert_eq!(client(peer, &fields, |_| false), peer);
    // What an outsider writes stands left of what our proxies write: a line before the others
    // changes nothing, unless none but our proxies wrote the rest.
    let name = if fields.contains(Name::X_FORWARDED_FOR) {
        "X-Forwarded-For"
    } else {
        "Forwarded"
    };
    let claim: IpAddr = [203, 0, 113, 66].into();
    let value = if name == "Forwarded" {
        "for=203.0.113.66"
    } else {
        "203.0.113.66"
    };
    if fields.contains(Name::X_FORWARDED_FOR) || fields.contains(Name::FORWARDED) {
        let claimed = client(peer, &table(Some((name, value))), is_trusted);
        let behind_ours = is_trusted(found) && claimed == claim;
        assert!(claimed == found || behind_ours, "{found} became {claimed}");
    }
    reference(peer, &fields, found);
    Verdict::Accepted(1)
}

/// Plain lists, read in another way: cut the text into words, walk them backwards.
fn reference(peer: IpAddr, fields: &Fields, found: IpAddr) {
    if !fields.contains(Name::X_FORWARDED_FOR) {
        return;
    }
    let mut words = Vec::new();
    for line in fields.all(Name::X_FORWARDED_FOR) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        words.extend(
            line.split(',')
                .map(|word| word.trim_matches(|c: char| c.is_ascii_whitespace())),
        );
    }
    let is_plain = |word: &&str| {
        word.bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'.')
    };
    if words.len() > 32 || !words.iter().all(is_plain) {
        return;
    }
    let mut expected = peer;
    while is_trusted(expected) {
        let Some(Ok(next)) = words.pop().map(str::parse::<IpAddr>) else {
            break;
        };
        expected = next;
    }
    assert_eq!(found, expected);
}
