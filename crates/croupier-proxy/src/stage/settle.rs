//! Last: what happened is counted. Always runs, from the exchange's `Drop`.

use croupier_http::{Version, head::RequestHead};
use croupier_telemetry::{Finished, MethodLabel, ProtoVersion, RouteSlot};

use crate::exchange::Exchange;

/// Counts a finished exchange.
pub(crate) fn count(x: &Exchange) {
    let head = &x.incoming.head;
    let route = match x.route {
        Some(id) => x.plan().route(id).slot,
        None => RouteSlot::OTHER,
    };
    x.worker.cells.exchange(&Finished {
        route,
        method: MethodLabel::of(head.method_bytes()),
        status: x.tally.status,
        version: version(head),
        duration: x.incoming.began.elapsed(),
        bytes_in: x.tally.bytes_in,
        bytes_out: x.tally.bytes_out,
    });
}

fn version(head: &RequestHead) -> ProtoVersion {
    match head.version {
        Version::Http10 => ProtoVersion::H1_0,
        Version::Http11 => ProtoVersion::H1_1,
    }
}
