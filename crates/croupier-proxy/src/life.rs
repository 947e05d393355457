//! The life of a connection, and of each exchange on it.
//!
//!   inspect -> route -> admit -> cache -> fetch -> cache -> shape -> deliver -> settle
//!
//! Read this file to know what happens to a request and in which order. A stage may end the
//! exchange early by giving an `Answer`; no stage but `deliver` writes to the client.

use std::rc::Rc;

use croupier_net::{
    NetError,
    client::{ClientConn, ClientStream, h2::H2Conn},
    timers::{NEVER, Tick},
};

use crate::{
    answer::Answer,
    exchange::{Begun, Exchange},
    fault::Fault,
    stage::{
        admit,
        cache::{self, Looked, Ticket},
        deliver, encode, fetch,
        greet::{self, Greeted, Http2},
        inspect, rescue, route, secure,
    },
    worker::{
        Worker,
        entrance::Entrance,
        spawn::{self, Seat},
    },
};

/// One client connection, from accept to close.
///
/// A block that captures, not an `async fn`: arguments of the latter are kept twice, and this
/// future is what an idle connection costs.
pub(crate) fn connection(
    w: Rc<Worker>,
    entrance: Rc<Entrance>,
    conn: ClientConn,
    mut seat: Seat,
) -> impl Future<Output = ()> {
    // Out here: what the block makes itself lies beside what it captures.
    let mut client = ClientStream::H1(conn);
    async move {
        match greet::run(&w, &entrance, &mut client, &mut seat).await {
            // `is_next` ends when the client leaves, falls idle, or when this worker drains.
            Greeted::Http1 => {
                while client.is_next(w.client_times()).await {
                    // Boxed, so that an idle connection is as small as what it waits with.
                    Box::pin(exchange(&w, &mut client, &entrance)).await;
                }
            }
            Greeted::Http2(http2) => {
                drop(client);
                return Box::pin(multiplexed(w, entrance, *http2, seat)).await;
            }
            Greeted::Silence => {}
            Greeted::Over => return,
        }
        let (bytes_max, time) = w.drain_limits();
        Box::pin(client.close(bytes_max, time)).await;
        drop(seat);
    }
}

/// One client connection that carries many exchanges at a time.
async fn multiplexed(w: Rc<Worker>, entrance: Rc<Entrance>, http2: Http2, seat: Seat) {
    let Http2 { io, ahead, peer } = http2;
    let installed = w.installed();
    let limits = &installed.plan.limits;
    let opening = H2Conn::open(io, ahead, peer, &w.local, &limits.client, &limits.h2);
    let Ok(mut conn) = opening.await else {
        return;
    };
    drop(installed);
    while let Some(stream) = conn.next(&w.client_limits(), w.send_time()).await {
        if entrance.is_closed() {
            conn.end();
        }
        let (w, entrance) = (Rc::clone(&w), Rc::clone(&entrance));
        spawn::exchange(async move {
            let mut client = ClientStream::H2(Box::new(stream));
            // Boxed, since the runtime moves a task about as a whole.
            Box::pin(exchange(&w, &mut client, &entrance)).await;
        });
    }
    drop(seat);
}

/// One request and its answer.
async fn exchange(w: &Rc<Worker>, conn: &mut ClientStream, entrance: &Entrance) {
    let mut x = Exchange::open(w, conn, entrance.plan(w)); // pins the plan for as long as it lives
    let limits = x.plan().limits.client;
    let received = conn.read_head(&limits, &mut x.incoming.head).await;
    if let Err(NetError::Closed) = received {
        conn.close_after();
        return; // nothing was asked
    }
    if entrance.is_closed() {
        conn.close_after();
    }
    x.tally.begun = Begun::Yes;
    (x.incoming.began, x.incoming.unix_ms) = w.moment();
    let mut deadline = NEVER;
    let mut answer = match decide(&mut x, conn, received, &mut deadline).await {
        Ok(answer) => answer,
        Err(fault) => rescue::answer(&mut x, conn, fault),
    };
    x.recoding = encode::decide(&x, &mut answer);
    deliver::run(&mut x, conn, &mut answer, deadline).await;
}

/// Finds the answer: from a rule of the route, from the cache, or from an origin.
async fn decide(
    x: &mut Exchange,
    conn: &mut ClientStream,
    received: Result<(), NetError>,
    deadline: &mut Tick,
) -> Result<Answer, Fault> {
    received.map_err(|error| inspect::head_fault(&error))?;
    let installed = Rc::clone(&x.installed);
    let judged = inspect::check(&installed.plan, &mut x.incoming);
    // Whatever the verdict: a body that is known to come must not be read as a request.
    conn.expect_body(x.incoming.lawful.body);
    judged?;
    if let Some(answer) = secure::run(x)? {
        return Ok(answer);
    }
    let id = route::find(&installed.plan, x.site, &x.incoming)?;
    x.route = Some(id);
    if let Some(answer) = admit::run(x) {
        return Ok(answer);
    }
    let ticket = match cache::look_up(x, conn).await? {
        Looked::Answer(answer) => return Ok(answer),
        Looked::Ask(ticket) => ticket,
    };
    *deadline = fetch::set_out(x)?;
    if matches!(ticket, Ticket::Skip) {
        // The cache has no part in it: an answer is large, and every hand it goes through copies it.
        return fetch::run(x, conn, *deadline).await;
    }
    let fetched = fetch::run(x, conn, *deadline).await;
    let (ticket, fetched) = cache::complete(x, conn, ticket, fetched, *deadline).await;
    cache::conclude(x, ticket, fetched, *deadline)
}

#[cfg(test)]
mod tests {
    use croupier_net::client::ClientStream;

    use super::connection;

    /// The size of what a function gives.
    fn size_of_given<A, B, C, D, R>(_: impl FnOnce(A, B, C, D) -> R) -> usize {
        size_of::<R>()
    }

    /// The bar is 1.3 KiB of memory for an idle connection, its task and socket with it.
    #[test]
    fn a_connection_that_waits_is_little_more_than_its_wire() {
        let waits = size_of_given(connection);
        let wire = size_of::<ClientStream>();
        assert!(
            waits <= wire + 200,
            "{waits} bytes, {wire} of them the wire"
        );
    }
}
