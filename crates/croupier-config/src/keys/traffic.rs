//! Keys that say how requests travel: tried again, tried twice, split over pools, copied.

use super::pool::PERCENT_OR_OFF;
use super::{Key, Kind, Table, key};

const SIZE_OR_NONE: Kind = Kind::Either(&[Kind::Size, Kind::Words(&["0"])]);

pub(crate) const HEDGE_KIND: Kind =
    Kind::Either(&[Kind::Flag, Kind::Text("95%"), Kind::Table(&HEDGE)]);
const RETRY_KIND: Kind = Kind::Either(&[Kind::Flag, Kind::Table(&RETRY)]);

pub(crate) const RETRY_DOC: &str = "Try again at another server when an attempt failed and a repetition is safe. What a site says lies over the pool's, what a route says over the site's, key by key.";
pub(crate) const HEDGE_DOC: &str = "Ask a second server when the first takes long, and use what comes first; only for requests that are safe to repeat. The route's counts, else the site's, else the pool's.";

/// Keys that a site and a route have alike.
pub(crate) const RETRY_KEY: Key = key("retry", RETRY_KIND, "", RETRY_DOC);
pub(crate) const HEDGE_KEY: Key = key("hedge", HEDGE_KIND, "", HEDGE_DOC);
pub(crate) const PRIORITY_KEY: Key = key(
    "priority",
    Kind::Words(&["low", "normal", "high"]),
    "\"normal\"",
    "The place of its requests in the pool's `queue`.",
);
pub(crate) const MIRROR_KEY: Key = key(
    "mirror",
    Kind::Either(&[Kind::Table(&MIRROR), Kind::Flag]),
    "",
    "Send a copy of its requests to another pool too, and drop the answers; `false`: not as the site says.",
);
pub(crate) const SPLIT_KEY: Key = key(
    "split",
    Kind::Tables(&SPLIT),
    "",
    "Send to several pools, each with its share of the clients.",
);
pub(crate) const SPLIT_BY_KEY: Key = key(
    "split_by",
    Kind::Text("client.ip"),
    "\"client.ip\"",
    "Requests that are alike in this go to the same pool of a `split`: `client.ip`, `header.NAME`, `cookie.NAME`, `path`, `uri` or `query.NAME`.",
);

pub(crate) const RETRY: Table = Table {
    title: "retry",
    doc: "In a pool, site or route: `retry = { max = 3, on = [\"connect\", \"503\"] }`; `false`: never.",
    keys: &[
        key(
            "on",
            Kind::Texts("connect"),
            "[\"connect\", \"closed\", \"timeout\", \"malformed\", \"502\", \"503\", \"504\"]",
            "`connect` (no connection), `closed` (closed or reset before an answer), `timeout` (no response head in time), `malformed` (an answer that cannot be parsed), or a status: `429`, `500` to `599`.",
        ),
        key(
            "max",
            Kind::Integer(0, 8),
            "2",
            "Further attempts after the first.",
        ),
        key(
            "budget",
            PERCENT_OR_OFF,
            "\"20%\"",
            "Repeated attempts are at most this share of the active requests, so that retries never bring down what is ill.",
        ),
        key(
            "budget_floor",
            Kind::Integer(0, 1_000_000),
            "3",
            "So many at once are allowed whatever `budget` says.",
        ),
        key(
            "try_timeout",
            Kind::Duration,
            "",
            "How long one attempt may take to its response head; `[timeouts] response_head` unless written.",
        ),
        key(
            "body",
            SIZE_OR_NONE,
            "\"64KiB\"",
            "How much of a request body is kept in memory in order to send it again.",
        ),
        key(
            "body_file",
            SIZE_OR_NONE,
            "\"0\"",
            "How much further is kept in a file.",
        ),
        key(
            "idempotent",
            Kind::Flag,
            "false",
            "Repeat any method: the application says that it is safe for these requests.",
        ),
    ],
    later: &[],
};

pub(crate) const HEDGE: Table = Table {
    title: "hedge",
    doc: "In a pool, site or route: `hedge = { after = \"95%\" }`, or `hedge = \"95%\"`; `true` is the same as `\"95%\"`.",
    keys: &[key(
        "after",
        Kind::Either(&[Kind::Percent, Kind::Duration]),
        "\"95%\"",
        "A duration, or a share: when the first attempt takes longer than this share of the pool's requests.",
    )],
    later: &[],
};

pub(crate) const SPLIT: Table = Table {
    title: "split",
    doc: "In a site or route: `split = [{ pool = \"web\", weight = 95 }, { pool = \"canary\", weight = 5 }]`.",
    keys: &[
        key("pool", Kind::Text("canary"), "", "The pool."),
        key(
            "weight",
            Kind::Integer(0, 10_000),
            "1",
            "Its share beside the others; 0: nothing.",
        ),
    ],
    later: &[],
};

pub(crate) const MIRROR: Table = Table {
    title: "mirror",
    doc: "In a site or route: `mirror = { pool = \"shadow\", share = \"10%\" }`.",
    keys: &[
        key("pool", Kind::Text("shadow"), "", "Where copies go."),
        key(
            "share",
            Kind::Percent,
            "\"100%\"",
            "The share of requests that are copied.",
        ),
        key(
            "body",
            SIZE_OR_NONE,
            "\"64KiB\"",
            "Requests with a larger body are not copied.",
        ),
    ],
    later: &[],
};
