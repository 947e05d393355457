//! `[cache.NAME]`, and `cache` of a site or route.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::limits::Amount;
use crate::model::{
    CacheDisk, CacheEdits, CacheStore, HashKey, KeepCookies, NamePattern, Percent, Site, StoreId,
    Switch, Trusted,
};
use crate::nearest::nearest;
use crate::read::{Complaint, Field, Fields, Reader, address, balance, host};
use crate::source::Spanned;
use crate::tree::{Entry, Value};

const MEMORY_MIN: u64 = 1 << 20;
const SIZE_MAX: u64 = 16 << 40;
const DISK_MIN: u64 = 16 << 20;
const OBJECT_MIN: u64 = 1 << 10;
const SLICE_MIN: u64 = 64 << 10;
const SLICE_MAX: u64 = 16 << 20;
const NAMES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;

/// The stores found so far: all of them, before any route is read.
#[derive(Default)]
pub(crate) struct StoreBook {
    stores: Vec<CacheStore>,
    names: HashMap<String, StoreId>,
}

impl StoreBook {
    /// The stores, with the one of `cache = true` when somebody needs it and nobody defined it.
    pub(crate) fn into_stores(mut self, sites: &[Site]) -> Vec<CacheStore> {
        let is_nameless = |switch: &Option<Switch<CacheEdits>>| match switch {
            Some(Switch::On(edits)) => edits.store.is_none().then_some(edits.span),
            _ => None,
        };
        let needs = |site: &Site| {
            let of_site = match &site.cache {
                Some(Switch::On(edits)) => edits.store,
                _ => None,
            };
            let of_routes = site.routes.iter().find_map(|route| {
                let span = is_nameless(&route.cache)?;
                of_site.is_none().then_some(span)
            });
            is_nameless(&site.cache).or(of_routes)
        };
        if !self.names.contains_key(CacheStore::IMPLICIT)
            && let Some(at) = sites.iter().find_map(needs)
        {
            self.stores.push(CacheStore::implicit(at));
        }
        self.stores
    }

    pub(crate) fn read(&mut self, reader: &mut Reader, entry: &Entry) {
        let key = Spanned::new(entry.key.value.as_str(), entry.key.span);
        // Whatever becomes of it, the name is known.
        let id = StoreId(self.stores.len());
        if entry.node.as_table().is_none() || keys::STORE.key(key.value).is_some() {
            let diagnostic = if keys::STORE.key(key.value).is_some() {
                Diagnostic::error(codes::WRONG_TYPE, key.span, "a store needs a name").help(
                    "write its header as `[cache.edge]`, and `cache = \"edge\"` in its routes",
                )
            } else {
                let message = format!("a store is a table, not {}", entry.node.found());
                let help = format!("write `[cache.{}]` and its keys below", key.value);
                Diagnostic::error(codes::WRONG_TYPE, entry.node.span, message).help(help)
            };
            reader.note(diagnostic);
            return;
        }
        reader.parse(key, codes::NAME, host::label);
        self.names.insert(key.value.to_owned(), id);
        let Some(table) = Fields::open(reader, &entry.node, &keys::STORE) else {
            return;
        };
        self.stores.push(store(reader, &table, key));
    }

    /// The store of this name, or a note that there is none.
    fn find(&self, reader: &mut Reader, name: Spanned<&str>) -> Option<Spanned<StoreId>> {
        if let Some(id) = self.names.get(name.value) {
            return Some(Spanned::new(*id, name.span));
        }
        let message = format!("no store is named `{}`", name.value);
        let diagnostic = Diagnostic::error(codes::NO_SUCH_STORE, name.span, message);
        let known = || self.stores.iter().map(|store| store.name.as_str());
        let names: Vec<&str> = known().take(8).collect();
        let diagnostic = if name.value == CacheStore::IMPLICIT {
            diagnostic.help(
                "it needs no name: write `cache = true`, or leave out `store`; or define `[cache.default]`",
            )
        } else if let Some(near) = nearest(name.value, known())
            && let Some(id) = self.names.get(near)
            && let Some(store) = self.stores.get(id.0)
        {
            diagnostic
                .and(store.name.span, "defined here")
                .help(format!("did you mean `{near}`?"))
        } else {
            diagnostic.help(match names[..] {
                [] => format!(
                    "define it: `[cache.{}]` with `memory = \"256MiB\"`, or write `cache = true`",
                    name.value
                ),
                [only] => format!("the only store is `{only}`"),
                _ => format!("the stores are {}", keys::all_of(&names)),
            })
        };
        reader.note(diagnostic);
        None
    }
}

