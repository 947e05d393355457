//! Which share of the traffic each tier of a pool takes: backups fill in by degrees.
//!
//! Pure. The rule is that of Envoy's priority levels: a tier is counted as 1.4 times as
//! healthy as it is, so losing a few of its servers moves nothing; below 71 % the next tier
//! takes what is missing.

/// Tiers of one pool; later ones count as the last.
pub const TIERS_MAX: usize = 4;

/// By how much a tier is expected to be larger than it need be, in percent.
const OVER_PROVISIONING: u32 = 140;

/// A whole, in the units of this file.
pub const WHOLE: u32 = 10_000;

/// `healthy[i]`: usable and all servers of tier i, best tier first. Gives each tier's share of
/// the traffic; they sum to [`WHOLE`]. When nobody is usable the first tier takes all.
#[must_use]
pub fn tier_shares(healthy: [(u32, u32); TIERS_MAX]) -> [u32; TIERS_MAX] {
    let capacity = healthy.map(capacity);
    let total = capacity.iter().sum::<u32>().min(WHOLE);
    let mut shares = [0; TIERS_MAX];
    if total == 0 {
        shares[0] = WHOLE;
        return shares;
    }
    let mut left = WHOLE;
    let mut last = 0;
    for (index, (share, capacity)) in shares.iter_mut().zip(capacity).enumerate() {
        *share = (capacity * WHOLE / total).min(left);
        left -= *share;
        if *share > 0 {
            last = index;
        }
    }
    // What rounding left over.
    shares[last] += left;
    shares
}

/// Can the tiers together carry all traffic, over-provisioning counted in?
#[must_use]
pub fn is_enough(healthy: [(u32, u32); TIERS_MAX]) -> bool {
    healthy.map(capacity).iter().sum::<u32>() >= WHOLE
}

fn capacity((usable, all): (u32, u32)) -> u32 {
    if all == 0 {
        return 0;
    }
    let percent = u64::from(usable) * u64::from(WHOLE / 100 * OVER_PROVISIONING) / u64::from(all);
    u32::try_from(percent).map_or(WHOLE, |percent| percent.min(WHOLE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{TIERS_MAX, WHOLE, is_enough, tier_shares};

    fn shares(tiers: &[(u32, u32)]) -> Vec<u32> {
        let mut all = [(0, 0); TIERS_MAX];
        all[..tiers.len()].copy_from_slice(tiers);
        tier_shares(all)[..tiers.len()].to_vec()
    }

    #[test]
    fn backups_take_what_the_first_tier_can_not() {
        // The table of Envoy's documentation on priority levels.
        let cases = [
            (100, 100, [10_000, 0]),
            (72, 72, [10_000, 0]),
            (71, 71, [9_940, 60]),
            (50, 50, [7_000, 3_000]),
            (25, 100, [3_500, 6_500]),
            (25, 25, [5_000, 5_000]),
            (0, 100, [0, 10_000]),
        ];
        for (first, second, expected) in cases {
            assert_eq!(
                shares(&[(first, 100), (second, 100)]),
                expected,
                "{first} % and {second} %"
            );
        }
    }

    #[test]
    fn nobody_usable_leaves_the_first_tier() {
        assert_eq!(shares(&[(0, 3), (0, 2)]), [WHOLE, 0]);
        assert_eq!(shares(&[(0, 0)]), [WHOLE]);
        assert!(!is_enough([(0, 3), (0, 2), (0, 0), (0, 0)]));
    }

    #[test]
    fn a_tier_without_servers_takes_nothing() {
        assert_eq!(shares(&[(0, 0), (2, 2)]), [0, WHOLE]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_only_the_usable_get_something(
            tiers in prop::array::uniform4((0u32..50, 0u32..50))
        ) {
            let tiers = tiers.map(|(a, b)| (a.min(b), b));
            let shares = tier_shares(tiers);
            prop_assert_eq!(shares.iter().sum::<u32>(), WHOLE);
            if tiers.iter().any(|(usable, _)| *usable > 0) {
                for (share, (usable, _)) in shares.iter().zip(tiers) {
                    prop_assert!(usable > 0 || *share == 0);
                }
            }
        }

        #[test]
        fn a_healthier_first_tier_never_gets_less(all in 1u32..40, lost in 0u32..40, second in 0u32..40) {
            let lost = lost.min(all - 1);
            let share = |usable| shares(&[(usable, all), (second, 40)])[0];
            prop_assert!(share(all - lost) >= share(all - lost - 1));
        }
    }
}
