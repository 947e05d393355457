//! HTTP dates (RFC 9110 section 5.6.7). Time is an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The IMF-fixdate of a moment, seconds since 1970.
#[must_use]
pub fn format(unix_secs: u64) -> String {
    // Beyond the year 9999 there is no HTTP date.
    const LAST: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_secs.min(LAST)))
}

/// The moment of a date in any of the three formats.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(super::format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(super::format(u64::MAX).len(), 29);
    }
}
