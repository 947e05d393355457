//! Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, *Consistent Hashing
//! with Bounded Loads*, 2016).
//!
//! Walks the servers that a key prefers and takes the first that may be picked and has room: by
//! one request more it would have no more than its part of a little more than the mean load. So
//! one hot key spills over to the next servers instead of drowning its own, and always to the
//! same ones. The parts are by effective weight, so a server that starts slowly fills slowly.

use super::{Candidates, Totals, UNIT};
use crate::pool::hash_key::mix;

/// Preferences looked at before everybody is. Each finds a server unlike the last one in most
/// cases, so this is reached when nine in ten are gone or full.
const WALK_MAX: usize = 64;

/// Below so many requests a server of full weight always has room: the mean of a quiet pool says
/// nothing, and a browser's few parallel requests belong together.
const FEW: u64 = 8;

/// How much more than its part of the mean load a server may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    percent: Option<u16>,
}

impl Bound {
    /// Every key stays where it belongs, however loaded that server is; slow start too has no
    /// effect then, because it works by the room a server has.
    pub const NONE: Self = Self { percent: None };

    /// So many percent of the mean; 125 is usual, below 100 is taken for 100.
    #[must_use]
    pub const fn percent(percent: u16) -> Self {
        Self {
            percent: Some(if percent < 100 { 100 } else { percent }),
        }
    }

    /// The percentage of the mean; None: no bound.
    #[must_use]
    pub const fn of_mean(self) -> Option<u16> {
        self.percent
    }

    /// May a server of this weight and load take one request more? With no load it always may;
    /// and among all servers one always may.
    fn has_room(self, weight: u32, load: u32, totals: Totals) -> bool {
        let Some(percent) = self.percent else {
            return true;
        };
        if u64::from(load) * u64::from(UNIT) < FEW * u64::from(weight.min(UNIT)) {
            return true;
        }
        // load < percent / 100 * (all loads + 1) * weight / all weights
        let own = u128::from(load) * 100 * u128::from(totals.weight);
        let part = u128::from(percent) * (u128::from(totals.load) + 1) * u128::from(weight);
        own < part
    }
}

/// The first of the `preferred` that has room; when they give nobody, another one that belongs to
/// the key. None when there is no candidate.
#[must_use]
pub fn pick(
    table: &impl Candidates,
    bound: Bound,
    key: u64,
    preferred: impl Iterator<Item = usize>,
) -> Option<usize> {
    let len = table.len();
    let mut totals = None;
    let mut has_room = |index| {
        let (weight, load) = (table.weight(index), table.load(index));
        // Asking for the totals may mean asking everybody: not for an idle server.
        weight > 0
            && (load == 0
                || bound == Bound::NONE
                || bound.has_room(weight, load, *totals.get_or_insert_with(|| table.totals())))
    };
    preferred
        .take(WALK_MAX)
        .find(|index| *index < len && has_room(*index))
        .or_else(|| highest(key, (0..len).filter(|index| has_room(*index))))
        // Nobody has room only when the numbers changed while we looked.
        .or_else(|| highest(key, (0..len).filter(|index| table.weight(*index) > 0)))
}

/// Rendezvous hashing: spreads the keys that get here evenly, each to the same server.
fn highest(key: u64, indices: impl Iterator<Item = usize>) -> Option<usize> {
    indices.max_by_key(|index| mix(key, !(*index as u64)))
}
