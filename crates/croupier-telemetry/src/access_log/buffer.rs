//! A worker's own lines, until there are enough of them to be worth handing over.
//!
//! Writing a record touches nothing but this buffer. It is handed over when it is nearly full, when the
//! worker's tick asks for it, and at once when somebody watches and the writer has nothing else to do.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::queue::{AccessLog, Batch};
use crate::date::Stamp;
use crate::record::Record;

/// What a buffer starts with.
const CAPACITY: usize = 64 * 1024;

/// From this many bytes on a buffer leaves; below `CAPACITY` by what an ordinary line may still take.
const FULL: usize = CAPACITY - 8 * 1024;

/// A buffer that hostile lines have grown beyond this is not used again.
const KEPT_CAPACITY: usize = 2 * CAPACITY;

/// Empty buffers that wait for their worker.
const SPARE: usize = 4;

/// One worker's end of an access log. Dropping it hands over what it holds.
#[derive(Debug)]
pub struct LogBuffer {
    log: AccessLog,
    stamp: Stamp,
    data: Vec<u8>,
    lines: u32,
    /// Written buffers come back here, emptied.
    spare: Receiver<Vec<u8>>,
    home: SyncSender<Vec<u8>>,
}

impl LogBuffer {
    pub(super) fn new(log: AccessLog) -> Self {
        let (home, spare) = sync_channel(SPARE);
        let data = Vec::with_capacity(CAPACITY);
        Self {
            log,
            stamp: Stamp::default(),
            data,
            lines: 0,
            spare,
            home,
        }
    }

    /// Writes one record. Never waits.
    #[inline]
    pub fn record(&mut self, record: &Record<'_>) {
        self.log
            .format()
            .write(record, &mut self.stamp, &mut self.data);
        self.lines += 1;
        if self.data.len() >= FULL {
            self.leave();
        } else if self.log.format().is_watched() && self.log.is_idle() {
            self.flush();
        }
    }

    /// Hands over what was written so far; keeps it for later if the queue is full. Called from the
    /// worker's tick, about ten times a second.
    pub fn flush(&mut self) {
        if self.data.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(batch)) = self.hand_over() {
            self.data = batch.data;
            self.lines = batch.lines;
        }
    }

    /// Hands over what was written so far, or drops it.
    fn leave(&mut self) {
        if let Err(TrySendError::Full(mut batch)) = self.hand_over() {
            self.log.count_dropped(batch.lines.into());
            batch.data.clear();
            self.data = batch.data;
        }
    }

    /// Leaves the buffer empty, and without room if it was not accepted.
    fn hand_over(&mut self) -> Result<(), TrySendError<Batch>> {
        let data = std::mem::take(&mut self.data);
        let lines = std::mem::take(&mut self.lines);
        let sent = self.log.send(Batch {
            data,
            lines,
            home: self.home.clone(),
        });
        match &sent {
            Err(TrySendError::Full(_)) => {}
            // The log is closed: nobody will ever take this.
            Err(TrySendError::Disconnected(batch)) => self.log.count_dropped(batch.lines.into()),
            Ok(()) => {
                self.data = self
                    .spare
                    .try_recv()
                    .unwrap_or_else(|_| Vec::with_capacity(CAPACITY));
            }
        }
        sent
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        if !self.data.is_empty() {
            self.leave();
        }
    }
}

/// Sends a written buffer back to its worker, or lets it go.
pub(super) fn send_home(mut data: Vec<u8>, home: &SyncSender<Vec<u8>>) {
    if data.capacity() <= KEPT_CAPACITY {
        data.clear();
        // A worker that is gone, or has spares enough, does not want it.
        drop(home.try_send(data));
    }
}
