//! Signals of the process that are ours to act on.
//!
//! Watched from before the first socket is bound to the very end: a signal that nobody watches
//! ends the process on the spot, and one that comes between two watches is lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::boot::BootError;

/// All of them.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) hup: Signal,
    pub(crate) usr1: Signal,
    pub(crate) usr2: Signal,
    pub(crate) term: Signal,
    pub(crate) int: Signal,
    pub(crate) quit: Signal,
}

impl Watch {
    pub(crate) fn new() -> Result<Self, BootError> {
        let watch = |kind| {
            signal(kind).map_err(|error| BootError::System {
                what: "cannot watch signals".into(),
                error,
                help: "",
            })
        };
        Ok(Self {
            hup: watch(SignalKind::hangup())?,
            usr1: watch(SignalKind::user_defined1())?,
            usr2: watch(SignalKind::user_defined2())?,
            term: watch(SignalKind::terminate())?,
            int: watch(SignalKind::interrupt())?,
            quit: watch(SignalKind::quit())?,
        })
    }

    /// Waits for a signal to stop now.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
