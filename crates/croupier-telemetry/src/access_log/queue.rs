//! How full buffers leave the worker: a bounded queue to one thread, and a count of what did not fit.
//!
//! The handle can be cloned and kept anywhere. Its orders (reopen, close) are flags that the writer
//! looks at before every buffer; a wake message is only for a writer that has nothing to do, so an order
//! is obeyed however full the queue is.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::buffer::LogBuffer;
use super::format::Format;
use super::sink::{Output, Sink};
use super::writer;

/// Buffers in the queue: 4 MiB of lines, which is half a second at 40,000 requests a second.
const QUEUE: usize = 64;

/// One access log: a format, a sink, and the thread between. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    format: Arc<Format>,
    queue: SyncSender<Message>,
    state: Arc<State>,
}

/// What the handle and the writer both see.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) dropped: AtomicU64,
    /// Buffers sent and not yet written.
    pub(super) pending: AtomicUsize,
    pub(super) reopen: AtomicBool,
    pub(super) closing: AtomicBool,
    done: Mutex<bool>,
    done_changed: Condvar,
}

pub(super) enum Message {
    Lines(Batch),
    /// Look at the flags.
    Wake,
}

/// A worker's lines on their way.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) data: Vec<u8>,
    pub(super) lines: u32,
    /// Where the emptied buffer goes.
    pub(super) home: SyncSender<Vec<u8>>,
}

impl AccessLog {
    /// Opens the sink and starts the writer's thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or created, or the thread not started.
    pub fn open(sink: Sink, format: Format) -> io::Result<Self> {
        let output = Output::open(sink)?;
        let (queue, messages) = sync_channel(QUEUE);
        let state = Arc::new(State::default());
        let seen = Arc::clone(&state);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer::run(output, messages, &seen))?;
        Ok(Self {
            format: Arc::new(format),
            queue,
            state,
        })
    }

    /// A buffer for one worker.
    #[must_use]
    pub fn buffer(&self) -> LogBuffer {
        LogBuffer::new(self.clone())
    }

    /// Lines that were lost since the log was opened: the queue was full, or the sink failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    /// Opens the file again under its name; called after it was renamed. Lines handed over before may
    /// still go to the old file, none is lost. If the new one cannot be opened, the old one stays.
    pub fn reopen(&self) {
        self.state.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Writes what was handed over and ends the writer; workers' buffers should be gone by now. True if
    /// it was done in time. Lines that come later are dropped and counted.
    pub fn close(&self, timeout: Duration) -> bool {
        self.state.closing.store(true, Ordering::Release);
        self.wake();
        let done = self
            .state
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .state
            .done_changed
            .wait_timeout_while(done, timeout, |done| !*done);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn format(&self) -> &Format {
        &self.format
    }

    /// Whether everything sent was written.
    pub(super) fn is_idle(&self) -> bool {
        self.state.pending.load(Ordering::Relaxed) == 0
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.state.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn send(&self, batch: Batch) -> Result<(), TrySendError<Batch>> {
        self.state.pending.fetch_add(1, Ordering::Relaxed);
        let refused = match self.queue.try_send(Message::Lines(batch)) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        self.state.pending.fetch_sub(1, Ordering::Relaxed);
        match refused {
            TrySendError::Full(Message::Lines(batch)) => Err(TrySendError::Full(batch)),
            TrySendError::Disconnected(Message::Lines(batch)) => {
                Err(TrySendError::Disconnected(batch))
            }
            // What comes back is what was sent.
            TrySendError::Full(Message::Wake) | TrySendError::Disconnected(Message::Wake) => Ok(()),
        }
    }

    fn wake(&self) {
        // A full queue means that the writer is awake; none means that there is nothing to wake.
        let _ = self.queue.try_send(Message::Wake);
    }
}

impl State {
    /// The writer has ended.
    pub(super) fn finish(&self) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.done_changed.notify_all();
    }
}
