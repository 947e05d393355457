//! Bytes, times and counts as people read them.

/// `812 B`, `12 KiB`, `1.2 MiB`: two digits at least, four columns of number at most.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    // In tenths, so that nothing is lost where it is seen.
    let mut tenths = u128::from(bytes) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = tenths.div_ceil(1024);
        unit += 1;
    }
    let name = UNITS[unit];
    match tenths {
        _ if unit == 0 => format!("{bytes} B"),
        ..100 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{} {name}", tenths / 10),
    }
}

/// `45s`, `3m20s`, `2h5m`, `4d`: the two largest units.
pub(super) fn time(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let Some(first) = parts.iter().position(|(number, _)| *number > 0) else {
        return "0s".into();
    };
    let shown = parts[first..].iter().take(2);
    shown
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect()
}

/// `1,234,567`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `92%`; nothing when there is nothing to share.
pub(super) fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => String::new(),
        _ => format!("{}%", u128::from(part) * 100 / u128::from(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, number, share, time};

    #[test]
    fn amounts_are_short() {
        for (amount, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 << 10, "10 KiB"),
            (1_258_291, "1.2 MiB"),
            (512 << 20, "512 MiB"),
            (50 << 30, "50 GiB"),
        ] {
            assert_eq!(bytes(amount), text);
        }
        assert!(bytes(u64::MAX).ends_with("PiB"));
        for (seconds, text) in [
            (0, "0s"),
            (45, "45s"),
            (200, "3m20s"),
            (7500, "2h5m"),
            (3600, "1h"),
            (90_061, "1d1h"),
        ] {
            assert_eq!(time(seconds), text);
        }
        assert_eq!(
            [number(7), number(1234), number(1_234_567)],
            ["7", "1,234", "1,234,567"]
        );
        assert_eq!([share(1, 0), share(92, 100)], ["", "92%"]);
    }
}
