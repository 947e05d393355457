//! A download that its server breaks off goes on at another one (RFC 9110 sections 13.1.5 and
//! 14.2): the client sees one answer, whole, or the cut.

use std::rc::Rc;

use croupier_http::rules::resume::Promise;
use croupier_net::{client::ClientStream, timers::Tick};
use croupier_telemetry::{Level, event};

use super::{
    asking::Interim,
    attempt::{self, Ask, Line, Outcome},
    choose::{self, But, Wishes},
    pay, report,
};
use crate::{
    answer::Dealt,
    exchange::Exchange,
    fault::Code,
    pool::retry::Repeatable,
    relay::{replay::Replay, upload::Upload},
};

/// What an answer promises, when the pool continues broken downloads.
pub(crate) fn promise(x: &Exchange, dealt: &Dealt) -> Option<Promise> {
    let incoming = &x.incoming;
    let pool = x.plan().pool(x.way()?.pool);
    // A request body is gone when its answer breaks.
    if !pool.resumes || !incoming.lawful.body.is_empty() {
        return None;
    }
    let (method, asked) = (incoming.head.method, &incoming.head.fields);
    Promise::of(method, asked, &dealt.head, dealt.body)
}

/// The missing part of a download from another server; None when nobody has it.
pub(crate) async fn run(
    x: &mut Exchange,
    conn: &mut ClientStream,
    promise: &Promise,
    broken: &mut Dealt,
    deadline: Tick,
) -> Option<Dealt> {
    let installed = Rc::clone(&x.installed);
    let route = installed.plan.route(x.route?);
    let way = route.action.ways().get(x.way?)?;
    let pool = installed.plan.pool(way.pool);
    let retry = way.retry.as_ref()?;
    let failed = &broken.lease.busy().server().name;
    let mut tried: Vec<usize> = (pool.servers.iter())
        .position(|plan| plan.server.name == *failed)
        .into_iter()
        .collect();
    let wishes = Wishes::of(&x.incoming, pool, false);
    let at = conn.body_sent();
    let range = promise.range_from(at);
    for _ in 0..retry.max {
        let but = But {
            tried: &tried,
            failing: false,
        };
        let (index, busy) = choose::pick(x, way, &wishes, but)?;
        let _paid = pay(pool, Some(retry))?;
        let plan = &pool.servers[index];
        x.tally.attempts += 1;
        x.worker.cells.server_retry(plan.server.slot);
        let ask = Ask {
            way,
            pool,
            plan,
            index,
            hedge: None,
            line: Line::Any,
            repeatable: Repeatable::Yes,
            may_leave: true,
            interim: Interim::Drop,
            extra: &[(b"range", range.as_bytes()), (b"if-range", &promise.tag)],
        };
        let replay = Replay::new(retry.replay, x.incoming.lawful.body, &x.worker.replays);
        let mut upload = Upload::new(None, replay);
        match attempt::run(x, conn, &ask, busy, &mut upload, deadline).await {
            Ok(Outcome::Other(_)) => return None,
            Ok(Outcome::Own(mut answered)) => {
                report::answered(
                    x,
                    pool,
                    answered.lease.busy(),
                    &answered.head,
                    answered.time,
                );
                let verdict = promise.check(at, &answered.head, answered.body);
                tell(&plan.server.name, &pool.name, at, verdict.err());
                if verdict.is_ok() {
                    upload.is_final();
                    return Some(Dealt {
                        lease: answered.lease,
                        head: answered.head,
                        body: answered.body,
                        upload,
                    });
                }
                x.worker.local.take_back_response(answered.head);
            }
            Err(mut failed) => {
                report::failed(x, pool, &mut failed.busy, failed.fault.code);
                if failed.fault.code == Code::ClientGone {
                    return None;
                }
            }
        }
        tried.push(index);
    }
    None
}

fn tell(
    server: &str,
    pool: &str,
    at: u64,
    mismatch: Option<croupier_http::rules::resume::Mismatch>,
) {
    let result = match mismatch {
        None => "goes on",
        Some(croupier_http::rules::resume::Mismatch::Status) => "not a 206",
        Some(croupier_http::rules::resume::Mismatch::Range) => "another range",
        Some(croupier_http::rules::resume::Mismatch::Representation) => "another representation",
    };
    event(
        Level::Info,
        "pool.resume",
        &[
            ("pool", &pool),
            ("server", &server),
            ("at", &at),
            ("result", &result),
        ],
    );
}
