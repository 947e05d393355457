//! Heads in the library's form and in ours. What the library lets pass and HTTP does not is
//! refused here (RFC 9113 section 8.2); what is left is judged by the same rules as HTTP/1.

use bytes::{Bytes, BytesMut};
use croupier_http::{
    BodyLen, Fields, Framed, Name, RequestHead, Version,
    h1::{
        chunked::{self, ChunkLimits},
        scan::{HeadError, HeadLimits, METHOD_MAX},
    },
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE},
    request::Parts,
};

use crate::side::{Outgoing, all_lines};

/// Reads a request head.
///
/// # Errors
/// When it is beyond the limits, or holds what no head may hold.
pub(crate) fn read_request(
    parts: &Parts,
    is_whole: bool,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), HeadError> {
    let target = parts.uri.path_and_query().map_or("", |path| path.as_str());
    if parts.method.as_str().len() > METHOD_MAX {
        return Err(HeadError::Method);
    }
    if target.len() > limits.target_bytes {
        return Err(HeadError::TargetTooLong);
    }
    if let Some(scheme) = parts.uri.scheme_str()
        && !matches!(scheme, "http" | "https")
    {
        return Err(HeadError::StartLine);
    }
    let is_websocket = match parts.extensions.get::<h2::ext::Protocol>() {
        Some(protocol) if protocol.as_str() == "websocket" => true,
        Some(_) => return Err(HeadError::Method),
        None => false,
    };
    let (method, framed) = match (is_websocket, is_whole) {
        (true, true) => return Err(HeadError::StartLine),
        // What HTTP/1 calls this request: the origin gets it so.
        (true, false) => ("GET", Framed::WebSocket),
        (false, true) => (parts.method.as_str(), Framed::Whole),
        (false, false) => (parts.method.as_str(), Framed::Open),
    };
    head.begin(Version::Http2, framed, method.as_bytes(), target.as_bytes());
    if let Some(authority) = parts.uri.authority() {
        head.fields.push(b"host", authority.as_str().as_bytes());
    }
    if is_websocket {
        // Of the handshake of HTTP/1, which the origin wants to see.
        head.fields.push(b"sec-websocket-key", &websocket_key());
    }
    read_fields(&parts.headers, limits, &mut head.fields)
}

/// Sixteen bytes of no meaning in base64 (RFC 6455 section 4.1).
fn websocket_key() -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut key = [b'='; 24];
    for digit in &mut key[..21] {
        *digit = DIGITS[fastrand::usize(..64)];
    }
    // Two bits of the last byte, then padding.
    key[21] = DIGITS[fastrand::usize(..4) * 16];
    key
}

/// Reads field lines behind those that are there. `Host` is left out where it repeats what is
/// there, and cookies that came in crumbs are put together (RFC 9113 sections 8.2.3, 8.3.1).
fn read_fields(
    lines: &HeaderMap,
    limits: &HeadLimits,
    fields: &mut Fields,
) -> Result<(), HeadError> {
    if lines.len() > limits.fields {
        return Err(HeadError::TooManyFields);
    }
    // What is there already counts.
    let mut bytes = fields.text_len();
    let mut crumbs = Vec::new();
    for (name, value) in lines {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        bytes += name.len() + value.len() + 4;
        if name.len() + value.len() + 2 > limits.field_bytes {
            return Err(HeadError::FieldTooLarge);
        }
        check(name, value)?;
        match name {
            b"cookie" => {
                if !crumbs.is_empty() {
                    crumbs.extend_from_slice(b"; ");
                }
                crumbs.extend_from_slice(value);
            }
            b"sec-websocket-key" if fields.all_named(b"sec-websocket-key").next().is_some() => {}
            b"host"
                if fields
                    .get(Name::HOST)
                    .is_some_and(|host| host.eq_ignore_ascii_case(value)) => {}
            _ => fields.push(name, value),
        }
    }
    if bytes > limits.head_bytes {
        return Err(HeadError::HeadTooLarge);
    }
    if !crumbs.is_empty() {
        fields.push(b"cookie", &crumbs);
    }
    Ok(())
}

/// The library takes `"` for a letter of names. White space around a value would be lost on the way
/// to an HTTP/1 origin (RFC 9113 section 8.2.1).
fn check(name: &[u8], value: &[u8]) -> Result<(), HeadError> {
    if !name.iter().all(|&byte| chunked::is_token(byte)) {
        return Err(HeadError::FieldName);
    }
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if edge(value.first()) || edge(value.last()) {
        return Err(HeadError::FieldValue);
    }
    Ok(())
}

