//! What one turn of a connection has to send, collected so that it leaves in one write: the
//! library flushes every frame of a body by itself.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    task::{Poll, ready},
};

use bytes::Buf as _;

use super::piece::Piece;
use crate::buffers::Buffers;

/// So much waits before it is written in the midst of a turn.
pub(crate) const FULL: usize = 128 << 10;

/// Pieces in one system call.
const SLICES_MAX: usize = 64;

/// Bytes that wait to be written, in order. Holds no memory while nothing waits.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Heads of frames and what is small, copied.
    text: Vec<u8>,
    /// How much of the text has been written.
    written: usize,
    /// What lies elsewhere, and at which byte of the text its turn comes.
    pieces: VecDeque<(usize, Piece)>,
    /// Bytes that wait.
    len: usize,
}

impl Outbox {
    /// Does nothing wait?
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Does so much wait that it should be written before more comes?
    pub(crate) fn is_full(&self) -> bool {
        self.len >= FULL
    }

    /// Puts a copy behind what waits.
    pub(crate) fn push(&mut self, bytes: &[u8], spare: &Buffers) {
        if bytes.is_empty() {
            return;
        }
        if self.text.capacity() == 0 {
            self.text = spare.lend_output();
        } else if self.written >= FULL / 2 {
            self.forget_written();
        }
        self.text.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Puts a piece behind what waits.
    pub(crate) fn push_piece(&mut self, piece: Piece) {
        self.len += piece.remaining();
        self.pieces.push_back((self.text.len(), piece));
    }

    /// Gives the first bytes that wait, as they lie, to `write`, and drops as many as that took.
    pub(crate) fn poll_write(
        &mut self,
        spare: &Buffers,
        write: impl FnOnce(&[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.slices(&mut slices);
        let taken = ready!(write(&slices[..count]))?;
        self.drop_front(taken, spare);
        Poll::Ready(Ok(taken))
    }

    #[cfg(test)]
    pub(crate) fn holds_memory(&self) -> bool {
        self.text.capacity() > 0 || self.pieces.capacity() > 0
    }

    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let (mut count, mut at) = (0, self.written);
        for (place, piece) in &self.pieces {
            if count + 2 > SLICES_MAX {
                return count;
            }
            if *place > at {
                slices[count] = IoSlice::new(&self.text[at..*place]);
                count += 1;
                at = *place;
            }
            slices[count] = IoSlice::new(piece.chunk());
            count += 1;
        }
        if at < self.text.len() && count < SLICES_MAX {
            slices[count] = IoSlice::new(&self.text[at..]);
            count += 1;
        }
        count
    }

    /// A connection that always has more to send must not keep what it has sent.
    fn forget_written(&mut self) {
        self.text.drain(..self.written);
        for (place, _) in &mut self.pieces {
            *place -= self.written;
        }
        self.written = 0;
    }

    fn drop_front(&mut self, mut taken: usize, spare: &Buffers) {
        self.len -= taken.min(self.len);
        while let Some((place, piece)) = self.pieces.front_mut() {
            let before = (*place - self.written).min(taken);
            self.written += before;
            taken -= before;
            if self.written < *place || taken < piece.remaining() {
                piece.advance(taken.min(piece.remaining()));
                return;
            }
            taken -= piece.remaining();
            self.pieces.pop_front();
        }
        self.written += taken;
        if self.is_empty() {
            spare.take_back_output(std::mem::take(&mut self.text));
            self.pieces = VecDeque::new();
            self.written = 0;
        }
    }
}
