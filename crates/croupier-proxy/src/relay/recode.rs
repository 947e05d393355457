//! A body that is encoded or decoded on its way: one source seen through a coder.
//!
//! ```text
//!          .--- source pending, something inside ---.
//!          v                                        |
//!       Flushing --nothing left--> Coding --end of the source--> Ending --nothing left--> Ended
//! ```
//!
//! The coder and its output live here and the source is borrowed for each poll, so that who owns
//! the connection keeps it. Nothing is read while output waits; what was pushed is flushed when
//! the source runs dry, so that events reach the client when they happen; and after so many bytes
//! others get their turn: coding is the only work here that takes real time.

use std::task::{Context, Poll};

use croupier_coding::{Decoder, Encoder, Error, Left};
use croupier_http::Fields;
use croupier_net::{NetError, side::Source};
use tokio::net::TcpStream;

/// Coded output that waits at most, bytes.
const ROOM_BYTES: usize = 16 << 10;
/// Bytes coded before others get their turn: half a millisecond of brotli. An encoder takes at most
/// half of it in one call, so a turn is exceeded by as much.
const TURN_BYTES: usize = 64 << 10;
/// Calls of a coder in a turn, for bodies that come in crumbs.
const ROUNDS_MAX: usize = 64;

/// The coder of one body, with what it has made and nobody has taken.
#[derive(Debug)]
pub(crate) struct Recode {
    coder: Coder,
    room: Vec<u8>,
    start: usize,
    end: usize,
    state: State,
    /// Bytes coded in this turn.
    turn: usize,
}

#[derive(Debug)]
enum Coder {
    Encoder(Encoder),
    /// And whether it holds output that had no room.
    Decoder(Decoder, Left),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Coding,
    Flushing,
    Ending,
    Ended,
}

impl Recode {
    /// Encodes a body. `room` is a write buffer, lent by the worker's `Buffers`.
    pub(crate) fn encoding(encoder: Encoder, room: Vec<u8>) -> Self {
        Self::new(Coder::Encoder(encoder), room)
    }

    /// Decodes a body. A body that is no whole stream ends in an error, and so does a bomb.
    pub(crate) fn decoding(decoder: Decoder, room: Vec<u8>) -> Self {
        Self::new(Coder::Decoder(decoder, Left::Nothing), room)
    }

    fn new(coder: Coder, mut room: Vec<u8>) -> Self {
        room.resize(ROOM_BYTES, 0);
        Self {
            coder,
            room,
            start: 0,
            end: 0,
            state: State::Coding,
            turn: 0,
        }
    }

    /// The body as it is after coding. The same source each time.
    pub(crate) fn with<'a, S: Source>(&'a mut self, from: &'a mut S) -> Recoded<'a, S> {
        Recoded { recode: self, from }
    }

    /// What was lent: an encoder, if it was one, and the write buffer.
    pub(crate) fn into_parts(self) -> (Option<Encoder>, Vec<u8>) {
        let encoder = match self.coder {
            Coder::Encoder(encoder) => Some(encoder),
            Coder::Decoder(..) => None,
        };
        (encoder, self.room)
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// One call of the coder on bytes of the source; gives how many it took.
    fn push(&mut self, input: &[u8]) -> Result<usize, Error> {
        let done = match &mut self.coder {
            Coder::Encoder(encoder) => encoder.push(input, &mut self.room)?,
            Coder::Decoder(decoder, left) => {
                let done = decoder.push(input, &mut self.room)?;
                *left = done.left;
                done
            }
        };
        self.turn += done.consumed.max(done.produced);
        (self.start, self.end) = (0, done.produced);
        Ok(done.consumed)
    }

    /// One call that takes nothing: a flush, or the end.
    fn drain(&mut self) -> Result<(), Error> {
        let next = match self.state {
            State::Flushing => State::Coding,
            State::Ending => State::Ended,
            State::Coding | State::Ended => return Ok(()),
        };
        let done = match (&mut self.coder, self.state) {
            (Coder::Encoder(encoder), State::Flushing) => encoder.flush(&mut self.room)?,
            (Coder::Encoder(encoder), _) => encoder.finish(&mut self.room)?,
            (Coder::Decoder(decoder, _), _) => {
                decoder.finish()?;
                self.state = next;
                return Ok(());
            }
        };
        self.turn += done.produced;
        (self.start, self.end) = (0, done.produced);
        if done.left == Left::Nothing {
            self.state = next;
        }
        Ok(())
    }

    /// Is there output to be had without the source?
    fn holds(&self) -> bool {
        matches!(self.coder, Coder::Decoder(_, Left::More))
    }

    /// Is there something inside that the receiver waits for?
    fn is_dirty(&self) -> bool {
        matches!(&self.coder, Coder::Encoder(encoder) if encoder.is_dirty())
    }
}

/// A body as it is after coding.
pub(crate) struct Recoded<'a, S> {
    recode: &'a mut Recode,
    from: &'a mut S,
}

