//! What kind of name a host has: who could vouch for it before a browser.
//!
//! A public authority gives certificates for public names only. Names that are kept for machines inside get them from
//! our own authority; names that nobody can own get none.

use std::net::IpAddr;

use crate::model::HostPattern;

/// The kind of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    /// Somebody owns it, and a public authority can ask who.
    Public,
    /// `localhost` and below, and the names of private networks.
    Internal,
    /// An IP address.
    Address,
    /// Set aside for documents and tests, or for other uses than DNS.
    Reserved,
    /// One label: no name of the public DNS.
    Single,
    /// It has a `_`, which no public authority signs (CA/Browser Forum, ballot SC12).
    Underscore,
    /// `*.name`, and the name is not internal.
    Wildcard,
    /// `*`.
    Any,
}

/// RFC 6761 (`localhost`), ICANN's resolution 2024.07.29.06 (`internal`), RFC 6762 and its appendix G, RFC 8375.
const INTERNAL: &[&str] = &[
    "localhost",
    "internal",
    "local",
    "home.arpa",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
];

/// RFC 2606 and 6761, RFC 7686 (`onion`), RFC 9476 (`alt`).
const RESERVED: &[&str] = &[
    "test",
    "example",
    "invalid",
    "example.com",
    "example.net",
    "example.org",
    "arpa",
    "onion",
    "alt",
];

/// The kind of a site's host.
pub(crate) fn kind(host: &HostPattern) -> NameKind {
    match host {
        HostPattern::Any => NameKind::Any,
        HostPattern::Below(name) if is_of(name, INTERNAL) => NameKind::Internal,
        HostPattern::Below(_) => NameKind::Wildcard,
        HostPattern::Exact(name) => kind_of_name(name),
    }
}

fn kind_of_name(name: &str) -> NameKind {
    if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return NameKind::Address;
    }
    if is_of(name, INTERNAL) && (name.contains('.') || name == "localhost") {
        return NameKind::Internal;
    }
    if is_of(name, RESERVED) {
        return NameKind::Reserved;
    }
    match name.contains('.') {
        false => NameKind::Single,
        true if name.contains('_') => NameKind::Underscore,
        true => NameKind::Public,
    }
}

/// Whether a name, in lower case, is one of these or below one.
fn is_of(name: &str, domains: &[&str]) -> bool {
    domains.iter().any(|domain| {
        let above = name.strip_suffix(domain);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::{NameKind, kind};
    use crate::read::pattern;

    #[test]
    fn only_names_that_somebody_owns_are_public() {
        for (host, expected) in [
            ("shop.de", NameKind::Public),
            ("www.shop.co.uk", NameKind::Public),
            ("notexample.com", NameKind::Public),
            ("internal.shop.de", NameKind::Public),
            ("localhost", NameKind::Internal),
            ("app.localhost", NameKind::Internal),
            ("db.internal", NameKind::Internal),
            ("nas.local", NameKind::Internal),
            ("nas.home.arpa", NameKind::Internal),
            ("nas.lan", NameKind::Internal),
            ("*.dev.internal", NameKind::Internal),
            ("192.0.2.1", NameKind::Address),
            ("[::1]", NameKind::Address),
            ("example.com", NameKind::Reserved),
            ("shop.example.com", NameKind::Reserved),
            ("a.test", NameKind::Reserved),
            ("1.0.0.127.in-addr.arpa", NameKind::Reserved),
            ("app", NameKind::Single),
            ("internal", NameKind::Single),
            ("a_b.shop.de", NameKind::Underscore),
            ("*.shop.de", NameKind::Wildcard),
            ("*.example.com", NameKind::Wildcard),
            ("*", NameKind::Any),
        ] {
            assert_eq!(kind(&pattern(host).unwrap()), expected, "{host}");
        }
    }
}
