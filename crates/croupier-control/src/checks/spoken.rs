//! Checks of servers that speak something else than plain HTTP/1: by the client of the data plane,
//! so that what is checked is what requests will meet.

use std::{future::poll_fn, rc::Rc, sync::Arc, task::Poll};

use croupier_http::{
    BodyLen, Fields, Method, ResponseHead,
    h1::{chunked::ChunkLimits, scan::HeadLimits},
};
use croupier_net::{
    Local, NetError,
    address::Address,
    dial::is_ours,
    h2::H2Limits,
    origin::{
        Manner, OriginStream,
        connect::{Made, Offer, To, connect},
        h1::OriginLimits,
    },
    side::{Sink as _, Source as _},
    timers::NEVER,
};
use croupier_proxy::live::{
    Reason,
    policy::{CheckKind, HttpCheck},
};

use super::answer::{BODY_BYTES, HEAD_BYTES, holds};

/// Of one exchange on a connection of its own.
const LIMITS: OriginLimits = OriginLimits {
    head: HeadLimits {
        head_bytes: HEAD_BYTES,
        target_bytes: HEAD_BYTES,
        fields: 200,
        field_bytes: HEAD_BYTES,
    },
    chunks: ChunkLimits {
        line_bytes: 256,
        trailer_bytes: 8 << 10,
        trailers: 32,
    },
    h2: H2Limits {
        streams: 1,
        requests: 1,
        window: 65_535,
        stream_window: 65_535,
        resets: 10,
        control_frames: 100,
    },
};

/// Interim heads before the answer.
const INTERIM_MAX: u32 = 32;

/// `SERVING` (grpc.health.v1).
const SERVING: u64 = 1;

/// How a server is spoken to.
#[derive(Debug)]
pub(super) struct Speech {
    pub(super) manner: Arc<Manner>,
    /// What a connection begins with.
    pub(super) hello: Vec<u8>,
    /// The host that a certificate must show.
    pub(super) name: String,
}

/// A request in the form of HTTP/1, all of its head, and its body.
pub(super) struct Request<'a> {
    pub(super) head: &'a [u8],
    pub(super) body: &'a [u8],
}

/// Asks. None when it failed for a reason of ours.
pub(super) async fn ask(
    local: &Rc<Local>,
    address: &Address,
    speech: &Speech,
    request: Request<'_>,
    kind: &CheckKind,
) -> Option<Result<(), Reason>> {
    let timer = local.timers.timer();
    let to = To {
        address,
        name: &speech.name,
        manner: &speech.manner,
        hello: &speech.hello,
        offer: Offer::All,
    };
    let made = match connect(to, local, &LIMITS, (), (&timer, NEVER)).await {
        Ok(made) => made,
        Err(NetError::Io(error)) if is_ours(&error) => return None,
        Err(NetError::Tls(_)) => return Some(Err("check.tls")),
        Err(_) => return Some(Err("check.connect")),
    };
    let (mut stream, _driving) = match made {
        Made::H1(connection) => (OriginStream::H1(connection), None),
        Made::H2(shared, driver) => {
            let driving = Driving(tokio::task::spawn_local(driver));
            match shared.open() {
                Some(stream) => (OriginStream::H2(stream), Some(driving)),
                None => return Some(Err("check.connect")),
            }
        }
    };
    Some(match kind {
        CheckKind::Connect => Ok(()),
        CheckKind::Http(check) => http(&mut stream, &request, check).await,
        CheckKind::Grpc(_) => grpc(&mut stream, &request).await,
    })
}

