//! A table of the tree under its table of keys: what is there, of which type, and what should not be there.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{Table, all_of};
use crate::nearest::nearest;
use crate::read::{Field, Reader};
use crate::source::Span;
use crate::tree::{Entry, Node, Value};

/// One table that is being read. Unknown keys have been noted when it was opened.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    spec: &'static Table,
    pub(crate) span: Span,
    /// Keys that unknown ones were most likely meant to be: they are not missing too.
    meant: Vec<&'static str>,
}

/// Words of other programs, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("proxy_pass", "proxy"),
    ("reverse_proxy", "proxy"),
    ("server_name", "aliases"),
    ("location", "routes"),
    ("locations", "routes"),
    ("return", "respond"),
    ("addr", "address"),
    ("url", "address"),
    ("method", "methods"),
    ("route", "routes"),
    ("threads", "workers"),
    ("match", "path"),
    ("prefix", "path"),
    ("backlog", "listen"),
    ("bind", "listen"),
    ("code", "status"),
    ("delete", "remove"),
    ("file", "path"),
    ("output", "path"),
    ("content", "body"),
    ("level", "log_level"),
    ("health_check", "health"),
    ("healthcheck", "health"),
    ("check", "health"),
    ("lb_policy", "balance"),
    ("outlier_detection", "eject"),
    ("max_fails", "eject"),
    ("fail_timeout", "eject"),
    ("max_conns", "max_connections"),
    ("maxconn", "max_connections"),
    ("slowstart", "slow_start"),
    ("retries", "retry"),
    ("attempts", "max"),
    ("tries", "max"),
    ("percent", "weight"),
    ("num_retries", "max"),
    ("uri", "path"),
    ("expect", "status"),
    ("domain", "path"),
    ("max_age", "ttl"),
    ("samesite", "same_site"),
    ("percentage", "share"),
    ("percent", "share"),
    ("name", "cookie"),
    ("key", "hash"),
    ("ssl", "tls"),
    ("https", "tls"),
    ("ssl_certificate", "tls"),
    ("certificate", "tls"),
    ("cert", "certificate"),
    ("cert_file", "certificate"),
    ("ssl_certificate_key", "key"),
    ("key_file", "key"),
    ("mtls", "client_auth"),
    ("client_certificate", "client_auth"),
    ("ssl_verify_client", "client_auth"),
    ("ca_file", "ca"),
    ("root_ca", "ca"),
    ("server_name", "name"),
    ("sni", "name"),
    ("insecure_skip_verify", "verify"),
    ("insecure", "verify"),
    ("alpn", "http2"),
    ("redirect_https", "plain"),
    ("force_https", "plain"),
    ("strict_transport_security", "hsts"),
    ("email", "contact"),
    ("mail", "contact"),
    ("url", "directory"),
    ("server", "directory"),
    ("key_type", "key"),
    ("eab", "binding"),
    ("external_account", "binding"),
    ("kid", "id"),
    ("hmac", "key"),
    ("hmac_key", "key"),
    ("mac_key", "key"),
    ("on_demand", "ask"),
    ("send_proxy", "proxy_protocol"),
    ("accept_proxy", "proxy_protocol"),
    ("data_dir", "state"),
    ("storage", "state"),
    ("max_size", "size"),
    ("directory", "path"),
    ("max_file_size", "max_object"),
    ("object_max", "max_object"),
    ("cache_key", "key"),
    ("default_ttl", "ttl"),
    ("grace", "stale_if_error"),
    ("swr", "stale_while_revalidate"),
    ("vary", "key"),
    ("bypass", "bypass_cookies"),
    ("use_stale", "stale_if_error"),
    ("lock_timeout", "collapse_wait"),
    ("allow_purge", "purge_from"),
    ("proxy_cache", "cache"),
    ("gzip", "compress"),
    ("brotli", "compress"),
    ("encode", "compress"),
    ("encodings", "codings"),
    ("min_length", "min"),
    ("gzip_types", "types"),
];

impl<'a> Fields<'a> {
    /// Opens a table; notes it when the node is none.
    pub(crate) fn open(reader: &mut Reader, node: &'a Node, spec: &'static Table) -> Option<Self> {
        let Some(entries) = node.as_table() else {
            let message = format!("`{}` is a table, not {}", spec.title, node.found());
            reader.note(Diagnostic::error(codes::WRONG_TYPE, node.span, message));
            return None;
        };
        let mut fields = Self {
            entries,
            spec,
            span: node.span,
            meant: Vec::new(),
        };
        for entry in entries {
            if spec.key(&entry.key).is_none() {
                let meant = fields.note_unknown(reader, entry);
                fields.meant.extend(meant);
            }
        }
        Some(fields)
    }

