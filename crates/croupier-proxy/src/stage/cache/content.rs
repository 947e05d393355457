//! QUERY: a request whose content says what is asked for (RFC 10008). It is read before anything is
//! looked up, becomes part of the key, and is sent from here when an origin has to be asked.

use std::{future::poll_fn, task::Poll};

use croupier_http::{BodyLen, Method};
use croupier_net::{
    client::ClientStream,
    side::Source as _,
    timers::{NEVER, Tick},
};

use crate::{
    exchange::Exchange,
    fault::{Code, Fault},
    incoming::Incoming,
    stage::inspect,
};

/// Longer content is not read ahead: such requests pass the cache by. Bytes.
const CONTENT_MAX: u64 = 64 << 10;

/// The fields that say what the content means (RFC 10008 section 2.7).
pub(super) const OF_CONTENT: [&[u8]; 3] =
    [b"content-type", b"content-encoding", b"content-language"];

/// May its answer be kept, since its content can be part of a key? Its length is said, and it comes
/// without being waited for.
pub(super) fn is_readable(incoming: &Incoming) -> bool {
    incoming.head.method == Method::Query
        && !incoming.lawful.expects_continue
        && match incoming.lawful.body {
            BodyLen::None => true,
            BodyLen::Length(length) => length <= CONTENT_MAX,
            BodyLen::Chunked | BodyLen::UntilClose => false,
        }
}

/// Reads the content. The clock begins anew with all that comes.
pub(super) async fn read(x: &mut Exchange, conn: &mut ClientStream) -> Result<(), Fault> {
    let time = x.times().client_body;
    let mut content = Vec::new();
    let mut until: Option<Tick> = None;
    poll_fn(|cx| {
        loop {
            match conn.poll_data(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(count)) => {
                    // No more than its length, which was looked at.
                    content.extend_from_slice(&conn.data()[..count]);
                    conn.consume(count);
                    until = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(inspect::body_fault(&error))),
                Poll::Pending => break,
            }
        }
        let timers = &x.worker.local.timers;
        let until =
            *until.get_or_insert_with(|| time.map_or(NEVER, |time| timers.after(Some(time))));
        conn.timer().arm(until);
        if conn.timer().is_expired(cx) {
            return Poll::Ready(Err(Code::ClientBodyTimeout.into()));
        }
        Poll::Pending
    })
    .await?;
    x.tally.bytes_in = content.len() as u64;
    x.asks.content = Some(content.into());
    Ok(())
}
