//! What a way of picking may know of the servers of one pool or tier.
//!
//! Servers are indices. Every answer may change between two questions, because other workers
//! count too: nothing here relies on two answers agreeing, only on each being bounded.

/// The effective weight of a server of configured weight 1. The fraction is there for slow
/// start, which goes below 1: a server at a tenth of weight 1 has 26.
pub const UNIT: u32 = 256;

/// The servers that may be picked, by index.
pub trait Candidates {
    /// How many there are, those of weight 0 included.
    fn len(&self) -> usize;

    /// The effective weight, in 1/[`UNIT`] of a configured weight of 1. 0: not to be picked now.
    fn weight(&self, index: usize) -> u32;

    /// Requests in flight over all workers, queued ones included.
    fn load(&self, index: usize) -> u32;

    /// Peak-EWMA latency in microseconds (see [`super::PeakEwma`]). 0: not known.
    fn latency_us(&self, index: usize) -> u32;

    /// Nobody at all?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No weight is above this. Asked when there are many servers: whoever knows it from the
    /// plan should say so, because the default asks everybody. A bound that is too low makes
    /// the heavier servers count as this heavy; one that is too high only costs time.
    fn weight_max(&self) -> u32 {
        let weights = (0..self.len()).map(|index| self.weight(index));
        weights.max().unwrap_or(0)
    }

    /// Sums over those of weight above 0. Asked by the hashing ways when the preferred server
    /// is busy.
    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for index in 0..self.len() {
            let weight = self.weight(index);
            if weight > 0 {
                totals.weight += u64::from(weight);
                totals.load += u64::from(self.load(index));
            }
        }
        totals
    }
}

/// Sums over the servers that may be picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// In 1/[`UNIT`].
    pub weight: u64,
    /// Requests in flight.
    pub load: u64,
}
