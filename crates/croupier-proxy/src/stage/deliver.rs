//! Stage 6: out it goes. The only writer to the client.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
};

use croupier_coding::{Decoder, Limits};
use croupier_http::{BodyLen, Method, Name, ResponseHead};
use croupier_net::{
    NetError,
    client::ClientStream,
    side::{Sink as _, Source as _},
    splice::Failure,
    timers::{NEVER, Tick, ticks},
};

use super::{
    fetch::{report, resume},
    inspect,
    shape::{DealtLines, KeptLines, MadeLines},
    tunnel,
};
use crate::{
    answer::{Answer, Dealt, Made},
    exchange::{Exchange, Recoding},
    fault::{Code, Fault},
    grpc,
    kept::{Kept, KeptBody},
    plan::Times,
    relay::{Pump, Side, recode::Recode},
};

/// Sends the answer and leaves the client connection fit for the next exchange, or closing. The
/// answer is lent: futures keep what they are given twice.
pub(crate) async fn run(
    x: &mut Exchange,
    conn: &mut ClientStream,
    answer: &mut Answer,
    deadline: Tick,
) {
    // Bytes behind a request for a tunnel that did not come about were meant for the tunnel: they
    // are never read as a request (RFC 9931).
    if x.incoming.lawful.wants_websocket && !matches!(answer, Answer::Switch(_)) {
        conn.close_after_refusal();
    }
    if x.worker.local.is_draining() {
        conn.close_after();
    }
    match answer {
        Answer::Dealt(dealt) => self::dealt(x, conn, dealt, deadline).await,
        Answer::Switch(dealt) => Box::pin(tunnel::run(x, conn, dealt)).await,
        Answer::Kept(kept) => self::kept(x, conn, kept).await,
        Answer::Made(made) => Box::pin(self::made(x, conn, made)).await,
        Answer::Silence => conn.close_after(),
    }
    // Its server is free again, whatever the client still has to say.
    *answer = Answer::Silence;
    settle_body(x, conn).await;
}

/// A request body that nobody read must not become the next request: it is read and dropped
/// within limits, else the connection closes.
async fn settle_body(x: &Exchange, conn: &mut ClientStream) {
    if conn.is_persistent() && !conn.has_received_all() {
        let limits = &x.plan().limits;
        let draining = Box::pin(conn.drain_body(limits.drain_bytes, limits.drain_time));
        if !draining.await {
            conn.close_after();
        }
    }
}

async fn made(x: &mut Exchange, conn: &mut ClientStream, made: &Made) {
    let unread = conn.body_left();
    // A client that waits for `100 Continue` may or may not send its body now; one with a long
    // or endless body would keep us reading.
    let may_drain = unread.is_some_and(|left| left <= x.plan().limits.drain_bytes);
    if !conn.has_received_all() && (x.incoming.lawful.expects_continue || !may_drain) {
        conn.close_after();
    }
    let body = made.body.as_slice();
    let head = ResponseHead::of_status(made.status);
    let is_head = x.incoming.head.method == Method::Head;
    let length = body.len() as u64;
    let none = is_head || matches!(made.status, 204 | 304);
    let framing = if none {
        BodyLen::None
    } else {
        BodyLen::Length(length)
    };
    let declared = (is_head && length_may_be_declared(made.status)).then_some(length);
    conn.send_head(&head, framing, declared, &MadeLines { x, made });
    x.tally.status = made.status;
    x.tally.ttfb = Some(x.incoming.began.elapsed());
    let rest = if none { &[][..] } else { body };
    let sent = conn.send_whole(rest, x.times().client_send).await;
    x.tally.bytes_out = conn.body_sent();
    if let Err(error) = sent {
        conn.close_after();
        if x.tally.fault.is_none() {
            x.failed(send_fault(&error));
        }
    }
}

