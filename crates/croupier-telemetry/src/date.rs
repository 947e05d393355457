//! Dates for logs: UTC, always, in the two spellings that log readers know.
//!
//! Nothing here reads a clock. A `Stamp` keeps the second it wrote last, so that a busy worker splits a
//! time into year, month and day once a second and not once a line.

use crate::text::digit;

/// The last instant with a year of four digits, in milliseconds.
const LAST: u64 = 253_402_300_799_999;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The text of one second, kept until another second is asked for.
#[derive(Clone, Debug)]
pub struct Stamp {
    second: u64,
    /// `2026-11-23T12:00:00`
    rfc3339: [u8; 19],
    /// `23/Nov/2026:12:00:00 +0000`
    common: [u8; 26],
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            second: 0,
            rfc3339: *b"1970-01-01T00:00:00",
            common: *b"01/Jan/1970:00:00:00 +0000",
        }
    }
}

impl Stamp {
    /// Appends `2026-11-23T12:00:00.123Z`.
    #[inline]
    pub(crate) fn rfc3339_ms(&mut self, unix_ms: u64, out: &mut Vec<u8>) {
        let unix_ms = unix_ms.min(LAST);
        self.turn_to(unix_ms / 1000);
        let ms = unix_ms % 1000;
        let mut text = *b"....-..-..T..:..:...000Z";
        text[..19].copy_from_slice(&self.rfc3339);
        text[20..23].copy_from_slice(&[digit(ms / 100), digit(ms / 10 % 10), digit(ms % 10)]);
        out.extend_from_slice(&text);
    }

    /// `2026-11-23T12:00:00Z`.
    #[must_use]
    pub fn utc(&mut self, unix_secs: u64) -> String {
        let mut out = Vec::new();
        self.rfc3339(unix_secs, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Appends `2026-11-23T12:00:00Z`.
    pub(crate) fn rfc3339(&mut self, unix_secs: u64, out: &mut Vec<u8>) {
        self.turn_to(unix_secs.min(LAST / 1000));
        out.extend_from_slice(&self.rfc3339);
        out.push(b'Z');
    }

    /// Appends `23/Nov/2026:12:00:00 +0000`, the time of the common log format.
    #[inline]
    pub(crate) fn common(&mut self, unix_ms: u64, out: &mut Vec<u8>) {
        self.turn_to(unix_ms.min(LAST) / 1000);
        out.extend_from_slice(&self.common);
    }

    /// Appends `12:00:00`.
    #[inline]
    pub(crate) fn time(&mut self, unix_ms: u64, out: &mut Vec<u8>) {
        self.turn_to(unix_ms.min(LAST) / 1000);
        out.extend_from_slice(&self.rfc3339[11..]);
    }

    #[inline]
    fn turn_to(&mut self, second: u64) {
        if self.second != second {
            self.write(second);
        }
    }

    fn write(&mut self, second: u64) {
        self.second = second;
        let (year, month, day) = civil(second / 86_400);
        let in_day = second % 86_400;
        let (hour, minute, secs) = (in_day / 3600, in_day / 60 % 60, in_day % 60);

        let iso = &mut self.rfc3339;
        two(&mut iso[0..2], year / 100);
        two(&mut iso[2..4], year % 100);
        two(&mut iso[5..7], month);
        two(&mut iso[8..10], day);
        two(&mut iso[11..13], hour);
        two(&mut iso[14..16], minute);
        two(&mut iso[17..19], secs);

        let (iso, common) = (&self.rfc3339, &mut self.common);
        common[0..2].copy_from_slice(&iso[8..10]);
        common[3..6].copy_from_slice(MONTHS[month as usize - 1]);
        common[7..11].copy_from_slice(&iso[0..4]);
        common[12..20].copy_from_slice(&iso[11..19]);
    }
}

fn two(at: &mut [u8], n: u64) {
    at.copy_from_slice(&[digit(n / 10), digit(n % 10)]);
}

/// Year, month (1..=12) and day (1..=31) of a day counted from 1970. After Howard Hinnant's
/// `civil_from_days`: years begin in March, so that the leap day is a year's last.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(stamp: &mut Stamp, ms: u64) -> String {
        let mut out = Vec::new();
        stamp.rfc3339_ms(ms, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_instants() {
        let mut stamp = Stamp::default();
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_000_000_000_999, "2001-09-09T01:46:40.999Z"),
            (1_795_435_200_120, "2026-11-23T12:00:00.120Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(&mut stamp, ms), text);
            assert_eq!(
                iso(&mut Stamp::default(), ms),
                text,
                "without what came before"
            );
        }
    }

    #[test]
    fn the_common_spelling() {
        let (mut stamp, mut out) = (Stamp::default(), Vec::new());
        stamp.common(1_795_435_200_120, &mut out);
        assert_eq!(out, b"23/Nov/2026:12:00:00 +0000");
        out.clear();
        stamp.rfc3339(1_795_435_201, &mut out);
        assert_eq!(out, b"2026-11-23T12:00:01Z");
        out.clear();
        stamp.time(1_795_435_201_000, &mut out);
        assert_eq!(out, b"12:00:01");
    }

    #[test]
    fn every_day_of_five_centuries_follows_the_one_before() {
        let mut before = civil(0);
        for day in 1..182_622 {
            let (year, month, date) = civil(day);
            let next_in_month = (before.0, before.1, before.2 + 1) == (year, month, date);
            let first = date == 1 && before.2 >= 28;
            assert!(
                next_in_month || first,
                "{before:?} then {:?}",
                (year, month, date)
            );
            before = (year, month, date);
        }
    }
}
