//! One attempt at work: waiting for a head while the request body moves.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use croupier_http::{BodyLen, Framed, Name, ResponseHead};
use croupier_net::{
    NetError,
    client::ClientStream,
    origin::OriginStream,
    side::Sink as _,
    splice::Failure,
    timers::{NEVER, Tick, ticks},
};

use super::{
    attempt::Ask,
    hedge::{Hedge, Won},
};
use crate::{
    exchange::Exchange,
    fault::{Code, Fault},
    live::Server,
    plan::Times,
    pool::retry::Sent,
    relay::{Side, upload::Upload},
    stage::{inspect, shape::PassingLines},
};

/// Waiting for a head, with the request body moving meanwhile.
pub(super) struct Asking<'a> {
    pub(super) x: &'a mut Exchange,
    pub(super) conn: &'a mut ClientStream,
    pub(super) origin: &'a mut OriginStream,
    pub(super) upload: &'a mut Upload,
    pub(super) response: &'a mut ResponseHead,
    pub(super) times: Times,
    /// Of the whole exchange.
    pub(super) deadline: Tick,
    /// Says when the server has gone out of use: a request that may be repeated does not wait for
    /// it any longer.
    pub(super) gone: Option<Gone>,
    /// Do interim heads go to the client?
    pub(super) interim: Interim,
    /// A second attempt, and what it needs to know.
    pub(super) hedge: Option<(Hedge, &'a Ask<'a>, usize)>,
    /// Why this attempt is lost while the other one goes on.
    pub(super) lost: Option<Fault>,
    /// Since when we wait for what we wait for now.
    pub(super) since: Option<Tick>,
    /// What had moved when `since` was set.
    pub(super) progress: (u64, Option<Wait>),
}

/// Whose head came.
pub(super) enum Heard {
    Own(BodyLen),
    Other(Box<Won>),
}

/// A server, and the epoch in which it was asked.
pub(super) struct Gone {
    pub(super) server: Arc<Server>,
    pub(super) epoch: u32,
}

/// What happens to interim heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interim {
    /// They go to the client.
    Pass,
    /// They are dropped: the client is in the middle of a body.
    Drop,
}

/// How often it is looked whether a server has gone out of use.
const LOOK_EVERY: Tick = 5;

/// What an attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    ClientBody,
    OriginRoom,
    Head,
}

