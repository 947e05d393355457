//! A request head for an HTTP/2 origin (RFC 9113 section 8.3.1): what HTTP/1 says in the request
//! line is said in pseudo-headers.

use croupier_http::{BodyLen, ResponseHead};
use h2::ext::Protocol;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header::SEC_WEBSOCKET_KEY, uri};

use super::Scheme;
use crate::{
    error::NetError,
    h2::fields::{Text, write_lines},
    origin::h1::RequestLine,
    side::Outgoing,
};

const UNFIT: NetError = NetError::Protocol("the request can not be said in HTTP/2");

/// A request on its way, and what an HTTP/1 client's WebSocket key was.
pub(super) struct Told {
    pub(super) request: Request<()>,
    pub(super) websocket_key: Option<HeaderValue>,
}

/// A request head; its framing is ours.
pub(super) fn request(
    line: &RequestLine<'_>,
    scheme: Scheme,
    fields: &impl Outgoing,
    text: &mut Text,
) -> Result<Told, NetError> {
    let target = match line.query {
        Some(query) => uri::PathAndQuery::from_maybe_shared(format!("{}?{query}", line.path)),
        None => uri::PathAndQuery::try_from(line.path),
    };
    let mut lines = write_lines(fields, Some(line.body), text);
    let uri = uri(scheme, line.host, target)?;
    if !line.websocket {
        return told(line.method, uri, lines);
    }
    let websocket_key = lines.remove(SEC_WEBSOCKET_KEY);
    let mut told = told(b"CONNECT", uri, lines)?;
    let protocol = Protocol::from_static("websocket");
    told.request.extensions_mut().insert(protocol);
    Ok(Told {
        websocket_key,
        ..told
    })
}

/// The same from a head that [`crate::origin::h1::encode_head`] has written.
pub(super) fn encoded(head: &[u8], scheme: Scheme, body: BodyLen) -> Result<Told, NetError> {
    let mut start = head.split(|byte| matches!(byte, b' ' | b'\r'));
    let (method, path) = (start.next().ok_or(UNFIT)?, start.next().ok_or(UNFIT)?);
    let encoded = Encoded(head);
    let uri = uri(scheme, encoded.host()?, uri::PathAndQuery::try_from(path))?;
    let lines = write_lines(&encoded, Some(body), &mut Text::default());
    told(method, uri, lines)
}

/// A head in the form of HTTP/1, as we write it.
struct Encoded<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    fn all(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let lines = self.0.split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    fn host(&self) -> Result<&'a str, NetError> {
        let host = self.all().find(|(name, _)| is_host(name));
        host.and_then(|(_, value)| str::from_utf8(value).ok())
            .ok_or(UNFIT)
    }
}

impl Outgoing for Encoded<'_> {
    fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self.all().filter(|(name, _)| !is_host(name)) {
            emit(name, value);
        }
    }
}

fn is_host(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"host")
}

fn told(method: &[u8], uri: Uri, lines: HeaderMap) -> Result<Told, NetError> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).map_err(|_| UNFIT)?;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = lines;
    Ok(Told {
        request,
        websocket_key: None,
    })
}

fn uri(
    scheme: Scheme,
    host: &str,
    target: Result<uri::PathAndQuery, uri::InvalidUri>,
) -> Result<Uri, NetError> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(match scheme {
        Scheme::Http => uri::Scheme::HTTP,
        Scheme::Https => uri::Scheme::HTTPS,
    });
    parts.authority = Some(host.parse().map_err(|_| UNFIT)?);
    parts.path_and_query = Some(target.map_err(|_| UNFIT)?);
    Uri::from_parts(parts).map_err(|_| UNFIT)
}

/// An agreement to become a WebSocket (RFC 8441) as HTTP/1 says it (RFC 6455 section 4.2.2).
pub(super) fn switch(head: &mut ResponseHead, key: Option<&HeaderValue>) {
    head.status = 101;
    head.fields.push(b"upgrade", b"websocket");
    head.fields.push(b"connection", b"Upgrade");
    let is_said = head
        .fields
        .all_named(b"sec-websocket-accept")
        .next()
        .is_some();
    if let Some(key) = key.filter(|_| !is_said) {
        head.fields
            .push(b"sec-websocket-accept", accept(key.as_bytes()).as_bytes());
    }
}

/// RFC 6455 section 1.3.
fn accept(key: &[u8]) -> String {
    use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(context.finish().as_ref())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(three.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = (bits >> (18 - 6 * at)) & 63;
            let is_padding = at > three.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[digit as usize])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use croupier_http::BodyLen;

    use super::{Scheme, Text, accept, encoded, request};
    use crate::{
        origin::h1::{RequestLine, encode_head},
        side::Outgoing,
    };

    struct Lines(&'static [(&'static str, &'static str)]);

    impl Outgoing for Lines {
        fn lines(&self, emit: &mut dyn FnMut(&[u8], &[u8])) {
            for (name, value) in self.0 {
                emit(name.as_bytes(), value.as_bytes());
            }
        }
    }

    const LINE: RequestLine<'_> = RequestLine {
        method: b"POST",
        path: "/a",
        query: Some("b=c"),
        host: "app.example:81",
        body: BodyLen::Length(7),
        websocket: false,
    };

    const LINES: Lines = Lines(&[
        ("Accept", "a"),
        ("Connection", "te"),
        ("TE", "trailers"),
        ("Cookie", "x=y"),
        ("Accept", "b"),
    ]);

    #[test]
    fn a_request_says_in_frames_what_http_1_says_in_lines() {
        let mut head = Vec::new();
        encode_head(&mut head, &LINE, &LINES);
        for told in [
            request(&LINE, Scheme::Https, &LINES, &mut Text::default()).unwrap(),
            encoded(&head, Scheme::Https, LINE.body).unwrap(),
        ] {
            assert_eq!(told.request.method(), "POST");
            assert_eq!(told.request.uri(), "https://app.example:81/a?b=c");
            let map = told.request.headers();
            assert_eq!(map["te"], "trailers");
            assert_eq!(map["content-length"], "7");
            assert_eq!(map.get_all("accept").iter().count(), 2);
            assert!(!map.contains_key("connection") && !map.contains_key("host"));
        }
    }

    #[test]
    fn a_websocket_is_asked_for_by_connect_and_its_key_stays() {
        let line = RequestLine {
            websocket: true,
            method: b"GET",
            body: BodyLen::None,
            ..LINE
        };
        let lines = Lines(&[
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ]);
        let told = request(&line, Scheme::Http, &lines, &mut Text::default()).unwrap();
        assert_eq!(told.request.method(), "CONNECT");
        assert_eq!(told.request.headers().len(), 1);
        let key = told.websocket_key.unwrap();
        // The example of RFC 6455 section 1.3.
        assert_eq!(accept(key.as_bytes()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
