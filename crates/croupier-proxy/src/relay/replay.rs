//! The bounded copy of a request body that makes a second attempt possible.
//!
//! While an attempt runs, what it takes from the client is kept: in memory up to a bound, then, if
//! that is allowed, in an unlinked file up to a second one. A further attempt is fed from the copy
//! first and from the client after it. A body that outgrows its bounds is let go: from then on it
//! moves as if nobody had kept anything, and no attempt may follow.

use std::{
    cell::Cell,
    fs::File,
    os::unix::fs::FileExt as _,
    rc::Rc,
    task::{Context, Poll},
};

use croupier_http::{BodyLen, Fields};
use croupier_net::{NetError, side::Source};
use tokio::net::TcpStream;

/// Bytes all copies of one worker may hold in memory.
const ROOM_BYTES: usize = 64 << 20;
/// Bytes read back from a file at once.
const WINDOW_BYTES: usize = 64 << 10;

/// What all copies of a worker hold in memory.
#[derive(Debug, Default)]
pub(crate) struct ReplayRoom {
    used: Cell<usize>,
}

/// How much of a request body may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayLimits {
    /// In memory, bytes.
    pub memory: usize,
    /// In a file beyond that, bytes.
    pub file: u64,
}

/// The copy of one request body.
#[derive(Debug)]
pub(crate) struct Replay {
    keeping: Keeping,
    limits: ReplayLimits,
    room: Rc<ReplayRoom>,
    memory: Vec<u8>,
    spilled: Option<Box<Spilled>>,
    /// How much of the copy the present attempt has been fed.
    at: u64,
    /// What the source said behind its last byte, once it has.
    end: Option<Option<Fields>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    /// Everything taken so far is kept.
    Yes,
    /// An answer is coming: no attempt follows, what is kept is still to be fed.
    NoMore,
    /// It was too much, or could not be kept.
    TooLarge,
}

/// The part of a copy that lies in a file, behind the part in memory.
#[derive(Debug)]
struct Spilled {
    file: File,
    len: u64,
    /// Bytes read back: from `window_at` of the file on.
    window: Vec<u8>,
    window_at: u64,
}

impl Replay {
    /// Begins a copy of a body of that length. One that is known to be too large is not begun.
    pub(crate) fn new(limits: ReplayLimits, body: BodyLen, room: &Rc<ReplayRoom>) -> Self {
        let max = limits.memory as u64 + limits.file;
        let keeping = match body {
            BodyLen::Length(length) if length > max => Keeping::TooLarge,
            _ => Keeping::Yes,
        };
        Self {
            keeping,
            limits,
            room: Rc::clone(room),
            memory: Vec::new(),
            spilled: None,
            at: 0,
            end: None,
        }
    }

    /// The copy of a body that was read already, and ended without trailers.
    pub(crate) fn of(content: &[u8], room: &Rc<ReplayRoom>) -> Self {
        room.used.set(room.used.get() + content.len());
        Self {
            keeping: Keeping::Yes,
            limits: ReplayLimits {
                memory: content.len(),
                file: 0,
            },
            room: Rc::clone(room),
            memory: content.to_vec(),
            spilled: None,
            at: 0,
            end: Some(None),
        }
    }

    /// Can the body be given once more from its beginning?
    pub(crate) fn is_whole(&self) -> bool {
        self.keeping == Keeping::Yes
    }