/// An answer of the cache: one that lies in memory leaves with its head, one that still arrives as
/// it arrives.
async fn kept(x: &mut Exchange, conn: &mut ClientStream, kept: &mut Kept) {
    let head = ResponseHead::of_status(kept.status);
    let mut recode = recode(x, kept.framing);
    let framing = framing(kept.framing, recode.as_ref());
    let is_recoded = matches!(x.recoding, Recoding::Encode(_) | Recoding::Decode(_));
    let declared = kept.declared.filter(|_| !is_recoded);
    conn.send_head(&head, framing, declared, &KeptLines { x, kept });
    x.tally.status = kept.status;
    x.tally.ttfb = Some(x.incoming.began.elapsed());
    let ended = match (&kept.body, &mut recode) {
        // Over HTTP/2 large ones are shared, piece by piece as there is room.
        (KeptBody::Nothing | KeptBody::Memory { .. } | KeptBody::Form { .. }, None)
            if !(is_shared(conn) && kept.body.data().len() >= SHARED_BYTES) =>
        {
            let sent = conn.send_whole(kept.body.data(), x.times().client_send);
            sent.await.map_err(|error| send_fault(&error))
        }
        (_, recode) => Box::pin(send_kept(x, conn, &mut kept.body, recode)).await,
    };
    give_back(x, recode);
    x.tally.bytes_out = conn.body_sent();
    let Err(fault) = ended else { return };
    if fault.is_of_origin() {
        // Counted and told of where it was fetched.
        x.tally.fault = Some(fault);
        conn.cut();
        let _ = conn.flush(x.times().client_send).await;
    } else {
        conn.cut();
        x.failed(fault);
    }
}

/// From here on it costs less to share bytes with a connection than to copy them.
const SHARED_BYTES: usize = 16 << 10;

fn is_shared(conn: &ClientStream) -> bool {
    matches!(conn, ClientStream::H2(_))
}

/// Sends a body that is not all at hand, or not at once.
async fn send_kept(
    x: &mut Exchange,
    conn: &mut ClientStream,
    body: &mut KeptBody,
    recode: &mut Option<Recode>,
) -> Result<(), Fault> {
    let mut pump = Pump::new();
    let time = x.times().client_send;
    let mut progress = (0, Side::Source);
    let mut until = NEVER;
    let worker = Rc::clone(&x.worker);
    poll_fn(|cx| {
        let pipes = &worker.local.pipes;
        let in_kernel = match (&mut *body, &recode) {
            (KeptBody::Lying(lying), None) => lying.poll_move(cx, conn),
            _ => Poll::Ready(Ok(())),
        };
        let polled = match (in_kernel, &mut *recode) {
            (Poll::Ready(Ok(())), None) => pump.poll(cx, body, conn, pipes),
            (Poll::Ready(Ok(())), Some(recode)) => {
                pump.poll(cx, &mut recode.with(body), conn, pipes)
            }
            (Poll::Ready(Err(NetError::Truncated)), _) => {
                Poll::Ready(Err(Failure::Source(NetError::Truncated)))
            }
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(Failure::Sink(error))),
            (Poll::Pending, _) => {
                pump.waits_for = Side::Sink;
                Poll::Pending
            }
        };
        match polled {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(Failure::Source(error))) => {
                return Poll::Ready(Err(origin_body_fault(&error)));
            }
            Poll::Ready(Err(Failure::Sink(error))) => {
                return Poll::Ready(Err(send_fault(&error)));
            }
            Poll::Pending => {}
        }
        if conn.has_received_all() && conn.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        // Whoever fetches it watches the origin's clock.
        if (conn.body_sent(), pump.waits_for) != progress {
            progress = (conn.body_sent(), pump.waits_for);
            until = match pump.waits_for {
                Side::Source => NEVER,
                Side::Sink => worker.local.timers.after(time),
            };
        }
        conn.timer().arm(until);
        if conn.timer().is_expired(cx) {
            return Poll::Ready(Err(Code::ClientSendTimeout.into()));
        }
        Poll::Pending
    })
    .await
}

fn send_fault(error: &NetError) -> Fault {
    match error {
        NetError::Timeout => Code::ClientSendTimeout.into(),
        _ => Code::ClientGone.into(),
    }
}

