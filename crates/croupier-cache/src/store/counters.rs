//! What is counted: for each host, and why answers were not kept.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use foldhash::quality::RandomState;

use super::key;
use crate::Object;

/// Hosts that are counted for themselves. All others share one row.
const SITES_MAX: usize = 1024;
/// Refusals that are remembered.
pub const REFUSALS_MAX: usize = 256;
/// Reasons that are counted for themselves.
const REASONS_MAX: usize = 64;
/// Bytes of a key that a refusal remembers.
const KEY_MAX: usize = 512;

/// The counters of one host. Numbers of now are approximate while something is going on.
#[derive(Debug, Default)]
pub struct Site {
    host: Box<[u8]>,
    objects: AtomicU64,
    bytes: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    stored: AtomicU64,
    evicted: AtomicU64,
}

/// What was counted, for a host or for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects in memory, now.
    pub objects: u64,
    /// Bytes that they take, now.
    pub bytes: u64,
    /// Answers given.
    pub hits: u64,
    /// Requests for which an origin had to be asked.
    pub misses: u64,
    /// Objects that came into memory.
    pub stored: u64,
    /// Objects that had to make room.
    pub evicted: u64,
}

impl Site {
    pub(crate) fn hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    pub(super) fn stored(&self) {
        self.stored.fetch_add(1, Relaxed);
    }

    pub(super) fn evicted(&self) {
        self.evicted.fetch_add(1, Relaxed);
    }

    pub(super) fn entered(&self, object: &Object) {
        self.objects.fetch_add(1, Relaxed);
        self.bytes.fetch_add(object.weight(), Relaxed);
    }

    pub(super) fn left(&self, object: &Object) {
        self.objects.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(object.weight(), Relaxed);
    }

    fn counts(&self) -> Counts {
        Counts {
            objects: self.objects.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            stored: self.stored.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
        }
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.hits += other.hits;
        self.misses += other.misses;
        self.stored += other.stored;
        self.evicted += other.evicted;
    }
}

/// An answer that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for: `https://host/path?query`, at most 512 bytes of it.
    pub target: String,
    /// Why it was not kept, in a word.
    pub why: &'static str,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
}

/// All counters of a store.
#[derive(Debug)]
pub(super) struct Counters {
    sites: RwLock<HashMap<Box<[u8]>, Arc<Site>, RandomState>>,
    others: Arc<Site>,
    refusals: Mutex<Refusals>,
}

#[derive(Debug, Default)]
struct Refusals {
    last: VecDeque<Refusal>,
    reasons: Vec<(&'static str, u64)>,
}

impl Counters {
    pub(super) fn new() -> Self {
        let others = Site {
            host: Box::from(&b"*"[..]),
            ..Site::default()
        };
        Self {
            sites: RwLock::default(),
            others: Arc::new(others),
            refusals: Mutex::default(),
        }
    }

    /// The row of a key's host.
    pub(super) fn site(&self, key: &[u8]) -> Arc<Site> {
        let host = key::host(key::parts(key).authority);
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(site) = sites.get(host) {
            return Arc::clone(site);
        }
        let is_full = sites.len() >= SITES_MAX;
        drop(sites);
        if is_full {
            return Arc::clone(&self.others);
        }
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        let site = sites.entry(host.into()).or_insert_with(|| {
            Arc::new(Site {
                host: host.into(),
                ..Site::default()
            })
        });
        Arc::clone(site)
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn refused(&self, key: &[u8], why: &'static str, at_ms: u64) {
        let mut target = super::list::target(key);
        if target.len() > KEY_MAX {
            let end = (0..=KEY_MAX).rev().find(|&at| target.is_char_boundary(at));
            target.truncate(end.unwrap_or(0));
        }
        let mut refusals = self.refusals();
        if refusals.last.len() >= REFUSALS_MAX {
            refusals.last.pop_front();
        }
        refusals.last.push_back(Refusal { target, why, at_ms });
        let is_full = refusals.reasons.len() >= REASONS_MAX;
        match refusals.reasons.iter_mut().find(|(word, _)| *word == why) {
            Some((_, count)) => *count += 1,
            None if is_full => {}
            None => refusals.reasons.push((why, 1)),
        }
    }

    /// The last answers that were not kept, newest first.
    pub(super) fn last_refusals(&self) -> Vec<Refusal> {
        self.refusals().last.iter().rev().cloned().collect()
    }

    /// How many were not kept for each reason.
    pub(super) fn reasons(&self) -> Vec<(&'static str, u64)> {
        self.refusals().reasons.clone()
    }

    /// Host by host, in order, the row for all others last.
    pub(super) fn by_site(&self) -> Vec<(String, Counts)> {
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<Arc<Site>> = sites.values().cloned().collect();
        drop(sites);
        rows.sort_unstable_by(|a, b| a.host.cmp(&b.host));
        rows.push(Arc::clone(&self.others));
        let row = |site: &Arc<Site>| {
            let host = String::from_utf8_lossy(&site.host).into_owned();
            (host, site.counts())
        };
        rows.iter().map(row).collect()
    }

    pub(super) fn total(&self) -> Counts {
        let mut total = self.others.counts();
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        for site in sites.values() {
            total.add(&site.counts());
        }
        total
    }
}
