//! Two choices over what a request would cost: latency times (load + 1) over weight (Finagle's
//! peak EWMA).
//!
//! A server whose latency is not known is tried at once while it is idle, and judged by its load
//! alone while its first answers are awaited: it is tried, not flooded.

use std::cmp::Ordering;

use super::{Candidates, draw::draw, two_choices::by_load};

/// The cheaper of two drawn by weight; the only one when there is one.
#[must_use]
pub fn pick(table: &impl Candidates, dice: &mut impl FnMut() -> u64) -> Option<usize> {
    let first = draw(table, dice, None)?;
    let Some(second) = draw(table, dice, Some(first)) else {
        return Some(first);
    };
    let order = by_cost(table, second, first);
    Some(if order.is_lt() { second } else { first })
}

fn by_cost(table: &impl Candidates, a: usize, b: usize) -> Ordering {
    match (table.latency_us(a), table.latency_us(b)) {
        (0, 0) => by_load(table, a, b),
        (0, _) if table.load(a) == 0 => Ordering::Less,
        (_, 0) if table.load(b) == 0 => Ordering::Greater,
        (0, _) | (_, 0) => by_load(table, a, b),
        (latency_a, latency_b) => {
            // Below 2^32 times 2^32 times 2^32.
            let cost = |latency: u32, load: u32, other_weight: u32| {
                u128::from(latency) * (u128::from(load) + 1) * u128::from(other_weight)
            };
            let cost_a = cost(latency_a, table.load(a), table.weight(b));
            let cost_b = cost(latency_b, table.load(b), table.weight(a));
            cost_a.cmp(&cost_b)
        }
    }
}
