//! A shadow server by script, in a thread, and one worker that sends it copies.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    thread,
};

use croupier_net::{Local, address::Address};
use croupier_telemetry::render;

use super::*;
use crate::{
    live::{Live, Place, Server},
    pool::idle::tests::{LIMITS, PLAIN, play, spawn},
};

fn terms() -> Terms {
    Terms {
        manner: Arc::clone(&PLAIN),
        connect: Duration::from_secs(5),
        response: Duration::from_secs(5),
        limits: LIMITS,
        interim_max: 2,
        idle_since: 0,
        keeping: Keeping {
            kept_max: 4,
            next: crate::pool::idle::Next::Own,
        },
        connections_max: 0,
    }
}

struct Shadow {
    live: Arc<Live>,
    server: Arc<Server>,
    idle: Rc<Idle>,
}

impl Shadow {
    fn at(listener: &TcpListener) -> Self {
        let live = Live::new();
        let place = Place::written(Address::Ip(listener.local_addr().unwrap()));
        let local = Rc::<Local>::default();
        let cells = Rc::new(live.registry.worker());
        Self {
            server: live.server("shadow", &place),
            idle: Idle::new(&local, &cells, &live, spawn),
            live,
        }
    }

    async fn send(&self, copy: RequestCopy) {
        let pool = self.live.pool("shadow");
        let busy = pool.enter_anyway(&self.server, 0).unwrap();
        run(Rc::clone(&self.idle), busy, copy, terms()).await;
    }

    /// Sent, failed, answered, and idle connections left.
    fn counts(&self) -> [usize; 4] {
        let page = render(&self.live.registry, &[]);
        let name = &self.server.name;
        let labels = format!("{{pool=\"shadow\",server=\"{name}\"");
        [
            "croupier_mirror_sent_total ".to_owned(),
            "croupier_mirror_failures_total ".to_owned(),
            format!("http_client_request_duration_seconds_count{labels}}}"),
            format!("croupier_server_connections{labels},state=\"idle\"}}"),
        ]
        .map(|series| {
            let mut lines = page.lines().filter(|line| line.starts_with(&series));
            let value = lines.find_map(|line| line.rsplit(' ').next()?.parse().ok());
            value.unwrap_or(0)
        })
    }
}

fn get() -> RequestCopy {
    RequestCopy {
        head: b"GET /a HTTP/1.1\r\nhost: a\r\n".to_vec(),
        method: Method::Get,
        hello: Vec::new(),
        body: None,
    }
}

/// Answers each request of one connection with the next of `answers`, after it has read what it
/// `expects`; then closes. Gives what it read.
fn script(
    listener: &TcpListener,
    expects: usize,
    answers: Vec<Vec<u8>>,
) -> thread::JoinHandle<Vec<u8>> {
    let listener = listener.try_clone().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        for answer in answers {
            let mut request = vec![0; expects];
            stream.read_exact(&mut request).unwrap();
            all.extend_from_slice(&request);
            let _ = stream.write_all(&answer); // a copy may have left by then
        }
        all
    })
}

const GET_WRITTEN: &[u8] = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn copies_follow_each_other_on_one_connection_and_their_answers_are_thrown_away() {
    play(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shadow = Shadow::at(&listener);
        let chunked = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 No\r\n\
            Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n";
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let answers = vec![chunked.to_vec(), length.to_vec(), length.to_vec()];
        let server = script(&listener, GET_WRITTEN.len(), answers);
        for _ in 0..3 {
            shadow.send(get()).await;
        }
        assert_eq!(shadow.counts()[..3], [3, 0, 3]);
        assert_eq!(server.join().unwrap(), GET_WRITTEN.repeat(3));
    });
}

