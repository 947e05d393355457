//! gRPC as far as a proxy must know it: which requests are calls, how long their clients wait, and
//! how a call is refused so that its client understands. Messages inside bodies are never looked at.
//!
//! After "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping" of the gRPC project.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use croupier_http::{Fields, Name};
use croupier_telemetry::text;

use crate::{
    answer::{Bytes, Made},
    fault::{Code, Fault},
    incoming::Incoming,
};

/// Is this the head of a call? gRPC-Web, which is another protocol, is not meant.
pub(crate) fn is_call(fields: &Fields) -> bool {
    fields.sole(Name::CONTENT_TYPE).is_some_and(is_grpc)
}

fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    content_type
        .split_at_checked(GRPC.len())
        .is_some_and(|(word, rest)| {
            word.eq_ignore_ascii_case(GRPC)
                && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
        })
}

/// How long the client of a call waits, when it says so. What is not exactly a timeout binds nobody
/// here and goes to the server as it came.
pub(crate) fn timeout(fields: &Fields) -> Option<Duration> {
    if !is_call(fields) {
        return None;
    }
    let mut values = fields.all_named(TIMEOUT);
    let value = values.next()?;
    values.next().is_none().then(|| read_timeout(value))?
}

/// The field of [`timeout`], in lower case.
pub(crate) const TIMEOUT: &[u8] = b"grpc-timeout";

/// The largest number of a timeout: eight digits.
const NUMBER_MAX: u128 = 99_999_999;

/// The units of a timeout, in nanoseconds.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// `TimeoutValue TimeoutUnit`: one to eight digits, and a letter whose case matters.
fn read_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let (_, nanoseconds) = UNITS.iter().find(|(letter, _)| letter == unit)?;
    if !is_number {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + u128::from(digit - b'0'));
    // Below 2^79 nanoseconds: eight digits of hours.
    let (whole, rest) = (
        number * nanoseconds / NANOSECONDS,
        number * nanoseconds % NANOSECONDS,
    );
    Some(Duration::new(
        u64::try_from(whole).ok()?,
        u32::try_from(rest).ok()?,
    ))
}

const NANOSECONDS: u128 = 1_000_000_000;

/// What is left of a call's time: of its client's, or of ours when that is less.
pub(crate) fn time_left(incoming: &Incoming, exchange: Option<Duration>) -> Option<Duration> {
    let timeout = timeout(&incoming.head.fields)?;
    let timeout = exchange.map_or(timeout, |exchange| exchange.min(timeout));
    Some(timeout.saturating_sub(incoming.began.elapsed()))
}

/// Writes a timeout as exactly as eight digits can, never a longer one. Zero is no timeout of the
/// grammar: the shortest is sent.
pub(crate) fn write_timeout(out: &mut Vec<u8>, left: Duration) {
    let left = left.as_nanos().max(1);
    let fitting = UNITS
        .iter()
        .find(|(_, nanoseconds)| left / nanoseconds <= NUMBER_MAX);
    let (letter, number) = match fitting {
        Some((letter, nanoseconds)) => (*letter, left / nanoseconds),
        None => (b'H', NUMBER_MAX),
    };
    text::number(out, u64::try_from(number).unwrap_or_default());
    out.push(letter);
}

/// The statuses of gRPC that a fault can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Unknown = 2,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// What a fault is in the words of gRPC: by the HTTP status it would be, unless that says less than
/// the fault. A server that was never reached in time is unavailable; one that was is late.
pub(crate) fn status(http: u16, code: Code) -> Status {
    match code {
        Code::ProxyTimeout
        | Code::OriginHeadTimeout
        | Code::OriginSendTimeout
        | Code::OriginBodyTimeout => return Status::DeadlineExceeded,
        Code::OriginBodyTruncated => return Status::Unavailable,
        Code::OriginBodyMalformed => return Status::Internal,
        _ => {}
    }
    match http {
        400 => Status::Internal,
        401 => Status::Unauthenticated,
        403 => Status::PermissionDenied,
        404 => Status::Unimplemented,
        408 => Status::DeadlineExceeded,
        // Beyond the mapping, which knows no limits: as gRPC's own libraries say it.
        413 | 414 | 431 => Status::ResourceExhausted,
        429 | 502 | 503 | 504 => Status::Unavailable,
        _ => Status::Unknown,
    }
}

/// What ends the answer of a call that failed on its way.
pub(crate) fn trailers(incoming: &Incoming, fault: Fault) -> Fields {
    let fault = late(incoming, fault);
    let status = status(fault.code.status(), fault.code) as u8;
    let mut trailers = Fields::new();
    trailers.push(b"grpc-status", status.to_string().as_bytes());
    trailers.push(b"grpc-message", message(fault).as_bytes());
    trailers
}

/// The answer to a call that failed before anything was answered: a head that is the trailers, too.
pub(crate) fn refusal(incoming: &Incoming, http: u16, fault: Fault) -> Made {
    let fault = late(incoming, fault);
    let own = |name: &'static str, value: String| (Cow::Borrowed(name), Cow::Owned(value));
    Made {
        status: 200,
        body: Bytes::Own(Vec::new()),
        content_type: Cow::Borrowed("application/grpc"),
        lines: vec![
            own("grpc-status", (status(http, fault.code) as u8).to_string()),
            own("grpc-message", message(fault)),
            own("x-request-id", incoming.id().to_owned()),
        ],
    }
}

