//! The consistent hash ring (Karger et al., 1997; the many points per server of ketama).
//!
//! Each server owns points on a ring, by weight; a key belongs to the next point. When a server
//! goes, exactly its keys move. Shares are less even than those of [`super::Maglev`]: within about
//! a tenth; what is better is that nothing else moves, ever.
//!
//! Built per plan from configured weights, like Maglev's table.

use super::UNIT;
use crate::pool::hash_key::mix;

/// Points of a server of weight 1, as ketama has them.
const PER_SERVER: u64 = 160;

/// Points in all, beside the one that everybody has: 1 MiB. Beyond it they are shared out by
/// weight; a changed list then moves a few keys more than it must.
const POINTS_MAX: u64 = 131_072;

/// A ring of points.
#[derive(Debug)]
pub struct Ring {
    /// Sorted; where each point is on a ring of 2^32 places.
    places: Box<[u32]>,
    /// The index of the server that owns it.
    owners: Box<[u32]>,
}

impl Ring {
    /// For servers of (identity, weight), as [`super::Maglev::new`]. Weight 0 gets no point.
    #[must_use]
    pub fn new(servers: &[(u64, u32)]) -> Self {
        let wanted = |weight: u32| u64::from(weight) * PER_SERVER / u64::from(UNIT);
        let wanted_all: u64 = servers.iter().map(|(_, weight)| wanted(*weight)).sum();
        let points_of = |weight: u32| match wanted(weight) {
            _ if weight == 0 => 0,
            points if wanted_all <= POINTS_MAX => points.max(1),
            points => {
                let part = u128::from(points) * u128::from(POINTS_MAX) / u128::from(wanted_all);
                u64::try_from(part).unwrap_or(POINTS_MAX).max(1)
            }
        };
        let mut points = Vec::new();
        for (index, (identity, weight)) in (0u32..).zip(servers) {
            for number in 0..points_of(*weight) {
                // The identity settles who is first of two at one place, not the list's order.
                points.push((place(mix(*identity, number)), *identity, index));
            }
        }
        points.sort_unstable();
        Self {
            places: points.iter().map(|(place, _, _)| *place).collect(),
            owners: points.iter().map(|(_, _, index)| *index).collect(),
        }
    }

    /// The servers that a key prefers: from its place once round the ring. They repeat.
    pub fn preferred(&self, key: u64) -> impl Iterator<Item = usize> {
        let own = place(mix(key, u64::MAX));
        let from = self.places.partition_point(|place| *place < own);
        let (before, behind) = self.owners.split_at(from);
        behind
            .iter()
            .chain(before)
            .filter_map(|owner| usize::try_from(*owner).ok())
    }

    /// The number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// No server has a weight?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

fn place(hash: u64) -> u32 {
    (hash >> 32) as u32
}
