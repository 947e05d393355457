//! By lot, each server as often as its weight says. Knows nothing of load.

use super::{Candidates, draw::draw};

/// One of the candidates, by weight.
#[must_use]
pub fn pick(table: &impl Candidates, dice: &mut impl FnMut() -> u64) -> Option<usize> {
    draw(table, dice, None)
}
