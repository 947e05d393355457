//! The process log: what happened to the process, one line each, on standard error.
//!
//! `2026-11-23T12:00:00Z warn  origin.connect.refused pool=web server=10.0.0.1:80`
//!
//! An event has a fixed name and named values. Values are escaped, so a stranger cannot write a line of
//! his own. Each name may speak ten times a second; what it had to say beyond that is counted and told
//! in one line (`limiter`). This is the only place of the process that prints.

mod limiter;

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use self::limiter::Limiter;
use crate::date::Stamp;
use crate::text;

/// Bytes of one value; the rest is cut off.
const VALUE_BYTES: usize = 1024;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something may stop working, or did for one exchange.
    Warn,
    /// Something happened that is worth knowing later.
    Info,
    /// For whoever looks for a cause.
    Debug,
}

impl Level {
    /// The level's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug]
            .into_iter()
            .find(|level| level.as_str() == word)
            .ok_or_else(|| format!("`{word}` is not a level: error, warn, info, debug"))
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static LIMITER: LazyLock<Mutex<Limiter>> = LazyLock::new(Mutex::default);

/// From now on, events up to this level are written. `info` until somebody says otherwise.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether an event of this level would be written: ask before computing costly values.
#[must_use]
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// A value of an event: its key, a fixed word, and anything that can be shown.
pub type Value<'a> = (&'a str, &'a dyn Display);

/// Writes an event, unless its level is off or its name has said enough this second.
///
/// ```
/// use croupier_telemetry::{Level, event};
/// event(Level::Warn, "origin.connect.refused", &[("pool", &"web"), ("server", &"10.0.0.1:80")]);
/// ```
pub fn event(level: Level, name: &'static str, values: &[Value<'_>]) {
    if !enabled(level) {
        return;
    }
    // A clock before 1970 is not worth losing an event.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut lines = Vec::with_capacity(256);
    let mut limiter = LIMITER.lock().unwrap_or_else(PoisonError::into_inner);
    limiter.settle(now, &mut lines);
    if limiter.admits(now, level, name) {
        write_line(&mut lines, now, level, name, values);
    }
    drop(limiter);
    print(&lines);
}

/// Tells what was held back, if its second is over. Called now and then by whoever has a timer, so that
/// the count of a storm does not wait for the next event.
pub fn tick() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut lines = Vec::new();
    LIMITER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .settle(now, &mut lines);
    print(&lines);
}

fn print(lines: &[u8]) {
    if !lines.is_empty() {
        // One write for whole lines, so that processes that share the descriptor do not mix theirs. If
        // standard error is gone there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(lines);
    }
}

fn write_line(out: &mut Vec<u8>, now: u64, level: Level, name: &str, values: &[Value<'_>]) {
    Stamp::default().rfc3339(now, out);
    // Writing to a Vec or a String fails only when a value's Display does; then it stays short.
    let _ = write!(out, " {:5} {name}", level.as_str());
    let mut value = String::new();
    for (key, shown) in values {
        value.clear();
        let _ = write!(value, "{shown}");
        let (kept, whole) = text::capped(value.as_bytes(), VALUE_BYTES);
        let _ = write!(out, " {key}=");
        let bare = whole && !kept.is_empty() && text::is_clean(kept);
        if bare && !kept.iter().any(|byte| matches!(byte, b' ' | b'=')) {
            out.extend_from_slice(kept);
        } else {
            out.push(b'"');
            text::json(out, kept);
            out.extend_from_slice(if whole { b"\"" } else { b"...\"" });
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[Value<'_>]) -> String {
        let mut out = Vec::new();
        write_line(
            &mut out,
            1_795_435_200,
            Level::Warn,
            "origin.connect.refused",
            values,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line_with_its_values() {
        assert_eq!(
            line(&[("pool", &"web"), ("server", &"10.0.0.1:80"), ("tries", &2)]),
            "2026-11-23T12:00:00Z warn  origin.connect.refused pool=web server=10.0.0.1:80 tries=2\n"
        );
    }

    #[test]
    fn a_value_cannot_break_out() {
        let line = line(&[
            ("a", &""),
            ("b", &"x y"),
            ("c", &"q\"\n\x1b[2J"),
            ("d", &"k=v"),
        ]);
        assert!(
            line.ends_with(" a=\"\" b=\"x y\" c=\"q\\\"\\n\\u001b[2J\" d=\"k=v\"\n"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn long_values_are_cut() {
        let line = line(&[("error", &"e".repeat(5000))]);
        assert!(line.len() < VALUE_BYTES + 100, "{}", line.len());
        assert!(line.ends_with("e...\"\n"));
    }

    #[test]
    fn levels_have_names_and_an_order() {
        assert_eq!("warn".parse(), Ok(Level::Warn));
        assert!("warning".parse::<Level>().is_err());
        assert!(
            enabled(Level::Error) && enabled(Level::Info),
            "the default is info"
        );
        assert!(!enabled(Level::Debug));
    }
}
