//! Every key of every table, in the order of the reference page.

use super::cache::{CACHE_KEY, COMPRESS_KEY, STORE};
use super::tls::{ACME, HSTS_KEY, PLAIN_KEY, TLS_KEY};
use super::traffic::{HEDGE_KEY, MIRROR_KEY, PRIORITY_KEY, RETRY_KEY, SPLIT_BY_KEY, SPLIT_KEY};
use super::{Key, Kind, POOL, Table, entry_key, key};
use crate::model::limits::{LIMITS as LIMIT_ENTRIES, TIMEOUTS as TIMEOUT_ENTRIES};

const PROXY: Kind = Kind::TextOrTexts("127.0.0.1:3000");
const REDIRECT_KIND: Kind = Kind::Either(&[
    Kind::Text("https://$host$path$query"),
    Kind::Table(&REDIRECT),
]);
const RESPOND_KIND: Kind = Kind::Either(&[Kind::Text("hello"), Kind::Table(&RESPOND)]);
const HIDE_KIND: Kind = Kind::Either(&[Kind::Flag, Kind::Table(&HIDE)]);
const DENY_KIND: Kind = Kind::Integer(400, 599);

const PROXY_DOC: &str = "Send to these servers: a pool without a name. Two with the same servers are one pool. `https://app.internal` speaks TLS to them, `h2c://app.internal:8080` HTTP/2 without TLS.";
const POOL_DOC: &str = "Send to this pool.";
const REDIRECT_DOC: &str = "Answer with a redirect. Variables: `$scheme`, `$host`, `$path`, `$query` (with its `?`), `$rest` (what `*` matched), `$1`.. (groups of `path_regex`); `${name}` where letters follow, `$$` for `$`.";
const RESPOND_DOC: &str = "Answer from the config itself; a string is the body of a 200.";
const DENY_DOC: &str = "Refuse with this status.";
const HEADERS_DOC: &str = "Edits of headers. Site and route merge by name, the route wins.";
const HIDE_DOC: &str = "The guard that removes headers which show the servers inside.";
pub(super) const TIMEOUT_DOC: &str =
    "Overrides of `[timeouts]`. The pool's lie under the site's, the site's under the route's.";

pub(crate) const ROOT: Table = Table {
    title: "Top level",
    doc: "The main file holds all of these; an included file holds `include`, `pool`, `site` and `test` only.",
    keys: &[
        key(
            "version",
            Kind::Numbers(&[1]),
            "1",
            "The form of the config language.",
        ),
        key(
            "include",
            Kind::Texts("conf.d/*.toml"),
            "[]",
            "More files, relative to this one; `*` stands for any text in the last part of the path. An error in one file refuses all.",
        ),
        key("server", Kind::Table(&SERVER_TABLE), "", "The process."),
        key(
            "timeouts",
            Kind::Table(&TIMEOUTS),
            "",
            "How long things may take.",
        ),
        key(
            "limits",
            Kind::Table(&LIMITS),
            "",
            "How much of anything there may be.",
        ),
        key(
            "acme",
            Kind::Table(&ACME),
            "",
            "Certificates that get and renew themselves.",
        ),
        key(
            "cache",
            Kind::Named(&STORE),
            "",
            "Stores of the cache by name.",
        ),
        key("pool", Kind::Named(&POOL), "", "Pools by name."),
        key("site", Kind::Named(&SITE), "", "Sites by host."),
        key(
            "test",
            Kind::Tables(&TEST),
            "",
            "Tests that the config carries.",
        ),
    ],
    later: &["limit", "auth", "stream"],
};

