//! What `croupier cache` asks: totals, lists, one URL, and taking things out.
//!
//! Lists and purges may look at every object, so they run on a thread of their own.

mod question;
mod tell;

use std::time::Duration;
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use croupier_cache::disk::Settled;
use croupier_cache::store::{How, Purged, Which};
use croupier_proxy::{
    Plan,
    explain::{Extent, Wanted, wanted},
    plan::cache::StorePlan,
};
use serde_json::{Value, json};

use question::Question;

/// Rows of a page, at most.
const PAGE_MAX: usize = 500;
/// Bytes of URLs in a page, about; the last row may go beyond.
const PAGE_BYTES: usize = 1 << 20;

/// Answers `/v1/cache` and what is behind it; None: there is nothing of this name.
pub(super) async fn answer(
    plan: Arc<Plan>,
    path: &str,
    query: Option<&str>,
) -> Option<(u16, String)> {
    let work = match path.strip_prefix("/v1/cache")? {
        "" => totals,
        "/list" => list,
        "/show" => show,
        "/purge" => purge,
        _ => return None,
    };
    let question = match Question::of(query.unwrap_or_default()) {
        Ok(question) => question,
        Err(problem) => return Some((400, problem)),
    };
    let done = tokio::task::spawn_blocking(move || work(&plan, &question)).await;
    Some(match done {
        Ok(Ok(value)) => (200, format!("{value}\n")),
        Ok(Err(problem)) => (422, format!("{problem}\n")),
        Err(_) => (503, "stopping\n".into()),
    })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// All stores, or the one that is asked for.
fn everywhere(plan: &Plan, question: &Question, which: &Which) -> Result<Vec<Wanted>, String> {
    let all = plan.stores.iter().map(|plan| Wanted {
        store: Arc::clone(&plan.store),
        which: which.clone(),
    });
    of_store(plan, question, all.collect())
}

/// What of it lies in the store that is asked for.
fn of_store(plan: &Plan, question: &Question, mut all: Vec<Wanted>) -> Result<Vec<Wanted>, String> {
    let Some(name) = question.get("store") else {
        return Ok(all);
    };
    let names: Vec<&str> = plan.stores.iter().map(|plan| plan.store.name()).collect();
    if !names.contains(&name) {
        let known = match names.as_slice() {
            [] => "the running config has none: write `cache = true` in a route".to_owned(),
            [only] => format!("the only store is `{only}`"),
            _ => format!("the stores are `{}`", names.join("`, `")),
        };
        return Err(format!("no store is named `{name}`\n{known}"));
    }
    all.retain(|wanted| wanted.store.name() == name);
    Ok(all)
}

/// What a question means: a URL, a beginning, a host, a tag, or everything.
fn meant(plan: &Plan, question: &Question) -> Result<Vec<Wanted>, String> {
    let lower = |host: &str| host.to_ascii_lowercase().into_bytes().into_boxed_slice();
    let which = if let Some(url) = question.get("url") {
        return of_store(plan, question, wanted(plan, url, Extent::Whole)?);
    } else if let Some(prefix) = question.get("prefix") {
        return of_store(plan, question, wanted(plan, prefix, Extent::Beginning)?);
    } else if let Some(host) = question.get("host") {
        if host.contains('/') {
            return Err(format!(
                "`{host}` is no host\nwrite it without scheme and path, such as `shop.example.com`"
            ));
        }
        Which::Host(lower(host))
    } else if let Some(tag) = question.get("tag") {
        Which::Tag(tag.as_bytes().into())
    } else {
        Which::All
    };
    everywhere(plan, question, &which)
}

fn totals(plan: &Plan, question: &Question) -> Result<Value, String> {
    let asked = everywhere(plan, question, &Which::All)?;
    let is_asked = |store: &StorePlan| {
        let same = |one: &Wanted| Arc::ptr_eq(&one.store, &store.store);
        asked.iter().any(same)
    };
    let stores = plan.stores.iter().filter(|store| is_asked(store));
    let stores: Vec<Value> = stores.map(tell::store).collect();
    Ok(json!({ "stores": stores }))
}

/// A page. `after` says where it begins: in which of the places, and behind which key.
fn list(plan: &Plan, question: &Question) -> Result<Value, String> {
    let places = meant(plan, question)?;
    let max = question.number("max").unwrap_or(PAGE_MAX);
    let max = max.clamp(1, PAGE_MAX);
    let (mut at, mut after) = question.place()?;
    let now_ms = now_ms();
    let mut items = Vec::new();
    let mut bytes = 0;
    let mut next = None;
    while let Some(Wanted { store, which }) = places.get(at) {
        let left = max - items.len();
        if left == 0 || bytes > PAGE_BYTES {
            next = Some(question::place(at, &after));
            break;
        }
        // Long URLs are rare, and a page of them is no larger than others.
        let page = store.list(which, &after, left.min(100), now_ms);
        bytes += page.items.iter().map(|item| item.key.len()).sum::<usize>();
        items.extend(page.items.iter().map(|item| tell::item(store, item)));
        match page.next {
            Some(key) => after = key.into_vec(),
            None => (at, after) = (at + 1, Vec::new()),
        }
    }
    Ok(json!({ "items": items, "next": next }))
}

fn show(plan: &Plan, question: &Question) -> Result<Value, String> {
    let url = question
        .get("url")
        .ok_or("which URL?\nit is `/v1/cache/show?url=`")?;
    let places = meant(plan, question)?;
    let now_ms = now_ms();
    let mut items = Vec::new();
    let mut stores: Vec<&str> = Vec::new();
    let mut refused = Vec::new();
    for Wanted { store, which } in &places {
        let page = store.list(which, &[], PAGE_MAX, now_ms);
        items.extend(page.items.iter().map(|item| tell::item(store, item)));
        if !stores.contains(&store.name()) {
            stores.push(store.name());
            let refusals = store.refusals();
            let of_url = refusals
                .iter()
                .filter(|one| tell::is_same(&one.target, url));
            refused.extend(of_url.map(|one| tell::refusal(one, now_ms)));
        }
    }
    Ok(json!({ "items": items, "stores": stores, "refused": refused }))
}

/// How long a purge waits until the disk has it, too.
const PATIENCE: Duration = Duration::from_secs(10);

fn purge(plan: &Plan, question: &Question) -> Result<Value, String> {
    let named = ["url", "prefix", "host", "tag", "all"];
    if !named.iter().any(|name| question.get(name).is_some()) {
        return Err(
            "what is to be purged?\nname a URL, or `--prefix`, `--host`, `--tag` or `--all`".into(),
        );
    }
    let how = match question.get("how") {
        Some("soft") => How::Soft,
        _ => How::Hard,
    };
    let mut purged = Purged::default();
    let mut is_durable = true;
    for Wanted { store, which } in meant(plan, question)? {
        let (in_memory, swept) = store.purge_through(&which, how, PATIENCE);
        let settled = swept.as_ref().and_then(|swept| swept.settled);
        is_durable &= store.disk().is_none() || settled == Some(Settled::Durable);
        // What the disk counts is in memory as well, or was.
        let on_disk = swept.map_or_else(Purged::default, |swept| swept.purged);
        purged.objects += in_memory.objects.max(on_disk.objects);
        purged.bytes += in_memory.bytes.max(on_disk.bytes);
    }
    Ok(json!({
        "objects": purged.objects,
        "bytes": purged.bytes,
        "durable": is_durable,
    }))
}
