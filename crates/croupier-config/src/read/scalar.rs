//! Durations and sizes: strings with units, never bare numbers.

use std::time::Duration;

use crate::model::limits::Amount;
use crate::model::{Percent, Timeout};
use crate::read::Complaint;

const TIME_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const DAY_MILLIS: u64 = 86_400_000;
const DAYS_MAX: u64 = 366;

/// `10s`, `500ms`, `1h30m` or `off`.
pub(crate) fn timeout(text: &str) -> Result<Timeout, Complaint> {
    if text == "off" {
        return Ok(Timeout::Off);
    }
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err(Complaint::new(format!("`{text}` would be over at once"))
            .help("write `\"off\"` for no timeout"));
    }
    Ok(Timeout::After(duration))
}

/// `10s`, `500ms`, `1h30m`; a year at most.
pub(crate) fn duration(text: &str) -> Result<Duration, Complaint> {
    duration_of_days(text, DAYS_MAX)
}

/// The same, with a bound of its own.
pub(crate) fn duration_of_days(text: &str, days_max: u64) -> Result<Duration, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is not a duration"));
    let forms = "a duration is a number and a unit, such as `10s`, `500ms` or `1h30m`";
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut unit_above = u64::MAX;
    if rest.is_empty() {
        return Err(bad().help(forms));
    }
    while !rest.is_empty() {
        let (number, unit);
        (number, unit, rest) = number_and_unit(rest);
        if number.is_empty() {
            return Err(bad().help(forms));
        }
        if unit.is_empty() {
            return Err(bad().help(format!("add a unit: `{text}s` or `{text}ms`")));
        }
        if number.contains('.') {
            return Err(bad().help("write whole numbers of a smaller unit, such as `1500ms`"));
        }
        let Some((_, factor)) = TIME_UNITS.iter().find(|(known, _)| *known == unit) else {
            return Err(unknown_time_unit(number, unit.trim()));
        };
        if *factor >= unit_above {
            return Err(bad().help("write the larger unit first, each once, as in `1h30m`"));
        }
        unit_above = *factor;
        millis = number
            .parse()
            .ok()
            .and_then(|number: u64| number.checked_mul(*factor))
            .and_then(|part| millis.checked_add(part))
            .filter(|millis| *millis / DAY_MILLIS < days_max || *millis == days_max * DAY_MILLIS)
            .ok_or_else(|| {
                Complaint::new(match days_max {
                    DAYS_MAX => format!("`{text}` is more than a year"),
                    _ => format!("`{text}` is more than {days_max} days"),
                })
            })?;
    }
    Ok(Duration::from_millis(millis))
}

fn unknown_time_unit(number: &str, unit: &str) -> Complaint {
    let complaint = Complaint::new(format!("`{unit}` is not a unit of time"));
    let lower = unit.to_ascii_lowercase();
    let meant = match lower.as_str() {
        "msec" | "msecs" | "millis" | "milliseconds" | "ms" => "ms",
        "sec" | "secs" | "second" | "seconds" | "s" => "s",
        "min" | "mins" | "minute" | "minutes" | "m" => "m",
        "hour" | "hours" | "hr" | "hrs" | "h" => "h",
        "day" | "days" | "d" => "d",
        _ => return complaint.help("the units are `ms`, `s`, `m`, `h` and `d`"),
    };
    complaint.help(format!("write `{number}{meant}`"))
}