pub(crate) const SERVER_TABLE: Table = Table {
    title: "[server]",
    doc: "The process; all of it is optional.",
    keys: &[
        key(
            "listen",
            Kind::TextOrTexts(":80"),
            "",
            "Where we listen: `:80` (every address), `0.0.0.0:80`, `[::1]:80` or `unix:/path`. A listener takes TLS and plain HTTP. When it is not written, the listeners are those that the sites name; for sites that name none, `:80`, and `:443` when one of them has `tls` or a name that calls for it.",
        ),
        key(
            "workers",
            Kind::Integer(1, 1024),
            "",
            "Worker threads; one per core unless written.",
        ),
        key(
            "admin",
            Kind::Text("unix:/run/croupier/admin.sock"),
            "\"off\"",
            "Unix socket of the admin interface, or `off`.",
        ),
        key(
            "metrics",
            Kind::Text("127.0.0.1:9145"),
            "\"off\"",
            "Where `/metrics`, `/healthz` and `/readyz` answer, or `off`.",
        ),
        key(
            "trusted_proxies",
            Kind::Texts("10.0.0.0/8"),
            "[]",
            "Networks and addresses whose forwarding headers are believed; `unix` for whoever comes through a Unix socket.",
        ),
        key(
            "proxy_protocol",
            Kind::Texts("10.0.0.0/8"),
            "[]",
            "Networks and addresses whose connections begin with a PROXY header, v1 or v2, which says who the client is; `unix` as above. From them it must come, from others it is refused.",
        ),
        key(
            "resolver",
            Kind::Texts("127.0.0.53:53"),
            "[]",
            "DNS servers that look up the names of servers, with or without a port; those of the system unless written.",
        ),
        key(
            "access_log",
            Kind::Either(&[
                Kind::Text("/var/log/croupier/access.log"),
                Kind::Words(&["off"]),
                Kind::Flag,
                Kind::Table(&ACCESS_LOG),
            ]),
            "true",
            "Where requests are logged; `false` or `off` for nowhere. When it is not written: a short line on a terminal, else JSON on standard output.",
        ),
        key(
            "log_level",
            Kind::Words(&["error", "warn", "info", "debug"]),
            "\"info\"",
            "How much the process says of itself.",
        ),
        key(
            "state",
            Kind::Text("/var/lib/croupier"),
            "",
            "The directory for certificates that got themselves, the account at their authority, and our own authority. Unless written: `$STATE_DIRECTORY`, as systemd sets it, else `/var/lib/croupier` for root, and `croupier` in `$XDG_STATE_HOME` or `~/.local/state` for others.",
        ),
        key(
            "shutdown_grace",
            Kind::Either(&[Kind::Duration, Kind::Words(&["off"])]),
            "\"30s\"",
            "How long exchanges may go on after the stop signal; `off` waits for all.",
        ),
        key(
            "via",
            Kind::Text("croupier"),
            "\"croupier\"",
            "Our pseudonym in `Via` on the way to the origin; `off` sends none (nginx does not compress for requests with `Via` unless `gzip_proxied` says so).",
        ),
    ],
    later: &["user", "group"],
};

pub(crate) const ACCESS_LOG: Table = Table {
    title: "access_log",
    doc: "In `[server]`: `access_log = { path = .., format = .. }`.",
    keys: &[
        key(
            "path",
            Kind::Text("/var/log/croupier/access.log"),
            "\"stdout\"",
            "A file, or `-` or `stdout` for standard output.",
        ),
        key(
            "format",
            Kind::Text("json"),
            "\"json\"",
            "`json`, `combined`, `vcombined`, `terminal`, or text with `{fields}`.",
        ),
    ],
    later: &["sample", "buffer"],
};

pub(crate) const TIMEOUTS: Table = Table {
    title: "[timeouts]",
    doc: "How long things may take; `off` for as long as they like.",
    keys: &{
        const KEYS: [Key; TIMEOUT_ENTRIES.len()] = {
            let mut keys = [const { entry_key(&TIMEOUT_ENTRIES[0]) }; TIMEOUT_ENTRIES.len()];
            let mut index = 0;
            while index < keys.len() {
                keys[index] = entry_key(&TIMEOUT_ENTRIES[index]);
                index += 1;
            }
            keys
        };
        KEYS
    },
    later: &[],
};

pub(crate) const LIMITS: Table = Table {
    title: "[limits]",
    doc: "How much of anything there may be.",
    keys: &{
        const KEYS: [Key; LIMIT_ENTRIES.len()] = {
            let mut keys = [const { entry_key(&LIMIT_ENTRIES[0]) }; LIMIT_ENTRIES.len()];
            let mut index = 0;
            while index < keys.len() {
                keys[index] = entry_key(&LIMIT_ENTRIES[index]);
                index += 1;
            }
            keys
        };
        KEYS
    },
    later: &[],
};

const OVERRIDE: Kind = Kind::Either(&[Kind::Duration, Kind::Words(&["off"])]);

pub(crate) const TIMEOUT: Table = Table {
    title: "timeout",
    doc: "In a pool, site or route: `timeout = { connect = \"500ms\", response = \"10s\" }`. The names mean what they mean in `[timeouts]`.",
    keys: &[
        key("connect", OVERRIDE, "", "As in `[timeouts]`."),
        key("response", OVERRIDE, "", "Short for `response_head`."),
        key("response_head", OVERRIDE, "", "As in `[timeouts]`."),
        key("response_body", OVERRIDE, "", "As in `[timeouts]`."),
        key("client_body", OVERRIDE, "", "As in `[timeouts]`."),
        key("client_send", OVERRIDE, "", "As in `[timeouts]`."),
        key("tunnel_idle", OVERRIDE, "", "As in `[timeouts]`."),
        key("exchange", OVERRIDE, "", "As in `[timeouts]`."),
    ],
    later: &[],
};

