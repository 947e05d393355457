//! The short line for a person who watches: 80 columns, unless a name in it is too long for that.
//!
//! `12:00:00 GET  shop.example.com/assets/app.js         200  12k 4.2ms 10.0.1.11:8080`
//!
//! Time is UTC. The target gives way first: its middle is left out. At the end stand the server, what
//! the cache did, and the fault if there was one.

use std::time::Duration;

use super::combined::status;
use super::format::Color;
use crate::date::Stamp;
use crate::record::Record;
use crate::text;

const COLUMNS: usize = 80;

/// The target is never cut below this, even if the line gets longer than it should.
const TARGET_AT_LEAST: usize = 16;

/// Bytes of one field that are looked at.
const FIELD_BYTES: usize = 200;

/// Columns of everything but method, target, server and fault, with the spaces between.
const FIXED: usize = "12:00:00   200 123k 123ms".len();

/// Appends the record as one line.
pub(super) fn write(record: &Record<'_>, color: Color, stamp: &mut Stamp, out: &mut Vec<u8>) {
    painted(out, color, b"\x1b[2m", |out| stamp.time(record.ts, out));
    out.push(b' ');
    let method = padded(out, 4, |out| field(out, record.method));
    out.push(b' ');

    let shown = |name: &str| {
        if name.is_empty() {
            0
        } else {
            1 + name.len().min(FIELD_BYTES)
        }
    };
    let rest = FIXED + method + shown(record.server) + shown(record.cache) + shown(record.fault);
    let width = COLUMNS.saturating_sub(rest).max(TARGET_AT_LEAST);
    padded(out, width, |out| target(out, record, width));

    out.push(b' ');
    painted(out, color, paint(record.status), |out| {
        match record.status {
            0 => out.extend_from_slice(b"---"),
            known => status(out, known),
        }
    });
    out.push(b' ');
    right(out, 4, |out| size(out, record.bytes_out));
    out.push(b' ');
    right(out, 5, |out| duration(out, record.duration));
    for name in [record.server, record.cache, record.fault]
        .into_iter()
        .filter(|name| !name.is_empty())
    {
        out.push(b' ');
        field(out, name.as_bytes());
    }
    out.push(b'\n');
}

/// Host, path and query, cut in the middle to `width` columns.
fn target(out: &mut Vec<u8>, record: &Record<'_>, width: usize) {
    let start = out.len();
    field(out, record.host);
    field(out, record.path);
    if !record.query.is_empty() {
        out.push(b'?');
        field(out, record.query);
    }
    let len = out.len() - start;
    if len > width {
        // Two dots for what is missing; the end of a path says more than its middle.
        let head = (width - 2) / 2;
        let tail = width - 2 - head;
        out[start + head..start + head + 2].copy_from_slice(b"..");
        out.copy_within(start + len - tail..start + len, start + head + 2);
        out.truncate(start + width);
    }
}

fn field(out: &mut Vec<u8>, value: &[u8]) {
    text::plain(out, text::capped(value, FIELD_BYTES).0);
}

/// Writes, fills up with spaces to `width`, and says how many columns it took.
fn padded(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) -> usize {
    let start = out.len();
    write(out);
    let end = out.len().max(start + width);
    out.resize(end, b' ');
    end - start
}

/// Writes at the right end of `width` columns.
fn right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(out.len() - start);
    out.resize(out.len() + missing, b' ');
    out[start..].rotate_right(missing);
}

fn painted(out: &mut Vec<u8>, color: Color, paint: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    match color {
        Color::Plain => write(out),
        Color::Ansi => {
            out.extend_from_slice(paint);
            write(out);
            out.extend_from_slice(b"\x1b[0m");
        }
    }
}

/// Green is well, cyan elsewhere, yellow the client's doing, red ours or the origin's.
const fn paint(status: u16) -> &'static [u8] {
    match status {
        200..=299 => b"\x1b[32m",
        300..=399 => b"\x1b[36m",
        400..=499 => b"\x1b[33m",
        0 | 500.. => b"\x1b[31m",
        _ => b"\x1b[0m",
    }
}