impl Asking<'_> {
    pub(super) fn now(&self) -> Tick {
        self.x.worker.local.timers.now()
    }

    /// What of the request had left us: decides whether it may be sent again.
    pub(super) fn sent(&self) -> Sent {
        if self.upload.moved() > 0 {
            Sent::Body
        } else if self.origin.has_sent_any() {
            Sent::Head
        } else {
            Sent::Nothing
        }
    }

    /// Waits for a head: of this attempt, or of the one beside it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Heard, Fault>> {
        let own = match self.lost.take() {
            Some(fault) => Poll::Ready(Err(fault)),
            None => self.poll_own(cx),
        };
        let Some((hedge, ask, first)) = &mut self.hedge else {
            return own.map_ok(Heard::Own);
        };
        match own {
            Poll::Ready(Ok(body)) => return Poll::Ready(Ok(Heard::Own(body))),
            // The other one may still win.
            Poll::Ready(Err(fault)) if hedge.is_under_way() && fault.is_of_origin() => {
                self.lost = Some(fault);
            }
            Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
            Poll::Pending => {}
        }
        if let Poll::Ready(won) = hedge.poll(cx, self.x, ask, *first) {
            return Poll::Ready(Ok(Heard::Other(Box::new(won))));
        }
        if !hedge.is_under_way()
            && let Some(fault) = self.lost.take()
        {
            return Poll::Ready(Err(fault));
        }
        Poll::Pending
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyLen, Fault>> {
        if !self.upload.is_over() {
            self.poll_upload(cx)?;
        }
        loop {
            let limits = &self.x.installed.plan.limits;
            let method = self.x.incoming.head.method;
            match self
                .origin
                .poll_head(cx, method, &limits.origin, self.response)
            {
                Poll::Ready(Ok(body)) if self.response.is_interim() => {
                    if self.interim()? {
                        return Poll::Ready(Ok(body));
                    }
                }
                Poll::Ready(Ok(_)) if self.would_look_like_a_switch() => {
                    return Poll::Ready(Err(Code::OriginSwitch.into()));
                }
                Poll::Ready(Ok(body)) => return Poll::Ready(Ok(body)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.origin_fault(&error))),
                Poll::Pending => break,
            }
        }
        // Interim heads leave at once; a client that has left is noticed.
        if let Poll::Ready(Err(_)) = self.conn.poll_flush(cx) {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        if self.conn.has_received_all() && self.conn.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        self.poll_deadline(cx)
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let pipes = &self.x.worker.local.pipes;
        let polled = self.upload.poll(cx, self.conn, self.origin, pipes);
        self.x.tally.bytes_in = self.upload.moved();
        if let Some(max) = self.x.installed.plan.limits.body_bytes
            && self.upload.moved() > max
        {
            return Err(Code::ClientBodyTooLarge.into());
        }
        match polled {
            Poll::Ready(Err(Failure::Source(error))) => Err(inspect::body_fault(&error)),
            // It may have answered before it closed: the head will tell.
            Poll::Ready(Err(Failure::Sink(_))) => {
                self.upload.stop();
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Handles an interim head. True when it is the switch that was asked for.
    fn interim(&mut self) -> Result<bool, Fault> {
        let response = &mut *self.response;
        if self.origin.interim() > self.x.installed.plan.limits.interim_responses {
            self.origin.condemn();
            return Err(Code::OriginInterim.into());
        }
        match response.status {
            101 => {
                let asked = self.x.incoming.lawful.wants_websocket
                    && response
                        .fields
                        .get(Name::UPGRADE)
                        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
                if asked {
                    Ok(true)
                } else {
                    Err(Code::OriginSwitch.into())
                }
            }
            100 if !self.x.incoming.lawful.expects_continue => Ok(false),
            _ if self.interim == Interim::Drop => Ok(false),
            status => {
                // The client sees those of one server, whoever answers in the end.
                let tally = &mut self.x.tally;
                let seen = if status == 100 {
                    &mut tally.continued
                } else {
                    &mut tally.hinted
                };
                if *seen.get_or_insert(tally.attempts) != tally.attempts {
                    return Ok(false);
                }
                self.conn.send_interim(
                    response,
                    &PassingLines {
                        x: self.x,
                        head: response,
                    },
                );
                Ok(false)
            }
        }
    }

    /// Is it success where only `101` is? In HTTP/2 success opens the tunnel (RFC 8441 section 5).
    fn would_look_like_a_switch(&self) -> bool {
        let head = &self.x.incoming.head;
        head.framed == Framed::WebSocket && (200..300).contains(&self.response.status)
    }

    fn origin_fault(&self, error: &NetError) -> Fault {
        use croupier_http::h1::scan::HeadError;
        let unanswered = self.origin.is_reused() && !self.origin.has_answered();
        match error {
            NetError::Closed | NetError::Io(_) if unanswered => Code::OriginReusedClosed.into(),
            NetError::Closed | NetError::Truncated => Code::OriginClosed.into(),
            NetError::Io(_) | NetError::Reset => Code::OriginReset.into(),
            NetError::Unprocessed => Code::OriginUnprocessed.into(),
            NetError::Protocol(sentence) => Fault::because(Code::OriginHeadMalformed, sentence),
            NetError::Tls(failure) => Fault::because(Code::OriginReset, failure.sentence()),
            NetError::Timeout => Code::OriginHeadTimeout.into(),
            NetError::Head(HeadError::HeadTooLarge | HeadError::TooManyFields) => {
                Code::OriginHeadTooLarge.into()
            }
            NetError::Framing(_) => Code::OriginFraming.into(),
            NetError::Head(_) | NetError::Chunk(_) => Code::OriginHeadMalformed.into(),
        }
    }

    /// The clock of what we wait for begins anew with every byte that moves.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyLen, Fault>> {
        let wait = if self.upload.is_over() {
            Wait::Head
        } else if self.upload.waits_for() == Side::Source {
            Wait::ClientBody
        } else {
            Wait::OriginRoom
        };
        let progress = (self.upload.moved(), Some(wait));
        if progress != self.progress {
            self.progress = progress;
            self.since = Some(self.now());
        }
        let time = match wait {
            Wait::ClientBody => self.times.client_body,
            Wait::OriginRoom | Wait::Head => self.times.response_head,
        };
        let since = self.since.unwrap_or_default();
        let until = time.map_or(NEVER, |time| since.saturating_add(ticks(time)));
        let look = match &self.gone {
            Some(gone) if gone.server.epoch() != gone.epoch => {
                return Poll::Ready(Err(Code::OriginGone.into()));
            }
            Some(_) => self.now().saturating_add(LOOK_EVERY),
            None => NEVER,
        };
        self.conn.timer().arm(until.min(self.deadline).min(look));
        if !self.conn.timer().is_expired(cx) {
            return Poll::Pending;
        }
        if look <= self.now() && self.now() < until.min(self.deadline) {
            return self.poll_deadline(cx);
        }
        let code = match wait {
            _ if self.deadline <= self.now() => Code::ProxyTimeout,
            Wait::ClientBody => Code::ClientBodyTimeout,
            Wait::OriginRoom => Code::OriginSendTimeout,
            Wait::Head => Code::OriginHeadTimeout,
        };
        Poll::Ready(Err(code.into()))
    }
}