    /// Says what is known; returns the key that was most likely meant.
    fn note_unknown(&self, reader: &mut Reader, entry: &Entry) -> Option<&'static str> {
        let name = entry.key.value.as_str();
        let message = if name.is_empty() {
            "a key without a name".to_owned()
        } else {
            format!("unknown key `{name}` in {}", title_of(self.spec))
        };
        let diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, entry.key.span, message);
        let is_header =
            self.spec.title == "headers" && matches!(entry.node.value, Value::String(_));
        let elsewhere = ELSEWHERE
            .iter()
            .find(|(theirs, ours)| name == *theirs && self.spec.key(ours).is_some())
            .map(|(_, ours)| *ours);
        let near = nearest(name, self.spec.names());
        let diagnostic = if is_header {
            diagnostic.help(format!(
                "edits are `headers.request = {{ set = {{ {name} = .. }} }}` or `headers.response`; a condition of a route is `header = {{ {name} = .. }}`"
            ))
        } else if self.spec.later.contains(&name) {
            diagnostic.help(format!("`{name}` comes with a later version"))
        } else if let Some(ours) = elsewhere {
            diagnostic.help(format!("here it is called `{ours}`"))
        } else if let Some(near) = near {
            diagnostic.help(format!("did you mean `{near}`?"))
        } else if let Some(home) = self.home_of(name) {
            diagnostic.help(format!("`{name}` belongs to {home}"))
        } else {
            let names: Vec<&str> = self.spec.names().collect();
            diagnostic.help(format!("the keys here are {}", all_of(&names)))
        };
        reader.note(diagnostic);
        elsewhere.or(near)
    }

    /// Whether an unknown key was most likely meant to be one of these.
    pub(crate) fn meant(&self, names: &[&str]) -> bool {
        self.meant.iter().any(|meant| names.contains(meant))
    }

    /// The top-level table that has the key, when this one has not.
    fn home_of(&self, name: &str) -> Option<String> {
        use crate::keys::{LIMITS, POOL, ROOT, ROUTE, SERVER_TABLE, SITE, TIMEOUTS};
        if name == "cache" {
            return Some("a site or route; a store is `[cache.NAME]`".into());
        }
        if ROOT.key(name).is_some() {
            return Some("the top level, before the first header".into());
        }
        // What a site and a pool have alike is meant for the site more often.
        [&SERVER_TABLE, &TIMEOUTS, &LIMITS, &SITE, &POOL, &ROUTE]
            .into_iter()
            .find(|table| table.key(name).is_some())
            .map(title_of)
    }

    /// A key, if it is there.
    pub(crate) fn get(&self, name: &'static str) -> Option<Field<'a>> {
        let key = self.spec.key(name);
        debug_assert!(
            key.is_some(),
            "the table of keys has no `{name}` in {}",
            self.spec.title
        );
        #[cfg(test)]
        seen::record(self.spec.title, name);
        let entry = self.entries.iter().find(|entry| entry.key.value == name)?;
        Some(Field {
            key: key?,
            name: entry.key.span,
            node: &entry.node,
        })
    }

    /// A key that has no default.
    pub(crate) fn need(&self, reader: &mut Reader, name: &'static str) -> Option<Field<'a>> {
        let field = self.get(name);
        if field.is_none() && !self.meant(&[name]) {
            let takes = self
                .spec
                .key(name)
                .map(|key| key.kind.describe())
                .unwrap_or_default();
            reader.note(
                Diagnostic::error(
                    codes::MISSING_KEY,
                    self.span,
                    format!("`{name}` is missing"),
                )
                .help(format!("it takes {takes}")),
            );
        }
        field
    }

    /// A key that is a table itself.
    pub(crate) fn table(
        &self,
        reader: &mut Reader,
        name: &'static str,
        spec: &'static Table,
    ) -> Option<Self> {
        let field = self.get(name)?;
        if field.node.as_table().is_none() {
            field.note_type(reader);
            return None;
        }
        Fields::open(reader, field.node, spec)
    }

    /// The keys of `names` that are there.
    pub(crate) fn among(&self, names: &[&'static str]) -> Vec<Field<'a>> {
        let mut there: Vec<Field<'a>> = names.iter().filter_map(|name| self.get(name)).collect();
        there.sort_by_key(|field| field.name);
        there
    }
}

/// How a message calls a table.
fn title_of(table: &Table) -> String {
    match table.title {
        "Top level" => "the top level".into(),
        "headers.request and headers.response" => "header edits".into(),
        "TLS of a site" => "a site's `tls`".into(),
        "TLS of a pool" => "a pool's `tls`".into(),
        title if title.starts_with(char::is_uppercase) => title.to_lowercase(),
        title => format!("`{title}`"),
    }
}

/// Which keys the reader ever asked for, so that a test can hold that against the table of keys.
#[cfg(test)]
pub(crate) mod seen {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    /// Title of the table and name of the key.
    type Keys = BTreeSet<(&'static str, &'static str)>;

    thread_local! {
        static SEEN: RefCell<Keys> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(crate) fn record(table: &'static str, key: &'static str) {
        SEEN.with_borrow_mut(|seen| seen.insert((table, key)));
    }

    pub(crate) fn take() -> Keys {
        SEEN.take()
    }
}
