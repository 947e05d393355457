//! Keys of a pool and its servers: who is chosen, how health is found out, what waits, what sticks.

use super::tables::TIMEOUT_DOC;
use super::tls::{POOL_TLS_KEY, SEND_PROXY_KEY};
use super::traffic::{HEDGE_DOC, HEDGE_KIND, RETRY, RETRY_DOC};
use super::{Kind, TIMEOUT, Table, key};

/// A server as a string or as a table with its weight.
const SERVERS: &[Kind] = &[Kind::Text("10.0.1.11:8080"), Kind::Table(&SERVER)];

/// Words of `balance`.
const BALANCE_WORDS: &[&str] = &[
    "two-choices",
    "round-robin",
    "random",
    "least-requests",
    "ewma",
    "hash",
];

pub(crate) const PERCENT_OR_OFF: Kind = Kind::Either(&[Kind::Percent, Kind::Words(&["off"])]);
const COUNT_OR_OFF: Kind = Kind::Either(&[Kind::Integer(1, 1000), Kind::Words(&["off"])]);

/// What a hash may be of.
const KEY_DOC: &str =
    "`client.ip`, `header.NAME`, `cookie.NAME`, `path`, `uri` (path and query) or `query.NAME`.";

pub(crate) const POOL: Table = Table {
    title: "[pool.NAME]",
    doc: "Servers that can answer the same requests.",
    keys: &[
        key(
            "servers",
            Kind::Items(SERVERS),
            "",
            "The servers; at least one. `host:port`, `unix:/path`, `dns+srv://_http._tcp.web.internal` (ports, weights and priorities come from DNS), or a table with a weight. A name is looked up later and need not resolve at the start.",
        ),
        key(
            "balance",
            Kind::Either(&[Kind::Words(BALANCE_WORDS), Kind::Table(&HASH)]),
            "\"two-choices\"",
            "How a server is chosen. `two-choices`: of two drawn at random, the one with fewer requests in flight. `round-robin`: in turn. `random`: drawn. `least-requests`: the one with the fewest requests in flight. `ewma`: of two drawn at random, the one that answers sooner. `hash`: the same client goes to the same server. All of them keep to the weights.",
        ),
        key(
            "health",
            Kind::Either(&[
                Kind::Text("/healthz"),
                Kind::Words(&["off", "tcp", "grpc"]),
                Kind::Table(&HEALTH),
            ]),
            "\"off\"",
            "Whether servers are asked how they are: a path is asked for over HTTP, `tcp` opens a connection and closes it, `grpc` asks `grpc.health.v1`.",
        ),
        key(
            "eject",
            Kind::Either(&[Kind::Flag, Kind::Table(&EJECT)]),
            "true",
            "Put a server aside for a while when its own traffic fails.",
        ),
        key(
            "slow_start",
            Kind::Either(&[Kind::Duration, Kind::Words(&["off"])]),
            "\"off\"",
            "How long a server takes to come to its full share after it was away.",
        ),
        key(
            "queue",
            Kind::Table(&QUEUE),
            "",
            "Requests that wait when every server is at its `max_requests`.",
        ),
        key(
            "sticky",
            Kind::Either(&[Kind::Text("croupier_id"), Kind::Table(&STICKY)]),
            "",
            "A cookie that brings a client back to the server that it had; a string is the cookie's name. When the server is away, the client gets another.",
        ),
        key(
            "retry",
            Kind::Either(&[Kind::Flag, Kind::Table(&RETRY)]),
            "true",
            RETRY_DOC,
        ),
        key("hedge", HEDGE_KIND, "false", HEDGE_DOC),
        key(
            "resume",
            Kind::Flag,
            "true",
            "Continue a download that a server breaks off on another one, by `Range` and `If-Range`; only where the answer's validator says that it is the same.",
        ),
        key("timeout", Kind::Table(&TIMEOUT), "", TIMEOUT_DOC),
        key(
            "host",
            Kind::Text("app.internal"),
            "\"client\"",
            "The `Host` its servers see: `client` (what the client sent), `server` (the server's address as written), or a fixed name.",
        ),
        key(
            "protocol",
            Kind::Words(&["http", "https", "h2c"]),
            "\"http\"",
            "What its servers speak. `http`: HTTP/1.1. `https`: TLS, and over it HTTP/2 or HTTP/1.1, as the server chooses. `h2c`: HTTP/2 without TLS.",
        ),
        POOL_TLS_KEY,
        SEND_PROXY_KEY,
        key(
            "idle_per_server",
            Kind::Integer(0, 100_000),
            "",
            "As in `[limits]`, for this pool.",
        ),
    ],
    later: &["limit"],
};