/// Whose time it was that is over.
fn late(incoming: &Incoming, fault: Fault) -> Fault {
    match fault.code {
        Code::ProxyTimeout if timeout(&incoming.head.fields).is_some() => Fault::because(
            Code::ProxyTimeout,
            "the call took longer than `grpc-timeout` or `timeouts.exchange`",
        ),
        _ => fault,
    }
}

/// The fault's word and sentence, percent-encoded as the protocol wants it.
fn message(fault: Fault) -> String {
    let mut message = String::with_capacity(96);
    for part in [fault.code.as_str(), ": ", fault.sentence()] {
        for byte in part.bytes() {
            match byte {
                b'%' | ..b' ' | 0x7f.. => _ = write!(message, "%{byte:02X}"),
                _ => message.push(char::from(byte)),
            }
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use croupier_http::Fields;

    use super::{Status, is_call, message, read_timeout, status, timeout, write_timeout};
    use crate::fault::{Code, Fault};

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        fields
    }

    #[test]
    fn a_call_is_known_by_its_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC+json", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc ; a=b", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpcs", false),
            ("application/grp", false),
            ("text/html", false),
            ("", false),
        ] {
            let fields = fields(&[("content-type", content_type)]);
            assert_eq!(is_call(&fields), expected, "{content_type}");
        }
        assert!(!is_call(&fields(&[])));
        let twice = [
            ("content-type", "application/grpc"),
            ("content-type", "text/html"),
        ];
        assert!(!is_call(&fields(&twice)));
    }

    #[test]
    fn only_what_is_exactly_a_timeout_is_one() {
        let hour = Duration::from_secs(3600);
        for (text, expected) in [
            ("1n", Some(Duration::from_nanos(1))),
            ("999u", Some(Duration::from_micros(999))),
            ("00000250m", Some(Duration::from_millis(250))),
            ("10S", Some(Duration::from_secs(10))),
            ("2M", Some(Duration::from_secs(120))),
            ("0m", Some(Duration::ZERO)),
            ("99999999H", Some(hour * 99_999_999)),
            ("100000000n", None),
            ("", None),
            ("S", None),
            ("10", None),
            ("10s", None),
            ("10h", None),
            ("+1S", None),
            ("-1S", None),
            ("1.5S", None),
            ("1 S", None),
            (" 1S", None),
            ("1S ", None),
            ("0x1S", None),
            ("\u{0661}S", None),
        ] {
            assert_eq!(read_timeout(text.as_bytes()), expected, "`{text}`");
        }
    }

    #[test]
    fn a_timeout_binds_calls_and_only_when_it_is_said_once() {
        let call = ("content-type", "application/grpc");
        let second = Some(Duration::from_secs(1));
        assert_eq!(timeout(&fields(&[call, ("Grpc-Timeout", "1S")])), second);
        assert_eq!(timeout(&fields(&[call])), None);
        assert_eq!(timeout(&fields(&[("grpc-timeout", "1S")])), None);
        let twice = [call, ("grpc-timeout", "1S"), ("grpc-timeout", "2S")];
        assert_eq!(timeout(&fields(&twice)), None);
    }

    #[test]
    fn a_written_timeout_is_never_longer_and_loses_little() {
        let written = |left: Duration| {
            let mut out = Vec::new();
            write_timeout(&mut out, left);
            String::from_utf8(out).unwrap()
        };
        for (left, expected) in [
            (Duration::ZERO, "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_001), "100000u"),
            (Duration::from_secs(5), "5000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(86_400 * 30), "2592000S"),
            (Duration::from_secs(3600 * 99_999_999), "99999999H"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(written(left), expected);
        }
        let mut nanoseconds = 1u64;
        while nanoseconds < u64::MAX / 3 {
            let left = Duration::from_nanos(nanoseconds);
            let text = written(left);
            let read = read_timeout(text.as_bytes()).expect(&text);
            assert!(read <= left && left - read <= left / 1000, "{text}");
            nanoseconds = nanoseconds * 3 + 1;
        }
    }

    #[test]
    fn a_fault_becomes_the_status_that_its_client_expects() {
        for (code, expected) in [
            (Code::OriginConnectRefused, Status::Unavailable),
            (Code::OriginConnectTimeout, Status::Unavailable),
            (Code::OriginClosed, Status::Unavailable),
            (Code::ProxyPoolBusy, Status::Unavailable),
            (Code::ProxyQueueTimeout, Status::Unavailable),
            (Code::OriginHeadTimeout, Status::DeadlineExceeded),
            (Code::ProxyTimeout, Status::DeadlineExceeded),
            (Code::ProxyDenied, Status::PermissionDenied),
            (Code::ProxyRouteNone, Status::Unimplemented),
            (Code::ClientBodyTooLarge, Status::ResourceExhausted),
            (Code::ClientFraming, Status::Internal),
            (Code::ProxyInternal, Status::Unknown),
            (Code::OriginBodyTruncated, Status::Unavailable),
        ] {
            assert_eq!(status(code.status(), code), expected, "{}", code.as_str());
        }
        for (http, expected) in [(401, 16), (403, 7), (404, 12), (429, 14), (418, 2)] {
            assert_eq!(status(http, Code::ProxyDenied) as u8, expected, "{http}");
        }
    }

    #[test]
    fn a_message_names_the_fault_and_is_fit_for_a_field() {
        assert_eq!(
            message(Code::OriginConnectRefused.into()),
            "origin.connect.refused: the server refused the connection"
        );
        let odd = Fault::because(Code::ProxyInternal, "100 % of n\u{f6}thing\n");
        assert_eq!(message(odd), "proxy.internal: 100 %25 of n%C3%B6thing%0A");
    }
}
