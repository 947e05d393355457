//! A part of a body that lies in a file of the disk tier.
//!
//! Over plain TCP it goes from the file to the socket inside the kernel, as long as the file is as it
//! was when its checksums were looked at; else block by block, each looked at again.

use std::task::{Context, Poll, ready};

use croupier_cache::disk::{Extent, Waiting};
use croupier_net::{NetError, sendfile::poll_send_file, side::Sink};

/// Calls of `sendfile` in one turn of a task; then others get theirs.
const ROUNDS_MAX: usize = 4;

/// What is left of the part.
#[derive(Debug)]
pub(crate) struct Lying {
    extent: Extent,
    at: u64,
    end: u64,
    /// The file is what it was: nobody has looked before the first byte.
    is_unchanged: Option<Unchanged>,
    block: Box<[u8]>,
    /// Where what is not consumed of the block begins.
    start: usize,
    reading: Option<Waiting<Box<[u8]>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unchanged {
    Yes,
    No,
}

impl Lying {
    pub(super) fn new(extent: Extent, at: u64, end: u64) -> Self {
        Self {
            extent,
            at,
            end,
            is_unchanged: None,
            block: Box::default(),
            start: 0,
            reading: None,
        }
    }

    /// Moves what the sink takes inside the kernel. Ready when all of it went, or when it has to go
    /// the other way.
    pub(crate) fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), NetError>> {
        let extent = &self.extent;
        let unchanged = *self.is_unchanged.get_or_insert_with(|| {
            if extent.is_unchanged() {
                Unchanged::Yes
            } else {
                Unchanged::No
            }
        });
        if unchanged == Unchanged::No || !sink.can_be_raw() || !self.data().is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(sink.poll_flush(cx))?;
        for _ in 0..ROUNDS_MAX {
            let (left, Some(socket)) = (self.end - self.at, sink.raw()) else {
                return Poll::Ready(Ok(()));
            };
            if left == 0 {
                return Poll::Ready(Ok(()));
            }
            let offset = self.extent.offset() + self.at;
            let file = self.extent.file();
            let count = ready!(poll_send_file(cx, socket, file, offset, left))?;
            if count == 0 {
                return Poll::Ready(Err(NetError::Truncated));
            }
            sink.moved(count);
            self.at += count as u64;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        while self.data().is_empty() {
            if self.at >= self.end {
                return Poll::Ready(Ok(0));
            }
            let reading = match &mut self.reading {
                Some(reading) => reading,
                // Too many reads wait: an answer that has begun ends here.
                None => match self.extent.read(self.at) {
                    Some(reading) => self.reading.insert(reading),
                    None => return Poll::Ready(Err(NetError::Truncated)),
                },
            };
            let block = ready!(reading.poll(cx));
            self.reading = None;
            // What is no longer what it was is not sent.
            self.block = block.ok_or(NetError::Truncated)?;
            self.start = 0;
        }
        Poll::Ready(Ok(self.data().len()))
    }

    pub(super) fn data(&self) -> &[u8] {
        let rest = &self.block[self.start..];
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        &rest[..rest.len().min(left)]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        self.at += count as u64;
    }
}