/// `999B`, `1.2k`, `456k`, `7.8M`: four columns. Decimal steps, as transfers are counted.
fn size(out: &mut Vec<u8>, bytes: u64) {
    let mut unit = 1;
    for letter in [b'B', b'k', b'M', b'G', b'T'] {
        if bytes / unit < 1000 || letter == b'T' {
            scaled(out, bytes, unit);
            out.push(letter);
            return;
        }
        unit *= 1000;
    }
}

/// `0.4ms`, `12ms`, `1.2s`, `95s`, `1.5h`: five columns at most.
fn duration(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let (unit, name) = match micros {
        0..1_000_000 => (1_000, "ms"),
        1_000_000..1_000_000_000 => (1_000_000, "s"),
        _ => (3_600_000_000, "h"),
    };
    scaled(out, micros, unit);
    out.extend_from_slice(name.as_bytes());
}

/// A number of units with one decimal if it is short and not whole bytes.
fn scaled(out: &mut Vec<u8>, n: u64, unit: u64) {
    let whole = n / unit;
    text::number(out, whole);
    if whole < 10 && unit > 1 {
        out.extend_from_slice(&[b'.', text::digit(n % unit * 10 / unit)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(record: &Record<'_>, color: Color) -> String {
        let mut out = Vec::new();
        write(record, color, &mut Stamp::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    const RECORD: Record<'_> = Record {
        ts: 1_795_435_200_120,
        method: b"GET",
        host: b"shop.example.com",
        path: b"/assets/a-rather-long-name-for-a-file/and-more/app.js",
        query: b"v=1",
        status: 200,
        bytes_out: 12_345,
        duration: Duration::from_micros(4_250),
        server: "10.0.1.11:8080",
        ..Record::EMPTY
    };

    #[test]
    fn a_line_has_80_columns() {
        let line = line(&RECORD, Color::Plain);
        assert_eq!(
            line,
            "12:00:00 GET  shop.example.com/..d-more/app.js?v=1 200  12k 4.2ms 10.0.1.11:8080\n"
        );
        assert_eq!(line.len(), COLUMNS + 1);
        let short = Record {
            path: b"/",
            query: b"",
            ..RECORD
        };
        assert_eq!(
            self::line(&short, Color::Plain).len(),
            line.len(),
            "columns stay in place"
        );
    }

    #[test]
    fn a_fault_stands_at_the_end() {
        let failed = Record {
            status: 502,
            fault: "origin.connect.refused",
            ..RECORD
        };
        let line = line(&failed, Color::Plain);
        assert!(
            line.ends_with(" 10.0.1.11:8080 origin.connect.refused\n"),
            "{line}"
        );
        assert!(line.contains(" 502 "), "{line}");
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        let hostile = Record {
            path: b"/\x1b[2J\xff\"\n",
            method: b"\x07",
            ..RECORD
        };
        let line = line(&hostile, Color::Plain);
        assert!(
            line.trim_end()
                .bytes()
                .all(|byte| (0x20..0x7f).contains(&byte)),
            "{line:?}"
        );
        assert!(self::line(&RECORD, Color::Ansi).contains("\x1b[32m200\x1b[0m"));
    }

    #[test]
    fn sizes_and_durations_are_short() {
        let sized = |bytes| {
            let mut out = Vec::new();
            size(&mut out, bytes);
            String::from_utf8(out).unwrap()
        };
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_234, "1.2k"),
            (999_999, "999k"),
            (7_800_000, "7.8M"),
        ] {
            assert_eq!(sized(bytes), text);
        }
        let lasted = |micros| {
            let mut out = Vec::new();
            duration(&mut out, Duration::from_micros(micros));
            String::from_utf8(out).unwrap()
        };
        for (micros, text) in [
            (40, "0.0ms"),
            (420, "0.4ms"),
            (12_345, "12ms"),
            (1_200_000, "1.2s"),
            (95_000_000, "95s"),
            (5_400_000_000, "1.5h"),
        ] {
            assert_eq!(lasted(micros), text);
        }
    }
}
