//! The reference page of the config, made from the table of keys and the table of codes.

use crate::codes;
use crate::keys::{
    ACCESS_LOG, ACME, BINDING, CACHE, CLIENT_AUTH, COMPRESS, DISK, EDITS, EJECT, EXPECT, HASH,
    HEADERS, HEALTH, HEDGE, HIDE, HSTS, Kind, LIMITS, MIRROR, POOL, POOL_TLS, PROXY_HEADER, QUEUE,
    REDIRECT, RESPOND, RETRY, ROOT, ROUTE, SECRET, SERVER, SERVER_TABLE, SITE, SITE_TLS, SPLIT,
    STICKY, STORE, TEST, TIMEOUT, TIMEOUTS, Table,
};
use crate::schema::is_required;

/// In reading order.
const TABLES: &[&Table] = &[
    &ROOT,
    &SERVER_TABLE,
    &ACCESS_LOG,
    &TIMEOUTS,
    &LIMITS,
    &ACME,
    &BINDING,
    &STORE,
    &DISK,
    &POOL,
    &SERVER,
    &HASH,
    &HEALTH,
    &EJECT,
    &QUEUE,
    &STICKY,
    &SECRET,
    &POOL_TLS,
    &PROXY_HEADER,
    &SITE,
    &SITE_TLS,
    &CLIENT_AUTH,
    &HSTS,
    &ROUTE,
    &SPLIT,
    &MIRROR,
    &RETRY,
    &HEDGE,
    &CACHE,
    &COMPRESS,
    &REDIRECT,
    &RESPOND,
    &HEADERS,
    &EDITS,
    &HIDE,
    &TIMEOUT,
    &TEST,
    &EXPECT,
];

const OPENING: &str = "\
# Configuration reference

<!-- Generated from the table of keys in croupier-config; edit that. -->

The config is TOML: two levels of headers at most, and unknown keys are errors. Durations are strings with units (`ms`, `s`, `m`,
`h`, `d`), as in `\"500ms\"` or `\"1h30m\"`. Sizes are strings with units: `KiB`, `MiB`, `GiB` are powers of 1024, `kB`, `MB`, `GB`
powers of 1000. Shares are strings with a percent sign, as in `\"20%\"`. A file whose name ends in `.json` holds the same model as JSON.
";

/// The page, as Markdown.
pub fn reference() -> String {
    let mut page = OPENING.to_owned();
    for table in TABLES {
        page.push_str(&format!("\n## {}\n\n{}\n", heading(table.title), table.doc));
        page.push_str("\n| key | takes | default | |\n| --- | --- | --- | --- |\n");
        for key in table.keys {
            let default = match key.default_text() {
                text if !text.is_empty() => format!("`{text}`"),
                _ if is_required(table, key) => "required".into(),
                _ => String::new(),
            };
            page.push_str(&format!(
                "| `{}` | {} | {default} | {} |\n",
                key.name,
                cell(&takes(key.kind)),
                cell(key.doc)
            ));
        }
    }
    page.push_str("\n## Diagnostics\n\n| code | meaning |\n| --- | --- |\n");
    for code in codes::ALL {
        page.push_str(&format!("| {} | {} |\n", code.id, cell(code.explanation)));
    }
    page
}

fn heading(title: &str) -> String {
    if title.starts_with(char::is_uppercase) {
        title.to_owned()
    } else {
        format!("`{title}`")
    }
}

/// Shorter than in a diagnostic: the tables below say what a table holds.
fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text(example) => format!("string, `\"{example}\"`"),
        Kind::Flag => "boolean".into(),
        Kind::Duration => "duration".into(),
        Kind::Size => "size".into(),
        Kind::Percent => "share".into(),
        Kind::Texts(example) => format!("list of strings, `[\"{example}\"]`"),
        Kind::TextOrTexts(example) => format!("string or list of strings, `\"{example}\"`"),
        Kind::Table(_) => "table".into(),
        Kind::Tables(_) => "list of tables".into(),
        Kind::Named(_) => "tables by name".into(),
        Kind::Lines => "strings by header name".into(),
        Kind::Conditions => "conditions by name".into(),
        Kind::Either(kinds) => kinds
            .iter()
            .map(|kind| takes(*kind))
            .collect::<Vec<_>>()
            .join(" or "),
        Kind::Items(kinds) => format!("list of: {}", takes(Kind::Either(kinds))),
        Kind::Integer(..) | Kind::Numbers(_) | Kind::Words(_) => kind.describe(),
    }
}

/// A bar ends a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::{TABLES, reference};

    #[test]
    fn the_page_has_every_key() {
        let page = reference();
        for table in TABLES {
            for key in table.keys {
                assert!(
                    page.contains(&format!("| `{}` |", key.name)),
                    "{}",
                    key.name
                );
                assert!(
                    key.doc.ends_with('.') || key.entry.is_some(),
                    "{}",
                    key.name
                );
            }
        }
        assert!(
            page.contains("| `client_head` | duration or `off` | `\"10s\"` |"),
            "{page}"
        );
    }
}