    /// A further attempt begins: the body is given from its beginning.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
    }

    /// No attempt will follow: what comes from now on is not kept.
    pub(crate) fn keep_no_more(&mut self) {
        if self.keeping == Keeping::Yes {
            self.keeping = Keeping::NoMore;
            if self.is_fed() {
                self.forget();
            }
        }
    }

    /// The whole copy, when the body ended and all of it is in memory.
    pub(crate) fn whole_in_memory(&self) -> Option<&[u8]> {
        (self.is_whole() && self.end.is_some() && self.spilled.is_none())
            .then_some(self.memory.as_slice())
    }

    /// The body as an attempt sees it: the copy, then the source.
    pub(crate) fn source<'a, S: Source>(&'a mut self, from: &'a mut S) -> Replayed<'a, S> {
        Replayed { replay: self, from }
    }

    fn len(&self) -> u64 {
        self.memory.len() as u64 + self.spilled.as_ref().map_or(0, |spilled| spilled.len)
    }

    /// Has the present attempt been fed all of the copy?
    fn is_fed(&self) -> bool {
        self.at >= self.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.keeping != Keeping::Yes {
            return;
        }
        let fits = self.spilled.is_none()
            && self.memory.len() + bytes.len() <= self.limits.memory
            && self.room.used.get() + bytes.len() <= ROOM_BYTES;
        if fits {
            self.memory.extend_from_slice(bytes);
            self.room.used.set(self.room.used.get() + bytes.len());
            self.at += bytes.len() as u64;
        } else if self.spill(bytes) {
            self.at += bytes.len() as u64;
        } else {
            self.keeping = Keeping::TooLarge;
            self.forget();
        }
    }

    /// Keeps bytes in the file. False when there is no room, or the file fails.
    fn spill(&mut self, bytes: &[u8]) -> bool {
        if self.spilled.is_none() && self.limits.file > 0 {
            self.spilled = unlinked_file().map(|file| {
                Box::new(Spilled {
                    file,
                    len: 0,
                    window: Vec::new(),
                    window_at: 0,
                })
            });
        }
        let Some(spilled) = &mut self.spilled else {
            return false;
        };
        let fits = spilled.len + bytes.len() as u64 <= self.limits.file
            && spilled.file.write_all_at(bytes, spilled.len).is_ok();
        spilled.len += bytes.len() as u64;
        fits
    }

    fn forget(&mut self) {
        self.room
            .used
            .set(self.room.used.get().saturating_sub(self.memory.len()));
        self.memory = Vec::new();
        self.spilled = None;
        self.at = 0;
    }

    /// Reads back so that `rest` has something to show.
    fn fill_window(&mut self) -> Result<(), NetError> {
        let (at, before) = (self.at, self.memory.len() as u64);
        let Some(spilled) = &mut self.spilled else {
            return Ok(());
        };
        if at < before || at - before >= spilled.len {
            return Ok(());
        }
        let at = at - before;
        let held = spilled.window_at..spilled.window_at + spilled.window.len() as u64;
        if !held.contains(&at) {
            let left = usize::try_from(spilled.len - at).unwrap_or(WINDOW_BYTES);
            spilled.window.resize(left.min(WINDOW_BYTES), 0);
            spilled
                .file
                .read_exact_at(&mut spilled.window, at)
                .map_err(NetError::Io)?;
            spilled.window_at = at;
        }
        Ok(())
    }

    /// What of the copy the attempt has not been fed, as far as it is in memory.
    fn rest(&self) -> &[u8] {
        let before = self.memory.len() as u64;
        if self.at < before {
            return usize::try_from(self.at).map_or(&[], |at| &self.memory[at..]);
        }
        let Some(spilled) = &self.spilled else {
            return &[];
        };
        let at = (self.at - before).checked_sub(spilled.window_at);
        at.and_then(|at| usize::try_from(at).ok())
            .and_then(|at| spilled.window.get(at..))
            .unwrap_or_default()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.forget();
    }
}

/// A file that nobody else can see, and that is gone when it is closed.
fn unlinked_file() -> Option<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR)
        .ok()
        .map(File::from)
}

/// A body as an attempt sees it.
pub(crate) struct Replayed<'a, S> {
    replay: &'a mut Replay,
    from: &'a mut S,
}

