//! Waiting for what another exchange fetches.

use std::{future::poll_fn, task::Poll};

use croupier_cache::store::Waiting;
use croupier_net::{client::ClientStream, timers::Tick};

use crate::{
    exchange::Exchange,
    fault::{Code, Fault},
};

/// How waiting ended.
pub(super) enum Waited {
    /// It is known by now what came: look again.
    Woken,
    /// It took too long: this request asks for itself.
    TooLong,
}

/// Waits until the other exchange has a head, or none; at most until `until`.
pub(super) async fn run(
    x: &Exchange,
    conn: &mut ClientStream,
    mut waiting: Waiting,
    until: Tick,
) -> Result<Waited, Fault> {
    debug_assert!(
        x.incoming.lawful.body.is_empty() || x.asks.content.is_some(),
        "nothing else is awaited"
    );
    conn.timer().arm(until);
    poll_fn(|cx| {
        if waiting.poll(cx).is_ready() {
            return Poll::Ready(Ok(Waited::Woken));
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
