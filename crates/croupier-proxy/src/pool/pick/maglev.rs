//! Maglev hashing (Eisenbud et al., *Maglev: A Fast and Reliable Software Network Load
//! Balancer*, NSDI 2016, section 3.4).
//!
//! A table of a prime size whose entries are dealt to the servers: each has its own order of all
//! entries, and when it is its turn takes the first that is free. Turns come by weight. Looking up
//! is one read; shares are within about a hundredth; when a server goes, its entries are dealt
//! anew and few others change hands.
//!
//! Built per plan from configured weights. Servers that may not be picked at the moment stay in
//! the table and are stepped over: only their keys move, and come back with them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::pool::hash_key::mix;

/// Table sizes, all prime: 64 KiB, 512 KiB and, the larger one of the paper, 2.5 MiB. Few of them,
/// because a table of another size has nothing in common with the old one: when a list grows
/// beyond the 163rd or the 1,310th server, all keys move once.
const LENS: [usize; 3] = [16_381, 131_071, 655_373];

/// Entries for each server at least, if there is such a size: shares then differ by a hundredth
/// of themselves (section 5.3 of the paper).
const PER_SERVER: usize = 100;

/// A table from keys to servers.
#[derive(Debug)]
pub struct Maglev {
    /// Indices of servers; a prime number of them, or none.
    entries: Box<[u32]>,
}

impl Maglev {
    /// For servers of (identity, weight), in the order of their indices. The identity is the hash
    /// of a server's name ([`crate::pool::hash_key::hash`]); the order does not matter for who
    /// gets which key. Weight 0 gets nothing, and so may one below the 100,000th part.
    #[must_use]
    pub fn new(servers: &[(u64, u32)]) -> Self {
        let count = servers.iter().filter(|(_, weight)| *weight > 0).count();
        let len = LENS.iter().find(|len| count * PER_SERVER <= **len);
        let len = *len.unwrap_or(&LENS[LENS.len() - 1]) as u64;
        let mut turns: BinaryHeap<_> = (0u32..)
            .zip(servers)
            .filter(|(_, (_, weight))| *weight > 0)
            .map(|(index, (identity, weight))| Reverse(Turn::new(index, *identity, *weight, len)))
            .collect();
        if turns.is_empty() {
            return Self {
                entries: Box::default(),
            };
        }
        let mut entries: Vec<Option<u32>> = vec![None; usize::try_from(len).unwrap_or(0)];
        for _ in 0..entries.len() {
            if let Some(mut turn) = turns.peek_mut() {
                turn.0.take(&mut entries);
            }
        }
        Self {
            entries: entries.into_iter().flatten().collect(),
        }
    }

    /// The servers that a key prefers, without end: the first is its own, the others are where it
    /// goes when that one can not take it. They repeat. Nothing when no server has a weight.
    pub fn preferred(&self, key: u64) -> impl Iterator<Item = usize> {
        let len = self.entries.len() as u128;
        (0..).map_while(move |attempt| {
            let at = (u128::from(mix(key, attempt)) * len) >> 64;
            let entry = self.entries.get(usize::try_from(at).ok()?)?;
            usize::try_from(*entry).ok()
        })
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No server has a weight?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// One server while entries are dealt. In order of when its turn is; among equals by identity,
/// so that the order of the list does not matter.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    due: u64,
    identity: u64,
    index: u32,
    /// Between two turns: the inverse of the weight, scaled. The lightest server of all has no
    /// more turns than the smallest table has entries: a sum below 2^63.
    pause: u64,
    at: u64,
    skip: u64,
}

impl Turn {
    fn new(index: u32, identity: u64, weight: u32, len: u64) -> Self {
        let pause = (1 << 48) / u64::from(weight);
        Self {
            due: pause,
            identity,
            index,
            pause,
            at: mix(identity, 1) % len,
            // Any step but 0 visits every entry of a prime number of them.
            skip: mix(identity, 2) % (len - 1) + 1,
        }
    }

    /// Takes the first free entry. There is one.
    fn take(&mut self, entries: &mut [Option<u32>]) {
        let len = entries.len() as u64;
        for _ in 0..len {
            let entry = usize::try_from(self.at)
                .ok()
                .and_then(|at| entries.get_mut(at));
            self.at = (self.at + self.skip) % len;
            if let Some(entry @ None) = entry {
                *entry = Some(self.index);
                break;
            }
        }
        self.due = self.due.saturating_add(self.pause);
    }
}