impl<S: Source> Source for Recoded<'_, S> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        let recode = &mut *self.recode;
        for _ in 0..ROUNDS_MAX {
            if !recode.is_empty() {
                return Poll::Ready(Ok(recode.end - recode.start));
            }
            if recode.turn >= TURN_BYTES {
                break;
            }
            match recode.state {
                State::Ended => return Poll::Ready(Ok(0)),
                State::Flushing | State::Ending => recode.drain().map_err(of)?,
                State::Coding if recode.holds() => {
                    recode.push(&[]).map_err(of)?;
                }
                State::Coding => match self.from.poll_data(cx) {
                    Poll::Ready(Ok(0)) => recode.state = State::Ending,
                    Poll::Ready(Ok(_)) => {
                        let taken = recode.push(self.from.data()).map_err(of)?;
                        self.from.consume(taken);
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if recode.is_dirty() => recode.state = State::Flushing,
                    Poll::Pending => {
                        recode.turn = 0;
                        return Poll::Pending;
                    }
                },
            }
        }
        if !recode.is_empty() {
            return Poll::Ready(Ok(recode.end - recode.start));
        }
        recode.turn = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn data(&self) -> &[u8] {
        &self.recode.room[self.recode.start..self.recode.end]
    }

    fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.recode.end - self.recode.start);
        self.recode.start += count;
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.from.trailers()
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        None
    }

    fn moved(&mut self, _: usize) -> Result<(), NetError> {
        Err(NetError::Protocol("a body that is coded was moved unseen"))
    }
}

