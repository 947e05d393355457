//! Clients over HTTP/2: their requests are streams of a few connections that all of them share, so
//! that a server's fault on one stream could be felt on others. Each connection has a thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SendError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use croupier_testkit::h2::{self, Answer, Frame, Head, PREFACE, setting};

use super::link::Front;
use super::{Ask, Got, HOST, PATIENCE};

/// Connections as long as none has too many streams.
const CONNECTIONS: usize = 4;

/// Streams that are open on one connection; every server should allow 100 (RFC 9113 section
/// 6.5.2).
const STREAMS_MAX: usize = 32;

/// How long a connection listens before it looks for new requests: what the drill itself may add
/// to an answer's latency, beside the kernel's own tick.
const TURN: Duration = Duration::from_millis(1);

/// The same while no stream is open; the first request ends it.
const IDLE: Duration = Duration::from_millis(20);

/// A request whose connection ended before it could be sent goes to another one, so often.
const TRIES_MAX: usize = 3;

/// The connections of one load.
pub(in crate::drill) struct Connections {
    front: Front,
    open: Mutex<Vec<Connection>>,
}

/// One of them, seen by those who ask.
struct Connection {
    asks: Sender<Job>,
    streams: Arc<AtomicUsize>,
}

/// A request, and where its answer goes; dropped unanswered when it was never sent.
struct Job {
    ask: Ask,
    back: Sender<Got>,
}

impl Connections {
    pub(super) fn new(front: Front) -> Self {
        Self {
            front,
            open: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn ask(&self, ask: &Ask) -> Got {
        for _ in 0..TRIES_MAX {
            let (back, answer) = mpsc::channel();
            let streams = self.send(Job {
                ask: ask.clone(),
                back,
            });
            let got = answer.recv();
            streams.fetch_sub(1, Ordering::Relaxed);
            if let Ok(got) = got {
                return got;
            }
        }
        Got::Nothing
    }

    /// Gives a job to the connections in turn, and the count of that connection's streams.
    fn send(&self, mut job: Job) -> Arc<AtomicUsize> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let has_room =
                |connection: &Connection| connection.streams.load(Ordering::Relaxed) < STREAMS_MAX;
            let at = match open.iter().position(has_room) {
                Some(at) if open.len() >= CONNECTIONS => at,
                _ => {
                    open.push(Connection::start(&self.front));
                    open.len() - 1
                }
            };
            let connection = open.remove(at);
            match connection.asks.send(job) {
                Ok(()) => {
                    let streams = Arc::clone(&connection.streams);
                    streams.fetch_add(1, Ordering::Relaxed);
                    open.push(connection);
                    return streams;
                }
                // It has ended. One just started has not, so this comes to an end.
                Err(SendError(back)) => job = back,
            }
        }
    }
}

impl Connection {
    fn start(front: &Front) -> Self {
        let (asks, jobs) = mpsc::channel();
        let front = front.clone();
        std::thread::spawn(move || Driver::run(&front, &jobs));
        Self {
            asks,
            streams: Arc::default(),
        }
    }
}

/// A connection from inside.
struct Driver {
    client: h2::Client,
    streams: Vec<Stream>,
}

struct Stream {
    id: u32,
    job: Job,
    until: Instant,
}

impl Driver {
    /// Connects when there is something to ask, and ends with the proxy's end of the connection or
    /// with those who ask.
    fn run(front: &Front, jobs: &Receiver<Job>) {
        let Ok(first) = jobs.recv() else {
            return;
        };
        let Ok(link) = front.dial() else {
            let all = [first].into_iter().chain(jobs.try_iter());
            all.for_each(|job| job.end(Got::Nothing));
            return;
        };
        let mut driver = Self {
            client: h2::Client::over(Box::new(link)),
            streams: Vec::new(),
        };
        let settings = Frame::settings(&[(setting::ENABLE_PUSH, 0)]);
        // If this fails, what follows does, too.
        let _ = driver.client.try_send_bytes(PREFACE);
        let _ = driver.client.try_send(&settings);
        driver.open(first);
        while driver.turn(jobs) {}
    }

