//! New connections to servers. One that several exchanges will share is made once for all who wait
//! for it, by a task of its own: whoever asked first may leave.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use croupier_net::{
    NetError,
    dial::is_ours,
    origin::{
        Manner, OriginConn, OriginStream,
        connect::{self, Made, Offer, To},
        h1::OriginLimits,
    },
    timers::{Tick, Timer},
};

use super::{
    idle::{Idle, Keeping, Next, Purpose, Which},
    room::{self, Room},
};
use crate::{
    fault::{Code, Fault},
    live::{Connected, Server},
};

/// What a connection is wanted to, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) server: &'a Arc<Server>,
    /// What an idle one would have to be like, and what is spoken.
    pub(crate) which: Which<'a>,
    /// Connections the server may have; 0: no limit.
    pub(crate) connections_max: u32,
    pub(crate) limits: &'a OriginLimits,
    /// What the connection begins with.
    pub(crate) hello: &'a [u8],
}

/// Makes a connection before `until`, or waits for somebody else's.
pub(crate) async fn dial(
    idle: &Rc<Idle>,
    wanted: Wanted<'_>,
    timer: &Timer,
    until: Tick,
) -> Result<OriginStream, Fault> {
    let (server, manner) = (wanted.server, wanted.which.manner);
    while idle.may_share(server, manner) && !is_hopeless(idle, wanted) {
        let each = idle.room_of(server, manner);
        let each = each.unwrap_or(wanted.limits.h2.streams as usize);
        let dial = match idle.dials.find(server, manner, each) {
            Some(dial) => dial,
            None => match begin(idle, wanted, timer, until).await? {
                Begun::Dial(dial) => dial,
                Begun::Had(stream) => return Ok(stream),
            },
        };
        dial.wait(timer, until).await?;
        if let Some(stream) = idle.take(server, wanted.which) {
            return Ok(stream);
        }
    }
    let connected = match find_room(idle, wanted, timer, until).await? {
        Room::New(connected) => connected,
        Room::Idle(stream) => return Ok(stream),
    };
    let offer = match wanted.which.purpose {
        Purpose::WebSocket if manner.may_share() => Offer::Http1,
        _ => Offer::All,
    };
    let to = to(server, manner, wanted.hello, offer);
    let made = connect::connect(to, &idle.local, wanted.limits, connected, (timer, until));
    match made.await.map_err(|error| fault(&error))? {
        Made::H1(connection) => quiet(connection).map(OriginStream::H1),
        Made::H2(shared, driver) => {
            if wanted.which.purpose == Purpose::WebSocket && !shared.takes_websockets() {
                return Err(Code::OriginWebsocket.into());
            }
            let stream = shared.open().ok_or(NO_STREAMS);
            if manner.is_for_all() {
                idle.share(server, manner, shared);
            }
            (idle.spawn)(Box::into_pin(driver));
            stream.map(OriginStream::H2)
        }
    }
}

fn to<'a>(server: &'a Server, manner: &'a Manner, hello: &'a [u8], offer: Offer) -> To<'a> {
    let host = server.authority.host();
    To {
        address: server.address(),
        name: if host.is_empty() { "localhost" } else { host },
        manner,
        hello,
        offer,
    }
}

/// A WebSocket is wanted, and what this server shares can not become one.
fn is_hopeless(idle: &Idle, wanted: Wanted<'_>) -> bool {
    wanted.which.purpose == Purpose::WebSocket
        && idle.takes_websockets(wanted.server, wanted.which.manner) == Some(false)
}

const NO_STREAMS: Fault = Fault {
    code: Code::OriginConnectFailed,
    detail: Some("the server allows no exchange on its HTTP/2 connections"),
};

/// Who speaks before it is asked would answer the wrong question.
fn quiet(connection: Box<OriginConn>) -> Result<Box<OriginConn>, Fault> {
    if connection.is_quiet() {
        Ok(connection)
    } else {
        Err(Code::OriginHeadMalformed.into())
    }
}

async fn find_room(
    idle: &Idle,
    wanted: Wanted<'_>,
    timer: &Timer,
    until: Tick,
) -> Result<Room, Fault> {
    let max = wanted.connections_max;
    let room = room::find(idle, wanted.server, max, wanted.which, timer, until).await;
    room.ok_or_else(|| Code::ProxyPoolBusy.into())
}

/// What a failure to connect is called.
fn fault(error: &NetError) -> Fault {
    match error {
        NetError::Timeout => Code::OriginConnectTimeout.into(),
        NetError::Io(error) if is_ours(error) => Code::ProxyExhausted.into(),
        NetError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Code::OriginConnectRefused.into()
        }
        NetError::Protocol(sentence) => Fault::because(Code::OriginConnectFailed, sentence),
        NetError::Tls(failure) => Fault::because(Code::OriginTls, failure.sentence()),
        _ => Code::OriginConnectFailed.into(),
    }
}

