//! Counts frames that carry nothing of a message, as they pass: the library answers each of them
//! and bounds few (CVE-2019-9512, 9513, 9515, 9518). Looks at the nine bytes before each frame.

use std::time::Duration;

use crate::timers::{Tick, ticks};

/// The count begins anew this often.
pub(crate) const PERIOD: Duration = Duration::from_secs(10);

const HEAD: usize = 9;
const PREFACE: usize = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// Where we are in the stream of frames, and what was seen.
#[derive(Debug)]
pub(crate) struct Meter {
    head: [u8; HEAD],
    held: usize,
    /// Bytes of the present frame, or of the preface, still to come.
    skip: usize,
    max: u32,
    count: u32,
    began: Tick,
    /// The first frame must be SETTINGS (RFC 9113 section 3.4).
    start: Start,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Ahead,
    Good,
    Bad,
}

impl Meter {
    /// For the frames of a client, which follow a preface.
    pub(crate) fn of_client(max: u32) -> Self {
        Self {
            skip: PREFACE,
            ..Self::of_server(max)
        }
    }

    /// For the frames of a server.
    pub(crate) fn of_server(max: u32) -> Self {
        Self {
            head: [0; HEAD],
            held: 0,
            skip: 0,
            max,
            count: 0,
            began: 0,
            start: Start::Ahead,
        }
    }

    /// Bytes have come in.
    pub(crate) fn see(&mut self, mut bytes: &[u8], now: Tick) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let taken = (HEAD - self.held).min(bytes.len());
            self.head[self.held..self.held + taken].copy_from_slice(&bytes[..taken]);
            self.held += taken;
            bytes = &bytes[taken..];
            if self.held == HEAD {
                self.held = 0;
                let [a, b, c, kind, ..] = self.head;
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.frame(kind, now);
            }
        }
    }

    fn frame(&mut self, kind: u8, now: Tick) {
        if self.start == Start::Ahead {
            self.start = if kind == SETTINGS {
                Start::Good
            } else {
                Start::Bad
            };
        }
        // Updates come with every few pages of a download; the library refuses those of nothing.
        let carries = match kind {
            DATA => self.skip > 0,
            HEADERS | WINDOW_UPDATE => true,
            _ => false,
        };
        if carries {
            return;
        }
        if now.saturating_sub(self.began) > ticks(PERIOD) {
            self.began = now;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Did it begin with another frame than SETTINGS?
    pub(crate) fn began_wrong(&self) -> bool {
        self.start == Start::Bad
    }

    /// Were there more than the limit allows?
    pub(crate) fn is_exceeded(&self) -> bool {
        self.count > self.max
    }
}

#[cfg(test)]
mod tests {
    use super::Meter;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, kind, 0, 0, 0, 0, 0];
        bytes[1] = u8::try_from(length >> 8).unwrap();
        bytes[2] = u8::try_from(length & 255).unwrap();
        bytes.resize(9 + length, 7);
        bytes
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for (kind, length) in [(4, 36), (1, 300), (0, 1000), (0, 0), (6, 8), (8, 4), (3, 4)] {
            bytes.extend(frame(kind, length));
        }
        for cut in 1..40 {
            let mut meter = Meter::of_client(3);
            for piece in bytes.chunks(cut) {
                meter.see(piece, 0);
            }
            // SETTINGS, an empty DATA, PING, RST_STREAM.
            assert_eq!(meter.count, 4, "{cut}");
            assert!(meter.is_exceeded());
        }
    }

    #[test]
    fn the_count_begins_anew() {
        let mut meter = Meter::of_server(1);
        meter.see(&frame(6, 8), 0);
        meter.see(&frame(6, 8), 1000);
        assert!(!meter.is_exceeded());
        meter.see(&frame(6, 8), 1001);
        assert!(meter.is_exceeded());
    }
}