    /// Takes what is asked, hears what is answered; `false` in the end.
    fn turn(&mut self, jobs: &Receiver<Job>) -> bool {
        if self.streams.is_empty() {
            match jobs.recv_timeout(IDLE) {
                Ok(job) => self.open(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        for job in jobs.try_iter() {
            self.open(job);
        }
        let flaw = self.client.listen(TURN).err();
        if let Some(flaw) = &flaw {
            println!("  the proxy said what HTTP/2 does not allow: {flaw}");
        }
        let goes_on = flaw.is_none() && self.client.closed().is_none();
        let last = self.client.goaways().last().map(|goaway| goaway.last);
        let now = Instant::now();
        for stream in std::mem::take(&mut self.streams) {
            let answer = self.client.so_far(stream.id);
            let is_over = answer.is_over() || last.is_some_and(|last| stream.id > last);
            match flaw {
                // Whoever says what must not be said has lied to everybody on the connection.
                Some(_) => stream.job.end(Got::Wrong),
                None if is_over || !goes_on || now > stream.until => {
                    let got = got(&stream.job.ask, answer);
                    stream.job.end(got);
                }
                None => self.streams.push(stream),
            }
        }
        // A connection that is to end takes nothing new, and finishes what it has.
        goes_on && (last.is_none() || !self.streams.is_empty())
    }

    fn open(&mut self, job: Job) {
        if self.client.closed().is_some() || !self.client.goaways().is_empty() {
            return;
        }
        let length = job.ask.body().len().to_string();
        let head = Head::new(job.ask.method, &job.ask.path)
            .with(":scheme", "https")
            .with(":authority", HOST)
            .field("x-nonce", &job.ask.nonce)
            .field("content-length", length);
        match self.client.try_open(&head, job.ask.body()) {
            Ok(id) => self.streams.push(Stream {
                id,
                job,
                until: Instant::now() + PATIENCE,
            }),
            Err(_) => job.end(Got::Nothing),
        }
    }
}

impl Job {
    fn end(self, got: Got) {
        // Who asks waits for it.
        let _ = self.back.send(got);
    }
}

/// What came on a stream on which nothing more comes.
fn got(ask: &Ask, answer: &Answer) -> Got {
    match (answer.is_complete, answer.reset, answer.status) {
        (true, _, status) => ask.judge(status, &answer.body, answer.header("x-nonce")),
        (false, None, 0) => Got::Nothing,
        (false, ..) => Got::Cut,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Ask, Got, got};
    use crate::drill::origin::body;
    use croupier_testkit::Headers;

    #[test]
    fn an_answer_is_whole_when_its_stream_was_ended_and_not_when_it_was_reset() {
        let ask = Ask {
            method: "GET",
            path: "/b/200/n7".into(),
            nonce: "n7".into(),
            size: 200,
        };
        let whole = Answer {
            status: 200,
            headers: Headers(vec![("x-nonce".into(), "n7".into())]),
            body: body("n7", 200),
            is_complete: true,
            ..Answer::default()
        };
        let part = Answer {
            body: body("n7", 200)[..100].to_vec(),
            ..whole.clone()
        };
        let cut = Answer {
            is_complete: false,
            ..part.clone()
        };
        let reset = Answer {
            reset: Some(2),
            ..Answer::default()
        };
        let late = Answer {
            reset: Some(0),
            ..whole.clone()
        };
        let other = Answer {
            status: 502,
            ..part.clone()
        };
        for (answer, expected) in [
            (whole, Got::Right),
            (late, Got::Right),
            (part, Got::Wrong),
            (cut, Got::Cut),
            (reset, Got::Cut),
            (Answer::default(), Got::Nothing),
            (other, Got::Status(502)),
        ] {
            assert_eq!(got(&ask, &answer), expected, "{answer:?}");
        }
    }
}
