//! The relay against scripted sides: whatever they do, bytes out are bytes in, nothing follows
//! an end, nothing is read without room, and nothing waits for a wake that never comes.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use croupier_http::Fields;
use croupier_net::{
    NetError,
    side::{Sink, Source},
    splice::{Failure, Pipes},
};
use proptest::prelude::*;
use tokio::net::TcpStream;

use super::{Pump, Side};

/// What a scripted source does next.
#[derive(Clone, Debug)]
pub(super) enum Give {
    Bytes(Vec<u8>),
    Wait,
    Fail,
}

/// What a scripted sink does next.
#[derive(Clone, Debug)]
enum Take {
    UpTo(usize),
    Wait,
    Fail,
}

#[derive(Debug, Default)]
pub(super) struct From {
    script: VecDeque<Give>,
    here: Vec<u8>,
    waits: usize,
    trailer: bool,
    ended: bool,
}

#[derive(Debug, Default)]
struct To {
    script: VecDeque<Take>,
    buffered: Vec<u8>,
    sent: Vec<u8>,
    finished: bool,
    trailers: usize,
    waits: usize,
}

impl From {
    pub(super) fn of(script: impl IntoIterator<Item = Give>) -> Self {
        Self {
            script: script.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(super) fn with_trailer(mut self) -> Self {
        self.trailer = true;
        self
    }
}

impl Source for From {
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<usize, NetError>> {
        assert!(!self.ended || self.here.is_empty());
        if !self.here.is_empty() {
            return Poll::Ready(Ok(self.here.len()));
        }
        match self.script.pop_front() {
            Some(Give::Bytes(bytes)) => {
                self.here = bytes;
                Poll::Ready(Ok(self.here.len()))
            }
            Some(Give::Wait) => {
                self.waits += 1;
                Poll::Pending
            }
            Some(Give::Fail) => Poll::Ready(Err(NetError::Truncated)),
            None => {
                self.ended = true;
                Poll::Ready(Ok(0))
            }
        }
    }

    fn data(&self) -> &[u8] {
        &self.here
    }

    fn consume(&mut self, count: usize) {
        self.here.drain(..count);
    }

    fn trailers(&mut self) -> Option<Fields> {
        assert!(self.ended, "trailers come after the end");
        let mut fields = Fields::new();
        fields.push(b"grpc-status", b"0");
        fields.push(b"Content-Length", b"7");
        self.trailer.then_some(fields)
    }

    fn raw(&mut self) -> Option<(&TcpStream, u64)> {
        unreachable!("no sink here can be raw, so nobody asks")
    }

    fn moved(&mut self, _: usize) -> Result<(), NetError> {
        unreachable!("nothing raw here")
    }
}

impl To {
    fn turn(&mut self) -> Option<Poll<Result<usize, NetError>>> {
        match self.script.pop_front()? {
            Take::UpTo(count) => Some(Poll::Ready(Ok(count))),
            Take::Wait => {
                self.waits += 1;
                Some(Poll::Pending)
            }
            Take::Fail => Some(Poll::Ready(Err(NetError::Closed))),
        }
    }

    fn flush_now(&mut self) {
        self.sent.append(&mut self.buffered);
    }
}

impl Sink for To {
    fn poll_send(&mut self, _: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        assert!(!self.finished, "nothing follows an end");
        assert!(!data.is_empty());
        match self.turn() {
            Some(Poll::Ready(Ok(count))) => {
                let count = count.clamp(1, data.len());
                self.buffered.extend_from_slice(&data[..count]);
                Poll::Ready(Ok(count))
            }
            Some(other) => other,
            None => {
                self.buffered.extend_from_slice(data);
                Poll::Ready(Ok(data.len()))
            }
        }
    }

    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        trailers: Option<&Fields>,
    ) -> Poll<Result<(), NetError>> {
        self.trailers = trailers.map_or(0, Fields::len);
        let polled = self.poll_flush(cx);
        self.finished |= matches!(polled, Poll::Ready(Ok(())));
        polled
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        match self.turn() {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Ready(Ok(_))) | None => {
                self.flush_now();
                Poll::Ready(Ok(()))
            }
        }
    }

    fn can_be_raw(&self) -> bool {
        false
    }

    fn raw(&mut self) -> Option<&TcpStream> {
        unreachable!("it said that it can not be")
    }