#[test]
fn a_body_is_sent_whole_and_framed_by_its_length() {
    play(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shadow = Shadow::at(&listener);
        let body = vec![b'x'; 3 << 20];
        let head = b"POST /a HTTP/1.1\r\nhost: a\r\n".to_vec();
        let written = [&head[..], b"content-length: 3145728\r\n\r\n", &body].concat();
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
        let server = script(&listener, written.len(), vec![answer]);
        let copy = RequestCopy {
            head,
            method: Method::Post,
            hello: Vec::new(),
            body: Some(body),
        };
        shadow.send(copy).await;
        assert_eq!(shadow.counts()[..3], [1, 0, 1]);
        assert!(server.join().unwrap() == written);
    });
}

#[test]
fn an_answer_that_is_too_long_costs_its_connection() {
    play(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shadow = Shadow::at(&listener);
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n".to_vec();
        answer.resize(9_000_000, b'x');
        let server = script(&listener, GET_WRITTEN.len(), vec![answer]);
        shadow.send(get()).await;
        assert_eq!(shadow.counts(), [1, 0, 1, 0]);
        server.join().unwrap();
        let received = shadow.idle.local.origin_traffic.take().0;
        assert!(received < 2 * BODY_READ_MAX, "{received}");
    });
}

#[test]
fn an_answer_before_the_whole_request_is_good_and_costs_the_connection() {
    play(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shadow = Shadow::at(&listener);
        let (done, wait) = mpsc::channel();
        let accepting = listener.try_clone().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = accepting.accept().unwrap();
            let answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).unwrap();
            let _ = wait.recv(); // open, but nothing is read
        });
        let copy = RequestCopy {
            head: b"POST /a HTTP/1.1\r\nhost: a\r\n".to_vec(),
            method: Method::Post,
            hello: Vec::new(),
            body: Some(vec![0; 64 << 20]),
        };
        shadow.send(copy).await;
        assert_eq!(shadow.counts(), [1, 0, 1, 0]);
        done.send(()).unwrap();
        server.join().unwrap();
    });
}

#[test]
fn failures_are_counted_and_mark_nobody() {
    play(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shadow = Shadow::at(&listener);
        let answers: [&[u8]; 6] = [
            b"",
            b"no http\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz",
            b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n",
        ];
        for (count, answer) in answers.iter().enumerate() {
            let server = script(&listener, GET_WRITTEN.len(), vec![answer.to_vec()]);
            shadow.send(get()).await;
            assert_eq!(shadow.counts(), [count + 1, count + 1, 0, 0], "{count}");
            server.join().unwrap();
        }
        drop(listener);
        shadow.send(get()).await;
        assert_eq!(shadow.counts(), [7, 7, 0, 0], "refused");
    });
}

#[test]
fn a_shadow_that_is_silent_is_given_up_and_a_drain_does_not_wait_for_it() {
    play(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shadow = Shadow::at(&listener);
        let timers = &shadow.idle.local.timers;
        let late = async {
            asked(&listener).await;
            timers.advance(timers.now() + 100);
        };
        tokio::join!(shadow.send(get()), late);
        assert_eq!(shadow.counts(), [1, 1, 0, 0]);
        let drain = async {
            asked(&listener).await;
            shadow.idle.local.drain();
        };
        tokio::join!(shadow.send(get()), drain);
        assert_eq!(shadow.counts(), [2, 1, 0, 0]);
        assert_eq!(timers.now(), 100, "no time has passed");
    });
}

/// Waits until a server has read a copy; it says nothing and waits for the end.
async fn asked(listener: &TcpListener) {
    let listener = listener.try_clone().unwrap();
    let (has_read, read) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; GET_WRITTEN.len()]).unwrap();
        has_read.send(()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    while read.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn beyond_its_bound_no_more_copies_are_under_way() {
    let mirror = Mirror::default();
    let mut places: Vec<_> = (0..UNDER_WAY_MAX)
        .map(|_| mirror.place().unwrap())
        .collect();
    assert!(mirror.place().is_none());
    places.pop();
    assert!(mirror.place().is_some());
}
