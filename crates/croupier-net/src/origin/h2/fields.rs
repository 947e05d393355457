//! Heads to and from HTTP/2 (RFC 9113 section 8): what is said in pseudo-headers, what is not said
//! at all, and names in lower case.

use croupier_http::{BodyLen, Fields, Name, ResponseHead, h1::scan::{HeadError, HeadLimits}};
use h2::ext::Protocol;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, SEC_WEBSOCKET_KEY},
    uri,
};

use super::Scheme;
use crate::{error::NetError, origin::h1::RequestLine, side::Outgoing};

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
) -> Result<Told, NetError> {
    let mut headers = Headers::default();
    fields.lines(&mut |name, value| headers.add(name, value));
    let (method, protocol) = if line.websocket {
        (Method::CONNECT, Some(Protocol::from_static("websocket")))
    } else {
        (Method::from_bytes(line.method).map_err(|_| UNFIT)?, None)
    };
    let target = match line.query {
        Some(query) => uri::PathAndQuery::from_maybe_shared(format!("{}?{query}", line.path)),
        None => uri::PathAndQuery::try_from(line.path),
    };
    let uri = uri(scheme, line.host, target)?;
    headers.into_request(method, uri, protocol, line.body)
}

/// The same from a head that [`crate::origin::h1::encode_head`] has written.
pub(super) fn encoded(head: &[u8], scheme: Scheme, body: BodyLen) -> Result<Told, NetError> {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut start = lines.next().ok_or(UNFIT)?.split(|byte| *byte == b' ');
    let (method, path) = (start.next().ok_or(UNFIT)?, start.next().ok_or(UNFIT)?);
    let mut headers = Headers::default();
    let mut host = "";
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii_start());
        if name.eq_ignore_ascii_case(b"host") {
            host = str::from_utf8(value).map_err(|_| UNFIT)?;
        } else {
            headers.add(name, value);
        }
    }
    let method = Method::from_bytes(method).map_err(|_| UNFIT)?;
    let uri = uri(scheme, host, uri::PathAndQuery::try_from(path))?;
    headers.into_request(method, uri, None, body)
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

#[derive(Default)]
struct Headers {
    map: HeaderMap,
    is_unfit: bool,
}

impl Headers {
    fn add(&mut self, name: &[u8], value: &[u8]) {
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            self.is_unfit = true;
            return;
        };
        // Their meaning is in the frames.
        let is_of_connection = matches!(
            name.as_str(),
            "connection" | "host" | "keep-alive" | "proxy-connection" | "transfer-encoding"
                | "upgrade" | "content-length" | "http2-settings"
        );
        if is_of_connection || name == http::header::TE && value != "trailers" {
            return;
        }
        self.map.append(name, value);
    }

    fn into_request(
        mut self,
        method: Method,
        uri: Uri,
        protocol: Option<Protocol>,
        body: BodyLen,
    ) -> Result<Told, NetError> {
        if self.is_unfit {
            return Err(UNFIT);
        }
        if let BodyLen::Length(length) = body {
            self.map.insert(CONTENT_LENGTH, length.into());
        }
        let mut websocket_key = None;
        let mut request = Request::new(());
        if let Some(protocol) = protocol {
            websocket_key = self.map.remove(SEC_WEBSOCKET_KEY);
            request.extensions_mut().insert(protocol);
        }
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.map;
        Ok(Told {
            request,
            websocket_key,
        })
    }
}

/// A trailer section for the peer; what has no place there was taken out by whoever relays it.
pub(super) fn trailers(fields: &Fields) -> HeaderMap {
    let mut headers = Headers::default();
    for field in fields.iter() {
        headers.add(field.raw_name, field.value);
    }
    headers.map
}

/// What came, as a head of ours.
pub(super) fn response(
    status: u16,
    map: &HeaderMap,
    limits: &HeadLimits,
    head: &mut ResponseHead,
) -> Result<(), NetError> {
    head.clear();
    head.status = status;
    if map.len() > limits.fields {
        return Err(NetError::Head(HeadError::TooManyFields));
    }
    copy(map, &mut head.fields)
}

/// A trailer section that came.
pub(super) fn received_trailers(map: &HeaderMap, lines_max: usize) -> Result<Option<Fields>, NetError> {
    if map.len() > lines_max {
        return Err(NetError::Head(HeadError::TooManyFields));
    }
    let mut fields = Fields::new();
    copy(map, &mut fields)?;
    Ok((!fields.is_empty()).then_some(fields))
}

fn copy(map: &HeaderMap, fields: &mut Fields) -> Result<(), NetError> {
    for (name, value) in map {
        let value = value.as_bytes();
        // RFC 9113 section 8.2.1; HTTP/1 would take it off, and two readers would differ.
        if value.trim_ascii().len() != value.len() {
            return Err(NetError::Head(HeadError::FieldValue));
        }
        fields.push(name.as_str().as_bytes(), value);
    }
    Ok(())
}

/// An agreement to become a WebSocket (RFC 8441) as HTTP/1 says it (RFC 6455 section 4.2.2).
pub(super) fn switch(head: &mut ResponseHead, key: Option<&HeaderValue>) {
    head.status = 101;
    head.fields.push(b"upgrade", b"websocket");
    head.fields.push(b"connection", b"Upgrade");
    let is_said = head.fields.all_named(b"sec-websocket-accept").next().is_some();
    if let Some(key) = key.filter(|_| !is_said) {
        head.fields.push(b"sec-websocket-accept", accept(key.as_bytes()).as_bytes());
    }
    debug_assert!(head.fields.contains(Name::UPGRADE));
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
            text.push(if is_padding { '=' } else { char::from(DIGITS[digit as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use croupier_http::{BodyLen, ResponseHead, h1::scan::HeadLimits};
    use http::{HeaderMap, HeaderValue};

    use super::{Scheme, accept, encoded, request, response};
    use crate::{origin::h1::{RequestLine, encode_head}, side::Outgoing};

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
            request(&LINE, Scheme::Https, &LINES).unwrap(),
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
        let line = RequestLine { websocket: true, method: b"GET", body: BodyLen::None, ..LINE };
        let lines = Lines(&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]);
        let told = request(&line, Scheme::Http, &lines).unwrap();
        assert_eq!(told.request.method(), "CONNECT");
        assert_eq!(told.request.headers().len(), 1);
        let key = told.websocket_key.unwrap();
        // The example of RFC 6455 section 1.3.
        assert_eq!(accept(key.as_bytes()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_value_with_edges_of_space_or_too_many_lines_are_no_head() {
        let limits = HeadLimits { head_bytes: 4096, target_bytes: 0, fields: 2, field_bytes: 4096 };
        let mut map = HeaderMap::new();
        let mut head = ResponseHead::default();
        map.append("a", HeaderValue::from_static("b"));
        map.append("a", HeaderValue::from_static("c"));
        assert!(response(200, &map, &limits, &mut head).is_ok());
        assert_eq!(head.fields.len(), 2);
        map.append("a", HeaderValue::from_static("d"));
        assert!(response(200, &map, &limits, &mut head).is_err());
        let map = HeaderMap::from_iter([(http::header::AGE, HeaderValue::from_static("1 "))]);
        assert!(response(200, &map, &limits, &mut head).is_err());
    }
}