enum Begun {
    Dial(Rc<Dial>),
    /// While there was no room for a new one, another came to hand.
    Had(OriginStream),
}

async fn begin(
    idle: &Rc<Idle>,
    wanted: Wanted<'_>,
    timer: &Timer,
    until: Tick,
) -> Result<Begun, Fault> {
    let connected = match find_room(idle, wanted, timer, until).await? {
        Room::New(connected) => connected,
        Room::Idle(stream) => return Ok(Begun::Had(stream)),
    };
    let dial = idle.dials.begin(wanted.server, wanted.which.manner);
    let task = run(
        Rc::clone(idle),
        Rc::clone(&dial),
        *wanted.limits,
        connected,
        until,
    );
    (idle.spawn)(Box::pin(task));
    Ok(Begun::Dial(dial))
}

/// The task: makes the connection, tells who waits, and drives it to its end.
async fn run(
    idle: Rc<Idle>,
    dial: Rc<Dial>,
    limits: OriginLimits,
    connected: Connected,
    until: Tick,
) {
    let ending = Ending { idle, dial };
    let (idle, dial) = (&ending.idle, &ending.dial);
    let timer = idle.local.timers.timer();
    let to = to(&dial.server, &dial.manner, b"", Offer::All);
    let made = connect::connect(to, &idle.local, &limits, connected, (&timer, until)).await;
    drop(timer);
    let driver = match made {
        Ok(Made::H2(shared, driver)) if shared.room() > 0 => {
            idle.share(&dial.server, &dial.manner, shared);
            dial.end(Ok(()));
            Some(driver)
        }
        Ok(Made::H2(..)) => {
            dial.end(Err(NO_STREAMS));
            None
        }
        Ok(Made::H1(connection)) => {
            idle.carries_one(&dial.server, &dial.manner);
            dial.end(quiet(connection).map(|connection| {
                let keeping = Keeping {
                    kept_max: usize::MAX,
                    next: Next::Own,
                };
                idle.keep(&dial.server, connection, keeping);
            }));
            None
        }
        Err(error) => {
            dial.end(Err(fault(&error)));
            None
        }
    };
    drop(ending);
    if let Some(driver) = driver {
        driver.await;
    }
}

/// Takes a dial off the list, and ends it if nothing else did.
struct Ending {
    idle: Rc<Idle>,
    dial: Rc<Dial>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.dial.end(Err(Code::OriginConnectFailed.into()));
        let mut dials = self.idle.dials.0.borrow_mut();
        dials.retain(|dial| !Rc::ptr_eq(dial, &self.dial));
    }
}

/// Connections under way that several will share.
#[derive(Debug, Default)]
pub(super) struct Dials(RefCell<Vec<Rc<Dial>>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Dial {
    server: Arc<Server>,
    manner: Arc<Manner>,
    result: Cell<Option<Result<(), Fault>>>,
    /// How many wait, and who is to be woken.
    waiting: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
}

impl Dials {
    /// One that will have room for one more than wait already, at so many `each`.
    fn find(&self, server: &Arc<Server>, manner: &Manner, each: usize) -> Option<Rc<Dial>> {
        let dials = self.0.borrow();
        let mut same = dials.iter().filter(|dial| {
            Arc::ptr_eq(&dial.server, server)
                && dial.manner.id() == manner.id()
                && dial.waiting.get() < each
        });
        same.next().map(Rc::clone)
    }

    fn begin(&self, server: &Arc<Server>, manner: &Arc<Manner>) -> Rc<Dial> {
        let dial = Rc::new(Dial {
            server: Arc::clone(server),
            manner: Arc::clone(manner),
            result: Cell::new(None),
            waiting: Cell::new(0),
            wakers: RefCell::default(),
        });
        self.0.borrow_mut().push(Rc::clone(&dial));
        dial
    }
}

impl Dial {
    async fn wait(&self, timer: &Timer, until: Tick) -> Result<(), Fault> {
        let _place = Waiting::begin(self);
        timer.arm(until);
        poll_fn(|cx| match self.result.get() {
            Some(result) => Poll::Ready(result),
            None if timer.is_expired(cx) => Poll::Ready(Err(Code::OriginConnectTimeout.into())),
            None => {
                let mut wakers = self.wakers.borrow_mut();
                if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                    wakers.push(cx.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }

    /// Tells who waits; the first word counts.
    fn end(&self, result: Result<(), Fault>) {
        if self.result.get().is_none() {
            self.result.set(Some(result));
        }
        for waker in self.wakers.take() {
            waker.wake();
        }
    }
}

/// One more waits.
struct Waiting<'a>(&'a Dial);

impl<'a> Waiting<'a> {
    fn begin(dial: &'a Dial) -> Self {
        dial.waiting.set(dial.waiting.get() + 1);
        Self(dial)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