/// A connection's task, which ends with the check.
struct Driving(tokio::task::JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn http(
    stream: &mut OriginStream,
    request: &Request<'_>,
    check: &HttpCheck,
) -> Result<(), Reason> {
    let method = Method::from_bytes(check.method.as_bytes());
    let head = exchange(stream, request, method).await?;
    if !check
        .statuses
        .iter()
        .any(|range| range.contains(&head.status))
    {
        return Err("check.status");
    }
    let Some(text) = &check.body else {
        return Ok(());
    };
    let found = |body: &[u8]| holds(body, text.as_bytes());
    let (body, _) = body(stream, found).await;
    if found(&body) {
        Ok(())
    } else {
        Err("check.body")
    }
}

async fn grpc(stream: &mut OriginStream, request: &Request<'_>) -> Result<(), Reason> {
    let head = exchange(stream, request, Method::Post).await?;
    if head.status != 200 {
        return Err("check.status");
    }
    let (body, trailers) = body(stream, |_| false).await;
    // An answer without message has its trailers in its head.
    let status = |fields: &Fields| {
        let mut all = fields.all_named(b"grpc-status");
        all.next().map(<[u8]>::to_vec)
    };
    let status = trailers
        .as_ref()
        .and_then(status)
        .or_else(|| status(&head.fields));
    if status.as_deref() == Some(b"0") && serving(&body) == Some(SERVING) {
        Ok(())
    } else {
        Err("check.grpc")
    }
}

/// Sends the request and waits for the head of its answer.
async fn exchange(
    stream: &mut OriginStream,
    request: &Request<'_>,
    method: Method,
) -> Result<ResponseHead, Reason> {
    let length = match request.body.len() {
        0 => BodyLen::None,
        length => BodyLen::Length(length as u64),
    };
    stream.send_encoded(request.head, length);
    let mut rest = request.body;
    let mut head = ResponseHead::default();
    let mut sending = true;
    poll_fn(|cx| {
        while sending {
            let polled = if rest.is_empty() {
                stream.poll_finish(cx, None).map_ok(|()| None)
            } else {
                stream.poll_send(cx, rest).map_ok(Some)
            };
            match polled {
                Poll::Ready(Ok(Some(count))) => rest = &rest[count..],
                // It may have answered before it closed: the head will tell.
                Poll::Ready(_) => sending = false,
                Poll::Pending => break,
            }
        }
        loop {
            match stream.poll_head(cx, method, &LIMITS, &mut head) {
                Poll::Ready(Ok(_)) if !head.is_interim() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) if stream.interim() <= INTERIM_MAX => {}
                Poll::Ready(Ok(_)) => return Poll::Ready(Err("check.head")),
                Poll::Ready(Err(NetError::Closed | NetError::Io(_) | NetError::Reset)) => {
                    return Poll::Ready(Err("check.closed"));
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err("check.head")),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await?;
    Ok(head)
}

/// The body as far as it is looked at, until it is `enough`, and its trailers.
async fn body(
    stream: &mut OriginStream,
    enough: impl Fn(&[u8]) -> bool,
) -> (Vec<u8>, Option<Fields>) {
    let mut body = Vec::new();
    poll_fn(|cx| {
        loop {
            match stream.poll_data(cx) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready((std::mem::take(&mut body), stream.trailers()));
                }
                Poll::Ready(Ok(count)) => {
                    let room = BODY_BYTES - body.len();
                    body.extend_from_slice(&stream.data()[..count.min(room)]);
                    stream.consume(count);
                    if enough(&body) || body.len() >= BODY_BYTES {
                        return Poll::Ready((std::mem::take(&mut body), None));
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready((std::mem::take(&mut body), None)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// The message of a request of grpc.health.v1.Health/Check, with its prefix.
pub(super) fn health_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a); // field 1, a string
        varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut body = vec![0]; // not compressed
    body.extend_from_slice(&length.to_be_bytes());
    body.extend(message);
    body
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The status of a HealthCheckResponse, in its prefix; None when that is none.
fn serving(body: &[u8]) -> Option<u64> {
    let (prefix, message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || message.len() as u64 != u64::from(length) {
        return None;
    }
    // One field, number 1, a number; a message without it says 0.
    match message {
        [] => Some(0),
        [0x08, status @ ..] => {
            let (last, more) = status.split_last()?;
            let is_varint = *last < 0x80 && more.iter().all(|byte| *byte >= 0x80);
            (is_varint && status.len() <= 9).then(|| {
                let digits = status.iter().rev();
                digits.fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f))
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{health_request, serving};

    #[test]
    fn messages_of_health_checks() {
        assert_eq!(health_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(health_request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(health_request(&"x".repeat(200))[5..8], [0x0a, 0xc8, 1]);
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(serving(&[0, 0, 0, 0, 3, 8, 0x81, 1]), Some(129));
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Some(0));
        for bad in [
            &[0, 0, 0][..],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 9, 8, 1],
            &[0, 0, 0, 0, 2, 8, 0x81],
            &[0, 0, 0, 0, 1, 8],
        ] {
            assert_eq!(serving(bad), None, "{bad:?}");
        }
    }
}
