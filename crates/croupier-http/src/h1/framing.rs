//! How a body ends: every rule of RFC 9112 section 6 against smuggling, in one place.
//!
//! Stricter than the RFC where it lets a recipient repair: we refuse. Nobody else looks at
//! `Content-Length` or `Transfer-Encoding` to find an end.

use crate::{
    BodyLen,
    fields::Fields,
    head::{Framed, RequestHead, ResponseHead, Version},
    method::Method,
    names::Name,
};

/// Why the framing of a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// `Content-Length` and `Transfer-Encoding` together.
    Both,
    /// More than one `Content-Length`, as lines or as a list.
    LengthTwice,
    /// `Content-Length` is not a plain decimal number in range.
    LengthMalformed,
    /// HTTP/1.0 with content but without `Content-Length`.
    LengthMissing,
    /// `Transfer-Encoding` in HTTP/1.0.
    CodingInHttp10,
    /// `Content-Length` with a message that has no content.
    LengthWrong,
    /// `Transfer-Encoding` that is not a single `chunked`.
    Coding,
}

impl FramingError {
    /// One sentence for the log and the error page.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Both => "`Content-Length` and `Transfer-Encoding` in one message",
            Self::LengthTwice => "more than one `Content-Length`",
            Self::LengthMalformed => "a malformed `Content-Length`",
            Self::LengthMissing => "content without `Content-Length` in HTTP/1.0",
            Self::LengthWrong => "`Content-Length` with a message that has no content",
            Self::CodingInHttp10 => "`Transfer-Encoding` in HTTP/1.0",
            Self::Coding => "a `Transfer-Encoding` other than one `chunked`",
        }
    }
}

/// How the request's body ends.
///
/// # Errors
/// On any framing that two recipients could read differently.
pub fn request(head: &RequestHead) -> Result<BodyLen, FramingError> {
    let declared = declared(&head.fields, head.version)?;
    match head.framed {
        Framed::ByHead => {}
        Framed::WebSocket if declared.is_some() => return Err(FramingError::LengthWrong),
        Framed::WebSocket => return Ok(BodyLen::None),
        Framed::Whole => {
            return match declared {
                None => Ok(BodyLen::None),
                // Said again to the origin: some want to hear it.
                Some(BodyLen::Length(0)) => Ok(BodyLen::Length(0)),
                Some(_) => Err(FramingError::LengthWrong),
            };
        }
        Framed::Open => return Ok(declared.unwrap_or(BodyLen::Chunked)),
    }
    match declared {
        Some(declared) => Ok(declared),
        None if head.version == Version::Http10 && head.method.carries_content() => {
            Err(FramingError::LengthMissing)
        }
        None => Ok(BodyLen::None),
    }
}

/// How the body of a response to a request with `method` ends.
///
/// # Errors
/// On any framing that two recipients could read differently.
pub fn response(method: Method, head: &ResponseHead) -> Result<BodyLen, FramingError> {
    let declared = declared(&head.fields, head.version)?;
    if method == Method::Head || head.is_interim() || matches!(head.status, 204 | 304) {
        return Ok(BodyLen::None);
    }
    Ok(declared.unwrap_or(BodyLen::UntilClose))
}

fn declared(fields: &Fields, version: Version) -> Result<Option<BodyLen>, FramingError> {
    let coded = fields.contains(Name::TRANSFER_ENCODING);
    let sized = fields.contains(Name::CONTENT_LENGTH);
    match (coded, sized) {
        (false, false) => Ok(None),
        (true, true) => Err(FramingError::Both),
        (true, false) if version == Version::Http2 => Err(FramingError::Coding),
        (true, false) if version == Version::Http10 => Err(FramingError::CodingInHttp10),
        (true, false) => coding(fields).map(Some),
        (false, true) => length(fields).map(|length| Some(BodyLen::Length(length))),
    }
}

fn coding(fields: &Fields) -> Result<BodyLen, FramingError> {
    let mut lines = fields.all(Name::TRANSFER_ENCODING);
    match (lines.next(), lines.next()) {
        (Some(value), None) if value.eq_ignore_ascii_case(b"chunked") => Ok(BodyLen::Chunked),
        _ => Err(FramingError::Coding),
    }
}

