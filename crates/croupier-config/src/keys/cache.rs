//! Keys of the cache and of compression.

use super::{Key, Kind, Table, key};

const CACHE_KIND: Kind = Kind::Either(&[Kind::Text("edge"), Kind::Flag, Kind::Table(&CACHE)]);
const COMPRESS_KIND: Kind =
    Kind::Either(&[Kind::Texts("zstd"), Kind::Flag, Kind::Table(&COMPRESS)]);

/// Keys that a site and a route have alike.
pub(super) const CACHE_KEY: Key = key(
    "cache",
    CACHE_KIND,
    "false",
    "Keep answers, and give them again without asking, as RFC 9111 allows. A string is the store; `true` is the store `default`, of 64 MiB of memory unless `[cache.default]` says otherwise. What a route says lies over what its site says, key by key.",
);
pub(super) const COMPRESS_KEY: Key = key(
    "compress",
    COMPRESS_KIND,
    "false",
    "Compress answers on their way to clients that take it. A list is the codings, the best first; `true` is the same as the default list. What a route says lies over what its site says, key by key.",
);

pub(crate) const STORE: Table = Table {
    title: "[cache.NAME]",
    doc: "A store: where the answers of routes with `cache = \"NAME\"` are kept. All of it is optional; an empty table is a store.",
    keys: &[
        key(
            "memory",
            Kind::Size,
            "\"256MiB\"",
            "How much memory it takes, with all that belongs to an answer.",
        ),
        key(
            "disk",
            Kind::Table(&DISK),
            "",
            "What does not fit into memory, and what outlives a restart.",
        ),
        key(
            "max_object",
            Kind::Size,
            "",
            "Answers with a larger body are not kept. Unless written: `1GiB` with a disk, or all of a smaller one; else a sixteenth of `memory`.",
        ),
        key(
            "slice",
            Kind::Size,
            "\"1MiB\"",
            "Larger files are kept in slices of this size, so that a part of one is answered without the whole: a power of two from `64KiB` to `16MiB`.",
        ),
    ],
    later: &[],
};

pub(crate) const DISK: Table = Table {
    title: "disk",
    doc: "In a store: `disk = { path = \"/var/cache/croupier\", size = \"50GiB\" }`.",
    keys: &[
        key(
            "path",
            Kind::Text("/var/cache/croupier"),
            "",
            "A directory of its own, on a local disk; it is made when it is missing.",
        ),
        key(
            "size",
            Kind::Size,
            "",
            "How much of the disk it takes, to the byte; at least `16MiB`.",
        ),
    ],
    later: &[],
};

pub(crate) const CACHE: Table = Table {
    title: "cache",
    doc: "In a site or route: `cache = { store = \"edge\", ttl = \"1d\" }`, `cache = \"edge\"`, `cache = true` or `false`. Answers say themselves how long they stay fresh; the durations here are for those that say nothing.",
    keys: &[
        key(
            "store",
            Kind::Text("edge"),
            "\"default\"",
            "Where answers are kept: a `[cache.NAME]`.",
        ),
        key(
            "ttl",
            Kind::Duration,
            "",
            "The freshness of answers that state none. Unless written they have what `heuristic` gives.",
        ),
        key(
            "heuristic",
            Kind::Either(&[Kind::Percent, Kind::Flag]),
            "\"10%\"",
            "The freshness of answers that state none and have a `Last-Modified`: this share of their age, a day at most (RFC 9111, 4.2.2); `false`: none.",
        ),
        key(
            "stale_while_revalidate",
            Kind::Duration,
            "\"0s\"",
            "How long after its freshness an answer is still given while it is asked for anew in the background (RFC 5861), when it says nothing of that itself; `0s`: only when it does.",
        ),
        key(
            "stale_if_error",
            Kind::Duration,
            "\"1h\"",
            "How long after its freshness an answer is still given when no server has a better one than an error (RFC 5861), unless it forbids that; `0s`: only when it says so itself.",
        ),
        key(
            "ignore_query",
            Kind::Texts("utm_*"),
            "[]",
            "Parameters of the query that make no other answer: servers do not get them, and they are no part of the key. A name, or the beginning of names and `*`; `[\"*\"]`: all.",
        ),
        key(
            "sort_query",
            Kind::Flag,
            "false",
            "`?a=1&b=2` and `?b=2&a=1` are the same: parameters are sorted by name, for the server too; those of one name keep their order.",
        ),
        key(
            "key",
            Kind::Texts("header.X-Tenant"),
            "[]",
            "More of a request that makes another answer, whether `Vary` says so or not: `header.NAME` or `cookie.NAME`.",
        ),
        key(
            "cookies",
            Kind::Words(&["refuse", "store"]),
            "\"refuse\"",
            "Answers with `Set-Cookie`: `refuse` does not keep them; `store` keeps them, and gives everybody the same cookie.",
        ),
        key(
            "bypass_cookies",
            Kind::Texts("session*"),
            "[]",
            "Requests with such a cookie go to a server, and their answers are not kept. A name, or the beginning of names and `*`.",
        ),
        key(
            "purge_from",
            Kind::Texts("10.0.0.0/8"),
            "[]",
            "Networks and addresses whose `PURGE` requests remove what they name; `unix` for whoever comes through a Unix socket.",
        ),
        key(
            "collapse_wait",
            Kind::Duration,
            "\"5s\"",
            "How long a request waits for the answer to another one that is the same, before it asks itself.",
        ),
        key(
            "status",
            Kind::Flag,
            "true",
            "Say in `Cache-Status` (RFC 9211) what the cache did, and why.",
        ),
    ],
    later: &["tags", "prefetch", "warm"],
};

pub(crate) const COMPRESS: Table = Table {
    title: "compress",
    doc: "In a site or route: `compress = [\"zstd\", \"br\", \"gzip\"]`, `compress = { min = \"4KiB\" }`, `compress = true` or `false`. Answers that are coded already, or say `no-transform`, stay as they are.",
    keys: &[
        key(
            "codings",
            Kind::Items(&[Kind::Words(&["zstd", "br", "gzip"])]),
            "[\"zstd\", \"br\", \"gzip\"]",
            "What may be used, the best first; of those that a client likes alike the first is taken.",
        ),
        key(
            "types",
            Kind::Texts("text/*"),
            "[\"text/*\", \"application/json\", \"application/*+json\", \"application/javascript\", \"application/xml\", \"application/*+xml\", \"application/wasm\", \"image/svg+xml\", \"font/ttf\", \"font/otf\"]",
            "Which `Content-Type`s: `text/html`, `text/*`, `application/*+json` or `*/*`.",
        ),
        key(
            "min",
            Kind::Size,
            "\"1KiB\"",
            "Shorter bodies stay as they are.",
        ),
        key(
            "cookies",
            Kind::Words(&["refuse", "compress"]),
            "\"refuse\"",
            "Answers that set cookies: `refuse` leaves them as they are, since the length of a compressed body tells of secrets in it (BREACH); `compress` compresses them.",
        ),
        key(
            "dictionary",
            Kind::Flag,
            "false",
            "Kept answers are dictionaries for their later versions (RFC 9842): a client that has the old one gets what has changed.",
        ),
        key(
            "strong",
            Kind::Flag,
            "true",
            "Kept answers are compressed once more in the background, as small as they get, and given so from then on.",
        ),
        key(
            "cpu",
            Kind::Percent,
            "\"10%\"",
            "The share of one core for what is compressed in the background.",
        ),
    ],
    later: &[],
};
