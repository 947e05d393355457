//! Choosing a server: one small pure file for each way.
//!
//! [`candidates`] is what a way may know, [`draw`] the weighted lot that several of them use.
//! In turn: [`round_robin`]. By lot: [`random`]. By load: [`least_requests`], [`two_choices`],
//! and [`ewma`] over the latencies that [`peak_ewma`] keeps. By key: [`maglev`] and [`ring`],
//! both held in bounds by [`bounded`]. Nobody here does I/O, reads a clock or keeps globals:
//! chance comes in as `dice`, which gives 64 random bits per call.

use std::sync::Arc;

pub mod bounded;
pub mod candidates;
pub mod draw;
pub mod ewma;
pub mod least_requests;
pub mod maglev;
pub mod peak_ewma;
pub mod random;
pub mod ring;
pub mod round_robin;
pub mod two_choices;

pub use bounded::Bound;
pub use candidates::{Candidates, Totals, UNIT};
pub use maglev::Maglev;
pub use peak_ewma::PeakEwma;
pub use ring::Ring;
pub use round_robin::RoundRobin;

/// A way of picking, with what it remembers between picks. One per worker and tier; the tables
/// of the hashing ways are built once per plan and shared.
#[derive(Clone, Debug)]
pub enum Picker {
    RoundRobin(RoundRobin),
    Random,
    LeastRequests,
    TwoChoices,
    Ewma,
    Maglev(Arc<Maglev>, Bound),
    Ring(Arc<Ring>, Bound),
}

impl Picker {
    /// The index of a candidate whose weight is not 0; None only when there is none.
    ///
    /// `key` is read by the hashing ways alone; without one they take two choices, so that
    /// requests that carry no key do not all meet at one server.
    pub fn pick(
        &mut self,
        table: &impl Candidates,
        dice: &mut impl FnMut() -> u64,
        key: Option<u64>,
    ) -> Option<usize> {
        match (self, key) {
            (Self::RoundRobin(turns), _) => turns.next(table, dice),
            (Self::Random, _) => random::pick(table, dice),
            (Self::LeastRequests, _) => least_requests::pick(table, dice),
            (Self::Ewma, _) => ewma::pick(table, dice),
            (Self::Maglev(maglev, bound), Some(key)) => {
                bounded::pick(table, *bound, key, maglev.preferred(key))
            }
            (Self::Ring(ring, bound), Some(key)) => {
                bounded::pick(table, *bound, key, ring.preferred(key))
            }
            (Self::TwoChoices | Self::Maglev(..) | Self::Ring(..), _) => {
                two_choices::pick(table, dice)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
