//! The bytes of an answer that is held slice by slice: each comes when the one before it has gone,
//! from memory or from the origin.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use croupier_cache::{Body, Object, store::Reader};
use croupier_net::NetError;
use tokio::sync::mpsc::Receiver;

use super::{body::lent, lying::Lying};

/// One slice.
#[derive(Debug)]
pub(crate) enum Slice {
    /// In memory or on disk.
    Held(Arc<Object>),
    /// Still arriving.
    Arriving(Reader),
}

/// Where the slice's bytes come from.
#[derive(Debug)]
enum Now {
    Arriving(Reader),
    Lying(Box<Lying>),
}

/// A slice could not be had: the origin failed, or has something else by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// A part of an answer, slice after slice.
#[derive(Debug)]
pub(crate) struct Slices {
    /// Whoever sees to the slices. What it fetches is never more than one ahead.
    coming: Receiver<Result<Slice, Lost>>,
    now: Option<Now>,
    chunk: Bytes,
    /// Bytes before the part in the first slice.
    skip: usize,
    /// Bytes of the part that have not been shown.
    left: u64,
}

impl Slices {
    /// `first` is, once it is there, the slice in which the part begins, `skip` bytes behind its beginning; the part
    /// is of `length` bytes.
    pub(crate) fn new(
        first: Option<Slice>,
        coming: Receiver<Result<Slice, Lost>>,
        skip: usize,
        length: u64,
    ) -> Self {
        let mut slices = Self {
            coming,
            now: None,
            chunk: Bytes::new(),
            skip,
            left: length,
        };
        if let Some(first) = first {
            slices.begin(first);
        }
        slices
    }

    fn begin(&mut self, slice: Slice) {
        match slice {
            Slice::Held(object) => match &object.body {
                Body::Memory(_) => self.show(lent(&object)),
                Body::Disk(extent) => {
                    let lying = Lying::new(extent.clone(), 0, extent.length());
                    self.now = Some(Now::Lying(Box::new(lying)));
                }
            },
            Slice::Arriving(reader) => self.now = Some(Now::Arriving(reader)),
        }
    }

    /// Shows what of these bytes belongs to the part.
    fn show(&mut self, mut bytes: Bytes) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        drop(bytes.split_to(skipped));
        let wanted = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        bytes.truncate(wanted);
        self.left -= wanted as u64;
        self.chunk = bytes;
    }

    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        while self.chunk.is_empty() {
            if self.left == 0 {
                return Poll::Ready(Ok(0));
            }
            let Some(reader) = &mut self.now else {
                match ready!(self.coming.poll_recv(cx)) {
                    Some(Ok(slice)) => self.begin(slice),
                    // The bytes of two representations are never mixed: it ends here.
                    Some(Err(Lost)) | None => return Poll::Ready(Err(NetError::Truncated)),
                }
                continue;
            };
            let chunk = match reader {
                Now::Arriving(reader) => {
                    ready!(reader.poll_chunk(cx)).map_err(|_| NetError::Truncated)?
                }
                Now::Lying(lying) => match ready!(lying.poll_data(cx))? {
                    0 => None,
                    count => {
                        let chunk = Bytes::copy_from_slice(lying.data());
                        lying.consume(count);
                        Some(chunk)
                    }
                },
            };
            match chunk {
                Some(chunk) => self.show(chunk),
                None => self.now = None,
            }
        }
        Poll::Ready(Ok(self.chunk.len()))
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.chunk
    }

    pub(super) fn consume(&mut self, count: usize) {
        drop(self.chunk.split_to(count));
    }

    pub(super) fn share(&mut self, count: usize) -> Bytes {
        self.chunk.split_to(count)
    }
}
