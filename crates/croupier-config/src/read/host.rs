//! Hosts of sites, names of servers, and the other names that the config gives.

use std::net::{IpAddr, Ipv6Addr};

use crate::model::HostPattern;
use crate::read::Complaint;

/// The host of a site: a name, `*.name`, an IP address, or `*`.
pub(crate) fn pattern(text: &str) -> Result<HostPattern, Complaint> {
    let bad = |help: String| Err(Complaint::new(format!("`{text}` is not a host")).help(help));
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        return bad(format!("without scheme and path: `{host}`"));
    }
    if let Some((host, _)) = text.split_once('/') {
        return bad(format!(
            "a host has no path; write `{host}` and match paths in `routes`"
        ));
    }
    if let Ok(address) = text
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    {
        return Ok(HostPattern::Exact(match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => bracketed(address),
        }));
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        return bad(format!(
            "a host has no port; write `{host}` and `listen = \":{}\"` to narrow it to a listener",
            if port.is_empty() { "80" } else { port }
        ));
    }
    let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if let Some(name) = lower.strip_prefix("*.") {
        return match name_problem(name) {
            None => Ok(HostPattern::Below(name.to_owned())),
            Some(problem) => bad(problem),
        };
    }
    if lower.contains('*') {
        return bad("`*` stands alone or as the first label, as in `*.example.com`".into());
    }
    match name_problem(&lower) {
        None => Ok(HostPattern::Exact(lower)),
        Some(problem) => bad(problem),
    }
}

fn bracketed(address: Ipv6Addr) -> String {
    format!("[{address}]")
}

/// Why a text is no DNS name, if it is none. Underscores are allowed: internal names have them.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the name is empty".into());
    }
    if !name.is_ascii() {
        return Some("write names with other letters in their punycode form, `xn--..`".into());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 {
        return Some("a name has at most 253 characters".into());
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Some("between two dots stands a label".into());
        }
        if label.len() > 63 {
            return Some(format!(
                "a label has at most 63 characters, this one has {}",
                label.len()
            ));
        }
        if let Some(odd) = label
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !"-_".contains(*c))
        {
            return Some(format!(
                "a name has letters, digits, `-` and `.`, no `{odd}`"
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Some("a label does not begin or end with `-`".into());
        }
    }
    // A name whose last label is a number would be taken for a broken IPv4 address (WHATWG URL, RFC 3696).
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Some("an IPv4 address has four numbers from 0 to 255".into());
    }
    None
}

/// The name of a pool: it becomes a label in metrics and a word in logs.
pub(crate) fn label(text: &str) -> Result<String, Complaint> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
        return Err(Complaint::new(format!("`{text}` is not a name"))
            .help("a name has 1 to 64 letters, digits, `-`, `_` and `.`"));
    }
    Ok(text.to_owned())
}

/// The name of a route: anything printable.
pub(crate) fn title(text: &str) -> Result<String, Complaint> {
    if text.is_empty() || text.len() > 128 || text.chars().any(char::is_control) {
        return Err(
            Complaint::new("this is not a name").help("a name has 1 to 128 printable characters")
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn hosts_are_brought_to_one_form() {
        for (text, form) in [
            ("Example.COM.", "example.com"),
            ("*.Example.com", "*.example.com"),
            ("*", "*"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:DB8::1", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("app_1.internal", "app_1.internal"),
        ] {
            assert_eq!(pattern(text).unwrap().to_string(), form);
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "-a.b",
            "a-.b",
            "a b",
            "a:80",
            "a:",
            "https://a/b",
            "a/b",
            "*a.b",
            "a.*.b",
            "*.",
            "bücher.example",
            "1.2.3.4.5",
            "256.1.1.1",
            "a,b",
        ] {
            pattern(text).unwrap_err();
        }
        pattern(&"a.".repeat(200)).unwrap_err();
        pattern(&"a".repeat(64)).unwrap_err();
    }
}