    fn moved(&mut self, _: usize) {
        unreachable!("nothing raw here")
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls until it is over. A pending poll must have been answered by a waiting side, or must
/// have woken itself: else it would sleep for ever.
fn run(pump: &mut Pump, from: &mut From, to: &mut To) -> Result<(), Failure> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let pipes = Pipes::default();
    for _ in 0..10_000 {
        let before = (from.waits, to.waits, woken.0.load(Ordering::Relaxed));
        match pump.poll(&mut cx, from, to, &pipes) {
            Poll::Ready(result) => return result,
            Poll::Pending => {
                let after = (from.waits, to.waits, woken.0.load(Ordering::Relaxed));
                assert_ne!(before, after, "pending without anybody to wake it");
                if after.2 == before.2 {
                    let side = if after.1 > before.1 {
                        Side::Sink
                    } else {
                        Side::Source
                    };
                    assert_eq!(pump.waits_for, side);
                }
            }
        }
    }
    panic!("it never ends");
}

fn gives() -> impl Strategy<Value = Give> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Give::Bytes),
        2 => Just(Give::Wait),
    ]
}

fn takes() -> impl Strategy<Value = Take> {
    prop_oneof![4 => (1usize..50).prop_map(Take::UpTo), 2 => Just(Take::Wait)]
}

fn bytes_of(script: &[Give]) -> Vec<u8> {
    let bytes = |give: &Give| match give {
        Give::Bytes(bytes) => bytes.clone(),
        Give::Wait | Give::Fail => Vec::new(),
    };
    script.iter().flat_map(bytes).collect()
}

proptest! {
    #[test]
    fn bytes_out_are_bytes_in(
        gives in prop::collection::vec(gives(), 0..60),
        takes in prop::collection::vec(takes(), 0..80),
        trailer in any::<bool>(),
    ) {
        let expected = bytes_of(&gives);
        let mut from = From { script: gives.into(), trailer, ..From::default() };
        let mut to = To { script: takes.into(), ..To::default() };
        let mut pump = Pump::new();
        run(&mut pump, &mut from, &mut to).expect("nobody fails");
        prop_assert!(pump.has_ended() && to.finished);
        prop_assert_eq!(pump.moved, expected.len() as u64);
        prop_assert_eq!(to.sent, expected);
        prop_assert_eq!(to.trailers, usize::from(trailer), "framing fields do not trail");
    }

    #[test]
    fn a_failure_is_told_from_an_end(
        gives in prop::collection::vec(gives(), 0..20),
        takes in prop::collection::vec(takes(), 0..20),
        which in any::<bool>(),
    ) {
        let expected = bytes_of(&gives);
        let mut from = From { script: gives.into(), ..From::default() };
        let mut to = To { script: takes.into(), ..To::default() };
        if which { from.script.push_back(Give::Fail) } else { to.script.push_back(Take::Fail) }
        let mut pump = Pump::new();
        match run(&mut pump, &mut from, &mut to) {
            Err(Failure::Source(_)) => prop_assert!(which),
            Err(Failure::Sink(_)) => prop_assert!(!which),
            // The sink's failure lay beyond the end.
            Ok(()) => prop_assert!(!which),
        }
        prop_assert!(!which || !to.finished, "a cut body never ends");
        prop_assert!(expected.starts_with(&to.sent));
    }

    #[test]
    fn a_limit_stops_it_before_the_end(
        gives in prop::collection::vec(gives(), 1..40),
        max in 0u64..400,
    ) {
        let expected = bytes_of(&gives);
        let mut from = From { script: gives.into(), ..From::default() };
        let mut to = To::default();
        let mut pump = Pump::up_to(Some(max));
        run(&mut pump, &mut from, &mut to).expect("nobody fails");
        let fits = expected.len() as u64 <= max;
        prop_assert_eq!(pump.has_ended(), fits);
        prop_assert_eq!(to.finished, fits);
    }
}

#[test]
fn what_arrived_is_flushed_when_the_source_runs_dry() {
    let script = [
        Give::Bytes(b"event".to_vec()),
        Give::Wait,
        Give::Bytes(b"more".to_vec()),
    ];
    let mut from = From {
        script: script.into(),
        ..From::default()
    };
    let mut to = To::default();
    let mut cx = Context::from_waker(Waker::noop());
    let mut pump = Pump::new();
    assert!(
        pump.poll(&mut cx, &mut from, &mut to, &Pipes::default())
            .is_pending()
    );
    assert_eq!(to.sent, b"event");
    assert_eq!(pump.waits_for, Side::Source);
}
