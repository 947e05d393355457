//! Beside the path: a copy of the request for a shadow pool. Decided before the first attempt,
//! sent when the answer's head is there; nobody waits for it, and nothing of it reaches the client.

use croupier_http::BodyLen;
use croupier_net::origin::h1::{RequestLine, encode_head};
use croupier_telemetry::Counter;

use super::{
    fetch::{copy_to, hello, host},
    outgoing::RequestLines,
};
use crate::{
    exchange::Exchange, plan::MirrorPlan, pool::mirror::RequestCopy, relay::upload::Upload,
    worker::spawn,
};

/// Is this one of those that are copied?
pub(crate) fn is_wanted(x: &Exchange, mirror: &MirrorPlan) -> bool {
    let fits = match x.incoming.lawful.body {
        BodyLen::Length(length) => length <= mirror.body_max,
        _ => true,
    };
    fits && !x.incoming.lawful.wants_websocket && fastrand::u32(..10_000) < mirror.share
}

/// Sends the copy, unless its body is too large or still on its way.
pub(crate) fn send(x: &Exchange, mirror: &MirrorPlan, upload: &Upload) {
    if try_send(x, mirror, upload).is_none() {
        x.worker.cells.add(Counter::MirrorDropped, 1);
    }
}

fn try_send(x: &Exchange, mirror: &MirrorPlan, upload: &Upload) -> Option<()> {
    let body = match x.incoming.lawful.body {
        BodyLen::None => None,
        _ => Some(upload.copy()?.to_vec()),
    };
    let too_large = |body: &Vec<u8>| body.len() as u64 > mirror.body_max;
    if body.as_ref().is_some_and(too_large) {
        return None;
    }
    let route = x.route_plan()?;
    let pool = x.plan().pool(mirror.way.pool);
    let (index, busy) = copy_to(x, &mirror.way)?;
    let path = route
        .path_edit
        .apply(&x.incoming.target, &route.path)
        .ok()?;
    let line = RequestLine {
        method: x.incoming.head.method_bytes(),
        path: &path,
        query: x.incoming.target.query(),
        host: host(x, pool, &pool.servers[index]),
        body: BodyLen::None,
        websocket: false,
    };
    let lines = RequestLines {
        x,
        route,
        manner: &pool.manner,
        extra: &[],
    };
    let mut head = Vec::with_capacity(512);
    encode_head(&mut head, &line, &lines);
    let copy = RequestCopy {
        head,
        method: x.incoming.head.method,
        hello: hello::of(x, pool),
        body,
    };
    spawn::mirror(&x.worker, pool, busy, copy, &mirror.way.times);
    Some(())
}
