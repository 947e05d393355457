//! The one who writes an answer into the store, and what becomes of it at its end.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{
    Inner,
    filling::{Broken, Shared, State, WINDOW},
};
use crate::{
    Body, Object,
    parts::{self, Partial},
};

/// For so long it is remembered that an answer was too large or had no room, milliseconds.
pub(super) const PASS_MS: u64 = 10_000;

/// Nobody is left who would read an answer that is not kept: stop fetching it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left;

/// Writes the body of an answer. Dropping it before [`Self::finish`] breaks the answer off: its
/// readers learn it, nothing is kept.
#[derive(Debug)]
pub struct Writer {
    pub(super) store: Arc<Inner>,
    pub(super) shared: Arc<Shared>,
    /// What it is going to be looked up by.
    pub(super) key: Arc<[u8]>,
    /// The record that its variant belongs to.
    pub(super) variants: Option<Arc<Object>>,
    /// Of what it is a part, if it is one.
    pub(super) part: Option<Partial>,
    /// The last purge before it was asked for.
    pub(super) epoch: u64,
    pub(super) waking: Vec<Waker>,
    pub(super) is_over: bool,
}

/// A body's bytes, lent out to those who still read when it is whole.
struct Whole(Arc<[u8]>);

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Writer {
    /// Ready to take bytes. As long as the answer is going to be kept it always is; later the
    /// slowest reader is waited for.
    ///
    /// # Errors
    ///
    /// It is not going to be kept, and nobody reads.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Left>> {
        let mut flow = self.shared.flow();
        if !matches!(flow.state, State::Passing) {
            return Poll::Ready(Ok(()));
        }
        match flow.ahead() {
            None => Poll::Ready(Err(Left)),
            Some(ahead) if ahead < WINDOW => Poll::Ready(Ok(())),
            Some(_) => {
                flow.wait_for_readers(cx);
                Poll::Pending
            }
        }
    }

    /// Is it still going to be kept, as far as is known?
    #[must_use]
    pub fn is_keeping(&self) -> bool {
        matches!(self.shared.flow().state, State::Keeping)
    }

    /// Takes the next bytes. An answer that becomes too large, or for which there is no room, goes
    /// on without being kept.
    pub fn push(&mut self, data: &[u8]) {
        let mut flow = self.shared.flow();
        let mut why = None;
        if matches!(flow.state, State::Keeping) {
            let is_too_large = flow.total + data.len() as u64 > self.store.largest;
            let taken = if is_too_large {
                why = Some("too-large");
                0
            } else {
                self.shared.push(&mut flow, data)
            };
            if taken < data.len() {
                why = why.or(Some("no-room"));
                flow.state = State::Passing;
                self.shared.push(&mut flow, &data[taken..]);
                self.shared.forget(&mut flow);
            }
        } else {
            self.shared.push(&mut flow, data);
            self.shared.forget(&mut flow);
        }
        flow.take_waiting(&mut self.waking);
        drop(flow);
        self.wake();
        if let Some(why) = why {
            self.refuse(why);
            // What has no room as a part says nothing about others.
            if self.part.is_some() {
                return;
            }
            let until = self.shared.head.terms.received_ms.saturating_add(PASS_MS);
            self.store.pendings.end(&self.key, &self.shared);
            self.store.mark_pass(&self.key, until);
        }
    }

    /// All of it has come. Returns the object, or `None` when it is not kept.
    ///
    /// # Errors
    ///
    /// It is shorter or longer than its head said: nothing is kept, its readers learn it.
    pub fn finish(mut self) -> Result<Option<Arc<Object>>, Broken> {
        let mut flow = self.shared.flow();
        let length = self.shared.head.length;
        if length.is_some_and(|length| length != flow.total) {
            drop(flow);
            return Err(Broken); // dropping `self` tells the readers
        }
        flow.cut();
        let total = flow.total;
        let is_kept = matches!(flow.state, State::Keeping);
        // Its body is copied into one piece: for a moment it is there twice.
        if !is_kept || !self.shared.take_room(&mut flow, total) {
            flow.state = State::Over;
            self.shared.forget(&mut flow);
            drop(flow);
            if is_kept {
                self.refuse("no-room");
            }
            self.close();
            return Ok(None);
        }
        let pieces = flow.pieces();
        drop(flow);
        let body = join(&pieces, total);
        drop(pieces);
        let kept = self.keep(&body);
        let mut flow = self.shared.flow();
        self.shared
            .settle(&mut flow, Bytes::from_owner(Whole(body)));
        drop(flow);
        self.close();
        Ok(kept)
    }

    /// It is not going to come.
    pub fn give_up(self) {}

    fn keep(&self, body: &Arc<[u8]>) -> Option<Arc<Object>> {
        let head = &self.shared.head;
        let object = Object::new(
            Box::from(&*self.key),
            head.status,
            head.lines.clone(),
            Body::Memory(Arc::clone(body)),
            head.terms,
        );
        let object = match &self.part {
            None => object.with_tags(head.tags.clone()),
            Some(part) => {
                let object = object.with_parts(part.clone(), head.tags.clone());
                parts::join(self.store.memory.peek(&self.key).as_deref(), object)?
            }
        };
        let variants = self.variants.as_ref();
        match self.store.keep(object, variants, self.epoch) {
            Ok(object) => Some(object),
            Err(why) => {
                self.refuse(why);
                None
            }
        }
    }

    fn refuse(&self, why: &'static str) {
        let at_ms = self.shared.head.terms.received_ms;
        self.store.counters.refused(&self.key, why, at_ms);
    }

    /// Nobody joins any more; who waits looks again.
    fn close(&mut self) {
        self.is_over = true;
        self.store.pendings.end(&self.key, &self.shared);
        self.shared.flow().take_waiting(&mut self.waking);
        self.wake();
    }

    fn wake(&mut self) {
        for waker in self.waking.drain(..) {
            waker.wake();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut flow = self.shared.flow();
        flow.state = State::Broken;
        flow.cut();
        self.shared.forget(&mut flow);
        drop(flow);
        self.refuse("broken");
        self.close();
    }
}

/// The pieces in one, by one copy.
fn join(pieces: &[Bytes], total: u64) -> Arc<[u8]> {
    let mut body: Arc<[u8]> = std::iter::repeat_n(0, usize::try_from(total).unwrap_or(0)).collect();
    if let Some(mut rest) = Arc::get_mut(&mut body) {
        for piece in pieces {
            let Some((now, later)) = rest.split_at_mut_checked(piece.len()) else {
                break;
            };
            now.copy_from_slice(piece);
            rest = later;
        }
    }
    body
}
