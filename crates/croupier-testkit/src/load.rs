//! A steady load in the background: proof that nothing fails while something else happens.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::event::{lock, wait_until};

/// What a load has seen.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Requests answered with 200 and the nonce that was sent.
    pub good: u64,
    /// Everything else, in words.
    pub failures: Vec<String>,
    /// From sending to the last byte, of the good ones.
    pub latencies: Vec<Duration>,
}

impl Tally {
    /// The latency that this share of the good requests did not exceed.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index below the length"
        )]
        let index = ((last as f64) * share).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }
}

/// How the clients of a load use their connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connections {
    Kept,
    NewEachTime,
}

/// A load that runs until it is stopped.
///
/// Each request is `GET /load/NONCE` and carries `X-Nonce`; the origin must answer 200 with the
/// nonce in its body, for instance by `Reply::ok(request.path())`: an answer that belongs to
/// another request is a failure.
pub struct Load {
    stops: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `clients` of them, each sending its next request `pause` after the last answer.
    #[must_use]
    pub fn start(
        address: SocketAddr,
        clients: usize,
        pause: Duration,
        connections: Connections,
    ) -> Self {
        let stops = Arc::new(AtomicBool::new(false));
        let good = Arc::new(AtomicU64::new(0));
        let tally = Arc::new(Mutex::new(Tally::default()));
        let threads = (0..clients)
            .map(|number| {
                let (stops, good) = (Arc::clone(&stops), Arc::clone(&good));
                let tally = Arc::clone(&tally);
                std::thread::spawn(move || {
                    let mut seat = Seat {
                        address,
                        number,
                        sent: 0,
                        client: None,
                    };
                    while !stops.load(Ordering::Relaxed) {
                        let started = Instant::now();
                        let outcome = seat.one(connections);
                        let mut tally = lock(&tally);
                        match outcome {
                            Ok(()) => {
                                tally.good += 1;
                                tally.latencies.push(started.elapsed());
                                good.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(what) => tally.failures.push(what),
                        }
                        drop(tally);
                        std::thread::sleep(pause);
                    }
                })
            })
            .collect();
        Self {
            stops,
            good,
            tally,
            threads,
        }
    }

    /// Waits until this many more requests have succeeded.
    #[track_caller]
    pub fn wait_for_good(&self, more: u64, timeout: Duration) {
        let goal = self.good.load(Ordering::Relaxed) + more;
        let reached = wait_until(timeout, || self.good.load(Ordering::Relaxed) >= goal);
        assert!(
            reached,
            "the load made no {more} good requests in {timeout:?}"
        );
    }

    /// Ends it and tells what it saw.
    #[must_use]
    pub fn stop(self) -> Tally {
        self.stops.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
        lock(&self.tally).clone()
    }
}

struct Seat {
    address: SocketAddr,
    number: usize,
    sent: u64,
    client: Option<Client>,
}

impl Seat {
    fn one(&mut self, connections: Connections) -> Result<(), String> {
        self.sent += 1;
        let nonce = format!("{}-{}", self.number, self.sent);
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                Client::try_connect(self.address).map_err(|error| format!("connect: {error}"))?
            }
        };
        let close = if connections == Connections::Kept {
            ""
        } else {
            "Connection: close\r\n"
        };
        let request = format!(
            "GET /load/{nonce} HTTP/1.1\r\nHost: example.test\r\nX-Nonce: {nonce}\r\n{close}\r\n"
        );
        client
            .try_send(request)
            .map_err(|error| format!("{nonce}: send: {error}"))?;
        let response = client
            .try_read_response()
            .map_err(|failure| format!("{nonce}: {failure:?}"))?;
        client.forget();
        if response.status != 200 || !response.is_complete() {
            let (status, end) = (response.status, response.end);
            return Err(format!("{nonce}: {status}, {end:?}: {}", response.text()));
        }
        if !response.text().ends_with(&nonce) {
            return Err(format!(
                "{nonce}: an answer for somebody else: {}",
                response.text()
            ));
        }
        if connections == Connections::Kept && !response.says_close() {
            self.client = Some(client);
        }
        Ok(())
    }
}
