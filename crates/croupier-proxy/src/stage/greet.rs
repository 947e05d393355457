//! Before the story: whose connection is this, and what speaks on it?
//!
//!   PROXY header -> TLS handshake -> HTTP/1 or HTTP/2
//!
//! Of a plain HTTP/1 connection only the first bytes are looked at, where they lie: it costs no
//! system call and no memory. Whatever is more than that is rare once a connection, and boxed.

use std::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use croupier_http::rules::forwarded;
use croupier_net::{
    NetError,
    address::{Peer, Secure},
    client::{ClientConn, ClientStream},
    preamble::{Speaks, speaks},
    proxy_header,
    timers::Tick,
    tls::{Alpn, TlsFailure, accept, server::Offer},
    transport::Transport,
};
use croupier_telemetry::{Counter, Gauge, Level, event};

use crate::{
    live::Handshake,
    plan::{Plan, tls::Shown},
    worker::{Installed, Worker, entrance::Entrance, spawn::Seat},
};

/// What speaks on a connection.
pub(crate) enum Greeted {
    /// HTTP/1, in the connection itself.
    Http1,
    /// HTTP/2; the connection was taken apart.
    Http2(Box<Http2>),
    /// Nobody; the connection is as it came.
    Silence,
    /// Nobody any more; the connection was taken apart.
    Over,
}

/// The beginning of a connection that speaks HTTP/2.
pub(crate) struct Http2 {
    pub(crate) io: Transport,
    /// What was read of it.
    pub(crate) ahead: Vec<u8>,
    pub(crate) peer: Peer,
}

/// Handshakes above the limit wait for a place so long, in ticks.
const LINE: Tick = 10;

/// Waits for the first bytes and finds out. As `life::connection`, a block that captures.
#[expect(clippy::manual_async_fn, reason = "arguments would be kept twice")]
pub(crate) fn run<'a>(
    w: &'a Rc<Worker>,
    entrance: &'a Entrance,
    client: &'a mut ClientStream,
    seat: &'a mut Seat,
) -> impl Future<Output = Greeted> + use<'a> {
    async move {
        if !client.is_next(w.client_times()).await {
            return Greeted::Silence;
        }
        let ClientStream::H1(conn) = client else {
            return Greeted::Over;
        };
        let (installed, listener) = entrance.plan(w);
        if is_plain_http1(&installed.plan, listener, conn) {
            w.cells.add(Counter::Http1Plain, 1);
            return Greeted::Http1;
        }
        let greeting = Greeting {
            w,
            installed,
            listener,
            seat,
        };
        Box::pin(greeting.run(conn)).await
    }
}

fn is_plain_http1(plan: &Plan, listener: usize, conn: &ClientConn) -> bool {
    let is_proxied = !plan.proxied.is_empty() && plan.proxied.holds_peer(conn.peer.ip);
    !is_proxied && says(plan, listener, conn.arrived()) == Speaks::Http1
}

/// Where no site has TLS, a handshake is a malformed request.
fn says(plan: &Plan, listener: usize, bytes: &[u8]) -> Speaks {
    let has_tls = (plan.listeners.get(listener)).is_some_and(|listener| listener.tls.is_some());
    match speaks(bytes) {
        Speaks::Tls if !has_tls => Speaks::Http1,
        speaks => speaks,
    }
}

/// What is not simply a request.
struct Greeting<'a> {
    w: &'a Rc<Worker>,
    installed: Rc<Installed>,
    listener: usize,
    seat: &'a mut Seat,
}

/// Why a connection ends before anything was asked.
enum End {
    /// It was counted where it was found.
    Told,
    Handshake(Counter, &'static str),
}

impl From<NetError> for End {
    fn from(error: NetError) -> Self {
        use Counter as C;
        let (counter, sentence) = match error {
            NetError::Timeout => (C::TlsFailedTimeout, "the time was up"),
            NetError::Tls(failure) => {
                let counter = match failure {
                    TlsFailure::Alert(_) => C::TlsFailedAlert,
                    TlsFailure::Incompatible => C::TlsFailedIncompatible,
                    TlsFailure::NoProtocol => C::TlsFailedNoProtocol,
                    TlsFailure::NotTls => C::TlsFailedNotTls,
                    TlsFailure::Protocol => C::TlsFailedProtocol,
                    TlsFailure::NothingToShow => C::TlsFailedNothingToShow,
                    TlsFailure::BadName | TlsFailure::Ours => C::TlsFailedInternal,
                    TlsFailure::Expired
                    | TlsFailure::NotYetValid
                    | TlsFailure::WrongName
                    | TlsFailure::UnknownAuthority
                    | TlsFailure::AuthorityAsPeer
                    | TlsFailure::Revoked
                    | TlsFailure::RevocationUnknown
                    | TlsFailure::RevocationListExpired
                    | TlsFailure::WrongPurpose
                    | TlsFailure::BadCertificate
                    | TlsFailure::NoCertificate => C::TlsFailedClientCertificate,
                };
                (counter, failure.sentence())
            }
            _ => (C::TlsFailedClosed, "the client left"),
        };
        Self::Handshake(counter, sentence)
    }
}

impl Greeting<'_> {
    async fn run(mut self, conn: &mut ClientConn) -> Greeted {
        let plan = &self.installed.plan;
        let until = self.w.local.timers.after(plan.limits.handshake_time);
        if plan.proxied.holds_peer(conn.peer.ip) {
            if self.header(conn, until).await.is_err() {
                return Greeted::Over;
            }
            // A connection may be made ahead of its first request.
            if conn.arrived().is_empty() && !conn.is_next(self.w.client_times()).await {
                return Greeted::Silence;
            }
        }
        let until_head = (self.w.local.timers).after(self.installed.plan.limits.client.head_time);
        loop {
            match says(&self.installed.plan, self.listener, conn.arrived()) {
                Speaks::Tls => return self.tls(conn).await,
                Speaks::Http2 => {
                    self.w.cells.add(Counter::H2Plain, 1);
                    return parts(conn).map_or(Greeted::Over, Greeted::Http2);
                }
                // The beginning of HTTP/2 that does not go on is a request that does not.
                Speaks::More if conn.has_more(until_head).await => {}
                Speaks::More | Speaks::Http1 => {
                    self.w.cells.add(Counter::Http1Plain, 1);
                    return Greeted::Http1;
                }
            }
        }
    }

