//! Waiting for a server, as a future: cancel safe, and woken by whichever worker frees a slot.
//!
//! ```text
//! let mut waiting = Waiting::join(&pool, priority, deadline, bound)?;    // None: 503 at once
//! loop {
//!     waiting.called().await?;                  // at once, the first time; Err: too late
//!     match pick_and_enter() {
//!         Some(busy) => { waiting.served(); break busy }
//!         None => waiting.back(),
//!     }
//! }
//! ```

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use crate::live::{
    LivePool,
    line::{Standing, Ticket},
};

/// It waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

/// A place in a pool's line. Dropping it gives the place back, and passes on a call that was
/// not used.
#[derive(Debug)]
pub struct Waiting {
    pool: Arc<LivePool>,
    ticket: Ticket,
}

impl Waiting {
    /// A place among at most `bound`, until `deadline`, milliseconds since the process began;
    /// lower priorities are served first. None when the line is full.
    #[must_use]
    pub fn join(pool: &Arc<LivePool>, priority: u8, deadline: u64, bound: usize) -> Option<Self> {
        let ticket = pool.queue().enqueue(priority, deadline, bound)?;
        Some(Self {
            pool: Arc::clone(pool),
            ticket,
        })
    }

    /// Ready when it is this one's turn to look for a server, which may be in vain.
    ///
    /// # Errors
    /// When its time is over; the caller's own timer may say so sooner.
    pub fn poll_called(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Late>> {
        match self.pool.queue().poll(self.ticket, cx.waker()) {
            Standing::Waiting => Poll::Pending,
            Standing::Called => Poll::Ready(Ok(())),
            Standing::Expired => Poll::Ready(Err(Late)),
        }
    }

    /// The same as a future.
    ///
    /// # Errors
    /// When its time is over.
    pub async fn called(&mut self) -> Result<(), Late> {
        poll_fn(|cx| self.poll_called(cx)).await
    }

    /// No server could take it: it waits on at its old place.
    pub fn back(&mut self) {
        self.pool.queue().back(self.ticket);
    }

    /// A server took it. There may be room for more, so the next is called.
    pub fn served(self) {
        drop(self);
    }

    /// The caller's timer says that it is too late: counted, and gone.
    pub fn gave_up(self) {
        self.pool.queue().count_timeout();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pool.queue().leave(self.ticket);
    }
}

#[cfg(test)]
mod tests;
