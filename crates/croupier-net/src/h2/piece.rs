//! Body bytes on their way out, as the library carries them: without a copy, where they lie in a
//! block that somebody gave up.

use std::{fmt, io::IoSlice, rc::Rc};

use bytes::{Buf, Bytes};

use crate::{local::Local, side::Given};

/// Pieces shorter than this are copied: the library copies payloads of up to 256 bytes itself.
pub(crate) const COPIED_BYTES: usize = 2 << 10;

/// Bytes of a body. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Piece(Kind);

#[derive(Clone)]
enum Kind {
    Own(Bytes),
    Lent {
        lent: Rc<Lent>,
        start: usize,
        end: usize,
    },
}

/// What was given up, until the last piece of it is dropped.
struct Lent {
    given: Given,
    local: Rc<Local>,
}

impl Lent {
    fn bytes(&self) -> &[u8] {
        match &self.given {
            Given::Block(block) => block.bytes(),
            Given::Bytes(bytes) => bytes,
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Given::Block(block) = &mut self.given {
            block.consume(block.len());
            block.release(&self.local.buffers);
        }
    }
}

impl Piece {
    /// A copy.
    pub(crate) fn copy(data: &[u8]) -> Self {
        Self(Kind::Own(Bytes::copy_from_slice(data)))
    }

    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self(Kind::Own(Bytes::new()))
    }

    /// What a source gave up.
    pub(crate) fn given(given: Given, local: &Rc<Local>) -> Self {
        let lent = Rc::new(Lent {
            given,
            local: Rc::clone(local),
        });
        let end = lent.bytes().len();
        Self(Kind::Lent {
            lent,
            start: 0,
            end,
        })
    }

    /// The part of this piece that `slice` is, if it is one.
    pub(crate) fn part(&self, slice: &[u8]) -> Option<Self> {
        let Kind::Lent { lent, .. } = &self.0 else {
            return None;
        };
        let whole = lent.bytes().as_ptr_range();
        let here = slice.as_ptr_range();
        if here.start < whole.start || here.end > whole.end {
            return None;
        }
        let start = here.start.addr() - whole.start.addr();
        Some(Self(Kind::Lent {
            lent: Rc::clone(lent),
            start,
            end: start + slice.len(),
        }))
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.chunk().len()
    }

    fn chunk(&self) -> &[u8] {
        match &self.0 {
            Kind::Own(bytes) => bytes,
            Kind::Lent { lent, start, end } => &lent.bytes()[*start..*end],
        }
    }

    /// Leaves word of whose bytes these are: what the library writes next is seen as a part of it
    /// (`outbox`).
    fn chunks_vectored<'a>(&'a self, pieces: &mut [IoSlice<'a>]) -> usize {
        let chunk = self.chunk();
        let Some(first) = pieces.first_mut().filter(|_| !chunk.is_empty()) else {
            return 0;
        };
        if let Kind::Lent { lent, .. } = &self.0
            && chunk.len() >= COPIED_BYTES
        {
            lent.local.shown.replace(Some(self.clone()));
        }
        *first = IoSlice::new(chunk);
        1
    }

    fn advance(&mut self, count: usize) {
        match &mut self.0 {
            Kind::Own(bytes) => bytes.advance(count),
            Kind::Lent { start, .. } => *start += count,
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Piece").field(&self.remaining()).finish()
    }
}
