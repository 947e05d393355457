//! What one turn of a connection has to send, collected so that it leaves in one write: the
//! library flushes every frame of a body by itself.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    task::{Poll, ready},
};

use bytes::Buf as _;

use super::piece::{COPIED_BYTES, Piece};
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
        if bytes.len() >= COPIED_BYTES && self.text.capacity() < FULL {
            // Once, instead of moving it all a few times.
            self.text.reserve(FULL + bytes.len());
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

#[cfg(test)]
mod tests {
    use std::{rc::Rc, task::Poll};

    use super::{FULL, Outbox, SLICES_MAX};
    use crate::{
        buffers::{Buffer, Size},
        h2::piece::Piece,
        local::Local,
        side::Given,
    };

    /// A piece in a block of the worker's.
    fn piece(local: &Rc<Local>, bytes: &[u8]) -> Piece {
        let mut block = Buffer::default();
        block.room(Size::Page, &local.buffers)[..bytes.len()].copy_from_slice(bytes);
        block.filled(bytes.len());
        Piece::given(Given::Block(block), local)
    }

    /// One write of at most `most` bytes.
    fn write(outbox: &mut Outbox, local: &Local, most: usize, into: &mut Vec<u8>) -> usize {
        let polled = outbox.poll_write(&local.buffers, |slices| {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            let count = all.len().min(most);
            into.extend_from_slice(&all[..count]);
            Poll::Ready(Ok(count))
        });
        match polled {
            Poll::Ready(Ok(count)) => count,
            other => panic!("{other:?}"),
        }
    }

    fn fill(outbox: &mut Outbox, local: &Rc<Local>) -> Vec<u8> {
        let mut expected = Vec::new();
        for round in 0..5_u8 {
            outbox.push(&[b'a' + round; 3], &local.buffers);
            outbox.push_piece(piece(local, &[b'A' + round; 7]));
            expected.extend([b'a' + round; 3]);
            expected.extend([b'A' + round; 7]);
        }
        outbox.push(b"end", &local.buffers);
        expected.extend(b"end");
        expected
    }

    #[test]
    fn what_was_put_in_leaves_in_order_however_it_is_taken() {
        let local = Rc::<Local>::default();
        for most in 1..60 {
            let (mut outbox, mut written) = (Outbox::default(), Vec::new());
            let expected = fill(&mut outbox, &local);
            assert!(outbox.holds_memory());
            while !outbox.is_empty() {
                assert!(write(&mut outbox, &local, most, &mut written) > 0);
            }
            assert!(written == expected, "{most}");
            assert!(!outbox.holds_memory());
        }
    }

    #[test]
    fn everything_leaves_in_one_write() {
        let local = Rc::<Local>::default();
        let (mut outbox, mut written) = (Outbox::default(), Vec::new());
        let expected = fill(&mut outbox, &local);
        write(&mut outbox, &local, usize::MAX, &mut written);
        assert!(outbox.is_empty() && written == expected);
    }

    #[test]
    fn a_block_goes_back_when_its_last_byte_has_left() {
        let local = Rc::<Local>::default();
        let mut outbox = Outbox::default();
        outbox.push_piece(piece(&local, &[1; 100]));
        assert_eq!(local.buffers.spare(Size::Page), 0);
        write(&mut outbox, &local, 99, &mut Vec::new());
        assert_eq!(local.buffers.spare(Size::Page), 0);
        write(&mut outbox, &local, 1, &mut Vec::new());
        assert_eq!(local.buffers.spare(Size::Page), 1);
    }

    #[test]
    fn more_pieces_than_one_call_takes_leave_in_several() {
        let local = Rc::<Local>::default();
        let (mut outbox, mut written, mut expected) = (Outbox::default(), Vec::new(), Vec::new());
        for round in 0..100_u8 {
            outbox.push_piece(piece(&local, &[round; 5]));
            outbox.push(&[round], &local.buffers);
            expected.extend([round; 6]);
        }
        let mut writes = 0;
        while !outbox.is_empty() {
            write(&mut outbox, &local, usize::MAX, &mut written);
            writes += 1;
        }
        assert!(written == expected);
        assert_eq!(writes, 200 / SLICES_MAX + 1);
    }

    #[test]
    fn one_that_is_never_empty_does_not_keep_what_has_left() {
        let local = Rc::<Local>::default();
        let (mut outbox, mut written, mut expected) = (Outbox::default(), Vec::new(), Vec::new());
        for round in 0..1000_u32 {
            let bytes = round.to_be_bytes().repeat(250);
            outbox.push(&bytes, &local.buffers);
            outbox.push_piece(piece(&local, b"piece"));
            expected.extend(&bytes);
            expected.extend(b"piece");
            write(&mut outbox, &local, 1004, &mut written);
            assert!(!outbox.is_empty());
            assert!(outbox.text.len() <= FULL);
        }
        while !outbox.is_empty() {
            write(&mut outbox, &local, usize::MAX, &mut written);
        }
        assert!(written == expected);
    }
}