impl<S: Source> Source for Replayed<'_, S> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        if !self.replay.is_fed() {
            self.replay.fill_window()?;
            return Poll::Ready(Ok(self.replay.rest().len()));
        }
        if self.replay.end.is_some() {
            return Poll::Ready(Ok(0));
        }
        self.from.poll_data(cx)
    }

    fn data(&self) -> &[u8] {
        if self.replay.is_fed() {
            self.from.data()
        } else {
            self.replay.rest()
        }
    }

    fn consume(&mut self, count: usize) {
        if self.replay.is_fed() {
            self.replay.keep(&self.from.data()[..count]);
            self.from.consume(count);
        } else {
            self.replay.at += count as u64;
            if self.replay.keeping == Keeping::NoMore && self.replay.is_fed() {
                self.replay.forget();
            }
        }
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.replay
            .end
            .get_or_insert_with(|| self.from.trailers())
            .clone()
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        if self.replay.keeping == Keeping::Yes || !self.replay.is_fed() {
            return None;
        }
        self.from.raw()
    }

    fn moved(&mut self, count: usize) -> Result<(), NetError> {
        self.from.moved(count)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use croupier_http::BodyLen;
    use croupier_net::side::Source;
    use proptest::prelude::*;

    use super::{Replay, ReplayLimits};
    use crate::relay::tests::{From, Give};

    fn body(parts: &[Vec<u8>]) -> From {
        From::of(parts.iter().cloned().map(Give::Bytes))
    }

    /// Reads up to `most` bytes in pieces of up to `piece`; gives them, and whether the end came.
    fn read(source: &mut impl Source, most: usize, piece: usize) -> (Vec<u8>, bool) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut out = Vec::new();
        while out.len() < most {
            match source.poll_data(&mut cx) {
                Poll::Ready(Ok(0)) => {
                    let _ = source.trailers();
                    return (out, true);
                }
                Poll::Ready(Ok(count)) => {
                    let count = count.min(piece).min(most - out.len());
                    out.extend_from_slice(&source.data()[..count]);
                    source.consume(count);
                }
                other => panic!("{other:?}"),
            }
        }
        (out, false)
    }

    #[test]
    fn a_body_that_outgrows_its_bounds_moves_on_and_can_not_be_repeated() {
        let limits = ReplayLimits { memory: 4, file: 0 };
        let mut replay = Replay::new(limits, BodyLen::Chunked, &Default::default());
        let mut from = body(&[b"abc".to_vec(), b"def".to_vec()]);
        let (seen, ended) = read(&mut replay.source(&mut from), usize::MAX, 100);
        assert_eq!((&seen[..], ended), (&b"abcdef"[..], true));
        assert!(!replay.is_whole());
        assert_eq!(replay.room.used.get(), 0);
    }

    #[test]
    fn a_body_known_to_be_too_large_is_not_begun() {
        let limits = ReplayLimits { memory: 4, file: 2 };
        let replay = |length| Replay::new(limits, BodyLen::Length(length), &Default::default());
        assert!(replay(6).is_whole());
        assert!(!replay(7).is_whole());
    }

    #[test]
    fn an_answer_ends_the_keeping_but_not_the_feeding() {
        let limits = ReplayLimits {
            memory: 100,
            file: 0,
        };
        let mut replay = Replay::new(limits, BodyLen::Chunked, &Default::default());
        let mut from = body(&[b"abc".to_vec(), b"def".to_vec()]);
        read(&mut replay.source(&mut from), 3, 100);
        replay.rewind();
        replay.keep_no_more();
        assert!(!replay.is_whole());
        let (seen, _) = read(&mut replay.source(&mut from), usize::MAX, 2);
        assert_eq!(seen, b"abcdef");
        assert_eq!(replay.room.used.get(), 0, "nothing is held any more");
    }

    proptest! {
        /// However it is cut, every attempt sees the same bytes.
        #[test]
        fn every_attempt_sees_the_whole_body(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..12),
            attempts in prop::collection::vec((0usize..600, 1usize..70), 0..5),
            memory in 0usize..200,
        ) {
            let whole = parts.concat();
            let limits = ReplayLimits { memory, file: 1 << 20 };
            let mut replay = Replay::new(limits, BodyLen::Chunked, &Default::default());
            let mut from = body(&parts);
            for (most, piece) in attempts {
                let (seen, _) = read(&mut replay.source(&mut from), most, piece);
                prop_assert_eq!(&seen[..], &whole[..seen.len()]);
                prop_assert!(replay.is_whole());
                replay.rewind();
            }
            let (seen, ended) = read(&mut replay.source(&mut from), usize::MAX, 33);
            prop_assert!(ended);
            prop_assert_eq!(seen, whole);
        }
    }
}
