//! An answer on its way: written by one, read by many, each at its own pace and on any thread.
//!
//! Its bytes lie in blocks that are shared with the readers, who copy nothing. At its end it becomes
//! an object with its body in one piece. An answer that is not going to be kept goes the same way,
//! but forgets what all have read, and its writer waits for the slowest.

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};

use crate::{Terms, object::Tags};

/// The first block of an answer whose length is not known; the next ones grow up to the largest.
const BLOCK_MIN: usize = 16 << 10;
/// The largest block.
const BLOCK_MAX: usize = 256 << 10;
/// The same for an answer that is not kept.
const BLOCK_PASSING: usize = 64 << 10;
/// What an answer that is not kept may be ahead of its slowest reader. It is no part of the store's
/// size, as little as the buffers of an answer that never came here.
pub(super) const WINDOW: u64 = 256 << 10;
/// What a piece costs beside its bytes.
const PIECE: u64 = 64;

/// What is known of an answer before its body comes.
#[derive(Debug)]
pub struct Head {
    /// 200, ...
    pub status: u16,
    /// Its field lines, as an object keeps them.
    pub lines: Box<[u8]>,
    /// What it lives by.
    pub terms: Terms,
    /// Bytes of its body, if its head says so.
    pub length: Option<u64>,
    /// By what beside its key it can be purged.
    pub tags: Tags,
}

/// It ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A sum that must not exceed a bound.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    pub(super) fn new(max: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            max,
        }
    }

    /// Takes that much, if it is there.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let sum = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.used.fetch_update(Relaxed, Relaxed, sum).is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }
}

/// What its writer, its readers and the table of what is being fetched share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) head: Head,
    budget: Arc<Budget>,
    flow: Mutex<Flow>,
}

#[derive(Debug)]
pub(super) struct Flow {
    /// What has been read or is ready to be, without gaps.
    pieces: VecDeque<Piece>,
    /// What came behind that: becomes a piece when a reader wants it.
    tail: BytesMut,
    /// Bytes that were forgotten, since all have read them.
    forgotten: u64,
    /// Bytes that came.
    pub(super) total: u64,
    pub(super) state: State,
    /// Of the budget.
    charged: u64,
    seats: Vec<Option<Seat>>,
    /// The writer, while it waits for the slowest reader.
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Piece {
    at: u64,
    bytes: Bytes,
}

/// A reader's place.
#[derive(Debug)]
struct Seat {
    at: u64,
    waker: Option<Waker>,
}

#[derive(Debug)]
pub(super) enum State {
    /// It comes, and will be kept.
    Keeping,
    /// It comes, and will not be kept.
    Passing,
    /// It has come, and its body is in one piece.
    Whole(Bytes),
    /// It has come and is not kept.
    Over,
    /// It does not come.
    Broken,
}

impl Shared {
    pub(super) fn new(head: Head, budget: Arc<Budget>, charged: u64) -> Self {
        Self {
            head,
            budget,
            flow: Mutex::new(Flow {
                pieces: VecDeque::new(),
                tail: BytesMut::new(),
                forgotten: 0,
                total: 0,
                state: State::Keeping,
                charged,
                seats: Vec::new(),
                writer: None,
            }),
        }
    }

    pub(super) fn tags(&self) -> &[Box<[u8]>] {
        &self.head.tags
    }

    pub(super) fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in bytes. False: there is no room to keep them; whatever is missing must be pushed
    /// once more after [`Flow::pass`]. Returns how many were taken.
    pub(super) fn push(&self, flow: &mut Flow, data: &[u8]) -> usize {
        let mut rest = data;
        while !rest.is_empty() {
            let spare = flow.tail.capacity() - flow.tail.len();
            if spare == 0 {
                flow.cut();
                let size = flow.next_block(self.head.length);
                if matches!(flow.state, State::Keeping) {
                    if !self.budget.take(size as u64 + PIECE) {
                        break;
                    }
                    flow.charged += size as u64 + PIECE;
                }
                flow.tail = BytesMut::with_capacity(size);
                continue;
            }
            let (now, later) = rest.split_at(spare.min(rest.len()));
            flow.tail.extend_from_slice(now);
            flow.total += now.len() as u64;
            rest = later;
        }
        data.len() - rest.len()
    }

    /// Room for a second copy; given back by [`Self::settle`].
    pub(super) fn take_room(&self, flow: &mut Flow, bytes: u64) -> bool {
        let is_there = self.budget.take(bytes);
        if is_there {
            flow.charged += bytes;
        }
        is_there
    }

    /// It has come, and this is its body.
    pub(super) fn settle(&self, flow: &mut Flow, body: Bytes) {
        flow.state = State::Whole(body);
        flow.pieces.clear();
        flow.tail = BytesMut::new();
        self.budget.give_back(std::mem::take(&mut flow.charged));
    }

    /// Forgets what all have read.
    pub(super) fn forget(&self, flow: &mut Flow) {
        let charged = flow.charged;
        flow.forget();
        self.budget.give_back(charged - flow.charged);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let charged = self.flow().charged;
        self.budget.give_back(charged);
    }
}

impl Flow {
    /// What came so far in pieces.
    pub(super) fn cut(&mut self) {
        if !self.tail.is_empty() {
            let bytes = self.tail.split().freeze();
            let at = self.total - bytes.len() as u64;
            self.pieces.push_back(Piece { at, bytes });
        }
    }

    /// The pieces, shared.
    pub(super) fn pieces(&self) -> Vec<Bytes> {
        self.pieces
            .iter()
            .map(|piece| piece.bytes.clone())
            .collect()
    }

