//! Asking servers outside: the authority of `[acme]`, and the `ask` URL. A request at a time on
//! a connection of its own, on the same HTTP/1 engine and TLS as everything else.
//!
//! Every answer is bounded in size and time. [`Outside`] may be used from anywhere; the work is
//! done by a task of the control thread, because connections do not leave their thread.

use std::{future::poll_fn, io, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use croupier_http::{
    BodyLen, Method, ResponseHead,
    h1::{chunked::ChunkLimits, scan::HeadLimits},
};
use croupier_net::{
    Local,
    h2::H2Limits,
    origin::{
        OriginConn,
        h1::{OriginLimits, RequestLine},
    },
    side::{Outgoing, Sink as _, Source as _},
    tls::connect::{OriginTls, connect},
    transport::Transport,
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};

/// What one request may take: connecting, TLS, and the whole answer.
const TIME: Duration = Duration::from_secs(30);
/// An answer's body: a chain of certificates is a few KiB.
const BODY_BYTES: usize = 1 << 20;
const LIMITS: OriginLimits = OriginLimits {
    head: HeadLimits {
        head_bytes: 32 << 10,
        target_bytes: 8 << 10,
        fields: 100,
        field_bytes: 16 << 10,
    },
    chunks: ChunkLimits {
        line_bytes: 1 << 10,
        trailer_bytes: 8 << 10,
        trailers: 16,
    },
    // Authorities are spoken to in HTTP/1.1.
    h2: H2Limits {
        streams: 1,
        requests: 1,
        window: 1 << 16,
        stream_window: 1 << 16,
        resets: 16,
        control_frames: 100,
    },
};
const AGENT: &str = concat!("croupier/", env!("CARGO_PKG_VERSION"));

/// A client of servers outside that believe one set of authorities.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    orders: mpsc::UnboundedSender<Order>,
}

/// A request on its way to the task.
struct Order {
    request: Question,
    answer: oneshot::Sender<Result<Answer, String>>,
}

/// A request.
#[derive(Debug)]
pub(super) struct Question {
    /// `GET`, `HEAD` or `POST`.
    pub(super) method: &'static str,
    /// Absolute, `http` or `https`.
    pub(super) url: http::Uri,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Bytes,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Bytes,
}

impl Outside {
    /// A client whose task runs on this thread until the last of its clones is gone.
    pub(super) fn new(tls: Arc<OriginTls>, local: &Rc<Local>) -> Self {
        let (orders, mut queue) = mpsc::unbounded_channel::<Order>();
        let local = Rc::clone(local);
        tokio::task::spawn_local(async move {
            while let Some(Order { request, answer }) = queue.recv().await {
                let (tls, local) = (Arc::clone(&tls), Rc::clone(&local));
                tokio::task::spawn_local(async move {
                    let asked = timeout(TIME, ask(&request, &tls, &local)).await;
                    let asked = asked.unwrap_or_else(|_| Err(format!("no answer in {TIME:?}")));
                    let host = request.url.host().unwrap_or_default();
                    // Whoever asked may have given up.
                    let _ = answer.send(asked.map_err(|error| format!("{host}: {error}")));
                });
            }
        });
        Self { orders }
    }

    /// Asks.
    ///
    /// # Errors
    /// Why there is no whole answer, in words, with the host.
    pub(super) async fn ask(&self, request: Question) -> Result<Answer, String> {
        let (answer, wait) = oneshot::channel();
        let stopping = || "stopping".to_owned();
        self.orders
            .send(Order { request, answer })
            .map_err(|_| stopping())?;
        wait.await.map_err(|_| stopping())?
    }
}

struct Lines<'a>(&'a [(String, Vec<u8>)]);

impl Outgoing for Lines<'_> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self.0 {
            let is_ours = name.eq_ignore_ascii_case("host")
                || name.eq_ignore_ascii_case("user-agent")
                || name.eq_ignore_ascii_case("connection");
            if !is_ours {
                emit(name.as_bytes(), value);
            }
        }
        emit(b"user-agent", AGENT.as_bytes());
        emit(b"connection", b"close");
    }
}

async fn ask(question: &Question, tls: &OriginTls, local: &Rc<Local>) -> Result<Answer, String> {
    let url = &question.url;
    let io = open(url, tls, local).await?;
    let mut conn = OriginConn::new(io, local, &LIMITS);
    let method = match question.method {
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        _ => Method::Get,
    };
    let body = match question.method {
        "POST" => BodyLen::Length(question.body.len() as u64),
        _ => BodyLen::None,
    };
    let line = RequestLine {
        method: question.method.as_bytes(),
        path: if url.path().is_empty() {
            "/"
        } else {
            url.path()
        },
        query: url.query(),
        host: url.authority().map_or("", http::uri::Authority::as_str),
        body,
        websocket: false,
    };
    conn.send_head(&line, &Lines(&question.fields));
    let mut left = &question.body[..];
    while !left.is_empty() {
        let taken = poll_fn(|cx| conn.poll_send(cx, left))
            .await
            .map_err(words)?;
        left = &left[taken..];
    }
    poll_fn(|cx| conn.poll_finish(cx, None))
        .await
        .map_err(words)?;
    let mut head = ResponseHead::default();
    loop {
        poll_fn(|cx| conn.poll_head(cx, method, &LIMITS, &mut head))
            .await
            .map_err(words)?;
        if !head.is_interim() {
            break;
        }
    }
    let mut body = Vec::new();
    loop {
        let count = poll_fn(|cx| conn.poll_data(cx)).await.map_err(words)?;
        if count == 0 {
            break;
        }
        body.extend_from_slice(conn.data());
        conn.consume(count);
        if body.len() > BODY_BYTES {
            return Err(format!("an answer of more than {BODY_BYTES} bytes"));
        }
    }
    let fields = head.fields.iter();
    Ok(Answer {
        status: head.status,
        fields: fields
            .map(|field| (field.raw_name.to_vec(), field.value.to_vec()))
            .collect(),
        body: body.into(),
    })
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn open(url: &http::Uri, tls: &OriginTls, local: &Rc<Local>) -> Result<Transport, String> {
    let host = url.host().filter(|host| !host.is_empty());
    let host = host.ok_or("a URL without a host")?;
    let host = host.trim_matches(['[', ']']);
    let is_https = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.map_err(plain)?;
    let io = Transport::Tcp(stream);
    if !is_https {
        return Ok(io);
    }
    let timer = local.timers.timer();
    let until = local.timers.after(Some(TIME));
    let (io, _) = connect(io, tls, host, local, &timer, until)
        .await
        .map_err(words)?;
    Ok(io)
}

/// An error in the system's words, without its number.
fn plain(error: io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}