fn store(reader: &mut Reader, table: &Fields<'_>, name: Spanned<&str>) -> CacheStore {
    let memory = table
        .get("memory")
        .and_then(|field| size_in(reader, &field, MEMORY_MIN, SIZE_MAX))
        .unwrap_or(CacheStore::MEMORY);
    let written_disk = table.get("disk");
    let disk = written_disk.and_then(|field| disk(reader, &field));
    let slice = table.get("slice").and_then(|field| {
        let slice = size_in(reader, &field, SLICE_MIN, SLICE_MAX)?;
        if !slice.is_power_of_two() {
            let below = 1_u64 << slice.ilog2();
            let message = format!("`{}` is no power of two", Amount::Size(slice));
            let help = format!(
                "write `\"{}\"` or `\"{}\"`",
                Amount::Size(below),
                Amount::Size(below << 1)
            );
            reader.note(Diagnostic::error(codes::STORE, field.node.span, message).help(help));
        }
        Some(slice)
    });
    let room = disk
        .as_ref()
        .map_or(memory / CacheStore::MEMORY_PARTS, |disk| disk.size);
    let max_object = table.get("max_object").and_then(|field| {
        let size = size_in(reader, &field, OBJECT_MIN, SIZE_MAX)?;
        // With a disk that was not understood, nobody knows the room.
        let is_known = disk.is_some() == written_disk.is_some();
        if size > room && is_known {
            let room = Amount::Size(room);
            let (message, help) = match &disk {
                Some(_) => (
                    format!(
                        "an answer of `{}` does not fit into a disk of `{room}`",
                        Amount::Size(size)
                    ),
                    format!("write `\"{room}\"` or less"),
                ),
                None => (
                    format!(
                        "memory of `{}` keeps answers of up to `{room}`: one large answer must not drive out the others",
                        Amount::Size(memory)
                    ),
                    format!("write `\"{room}\"` or less, more `memory`, or give the store a `disk`"),
                ),
            };
            reader.note(Diagnostic::error(codes::STORE, field.node.span, message).help(help));
        }
        Some(size)
    });
    CacheStore {
        name: name.map(str::to_owned),
        memory,
        max_object: max_object.unwrap_or_else(|| CacheStore::max_object(memory, disk.as_ref())),
        disk,
        slice: slice.unwrap_or(CacheStore::SLICE),
        span: table.span,
    }
}

fn disk(reader: &mut Reader, field: &Field<'_>) -> Option<CacheDisk> {
    if let Some(text) = field.node.as_str() {
        let message = "`disk` takes a table, not a string";
        let help = format!(
            "write `disk = {{ path = \"{}\", size = \"10GiB\" }}`",
            text.value
        );
        let note = Diagnostic::error(codes::WRONG_TYPE, field.node.span, message);
        reader.note(note.help(help));
        return None;
    }
    if field.node.as_table().is_none() {
        field.note_type(reader);
        return None;
    }
    let table = Fields::open(reader, field.node, &keys::DISK)?;
    let path = table
        .need(reader, "path")
        .and_then(|field| field.full_text(reader))
        .and_then(|text| reader.parse(text, codes::ADDRESS, directory));
    let size = table
        .need(reader, "size")
        .and_then(|field| size_in(reader, &field, DISK_MIN, SIZE_MAX));
    Some(CacheDisk {
        path: path?,
        size: size?,
    })
}

/// Where the process stands is nothing to find a cache by.
fn directory(text: &str) -> Result<PathBuf, Complaint> {
    if text.contains('\0') {
        return Err(Complaint::new("a path has no zero byte"));
    }
    if !text.starts_with('/') {
        return Err(
            Complaint::new(format!("`{text}` depends on where the process was started"))
                .help("write the whole path, such as `/var/cache/croupier`"),
        );
    }
    Ok(PathBuf::from(text))
}

