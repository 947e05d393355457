//! How requests of a site or route travel: `split`, `mirror`, `priority`, and what lies over the pool's.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{Action, HashKey, Mirror, Percent, Priority, Split, SplitPart, Switch, Traffic};
use crate::read::{Field, Fields, PoolBook, Reader, balance, retry};
use crate::source::Spanned;
use crate::tree::{Node, Value};

/// Kept in memory for each copied request.
const BODY_MAX: u64 = 64 << 20;
const PARTS_MAX: usize = 100;

/// Keys that need a pool.
const OF_POOL: &[&str] = &["retry", "hedge", "priority", "mirror", "cache", "compress"];

pub(crate) fn traffic(reader: &mut Reader, table: &Fields<'_>, book: &PoolBook) -> Traffic {
    let priority = table.get("priority").and_then(|field| field.word(reader));
    Traffic {
        retry: retry::edits(reader, table),
        hedge: retry::hedge(reader, table),
        priority: priority.map(|word| match word {
            "low" => Priority::Low,
            "high" => Priority::High,
            _ => Priority::Normal,
        }),
        mirror: table
            .get("mirror")
            .and_then(|field| mirror(reader, &field, book)),
    }
}

/// A route that answers by itself sends nothing anywhere.
pub(crate) fn note_without_pool(reader: &mut Reader, table: &Fields<'_>, action: &Action) {
    if action.pools().next().is_some() {
        return;
    }
    for field in table.among(OF_POOL) {
        let name = field.key.name;
        let message = match name {
            "cache" | "compress" => {
                format!("`{name}` is for answers of a pool, and this route has none")
            }
            _ => format!("`{name}` says how requests go to a pool, and this route has none"),
        };
        reader.note(
            Diagnostic::error(codes::CONFLICT, field.name, message).help(format!(
                "leave out `{name}`, or write it in the route that has the pool"
            )),
        );
    }
}

fn mirror(reader: &mut Reader, field: &Field<'_>, book: &PoolBook) -> Option<Switch<Mirror>> {
    match &field.node.value {
        Value::Boolean(false) => return Some(Switch::Off),
        Value::Table(_) => {}
        Value::Boolean(true) => {
            let message = "`mirror = true` does not say where copies go";
            reader.note(
                Diagnostic::error(codes::WRONG_TYPE, field.node.span, message)
                    .help("write `mirror = { pool = \"shadow\" }`"),
            );
            return None;
        }
        Value::String(text) => {
            let help = format!("write `mirror = {{ pool = \"{text}\" }}`");
            let message = "`mirror` takes a table, not a string";
            let note = Diagnostic::error(codes::WRONG_TYPE, field.node.span, message);
            reader.note(note.help(help));
            return None;
        }
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    let table = Fields::open(reader, field.node, &keys::MIRROR)?;
    let pool = table
        .need(reader, "pool")
        .and_then(|field| field.full_text(reader))
        .and_then(|name| book.find(reader, name));
    let mut share = Mirror::SHARE;
    if let Some(field) = table.get("share")
        && let Some(percent) = field.percent(reader, Percent::whole(100))
    {
        if percent == Percent::whole(0) {
            let message = "`share = \"0%\"` copies nothing";
            field.note_range(
                reader,
                message,
                "leave out `mirror`, or write `mirror = false`",
            );
        }
        share = percent;
    }
    let body = table
        .get("body")
        .and_then(|field| field.size(reader, BODY_MAX));
    Some(Switch::On(Mirror {
        pool: pool?,
        share,
        body: body.unwrap_or(Mirror::BODY),
    }))
}

/// `split`, with the `split_by` beside it.
pub(crate) fn split(
    reader: &mut Reader,
    table: &Fields<'_>,
    field: &Field<'_>,
    book: &PoolBook,
) -> Option<Split> {
    let by = match table.get("split_by") {
        Some(field) => balance::hash_key(reader, &field),
        None => Some(HashKey::default()),
    };
    let form =
        "write `split = [{ pool = \"web\", weight = 95 }, { pool = \"canary\", weight = 5 }]`";
    let problem = match &field.node.value {
        Value::Array(items) if items.is_empty() => Some((codes::EMPTY, "`split` is empty".into())),
        Value::Array(_) => None,
        _ => Some((
            codes::WRONG_TYPE,
            match field.node.found() {
                "a table" => "`split` is a list of tables, not one table".into(),
                found => format!("`split` is a list of tables, not {found}"),
            },
        )),
    };
    if let Some((code, message)) = problem {
        reader.note(Diagnostic::error(code, field.node.span, message).help(form));
        return None;
    }
    let items = field.items(reader);
    if items.len() > PARTS_MAX {
        let message = format!("a split has at most {PARTS_MAX} pools");
        reader.note(Diagnostic::error(codes::TOO_LARGE, field.name, message));
        return None;
    }
    let parts: Vec<SplitPart> = items
        .iter()
        .filter_map(|item| part(reader, item, book))
        .collect();
    if parts.is_empty() || parts.len() < items.len() {
        return None;
    }
    note_parts(reader, field, &parts, book);
    Some(Split {
        parts,
        by: by?,
        span: field.node.span,
    })
}

fn part(reader: &mut Reader, item: &Node, book: &PoolBook) -> Option<SplitPart> {
    if let Some(name) = item.as_str() {
        let message = "a part of a split is a table, not a string";
        let help = format!("write `{{ pool = \"{}\", weight = 1 }}`", name.value);
        reader.note(Diagnostic::error(codes::WRONG_TYPE, item.span, message).help(help));
        return None;
    }
    let table = Fields::open(reader, item, &keys::SPLIT)?;
    let pool = table
        .need(reader, "pool")
        .and_then(|field| field.full_text(reader))
        .and_then(|name| book.find(reader, name));
    let weight = match table.get("weight") {
        Some(field) => u16::try_from(field.integer(reader)?.value).ok(),
        None => Some(1),
    };
    Some(SplitPart {
        pool: pool?,
        weight: weight?,
    })
}

/// What only all parts together show.
fn note_parts(reader: &mut Reader, field: &Field<'_>, parts: &[SplitPart], book: &PoolBook) {
    let pools: Vec<Spanned<_>> = parts.iter().map(|part| part.pool).collect();
    field.note_twice(reader, &pools, |id| book.name_of(*id).to_owned());
    if parts.iter().all(|part| part.weight == 0) {
        balance::note_no_weight(reader, Spanned::new("pool of the split", field.node.span));
    } else if let [only] = parts {
        let message = "a split of one pool divides nothing";
        let help = format!("write `pool = \"{}\"`", book.name_of(only.pool.value));
        reader.note(Diagnostic::warning(codes::HARDLY_MEANT, field.node.span, message).help(help));
    }
}

/// `split_by` beside no `split`.
pub(crate) fn note_split_by(reader: &mut Reader, table: &Fields<'_>) {
    if let (Some(by), None) = (table.get("split_by"), table.get("split")) {
        let message = "`split_by` belongs to a `split`, and there is none";
        reader.note(
            Diagnostic::error(codes::CONFLICT, by.name, message)
                .help("leave it out; what a pool's own servers are chosen by is its `balance`"),
        );
    }
}
