//! What the process says of its cache, told to people in 80 columns.

use std::fmt::Write as _;

use serde_json::Value;

use super::amounts::{bytes, number, share, time};
use crate::terminal::{COLUMNS, count, lines};

/// Where a URL begins in a list.
const URL_AT: usize = 48;
/// Labels of what is told of one thing.
const LABEL: usize = 11;
/// Sites that are told of one store.
const SITES: usize = 50;

/// The items of an answer.
pub(super) fn items(answer: &Value) -> &[Value] {
    list(answer, "items")
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

fn amount(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_default()
}

/// A row of a list, behind a heading if it is the first. A URL that does not fit has a line of its
/// own, so that it can be copied.
pub(super) fn row(item: &Value, is_first: bool) -> String {
    let mut row = String::new();
    if is_first {
        row.push_str(&columns(["status", "tier", "size", "age", "ttl", "hits"]));
        row.push_str("url\n");
    }
    row.push_str(&columns([
        &amount(item, "status").to_string(),
        text(item, "tier"),
        &bytes(amount(item, "length")),
        &time(amount(item, "age")),
        &freshness(item),
        &number(amount(item, "hits")),
    ]));
    let url = text(item, "url");
    if URL_AT + url.chars().count() > COLUMNS {
        row.truncate(row.trim_end().len());
        row.push_str("\n    ");
    }
    row.push_str(url);
    row.push('\n');
    row
}

fn columns([status, tier, size, age, ttl, hits]: [&str; 6]) -> String {
    format!("{status:<6}  {tier:<6}  {size:>8}  {age:>6}  {ttl:>6}  {hits:>6}  ")
}

/// What is left of it.
fn freshness(item: &Value) -> String {
    if item["purged"].as_bool() == Some(true) {
        return "purged".into();
    }
    match item["ttl"].as_i64().unwrap_or_default() {
        left @ 1.. => time(left.unsigned_abs()),
        _ => "stale".into(),
    }
}

/// All of one URL.
pub(super) fn shown(url: &str, answer: &Value) -> String {
    let mut shown = String::new();
    for item in items(answer) {
        if !shown.is_empty() {
            shown.push('\n');
        }
        shown.push_str(&one(item));
    }
    if shown.is_empty() {
        let stores: Vec<&str> = list(answer, "stores")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        shown = match stores.is_empty() {
            true => format!("no route keeps anything of {url}\n"),
            false => format!("nothing is kept of {url}\n"),
        };
        if !stores.is_empty() {
            line(&mut shown, "looked in", &stores.join(", "));
        }
    }
    let refused = list(answer, "refused");
    for (at, refusal) in refused.iter().take(5).enumerate() {
        let label = if at == 0 { "not kept" } else { "" };
        let words = format!(
            "{} ago: {}",
            time(amount(refusal, "seconds_ago")),
            text(refusal, "reason")
        );
        line(&mut shown, label, &words);
    }
    shown
}

fn one(item: &Value) -> String {
    let mut told = format!("{}\n", text(item, "url"));
    let mut say = |label: &str, words: &str| line(&mut told, label, words);
    say("store", text(item, "store"));
    say("tier", text(item, "tier"));
    say("status", &amount(item, "status").to_string());
    let (length, weight) = (amount(item, "length"), amount(item, "weight"));
    say(
        "size",
        &format!("{} of body, {} with all", bytes(length), bytes(weight)),
    );
    if !text(item, "coding").is_empty() {
        say("coding", text(item, "coding"));
    }
    say("age", &time(amount(item, "age")));
    let left = item["ttl"].as_i64().unwrap_or_default();
    say(
        "ttl",
        &match freshness(item).as_str() {
            "purged" => "purged: asked for again before it is given".to_owned(),
            "stale" => format!("stale for {}", time(left.unsigned_abs())),
            fresh => format!("{fresh} of freshness left"),
        },
    );
    say("hits", &number(amount(item, "hits")));
    if !text(item, "variant").is_empty() {
        say("variant", text(item, "variant"));
    }
    let tags: Vec<&str> = list(item, "tags")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if !tags.is_empty() {
        say("tags", &tags.join(" "));
    }
    told
}

fn line(told: &mut String, label: &str, words: &str) {
    let mut label = label;
    for words in lines(words, COLUMNS - LABEL - 2) {
        // Writing to a String cannot fail.
        let _ = writeln!(told, "  {label:LABEL$}{words}");
        label = "";
    }
}

/// How much was taken out.
pub(super) fn purged(answer: &Value, is_soft: bool) -> String {
    let objects = amount(answer, "objects");
    let size = bytes(amount(answer, "bytes"));
    let objects = count(usize::try_from(objects).unwrap_or(usize::MAX), "object");
    let what = if is_soft { "made stale" } else { "purged" };
    let mut text = format!("{objects}, {size} {what}\n");
    if answer["durable"].as_bool() == Some(false) {
        text.push_str("but the disk could not note it yet: a restart now would bring them back\n");
    }
    text
}

/// All stores.
pub(super) fn totals(answer: &Value) -> String {
    let stores = list(answer, "stores");
    if stores.is_empty() {
        return "no store: nothing is kept; a route with `cache = true` has one\n".into();
    }
    let mut told = String::new();
    for store in stores {
        if !told.is_empty() {
            told.push('\n');
        }
        of_store(store, &mut told);
    }
    told
}

fn of_store(store: &Value, told: &mut String) {
    let _ = writeln!(told, "store {}", text(store, "name"));
    let tier = |of: &Value| {
        format!(
            "{} of {} in {}",
            bytes(amount(of, "bytes")),
            bytes(amount(of, "size")),
            count(
                usize::try_from(amount(of, "objects")).unwrap_or(usize::MAX),
                "object"
            ),
        )
    };
    line(told, "memory", &tier(&store["memory"]));
    let disk = &store["disk"];
    if disk.is_object() {
        let state = |name: &str| disk[name].as_bool() == Some(true);
        let resting = match (state("usable"), state("resting")) {
            (false, _) => "; it could not be used, see `cache.disk.unusable` in the log",
            (true, true) => "; resting: a write failed",
            (true, false) => "",
        };
        line(
            told,
            "disk",
            &format!("{}, {}{resting}", tier(disk), text(disk, "path")),
        );
    }
    let (hits, misses) = (amount(store, "hits"), amount(store, "misses"));
    line(
        told,
        "answered",
        &match hits + misses {
            0 => "nobody has asked yet".to_owned(),
            all => format!(
                "{} of {} ({})",
                number(hits),
                count(usize::try_from(all).unwrap_or(usize::MAX), "request"),
                share(hits, all)
            ),
        },
    );
    line(
        told,
        "came, went",
        &format!(
            "{} kept, {} made room for others",
            number(amount(store, "stored")),
            number(amount(store, "evicted"))
        ),
    );
    let refused: Vec<String> = list(store, "refused")
        .iter()
        .map(|refused| {
            format!(
                "{} {}",
                number(amount(refused, "count")),
                text(refused, "reason")
            )
        })
        .collect();
    if !refused.is_empty() {
        line(told, "not kept", &refused.join(", "));
    }
    of_sites(list(store, "sites"), told);
}

fn of_sites(sites: &[Value], told: &mut String) {
    for (at, site) in sites.iter().take(SITES).enumerate() {
        if at == 0 {
            told.push('\n');
            told.push_str(&site_columns([
                "site", "objects", "memory", "hits", "hit rate",
            ]));
        }
        let (hits, misses) = (amount(site, "hits"), amount(site, "misses"));
        told.push_str(&site_columns([
            text(site, "host"),
            &number(amount(site, "objects")),
            &bytes(amount(site, "bytes")),
            &number(hits),
            &share(hits, hits + misses),
        ]));
    }
    if sites.len() > SITES {
        let _ = writeln!(told, "  and {} more", sites.len() - SITES);
    }
}

fn site_columns([site, objects, memory, hits, rate]: [&str; 5]) -> String {
    let row = format!("  {site:<32}{objects:>10}{memory:>11}{hits:>13}{rate:>10}");
    format!("{}\n", row.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{purged, row, shown, totals};

    fn narrow(text: &str) {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn a_row_is_one_line_unless_its_url_is_long() {
        let item = |url: &str| {
            json!({ "status": 200, "tier": "memory", "length": 12345, "age": 182, "ttl": 3418,
                    "hits": 1234, "url": url })
        };
        let text = row(&item("https://a.example/app.css"), true);
        assert_eq!(
            text,
            "status  tier        size     age     ttl    hits  url\n\
             200     memory    12 KiB    3m2s  56m58s   1,234  https://a.example/app.css\n"
        );
        let long = format!("https://a.example/{}", "x".repeat(40));
        let text = row(&item(&long), false);
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with(&format!("\n    {long}\n")), "{text}");
        narrow(&text);
    }

    #[test]
    fn all_of_a_url_is_told_and_why_nothing_is_kept() {
        let answer = json!({ "stores": ["edge"], "refused": [], "items": [
            { "url": "https://a.example/", "store": "edge", "tier": "disk", "status": 200,
              "length": 1 << 20, "weight": (1 << 20) + 400, "age": 90, "ttl": -30, "hits": 2,
              "coding": "br", "variant": "accept-encoding: br", "tags": ["a", "b"] }] });
        let text = shown("https://a.example/", &answer);
        assert!(text.contains("stale for 30s"), "{text}");
        assert!(text.contains("tags       a b"), "{text}");
        narrow(&text);
        let answer = json!({ "stores": ["edge"], "items": [],
            "refused": [{ "reason": "set-cookie", "seconds_ago": 5 }] });
        assert_eq!(
            shown("https://a.example/", &answer),
            "nothing is kept of https://a.example/\n  looked in  edge\n  not kept   5s ago: set-cookie\n"
        );
    }

    #[test]
    fn totals_and_purges_are_told() {
        let answer = json!({ "stores": [{ "name": "edge",
            "memory": { "size": 512 << 20, "bytes": 412 << 20, "objects": 10_234 },
            "disk": { "size": 50_u64 << 30, "bytes": 31_u64 << 30, "objects": 1,
                      "path": "/var/cache/croupier", "usable": true, "resting": true },
            "hits": 90, "misses": 10, "stored": 12_345, "evicted": 0,
            "refused": [{ "reason": "set-cookie", "count": 1032 }],
            "sites": [{ "host": "shop.example.com", "objects": 8112, "bytes": 300 << 20,
                        "hits": 90, "misses": 10 }] }] });
        let text = totals(&answer);
        assert!(
            text.contains("412 MiB of 512 MiB in 10234 objects"),
            "{text}"
        );
        assert!(text.contains("90 of 100 requests (90%)"), "{text}");
        narrow(&text);
        assert_eq!(
            purged(&json!({ "objects": 3, "bytes": 1_258_291 }), false),
            "3 objects, 1.2 MiB purged\n"
        );
        assert!(totals(&json!({ "stores": [] })).starts_with("no store"));
    }
}
