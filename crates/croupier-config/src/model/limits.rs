//! Every timeout and every limit: one table with name, default, bounds and reason.
//!
//! The structs, their defaults, the reader, the schema and the reference page all come from the two tables below;
//! to add an entry, add a line. A queue, buffer or loop that has no line here has no limit, and that is a bug.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A timeout of an exchange or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// `"off"`
    Off,
    After(Duration),
}

impl Timeout {
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::After(duration) => Some(duration),
        }
    }
}

/// What an entry counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `"10s"`; always `"off"` too.
    Duration,
    /// `"32KiB"`
    Size,
    /// `100`
    Count,
}

/// The value of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// `"off"`: no timeout, no limit.
    Off,
    /// `"auto"`: derived when the process starts.
    Auto,
    Time(Duration),
    Size(u64),
    Count(u64),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub unit: Unit,
    pub default: Amount,
    /// Smallest and largest value, in bytes, items or milliseconds.
    pub bounds: (u64, u64),
    /// The one word that may stand for the number, if any: `off` or `auto`.
    pub word: Option<&'static str>,
    /// What it protects, and why the default is what it is.
    pub reason: &'static str,
}

/// How the `word` column of the table is written.
const OFF: Option<&str> = Some("off");
const AUTO: Option<&str> = Some("auto");
const NONE: Option<&str> = None;

const MAX_TIME: u64 = 366 * 24 * 3_600_000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const MAX_COUNT: u64 = u32::MAX as u64;

const fn secs(seconds: u64) -> Amount {
    Amount::Time(Duration::from_secs(seconds))
}

const fn bounds(range: &RangeInclusive<u64>) -> (u64, u64) {
    (*range.start(), *range.end())
}

/// A field type of the generated structs; the table guarantees that the amounts fit.
trait FromAmount {
    fn from_amount(amount: Amount) -> Self;
}

impl FromAmount for Timeout {
    fn from_amount(amount: Amount) -> Self {
        match amount {
            Amount::Time(duration) => Self::After(duration),
            _ => Self::Off,
        }
    }
}

impl FromAmount for Option<u64> {
    fn from_amount(amount: Amount) -> Self {
        match amount {
            Amount::Size(n) | Amount::Count(n) => Some(n),
            _ => None,
        }
    }
}

impl FromAmount for usize {
    fn from_amount(amount: Amount) -> Self {
        Option::<u64>::from_amount(amount)
            .map_or(Self::MAX, |n| Self::try_from(n).unwrap_or(Self::MAX))
    }
}

impl FromAmount for Option<usize> {
    fn from_amount(amount: Amount) -> Self {
        Option::<u64>::from_amount(amount).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
    }
}

macro_rules! table {
    (
        $(#[$doc:meta])* $name:ident $constant:ident
        $($field:ident: $type:ty = $unit:ident $default:expr, $bounds:expr, $word:expr, $reason:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(#[doc = $reason] pub $field: $type,)*
        }

        #[doc = concat!("The table behind [`", stringify!($name), "`].")]
        pub const $constant: &[Entry] = &[$(Entry {
            name: stringify!($field),
            unit: Unit::$unit,
            default: $default,
            bounds: bounds(&$bounds),
            word: $word,
            reason: $reason,
        },)*];

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: FromAmount::from_amount($default),)* }
            }
        }

        impl $name {
            /// Sets an entry by its name in the table; other names change nothing.
            pub(crate) fn set(&mut self, name: &str, amount: Amount) {
                $(if name == stringify!($field) {
                    self.$field = FromAmount::from_amount(amount);
                })*
            }
        }
    };
}

