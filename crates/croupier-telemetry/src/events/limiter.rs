//! How much each event may say: a few lines a second by name, and a count of the rest.
//!
//! A storm of one kind must neither fill the disk nor hide the others, so names do not share a limit.
//! Names are fixed words of the program, so the table is as small as their list.

use std::collections::HashMap;

use super::{Level, Value, write_line};

/// Lines that one name may write in one second.
const LINES_PER_SECOND: u32 = 10;

/// How often each name spoke in its last second.
#[derive(Default)]
pub(super) struct Limiter {
    windows: HashMap<&'static str, Window>,
    /// Names with something held back; usually none.
    held_back: u32,
}

struct Window {
    second: u64,
    level: Level,
    written: u32,
    suppressed: u64,
}

impl Limiter {
    /// Whether this name may write a line now; if not, it is counted.
    pub(super) fn admits(&mut self, now: u64, level: Level, name: &'static str) -> bool {
        let fresh = || Window {
            second: now,
            level,
            written: 0,
            suppressed: 0,
        };
        let window = self.windows.entry(name).or_insert_with(fresh);
        if window.second != now {
            *window = fresh();
        }
        if window.written < LINES_PER_SECOND {
            window.written += 1;
            return true;
        }
        self.held_back += u32::from(window.suppressed == 0);
        window.suppressed += 1;
        false
    }

    /// Writes a line for every name whose second is over and that was held back in it.
    pub(super) fn settle(&mut self, now: u64, lines: &mut Vec<u8>) {
        if self.held_back == 0 {
            return;
        }
        for (name, window) in &mut self.windows {
            if window.second != now && window.suppressed > 0 {
                let values: [Value<'_>; 1] = [("suppressed", &window.suppressed)];
                write_line(lines, now, window.level, name, &values);
                window.suppressed = 0;
                self.held_back -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_becomes_ten_lines_and_a_count() {
        let mut limiter = Limiter::default();
        let admitted = (0..100)
            .filter(|_| limiter.admits(5, Level::Warn, "storm"))
            .count();
        assert_eq!(admitted, LINES_PER_SECOND as usize);
        assert!(
            limiter.admits(5, Level::Warn, "other"),
            "names do not share a limit"
        );

        let mut out = Vec::new();
        limiter.settle(5, &mut out);
        assert!(out.is_empty(), "the second is not over");
        limiter.settle(6, &mut out);
        let told = String::from_utf8(out).unwrap();
        assert!(told.ends_with("warn  storm suppressed=90\n"), "{told}");
        assert_eq!(limiter.held_back, 0);
        assert!(limiter.admits(6, Level::Warn, "storm"), "a new second");
    }
}