/// Reads a head of an answer, or a trailer section.
///
/// # Errors
/// When it is beyond the limits, or holds what no head may hold.
pub(crate) fn read_lines(
    lines: &HeaderMap,
    limits: &HeadLimits,
    fields: &mut Fields,
) -> Result<(), HeadError> {
    if lines.len() > limits.fields {
        return Err(HeadError::TooManyFields);
    }
    let mut bytes = 0;
    for (name, value) in lines {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        bytes += name.len() + value.len() + 4;
        check(name, value)?;
        fields.push(name, value);
    }
    if bytes > limits.head_bytes {
        return Err(HeadError::HeadTooLarge);
    }
    Ok(())
}

/// Reads a trailer section.
///
/// # Errors
/// When it is beyond the limits, or holds what no trailer may hold.
pub(crate) fn read_trailers(
    lines: &HeaderMap,
    limits: &ChunkLimits,
    fields: &mut Fields,
) -> Result<(), HeadError> {
    let limits = HeadLimits {
        head_bytes: limits.trailer_bytes,
        target_bytes: 0,
        fields: limits.trailers,
        field_bytes: limits.trailer_bytes,
    };
    read_lines(lines, &limits, fields)
}

/// Lines as they were put last: most of what one head says was said by the head before it too.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// Values lie here, those of one head side by side.
    block: BytesMut,
    /// Each at its place in the head.
    said: Vec<Option<Said>>,
}

/// A line, and its name as it was written.
#[derive(Clone, Debug)]
struct Said {
    written: Bytes,
    name: HeaderName,
    value: HeaderValue,
}

/// So many lines are remembered, of up to so many bytes: each keeps a block of text.
const SAID_MAX: usize = 32;
const SAID_BYTES: usize = 128;

impl Text {
    /// The line in the library's form. None for one that it can not express, which our rules let
    /// never come this far, and for one that belongs to a connection of HTTP/1.
    fn line(
        &mut self,
        place: usize,
        name: &[u8],
        value: &[u8],
    ) -> Option<(HeaderName, HeaderValue)> {
        if let Some(Some(said)) = self.said.get(place)
            && said.value.as_bytes() == value
            && said.written == name
        {
            return Some((said.name.clone(), said.value.clone()));
        }
        let line = line(name, value, &mut self.block)?;
        let is_kept = name.len() + value.len() <= SAID_BYTES && !is_secret(&line.0);
        if place < SAID_MAX && (is_kept || self.said.len() > place) {
            self.said.resize(self.said.len().max(place + 1), None);
            self.said[place] = is_kept.then(|| {
                self.block.extend_from_slice(name);
                Said {
                    written: self.block.split().freeze(),
                    name: line.0.clone(),
                    value: line.1.clone(),
                }
            });
        }
        Some(line)
    }
}

/// Field lines in the library's form. Values share one text; what belongs to a connection of
/// HTTP/1 is left out (RFC 9113 section 8.2.2).
pub(crate) fn write_lines(
    fields: &impl Outgoing,
    body: Option<BodyLen>,
    text: &mut Text,
) -> HeaderMap {
    let mut lines = HeaderMap::with_capacity(16);
    let mut place = 0;
    let mut push = |name: &[u8], value: &[u8]| {
        if let Some((name, value)) = text.line(place, name, value) {
            lines.append(name, value);
            place += 1;
        }
    };
    all_lines(fields, &mut push);
    if let Some(BodyLen::Length(length)) = body {
        push(b"content-length", length.to_string().as_bytes());
    }
    lines
}

/// A trailer section in the library's form.
pub(crate) fn write_trailers(trailers: &Fields) -> HeaderMap {
    let mut lines = HeaderMap::with_capacity(trailers.len());
    let mut text = BytesMut::new();
    for field in trailers.iter() {
        if let Some((name, value)) = line(field.raw_name, field.value, &mut text) {
            lines.append(name, value);
        }
    }
    lines
}

fn line(name: &[u8], value: &[u8], text: &mut BytesMut) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name).ok()?;
    if is_of_connection(&name, value) {
        return None;
    }
    text.extend_from_slice(value);
    let value = HeaderValue::from_maybe_shared(text.split().freeze()).ok()?;
    Some((name, value))
}

/// Not to be kept for longer than its exchange lasts.
fn is_secret(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].contains(name)
}

