//! What an attempt says about its server.

use std::time::Duration;

use croupier_http::ResponseHead;

use crate::{
    answer::Dealt,
    exchange::Exchange,
    fault::Code,
    live::{Busy, health::Failure},
    plan::PoolPlan,
    pool::pick::{Picker, peak_ewma},
};

/// It was answered: that speaks for the server, unless the answer says that it could not do it.
pub(super) fn answered(
    x: &Exchange,
    pool: &PoolPlan,
    busy: &mut Busy,
    head: &ResponseHead,
    time: Duration,
) {
    let now = x.worker.coarse_ms();
    let reason = match head.status {
        502 => "status.502",
        503 => "status.503",
        504 => "status.504",
        _ => {
            // A request with a body takes as long as its client does to send it.
            if matches!(pool.picker, Picker::Ewma) && x.incoming.lawful.body.is_empty() {
                let server = busy.server();
                let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
                server.set_latency(peak_ewma::next(server.latency(), micros, now));
            }
            return pool.live.succeeded(busy, now);
        }
    };
    x.worker.cells.server_failure(busy.server().slot);
    if (pool.live.failed(busy, Failure::Gateway, reason, now)).is_some() {
        x.worker.idle.forget(busy.server());
    }
}

/// A fault that is the server's own counts against it.
pub(super) fn failed(x: &Exchange, pool: &PoolPlan, busy: &mut Busy, code: Code) {
    let failure = match code {
        Code::OriginConnectRefused => Failure::Refused,
        Code::OriginConnectTimeout | Code::OriginConnectFailed | Code::OriginTls => {
            Failure::Unreachable
        }
        Code::OriginClosed
        | Code::OriginReset
        | Code::OriginHeadTimeout
        | Code::OriginHeadMalformed
        | Code::OriginHeadTooLarge
        | Code::OriginFraming
        | Code::OriginInterim
        | Code::OriginSwitch
        | Code::OriginSendTimeout
        | Code::OriginBodyTruncated
        | Code::OriginBodyMalformed
        | Code::OriginBodyTimeout => Failure::Transport,
        _ => return,
    };
    x.worker.cells.server_failure(busy.server().slot);
    let now = x.worker.coarse_ms();
    if (pool.live.failed(busy, failure, code.as_str(), now)).is_some() {
        x.worker.idle.forget(busy.server());
    }
}

/// Its answer broke off on the way: that counts against it like any other fault.
pub(crate) fn broke(x: &Exchange, dealt: &mut Dealt, code: Code) {
    if let Some(way) = x.way() {
        failed(x, x.plan().pool(way.pool), dealt.lease.busy(), code);
    }
}
