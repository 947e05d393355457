//! One request dealt: a line of the access log, and the same for a person.

use std::fmt::Write as _;

use super::cards::Suit;
use crate::terminal::Paint;

/// A line of the access log. A tab within a value is escaped, so tabs part the values.
pub(super) const TEMPLATE: &str = "{ts}\t{method}\t{path}\t{query}\t{status}\t{bytes_out}\t{dur_ms}\t{server}\t{retries}\t{fault}\t{cache}";

const COLUMNS: usize = 80;

/// A line of the log.
pub(super) struct Dealt<'a> {
    time: &'a str,
    method: &'a str,
    path: &'a str,
    query: &'a str,
    status: &'a str,
    bytes: &'a str,
    millis: &'a str,
    pub(super) server: &'a str,
    pub(super) retries: &'a str,
    pub(super) fault: &'a str,
    /// What the cache did.
    cache: &'a str,
}

impl Dealt<'_> {
    /// Was it answered without a request of its own to a server?
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.cache, "hit" | "stale" | "collapsed")
    }
}

impl<'a> Dealt<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
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
            cache: next()?,
        })
    }
}

/// `12:00:00 GET  /card                            200  62B 0.4ms  2 ♦ diamonds`
/// `12:00:00 GET  /app.js                          200 100k 0.4ms  hit`
pub(super) fn format(dealt: &Dealt<'_>, suit: Option<&Suit>, paint: Paint) -> String {
    let mut notes = String::new();
    let mut width = 0;
    if let Some(suit) = suit {
        let title = suit.title();
        width = 2 + title.chars().count();
        notes = format!("  {}", paint.sgr(suit.sgr, &title));
    }
    // Beside a fault it says nothing, and there is no room.
    if dealt.cache != "-" && dealt.fault == "-" {
        let blanks = if suit.is_some() { " " } else { "  " };
        width += blanks.len() + dealt.cache.len();
        let color = if dealt.is_kept() { "36" } else { "2" };
        notes.push_str(blanks);
        notes.push_str(&paint.sgr(color, dealt.cache));
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
    const TARGET: usize = 32;
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
pub(super) fn thousands(number: u64) -> String {
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
    use super::{COLUMNS, Dealt, Paint, Suit, duration, format, size, thousands};

    fn line(log: &str, suit: &Suit) -> String {
        let dealt = Dealt::parse(log).unwrap();
        format(&dealt, Some(suit), Paint::PLAIN)
    }

    #[test]
    fn lines_are_aligned_and_fit() {
        let usual = line(
            "2026-11-23T12:00:00.120Z\tGET\t/card\t-\t200\t62\t0.412\tx\t0\t-\t-",
            &Suit::ALL[1],
        );
        assert_eq!(
            usual,
            "12:00:00 GET  /card                            200  62B 0.4ms  2 ♦ diamonds\n"
        );
        let kept = "2026-11-23T12:00:00.120Z\tGET\t/app.js\t-\t200\t100400\t0.412\t-\t0\t-\thit";
        assert_eq!(
            format(&Dealt::parse(kept).unwrap(), None, Paint::PLAIN),
            "12:00:00 GET  /app.js                          200 100k 0.4ms  hit\n"
        );
        let long = format!("/{}", "x".repeat(100));
        for (retries, fault) in [("0", "-"), ("2", "-"), ("1", "origin.connect.refused")] {
            let log = format!(
                "2026-11-23T12:00:00.120Z\tGET\t{long}\ta=b\t502\t123456\t812.4\tx\t{retries}\t{fault}\tmiss"
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