table! {
    /// `[timeouts]`. "No progress" starts again with every byte; "absolute" does not.
    Timeouts TIMEOUTS
    client_head: Timeout = Duration secs(10), 1..=MAX_TIME, OFF,
        "From the first byte of a request head to its end, absolute: a client that drips bytes holds nothing for long";
    client_idle: Timeout = Duration secs(60), 1..=MAX_TIME, OFF,
        "A client's keep-alive connection without a request: long enough for a reader's pause, and it costs no buffer";
    client_body: Timeout = Duration secs(30), 1..=MAX_TIME, OFF,
        "No progress in a request body: a client that stops sending frees its server";
    client_send: Timeout = Duration secs(30), 1..=MAX_TIME, OFF,
        "The client takes no bytes of the response: a reader that stops reading frees its buffers and its server";
    connect: Timeout = Duration secs(2), 1..=MAX_TIME, OFF,
        "A connection to a server: long enough for one lost SYN, short enough to try another server";
    response_head: Timeout = Duration secs(30), 1..=MAX_TIME, OFF,
        "From the end of the request to the end of the response head: how long a server may think";
    response_body: Timeout = Duration secs(60), 1..=MAX_TIME, OFF,
        "No progress in a response body: a server that stops sending is given up";
    tunnel_idle: Timeout = Duration secs(3600), 1..=MAX_TIME, OFF,
        "No byte either way in a tunnel (WebSocket, CONNECT): most pings come more often than once an hour";
    exchange: Timeout = Duration Amount::Off, 1..=MAX_TIME, OFF,
        "A whole exchange, from request to the last byte of the response, absolute: off, since downloads may be long";
    handshake: Timeout = Duration secs(10), 1..=MAX_TIME, NONE,
        "A TLS handshake, and a PROXY header before it, absolute: a client that stops in its middle holds nothing for long";
    drain: Timeout = Duration secs(5), 1..=MAX_TIME, OFF,
        "Reading and dropping a request body that nobody wants, so that the client sees the answer";
    origin_idle: Timeout = Duration secs(3), 1..=MAX_TIME, OFF,
        "An idle connection to a server is kept this long: below the 5 s of common servers, so that we close first";
}

table! {
    /// `[limits]`.
    Limits LIMITS
    head_bytes: usize = Size Amount::Size(32 * KIB), KIB..=240 * KIB, NONE,
        "A request head, all of it: room for large cookies, no room for a flood";
    target_bytes: usize = Size Amount::Size(8 * KIB), 64..=MIB, NONE,
        "A request target (path and query): RFC 9110 asks for at least 8000 bytes";
    fields: usize = Count Amount::Count(100), 8..=500, NONE,
        "Header lines of a request: browsers send about 20";
    field_bytes: usize = Size Amount::Size(16 * KIB), 64..=MIB, NONE,
        "One header line of a request: a large cookie or token fits";
    trailer_bytes: usize = Size Amount::Size(8 * KIB), 0..=MIB, NONE,
        "The trailer section of a message, all of it";
    trailers: usize = Count Amount::Count(32), 0..=128, NONE,
        "Lines in a trailer section: real ones have one to three";
    chunk_line_bytes: usize = Size Amount::Size(256), 16..=16 * KIB, NONE,
        "The line before a chunk, with its extensions: nobody uses more, attackers do";
    response_head_bytes: usize = Size Amount::Size(64 * KIB), KIB..=240 * KIB, NONE,
        "A response head, all of it: applications set large cookies and policies";
    response_fields: usize = Count Amount::Count(200), 8..=500, NONE,
        "Header lines of a response";
    interim_responses: usize = Count Amount::Count(32), 1..=10_000, NONE,
        "Responses with 1xx before the real one: more is a broken or hostile server";
    body_bytes: Option<u64> = Size Amount::Off, 0..=u64::MAX, OFF,
        "A request body: off, since uploads stream and are never held in memory";
    drain_bytes: u64 = Size Amount::Size(64 * KIB), 0..=1024 * MIB, NONE,
        "How much of an unwanted request body is read before the connection is closed instead";
    connections: Option<usize> = Count Amount::Auto, 1..=MAX_COUNT, AUTO,
        "Client connections of the process: auto leaves file descriptors for the origin side";
    connections_per_client: Option<usize> = Count Amount::Auto, 1..=MAX_COUNT, AUTO,
        "Connections of one client address (IPv6: one /64): auto leaves the last tenth of `connections` to others";
    handshakes: Option<usize> = Count Amount::Auto, 1..=MAX_COUNT, AUTO,
        "TLS handshakes under way in the process: auto is a quarter of `connections`";
    h2_streams: usize = Count Amount::Count(100), 1..=1000, NONE,
        "Exchanges under way on one HTTP/2 connection";
    h2_requests: usize = Count Amount::Count(100_000), 1..=MAX_COUNT, NONE,
        "Exchanges of one HTTP/2 connection in all; then it is asked to come again";
    h2_window: usize = Size Amount::Size(MIB), 64 * KIB..=64 * MIB, NONE,
        "Bytes of request bodies on one HTTP/2 connection that we have not passed on yet";
    h2_stream_window: usize = Size Amount::Size(256 * KIB), 16 * KIB..=16 * MIB, NONE,
        "The same of one exchange";
    h2_resets: usize = Count Amount::Count(100), 1..=10_000, NONE,
        "Exchanges of one HTTP/2 connection that broke its rules before it is closed";
    h2_control_frames: usize = Count Amount::Count(1000), 10..=MAX_COUNT, NONE,
        "Frames of one HTTP/2 connection in ten seconds that carry nothing of a message: PING, SETTINGS, PRIORITY, RST_STREAM, empty ones";
    idle_per_server: usize = Count Amount::Count(1024), 0..=100_000, NONE,
        "Idle connections kept for each worker and server: as many as requests of many HTTP/2 clients may need at once; `origin_idle` ends them soon";
}

