//! Room for one more connection to a server. Where connections are limited a request in flight
//! has one for sure, since there are never more requests than connections: when the count says
//! otherwise, some are idle, or about to close; another worker's are closed for whoever waits.

use std::{future::poll_fn, sync::Arc, task::Poll};

use croupier_net::{
    origin::OriginStream,
    timers::{Tick, Timer},
};

use super::idle::{Idle, Seeking, Which};
use crate::live::{Connected, Server};

/// What there is room for.
#[derive(Debug)]
pub(crate) enum Room {
    /// A new connection, counted from now on.
    New(Connected),
    /// None, but an idle one came to hand.
    Idle(OriginStream),
}

/// Looks each tick until there is room for one more than now, of `max` (0: no limit), or an
/// idle connection that is of this kind; None when there is none until `until`.
pub(crate) async fn find(
    idle: &Idle,
    server: &Arc<Server>,
    max: u32,
    which: Which<'_>,
    timer: &Timer,
    until: Tick,
) -> Option<Room> {
    let mut seeking = None;
    loop {
        if let Some(connected) = Connected::open(server, max) {
            return Some(Room::New(connected));
        }
        if let Some(connection) = idle.take(server, which) {
            return Some(Room::Idle(connection));
        }
        let now = idle.local.timers.now();
        if now >= until {
            return None;
        }
        seeking.get_or_insert_with(|| Seeking::begin(idle, server, max));
        timer.arm(now + 1);
        poll_fn(|cx| {
            if timer.is_expired(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
