//! Two different servers are drawn by weight, the less loaded is picked (Mitzenmacher, *The
//! Power of Two Choices*, 2001).
//!
//! Nearly as even as asking everybody, at the cost of two; and many workers that decide at once
//! on the same numbers do not all run to the same idle server.

use std::cmp::Ordering;

use super::{Candidates, draw::draw};

/// The less loaded, for its weight, of two drawn by weight; the only one when there is one.
#[must_use]
pub fn pick(table: &impl Candidates, dice: &mut impl FnMut() -> u64) -> Option<usize> {
    let first = draw(table, dice, None)?;
    let Some(second) = draw(table, dice, Some(first)) else {
        return Some(first);
    };
    let order = by_load(table, second, first);
    Some(if order.is_lt() { second } else { first })
}

/// Which of two would be less loaded for its weight, had it one request more. Two idle ones are
/// equal: then the order of the draw decides, and idle servers share by weight instead of the
/// heaviest getting all. One request more, because a server that starts slowly is soon full.
pub(super) fn by_load(table: &impl Candidates, a: usize, b: usize) -> Ordering {
    let (load_a, load_b) = (u64::from(table.load(a)), u64::from(table.load(b)));
    if load_a == 0 && load_b == 0 {
        return Ordering::Equal;
    }
    // (a + 1) / weight a against (b + 1) / weight b; 2^32 times below 2^32 fits.
    let cost_a = (load_a + 1) * u64::from(table.weight(b));
    let cost_b = (load_b + 1) * u64::from(table.weight(a));
    cost_a.cmp(&cost_b)
}