pub(crate) const SITE: Table = Table {
    title: "[site.\"HOST\"]",
    doc: "What we do for a host. HOST is a name, `*.example.com` (any name below), an IP address, or `*` (what no other site answers for). A `proxy`, `pool`, `split`, `redirect`, `respond` or `deny` here is the last route and takes what no other took.",
    keys: &[
        key(
            "aliases",
            Kind::Texts("www.example.com"),
            "[]",
            "Other hosts of this site.",
        ),
        key(
            "listen",
            Kind::TextOrTexts(":8080"),
            "",
            "Only on these listeners; every one unless written.",
        ),
        TLS_KEY,
        PLAIN_KEY,
        HSTS_KEY,
        key("proxy", PROXY, "", PROXY_DOC),
        key("pool", Kind::Text("web"), "", POOL_DOC),
        SPLIT_KEY,
        SPLIT_BY_KEY,
        key("routes", Kind::Tables(&ROUTE), "[]", "First match wins."),
        key("redirect", REDIRECT_KIND, "", REDIRECT_DOC),
        key("respond", RESPOND_KIND, "", RESPOND_DOC),
        key("deny", DENY_KIND, "", DENY_DOC),
        key("headers", Kind::Table(&HEADERS), "", HEADERS_DOC),
        key("hide", HIDE_KIND, "true", HIDE_DOC),
        key(
            "forwarded",
            Kind::Flag,
            "false",
            "Send `Forwarded` (RFC 7239) beside `X-Forwarded-*`.",
        ),
        key("timeout", Kind::Table(&TIMEOUT), "", TIMEOUT_DOC),
        RETRY_KEY,
        HEDGE_KEY,
        PRIORITY_KEY,
        MIRROR_KEY,
        CACHE_KEY,
        COMPRESS_KEY,
    ],
    later: &["limit", "auth", "errors"],
};

pub(crate) const ROUTE: Table = Table {
    title: "A route of a site",
    doc: "In `routes`: conditions, exactly one of `pool`, `proxy`, `split`, `redirect`, `respond` and `deny`, and what changes on the way. All conditions must hold. `header` and `query` are conditions, `headers` are edits.",
    keys: &[
        key(
            "path",
            Kind::Text("/api/*"),
            "",
            "`/exact`, or `/prefix/*`, which also takes `/prefix`.",
        ),
        key(
            "path_regex",
            Kind::Text("^/user/([0-9]+)$"),
            "",
            "A regular expression on the path; not anchored unless it says so.",
        ),
        key("methods", Kind::Texts("GET"), "", "Only these methods."),
        key(
            "header",
            Kind::Conditions,
            "",
            "Conditions on headers: a string (equal), `~` and a regular expression, `true` (present), `false` (absent).",
        ),
        key(
            "query",
            Kind::Conditions,
            "",
            "Conditions on query parameters, in the same form.",
        ),
        key("pool", Kind::Text("web"), "", POOL_DOC),
        key("proxy", PROXY, "", PROXY_DOC),
        SPLIT_KEY,
        SPLIT_BY_KEY,
        key("redirect", REDIRECT_KIND, "", REDIRECT_DOC),
        key("respond", RESPOND_KIND, "", RESPOND_DOC),
        key("deny", DENY_KIND, "", DENY_DOC),
        key(
            "strip_prefix",
            Kind::Text("/api"),
            "",
            "Take this off the front of the path, in whole segments; other paths stay.",
        ),
        key(
            "add_prefix",
            Kind::Text("/v2"),
            "",
            "Put this in front of the path, after `strip_prefix`.",
        ),
        key(
            "rewrite",
            Kind::Text("/app/$rest"),
            "",
            "The new path, from `$path`, `$rest` (what `*` matched), `$1`.. (groups of `path_regex`), `$host`. The query stays.",
        ),
        key("headers", Kind::Table(&HEADERS), "", HEADERS_DOC),
        key("hide", HIDE_KIND, "", "As in the site, for this route."),
        key("timeout", Kind::Table(&TIMEOUT), "", TIMEOUT_DOC),
        RETRY_KEY,
        HEDGE_KEY,
        PRIORITY_KEY,
        MIRROR_KEY,
        CACHE_KEY,
        COMPRESS_KEY,
        key(
            "name",
            Kind::Text("api"),
            "",
            "Its label in logs, metrics and tests; else its path.",
        ),
    ],
    later: &["limit", "auth", "when", "files"],
};