fn is_of_connection(name: &HeaderName, value: &[u8]) -> bool {
    match name.as_str() {
        "te" => !value.eq_ignore_ascii_case(b"trailers"),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use croupier_http::{
        BodyLen, Framed, Name, RequestHead,
        h1::{
            framing,
            scan::{HeadError, HeadLimits},
        },
    };

    use super::{SAID_MAX, Text, read_request, write_lines};
    use crate::side::Outgoing;

    const LIMITS: HeadLimits = HeadLimits {
        head_bytes: 1000,
        target_bytes: 100,
        fields: 10,
        field_bytes: 200,
    };

    fn read(request: http::request::Builder, whole: bool) -> Result<RequestHead, HeadError> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut head = RequestHead::default();
        read_request(&parts, whole, &LIMITS, &mut head).map(|()| head)
    }

    #[test]
    fn a_request_becomes_what_http_1_calls_it() {
        let request = http::Request::post("https://a.b:8443/x?y")
            .header("cookie", "a=1")
            .header("x-a", "1")
            .header("cookie", "b=2")
            .header("host", "A.b:8443");
        let head = read(request, false).unwrap();
        assert_eq!(head.method_bytes(), b"POST");
        assert_eq!(head.target_bytes(), b"/x?y");
        assert_eq!(head.fields.sole(Name::HOST), Some(&b"a.b:8443"[..]));
        assert_eq!(head.fields.sole(Name::COOKIE), Some(&b"a=1; b=2"[..]));
        assert_eq!(framing::request(&head), Ok(BodyLen::Chunked));
    }

    #[test]
    fn the_end_is_where_the_protocol_says() {
        let ask = |length: &str, whole| {
            let request = http::Request::put("http://a/").header("content-length", length);
            framing::request(&read(request, whole).unwrap()).ok()
        };
        assert_eq!(ask("3", false), Some(BodyLen::Length(3)));
        assert_eq!(ask("0", true), Some(BodyLen::Length(0)));
        assert_eq!(ask("3", true), None);
        assert_eq!(ask("", false), None);
    }

    #[test]
    fn another_host_stays_and_is_refused_later() {
        let head = read(http::Request::get("http://a/").header("host", "b"), true).unwrap();
        assert_eq!(head.fields.all(Name::HOST).count(), 2);
        assert_eq!(head.framed, Framed::Whole);
    }

    #[test]
    fn what_no_head_may_hold_is_refused() {
        let get = || http::Request::get("http://a/");
        assert_eq!(
            read(get().header("x", " a"), true).err(),
            Some(HeadError::FieldValue)
        );
        assert_eq!(
            read(get().header("x", "a".repeat(300)), true).err(),
            Some(HeadError::FieldTooLarge)
        );
        let many = (0..20).fold(get(), |request, _| request.header("x", "a"));
        assert_eq!(read(many, true).err(), Some(HeadError::TooManyFields));
        assert_eq!(
            read(http::Request::get("ftp://a/"), true).err(),
            Some(HeadError::StartLine)
        );
    }

    struct Lines;

    impl Outgoing for Lines {
        fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
            for (name, value) in [
                ("Set-Cookie", "a"),
                ("Connection", "close"),
                ("X-B", "c"),
                ("set-cookie", "b"),
                ("te", "gzip"),
            ] {
                emit(name.as_bytes(), value.as_bytes());
            }
        }
    }

    #[test]
    fn an_answer_loses_what_belongs_to_a_connection() {
        let mut text = Text::default();
        // The second time its lines are known, the third time one of them has changed.
        for length in [12, 12, 13] {
            let lines = write_lines(&Lines, Some(BodyLen::Length(length)), &mut text);
            let lines: Vec<_> = lines
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            let length = format!("content-length: {length}");
            assert_eq!(
                lines,
                ["set-cookie: a", "set-cookie: b", "x-b: c", length.as_str()]
            );
        }
        // x-b and content-length stand at the third and the fourth place.
        assert_eq!(text.said.iter().flatten().count(), 2);
    }

    struct Many(String);

    impl Outgoing for Many {
        fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
            for _ in 0..100 {
                emit(b"x-a", self.0.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_remembered_of_heads_has_bounds() {
        let mut text = Text::default();
        assert_eq!(
            write_lines(&Many("a".repeat(200)), None, &mut text).len(),
            100
        );
        assert!(text.said.is_empty());
        assert_eq!(write_lines(&Many("a".into()), None, &mut text).len(), 100);
        assert_eq!(text.said.len(), SAID_MAX);
    }
}