pub(crate) const SERVER: Table = Table {
    title: "A server of a pool",
    doc: "In `servers`: `{ address = \"10.0.1.13:8080\", weight = 2 }`.",
    keys: &[
        key("address", Kind::Text("10.0.1.13:8080"), "", "Where it is."),
        key(
            "weight",
            Kind::Integer(0, 1000),
            "1",
            "Its share beside the others; 0: no new clients, only those that stick to it.",
        ),
        key(
            "backup",
            Kind::Either(&[Kind::Flag, Kind::Integer(1, 3)]),
            "false",
            "Asked when too few of the others are up: by shares, as those of the tier before fall below seven tenths, and alone when all are away. A number is a tier: 1 (the same as `true`) comes before 2.",
        ),
        key(
            "max_requests",
            Kind::Integer(1, 1_000_000),
            "",
            "Requests in flight at once; no limit unless written.",
        ),
        key(
            "max_connections",
            Kind::Integer(1, 1_000_000),
            "",
            "Connections open at once; no limit unless written.",
        ),
    ],
    later: &["name", "drain"],
};

pub(crate) const HASH: Table = Table {
    title: "balance",
    doc: "In a pool: `balance = { hash = \"cookie.session\", load = \"150%\" }`.",
    keys: &[
        key("hash", Kind::Text("client.ip"), "", KEY_DOC),
        key(
            "table",
            Kind::Words(&["maglev", "ring"]),
            "\"maglev\"",
            "`maglev` spreads most evenly, `ring` moves the fewest keys when a server comes or goes.",
        ),
        key(
            "load",
            PERCENT_OR_OFF,
            "\"125%\"",
            "No server takes more than this share of the mean load, the next one takes the rest; `off`: it does.",
        ),
    ],
    later: &[],
};

pub(crate) const HEALTH: Table = Table {
    title: "health",
    doc: "In a pool: `health = { path = \"/healthz\", interval = \"5s\" }`. `path`, `method`, `host`, `status` and `body` belong to a check over HTTP.",
    keys: &[
        key(
            "kind",
            Kind::Words(&["http", "tcp"]),
            "\"http\"",
            "`http` sends a request, `tcp` opens a connection and closes it.",
        ),
        key(
            "grpc",
            Kind::Either(&[Kind::Text("shop.Orders"), Kind::Flag]),
            "false",
            "Ask `grpc.health.v1` for this service, `true` for the server as a whole, and neither `kind` nor a key of HTTP. The pool's `protocol` is `h2c` or `https`.",
        ),
        key(
            "path",
            Kind::Text("/healthz"),
            "\"/\"",
            "What is asked for; a query may follow.",
        ),
        key(
            "method",
            Kind::Words(&["GET", "HEAD", "OPTIONS"]),
            "\"GET\"",
            "Of the request.",
        ),
        key(
            "host",
            Kind::Text("app.internal"),
            "",
            "The `Host` of the request; the server's address unless written.",
        ),
        key(
            "status",
            Kind::TextOrTexts("200-299"),
            "[\"200-399\"]",
            "The statuses of a server that is well.",
        ),
        key(
            "body",
            Kind::Text("ready"),
            "",
            "Text that must occur in the first 16 KiB of the answer's body.",
        ),
        key(
            "port",
            Kind::Integer(1, 65535),
            "",
            "Asked at this port; at the server's own unless written.",
        ),
        key("interval", Kind::Duration, "\"2s\"", "Between two checks."),
        key(
            "interval_changing",
            Kind::Duration,
            "\"500ms\"",
            "Between two checks while a server's state is changing; never longer than `interval` unless written.",
        ),
        key(
            "timeout",
            Kind::Duration,
            "\"1s\"",
            "For one check; never longer than `interval` unless written.",
        ),
        key(
            "rise",
            Kind::Integer(1, 100),
            "2",
            "Checks in a row that must succeed before a failed server gets requests again.",
        ),
        key(
            "fall",
            Kind::Integer(1, 100),
            "3",
            "Checks in a row that must fail before a server gets no more requests.",
        ),
    ],
    later: &[],
};