async fn dealt(x: &mut Exchange, conn: &mut ClientStream, dealt: &mut Dealt, deadline: Tick) {
    // A client that waits for `100 Continue` and gets this instead may or may not send its body
    // now: nobody can say what its next bytes are.
    if x.incoming.lawful.expects_continue && conn.body_received() == 0 && !conn.has_received_all() {
        conn.close_after();
    }
    let mut recode = recode(x, dealt.body);
    let declared = declared(x, &dealt.head);
    let lines = DealtLines {
        x,
        head: &dealt.head,
    };
    let framing = framing(dealt.body, recode.as_ref());
    conn.send_head(&dealt.head, framing, declared, &lines);
    x.tally.status = dealt.head.status;
    let mut promise = None;
    let (mut resumes, mut resumed_at) = (0, None);
    let mut ended = move_bodies(x, conn, (dealt, &mut recode), deadline).await;
    while let Err(fault) = ended {
        report::broke(x, dealt, fault.code);
        // What the client has of a recoded body is not what the next server would go on from.
        if recode.is_some() {
            break;
        }
        // Servers that give a part, or only a head, each time would keep us for ever.
        let at = Some(conn.body_sent());
        if !breaks_a_download(fault.code) || resumed_at == at || resumes == RESUMES_MAX {
            break;
        }
        resumes += 1;
        resumed_at = at;
        // Of the first answer: the others are parts.
        promise = promise.or_else(|| resume::promise(x, dealt));
        let Some(promise) = &promise else { break };
        let resuming = Box::pin(resume::run(x, conn, promise, dealt, deadline));
        let Some(rest) = resuming.await else {
            break;
        };
        x.failed(fault);
        x.tally.fault = None;
        x.worker
            .local
            .take_back_response(std::mem::take(&mut dealt.head));
        *dealt = rest;
        x.tally.server = Some(dealt.lease.busy().server().clone());
        ended = move_bodies(x, conn, (dealt, &mut recode), deadline).await;
    }
    give_back(x, recode);
    x.tally.bytes_out = conn.body_sent();
    if let Err(fault) = ended {
        x.failed(fault);
        if !tell_call(x, conn, dealt, fault).await {
            conn.cut();
        }
        if fault.is_of_origin() {
            // What did come belongs to the client; whether it arrives changes nothing here.
            let _ = conn.flush(x.times().client_send).await;
        }
    } else if !dealt.upload.has_ended() {
        // Answered before the request was read: its server closes, what is left of the body is
        // dropped by `settle_body`.
        dealt.upload.stop();
    }
    x.worker
        .local
        .take_back_response(std::mem::take(&mut dealt.head));
}

/// A call whose answer breaks off ends with trailers that say why, which HTTP/2 can always carry:
/// a reset would be a riddle to its client. False when it has to be cut.
async fn tell_call(x: &Exchange, conn: &mut ClientStream, dealt: &Dealt, fault: Fault) -> bool {
    let may_be_told = matches!(conn, ClientStream::H2(_))
        && !matches!(dealt.body, BodyLen::None | BodyLen::Length(_))
        && !matches!(fault.code, Code::ClientGone | Code::ClientSendTimeout)
        && grpc::is_call(&x.incoming.head.fields)
        && grpc::is_call(&dealt.head.fields);
    if !may_be_told {
        return false;
    }
    let trailers = grpc::trailers(&x.incoming, fault);
    let told = poll_fn(|cx| conn.poll_finish(cx, Some(&trailers))).await;
    told.is_ok()
}

/// So often one download goes on at another server.
const RESUMES_MAX: u32 = 16;

/// Runs both bodies to their ends.
async fn move_bodies(
    x: &mut Exchange,
    conn: &mut ClientStream,
    (dealt, recode): (&mut Dealt, &mut Option<Recode>),
    deadline: Tick,
) -> Result<(), Fault> {
    let mut delivering = Delivering {
        recode,
        download: Pump::new(),
        since: x.worker.local.timers.now(),
        progress: (0, 0, Side::Source),
        times: x.times(),
        x,
        conn,
        dealt,
        deadline,
    };
    poll_fn(|cx| delivering.poll(cx)).await
}

/// The server has broken off, or does not go on.
fn breaks_a_download(code: Code) -> bool {
    matches!(
        code,
        Code::OriginBodyTruncated
            | Code::OriginBodyTimeout
            | Code::OriginReset
            | Code::OriginClosed
    )
}

/// May an answer to HEAD speak of the length that GET would get (RFC 9110 section 8.6)?
fn length_may_be_declared(status: u16) -> bool {
    !matches!(status, 204 | 304)
}

/// The coder that the answer's body goes through, if it does.
fn recode(x: &mut Exchange, body: BodyLen) -> Option<Recode> {
    let made = coder(x, body);
    // Without memory for a coder the body goes as it is, and its head says so.
    let is_coded = matches!(x.recoding, Recoding::Encode(_) | Recoding::Decode(_));
    if made.is_none() && is_coded && body != BodyLen::None {
        x.recoding = Recoding::Nothing;
    }
    made
}

