//! The one thread that writes lines: takes buffers, obeys orders, sends empty buffers back.
//!
//! It ends when it was told to close and the queue is empty, or when every handle is gone. It may wait
//! for the sink as long as the sink likes; only its queue notices.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::buffer::send_home;
use super::queue::{Message, State};
use super::sink::Output;

/// The thread's body.
pub(super) fn run(mut output: Output, messages: Receiver<Message>, state: &State) {
    // Whoever waits for the end must learn of it, also if this thread were to panic.
    let _ending = Ending(state);
    // Dropped before it: what comes after the end must not vanish in a queue that nobody reads.
    let messages = messages;
    while let Some(message) = next(&messages, state) {
        if state.reopen.swap(false, Ordering::Acquire) {
            output.reopen();
        }
        if let Message::Lines(batch) = message {
            let lost = output.write(&batch.data, batch.lines.into());
            state.dropped.fetch_add(lost, Ordering::Relaxed);
            state.pending.fetch_sub(1, Ordering::Relaxed);
            send_home(batch.data, &batch.home);
        }
    }
}

/// The next message; none when there will be no more. While closing, nobody is waited for.
fn next(messages: &Receiver<Message>, state: &State) -> Option<Message> {
    match messages.try_recv() {
        Ok(message) => Some(message),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) if state.closing.load(Ordering::Acquire) => None,
        Err(TryRecvError::Empty) => messages.recv().ok(),
    }
}

struct Ending<'a>(&'a State);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