fn length(fields: &Fields) -> Result<u64, FramingError> {
    let mut lines = fields.all(Name::CONTENT_LENGTH);
    let (Some(value), None) = (lines.next(), lines.next()) else {
        return Err(FramingError::LengthTwice);
    };
    if value.contains(&b',') {
        return Err(FramingError::LengthTwice);
    }
    // 18 digits stay below 2^63 without further arithmetic; a leading zero reads as octal in
    // some recipients.
    let padded = value.len() > 1 && value[0] == b'0';
    if value.is_empty() || value.len() > 18 || padded || !value.iter().all(u8::is_ascii_digit) {
        return Err(FramingError::LengthMalformed);
    }
    Ok(value
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::{FramingError, request, response};
    use crate::{
        BodyLen,
        head::{RequestHead, ResponseHead, Version},
        method::Method,
    };

    fn of(fields: &[(&str, &str)]) -> Result<BodyLen, FramingError> {
        let mut head = RequestHead {
            method: Method::Post,
            ..RequestHead::default()
        };
        for (name, value) in fields {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        request(&head)
    }

    #[test]
    fn lawful_requests() {
        assert_eq!(of(&[]), Ok(BodyLen::None));
        assert_eq!(of(&[("content-length", "0")]), Ok(BodyLen::Length(0)));
        assert_eq!(of(&[("Content-Length", "12")]), Ok(BodyLen::Length(12)));
        assert_eq!(
            of(&[("Transfer-Encoding", "Chunked")]),
            Ok(BodyLen::Chunked)
        );
    }

    #[test]
    fn lengths_that_are_refused() {
        for value in [
            "",
            "+5",
            "-0",
            "-1",
            "0x5",
            "5 5",
            "5_0",
            "1Z",
            "05",
            "1.0",
            "\u{b2}",
            "99999999999999999999",
            "9223372036854775808",
            "18446744073709551616",
            "5;",
        ] {
            assert_eq!(
                of(&[("Content-Length", value)]),
                Err(FramingError::LengthMalformed),
                "{value:?}"
            );
        }
        for value in ["5, 5", "5,6", "5,"] {
            assert_eq!(
                of(&[("Content-Length", value)]),
                Err(FramingError::LengthTwice),
                "{value:?}"
            );
        }
        let twice = [("Content-Length", "5"), ("content-length", "5")];
        assert_eq!(of(&twice), Err(FramingError::LengthTwice));
    }

    #[test]
    fn codings_that_are_refused() {
        for value in [
            "xchunked",
            ",chunked",
            "chunked,",
            "chunked,chunked",
            "chunked;q=1",
            "\u{b}chunked",
            "\u{85}chunked",
            "chunked, gzip",
            "",
            "chunked chunked",
            "\"chunked\"",
            "chunked\u{a0}",
        ] {
            assert_eq!(
                of(&[("Transfer-Encoding", value)]),
                Err(FramingError::Coding),
                "{value:?}"
            );
        }
        for value in ["gzip, chunked", "identity", "identity, chunked", "gzip"] {
            assert_eq!(
                of(&[("Transfer-Encoding", value)]),
                Err(FramingError::Coding),
                "{value:?}"
            );
        }
        let both = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")];
        assert_eq!(of(&both), Err(FramingError::Both));
        let twice = [
            ("Transfer-Encoding", "chunked"),
            ("Transfer-Encoding", "chunked"),
        ];
        assert_eq!(of(&twice), Err(FramingError::Coding));
    }

    #[test]
    fn http_1_0_has_no_codings_and_no_silent_content() {
        let mut head = RequestHead {
            version: Version::Http10,
            ..RequestHead::default()
        };
        assert_eq!(request(&head), Ok(BodyLen::None));
        head.method = Method::Post;
        assert_eq!(request(&head), Err(FramingError::LengthMissing));
        head.fields.push(b"Transfer-Encoding", b"chunked");
        assert_eq!(request(&head), Err(FramingError::CodingInHttp10));
    }

    #[test]
    fn responses() {
        let mut head = ResponseHead::default();
        assert_eq!(response(Method::Get, &head), Ok(BodyLen::UntilClose));
        head.fields.push(b"Content-Length", b"7");
        assert_eq!(response(Method::Get, &head), Ok(BodyLen::Length(7)));
        assert_eq!(response(Method::Head, &head), Ok(BodyLen::None));
        head.status = 304;
        assert_eq!(response(Method::Get, &head), Ok(BodyLen::None));
        head.fields.push(b"Transfer-Encoding", b"chunked");
        assert_eq!(response(Method::Get, &head), Err(FramingError::Both));
    }
}