/// Of the side that sent the bytes.
fn of(error: Error) -> NetError {
    match error {
        Error::Truncated => NetError::Truncated,
        other => NetError::Protocol(other.sentence()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll, Wake, Waker},
    };

    use croupier_coding::{
        Coding, Decoder, Encoder, Level, Limits, OUT_BYTES_MIN, decode_whole, encode_whole,
    };
    use croupier_net::{NetError, side::Source};
    use proptest::prelude::*;

    use super::{ROOM_BYTES, Recode, TURN_BYTES};
    use crate::relay::tests::{From, Give};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn encoding(coding: Coding) -> Recode {
        let encoder = Encoder::new(coding, Level::Fast, None).expect("memory");
        Recode::encoding(encoder, Vec::new())
    }

    fn decoding(coding: Coding) -> Recode {
        let decoder = Decoder::new(coding, Limits::default()).expect("memory");
        Recode::decoding(decoder, Vec::new())
    }

    /// Reads in pieces of up to `piece` until the end, a failure, or a wait of the source; a yield
    /// of the coder is none.
    fn read(
        recode: &mut Recode,
        from: &mut From,
        piece: usize,
        out: &mut Vec<u8>,
    ) -> Poll<Result<(), NetError>> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        for _ in 0..1_000_000 {
            let before = woken.0.load(Ordering::Relaxed);
            let mut source = recode.with(from);
            assert!(source.raw().is_none());
            match source.poll_data(&mut cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(count)) => {
                    assert_eq!(
                        source.poll_data(&mut cx).map(Result::ok),
                        Poll::Ready(Some(count))
                    );
                    let taken = count.min(piece);
                    out.extend_from_slice(&source.data()[..taken]);
                    source.consume(taken);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if woken.0.load(Ordering::Relaxed) > before => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        panic!("it never ends");
    }

    /// Reads to the end, over all waits.
    fn read_all(recode: &mut Recode, from: &mut From, piece: usize) -> Result<Vec<u8>, NetError> {
        let mut out = Vec::new();
        loop {
            match read(recode, from, piece, &mut out) {
                Poll::Ready(result) => return result.map(|()| out),
                Poll::Pending => {}
            }
        }
    }

    fn of(parts: impl IntoIterator<Item = Vec<u8>>) -> From {
        From::of(parts.into_iter().map(Give::Bytes))
    }

    #[test]
    fn an_event_reaches_the_client_before_the_next_one_happens() {
        for coding in Coding::ALL {
            let event = |name: &str| Give::Bytes(format!("data: {name}\n\n").into_bytes());
            // Each first wait is answered with a flush, after which the source is asked again.
            let script = [
                event("one"),
                Give::Wait,
                Give::Wait,
                Give::Wait,
                event("two"),
                Give::Wait,
                Give::Wait,
            ];
            let mut from = From::of(script);
            let mut recode = encoding(coding);
            let mut decoder = Decoder::new(coding, Limits::default()).expect("memory");
            let (mut lens, mut seen) = (Vec::new(), Vec::new());
            let mut room = [0; 1000];
            loop {
                let mut coded = Vec::new();
                let over = read(&mut recode, &mut from, 1000, &mut coded).is_ready();
                let done = decoder.push(&coded, &mut room).expect("lawful");
                seen.extend_from_slice(&room[..done.produced]);
                lens.push((coded.len(), seen.len()));
                if over {
                    break;
                }
            }
            assert_eq!(seen, b"data: one\n\ndata: two\n\n", "{coding:?}");
            let seen: Vec<usize> = lens.iter().map(|len| len.1).collect();
            assert_eq!(seen, [11, 11, 22, 22], "{coding:?}: each when it happened");
            assert_eq!(lens[1].0, 0, "{coding:?}: waiting again flushes nothing");
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn trailers_pass() {
        let mut recode = encoding(Coding::Gzip);
        let mut from = of([b"text".to_vec()]).with_trailer();
        read_all(&mut recode, &mut from, 100).expect("nobody fails");
        let trailers = recode.with(&mut from).trailers().expect("they came");
        assert_eq!(trailers.len(), 2);
    }

    #[test]
    fn a_large_body_gives_others_their_turn() {
        let mut recode = encoding(Coding::Zstd);
        let mut from = of([vec![b'a'; 10 * TURN_BYTES]]);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut turns = 0;
        loop {
            let mut source = recode.with(&mut from);
            match source.poll_data(&mut cx) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(count)) => source.consume(count),
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => turns += 1,
            }
        }
        assert!(turns >= 9, "{turns}");
        assert_eq!(woken.0.load(Ordering::Relaxed), turns, "each yield wakes");
    }

    #[test]
    fn a_failure_of_the_source_is_no_end() {
        for mut recode in [encoding(Coding::Gzip), decoding(Coding::Gzip)] {
            let coded = encode_whole(Coding::Gzip, Level::Fast, b"text").expect("memory");
            let mut from = From::of([Give::Bytes(coded), Give::Fail]);
            let result = read_all(&mut recode, &mut from, 100);
            assert!(matches!(result, Err(NetError::Truncated)), "{result:?}");
        }
    }

    #[test]
    fn a_body_that_is_no_whole_stream_ends_in_an_error() {
        for coding in Coding::ALL {
            let whole = encode_whole(coding, Level::Fast, b"some text").expect("memory");
            let cut = of([whole[..whole.len() - 1].to_vec()]);
            let result = read_all(&mut decoding(coding), &mut { cut }, 100);
            assert!(
                matches!(result, Err(NetError::Truncated)),
                "{coding:?} {result:?}"
            );
            let result = read_all(&mut decoding(coding), &mut of([]), 100);
            assert!(
                matches!(result, Err(NetError::Truncated)),
                "{coding:?} {result:?}"
            );
            let result = read_all(
                &mut decoding(coding),
                &mut of([b"plain text".to_vec()]),
                100,
            );
            assert!(result.is_err(), "{coding:?}");
        }
    }

    #[test]
    fn a_bomb_ends_in_an_error() {
        let bomb = encode_whole(Coding::Zstd, Level::Fast, &vec![0; 8 << 20]).expect("memory");
        let result = read_all(&mut decoding(Coding::Zstd), &mut of([bomb]), ROOM_BYTES);
        assert!(matches!(result, Err(NetError::Protocol(_))), "{result:?}");
    }

    #[test]
    fn what_was_lent_comes_back() {
        let mut recode = encoding(Coding::Brotli);
        let mut from = of([b"text".to_vec()]);
        let coded = read_all(&mut recode, &mut from, 100).expect("nobody fails");
        let (encoder, room) = recode.into_parts();
        assert_eq!(
            encoder.map(|encoder| encoder.coding()),
            Some(Coding::Brotli)
        );
        assert!(room.capacity() >= OUT_BYTES_MIN);
        let seen = decode_whole(Coding::Brotli, Limits::default(), &coded);
        assert_eq!(seen, Ok(b"text".to_vec()));
    }

    fn gives() -> impl Strategy<Value = Give> {
        prop_oneof![
            3 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Give::Bytes),
            2 => (any::<u8>(), 1usize..200_000).prop_map(|(byte, len)| Give::Bytes(vec![byte; len])),
            1 => prop::collection::vec(any::<u8>(), 20_000..60_000).prop_map(Give::Bytes),
            3 => Just(Give::Wait),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// There and back, over whatever waits and pieces.
        #[test]
        fn bytes_out_are_bytes_in(
            gives in prop::collection::vec(gives(), 0..12),
            coding in prop::sample::select(Coding::ALL.to_vec()),
            piece in prop_oneof![1usize..50, 1000usize..20_000],
            back in 1usize..5000,
        ) {
            let whole: Vec<u8> = gives.iter().flat_map(|give| match give {
                Give::Bytes(bytes) => bytes.clone(),
                Give::Wait | Give::Fail => Vec::new(),
            }).collect();
            let mut from = From::of(gives);
            let coded = read_all(&mut encoding(coding), &mut from, piece).expect("nobody fails");
            let mut from = of(coded.chunks(back).map(<[u8]>::to_vec));
            let seen = read_all(&mut decoding(coding), &mut from, piece).expect("nobody fails");
            prop_assert!(seen == whole);
        }
    }
}
