//! HTTP dates as caches must read them: any of the three formats (RFC 9110 section 5.6.7), in any
//! case, in GMT only (RFC 9111 section 4.2). Stricter than that is nobody's right: a date that is
//! nearly one makes an answer stale.

/// Seconds since 1970 of a date; dates before that are 0. `now_secs` is needed for years of two
/// digits, which never lie more than 50 years ahead.
#[must_use]
pub fn parse(text: &[u8], now_secs: u64) -> Option<u64> {
    imf(text)
        .or_else(|| rfc850(text, now_secs))
        .or_else(|| asctime(text))
}

const DAYS: [&[u8]; 7] = [
    b"monday",
    b"tuesday",
    b"wednesday",
    b"thursday",
    b"friday",
    b"saturday",
    b"sunday",
];
const MONTHS: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf(text: &[u8]) -> Option<u64> {
    let text: &[u8; 29] = text.try_into().ok()?;
    is_day(&text[..3])?;
    shaped(text, b"___, __ ___ ____ __:__:__ GMT")?;
    let year = number(&text[12..16])?;
    seconds(
        year,
        month(&text[8..11])?,
        number(&text[5..7])?,
        clock(&text[17..25])?,
    )
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], now_secs: u64) -> Option<u64> {
    let comma = text.iter().position(|&byte| byte == b',')?;
    let (day, rest) = text.split_at(comma);
    DAYS.iter().find(|name| day.eq_ignore_ascii_case(name))?;
    let rest: &[u8; 24] = rest.try_into().ok()?;
    shaped(rest, b", __-___-__ __:__:__ GMT")?;
    let (this, _, _) = civil(now_secs / DAY);
    let mut year = this - this % 100 + number(&rest[9..11])?;
    if year > this + 50 {
        year -= 100;
    }
    seconds(
        year,
        month(&rest[5..8])?,
        number(&rest[2..4])?,
        clock(&rest[12..20])?,
    )
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<u64> {
    let text: &[u8; 24] = text.try_into().ok()?;
    is_day(&text[..3])?;
    shaped(text, b"___ ___ __ __:__:__ ____")?;
    let day = match &text[8..10] {
        [b' ', digit] => number(&[*digit])?,
        digits => number(digits)?,
    };
    seconds(
        number(&text[20..24])?,
        month(&text[4..7])?,
        day,
        clock(&text[11..19])?,
    )
}

/// Where the pattern has `_` anything may stand, elsewhere its own letter in any case.
fn shaped(text: &[u8], pattern: &[u8]) -> Option<()> {
    let fits = |(byte, wanted): (&u8, &u8)| *wanted == b'_' || byte.eq_ignore_ascii_case(wanted);
    (text.len() == pattern.len() && text.iter().zip(pattern).all(fits)).then_some(())
}

fn is_day(text: &[u8]) -> Option<()> {
    DAYS.iter()
        .any(|name| name[..3].eq_ignore_ascii_case(text))
        .then_some(())
}

/// 1 to 12.
fn month(text: &[u8]) -> Option<u64> {
    let at = MONTHS
        .chunks(3)
        .position(|name| name.eq_ignore_ascii_case(text))?;
    Some(at as u64 + 1)
}

/// At most four digits.
fn number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// `08:49:37`; a leap second is the second before it.
fn clock(text: &[u8]) -> Option<u64> {
    let (hour, minute, second) = (
        number(&text[..2])?,
        number(&text[3..5])?,
        number(&text[6..8])?,
    );
    (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3600 + minute * 60 + second.min(59))
}

const DAY: u64 = 86_400;

/// Seconds since 1970 of a moment whose parts were read from at most four digits.
fn seconds(year: u64, month: u64, day: u64, clock: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let length = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day == 0 || day > length {
        return None;
    }
    // Days since the first of March of the year 0, where leap days come last.
    let shifted = if month > 2 {
        year
    } else {
        year.checked_sub(1)?
    };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + of_year;
    Some(
        days.checked_sub(719_468)
            .map_or(0, |days| days * DAY + clock),
    )
}

/// Year, month and day of a day since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    // Beyond the year 9999 there is no HTTP date.
    let days = days.min(2_932_896) + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{civil, parse};

    /// 2026-11-23.
    const NOW: u64 = 1_795_392_000;

    #[test]
    fn the_three_formats_in_any_case() {
        let table = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("SUN, 06 nov 1994 08:49:37 gmt", 784_111_777),
            ("Sun Nov 16 08:49:37 1994", 784_975_777),
            ("Tue, 19 Jan 2038 14:14:08 GMT", 2_147_523_248),
            ("Sun, 21 Nov 2286 04:46:39 GMT", 10_000_039_599),
            ("Thursday, 18-Aug-50 02:01:18 GMT", 2_544_400_878),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Mon, 01 Jan 1900 00:00:00 GMT", 0),
            ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_199),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text.as_bytes(), NOW), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_a_date_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Xyz, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Xyz 2050 02:01:18 GMT",
            "Thu, 30 Feb 2050 02:01:18 GMT",
            "Thu, 29 Feb 2023 02:01:18 GMT",
            "Thu, 00 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 02:60:18 GMT",
            "Thu, 18 Aug 2050 02:01:61 GMT",
            "Thu,\u{a0}18 Aug 2050 02:01:18 GMT",
            "2050-08-18T02:01:18Z",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_never_far_ahead() {
        let year = |text: &str| civil(parse(text.as_bytes(), NOW).unwrap() / 86_400).0;
        assert_eq!(year("Sunday, 06-Nov-76 08:49:37 GMT"), 2076);
        assert_eq!(year("Sunday, 06-Nov-77 08:49:37 GMT"), 1977);
        assert_eq!(year("Sunday, 06-Nov-00 08:49:37 GMT"), 2000);
    }

    #[test]
    fn what_we_write_we_read() {
        for secs in (0..9_000_000_000).step_by(98_765_431) {
            let text = croupier_http::date::format(secs);
            assert_eq!(parse(text.as_bytes(), NOW), Some(secs), "{text}");
        }
    }
}
