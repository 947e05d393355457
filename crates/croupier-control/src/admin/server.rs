//! A small server for the side doors, on the same HTTP/1 engine as everybody's.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path, rc::Rc, time::Duration};

use croupier_config::model::Listen;
use croupier_http::{
    BodyLen, Method, RequestHead, ResponseHead, Scheme, Target,
    h1::{chunked::ChunkLimits, scan::HeadLimits},
    rules::inspect,
};
use croupier_net::{
    Local,
    address::{Address, Peer},
    client::{ClientConn, ClientStream, h1::ClientLimits},
    listen::{Listener, bind},
    side::Outgoing,
    timers::{TICK, ticks},
    transport::Transport,
};
use croupier_telemetry::exposition::CONTENT_TYPE;
use tokio::{sync::oneshot, time::sleep};

use super::{Face, Order, cache};

const LIMITS: ClientLimits = ClientLimits {
    head: HeadLimits {
        // A question about the cache may hold a whole URL, each byte of it as three.
        head_bytes: 48 << 10,
        target_bytes: 40 << 10,
        fields: 50,
        field_bytes: 4 << 10,
    },
    chunks: ChunkLimits {
        line_bytes: 64,
        trailer_bytes: 1 << 10,
        trailers: 8,
    },
    head_time: Some(Duration::from_secs(10)),
    idle_time: Some(Duration::from_secs(60)),
};
/// Connections at each side door.
const CONNECTIONS_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Metrics,
    Control,
}

/// Opens the metrics listener.
pub(super) fn open_metrics(listen: &Listen, face: &Rc<Face>) -> io::Result<Address> {
    let (address, mut sockets) = bind(&super::address(listen), 1)?;
    let listener = Listener::open(sockets.remove(0))?;
    tokio::task::spawn_local(accept(listener, Rc::clone(face), Door::Metrics));
    Ok(address)
}

/// Opens the control socket: its owner and group only.
pub(super) fn open_control(path: &Path, face: &Rc<Face>) -> io::Result<()> {
    let (_, mut sockets) = bind(&Address::Unix(path.to_owned()), 1)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    let listener = Listener::open(sockets.remove(0))?;
    tokio::task::spawn_local(accept(listener, Rc::clone(face), Door::Control));
    Ok(())
}

async fn accept(listener: Listener, face: Rc<Face>, door: Door) {
    let local = Rc::new(Local::default());
    let ticking = Rc::clone(&local);
    tokio::task::spawn_local(async move {
        let began = std::time::Instant::now();
        loop {
            sleep(TICK).await;
            ticking.timers.advance(ticks(began.elapsed()));
        }
    });
    let open = Rc::new(());
    loop {
        match listener.accept().await {
            Ok((io, peer)) if Rc::strong_count(&open) <= CONNECTIONS_MAX => {
                let (local, face, open) = (Rc::clone(&local), Rc::clone(&face), Rc::clone(&open));
                tokio::task::spawn_local(async move {
                    serve(io, peer, &local, &face, door).await;
                    drop(open);
                });
            }
            Ok(_) => {}
            Err(_) => sleep(TICK).await,
        }
    }
}

async fn serve(io: Transport, peer: Peer, local: &Rc<Local>, face: &Rc<Face>, door: Door) {
    let mut conn = ClientStream::H1(ClientConn::new(io, peer, local, &LIMITS));
    let mut head = RequestHead::default();
    let mut target = Target::default();
    while conn.is_next(LIMITS.times()).await {
        if conn.read_head(&LIMITS, &mut head).await.is_err() {
            break;
        }
        let Ok(lawful) = inspect::request(&head, Scheme::Http, &mut target) else {
            conn.close_after();
            answer(&mut conn, head.method, 400, "malformed request\n").await;
            break;
        };
        conn.expect_body(lawful.body);
        if lawful.body != BodyLen::None {
            conn.close_after();
        }
        let reading = matches!(head.method, Method::Get | Method::Head);
        match (door, target.path()) {
            (Door::Metrics, "/metrics") if reading => {
                let page = face.metrics();
                answer_as(&mut conn, head.method, (200, CONTENT_TYPE), &page).await;
            }
            (Door::Metrics, "/healthz") if reading => {
                answer(&mut conn, head.method, 200, "ok\n").await;
            }
            (Door::Metrics, "/readyz") if reading => {
                let (status, text) = if face.draining.get() {
                    (503, "draining\n")
                } else {
                    (200, "ready\n")
                };
                answer(&mut conn, head.method, status, text).await;
            }
            (Door::Control, "/v1/reload") if head.method == Method::Post => {
                let (status, text) = reload(face).await;
                answer(&mut conn, head.method, status, &text).await;
            }
            (Door::Control, path) if head.method == Method::Post => {
                let answered = cache::answer(face.plan(), path, target.query()).await;
                let (status, text) = answered.unwrap_or_else(|| (404, "not found\n".into()));
                answer(&mut conn, head.method, status, &text).await;
            }
            _ => {
                let text = "not found; try /metrics, /healthz or /readyz\n";
                answer(&mut conn, head.method, 404, text).await;
            }
        }
    }
    conn.close(64 << 10, Some(Duration::from_secs(1))).await;
}

async fn reload(face: &Face) -> (u16, String) {
    let (verdict, wait) = oneshot::channel();
    if face.orders.send(Order { verdict }).await.is_err() {
        return (503, "stopping\n".into());
    }
    match wait.await {
        Ok(Ok(report)) => (200, format!("{report}\n")),
        Ok(Err(reason)) => (422, format!("{reason}\n")),
        Err(_) => (503, "stopping\n".into()),
    }
}

struct Lines<'a>(&'a str);

impl Outgoing for Lines<'_> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        emit(b"content-type", self.0.as_bytes());
        emit(b"cache-control", b"no-store");
    }
}

async fn answer(conn: &mut ClientStream, method: Method, status: u16, body: &str) {
    answer_as(conn, method, (status, "text/plain"), body).await;
}

async fn answer_as(
    conn: &mut ClientStream,
    method: Method,
    (status, content_type): (u16, &str),
    body: &str,
) {
    let head = ResponseHead::of_status(status);
    let length = body.len() as u64;
    let (framing, declared, body) = if method == Method::Head {
        (BodyLen::None, Some(length), "")
    } else {
        (BodyLen::Length(length), None, body)
    };
    conn.send_head(&head, framing, declared, &Lines(content_type));
    if conn
        .send_whole(body.as_bytes(), LIMITS.head_time)
        .await
        .is_err()
    {
        conn.close_after();
    }
}