    /// Bytes of the next block: what is still to come, or as much as has come already.
    fn next_block(&self, length: Option<u64>) -> usize {
        let left = length.map(|length| length.saturating_sub(self.total));
        let wanted = match left {
            Some(left @ 1..) => left,
            _ => self.total.max(BLOCK_MIN as u64),
        };
        let max = match self.state {
            State::Keeping => BLOCK_MAX,
            _ => BLOCK_PASSING,
        };
        usize::try_from(wanted).map_or(max, |wanted| wanted.clamp(1, max))
    }

    fn forget(&mut self) {
        let seats = self.seats.iter().flatten();
        let slowest = seats.map(|seat| seat.at).min().unwrap_or(self.total);
        while let Some(piece) = self.pieces.front() {
            let end = piece.at + piece.bytes.len() as u64;
            if end > slowest {
                break;
            }
            // The oldest pieces are those that were charged.
            let cost = self.charged.min(piece.bytes.len() as u64);
            self.charged -= cost;
            self.forgotten = end;
            self.pieces.pop_front();
        }
    }

    /// Bytes that came and that somebody has not read; None: nobody is there to read.
    pub(super) fn ahead(&self) -> Option<u64> {
        let slowest = self.seats.iter().flatten().map(|seat| seat.at).min()?;
        Some(self.total - slowest)
    }

    pub(super) fn wait_for_readers(&mut self, cx: &mut Context<'_>) {
        self.writer = Some(cx.waker().clone());
    }

    /// Takes whoever waits for bytes.
    pub(super) fn take_waiting(&mut self, into: &mut Vec<Waker>) {
        let seats = self.seats.iter_mut().flatten();
        into.extend(seats.filter_map(|seat| seat.waker.take()));
    }

    fn sit(&mut self) -> usize {
        let seat = Some(Seat { at: 0, waker: None });
        match self.seats.iter().position(Option::is_none) {
            Some(free) => {
                self.seats[free] = seat;
                free
            }
            None => {
                self.seats.push(seat);
                self.seats.len() - 1
            }
        }
    }

    /// The bytes at a place, if they have come.
    fn chunk(&mut self, at: u64) -> Option<Bytes> {
        if let State::Whole(body) = &self.state {
            let at = usize::try_from(at).ok()?;
            return (at < body.len()).then(|| body.slice(at..));
        }
        if at >= self.total {
            return None;
        }
        let cut = self.total - self.tail.len() as u64;
        if at >= cut {
            self.cut();
        }
        let behind = self.pieces.partition_point(|piece| piece.at <= at);
        let piece = self.pieces.get(behind.checked_sub(1)?)?;
        let from = usize::try_from(at - piece.at).ok()?;
        (from < piece.bytes.len()).then(|| piece.bytes.slice(from..))
    }
}

/// A place at an answer's flow; what lies behind it is not forgotten.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    number: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut flow = self.shared.flow();
        if let Some(seat) = flow.seats.get_mut(self.number) {
            *seat = None;
        }
        let writer = if matches!(flow.state, State::Keeping | State::Whole(_)) {
            None
        } else {
            self.shared.forget(&mut flow);
            flow.writer.take()
        };
        drop(flow);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// An answer on its way: its head, and a place at the beginning of its body. Let it go, or make a
/// reader of it: as long as it is neither, an answer that is not kept waits.
#[derive(Debug)]
pub struct Filling {
    place: Place,
}

impl Filling {
    /// None: nobody may join any more, its beginning is not there.
    pub(super) fn of(shared: &Arc<Shared>) -> Option<Self> {
        let mut flow = shared.flow();
        if !matches!(flow.state, State::Keeping | State::Whole(_)) {
            return None;
        }
        Some(Self::sit(shared, &mut flow))
    }

    pub(super) fn sit(shared: &Arc<Shared>, flow: &mut Flow) -> Self {
        let number = flow.sit();
        let shared = Arc::clone(shared);
        Self {
            place: Place { shared, number },
        }
    }

    /// Reads its body from the first byte.
    #[must_use]
    pub fn reader(self) -> Reader {
        Reader { place: self.place }
    }
}

impl Deref for Filling {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.place.shared.head
    }
}

/// Reads the body of an answer that is arriving. Dropping it is allowed at any time.
#[derive(Debug)]
pub struct Reader {
    place: Place,
}

impl Reader {
    /// The next bytes, shared, however many are there; `None` at the end.
    ///
    /// # Errors
    ///
    /// The answer broke off. All that came before has been given.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        let shared = &self.place.shared;
        let mut flow = shared.flow();
        let Some(at) = flow.seat(self.place.number).map(|seat| seat.at) else {
            return Poll::Ready(Err(Broken));
        };
        if let Some(chunk) = flow.chunk(at) {
            if let Some(seat) = flow.seat(self.place.number) {
                seat.at += chunk.len() as u64;
            }
            let writer = if matches!(flow.state, State::Keeping | State::Whole(_)) {
                None
            } else {
                shared.forget(&mut flow);
                flow.writer.take()
            };
            drop(flow);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Ok(Some(chunk)));
        }
        match flow.state {
            State::Whole(_) | State::Over => Poll::Ready(Ok(None)),
            State::Broken => Poll::Ready(Err(Broken)),
            State::Keeping | State::Passing => {
                if let Some(seat) = flow.seat(self.place.number) {
                    match &mut seat.waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                }
                Poll::Pending
            }
        }
    }

    /// Has all of it come?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(
            self.place.shared.flow().state,
            State::Whole(_) | State::Over
        )
    }
}

impl Flow {
    fn seat(&mut self, number: usize) -> Option<&mut Seat> {
        self.seats.get_mut(number)?.as_mut()
    }
}

impl Deref for Reader {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.place.shared.head
    }
}