    /// Reads the PROXY header, which names the client: from now on that is the peer.
    async fn header(&mut self, conn: &mut ClientConn, until: Tick) -> Result<(), End> {
        let w = self.w;
        let refuse = |counter, reason: &'static str| {
            w.cells.add(counter, 1);
            event(
                Level::Warn,
                "proxy_protocol.refused",
                &[("reason", &reason)],
            );
            Err(End::Told)
        };
        loop {
            match proxy_header::read(conn.arrived()) {
                proxy_header::Read::More => {
                    if !conn.has_more(until).await {
                        return refuse(Counter::ProxyHeaderCut, "it did not arrive in time");
                    }
                }
                proxy_header::Read::Header { used, client, .. } => {
                    conn.skip(used);
                    return self.identify(conn, client);
                }
                proxy_header::Read::Malformed(_) if !begins_header(conn.arrived()) => {
                    let reason = "a listed peer sent no PROXY header";
                    return refuse(Counter::ProxyHeaderMissing, reason);
                }
                proxy_header::Read::Malformed(why) => {
                    return refuse(Counter::ProxyHeaderMalformed, why);
                }
            }
        }
    }

    fn identify(&mut self, conn: &mut ClientConn, client: Option<SocketAddr>) -> Result<(), End> {
        let Some(client) = client else {
            // The peer speaks for itself: a health check.
            self.w.cells.add(Counter::ProxyHeaderLocal, 1);
            return Ok(());
        };
        self.w.cells.add(Counter::ProxyHeaderAccepted, 1);
        let ip = forwarded::plain(client.ip());
        conn.peer.ip = Some(ip);
        conn.peer.port = client.port();
        let max = self.installed.plan.limits.connections_per_client;
        if self.seat.identify(ip, max).is_err() {
            self.w.cells.add(Counter::RefusedClientLimit, 1);
            let limit = "limits.connections_per_client";
            event(Level::Warn, "listener.refused", &[("limit", &limit)]);
            return Err(End::Told);
        }
        Ok(())
    }

    /// The handshake, and what is spoken in it.
    async fn tls(&self, conn: &mut ClientConn) -> Greeted {
        let time = self.installed.plan.limits.handshake_time;
        let until = self.w.local.timers.after(time);
        let Some(_place) = self.place(conn).await else {
            self.failed(Counter::TlsFailedLimit, "too many handshakes are under way");
            return Greeted::Over;
        };
        self.w.cells.gauge(Gauge::TlsHandshakes, 1);
        let shaken = self.handshake(conn, until).await;
        self.w.cells.gauge(Gauge::TlsHandshakes, -1);
        match shaken {
            Ok(Some((io, secure))) => self.secured(conn, io, secure),
            Ok(None) | Err(End::Told) => Greeted::Over,
            Err(End::Handshake(counter, sentence)) => {
                self.failed(counter, sentence);
                Greeted::Over
            }
        }
    }

    /// A place among the handshakes of the process; above the limit, one that comes free soon.
    async fn place(&self, conn: &ClientConn) -> Option<Handshake> {
        let max = self.installed.plan.limits.handshakes;
        let timers = &self.w.local.timers;
        let until = timers.now() + LINE;
        loop {
            let place = Handshake::begin(&self.w.live, max);
            let now = timers.now();
            if place.is_some() || now >= until {
                return place;
            }
            conn.timer.arm(now + 1);
            poll_fn(|cx| {
                if conn.timer.is_expired(cx) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// None: it was an authority that looked for a challenge.
    async fn handshake(
        &self,
        conn: &mut ClientConn,
        until: Tick,
    ) -> Result<Option<(Transport, Secure)>, End> {
        let Some((io, ahead)) = conn.take_stream() else {
            return Err(End::Told);
        };
        let local = io.plain_tcp().and_then(|stream| stream.local_addr().ok());
        let hello = accept::hello(io, &ahead, &self.w.local, &conn.timer, until).await?;
        if hello.is_acme {
            return self.challenge(conn, hello, until).await.map(|()| None);
        }
        let name = hello.name.clone();
        let local = local.map(|local| forwarded::plain(local.ip()));
        let offer = match self.offer(name.as_deref(), local, conn, until).await {
            Ok(offer) => offer,
            Err(end) => {
                hello.refuse();
                return Err(end);
            }
        };
        let config = Arc::clone(&offer.config);
        let (io, secured) = hello.accept(config, &conn.timer, until).await?;
        Ok(Some((io, Secure { secured, offer })))
    }

    /// What the site of this name shows; a name on demand may have to wait for its certificate.
    async fn offer(
        &self,
        name: Option<&str>,
        local: Option<IpAddr>,
        conn: &ClientConn,
        until: Tick,
    ) -> Result<Arc<Offer>, End> {
        let nothing = NetError::Tls(TlsFailure::NothingToShow);
        let plan = &self.installed.plan;
        let listener = plan.listeners.get(self.listener);
        let Some(tls) = listener.and_then(|listener| listener.tls.as_ref()) else {
            return Err(nothing.into());
        };
        let site = &plan.sites[tls.find(name, local).0];
        let (Some(tls), name) = (&site.tls, name) else {
            return Err(nothing.into());
        };
        match (&tls.shown, name) {
            (Shown::Same(offer), _) => Ok(Arc::clone(offer)),
            (Shown::OnDemand, None) => Err(nothing.into()),
            (Shown::OnDemand, Some(name)) => {
                let live = &self.w.live;
                conn.timer.arm(until);
                let mut wanted = std::pin::pin!(live.certs.want(name));
                let slot = poll_fn(|cx| match wanted.as_mut().poll(cx) {
                    Poll::Ready(slot) => Poll::Ready(slot),
                    Poll::Pending if conn.timer.is_expired(cx) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                });
                let Some(slot) = slot.await else {
                    return Err(nothing.into());
                };
                let offer = live.offers.offer(&live.certs, slot, &tls.terms);
                offer.map_err(|_| NetError::Tls(TlsFailure::Ours).into())
            }
        }
    }

    /// Nothing is said in such a connection: its certificate is the answer (RFC 8737 section 3).
    async fn challenge(
        &self,
        conn: &ClientConn,
        hello: accept::Hello,
        until: Tick,
    ) -> Result<(), End> {
        let name = hello.name.clone();
        let config = name.and_then(|name| self.w.live.certs.challenge(&name));
        let Some(config) = config else {
            self.w.cells.add(Counter::TlsChallengeUnknown, 1);
            hello.refuse();
            return Err(End::Told);
        };
        hello.accept(config, &conn.timer, until).await?;
        self.w.cells.add(Counter::TlsChallengeAnswered, 1);
        Ok(())
    }

    fn secured(&self, conn: &mut ClientConn, io: Transport, secure: Secure) -> Greeted {
        let secured = &secure.secured;
        let counter = match (secured.version, secured.is_resumed) {
            ("TLSv1.3", false) => Counter::Tls13Full,
            ("TLSv1.3", true) => Counter::Tls13Resumed,
            (_, false) => Counter::Tls12Full,
            (_, true) => Counter::Tls12Resumed,
        };
        self.w.cells.add(counter, 1);
        let alpn = secured.alpn;
        conn.put_stream(io);
        conn.peer.secure = Some(Rc::new(secure));
        if alpn == Alpn::Http2 {
            self.w.cells.add(Counter::H2Tls, 1);
            return parts(conn).map_or(Greeted::Over, Greeted::Http2);
        }
        self.w.cells.add(Counter::Http1Tls, 1);
        Greeted::Http1
    }

    /// Clients do this all day: loud is only what whoever runs this can change.
    fn failed(&self, counter: Counter, sentence: &'static str) {
        self.w.cells.add(counter, 1);
        let level = match counter {
            Counter::TlsFailedLimit
            | Counter::TlsFailedNothingToShow
            | Counter::TlsFailedInternal => Level::Warn,
            _ => Level::Debug,
        };
        event(level, "tls.handshake", &[("reason", &sentence)]);
    }
}

fn parts(conn: &mut ClientConn) -> Option<Box<Http2>> {
    let (io, ahead) = conn.take_stream()?;
    let peer = conn.peer.clone();
    Some(Box::new(Http2 { io, ahead, peer }))
}

/// The first bytes of a PROXY header of either version.
fn begins_header(bytes: &[u8]) -> bool {
    [&b"PROXY "[..], b"\r\n\r\n\0\r\nQUIT\n"]
        .iter()
        .any(|signature| {
            let length = bytes.len().min(signature.len());
            bytes[..length] == signature[..length]
        })
}
