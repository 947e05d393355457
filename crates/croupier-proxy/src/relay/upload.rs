//! The request body on its way to a server: the machine that moves it, and the copy that makes
//! a further attempt possible.

use std::task::{Context, Poll};

use croupier_net::{
    side::{Sink, Source},
    splice::{Failure, Pipes},
};

use super::{Pump, Side, replay::Replay};

/// One request body, over all attempts.
#[derive(Debug)]
pub(crate) struct Upload {
    pump: Pump,
    replay: Replay,
    moved_max: Option<u64>,
}

impl Upload {
    /// Moves at most `moved_max` bytes.
    pub(crate) fn new(moved_max: Option<u64>, replay: Replay) -> Self {
        Self {
            pump: Pump::up_to(moved_max),
            replay,
            moved_max,
        }
    }

    /// Another attempt: from the first byte.
    pub(crate) fn again(&mut self) {
        self.pump = Pump::up_to(self.moved_max);
        self.replay.rewind();
    }

    /// Could another attempt get the whole body?
    pub(crate) fn is_repeatable(&self) -> bool {
        self.replay.is_whole()
    }

    /// There will be no other attempt.
    pub(crate) fn is_final(&mut self) {
        self.replay.keep_no_more();
    }

    /// The whole body, when it is known and in memory.
    pub(crate) fn copy(&self) -> Option<&[u8]> {
        self.replay.whole_in_memory()
    }

    /// Moves what can be moved.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut impl Source,
        origin: &mut impl Sink,
        pipes: &Pipes,
    ) -> Poll<Result<(), Failure>> {
        let mut source = self.replay.source(client);
        self.pump.poll(cx, &mut source, origin, pipes)
    }

    /// Bytes that this attempt's server was given.
    pub(crate) fn moved(&self) -> u64 {
        self.pump.moved
    }

    /// Whom the move waits for.
    pub(crate) fn waits_for(&self) -> Side {
        self.pump.waits_for
    }

    /// Has the whole body reached the server?
    pub(crate) fn has_ended(&self) -> bool {
        self.pump.has_ended()
    }

    /// Will nothing more be moved, whether whole or not?
    pub(crate) fn is_over(&self) -> bool {
        self.pump.is_over()
    }

    /// The server wants no more.
    pub(crate) fn stop(&mut self) {
        self.pump.stop();
    }
}
