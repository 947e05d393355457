//! What a route keeps and compresses: which store, by which rules, under which key.

use std::{path::PathBuf, sync::Arc, time::Duration};

use croupier_cache::{disk::Disk, rules::policy::Policy, store::Store};
use croupier_coding::Coding;
pub use croupier_config::model::{CompressCookies, NamePattern, Percent, TypePattern};
use croupier_http::{Fields, Name};

use super::TrustedPeers;

/// A store of the config.
#[derive(Clone, Debug)]
pub struct StorePlan {
    /// Its memory, and all that is known of what it holds.
    pub store: Arc<Store>,
    /// None: it has none, or its directory could not be used.
    pub disk: Option<Arc<Disk>>,
    /// Where its disk is, and how much it may take, bytes, as the config has it.
    pub place: Option<(PathBuf, u64)>,
}

/// What a route keeps of its answers.
#[derive(Debug)]
pub struct CachePlan {
    /// Where.
    pub store: Arc<Store>,
    /// How long, when the answers do not say.
    pub policy: Policy,
    /// What of a request is part of the key.
    pub key: KeyRules,
    /// Tells routes apart that make different requests, or different answers, of one target.
    pub stamp: u64,
    /// Requests with such a cookie neither read nor fill.
    pub bypass_cookies: Box<[NamePattern]>,
    /// Whose `PURGE` requests are obeyed.
    pub purge_from: TrustedPeers,
    /// A body that is too large for one object is kept in slices of this many bytes.
    pub slice: u64,
    /// How long a request waits for another one's answer before it asks itself.
    pub collapse_wait: Duration,
    /// Is `Cache-Status` (RFC 9211) written?
    pub status: bool,
}

impl CachePlan {
    /// The name of the cookie that keeps this request from the cache, if it has one.
    #[must_use]
    pub fn bypass<'a>(&self, fields: &'a Fields) -> Option<&'a [u8]> {
        if self.bypass_cookies.is_empty() {
            return None;
        }
        let takes = |name: &[u8]| self.bypass_cookies.iter().any(|rule| rule.takes(name));
        cookies(fields)
            .map(|(name, _)| name)
            .find(|name| takes(name))
    }
}

/// How a key is made of a request.
#[derive(Clone, Debug, Default)]
pub struct KeyRules {
    /// Parameters of the query that are left out.
    pub ignore: Box<[NamePattern]>,
    /// Are parameters sorted by name?
    pub is_sorted: bool,
    /// More that is part of it.
    pub extra: Box<[KeyPart]>,
}

/// A part of a request that is part of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// All lines of this field; the name in lower case.
    Header(Box<str>),
    /// All cookies of this name; case counts.
    Cookie(Box<str>),
}

impl std::fmt::Display for KeyPart {
    /// As it is written in the config.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
        }
    }
}

/// Queries with more parameters are not sorted: they are no pages that people ask for twice.
const SORTED_MAX: usize = 64;
/// Between two parts.
const PART: u8 = 0x1f;
/// Before a byte that would look like one of these.
const ESCAPE: u8 = 0x1e;

impl KeyRules {
    /// May the query in the key be another one than the client's?
    #[must_use]
    pub fn changes_queries(&self) -> bool {
        self.is_sorted || !self.ignore.is_empty()
    }

    /// Writes what of the query, given without `?`, is part of the key.
    pub fn write_query(&self, query: &[u8], out: &mut Vec<u8>) {
        if !self.changes_queries() {
            out.extend_from_slice(query);
            return;
        }
        let start = out.len();
        let mut parameters: [&[u8]; SORTED_MAX] = [&[]; SORTED_MAX];
        let mut count = 0;
        for parameter in query.split(|byte| *byte == b'&') {
            if parameter.is_empty() || self.is_ignored(parameter_name(parameter)) {
                continue;
            }
            if let Some(place) = parameters.get_mut(count) {
                *place = parameter;
            }
            count += 1;
            write_parameter(parameter, start, out);
        }
        let Some(parameters) = parameters.get_mut(..count).filter(|_| self.is_sorted) else {
            return;
        };
        // Parameters of the same name keep their order: it is often their meaning.
        parameters.sort_by_key(|parameter| parameter_name(parameter));
        out.truncate(start);
        for parameter in parameters {
            write_parameter(parameter, start, out);
        }
    }

    fn is_ignored(&self, name: &[u8]) -> bool {
        self.ignore.iter().any(|rule| rule.takes(name))
    }

    /// Writes the further parts. No two requests that differ in one of them write the same, and a
    /// zero byte is never written.
    pub fn write_extra(&self, fields: &Fields, out: &mut Vec<u8>) {
        for part in &self.extra {
            out.push(PART);
            match part {
                KeyPart::Header(name) => {
                    for value in fields.all_named(name.as_bytes()) {
                        write_value(value, out);
                    }
                }
                KeyPart::Cookie(name) => {
                    for (other, value) in cookies(fields) {
                        if other == name.as_bytes() {
                            write_value(value, out);
                        }
                    }
                }
            }
        }
    }
}

