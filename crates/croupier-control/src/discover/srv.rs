//! SRV records (RFC 2782) in order: pure.
//!
//! A priority becomes a tier, counted from 0. Weights are shares within it. Weight 0 means "of
//! no importance" when all have it, and "nearly never" beside others: the others are scaled up so
//! that 1 is little.

use std::collections::BTreeSet;

/// Records of one name that are used: those of the lowest priorities, in order of their hosts.
pub(super) const RECORDS_MAX: usize = 64;
/// How much larger than a weight of 0 the others are made, where a `u16` has room for it.
const SCALE: u16 = 100;

/// An SRV record. The order of the fields is the order of the records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) priority: u16,
    /// Without the last dot, in lower case.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) weight: u16,
}

/// A record as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) tier: u8,
    pub(super) weight: u16,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The records to use, in a stable order. None are left when the service is said not to be
/// there, by a target that is the root.
pub(super) fn rank(mut records: Vec<Record>) -> Vec<Ranked> {
    records.retain(|record| !record.host.is_empty() && record.port != 0);
    records.sort_unstable();
    records.dedup_by(|b, a| (a.priority, &a.host, a.port) == (b.priority, &b.host, b.port));
    records.truncate(RECORDS_MAX);
    let priorities: BTreeSet<u16> = records.iter().map(|record| record.priority).collect();
    let mut ranked = Vec::with_capacity(records.len());
    for (tier, priority) in priorities.into_iter().enumerate() {
        let tier = u8::try_from(tier).unwrap_or(u8::MAX);
        let here = || records.iter().filter(|record| record.priority == priority);
        let max = here().map(|record| record.weight).max().unwrap_or(0);
        let has_zero = here().any(|record| record.weight == 0);
        let scale = if has_zero && max > 0 {
            (u16::MAX / max).clamp(1, SCALE)
        } else {
            1
        };
        ranked.extend(here().map(|record| Ranked {
            tier,
            weight: record.weight.saturating_mul(scale).max(1),
            host: record.host.clone(),
            port: record.port,
        }));
    }
    ranked
}

#[cfg(test)]
mod tests {
    use super::{RECORDS_MAX, Record, rank};

    fn record(priority: u16, weight: u16, host: &str) -> Record {
        Record {
            priority,
            host: host.into(),
            port: 80,
            weight,
        }
    }

    fn said(records: &[Record]) -> Vec<(u8, u16, String)> {
        let ranked = rank(records.to_vec());
        ranked
            .into_iter()
            .map(|one| (one.tier, one.weight, one.host))
            .collect()
    }

    #[test]
    fn priorities_become_tiers_and_the_order_is_stable() {
        let mut records = vec![
            record(20, 5, "c"),
            record(10, 1, "b"),
            record(10, 3, "a"),
            record(700, 1, "d"),
        ];
        let wanted = [
            (0, 3, "a".into()),
            (0, 1, "b".into()),
            (1, 5, "c".into()),
            (2, 1, "d".into()),
        ];
        assert_eq!(said(&records), wanted);
        records.reverse();
        assert_eq!(said(&records), wanted);
    }

    #[test]
    fn weight_zero_is_equal_among_zeros_and_little_beside_others() {
        let cases = [
            (vec![0, 0], vec![1, 1]),
            (vec![0, 1], vec![1, 100]),
            (vec![0, 1000, 65_535], vec![1, 1000, 65_535]),
            (vec![0, 6000], vec![1, 60_000]),
            (vec![2, 4], vec![2, 4]),
        ];
        for (weights, wanted) in cases {
            let records: Vec<_> = weights
                .iter()
                .zip(["a", "b", "c"])
                .map(|(weight, host)| record(1, *weight, host))
                .collect();
            let got: Vec<_> = said(&records).into_iter().map(|one| one.1).collect();
            assert_eq!(got, wanted, "{weights:?}");
        }
    }

    #[test]
    fn many_records_are_cut_and_none_may_mean_that_there_is_no_service() {
        let many: Vec<_> = (0..500)
            .map(|n| record(if n < 490 { 2 } else { 1 }, 1, &format!("h{n:03}")))
            .collect();
        let kept = said(&many);
        assert_eq!(kept.len(), RECORDS_MAX);
        assert_eq!((kept[0].0, kept[0].2.as_str()), (0, "h490"));
        assert_eq!(kept[10].2, "h000");
        assert!(rank(vec![record(0, 0, "")]).is_empty());
        assert_eq!(said(&[record(1, 5, "a"), record(1, 2, "a")]).len(), 1);
    }
}
