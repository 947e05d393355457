//! One worker's numbers, as the reader sees them.
//!
//! The worker writes each cell with a relaxed load and store, which is one plain instruction each; the
//! reader may look at any time and sees a value that was true a moment ago. The lists of series are
//! behind a mutex that the worker takes only when a series is used for the first time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::labels::SeriesKey;
use crate::histogram::Histogram;
use crate::table::{Counter, Gauge};

/// A number with one writer and any number of readers.
#[derive(Debug, Default)]
pub(crate) struct Tick(AtomicU64);

impl Tick {
    /// Adds; wraps. Only the one writer may call this: two would lose counts.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Moves a gauge: a level is kept as the two's complement of an `i64`.
    #[inline]
    pub(crate) fn shift(&self, by: i64) {
        self.add(by as u64);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Only while there is no writer.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Exchanges of one route, method, status and version. Aligned so that cells of two workers never
/// share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Series {
    pub(super) duration: Histogram,
    pub(super) bytes_in: Tick,
    pub(super) bytes_out: Tick,
}

/// What a worker did with one server.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct ServerCells {
    pub(super) duration: Histogram,
    pub(super) failures: Tick,
    pub(super) retries: Tick,
    pub(super) idle: Tick,
    pub(super) busy: Tick,
}

/// What was used so far, with its name, in order of first use.
type Used<K, V> = Vec<(K, Arc<V>)>;

/// All cells of one worker.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Shard {
    pub(super) counters: [Tick; Counter::COUNT],
    pub(super) gauges: [Tick; Gauge::COUNT],
    pub(super) faults: Box<[Tick]>,
    series: Mutex<Used<SeriesKey, Series>>,
    servers: Mutex<Used<u32, ServerCells>>,
}

impl Shard {
    pub(super) fn new(faults: usize) -> Self {
        Self {
            counters: std::array::from_fn(|_| Tick::default()),
            gauges: std::array::from_fn(|_| Tick::default()),
            faults: (0..faults).map(|_| Tick::default()).collect(),
            series: Mutex::default(),
            servers: Mutex::default(),
        }
    }

    /// Series by their labels. Held briefly by the reader, to copy it.
    pub(super) fn series(&self) -> MutexGuard<'_, Used<SeriesKey, Series>> {
        held(&self.series)
    }

    /// Servers by their slot.
    pub(super) fn servers(&self) -> MutexGuard<'_, Used<u32, ServerCells>> {
        held(&self.servers)
    }

    /// Forgets what was counted in a slot that has no owner; the cells stay.
    pub(super) fn clear_server(&self, slot: u32) {
        for (listed, server) in self.servers().iter() {
            if *listed == slot {
                server.duration.clear();
                for cell in [
                    &server.failures,
                    &server.retries,
                    &server.idle,
                    &server.busy,
                ] {
                    cell.clear();
                }
            }
        }
    }

    /// A worker that is gone has nothing open, however it went.
    pub(super) fn clear_gauges(&self) {
        for gauge in &self.gauges {
            gauge.clear();
        }
        for (_, server) in self.servers().iter() {
            server.idle.clear();
            server.busy.clear();
        }
    }
}

/// Locks; counts stay usable after a panic of whoever held them.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
