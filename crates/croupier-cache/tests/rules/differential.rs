//! Beside somebody else's reading of the RFC: `http-cache-semantics`. Both are asked about the same
//! random exchanges; where they differ, a row of the table below says why.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use croupier_cache::rules::{
    Asked, Asking, Cookies, Give, Heuristic, Moments, Parts, Policy, Told, control::Word, may_give,
    may_store,
};
use croupier_http::{Fields, Method, Name, ResponseHead};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use proptest::{collection::vec, prelude::*};

use super::scene::{NOW, at, fields};

/// Why the two may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It keeps only statuses that it lists; we keep all that state their freshness.
    Statuses,
    /// It hears `Pragma: no-cache` of responses, which RFC 9111 section 5.4 dropped.
    Pragma,
    /// It hears `Pragma` of requests beside `Cache-Control`.
    AskedPragma,
    /// It never gives an answer with `proxy-revalidate`, even a fresh one.
    ProxyRevalidate,
    /// It forbids stale use after `must-revalidate` alone, not after `s-maxage`.
    SMaxage,
    /// It takes `max-stale=N` to end a second earlier, and to be about `no-cache` and answers without
    /// any freshness too, which we do not give, or keep.
    MaxStale,
    /// It does not know `stale-while-revalidate`.
    WhileRevalidate,
    /// It takes the age from `Age` alone, not from `Date` (section 4.2.3).
    ApparentAge,
    /// It takes directives in lower case only.
    Case,
    /// It gives a response with two different values of a directive no grace.
    Duplicate,
    /// It makes `immutable` without freshness fresh for a day.
    Immutable,
    /// It treats a list behind `private` or `no-cache` as none, and reads quoted commas as commas.
    Lists,
    /// It answers a request that says `no-store`.
    AskedNoStore,
    /// It asks again for an immutable answer on a reload.
    Reload,
}

struct Exchange {
    first: Fields,
    answer: Fields,
    status: u16,
    second: Fields,
    after: u64,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, fields) in [
            ("GET", &self.first),
            ("->", &self.answer),
            ("GET", &self.second),
        ] {
            write!(f, " {what}")?;
            for field in fields.iter() {
                let [name, value] = [field.raw_name, field.value].map(String::from_utf8_lossy);
                write!(f, " | {name}: {value}")?;
            }
        }
        write!(f, " ({} after {} s)", self.status, self.after)
    }
}

impl Exchange {
    /// The rows that speak of this exchange.
    fn known(&self) -> Option<Known> {
        let told = Told::of(&self.answer);
        let asked = Asked::of(&self.second);
        let words = |of: &Fields| {
            let lines: Vec<_> = of
                .all(Name::CACHE_CONTROL)
                .map(String::from_utf8_lossy)
                .collect();
            lines.join(", ")
        };
        let (said, asks) = (words(&self.answer), words(&self.second));
        let has_twice = |word: &str| said.matches(word).count() > 1;
        let cc = self.answer.contains(Name::CACHE_CONTROL);
        let listed = [
            200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501,
        ];
        let rows = [
            (!listed.contains(&self.status), Known::Statuses),
            (!cc && self.answer.contains(Name::PRAGMA), Known::Pragma),
            (
                self.second.contains(Name::PRAGMA) && self.second.contains(Name::CACHE_CONTROL),
                Known::AskedPragma,
            ),
            (told.says(Word::PROXY_REVALIDATE), Known::ProxyRevalidate),
            (
                told.s_maxage.is_some() && asked.max_stale.is_some(),
                Known::SMaxage,
            ),
            (asked.max_stale.is_some(), Known::MaxStale),
            (
                told.stale_while_revalidate.is_some(),
                Known::WhileRevalidate,
            ),
            (
                self.answer
                    .get(Name::DATE)
                    .is_some_and(|date| date != at(0).as_bytes()),
                Known::ApparentAge,
            ),
            (
                said != said.to_ascii_lowercase() || asks != asks.to_ascii_lowercase(),
                Known::Case,
            ),
            (
                has_twice("max-age=") || has_twice("s-maxage="),
                Known::Duplicate,
            ),
            (
                told.says(Word::IMMUTABLE) && told.max_age.is_none(),
                Known::Immutable,
            ),
            (said.contains("=\"x\""), Known::Lists),
            (asks.contains("no-store"), Known::AskedNoStore),
            (
                told.says(Word::IMMUTABLE) && asked.max_age.is_some(),
                Known::Reload,
            ),
        ];
        rows.into_iter()
            .find(|(speaks, _)| *speaks)
            .map(|(_, known)| known)
    }

