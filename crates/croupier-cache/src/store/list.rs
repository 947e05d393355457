//! What is held, for people: pages in the order of keys.

use std::{collections::BTreeMap, sync::Arc};

use super::{Which, key};
use crate::{Object, Rules, object::Body};

/// Rows of a page.
pub const PAGE_MAX: usize = 1000;

/// An object that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key in full: what the next page begins after.
    pub key: Box<[u8]>,
    /// `https://host/path?query`.
    pub target: String,
    /// What of a request selects it, when there are variants: as it is compared, for people.
    pub variant: Option<String>,
    /// 200, ...
    pub status: u16,
    /// Bytes of its body.
    pub length: u64,
    /// Bytes of memory that it takes.
    pub weight: u64,
    /// Seconds.
    pub age: u32,
    /// Seconds of freshness left; 0 or less when it is stale.
    pub left: i64,
    /// Somebody has marked it stale.
    pub is_marked: bool,
    /// How often it was given.
    pub hits: u32,
    /// By what beside its key it can be purged.
    pub tags: Vec<String>,
    /// Where its body lies.
    pub tier: Tier,
}

/// Where a body lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of their keys.
    pub items: Vec<Item>,
    /// Where the next page begins; none when this was the last.
    pub next: Option<Box<[u8]>>,
}

/// What was asked for, from a key.
pub(super) fn target(key: &[u8]) -> String {
    let parts = key::parts(key);
    let text = |part| String::from_utf8_lossy(part);
    let (scheme, authority) = (text(parts.scheme), text(parts.authority));
    format!(
        "{scheme}://{authority}{}{}",
        text(parts.path),
        text(parts.query)
    )
}

pub(super) fn item(object: &Object, now_ms: u64) -> Item {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let primary = key::primary(&object.key);
    // Behind the primary key: 01 and eight bytes of generation.
    let values = object.key.get(primary.len() + 9..);
    Item {
        key: object.key.clone(),
        target: target(&object.key),
        variant: values.map(|values| text(values).replace(char::is_control, " ")),
        status: object.status,
        length: object.body.length(),
        weight: object.weight(),
        age: object.terms.age(now_ms),
        left: object.terms.left(now_ms),
        is_marked: object.terms.rules.has(Rules::MARKED_STALE),
        hits: object.hits(),
        tags: object.tags().iter().map(|tag| text(tag)).collect(),
        tier: match object.body {
            Body::Memory(_) => Tier::Memory,
            Body::Disk(_) => Tier::Disk,
        },
    }
}

/// The first `max` keys behind `after`. One walk over all objects that keeps no more than a page, so
/// that a list of everything needs no second index. A page of a million objects takes a quarter of
/// a second; not for workers.
pub(super) fn page(
    objects: impl Iterator<Item = Arc<Object>>,
    which: &Which,
    after: &[u8],
    max: usize,
    now_ms: u64,
) -> Page {
    let max = max.clamp(1, PAGE_MAX);
    let mut first: BTreeMap<Box<[u8]>, Arc<Object>> = BTreeMap::new();
    let mut is_more = false;
    for object in objects {
        let is_behind = first.len() >= max
            && first
                .last_key_value()
                .is_some_and(|(last, _)| object.key > *last);
        if !object.is_answer() || *object.key <= *after || !which.is_of(&object) {
            continue;
        }
        if is_behind {
            is_more = true;
            continue;
        }
        first.insert(object.key.clone(), object);
        if first.len() > max {
            first.pop_last();
            is_more = true;
        }
    }
    let items: Vec<Item> = first.values().map(|object| item(object, now_ms)).collect();
    let last = items.last().map(|item| item.key.clone());
    Page {
        items,
        next: last.filter(|_| is_more),
    }
}