/// `32KiB`, `1MB`.
pub(crate) fn size(text: &str) -> Result<u64, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is not a size"));
    let (number, unit, rest) = number_and_unit(text);
    if number.is_empty() || !rest.is_empty() {
        return Err(bad().help("a size is a number and a unit, such as `32KiB` or `1MB`"));
    }
    if number.contains('.') {
        return Err(bad().help("write whole numbers: `1536KiB`, not `1.5MiB`"));
    }
    if unit.is_empty() {
        return Err(bad().help(bytes_help(number)));
    }
    let Some((_, factor)) = SIZE_UNITS.iter().find(|(known, _)| *known == unit) else {
        let complaint = Complaint::new(format!("`{unit}` is not a unit of size"));
        let letter = unit.chars().next().map(|c| c.to_ascii_uppercase());
        return Err(match letter {
            Some(letter @ ('K' | 'M' | 'G' | 'T')) if unit.len() <= 3 => complaint.help(format!(
                "write `{number}{letter}iB` (powers of 1024) or `{number}{letter}B` (powers of 1000)"
            )),
            _ => complaint.help("the units are `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` and `GB`"),
        });
    };
    number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(*factor))
        .ok_or_else(|| Complaint::new(format!("`{text}` is too large")))
}

/// `20%`, `99.9%`; exact to a hundredth.
pub(crate) fn percent(text: &str) -> Result<Percent, Complaint> {
    let bad = || Complaint::new(format!("`{text}` is not a share"));
    let Some(number) = text.strip_suffix('%') else {
        return Err(match text.parse::<f64>() {
            Ok(share) if share > 0.0 && share < 10.0 && text.contains('.') => bad().help(format!(
                "write it in percent: `{}%`",
                (share * 100.0).round()
            )),
            Ok(_) => bad().help(format!("add the sign: `{text}%`")),
            Err(_) => bad().help("a share is a number and `%`, such as `20%`"),
        });
    };
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(rest) || whole.len() > 7 {
        return Err(bad().help("a share is a number and `%`, such as `20%`"));
    }
    if rest.len() > 2 {
        return Err(bad().help("a share has at most two digits after the point"));
    }
    let digits = |text: &str| text.parse::<u32>().unwrap_or_default();
    let rest = if rest.len() == 1 {
        digits(rest) * 10
    } else {
        digits(rest)
    };
    // At most seven digits, then two: far below the bounds.
    Ok(Percent::of_hundredths(digits(whole) * 100 + rest))
}

/// What a number without a unit was most likely meant to be.
pub(crate) fn bytes_help(number: &str) -> String {
    let size = number
        .parse()
        .map(|number| Amount::Size(number).to_string())
        .unwrap_or_default();
    if size.is_empty() || size.ends_with(&format!("{number}B")) {
        return format!("add a unit: `\"{number}B\"` or `\"{number}KiB\"`");
    }
    format!("add a unit: `\"{number}B\"` is the same as `\"{size}\"`")
}

/// `"12ab.."` as `("12", "ab", "..")`.
fn number_and_unit(text: &str) -> (&str, &str, &str) {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    (number, unit, rest)
}

#[cfg(test)]
mod tests {
    use super::{duration, percent, size, timeout};
    use crate::model::Timeout;
    use std::time::Duration;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "10 s",
            "10sec",
            "30m1h",
            "1s1s",
            "-1s",
            "9999999999999h",
            "1s!",
        ] {
            duration(text).unwrap_err();
        }
        assert_eq!(timeout("off").unwrap(), Timeout::Off);
        timeout("0s").unwrap_err();
    }

    #[test]
    fn shares() {
        for (text, hundredths) in [("20%", 2000), ("0%", 0), ("99.9%", 9990), ("0.05%", 5)] {
            let share = percent(text).unwrap();
            assert_eq!(share.hundredths(), hundredths, "{text}");
            assert_eq!(share.to_string(), text);
        }
        for text in [
            "",
            "%",
            "20",
            "0.2",
            "-1%",
            "1.%",
            ".5%",
            "1.234%",
            "20 %",
            "99999999%",
            "nan",
            "inf",
            "+1%",
        ] {
            percent(text).unwrap_err();
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("32KiB", 32 << 10),
            ("1MB", 1_000_000),
            ("1kB", 1000),
            ("0B", 0),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "32",
            "32k",
            "1.5MiB",
            "1 MB",
            "1MB2",
            "KiB",
            "99999999999TiB",
            "1kib",
        ] {
            size(text).unwrap_err();
        }
    }
}
