//! Paths to routes. Paths are in normal form; there is no meaning in a trailing slash of the
//! pattern: `/x/*` takes `/x` and everything below it.

use regex::bytes::Regex;

/// Which paths a route takes.
#[derive(Clone, Debug)]
pub enum PathRule {
    Any,
    Exact(String),
    /// Without trailing slash; the empty prefix takes every path.
    Prefix(String),
    Regex(Regex),
}

impl PathRule {
    /// Does it take this path?
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => below(prefix, path).is_some() && path != "*",
            Self::Regex(regex) => regex.is_match(path.as_bytes()),
        }
    }

    /// What the `*` of a prefix stands for, without leading slash; the whole path without its
    /// slash when there is no `*`.
    #[must_use]
    pub fn rest<'p>(&self, path: &'p str) -> &'p str {
        let rest = match self {
            Self::Prefix(prefix) => below(prefix, path).unwrap_or(path),
            _ => path,
        };
        rest.strip_prefix('/').unwrap_or(rest)
    }
}

/// What is left of a path below a prefix of whole segments.
#[must_use]
pub fn below<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PathRule;

    #[test]
    fn whole_segments_only() {
        let rule = PathRule::Prefix("/api".into());
        assert!(rule.takes("/api") && rule.takes("/api/") && rule.takes("/api/x"));
        assert!(!rule.takes("/apix") && !rule.takes("/") && !rule.takes("*"));
        assert_eq!((rule.rest("/api/x/y"), rule.rest("/api")), ("x/y", ""));
        let all = PathRule::Prefix(String::new());
        assert!(all.takes("/") && all.takes("/x") && !all.takes("*"));
        assert_eq!(all.rest("/x/y"), "x/y");
        assert!(PathRule::Any.takes("*"));
    }

    proptest! {
        #[test]
        fn a_prefix_agrees_with_a_naive_reading(prefix in "(/[ab]{1,2}){0,2}", path in "(/[ab]{0,2}){1,4}") {
            let naive = path == prefix || path.starts_with(&format!("{prefix}/"));
            prop_assert_eq!(PathRule::Prefix(prefix).takes(&path), naive);
        }
    }
}
