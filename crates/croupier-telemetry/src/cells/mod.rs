//! Cells: numbers with one writer each.
//!
//! In story order: `labels` (the closed sets a series is named by), `shard` (one worker's numbers, seen
//! by the reader), `worker` (the same numbers, seen by the worker: how to count), `registry` (who hands
//! out workers' cells, names the slots, and sums).

mod labels;
mod registry;
mod shard;
#[cfg(test)]
mod tests;
mod worker;

pub use labels::{MethodLabel, ProtoVersion, RouteSlot, ServerSlot};
pub use registry::Registry;
pub use worker::{Finished, ServerGauge, WorkerCells};

pub(crate) use registry::{Names, Totals};
pub(crate) use shard::Tick;
