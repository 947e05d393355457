//! The bytes of a kept answer on their way to a client.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use croupier_cache::{Body, Object, store::Reader};
use croupier_http::Fields;
use croupier_net::{
    NetError,
    side::{Given, Source},
};
use tokio::net::TcpStream;

use super::{lying::Lying, slices::Slices};

/// Where the bytes come from.
#[derive(Debug)]
pub(crate) enum KeptBody {
    /// None are wanted.
    Nothing,
    /// A part of an object in memory.
    Memory {
        object: Arc<Object>,
        at: usize,
        end: usize,
    },
    /// All of another form of an object in memory.
    Form { bytes: Arc<[u8]>, at: usize },
    /// An answer that is still arriving.
    Arriving(Box<Arriving>),
    /// A part of an answer that is held slice by slice.
    Slices(Box<Slices>),
    /// A part of a file.
    Lying(Box<Lying>),
    /// Several parts of an object, with what stands between them.
    Parts(Box<Parts>),
}

/// A body lent to a library: it lies where it lies until all of it is sent.
struct Lent(Arc<Object>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        memory(&self.0)
    }
}

/// The same of one of its forms.
struct LentForm(Arc<[u8]>);

impl AsRef<[u8]> for LentForm {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The bytes of an object in memory, shared.
pub(super) fn lent(object: &Arc<Object>) -> Bytes {
    Bytes::from_owner(Lent(Arc::clone(object)))
}

/// A part of an answer that is still arriving.
#[derive(Debug)]
pub(crate) struct Arriving {
    reader: Reader,
    chunk: Bytes,
    /// Bytes before the part that are not wanted.
    skip: u64,
    /// Bytes of the part that are still wanted; None: all that come.
    left: Option<u64>,
}

/// Several ranges of one object (RFC 9110 section 15.3.7.2).
#[derive(Debug)]
pub(crate) struct Parts {
    object: Arc<Object>,
    /// What stands before each range, and the range: first byte, and the one behind its last.
    parts: std::vec::IntoIter<(Vec<u8>, usize, usize)>,
    /// What stands behind the last.
    close: Vec<u8>,
    /// What is being sent.
    now: Piece,
}

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>, usize, usize, usize),
    Bytes(usize, usize),
    Close(usize),
}

impl Parts {
    pub(super) fn new(
        object: Arc<Object>,
        parts: Vec<(Vec<u8>, usize, usize)>,
        close: Vec<u8>,
    ) -> Self {
        let mut parts = parts.into_iter();
        let now = next(&mut parts);
        Self {
            object,
            parts,
            close,
            now,
        }
    }

    fn data(&self) -> &[u8] {
        match &self.now {
            Piece::Text(text, at, ..) => &text[*at..],
            Piece::Bytes(at, end) => &memory(&self.object)[*at..*end],
            Piece::Close(at) => &self.close[*at..],
        }
    }

    fn consume(&mut self, count: usize) {
        match &mut self.now {
            Piece::Text(text, at, first, end) => {
                *at += count;
                if *at == text.len() {
                    self.now = Piece::Bytes(*first, *end);
                }
            }
            Piece::Bytes(at, end) => {
                *at += count;
                if at == end {
                    self.now = next(&mut self.parts);
                }
            }
            Piece::Close(at) => *at += count,
        }
    }
}

fn next(parts: &mut std::vec::IntoIter<(Vec<u8>, usize, usize)>) -> Piece {
    match parts.next() {
        Some((text, first, end)) => Piece::Text(text, 0, first, end),
        None => Piece::Close(0),
    }
}

/// The bytes of an object in memory.
pub(super) fn memory(object: &Object) -> &[u8] {
    match &object.body {
        Body::Memory(bytes) => bytes,
        Body::Disk(_) => &[],
    }
}

impl Arriving {
    pub(super) fn new(reader: Reader, skip: u64, left: Option<u64>) -> Self {
        Self {
            reader,
            chunk: Bytes::new(),
            skip,
            left,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        while self.chunk.is_empty() {
            if self.left == Some(0) {
                return Poll::Ready(Ok(0));
            }
            let next = ready!(self.reader.poll_chunk(cx)).map_err(|_| NetError::Truncated)?;
            let Some(mut chunk) = next else {
                // It ended before the part did: its length was not what its head had said.
                return Poll::Ready(match self.left {
                    Some(1..) => Err(NetError::Truncated),
                    _ => Ok(0),
                });
            };
            let skipped = usize::try_from(self.skip).map_or(chunk.len(), |n| n.min(chunk.len()));
            self.skip -= skipped as u64;
            chunk = chunk.slice(skipped..);
            if let Some(left) = self.left {
                let wanted = usize::try_from(left).map_or(chunk.len(), |n| n.min(chunk.len()));
                chunk.truncate(wanted);
                self.left = Some(left - wanted as u64);
            }
            self.chunk = chunk;
        }
        Poll::Ready(Ok(self.chunk.len()))
    }
}

impl Source for KeptBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        match self {
            Self::Nothing => Poll::Ready(Ok(0)),
            Self::Memory { at, end, .. } => Poll::Ready(Ok(*end - *at)),
            Self::Form { bytes, at } => Poll::Ready(Ok(bytes.len() - *at)),
            Self::Arriving(arriving) => arriving.poll_data(cx),
            Self::Slices(slices) => slices.poll_data(cx),
            Self::Lying(lying) => lying.poll_data(cx),
            Self::Parts(parts) => Poll::Ready(Ok(parts.data().len())),
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Memory { object, at, end } => &memory(object)[*at..*end],
            Self::Form { bytes, at } => &bytes[*at..],
            Self::Arriving(arriving) => &arriving.chunk,
            Self::Slices(slices) => slices.data(),
            Self::Lying(lying) => lying.data(),
            Self::Parts(parts) => parts.data(),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Self::Nothing => {}
            Self::Memory { at, .. } | Self::Form { at, .. } => *at += count,
            Self::Arriving(arriving) => drop(arriving.chunk.split_to(count)),
            Self::Slices(slices) => slices.consume(count),
            Self::Lying(lying) => lying.consume(count),
            Self::Parts(parts) => parts.consume(count),
        }
    }

    fn give_up(&mut self) -> Option<Given> {
        let count = self.data().len();
        self.share(count).map(Given::Bytes)
    }

    fn share(&mut self, count: usize) -> Option<Bytes> {
        match self {
            Self::Nothing | Self::Lying(_) | Self::Parts(_) => None,
            Self::Form { bytes, at } => {
                let first = *at;
                *at += count.min(bytes.len() - first);
                Some(Bytes::from_owner(LentForm(Arc::clone(bytes))).slice(first..*at))
            }
            Self::Memory { object, at, end } => {
                let first = *at;
                *at += count.min(*end - first);
                Some(lent(object).slice(first..*at))
            }
            Self::Arriving(arriving) => Some(arriving.chunk.split_to(count)),
            Self::Slices(slices) => Some(slices.share(count)),
        }
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        None
    }

    fn moved(&mut self, _count: usize) -> Result<(), NetError> {
        Ok(())
    }
}
