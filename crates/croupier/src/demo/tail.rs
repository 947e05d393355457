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

use super::{cards::Suit, server::Server};
use crate::terminal::{self, Paint};

/// A line of the access log. A tab within a value is escaped, so tabs part the values.
pub(super) const TEMPLATE: &str = "{ts}\t{method}\t{path}\t{query}\t{status}\t{bytes_out}\t{dur_ms}\t{server}\t{retries}\t{fault}";

/// Lines shown in one second; the rest is summed up.
const LINES_PER_SECOND: usize = 24;
const COLUMNS: usize = 80;

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
        self.moved += u64::from(dealt.retries != "0" && dealt.fault == "-");
        self.failed += u64::from(dealt.fault != "-");
    }
}

/// A line of the log.
struct Dealt<'a> {
    time: &'a str,
    method: &'a str,
    path: &'a str,
    query: &'a str,
    status: &'a str,
    bytes: &'a str,
    millis: &'a str,
    server: &'a str,
    retries: &'a str,
    fault: &'a str,
}

impl<'a> Dealt<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut values = line.split('\t');
        let mut next = || values.next();
        Some(Self {
            // 2026-11-23T12:00:00.120Z
            time: next()?.get(11..19)?,
            method: next()?,
            path: next()?,
            query: next()?,
            status: next()?,
            bytes: next()?,
            millis: next()?,
            server: next()?,
            retries: next()?,
            fault: next()?,
        })
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
            moved,
            failed,
            ..
        } = self.totals();
        let requests = terminal::count(usize::try_from(requests).unwrap_or(usize::MAX), "request");
        let counts = format!("{requests} dealt, {moved} moved, {failed} failed");
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

/// `12:00:00 GET  /card                              200   62B 0.4ms  2 ♦ diamonds`
fn format(dealt: &Dealt<'_>, suit: Option<&Suit>, paint: Paint) -> String {
    let mut notes = String::new();
    let mut width = 0;
    if let Some(suit) = suit {
        let title = suit.title();
        width = 2 + title.chars().count();
        notes = format!("  {}", paint.sgr(suit.sgr, &title));
    }
    let note = match (dealt.fault, dealt.retries) {
        ("-", "0") => String::new(),
        ("-", retries) => format!(" +{retries}"),
        (fault, _) => format!(" {fault}"),
    };
    width += note.chars().count();
    if dealt.fault == "-" {
        notes.push_str(&paint.bold(&note));
    } else {
        notes.push_str(&paint.bold_red(&note));
    }
    const FIXED: usize = "12:00:00 GET   200 123k 123ms".len();
    const TARGET: usize = 34;
    let room = COLUMNS.saturating_sub(FIXED + width).clamp(12, TARGET);
    let mut target = dealt.path.to_owned();
    if dealt.query != "-" {
        let _ = write!(target, "?{}", dealt.query);
    }
    if target.chars().count() > room {
        target = target.chars().take(room - 2).collect();
        target.push_str("..");
    }
    let color = match dealt.status.as_bytes().first() {
        Some(b'2') => "32",
        Some(b'3') => "36",
        Some(b'4') => "33",
        _ => "31",
    };
    format!(
        "{} {:4} {target:room$} {} {:>4} {:>5}{notes}\n",
        paint.dim(dealt.time),
        dealt.method,
        paint.sgr(color, &format!("{:>3}", dealt.status)),
        size(dealt.bytes.parse().unwrap_or(0)),
        duration(dealt.millis.parse().unwrap_or(0.0)),
    )
}

/// `999B`, `1.2k`, `456k`, `7.8M`
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}B"),
        1_000..10_000 => format!("{}.{}k", bytes / 1000, bytes % 1000 / 100),
        10_000..1_000_000 => format!("{}k", bytes / 1000),
        _ => format!("{}.{}M", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// `0.4ms`, `12ms`, `2.0s`
fn duration(millis: f64) -> String {
    match millis {
        ..9.95 => format!("{millis:.1}ms"),
        ..999.5 => format!("{millis:.0}ms"),
        _ => format!("{:.1}s", millis / 1000.0),
    }
}

/// `12,345`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Dealt, Suit, duration, format, size, thousands};
    use crate::terminal::Paint;

    fn line(log: &str, suit: &Suit) -> String {
        let dealt = Dealt::parse(log).unwrap();
        format(&dealt, Some(suit), Paint::PLAIN)
    }

    #[test]
    fn lines_are_aligned_and_fit() {
        let usual = line(
            "2026-11-23T12:00:00.120Z\tGET\t/card\t-\t200\t62\t0.412\tx\t0\t-",
            &Suit::ALL[1],
        );
        assert_eq!(
            usual,
            "12:00:00 GET  /card                              200  62B 0.4ms  2 ♦ diamonds\n"
        );
        let long = format!("/{}", "x".repeat(100));
        for (retries, fault) in [("0", "-"), ("2", "-"), ("1", "origin.connect.refused")] {
            let log = format!(
                "2026-11-23T12:00:00.120Z\tGET\t{long}\ta=b\t502\t123456\t812.4\tx\t{retries}\t{fault}"
            );
            let line = line(&log, &Suit::ALL[1]);
            assert!(line.trim_end().chars().count() <= COLUMNS, "{line}");
        }
    }

    #[test]
    fn short_numbers() {
        assert_eq!(
            [size(62), size(1234), size(100_400), size(7_800_000)],
            ["62B", "1.2k", "100k", "7.8M"]
        );
        assert_eq!(
            [duration(0.04), duration(12.3), duration(2004.0)],
            ["0.0ms", "12ms", "2.0s"]
        );
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