fn parameter_name(parameter: &[u8]) -> &[u8] {
    let end = parameter.iter().position(|byte| *byte == b'=');
    &parameter[..end.unwrap_or(parameter.len())]
}

fn write_parameter(parameter: &[u8], start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b'&');
    }
    out.extend_from_slice(parameter);
}

/// An empty value is something else than none.
fn write_value(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'=');
    for &byte in value {
        match byte {
            b'=' | 0..0x20 => out.extend_from_slice(&[ESCAPE, byte | 0x40]),
            _ => out.push(byte),
        }
    }
}

/// The cookies of a request: name, value (RFC 6265 section 5.4).
pub fn cookies(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields
        .all(Name::COOKIE)
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            Some((pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii()))
        })
}

/// What a route compresses on the way to the client.
#[derive(Clone, Debug)]
pub struct CompressPlan {
    /// The best first.
    pub codings: Box<[Coding]>,
    /// Of which types.
    pub types: Box<[TypePattern]>,
    /// Shorter bodies stay as they are, bytes.
    pub min: u64,
    /// What becomes of answers that set cookies.
    pub cookies: CompressCookies,
    /// Are dictionaries (RFC 9842) used?
    pub dictionary: bool,
    /// Are kept answers compressed again in the background?
    pub strong: bool,
    /// The share of one core for that.
    pub cpu: Percent,
}

impl CompressPlan {
    /// Is this one of its types? Given as in `Content-Type`, with or without parameters.
    #[must_use]
    pub fn takes_type(&self, content_type: &[u8]) -> bool {
        let end = content_type.iter().position(|byte| *byte == b';');
        let bare = content_type[..end.unwrap_or(content_type.len())].trim_ascii();
        self.types.iter().any(|rule| rule.takes(bare))
    }
}

#[cfg(test)]
mod tests {
    use croupier_http::Fields;

    use super::{KeyPart, KeyRules, NamePattern};

    fn pattern(text: &str) -> NamePattern {
        let name = text.trim_end_matches('*');
        NamePattern {
            text: name.into(),
            is_prefix: name != text,
        }
    }

    fn query(rules: &KeyRules, query: &str) -> String {
        let mut out = b"/path?".to_vec();
        rules.write_query(query.as_bytes(), &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn a_query_without_rules_is_the_key_as_it_came() {
        let rules = KeyRules::default();
        for text in ["", "a=1&b=2", "b=2&&a", "&"] {
            assert_eq!(query(&rules, text), text);
        }
    }

    #[test]
    fn ignored_parameters_are_no_part_of_the_key() {
        let rules = KeyRules {
            ignore: [pattern("utm_*"), pattern("fbclid")].into(),
            ..KeyRules::default()
        };
        assert_eq!(query(&rules, "utm_source=x&b=2&fbclid=1&a=1"), "b=2&a=1");
        assert_eq!(query(&rules, "utm_source"), "");
        assert_eq!(query(&rules, "fbclid2=1&UTM_a=2"), "fbclid2=1&UTM_a=2");
    }

    #[test]
    fn sorting_keeps_the_order_of_equal_names() {
        let rules = KeyRules {
            is_sorted: true,
            ..KeyRules::default()
        };
        assert_eq!(query(&rules, "b=2&a=2&a=1"), "a=2&a=1&b=2");
        assert_eq!(query(&rules, "b&a="), "a=&b");
        let many: Vec<String> = (0..100).map(|n| format!("p{}={n}", 99 - n)).collect();
        assert_eq!(query(&rules, &many.join("&")), many.join("&"));
    }

    fn extra(rules: &KeyRules, lines: &[(&str, &str)]) -> Vec<u8> {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        let mut out = Vec::new();
        rules.write_extra(&fields, &mut out);
        out
    }

    #[test]
    fn no_two_requests_with_other_parts_have_the_same_key() {
        let rules = KeyRules {
            extra: [
                KeyPart::Header("x-tenant".into()),
                KeyPart::Cookie("lang".into()),
            ]
            .into(),
            ..KeyRules::default()
        };
        let requests: &[&[(&str, &str)]] = &[
            &[],
            &[("x-tenant", "")],
            &[("x-tenant", "a")],
            &[("x-tenant", "a=b")],
            &[("x-tenant", "a"), ("x-tenant", "b")],
            &[("x-tenant", "a\u{1f}=b")],
            &[("x-tenant", "a"), ("cookie", "lang=b")],
            &[("cookie", "lang=a")],
            &[("cookie", "x=1; lang=a; lang=b")],
            &[("cookie", "lang=a=lang=b")],
        ];
        let mut keys: Vec<Vec<u8>> = requests.iter().map(|lines| extra(&rules, lines)).collect();
        assert!(keys.iter().all(|key| !key.contains(&0)));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), requests.len());
        // The order of cookies is nobody's meaning.
        assert_eq!(
            extra(&rules, &[("cookie", "lang=a; b=1")]),
            extra(&rules, &[("cookie", "b=1;lang=a")])
        );
    }
}