fn coder(x: &Exchange, body: BodyLen) -> Option<Recode> {
    let length = match body {
        BodyLen::None => return None,
        BodyLen::Length(length) => Some(length),
        BodyLen::Chunked | BodyLen::UntilClose => None,
    };
    let room = || x.worker.local.buffers.lend_output();
    match x.recoding {
        Recoding::Nothing | Recoding::Chosen | Recoding::Before | Recoding::Made(_) => None,
        Recoding::Encode(coding) => {
            let encoder = x.worker.coders.lend(coding, length).ok()?;
            Some(Recode::encoding(encoder, room()))
        }
        Recoding::Decode(coding) => {
            let decoder = Decoder::new(coding, Limits::default()).ok()?;
            Some(Recode::decoding(decoder, room()))
        }
    }
}

/// How long a recoded body is shows at its end.
fn framing(body: BodyLen, recode: Option<&Recode>) -> BodyLen {
    match (body, recode) {
        (BodyLen::None, _) | (_, None) => body,
        (_, Some(_)) => BodyLen::Chunked,
    }
}

fn give_back(x: &Exchange, recode: Option<Recode>) {
    let Some(recode) = recode else { return };
    let (encoder, room) = recode.into_parts();
    if let Some(encoder) = encoder {
        x.worker.coders.take_back(encoder);
    }
    x.worker.local.buffers.take_back_output(room);
}

/// The length that a response without body speaks of.
fn declared(x: &Exchange, head: &ResponseHead) -> Option<u64> {
    if x.incoming.head.method != Method::Head
        || !length_may_be_declared(head.status)
        || matches!(x.recoding, Recoding::Encode(_) | Recoding::Decode(_))
    {
        return None;
    }
    let value = head.fields.get(Name::CONTENT_LENGTH)?;
    str::from_utf8(value).ok()?.parse().ok()
}

/// Both bodies on their way.
struct Delivering<'a> {
    x: &'a mut Exchange,
    conn: &'a mut ClientStream,
    dealt: &'a mut Dealt,
    recode: &'a mut Option<Recode>,
    download: Pump,
    times: Times,
    deadline: Tick,
    since: Tick,
    progress: (u64, u64, Side),
}

impl Delivering<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let pipes = &self.x.worker.local.pipes;
        let origin = self.dealt.lease.connection();
        let client = &mut *self.conn;
        if !self.dealt.upload.is_over() {
            match self.dealt.upload.poll(cx, client, origin, pipes) {
                Poll::Ready(Err(Failure::Source(error))) => {
                    return Poll::Ready(Err(inspect::body_fault(&error)));
                }
                Poll::Ready(Err(Failure::Sink(_))) => self.dealt.upload.stop(),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            self.x.tally.bytes_in = self.dealt.upload.moved();
        }
        let polled = match self.recode {
            None => self.download.poll(cx, origin, client, pipes),
            Some(recode) => (self.download).poll(cx, &mut recode.with(origin), client, pipes),
        };
        match polled {
            Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
            Poll::Ready(Err(Failure::Source(error))) => {
                return Poll::Ready(Err(origin_body_fault(&error)));
            }
            Poll::Ready(Err(Failure::Sink(error))) => {
                return Poll::Ready(Err(send_fault(&error)));
            }
            Poll::Pending => {}
        }
        if client.has_received_all() && client.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Code::ClientGone.into()));
        }
        self.poll_deadline(cx)
    }

    /// The clock of the side we wait for begins anew with every byte that moves.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let now = self.x.worker.local.timers.now();
        let progress = (
            self.download.moved,
            self.dealt.upload.moved(),
            self.download.waits_for,
        );
        if progress != self.progress {
            self.progress = progress;
            self.since = now;
        }
        let (time, code) = match self.download.waits_for {
            Side::Source => (self.times.response_body, Code::OriginBodyTimeout),
            Side::Sink => (self.times.client_send, Code::ClientSendTimeout),
        };
        let until = time.map_or(NEVER, |time| self.since.saturating_add(ticks(time)));
        self.conn.timer().arm(until.min(self.deadline));
        if !self.conn.timer().is_expired(cx) {
            return Poll::Pending;
        }
        let code = if self.deadline <= now {
            Code::ProxyTimeout
        } else {
            code
        };
        Poll::Ready(Err(code.into()))
    }
}

fn origin_body_fault(error: &NetError) -> Fault {
    match error {
        NetError::Chunk(error) => Fault::because(Code::OriginBodyMalformed, error.sentence()),
        NetError::Timeout => Code::OriginBodyTimeout.into(),
        _ => Code::OriginBodyTruncated.into(),
    }
}
