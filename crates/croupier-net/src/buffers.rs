//! Read buffers, lent when bytes arrive and given back when they are gone.
//!
//! Blocks come in four sizes and are recycled per worker, so an idle connection holds none and
//! a busy one allocates none. A block is zeroed once, when it is made.

use std::cell::RefCell;

/// Sizes of blocks, bytes. The last bounds what one connection reads ahead.
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];
/// Blocks of each size that a worker keeps for later use; at most 13 MiB in all. Answers of all
/// streams of an HTTP/2 connection wait in blocks for its turn.
const KEPT: [usize; 4] = [256, 128, 128, 8];
/// Write buffers a worker keeps, and the largest that is worth keeping.
const OUTPUTS_KEPT: usize = 128;
const OUTPUT_KEPT_BYTES: usize = 32 << 10;

/// A worker's spare blocks.
#[derive(Debug, Default)]
pub struct Buffers {
    blocks: [RefCell<Vec<Vec<u8>>>; 4],
    outputs: RefCell<Vec<Vec<u8>>>,
}

/// The size class of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// 4 KiB: a request head.
    Small,
    /// 16 KiB: a response that fits one read.
    Page,
    /// 64 KiB.
    Large,
    /// 256 KiB: a stream.
    Huge,
}

const ALL: [Size; 4] = [Size::Small, Size::Page, Size::Large, Size::Huge];

impl Size {
    pub(crate) fn larger(self) -> Self {
        match self {
            Self::Small => Self::Page,
            Self::Page => Self::Large,
            Self::Large | Self::Huge => Self::Huge,
        }
    }

    pub(crate) fn smaller(self) -> Self {
        match self {
            Self::Small | Self::Page => Self::Small,
            Self::Large => Self::Page,
            Self::Huge => Self::Large,
        }
    }

    /// The smallest that holds `count` bytes; None when none does.
    pub(crate) fn holding(count: usize) -> Option<Self> {
        ALL.into_iter().find(|&size| SIZES[size as usize] >= count)
    }

    fn of(capacity: usize) -> Option<Self> {
        ALL.into_iter()
            .find(|&size| SIZES[size as usize] == capacity)
    }
}

impl Buffers {
    fn lend(&self, size: Size) -> Vec<u8> {
        let spare = self.blocks[size as usize].borrow_mut().pop();
        spare.unwrap_or_else(|| vec![0; SIZES[size as usize]])
    }

    fn take_back(&self, block: Vec<u8>) {
        if let Some(size) = Size::of(block.len()) {
            let mut spare = self.blocks[size as usize].borrow_mut();
            if spare.len() < KEPT[size as usize] {
                spare.push(block);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn spare(&self, size: Size) -> usize {
        self.blocks[size as usize].borrow().len()
    }

    /// An empty write buffer.
    pub fn lend_output(&self) -> Vec<u8> {
        self.outputs
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(2048))
    }

    /// Gives a write buffer back.
    pub fn take_back_output(&self, mut output: Vec<u8>) {
        let mut spare = self.outputs.borrow_mut();
        if spare.len() < OUTPUTS_KEPT && (1..=OUTPUT_KEPT_BYTES).contains(&output.capacity()) {
            output.clear();
            spare.push(output);
        }
    }
}

/// Bytes read and not yet consumed. Holds a block only while there are any.
#[derive(Debug, Default)]
pub struct Buffer {
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The bytes held.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// The bytes held, to be changed where they lie.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.start..self.end]
    }

    /// Is a block held, and a smaller one than `size`?
    pub(crate) fn is_smaller_than(&self, size: Size) -> bool {
        self.has_block() && self.block.len() < SIZES[size as usize]
    }

    /// Bytes that fit behind those held as they lie.
    pub(crate) fn left(&self) -> usize {
        self.block.len() - self.end
    }

    /// Number of bytes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// No bytes held?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Is a block held?
    #[must_use]
    pub fn has_block(&self) -> bool {
        !self.block.is_empty()
    }

    /// Makes room and gives the space to read into. A full block is exchanged for the next
    /// larger one; an empty slice means that the largest one is full.
    pub fn room(&mut self, first: Size, spare: &Buffers) -> &mut [u8] {
        if self.block.is_empty() {
            self.block = spare.lend(first);
        } else if self.start > 0 && (self.is_empty() || self.block.len() - self.end < 1024) {
            self.block.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.block.len() {
            self.widen(spare);
        }
        &mut self.block[self.end..]
    }

    /// Moves the bytes held into a block of the next larger size; false when there is none.
    pub(crate) fn widen(&mut self, spare: &Buffers) -> bool {
        let size = Size::of(self.block.len()).unwrap_or(Size::Huge);
        if size == Size::Huge {
            return false;
        }
        let mut larger = spare.lend(size.larger());
        larger[..self.len()].copy_from_slice(&self.block[self.start..self.end]);
        self.end -= self.start;
        self.start = 0;
        spare.take_back(std::mem::replace(&mut self.block, larger));
        true
    }

    /// `count` bytes were read into the room.
    pub fn filled(&mut self, count: usize) {
        debug_assert!(self.end + count <= self.block.len());
        self.end += count;
    }

    /// Drops `count` bytes from the front.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.len());
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Is the whole block filled from its beginning? Then the peer sends faster than we read,
    /// and the next block should be larger.
    #[must_use]
    pub fn is_brimful(&self) -> bool {
        self.start == 0 && self.end == self.block.len() && !self.block.is_empty()
    }

    /// Exchanges an empty block for the next larger size.
    pub fn grow(&mut self, spare: &Buffers) {
        if self.is_empty()
            && let Some(size) = Size::of(self.block.len())
            && size != Size::Huge
        {
            spare.take_back(std::mem::replace(
                &mut self.block,
                spare.lend(size.larger()),
            ));
        }
    }

    /// Do the first `count` bytes fill half of the block, and is nothing else in it?
    pub(crate) fn is_worth_giving(&self, count: usize) -> bool {
        count == self.len() && count > 0 && count >= self.block.len() / 2
    }

    /// Gives the block back when it holds nothing.
    pub fn release(&mut self, spare: &Buffers) {
        if self.is_empty() && !self.block.is_empty() {
            spare.take_back(std::mem::take(&mut self.block));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Buffers, Size};

    #[test]
    fn blocks_grow_with_what_the_peer_sends_and_come_back() {
        let spare = Buffers::default();
        let mut buffer = Buffer::default();
        assert_eq!(buffer.room(Size::Small, &spare).len(), 4096);
        buffer.filled(4096);
        assert!(buffer.is_brimful());
        assert_eq!(buffer.room(Size::Small, &spare).len(), 16384 - 4096);
        buffer.consume(4000);
        assert_eq!(buffer.len(), 96);
        buffer.consume(96);
        buffer.grow(&spare);
        assert_eq!(buffer.room(Size::Small, &spare).len(), 65536);
        buffer.release(&spare);
        assert_eq!(buffer.block.capacity(), 0);
        let lent: Vec<usize> = spare
            .blocks
            .iter()
            .map(|blocks| blocks.borrow().len())
            .collect();
        assert_eq!(lent, [1, 1, 1, 0]);
    }

    #[test]
    fn the_largest_block_is_the_bound() {
        let spare = Buffers::default();
        let mut buffer = Buffer::default();
        let mut total = 0;
        loop {
            let room = buffer.room(Size::Small, &spare).len();
            if room == 0 {
                break;
            }
            buffer.filled(room);
            total += room;
        }
        assert_eq!(total, 256 << 10);
    }
}
