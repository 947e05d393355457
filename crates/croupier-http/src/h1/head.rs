//! Bytes to heads: `httparse` as tokeniser, our own judgement before and after.

use std::mem::MaybeUninit;

use super::scan::{HeadError, HeadLimits, METHOD_MAX};
use crate::{
    fields::Fields,
    head::{RequestHead, ResponseHead, Span, Version},
    method::Method,
};

/// More field lines than any limit allows; the scan counted them already.
const FIELDS_MAX: usize = 512;

/// Parses one whole request head, as found by `HeadScan`.
///
/// # Errors
/// When the head is not what RFC 9112 sections 2 to 5 describe.
pub fn request(bytes: &[u8], limits: &HeadLimits, head: &mut RequestHead) -> Result<(), HeadError> {
    check_version(bytes)?;
    let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(bytes, &mut room) {
        Ok(httparse::Status::Complete(length)) => check_end(bytes, length)?,
        Ok(httparse::Status::Partial) => return Err(HeadError::StartLine),
        Err(error) => return Err(refusal(error)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(HeadError::StartLine);
    };
    if method.len() > METHOD_MAX {
        return Err(HeadError::Method);
    }
    if target.len() > limits.target_bytes {
        return Err(HeadError::TargetTooLong);
    }
    head.fields.set_text(bytes);
    head.method = Method::from_bytes(method.as_bytes());
    head.method_span = span(bytes, method.as_bytes());
    head.target_span = span(bytes, target.as_bytes());
    head.version = version(minor);
    push_fields(bytes, parsed.headers, limits.field_bytes, &mut head.fields)
}

/// Parses one whole response head, as found by `HeadScan`.
///
/// # Errors
/// When the head is not what RFC 9112 sections 2 to 5 describe.
pub fn response(
    bytes: &[u8],
    limits: &HeadLimits,
    head: &mut ResponseHead,
) -> Result<(), HeadError> {
    let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut room) {
        Ok(httparse::Status::Complete(length)) => check_end(bytes, length)?,
        Ok(httparse::Status::Partial) => return Err(HeadError::StartLine),
        Err(error) => return Err(refusal(error)),
    }
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(HeadError::StartLine);
    };
    if !(100..=999).contains(&status) {
        return Err(HeadError::Status);
    }
    head.fields.set_text(bytes);
    head.status = status;
    head.version = version(minor);
    head.reason_span = match parsed.reason {
        Some(reason) if !reason.is_empty() => span(bytes, reason.as_bytes()),
        _ => Span::default(),
    };
    push_fields(bytes, parsed.headers, limits.field_bytes, &mut head.fields)
}

/// Parses a trailer section: field lines and the final empty line.
///
/// # Errors
/// When a line is malformed.
pub fn trailers(bytes: &[u8], fields: &mut Fields) -> Result<(), HeadError> {
    let mut room = [httparse::EMPTY_HEADER; 128];
    match httparse::parse_headers(bytes, &mut room) {
        Ok(httparse::Status::Complete((length, lines))) => {
            check_end(bytes, length)?;
            fields.set_text(bytes);
            push_fields(bytes, lines, bytes.len(), fields)
        }
        Ok(httparse::Status::Partial) => Err(HeadError::FieldLine),
        Err(error) => Err(refusal(error)),
    }
}

fn push_fields(
    bytes: &[u8],
    lines: &[httparse::Header<'_>],
    line_max: usize,
    fields: &mut Fields,
) -> Result<(), HeadError> {
    for line in lines {
        if line.name.is_empty() || line.name.len() > usize::from(u16::MAX) {
            return Err(HeadError::FieldName);
        }
        if line_len(bytes, line) > line_max {
            return Err(HeadError::FieldTooLarge);
        }
        // An empty value may point anywhere.
        let value_at = if line.value.is_empty() {
            0
        } else {
            offset(bytes, line.value)
        };
        fields.push_span(
            offset(bytes, line.name.as_bytes()),
            line.name.len(),
            value_at,
            line.value.len(),
        );
    }
    Ok(())
}

/// From the first byte of the name to the line end: httparse has trimmed the white space.
fn line_len(bytes: &[u8], line: &httparse::Header<'_>) -> usize {
    let name_at = offset(bytes, line.name.as_bytes());
    let seen = if line.value.is_empty() {
        name_at + line.name.len()
    } else {
        offset(bytes, line.value) + line.value.len()
    };
    let rest = &bytes[seen.min(bytes.len())..];
    seen + rest.iter().position(|&byte| byte == b'\r').unwrap_or(0) - name_at
}

/// httparse ends a head at the first empty line, a bare LF included. If that is not where the
/// scan saw the end, the two differ about which bytes are the head: nobody may act on it.
fn check_end(bytes: &[u8], length: usize) -> Result<(), HeadError> {
    if length == bytes.len() {
        Ok(())
    } else {
        Err(HeadError::FieldLine)
    }
}

/// Tells a version we do not speak (505) from a start line that is no HTTP (400): httparse
/// gives one error for both.
fn check_version(bytes: &[u8]) -> Result<(), HeadError> {
    let end = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
    match &bytes[..end] {
        [
            ..,
            b' ',
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            b'0' | b'1',
        ] => Ok(()),
        [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(HeadError::Version)
        }
        _ => Err(HeadError::StartLine),
    }
}

fn version(minor: u8) -> Version {
    if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    }
}

