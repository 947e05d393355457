//! Hosts to sites: exact names first, then the longest `*.` wildcard, then the default site.

use std::collections::HashMap;

use croupier_config::model::HostPattern;

/// Index of a site in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteId(pub usize);

/// Which hosts of one listener belong to which site.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    exact: HashMap<String, SiteId, foldhash::fast::RandomState>,
    below: HashMap<String, SiteId, foldhash::fast::RandomState>,
    any: Option<SiteId>,
}

impl Hosts {
    /// Adds a host. The config has seen to it that no host is in two sites.
    pub fn insert(&mut self, pattern: &HostPattern, site: SiteId) {
        match pattern {
            HostPattern::Exact(name) => {
                self.exact.insert(name.clone(), site);
            }
            HostPattern::Below(name) => {
                self.below.insert(name.clone(), site);
            }
            HostPattern::Any => self.any = Some(site),
        }
    }

    /// The site of a host in normal form; the empty host (HTTP/1.0) is the default site's.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<SiteId> {
        if !self.exact.is_empty()
            && let Some(site) = self.exact.get(host)
        {
            return Some(*site);
        }
        if !self.below.is_empty() {
            let mut rest = host;
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(site) = self.below.get(parent) {
                    return Some(*site);
                }
                rest = parent;
            }
        }
        self.any
    }
}

#[cfg(test)]
mod tests {
    use croupier_config::model::HostPattern;

    use super::{Hosts, SiteId};

    #[test]
    fn exact_then_longest_wildcard_then_default() {
        let mut hosts = Hosts::default();
        hosts.insert(&HostPattern::Exact("a.example.com".into()), SiteId(0));
        hosts.insert(&HostPattern::Below("example.com".into()), SiteId(1));
        hosts.insert(&HostPattern::Below("deep.example.com".into()), SiteId(2));
        assert_eq!(hosts.find("a.example.com"), Some(SiteId(0)));
        assert_eq!(hosts.find("b.example.com"), Some(SiteId(1)));
        assert_eq!(hosts.find("x.y.deep.example.com"), Some(SiteId(2)));
        assert_eq!(hosts.find("example.com"), None);
        assert_eq!(hosts.find(""), None);
        hosts.insert(&HostPattern::Any, SiteId(3));
        assert_eq!(hosts.find("example.com"), Some(SiteId(3)));
        assert_eq!(hosts.find(""), Some(SiteId(3)));
    }
}
