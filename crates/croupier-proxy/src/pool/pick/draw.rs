//! A lot drawn by weight, without knowing the sum of the weights.
//!
//! Among many, a server drawn evenly is taken with the probability weight / heaviest weight:
//! that is exact, and needs two or three tries where weights are alike. Where they are not, or
//! few may be picked, the tries run out and everybody is counted, which is as exact: a lonely
//! candidate is always found.

use super::Candidates;

/// Up to so many are counted at once: cheaper than trying.
const FEW: usize = 16;

/// Tries before counting. At one half taken per try, one draw in 65,000 counts.
const TRIES_MAX: u32 = 16;

/// Evenly one of `0..below`, by one call of the dice; 0 when there is none. The bias is below
/// `below` / 2^64.
#[must_use]
pub fn roll(dice: &mut impl FnMut() -> u64, below: u64) -> u64 {
    ((u128::from(dice()) * u128::from(below)) >> 64) as u64
}

/// One of the candidates that is not `but`, each as likely as its weight is heavy. None when
/// there is none of weight above 0.
#[must_use]
pub fn draw(
    table: &impl Candidates,
    dice: &mut impl FnMut() -> u64,
    but: Option<usize>,
) -> Option<usize> {
    let len = table.len();
    if len > FEW {
        let heaviest = u64::from(table.weight_max());
        for _ in 0..TRIES_MAX {
            let index = usize::try_from(roll(dice, len as u64)).ok()?;
            let is_taken = roll(dice, heaviest) < u64::from(table.weight(index));
            if is_taken && Some(index) != but {
                return Some(index);
            }
        }
    }
    count(table, dice, but)
}

fn count(
    table: &impl Candidates,
    dice: &mut impl FnMut() -> u64,
    but: Option<usize>,
) -> Option<usize> {
    let weight = |index| match but {
        Some(but) if but == index => 0,
        _ => u64::from(table.weight(index)),
    };
    let sum: u64 = (0..table.len()).map(weight).sum();
    let mut left = roll(dice, sum);
    let mut last = None;
    for index in 0..table.len() {
        let weight = weight(index);
        if weight == 0 {
            continue;
        }
        last = Some(index);
        if left < weight {
            break;
        }
        left -= weight;
    }
    last // also when weights fell meanwhile and the lot points beyond them
}
