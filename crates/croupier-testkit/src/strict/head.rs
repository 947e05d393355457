//! What a head may say, judged as an origin behind a careful proxy may judge it.

use super::{Broken, malformed};
use crate::message::{Framing, Headers, text};

/// The start line and the fields of a head.
pub(crate) fn head_lines(
    bytes: &[u8],
    flaws: &mut Vec<String>,
) -> Result<(String, Headers), Broken> {
    let mut lines = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return malformed(format!("a line ends with a bare LF: {:?}", text(line)));
        };
        if line.contains(&b'\r') {
            return malformed(format!("a bare CR inside a line: {:?}", text(line)));
        }
        lines.push(line);
    }
    lines.pop(); // the empty line that ends the head
    let leading = lines.iter().take_while(|line| line.is_empty()).count();
    if leading > 0 {
        flaws.push("an empty line before the start line".into());
    }
    let mut lines = lines.into_iter().skip(leading);
    let Some(start) = lines.next() else {
        return malformed("an empty head");
    };
    if start.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        return malformed(format!(
            "a control character in the start line: {:?}",
            text(start)
        ));
    }
    Ok((text(start), fields(lines, flaws)?))
}

pub(super) fn fields<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    flaws: &mut Vec<String>,
) -> Result<Headers, Broken> {
    let mut headers = Headers::default();
    for line in lines {
        if line
            .first()
            .is_some_and(|byte| *byte == b' ' || *byte == b'\t')
        {
            return malformed(format!("a folded field line: {:?}", text(line)));
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return malformed(format!("a field line without colon: {:?}", text(line)));
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return malformed(format!("a field name: {:?}", text(line)));
        }
        if value
            .iter()
            .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
        {
            return malformed(format!("a control character in a field: {:?}", text(line)));
        }
        let trimmed = value.trim_ascii();
        let canonical = value.strip_prefix(b" ") == Some(trimmed) || value.is_empty();
        if !canonical {
            flaws.push(format!(
                "white space around a field value: {:?}",
                text(line)
            ));
        }
        headers.0.push((text(name), text(trimmed)));
    }
    Ok(headers)
}

/// The framing that two header fields announce; `None` when they announce none.
pub(crate) fn announced_framing(
    headers: &Headers,
    flaws: &mut Vec<String>,
) -> Result<Option<Framing>, Broken> {
    let codings = headers.all("transfer-encoding");
    let lengths = headers.all("content-length");
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(None),
        ([], [digits]) => {
            let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let Some(length) = digits.parse().ok().filter(|_| decimal) else {
                return malformed(format!("Content-Length: {digits:?}"));
            };
            if digits.len() > 1 && digits.starts_with('0') {
                flaws.push(format!("Content-Length with leading zeros: {digits:?}"));
            }
            Ok(Some(Framing::Length(length)))
        }
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => {
            if *coding != "chunked" {
                flaws.push(format!("Transfer-Encoding: {coding:?}"));
            }
            Ok(Some(Framing::Chunked))
        }
        _ => malformed(format!(
            "framing in doubt: Transfer-Encoding {codings:?}, Content-Length {lengths:?}"
        )),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The head of a request, judged as an origin behind a careful proxy may judge it.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
}

pub(crate) fn request_head(bytes: &[u8], flaws: &mut Vec<String>) -> Result<RequestHead, Broken> {
    let (start, headers) = head_lines(bytes, flaws)?;
    let mut words = start.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return malformed(format!("a request line: {start:?}"));
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return malformed(format!("a method: {start:?}"));
    }
    if target.is_empty() || !target.is_ascii() {
        return malformed(format!("a target: {start:?}"));
    }
    if version != "HTTP/1.1" {
        flaws.push(format!("a version: {start:?}"));
    }
    if !version.starts_with("HTTP/1.") {
        return malformed(format!("a version: {start:?}"));
    }
    judge_target(method, target, flaws);
    judge_fields(&headers, flaws);
    let framing = announced_framing(&headers, flaws)?.unwrap_or(Framing::None);
    Ok(RequestHead {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        headers,
        framing,
    })
}

fn judge_target(method: &str, target: &str, flaws: &mut Vec<String>) {
    let form_fits = match method {
        "CONNECT" => !target.contains('/'),
        "OPTIONS" => target == "*" || target.starts_with('/'),
        _ => target.starts_with('/'),
    };
    if !form_fits {
        flaws.push(format!("a target of the wrong form: {method} {target:?}"));
    }
    if target.bytes().any(|byte| b"#\\\"<>".contains(&byte)) {
        flaws.push(format!(
            "a target with characters that no URI has: {target:?}"
        ));
    }
}

fn judge_fields(headers: &Headers, flaws: &mut Vec<String>) {
    match headers.all("host").as_slice() {
        [host] if !host.is_empty() && !host.contains([' ', ',', '@', '/', '\\', '?', '#']) => {}
        hosts => flaws.push(format!("Host: {hosts:?}")),
    }
    for (name, value) in &headers.0 {
        let low = name.to_ascii_lowercase();
        match low.as_str() {
            "keep-alive" | "proxy-connection" | "http2-settings" => {
                flaws.push(format!("`{name}` is for one connection only"));
            }
            "te" if !value.eq_ignore_ascii_case("trailers") => {
                flaws.push(format!("{name}: {value:?}"));
            }
            "upgrade" if !value.eq_ignore_ascii_case("websocket") => {
                flaws.push(format!("{name}: {value:?}"));
            }
            "connection" => {
                let known = ["close", "keep-alive", "upgrade", "te"];
                let is_known = |token: &str| known.iter().any(|k| token.eq_ignore_ascii_case(k));
                if !value.split(',').map(str::trim).all(is_known) {
                    flaws.push(format!("{name}: {value:?}"));
                }
            }
            _ if low.contains('_') && is_alias(&low.replace('_', "-")) => {
                flaws.push(format!("`{name}` is read as another field by some origins"));
            }
            _ => {}
        }
    }
}

/// The names that a CGI-like origin would take for fields that a proxy answers for.
fn is_alias(name: &str) -> bool {
    let guarded = [
        "content-length",
        "transfer-encoding",
        "host",
        "connection",
        "forwarded",
        "x-real-ip",
    ];
    guarded.contains(&name) || name.starts_with("x-forwarded-")
}