pub(crate) const REDIRECT: Table = Table {
    title: "redirect",
    doc: "In a site or route: `redirect = { to = .., status = .. }`.",
    keys: &[
        key(
            "to",
            Kind::Text("https://$host$path$query"),
            "",
            "Where to; an absolute URL or a path.",
        ),
        key(
            "status",
            Kind::Numbers(&[301, 302, 303, 307, 308]),
            "302",
            "301, 302, 303, 307 or 308. 301 and 308 are remembered by browsers.",
        ),
    ],
    later: &[],
};

pub(crate) const RESPOND: Table = Table {
    title: "respond",
    doc: "In a site or route: `respond = { status = .., body = .. }`.",
    keys: &[
        key("status", Kind::Integer(200, 599), "200", "The status."),
        key("body", Kind::Text("hello"), "\"\"", "The body."),
        key(
            "content_type",
            Kind::Text("text/html; charset=utf-8"),
            "\"text/plain; charset=utf-8\"",
            "Of the body.",
        ),
        key("headers", Kind::Lines, "{}", "More headers."),
    ],
    later: &["file"],
};

pub(crate) const HEADERS: Table = Table {
    title: "headers",
    doc: "In a site or route: `headers.response = { set = { Strict-Transport-Security = \"max-age=31536000\" } }`.",
    keys: &[
        key(
            "request",
            Kind::Table(&EDITS),
            "",
            "On the way to the origin.",
        ),
        key(
            "response",
            Kind::Table(&EDITS),
            "",
            "On the way to the client.",
        ),
    ],
    later: &[],
};

pub(crate) const EDITS: Table = Table {
    title: "headers.request and headers.response",
    doc: "First `remove`, then `set`, then `add`.",
    keys: &[
        key(
            "set",
            Kind::Lines,
            "{}",
            "Replace every header of that name.",
        ),
        key("add", Kind::Lines, "{}", "One more header of that name."),
        key(
            "remove",
            Kind::Texts("X-Powered-By"),
            "[]",
            "Remove every header of that name.",
        ),
    ],
    later: &[],
};

pub(crate) const HIDE: Table = Table {
    title: "hide",
    doc: "In a site or route: `hide = { headers = [\"X-Node\"], keep = [\"Server\"] }`; `false` switches the guard off.",
    keys: &[
        key("headers", Kind::Texts("X-Node"), "[]", "Remove these too."),
        key("keep", Kind::Texts("Server"), "[]", "Keep these."),
    ],
    later: &[],
};

pub(crate) const TEST: Table = Table {
    title: "[[test]]",
    doc: "A request and what must come of it; `croupier check` runs them.",
    keys: &[
        key(
            "request",
            Kind::Text("GET https://example.com/path"),
            "",
            "Method and absolute URL.",
        ),
        key("headers", Kind::Lines, "{}", "Headers of the request."),
        key(
            "client",
            Kind::Text("192.0.2.7"),
            "",
            "The client's address.",
        ),
        key(
            "expect",
            Kind::Table(&EXPECT),
            "",
            "What must come out; at least one of its keys.",
        ),
    ],
    later: &[],
};

pub(crate) const EXPECT: Table = Table {
    title: "expect",
    doc: "In a test: `expect = { pool = \"web\" }`.",
    keys: &[
        key(
            "site",
            Kind::Text("example.com"),
            "",
            "The site's host as in its header.",
        ),
        key(
            "route",
            Kind::Text("/api/*"),
            "",
            "The route's name, or else its path.",
        ),
        key(
            "pool",
            Kind::Text("web"),
            "",
            "The pool's name; of a `split` any of its pools is right.",
        ),
        key(
            "status",
            Kind::Integer(100, 599),
            "",
            "The status of a `deny`, `redirect` or `respond`.",
        ),
        key(
            "location",
            Kind::Text("https://example.com/"),
            "",
            "Where a redirect leads.",
        ),
        key(
            "path",
            Kind::Text("/v2/items?page=1"),
            "",
            "Path and query as the origin sees them.",
        ),
        key(
            "cache",
            Kind::Either(&[Kind::Text("edge"), Kind::Flag]),
            "",
            "The store that is asked for a kept answer; `false`: none is.",
        ),
    ],
    later: &["limit"],
};
