//! The requests dealt, one aligned line each, from the proxy's access log: it comes through a
//! pipe, so that servers go by their names and a load test does not flood the terminal.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, PipeReader},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    cards::Suit,
    line::{Dealt, format, thousands},
    server::Server,
};
use crate::terminal::{self, Paint};

/// Lines shown in one second; the rest is summed up.
const LINES_PER_SECOND: usize = 24;

/// What was seen so far.
pub(super) struct Tail {
    names: Vec<(String, Suit)>,
    paint: Paint,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    totals: Totals,
    /// Of the second that is running.
    since: Option<Instant>,
    shown: usize,
    hidden: Totals,
}

/// Requests in numbers.
#[derive(Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) by_server: [u64; Suit::ALL.len()],
    /// Requests that were answered from the cache.
    pub(super) kept: u64,
    /// Requests that another server took over.
    pub(super) moved: u64,
    /// Requests that ended with a fault.
    pub(super) failed: u64,
}

impl Totals {
    fn add(&mut self, dealt: &Dealt<'_>, suit: Option<&Suit>) {
        self.requests += 1;
        if let Some(suit) = suit {
            self.by_server[suit.number - 1] += 1;
        }
        self.kept += u64::from(dealt.is_kept());
        self.moved += u64::from(dealt.retries != "0" && dealt.fault == "-");
        self.failed += u64::from(dealt.fault != "-");
    }
}

impl Tail {
    /// Shows what comes through the pipe until it ends.
    pub(super) fn follow(pipe: PipeReader, servers: &[Arc<Server>]) -> Arc<Self> {
        let named = |server: &Arc<Server>| (SocketAddr::to_string(&server.address()), server.suit);
        let tail = Arc::new(Self {
            names: servers.iter().map(named).collect(),
            paint: Paint::of_stdout(),
            seen: Mutex::default(),
        });
        let reading = Arc::clone(&tail);
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                reading.take(&line);
            }
        });
        let ticking = Arc::clone(&tail);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(250));
                ticking.tick();
            }
        });
        tail
    }

    pub(super) fn totals(&self) -> Totals {
        self.seen().totals
    }

    /// What is said at the end.
    pub(super) fn farewell(&self) {
        self.tick();
        let Totals {
            requests,
            kept,
            moved,
            failed,
            ..
        } = self.totals();
        let requests = terminal::count(usize::try_from(requests).unwrap_or(usize::MAX), "request");
        let mut counts = format!("{requests} dealt, {moved} moved, {failed} failed");
        if kept > 0 {
            let _ = write!(counts, ", {kept} from the cache");
        }
        terminal::out(&format!("\n{}\n", self.paint.bold(&counts)));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, line: &str) {
        let Some(dealt) = Dealt::parse(line) else {
            return;
        };
        let named = self.names.iter().find(|(name, _)| name == dealt.server);
        let suit = named.map(|(_, suit)| suit);
        let mut seen = self.seen();
        seen.totals.add(&dealt, suit);
        if seen.since.is_none_or(is_over) {
            self.sum_up(&mut seen);
            seen.since = Some(Instant::now());
            seen.shown = 0;
        }
        if seen.shown < LINES_PER_SECOND {
            seen.shown += 1;
            terminal::out(&format(&dealt, suit, self.paint));
        } else {
            seen.hidden.add(&dealt, suit);
        }
    }

    /// A second that is over is summed up though nothing follows.
    fn tick(&self) {
        let mut seen = self.seen();
        if seen.since.is_some_and(is_over) {
            self.sum_up(&mut seen);
        }
    }

    fn sum_up(&self, seen: &mut Seen) {
        let hidden = std::mem::take(&mut seen.hidden);
        if hidden.requests == 0 {
            return;
        }
        let mut line = format!("{:9}and {} more:", "", thousands(hidden.requests));
        for suit in &Suit::ALL {
            let count = thousands(hidden.by_server[suit.number - 1]);
            let shown = format!("{} {} {count}", suit.number, suit.symbol);
            let _ = write!(line, "  {}", self.paint.sgr(suit.sgr, &shown));
        }
        if hidden.kept > 0 {
            let kept = format!("kept {}", thousands(hidden.kept));
            let _ = write!(line, "  {}", self.paint.sgr("36", &kept));
        }
        if hidden.failed > 0 {
            let failed = format!("{} failed", thousands(hidden.failed));
            let _ = write!(line, "  {}", self.paint.bold_red(&failed));
        }
        terminal::out(&format!("{line}\n"));
    }
}

fn is_over(since: Instant) -> bool {
    since.elapsed() >= Duration::from_secs(1)
}
