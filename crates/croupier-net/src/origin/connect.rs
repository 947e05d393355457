//! Makes a connection to a server on which heads may be sent: dials, and says and hears what comes
//! before them.

use std::{future::poll_fn, io, rc::Rc, task::Poll, time::Duration};

use super::{
    Manner, OriginConn,
    h1::{Guard, OriginLimits},
    h2::{self, Driver, Scheme, Shared},
    manner::Protocol,
};
use crate::{
    address::Address,
    dial::dial,
    error::NetError,
    local::Local,
    timers::{Tick, Timer},
    tls::{self, Alpn},
    transport::Transport,
};

/// To whom, and how.
#[derive(Clone, Copy, Debug)]
pub struct To<'a> {
    /// Where it is.
    pub address: &'a Address,
    /// The host it is known by, for TLS.
    pub name: &'a str,
    /// What is spoken.
    pub manner: &'a Manner,
    /// What the connection begins with, before anything else.
    pub hello: &'a [u8],
    /// What of it is offered.
    pub offer: Offer,
}

/// What is offered over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// What the manner has.
    All,
    /// HTTP/1.1: a WebSocket needs it where HTTP/2 has none.
    Http1,
}

/// A connection just made.
#[derive(Debug)]
pub enum Made {
    /// It carries one exchange at a time.
    H1(Box<OriginConn>),
    /// It carries several, while somebody runs its driver.
    H2(Rc<Shared>, Box<Driver>),
}

/// Connects before `until`. `guard` is dropped when the connection has closed.
///
/// # Errors
/// `Timeout`, what the operating system says, or what the server says otherwise than expected.
pub async fn connect(
    to: To<'_>,
    local: &Rc<Local>,
    limits: &OriginLimits,
    guard: impl Guard + 'static,
    (timer, until): (&Timer, Tick),
) -> Result<Made, NetError> {
    let mut stream = dial(to.address, until, timer).await?;
    if to.manner.may_share() {
        watch_over(&stream);
    }
    if !to.hello.is_empty() {
        say(&mut stream, to.hello, (timer, until)).await?;
    }
    let scheme = match to.manner.protocol() {
        Protocol::Http1 => None,
        Protocol::H2c => Some(Scheme::Http),
        Protocol::Https(https) => {
            let tls = match (to.offer, &https.without_http2) {
                (Offer::Http1, Some(tls)) => tls,
                _ => &https.tls,
            };
            let name = https.name.as_deref().unwrap_or(to.name);
            let shaking = tls::connect::connect(stream, tls, name, local, timer, until);
            let (secured, alpn) = Box::pin(shaking).await?;
            stream = secured;
            (alpn == Alpn::Http2).then_some(Scheme::Https)
        }
    };
    let Some(scheme) = scheme else {
        let connection = OriginConn::new(stream, local, limits).made_by(to.manner.id());
        return Ok(Made::H1(Box::new(connection.guarded(guard))));
    };
    let guard = Some(Box::new(guard) as Box<dyn Guard>);
    let own = (local.timers.timer(), until);
    let (shared, driver) = h2::connect(stream, scheme, local, limits, guard, own).await?;
    Ok(Made::H2(shared, Box::new(driver)))
}

/// A host that is gone without a word is noticed by the kernel: nobody may wait for it who would
/// tell. In about 25 seconds, and it costs a busy connection nothing.
fn watch_over(stream: &Transport) {
    if let Transport::Tcp(stream) = stream {
        let probes = socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(10))
            .with_interval(Duration::from_secs(5))
            .with_retries(3);
        // Without it the connection works all the same.
        let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&probes);
    }
}

async fn say(
    stream: &mut Transport,
    bytes: &[u8],
    (timer, until): (&Timer, Tick),
) -> Result<(), NetError> {
    let mut rest = bytes;
    timer.arm(until);
    poll_fn(|cx| {
        while !rest.is_empty() {
            match stream.poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
                }
                Poll::Ready(Ok(count)) => rest = &rest[count..],
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending if timer.is_expired(cx) => {
                    return Poll::Ready(Err(NetError::Timeout));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}
