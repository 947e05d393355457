//! One connection of a server of the drill: read, write down, answer or misbehave.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::sockopt;

use super::fault::Fault;
use super::message::{Answer, Inbox, Request};
use crate::drill::clock_micros;

/// A server's work on a request: long enough that a kill finds some half done.
const THINK: Duration = Duration::from_millis(5);

/// What the connections of a server share.
pub(super) struct Shared {
    fault: Mutex<Fault>,
    changed: Condvar,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    next: u64,
    /// Connections that wait for a request.
    idle: BTreeMap<u64, Arc<TcpStream>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            fault: Mutex::new(Fault::None),
            changed: Condvar::new(),
            seats: Mutex::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn fault(&self) -> Fault {
        *lock(&self.fault)
    }

    pub(super) fn set(&self, fault: Fault) {
        *lock(&self.fault) = fault;
        self.changed.notify_all();
    }

    /// Waits until the server is no longer like this.
    fn outlast(&self, fault: Fault) {
        let guard = lock(&self.fault);
        let wait = self.changed.wait_while(guard, |now| *now == fault);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn close_idle(&self) {
        for stream in lock(&self.seats).idle.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn sit(&self, seat: &mut Option<u64>, stream: &Arc<TcpStream>) {
        let mut seats = lock(&self.seats);
        seats.next += 1;
        let number = seats.next;
        *seat = Some(number);
        seats.idle.insert(number, Arc::clone(stream));
    }

    fn rise(&self, seat: Option<u64>) {
        if let Some(number) = seat {
            lock(&self.seats).idle.remove(&number);
        }
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Stay,
    Close,
}

pub(super) fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let mut inbox = Inbox::default();
    let mut answers = 0;
    loop {
        if shared.fault() == Fault::Refuse {
            return;
        }
        let idle = match shared.fault() {
            Fault::IdleClose(ms) if answers > 0 => Duration::from_millis(ms),
            _ => Duration::from_secs(60),
        };
        let _ = stream.set_read_timeout(Some(idle));
        let mut seat = None;
        shared.sit(&mut seat, &stream);
        let request = inbox.request(&*stream);
        shared.rise(seat);
        let Some(request) = request else {
            return;
        };
        // Nobody reads from a black hole; what came in is read when it is none any more.
        shared.outlast(Fault::Blackhole);
        answers += 1;
        if react(&stream, &request, answers, shared) == Next::Close {
            return;
        }
    }
}

fn react(stream: &TcpStream, request: &Request, answers: u64, shared: &Shared) -> Next {
    let fault = shared.fault();
    let is_check = request.path == "/healthz";
    let answer = match fault {
        _ if is_check => Answer::plain(200),
        Fault::Status(status) => Answer::plain(status),
        _ => Answer::to(request),
    };
    if !is_check {
        // 503 says that nothing was done; whatever else a server says, it may have done it.
        let event = match fault {
            Fault::Status(503) => "refused",
            _ => "executed",
        };
        write_down(event, request);
        std::thread::sleep(THINK);
    }
    let half = answer.head + (answer.bytes.len() - answer.head) / 2;
    match fault {
        Fault::Silent => shared.outlast(Fault::Silent),
        Fault::Close => {}
        Fault::Reset => reset(stream),
        Fault::Garbage => {
            let _ = (&*stream).write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n");
        }
        Fault::ResetBody | Fault::CloseBody if !is_check => {
            let _ = (&*stream).write_all(&answer.bytes[..half]);
            // Long enough for the proxy to have passed the first half on.
            std::thread::sleep(Duration::from_millis(5));
            if fault == Fault::ResetBody {
                reset(stream);
            }
        }
        _ => {
            if let Fault::Slow(ms) = fault
                && !is_check
            {
                std::thread::sleep(Duration::from_millis(ms));
            }
            let is_out = (&*stream).write_all(&answer.bytes).is_ok();
            let is_last = matches!(fault, Fault::CloseAfter(count) if answers >= count);
            if is_out && !is_last {
                return Next::Stay;
            }
        }
    }
    Next::Close
}

/// The close that follows is an RST.
fn reset(stream: &TcpStream) {
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

/// One system call a line, so that a kill loses none.
fn write_down(event: &str, request: &Request) {
    let line = format!(
        "{} {event} {} {}\n",
        clock_micros(),
        request.method,
        request.nonce
    );
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes());
    let _ = out.flush();
}