pub(crate) const EJECT: Table = Table {
    title: "eject",
    doc: "In a pool: `eject = { failures = 5, longest = \"60s\" }`.",
    keys: &[
        key(
            "failures",
            COUNT_OR_OFF,
            "3",
            "Transport failures in a row: closed or silent before an answer. A server that cannot be connected to is put aside at once.",
        ),
        key(
            "gateway_errors",
            COUNT_OR_OFF,
            "5",
            "Answers with 502, 503 or 504 in a row.",
        ),
        key(
            "ratio",
            PERCENT_OR_OFF,
            "\"50%\"",
            "Share of failed requests in 10 seconds, of at least 20, and well above the share of the whole pool.",
        ),
        key(
            "first",
            Kind::Duration,
            "\"5s\"",
            "How long a server is aside the first time; it doubles with each further time.",
        ),
        key("longest", Kind::Duration, "\"300s\"", "The longest time."),
        key(
            "share",
            Kind::Percent,
            "\"50%\"",
            "At most this share of the pool is put aside by traffic alone.",
        ),
        key(
            "panic",
            PERCENT_OR_OFF,
            "\"50%\"",
            "When fewer of the servers are usable than this share, all that answer at all are asked again.",
        ),
    ],
    later: &[],
};

pub(crate) const QUEUE: Table = Table {
    title: "queue",
    doc: "In a pool: `queue = { requests = 1000, time = \"5s\" }`.",
    keys: &[
        key(
            "requests",
            Kind::Integer(0, 1_000_000),
            "256",
            "How many may wait at once; 0: none waits.",
        ),
        key(
            "time",
            Kind::Duration,
            "\"2s\"",
            "How long one may wait before it is answered with 503.",
        ),
    ],
    later: &[],
};

pub(crate) const STICKY: Table = Table {
    title: "sticky",
    doc: "In a pool: `sticky = { cookie = \"croupier_id\", ttl = \"1h\" }`.",
    keys: &[
        key(
            "cookie",
            Kind::Text("croupier_id"),
            "\"croupier_id\"",
            "The cookie's name.",
        ),
        key(
            "ttl",
            Kind::Duration,
            "",
            "How long the client keeps it; until the browser closes unless written.",
        ),
        key(
            "path",
            Kind::Text("/"),
            "\"/\"",
            "The path below which the client sends it.",
        ),
        key("secure", Kind::Flag, "false", "Send it over https only."),
        key(
            "same_site",
            Kind::Words(&["lax", "strict", "none"]),
            "\"lax\"",
            "Whether other sites' requests carry it.",
        ),
        key(
            "secret",
            Kind::Either(&[Kind::Table(&SECRET), Kind::Text("at least 16 bytes")]),
            "",
            "Signs the cookie, so that a client cannot choose its server.",
        ),
    ],
    later: &[],
};

pub(crate) const SECRET: Table = Table {
    title: "secret",
    doc: "Where a secret is: `{ file = \"/etc/croupier/secret\" }` or `{ env = \"CROUPIER_SECRET\" }`. It has at least 16 bytes.",
    keys: &[
        key(
            "file",
            Kind::Text("/etc/croupier/secret"),
            "",
            "A file; its content without the final line end.",
        ),
        key(
            "env",
            Kind::Text("CROUPIER_SECRET"),
            "",
            "A variable of the environment.",
        ),
    ],
    later: &[],
};
