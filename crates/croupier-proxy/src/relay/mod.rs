//! Moving a body from one side to the other: the only place where that happens.
//!
//! ```text
//!  Streaming --end of the source--> Finishing --flushed--> Ended
//!      '------- the sink refuses more ----> Stopped
//! ```
//!
//! Upload and download are the same machine with the sides exchanged. `fetch` runs the upload
//! while it waits for a head, `deliver` runs both to their ends, so a request body keeps
//! flowing while its answer arrives, with no second task and no channel.

use std::task::{Context, Poll};

use croupier_http::Fields;
use croupier_net::{
    side::{Sink, Source},
    splice::{Failure, Pipe, Pipes},
};

pub(crate) mod recode;
pub(crate) mod replay;
mod trailing;
pub(crate) mod upload;

use trailing::trailing;

/// One direction of an exchange.
#[derive(Debug)]
pub(crate) struct Pump {
    state: State,
    trailers: Option<Fields>,
    pipe: Option<Pipe>,
    /// Body bytes handed on.
    pub(crate) moved: u64,
    /// How many may be; one more and it stops, before the sink can take the body for whole.
    moved_max: u64,
    /// Whom we wait for when `poll` is pending.
    pub(crate) waits_for: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Streaming,
    Finishing,
    Ended,
    Stopped,
}

/// A side of a pump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Sink,
}

/// Moves of a body in one turn of a task; then others get theirs.
const ROUNDS_MAX: usize = 32;

impl Pump {
    pub(crate) fn new() -> Self {
        Self::up_to(None)
    }

    /// One that stops when it has moved more than `moved_max` bytes.
    pub(crate) fn up_to(moved_max: Option<u64>) -> Self {
        Self {
            state: State::Streaming,
            trailers: None,
            pipe: None,
            moved: 0,
            moved_max: moved_max.unwrap_or(u64::MAX),
            waits_for: Side::Source,
        }
    }

    /// Has the whole body reached the sink?
    pub(crate) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Will it move nothing more, whether whole or not?
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended | State::Stopped)
    }

    /// The sink wants no more.
    pub(crate) fn stop(&mut self) {
        if self.state != State::Ended {
            self.state = State::Stopped;
        }
    }

    /// Moves what can be moved. Bytes are read only while the sink has room; when the source
    /// runs dry the sink is flushed, so nothing waits in a buffer for company.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
        pipes: &Pipes,
    ) -> Poll<Result<(), Failure>> {
        for _ in 0..ROUNDS_MAX {
            if self.moved > self.moved_max {
                self.stop();
            }
            match self.state {
                State::Streaming => {
                    if self.pipe.is_some() || sink.can_be_raw() && source.raw().is_some() {
                        match self.poll_spliced(cx, source, sink, pipes) {
                            Poll::Ready(Ok(Spliced::Yes)) => continue,
                            Poll::Ready(Ok(Spliced::NotPossible)) => {}
                            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                    match self.poll_copied(cx, source, sink) {
                        Poll::Ready(result) => result?,
                        Poll::Pending => return Poll::Pending,
                    }
                }
                State::Finishing => {
                    self.waits_for = Side::Sink;
                    match sink.poll_finish(cx, self.trailers.as_ref()) {
                        Poll::Ready(result) => result.map_err(Failure::Sink)?,
                        Poll::Pending => return Poll::Pending,
                    }
                    self.state = State::Ended;
                }
                State::Ended | State::Stopped => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_copied(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), Failure>> {
        match source.poll_data(cx) {
            Poll::Ready(Ok(0)) => {
                self.trailers = source.trailers().and_then(trailing);
                self.state = State::Finishing;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(_)) => match sink.poll_take(cx, source) {
                Poll::Ready(Ok(count)) => {
                    self.moved += count as u64;
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(Failure::Sink(error))),
                Poll::Pending => {
                    self.waits_for = Side::Sink;
                    Poll::Pending
                }
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(Failure::Source(error))),
            Poll::Pending => {
                self.waits_for = Side::Source;
                match sink.poll_flush(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(Failure::Sink(error))),
                    Poll::Ready(Ok(())) => Poll::Pending,
                    Poll::Pending => {
                        self.waits_for = Side::Sink;
                        Poll::Pending
                    }
                }
            }
        }
    }

    /// The rest of a large body, inside the kernel.
    fn poll_spliced(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
        sink: &mut impl Sink,
        pipes: &Pipes,
    ) -> Poll<Result<Spliced, Failure>> {
        self.waits_for = Side::Sink;
        match sink.poll_flush(cx) {
            Poll::Ready(result) => result.map_err(Failure::Sink)?,
            Poll::Pending => return Poll::Pending,
        }
        if sink.raw().is_none() {
            return Poll::Ready(Ok(Spliced::NotPossible));
        }
        let mut pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            // No descriptors left for a pipe: copying needs none.
            None => match pipes.lend() {
                Ok(pipe) => pipe,
                Err(_) => return Poll::Ready(Ok(Spliced::NotPossible)),
            },
        };
        let result = pipe.poll_move(cx, source, sink, &mut self.moved);
        if pipe.is_empty() {
            self.waits_for = Side::Source;
            pipes.take_back(pipe);
        } else {
            self.pipe = Some(pipe);
        }
        result.map(|result| result.map(|()| Spliced::Yes))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spliced {
    Yes,
    NotPossible,
}

#[cfg(test)]
mod tests;