fn size_in(reader: &mut Reader, field: &Field<'_>, min: u64, max: u64) -> Option<u64> {
    let size = field.size(reader, max)?;
    if size < min {
        let least = Amount::Size(min);
        let message = format!("`{}` is at least `{least}`", field.key.name);
        field.note_range(reader, message, format!("write `\"{least}\"` or more"));
        return None;
    }
    Some(size)
}

/// What a site or route says; `None`: nothing.
pub(crate) fn edits(
    reader: &mut Reader,
    table: &Fields<'_>,
    stores: &StoreBook,
) -> Option<Switch<CacheEdits>> {
    let field = table.get("cache")?;
    let mut edits = CacheEdits {
        span: field.node.span,
        ..CacheEdits::default()
    };
    match &field.node.value {
        Value::Boolean(false) => return Some(Switch::Off),
        Value::Boolean(true) => {}
        Value::String(text) if ["off", "none", "no"].contains(&text.as_str()) => {
            let message = format!("`cache` takes a store, not `{text}`");
            let note = Diagnostic::error(codes::UNKNOWN_WORD, field.node.span, message);
            reader.note(note.help("write `cache = false`"));
            return None;
        }
        Value::String(_) => {
            let name = field.full_text(reader)?;
            edits.store = Some(stores.find(reader, name)?);
        }
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::CACHE)?;
            read(reader, &table, stores, &mut edits)?;
        }
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    Some(Switch::On(edits))
}

/// `None`: a store that is not there.
fn read(
    reader: &mut Reader,
    table: &Fields<'_>,
    stores: &StoreBook,
    edits: &mut CacheEdits,
) -> Option<()> {
    let mut time = |name| table.get(name)?.time(reader, Duration::ZERO);
    edits.stale_while_revalidate = time("stale_while_revalidate");
    edits.stale_if_error = time("stale_if_error");
    edits.collapse_wait = time("collapse_wait");
    edits.ttl = table.get("ttl").and_then(|field| ttl(reader, &field));
    edits.heuristic = table
        .get("heuristic")
        .and_then(|field| heuristic(reader, &field));
    let mut patterns = |name| table.get(name).map(|field| names(reader, &field));
    edits.ignore_query = patterns("ignore_query");
    edits.bypass_cookies = patterns("bypass_cookies");
    let mut flag = |name| table.get(name)?.flag(reader);
    edits.sort_query = flag("sort_query");
    edits.status = flag("status");
    edits.key = table.get("key").map(|field| key_parts(reader, &field));
    edits.cookies = table
        .get("cookies")
        .and_then(|field| field.word(reader))
        .map(|word| match word {
            "store" => KeepCookies::Store,
            _ => KeepCookies::Refuse,
        });
    edits.purge_from = table
        .get("purge_from")
        .map(|field| purge_from(reader, &field));
    if let Some(field) = table.get("store") {
        let name = field.full_text(reader)?;
        edits.store = Some(stores.find(reader, name)?);
    }
    Some(())
}

fn ttl(reader: &mut Reader, field: &Field<'_>) -> Option<Duration> {
    let ttl = field.time(reader, Duration::ZERO)?;
    if ttl.is_zero() {
        field.note_range(
            reader,
            "`ttl = \"0s\"` keeps nothing of what states no freshness",
            "leave out `ttl`; to keep nothing at all write `cache = false`",
        );
        return None;
    }
    if ttl < Duration::from_secs(1) {
        let message = "`ttl` is at least `1s`: ages are told in whole seconds";
        field.note_range(reader, message, "write `\"1s\"` or more");
        return None;
    }
    Some(ttl)
}

fn heuristic(reader: &mut Reader, field: &Field<'_>) -> Option<Option<Percent>> {
    match &field.node.value {
        Value::Boolean(false) => return Some(None),
        Value::Boolean(true) => return Some(Some(Percent::whole(10))),
        Value::String(text) if ["off", "none", "no", "0%"].contains(&text.as_str()) => {
            let message = format!("`heuristic` takes a share, not `{text}`");
            let note = Diagnostic::error(codes::PERCENT, field.node.span, message);
            reader.note(note.help("write `heuristic = false`"));
            return None;
        }
        _ => {}
    }
    let share = field.percent(reader, Percent::whole(100))?;
    if share.hundredths() % 100 != 0 || share == Percent::whole(0) {
        let message = format!("`heuristic` takes whole percents from 1, not `{share}`");
        field.note_range(
            reader,
            message,
            "write `\"10%\"`, or `false` for no guess at all",
        );
        return None;
    }
    Some(Some(share))
}

