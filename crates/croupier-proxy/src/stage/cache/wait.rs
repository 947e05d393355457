//! Waiting for what another exchange fetches, or for what the disk has.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use croupier_cache::store::{Brought, Reading, Waiting};
use croupier_net::{client::ClientStream, timers::Tick};

use crate::{
    exchange::Exchange,
    fault::{Code, Fault},
};

/// What is waited for.
pub(super) enum Pause {
    /// Another exchange that asks for the same.
    Other(Waiting),
    /// The disk.
    Disk(Reading),
}

impl Pause {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        match self {
            Self::Other(waiting) => waiting.poll(cx).map(|()| Waited::Woken),
            Self::Disk(reading) => reading.poll(cx).map(Waited::Brought),
        }
    }
}

/// How waiting ended.
pub(super) enum Waited {
    /// It is known by now what came: look again.
    Woken,
    /// This is what the disk has.
    Brought(Brought),
    /// It took too long: this request asks for itself.
    TooLong,
}

/// Waits, at most until `until`.
pub(super) async fn run(
    x: &Exchange,
    conn: &mut ClientStream,
    mut pause: Pause,
    until: Tick,
) -> Result<Waited, Fault> {
    debug_assert!(
        x.incoming.lawful.body.is_empty() || x.asks.content.is_some(),
        "nothing else is awaited"
    );
    conn.timer().arm(until);
    poll_fn(|cx| {
        if let Poll::Ready(waited) = pause.poll(cx) {
            return Poll::Ready(Ok(waited));
        }
        if conn.has_received_all() && conn.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        if conn.timer().is_expired(cx) {
            return Poll::Ready(Ok(Waited::TooLong));
        }
        Poll::Pending
    })
    .await
}