    fn ours(&self) -> bool {
        let policy = Policy {
            heuristic: Some(Heuristic {
                percent: 10,
                max: Duration::from_secs(u64::from(u32::MAX)),
            }),
            cookies: Cookies::Refuse,
            errors_max: Duration::MAX,
            stale_if_error: None,
            ..Policy::default()
        };
        let asking = Asking {
            method: Method::Get,
            fields: &self.first,
            parts: Parts::Refuse,
        };
        let mut head = ResponseHead::of_status(self.status);
        head.fields = self.answer.clone();
        let moments = Moments {
            asked_ms: NOW,
            received_ms: NOW,
        };
        let asked = Asked::of(&self.second);
        may_store(&asking, &head, &policy, moments).is_ok_and(|terms| {
            !matches!(
                may_give(&asked, &terms, NOW + self.after * 1000),
                Give::Ask(_)
            )
        })
    }

    fn theirs(&self) -> bool {
        let request = |of: &Fields| {
            let mut request = http::Request::get("http://a/").body(()).unwrap();
            *request.headers_mut() = map(of);
            request
        };
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap();
        *response.headers_mut() = map(&self.answer);
        let time = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let policy = CachePolicy::new_options(
            &request(&self.first),
            &response,
            time(NOW),
            CacheOptions::default(),
        );
        let before = policy.before_request(&request(&self.second), time(NOW + self.after * 1000));
        policy.is_storable() && matches!(before, BeforeRequest::Fresh(_))
    }
}

fn map(of: &Fields) -> http::HeaderMap {
    let mut map = http::HeaderMap::new();
    for field in of.iter() {
        let name = http::HeaderName::from_bytes(field.raw_name).unwrap();
        map.append(name, http::HeaderValue::from_bytes(field.value).unwrap());
    }
    map
}

const TOLD: &[&str] = &[
    "max-age=10, foo",
    "max-age=0",
    "max-age=x",
    "max-age=\"10\"",
    "s-maxage=20, foo",
    "s-maxage=0",
    "no-store",
    "no-cache",
    "private",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "immutable",
    "Max-Age=10",
    "stale-while-revalidate=9",
    "private=\"x\"",
];
const ASKED: &[&str] = &[
    "max-age=5",
    "max-age=0",
    "min-fresh=5",
    "max-stale",
    "max-stale=3",
    "no-cache",
    "no-store",
    "only-if-cached",
];