/// `utm_*` and the like.
fn names(reader: &mut Reader, field: &Field<'_>) -> Vec<NamePattern> {
    let texts = field.texts(reader);
    if texts.len() > NAMES_MAX {
        let message = format!("`{}` has at most {NAMES_MAX} names", field.key.name);
        reader.note(Diagnostic::error(codes::TOO_LARGE, field.name, message));
        return Vec::new();
    }
    let names: Vec<Spanned<NamePattern>> = texts
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::NAME, name_pattern))
        .collect();
    field.note_twice(reader, &names, ToString::to_string);
    names.into_iter().map(|name| name.value).collect()
}

fn name_pattern(text: &str) -> Result<NamePattern, Complaint> {
    let (name, is_prefix) = match text.strip_suffix('*') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let bad = || Complaint::new(format!("`{}` is no name", text.escape_debug()));
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(bad().help(format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
    }
    if name.contains('*') {
        return Err(bad().help("`*` stands for any ending, and only there, as in `utm_*`"));
    }
    if let Some(odd) = name
        .chars()
        .find(|c| c.is_control() || "=&;, ?#".contains(*c))
    {
        return Err(bad().help(format!("a name has no `{}`", odd.escape_default())));
    }
    Ok(NamePattern {
        text: name.to_owned(),
        is_prefix,
    })
}

/// `header.NAME` and `cookie.NAME`.
fn key_parts(reader: &mut Reader, field: &Field<'_>) -> Vec<HashKey> {
    let texts = field.texts(reader);
    if texts.len() > NAMES_MAX {
        let message = format!("`key` has at most {NAMES_MAX} parts");
        reader.note(Diagnostic::error(codes::TOO_LARGE, field.name, message));
        return Vec::new();
    }
    let mut parts = Vec::new();
    for text in texts {
        match key_part(text.value) {
            Ok(part) => parts.push(Spanned::new(part, text.span)),
            Err((code, complaint)) => reader.complain(code, text.span, complaint),
        }
    }
    field.note_twice(reader, &parts, ToString::to_string);
    parts.into_iter().map(|part| part.value).collect()
}

fn key_part(text: &str) -> Result<HashKey, (codes::Code, Complaint)> {
    let bad = |message: String, help: String| {
        Err((codes::UNKNOWN_WORD, Complaint::new(message).help(help)))
    };
    if let Some((kind @ ("header" | "cookie"), name)) = text.split_once(':') {
        let message = format!("`{text}` is no part of a request");
        return bad(message, format!("write `{kind}.{}`", name.trim()));
    }
    match balance::parse(text) {
        Ok(part @ (HashKey::Header(_) | HashKey::Cookie(_))) => Ok(part),
        Ok(HashKey::ClientIp) => bad(
            "a key with the client's address keeps an answer for each client".into(),
            "it takes `header.NAME` and `cookie.NAME`; what is meant for one client is better not kept".into(),
        ),
        Ok(_) => bad(
            format!("`{text}` is part of every key"),
            "it takes `header.NAME` and `cookie.NAME`; parameters are left out with `ignore_query`".into(),
        ),
        Err((codes::UNKNOWN_WORD, _)) => bad(
            format!("`{text}` is no part of a request"),
            "it takes `header.NAME` and `cookie.NAME`".into(),
        ),
        Err(problem) => Err(problem),
    }
}

fn purge_from(reader: &mut Reader, field: &Field<'_>) -> Vec<Spanned<Trusted>> {
    let from: Vec<Spanned<Trusted>> = field
        .texts(reader)
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::ADDRESS, address::trusted))
        .collect();
    for peer in &from {
        if let Trusted::Network(network) = peer.value
            && network.prefix_len() == 0
        {
            let message = "`purge_from` lets everybody empty the cache";
            let help = "list the networks of those who publish, such as `10.0.0.0/8`";
            reader.note(Diagnostic::warning(codes::HARDLY_MEANT, peer.span, message).help(help));
        }
    }
    from
}