impl FromAmount for u64 {
    fn from_amount(amount: Amount) -> Self {
        Option::<Self>::from_amount(amount).unwrap_or(Self::MAX)
    }
}

macro_rules! overrides {
    ($($field:ident)*) => {
        /// `timeout = {..}` of a pool, site or route: the entries of `[timeouts]` that it may change.
        #[derive(Clone, Debug, Default)]
        pub struct TimeoutOverrides {
            $(pub $field: Option<Timeout>,)*
        }

        /// Names of [`TimeoutOverrides`], all of them also in [`TIMEOUTS`].
        pub const OVERRIDABLE: &[&str] = &[$(stringify!($field),)*];

        impl TimeoutOverrides {
            /// Lays these over what is wider.
            pub fn apply(&self, timeouts: &mut Timeouts) {
                $(if let Some(timeout) = self.$field {
                    timeouts.$field = timeout;
                })*
            }

            pub(crate) fn set(&mut self, name: &str, timeout: Timeout) {
                $(if name == stringify!($field) {
                    self.$field = Some(timeout);
                })*
            }
        }
    };
}

overrides! { client_body client_send connect response_head response_body tunnel_idle exchange }

impl fmt::Display for Amount {
    /// As it is written in the config, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::Count(n) => write!(f, "{n}"),
            Self::Time(duration) => f.write_str(&write_duration(*duration)),
            Self::Size(bytes) => f.write_str(&write_size(*bytes)),
        }
    }
}

fn write_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, millis) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        if rest >= millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

fn write_size(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::{Amount, Entry, LIMITS, Limits, OVERRIDABLE, TIMEOUTS, Timeout, Timeouts, Unit};

    #[test]
    fn every_default_is_within_its_bounds_and_of_its_unit() {
        for Entry {
            name,
            unit,
            default,
            bounds,
            word,
            reason,
        } in TIMEOUTS.iter().chain(LIMITS)
        {
            let value = match default {
                Amount::Off => {
                    assert_eq!(*word, Some("off"), "{name}");
                    continue;
                }
                Amount::Auto => {
                    assert_eq!(*word, Some("auto"), "{name}");
                    continue;
                }
                Amount::Time(time) => {
                    assert_eq!(*unit, Unit::Duration, "{name}");
                    u64::try_from(time.as_millis()).unwrap()
                }
                Amount::Size(n) => {
                    assert_eq!(*unit, Unit::Size, "{name}");
                    *n
                }
                Amount::Count(n) => {
                    assert_eq!(*unit, Unit::Count, "{name}");
                    *n
                }
            };
            assert!((bounds.0..=bounds.1).contains(&value), "{name}");
            assert!(!reason.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn what_can_be_overridden_is_a_timeout() {
        for name in OVERRIDABLE {
            assert!(TIMEOUTS.iter().any(|entry| entry.name == *name), "{name}");
        }
    }

    #[test]
    fn amounts_are_written_as_they_are_read() {
        let shown: Vec<String> = TIMEOUTS
            .iter()
            .chain(LIMITS)
            .map(|entry| entry.default.to_string())
            .collect();
        assert_eq!(
            shown.join(" "),
            "10s 1m 30s 30s 2s 30s 1m 1h off 10s 5s 3s \
             32KiB 8KiB 100 16KiB 8KiB 32 256B 64KiB 200 32 off 64KiB auto auto auto \
             100 100000 1MiB 256KiB 100 1000 1024"
        );
        assert_eq!(Timeouts::default().exchange, Timeout::Off);
        assert_eq!(Limits::default().head_bytes, 32 << 10);
    }
}
