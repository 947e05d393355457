//! The server that would be the least loaded for its weight, had it one request more.
//!
//! Asks everybody. Ties are broken by a lot by weight, so that equally idle servers share by
//! weight and the first of the list is not everybody's darling.

use super::{Candidates, draw::roll};

/// The least loaded of all candidates for its weight.
#[must_use]
pub fn pick(table: &impl Candidates, dice: &mut impl FnMut() -> u64) -> Option<usize> {
    let mut best: Option<Best> = None;
    let mut idle = Lot::default();
    for index in 0..table.len() {
        let (weight, load) = (u64::from(table.weight(index)), table.load(index));
        if weight == 0 {
            continue;
        }
        if load == 0 {
            idle.add(index, weight, dice);
        }
        let load = u64::from(load) + 1;
        match &mut best {
            // load / weight of both, multiplied out; 2^32 times below 2^32 fits.
            Some(best) if load * best.weight > best.load * weight => {}
            Some(best) if load * best.weight == best.load * weight => {
                best.lot.add(index, weight, dice);
            }
            _ => {
                let mut lot = Lot::default();
                lot.add(index, weight, dice);
                best = Some(Best { load, weight, lot });
            }
        }
    }
    let best = best?;
    // An idle winner won by weight alone: then all idle ones draw.
    let lot = if best.load == 1 { idle } else { best.lot };
    lot.drawn
}

struct Best {
    /// With one request more.
    load: u64,
    weight: u64,
    lot: Lot,
}

/// A lot among those added so far, by weight: a reservoir of one.
#[derive(Default)]
struct Lot {
    sum: u64,
    drawn: Option<usize>,
}

impl Lot {
    fn add(&mut self, index: usize, weight: u64, dice: &mut impl FnMut() -> u64) {
        self.sum += weight;
        if self.drawn.is_none() || roll(dice, self.sum) < weight {
            self.drawn = Some(index);
        }
    }
}