/// Where a slice that httparse gave us lies in the head.
fn offset(bytes: &[u8], part: &[u8]) -> usize {
    part.as_ptr()
        .addr()
        .wrapping_sub(bytes.as_ptr().addr())
        .min(bytes.len())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "heads are limited to far below 4 GiB"
)]
fn span(bytes: &[u8], part: &[u8]) -> Span {
    Span {
        at: offset(bytes, part) as u32,
        len: part.len() as u32,
    }
}

fn refusal(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::HeaderName => HeadError::FieldName,
        httparse::Error::HeaderValue => HeadError::FieldValue,
        httparse::Error::NewLine => HeadError::FieldLine,
        httparse::Error::Status => HeadError::Status,
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        // The version was judged before.
        httparse::Error::Token | httparse::Error::Version => HeadError::StartLine,
    }
}

#[cfg(test)]
mod tests {
    use super::{request, response, trailers};
    use crate::{
        fields::Fields,
        h1::scan::{HeadError, HeadLimits},
        head::{RequestHead, ResponseHead, Version},
        method::Method,
        names::Name,
    };

    const LIMITS: HeadLimits = HeadLimits {
        head_bytes: 4096,
        target_bytes: 1024,
        fields: 100,
        field_bytes: 1024,
    };

    fn parse(text: &str) -> Result<RequestHead, HeadError> {
        let mut head = RequestHead::default();
        request(text.as_bytes(), &LIMITS, &mut head).map(|()| head)
    }

    #[test]
    fn a_request() {
        let head = parse("POST /a?b HTTP/1.0\r\nHost: x\r\nEmpty:\r\nX: \t1 2\t \r\n\r\n").unwrap();
        assert_eq!((head.method, head.version), (Method::Post, Version::Http10));
        assert_eq!(head.target_bytes(), b"/a?b");
        assert_eq!(head.fields.get(Name::HOST), Some(&b"x"[..]));
        assert_eq!(head.fields.all_named(b"empty").next(), Some(&b""[..]));
        assert_eq!(head.fields.all_named(b"x").next(), Some(&b"1 2"[..]));
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("GET / HTTP/2.0\r\n\r\n", HeadError::Version),
            ("GET / HTTP/1.2\r\n\r\n", HeadError::Version),
            ("GET / HTTP/1.10\r\n\r\n", HeadError::StartLine),
            ("GET / http/1.1\r\n\r\n", HeadError::StartLine),
            ("GET  / HTTP/1.1\r\n\r\n", HeadError::StartLine),
            ("GET /  HTTP/1.1\r\n\r\n", HeadError::StartLine),
            ("GET /\r\n\r\n", HeadError::StartLine),
            ("G\u{0}T / HTTP/1.1\r\n\r\n", HeadError::StartLine),
            ("GET / HTTP/1.1\r\n: x\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nA : x\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\n A: x\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nA: x\r\n y\r\n\r\n", HeadError::FieldName),
            ("GET / HTTP/1.1\r\nA\r\n\r\n", HeadError::FieldName),
            (
                "GET / HTTP/1.1\r\nA: b\r\n\n\rB: c\r\n\r\n",
                HeadError::FieldLine,
            ),
            ("GET / HTTP/1.1\r\nA: \u{0}\r\n\r\n", HeadError::FieldValue),
        ] {
            assert_eq!(parse(text).err(), Some(error), "{text:?}");
        }
    }

    #[test]
    fn a_response_keeps_any_three_digit_status() {
        let mut head = ResponseHead::default();
        response(b"HTTP/1.1 999 Odd One\r\nA: b\r\n\r\n", &LIMITS, &mut head).unwrap();
        assert_eq!((head.status, head.reason()), (999, &b"Odd One"[..]));
        response(b"HTTP/1.0 200\r\n\r\n", &LIMITS, &mut head).unwrap();
        assert_eq!(
            (head.status, head.version, head.reason()),
            (200, Version::Http10, &b""[..])
        );
        for bad in [
            "HTTP/1.1 099 x\r\n\r\n",
            "HTTP/1.1 20 x\r\n\r\n",
            "HTTP/1.1 2000 x\r\n\r\n",
        ] {
            assert!(
                response(bad.as_bytes(), &LIMITS, &mut head).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_trailer_section() {
        let mut fields = Fields::new();
        trailers(b"A: 1\r\nB: 2\r\n\r\n", &mut fields).unwrap();
        assert_eq!(fields.len(), 2);
        assert!(trailers(b"A 1\r\n\r\n", &mut fields).is_err());
    }
}
