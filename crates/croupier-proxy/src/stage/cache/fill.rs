//! An answer on its way into the cache: an exchange that nobody waits for.

use std::{
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use croupier_cache::{
    Object,
    rules::conditional::Validators,
    store::{Fill, Writer},
};
use croupier_http::{Name, NameSet};
use croupier_net::{
    NetError,
    client::{ClientStream, Keeper, Nobody},
    timers::{NEVER, Tick},
};

use super::{Ticket, conclude};
use crate::{
    answer::{Answer, Dealt},
    exchange::Exchange,
    fault::Fault,
    stage::{deliver, fetch},
    worker::spawn,
};

/// What of a client's request makes its answer less than the whole.
const OF_PARTS: NameSet = NameSet::of(&[
    Name::IF_NONE_MATCH,
    Name::IF_MODIFIED_SINCE,
    Name::IF_RANGE,
    Name::RANGE,
]);

/// The origin is asked for all of it, whatever the client has of it.
pub(super) fn ask_for_all(x: &mut Exchange) {
    x.asks.drop = OF_PARTS;
    x.asks.lines.clear();
}

/// The origin is asked whether what is held holds still (RFC 9111 section 4.3.1).
pub(super) fn ask_whether(x: &mut Exchange, held: &Object) {
    ask_for_all(x);
    let lines = Validators::of_lines(&held.lines).lines();
    (x.asks.lines).extend(lines.map(|(name, value)| (name, value.into())));
}

/// Takes a server's answer into the cache, whether its first client stays or not. Who wants it
/// reads it there.
pub(super) fn begin(x: &Exchange, dealt: Dealt, writer: Writer, deadline: Tick) {
    take(x, dealt, Box::new(Filler(Some(writer))), deadline);
}

/// Reads an answer that is of no use to its end, so that its connection is.
pub(super) fn discard(x: &Exchange, dealt: Dealt, deadline: Tick) {
    take(x, dealt, Box::new(Dropper), deadline);
}

fn take(x: &Exchange, dealt: Dealt, keeper: Box<dyn Keeper>, deadline: Tick) {
    let mut x = Exchange::beside(x);
    spawn::unattended(&Rc::clone(&x.worker), async move {
        let mut nobody = nobody(&x, keeper);
        let mut answer = Answer::Dealt(dealt);
        Box::pin(deliver::run(&mut x, &mut nobody, &mut answer, deadline)).await;
    });
}

/// Asks anew for what is held while it is given (RFC 5861 section 3).
pub(super) fn refresh(x: &Exchange, fill: Fill, held: &Arc<Object>) {
    let query = x.asks.query.clone();
    let mut x = Exchange::beside(x);
    // It is asked for by its key, as the client's own request would be.
    x.asks.query = query;
    let held = Arc::clone(held);
    spawn::unattended(&Rc::clone(&x.worker), async move {
        ask_whether(&mut x, &held);
        if let Err(fault) = Box::pin(ask(&mut x, fill, held)).await {
            x.failed(fault);
        }
    });
}

async fn ask(x: &mut Exchange, fill: Fill, held: Arc<Object>) -> Result<(), Fault> {
    let mut nobody = nobody(x, Box::new(Dropper));
    let deadline = fetch::set_out(x)?;
    let fetched = fetch::run(x, &mut nobody, deadline).await;
    let ticket = Ticket::Refresh(Some(fill), held);
    if let Answer::Dealt(dealt) = conclude(x, ticket, fetched, deadline)? {
        discard(x, dealt, NEVER);
    }
    Ok(())
}

/// The client's end of an exchange that has none.
pub(super) fn nobody(x: &Exchange, keeper: Box<dyn Keeper>) -> ClientStream {
    let peer = x.incoming.peer();
    ClientStream::Nobody(Box::new(Nobody::new(keeper, peer, &x.worker.local)))
}

/// Writes what comes into the store. Dropped before the end, it leaves nothing behind.
#[derive(Debug)]
struct Filler(Option<Writer>);

impl Keeper for Filler {
    fn poll_take(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        let Some(writer) = &mut self.0 else {
            return Poll::Ready(Err(NetError::Closed));
        };
        // Not ready while an answer that is not kept after all waits for its readers.
        ready!(writer.poll_ready(cx)).map_err(|_| NetError::Closed)?;
        writer.push(data);
        Poll::Ready(Ok(data.len()))
    }

    fn finish(&mut self) -> Result<(), NetError> {
        match self.0.take().map(Writer::finish) {
            Some(Err(_)) => Err(NetError::Truncated),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    fn cut(&mut self) {
        self.0 = None;
    }
}

/// Who takes what is of no use.
pub(super) fn dropper() -> Box<dyn Keeper> {
    Box::new(Dropper)
}

/// Takes what is of no use.
#[derive(Debug)]
struct Dropper;

impl Keeper for Dropper {
    fn poll_take(&mut self, _: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        Poll::Ready(Ok(data.len()))
    }

    fn finish(&mut self) -> Result<(), NetError> {
        Ok(())
    }

    fn cut(&mut self) {}
}
