//! An open-loop load: requests leave when they are due, whether or not answers have come, and
//! latency counts from the moment a request was due. A slow answer then delays nobody's clock.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::Outcome;

/// What a load saw.
pub(crate) struct Seen {
    pub(crate) sent: u64,
    pub(crate) errors: u64,
    /// Sorted.
    pub(crate) latencies: Vec<Duration>,
}

impl Seen {
    /// The latency that this share of the requests did not exceed.
    pub(crate) fn percentile(&self, per_mille: usize) -> Duration {
        let index = self.latencies.len().saturating_sub(1) * per_mille / 1000;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// `cargo xtask load --rate R --connections C --seconds S URL`.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut rate, mut connections, mut seconds, mut url) = (1000, 64, 5, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().and_then(|value| value.parse().ok());
            value
                .filter(|value| *value > 0)
                .ok_or_else(|| format!("`{word}` wants a number"))
        };
        match word.as_str() {
            "--rate" => rate = number()?,
            "--connections" => connections = number()?,
            "--seconds" => seconds = number()?,
            _ => url = Some(word.clone()),
        }
    }
    let url = url.ok_or("which URL? http://ADDRESS:PORT/PATH")?;
    let rest = url
        .strip_prefix("http://")
        .ok_or("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = host
        .parse()
        .map_err(|_| format!("`{host}` is no address with a port"))?;
    let seen = drive(address, &format!("/{path}"), rate, connections, seconds)?;
    let micros = |per_mille| seen.percentile(per_mille).as_micros();
    println!(
        "sent={} answered={} errors={} p50_us={} p90_us={} p99_us={} p999_us={} max_us={}",
        seen.sent,
        seen.latencies.len(),
        seen.errors,
        micros(500),
        micros(900),
        micros(990),
        micros(999),
        micros(1000)
    );
    Ok(())
}

struct Seat {
    stream: TcpStream,
    /// When the request it carries was due.
    due: Option<Instant>,
    head: Vec<u8>,
    /// Body bytes still to come; `None` while the head is.
    left: Option<usize>,
}

/// Sends `rate` requests a second for `seconds`.
pub(crate) fn drive(
    address: SocketAddr,
    path: &str,
    rate: u64,
    connections: u64,
    seconds: u64,
) -> Outcome<Seen> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
    let mut seats = Vec::new();
    for number in 0..connections {
        seats.push(sit_down(address)?);
        let seat = &seats[seats.len() - 1];
        let flags = epoll::EventFlags::IN;
        epoll::add(
            &poll,
            &seat.stream,
            epoll::EventData::new_u64(number),
            flags,
        )
        .map_err(|error| error.to_string())?;
    }
    let mut driver = Driver {
        poll,
        free: (0..seats.len()).collect(),
        seats,
        queue: VecDeque::new(),
        request,
        seen: Seen {
            sent: 0,
            errors: 0,
            latencies: Vec::new(),
        },
        buffer: vec![0; 256 * 1024],
    };
    let started = Instant::now();
    let due_at = |number: u64| started + Duration::from_nanos(number * 1_000_000_000 / rate);
    let total = rate * seconds;
    let give_up = due_at(total) + Duration::from_secs(2);
    let mut next = 0;
    let mut events = Vec::with_capacity(1024);
    while driver.is_busy() || next < total {
        let now = Instant::now();
        if now > give_up {
            break;
        }
        while next < total && due_at(next) <= now {
            driver.queue.push_back(due_at(next));
            next += 1;
        }
        driver.send();
        let until = if next < total { due_at(next) } else { give_up };
        let pause = until.saturating_duration_since(Instant::now());
        let pause = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(1),
            tv_nsec: pause.subsec_nanos().into(),
        };
        events.clear();
        match epoll::wait(
            &driver.poll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&pause),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        for event in &events {
            driver.hear(usize::try_from(event.data.u64()).unwrap_or(0));
        }
    }
    let mut seen = driver.seen;
    seen.errors += next.saturating_sub(seen.latencies.len() as u64 + seen.errors);
    seen.latencies.sort_unstable();
    Ok(seen)
}

fn sit_down(address: SocketAddr) -> Outcome<Seat> {
    let connect = || {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    let stream = connect().map_err(|error: std::io::Error| format!("{address}: {error}"))?;
    Ok(Seat {
        stream,
        due: None,
        head: Vec::new(),
        left: None,
    })
}

struct Driver {
    poll: rustix::fd::OwnedFd,
    seats: Vec<Seat>,
    free: Vec<usize>,
    queue: VecDeque<Instant>,
    request: Vec<u8>,
    seen: Seen,
    buffer: Vec<u8>,
}

impl Driver {
    fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.seats.iter().any(|seat| seat.due.is_some())
    }

    fn send(&mut self) {
        while let (Some(due), Some(number)) = (self.queue.front(), self.free.last()) {
            let seat = &mut self.seats[*number];
            match seat.stream.write(&self.request) {
                Ok(count) if count == self.request.len() => seat.due = Some(*due),
                _ => self.seen.errors += 1, // the seat is lost; others carry on
            }
            self.seen.sent += 1;
            self.queue.pop_front();
            self.free.pop();
        }
    }

    fn hear(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        let count = match seat.stream.read(&mut self.buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => 0,
        };
        if count == 0 {
            let _ = epoll::delete(&self.poll, &seat.stream);
            if seat.due.take().is_some() {
                self.seen.errors += 1;
            }
            self.free.retain(|free| *free != number);
            return;
        }
        let mut bytes = &self.buffer[..count];
        if seat.left.is_none() {
            seat.head.extend_from_slice(bytes);
            let Some(end) = seat
                .head
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            else {
                return;
            };
            let head = String::from_utf8_lossy(&seat.head[..end]).to_ascii_lowercase();
            let length = head.split("content-length:").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            if !head.starts_with("http/1.1 200") || length.is_none() {
                self.seen.errors += 1;
            }
            let in_hand = seat.head.len() - end - 4;
            bytes = &bytes[count - in_hand..];
            seat.left = Some(length.unwrap_or(0));
            seat.head.clear();
        }
        let left = seat.left.unwrap_or(0).saturating_sub(bytes.len());
        seat.left = Some(left);
        if left == 0 {
            seat.left = None;
            if let Some(due) = seat.due.take() {
                self.seen.latencies.push(due.elapsed());
            }
            self.free.push(number);
        }
    }
}