/// A head with some of these lines, each name once, and with some of these directives.
fn message(
    lines: Vec<(&'static str, String)>,
    directives: &'static [&'static str],
) -> impl Strategy<Value = Fields> {
    let words = vec(prop::sample::select(directives), 0..4);
    (vec(prop::sample::select(lines), 0..4), words).prop_map(|(lines, words)| {
        let mut fields = Fields::new();
        for (name, value) in lines {
            if fields.all_named(name.as_bytes()).next().is_none() {
                fields.push(name.as_bytes(), value.as_bytes());
            }
        }
        if !words.is_empty() {
            fields.push(b"cache-control", words.join(", ").as_bytes());
        }
        fields
    })
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let answer = vec![
        ("age", "3".to_owned()),
        ("expires", at(15)),
        ("expires", "0".to_owned()),
        ("date", at(0)),
        ("date", at(-8)),
        ("last-modified", at(-100)),
        ("etag", "\"a\"".to_owned()),
        ("vary", "*".to_owned()),
        ("pragma", "no-cache".to_owned()),
    ];
    let first = vec![
        ("authorization", "x".to_owned()),
        ("accept", "*/*".to_owned()),
    ];
    let second = vec![
        ("pragma", "no-cache".to_owned()),
        ("cookie", "a=b".to_owned()),
    ];
    let status = prop::sample::select(vec![200_u16, 200, 200, 203, 301, 302, 404, 403, 500, 501]);
    (
        message(first, &["foo"]),
        status,
        message(answer, TOLD),
        message(second, ASKED),
        0..25_u64,
    )
        .prop_map(|(first, status, answer, second, after)| Exchange {
            first,
            answer,
            status,
            second,
            after,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn both_give_the_same_but_for_what_is_known(exchange in exchange()
        .prop_filter("known", |exchange| exchange.known().is_none()).no_shrink())
    {
        prop_assert_eq!(exchange.ours(), exchange.theirs(), "ours, theirs");
    }
}

/// What shows each difference: the status and head of an answer, the head of the second request, the
/// seconds between. The last column: do we give it, where they do not?
const ROWS: [(Known, u16, &str, &str, u64, bool); 14] = [
    (Known::Statuses, 403, "max-age=10", "", 0, true),
    (
        Known::Pragma,
        200,
        "pragma: no-cache|expires: Fri, 01 Jan 2038 01:01:01 GMT",
        "",
        0,
        true,
    ),
    (
        Known::AskedPragma,
        200,
        "max-age=10",
        "pragma: no-cache|cache-control: foo",
        0,
        true,
    ),
    (
        Known::ProxyRevalidate,
        200,
        "max-age=10, proxy-revalidate",
        "",
        0,
        true,
    ),
    (Known::SMaxage, 200, "s-maxage=10", "max-stale", 12, false),
    (Known::MaxStale, 200, "max-age=10", "max-stale=3", 13, true),
    (
        Known::WhileRevalidate,
        200,
        "max-age=10, stale-while-revalidate=9",
        "",
        12,
        true,
    ),
    (
        Known::ApparentAge,
        200,
        "cache-control: max-age=10|date: Sun, 22 Nov 2026 23:59:52 GMT",
        "",
        5,
        false,
    ),
    (Known::Case, 200, "Max-Age=10", "", 0, true),
    (
        Known::Duplicate,
        200,
        "max-age=10, max-age=0",
        "max-stale",
        12,
        true,
    ),
    (Known::Immutable, 200, "immutable", "", 0, false),
    (Known::Lists, 200, "max-age=10, private=\"x\"", "", 0, true),
    (Known::AskedNoStore, 200, "max-age=10", "no-store", 0, false),
    (
        Known::Reload,
        200,
        "max-age=10, immutable",
        "max-age=0",
        5,
        true,
    ),
];

/// Each row stands for a difference that is there: when the other library changes its mind, its row
/// must go.
#[test]
fn every_row_of_the_table_is_still_true() {
    for (known, status, answer, second, after, ours) in ROWS {
        let read = |text: &str| {
            let whole = if text.contains(": ") {
                text.to_owned()
            } else {
                format!("cache-control: {text}")
            };
            let lines: Vec<_> = whole
                .split('|')
                .filter_map(|line| line.split_once(": "))
                .collect();
            fields(&lines)
        };
        let exchange = Exchange {
            first: Fields::new(),
            answer: read(answer),
            status,
            second: read(second),
            after,
        };
        assert!(exchange.known().is_some(), "{known:?}");
        assert_eq!(
            (exchange.ours(), exchange.theirs()),
            (ours, !ours),
            "{known:?}"
        );
    }
}
